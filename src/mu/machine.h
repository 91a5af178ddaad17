/*
 * What a job's machine says next, as pure functions: whoever drives actors keeps an actor_state for each,
 * sends its request to a worker, and gives the outcome to machine_step. The same arguments give the same
 * results, wherever and whenever.
 *
 *     machine_start(job, actor, &state)             -> what to do
 *     while it is MACHINE_REQUEST:
 *         machine_request(job, actor, &state, &request), done by a worker  -> outcome
 *         machine_step(job, actor, &state, &outcome, &after)               -> what to do
 */
#ifndef MU_MACHINE_H
#define MU_MACHINE_H

#include "mu/actor.h"
#include "mu/job.h"
#include "util/error.h"

enum machine_result {
    MACHINE_REQUEST,  /* the state's request is to be done, perhaps once more */
    MACHINE_FINISHED, /* the actor has come to a "quit" */
    MACHINE_UNHANDLED, /* no retries are left, and the machine says nothing of this outcome: the actor
                          is to be started again elsewhere, in the end the job fails */
};

struct machine_outcome {
    enum job_outcome outcome;
    const char *content; /* of a JOB_SET that was JOB_OK: what is in its file */
    size_t length;
};

/* Fills `state` for the caller to free. An enum machine_result or a negative errno; never
 * MACHINE_UNHANDLED. On failure `state` is empty. */
int machine_start(const struct job *job, struct actor actor, struct actor_state *state,
                  struct error *error);

/*
 * Fills `after` for the caller to free. An enum machine_result or a negative errno; on failure `after` is
 * empty. A file that is not what a JOB_SET reads counts as failed, and `error` then says what is wrong with
 * it; else its message is empty.
 */
int machine_step(const struct job *job, struct actor actor, const struct actor_state *before,
                 const struct machine_outcome *outcome, struct actor_state *after,
                 struct error *error);

/* A request with everything filled in. */
struct machine_request {
    enum job_kind kind;
    const char *key;  /* of an object: get, put */
    const char *file; /* in the scratch folder; NULL of a send of words. set reads it */
    bool by_url;      /* of a get: the file gets the object's URL in place of its bytes */
    const char *text; /* of a send without file: the message */
    const char *peer; /* actor: send, receive, needed; of a put: kept until that one is done, or
                         NULL */
    const char *name; /* of the message: send, receive */
    bool move;        /* of a put: the file leaves the scratch folder */
    const char *const *argv; /* run; ends with NULL */
    int points;
    const struct machine_point *point; /* [points], of a run */
    const char *family;                /* close */
    int64_t timeout_ms;                /* 0 for none */
    int tries;                         /* that ended badly before this one */
    int priority;                      /* of what competes for a core the largest goes first */
    struct arena arena;                /* holds all that the pointers point to */
};

struct machine_point {
    const char *name;
    /* The process gives a number, which machine_number fills into the request. */
    bool numbered;
    struct machine_request request;
};

/*
 * The request of the state that `state` is in. All names in it are valid, files and keys stay in their
 * folders, and `peer` is an actor of the job. -EINVAL where a variable's value does not allow that. On
 * failure `request` is empty.
 */
int machine_request(const struct job *job, struct actor actor, const struct actor_state *state,
                    struct machine_request *request, struct error *error);
void machine_request_free(struct machine_request *request);

/* The request that a process makes at a numbered point, for the caller to free. `number` is in
 * [0, JOB_MOST_ACTORS). Whether its peer is an actor of the job is not checked. */
int machine_number(const struct machine_point *point, int64_t number,
                   struct machine_request *request, struct error *error);

#endif
