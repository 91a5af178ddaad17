/*
 * The bookkeeping of one job: which actors were admitted, what their attempts do and wait for, which messages
 * and objects are known and durable, what is done. A value without sockets, files and clocks: it is told
 * what happened and answers with orders, and the same happenings give the same orders.
 *
 *     ledger_joined(), ledger_outcome(), ... -> while (ledger_order(ledger, &order)) carry it out
 *
 * Rules:
 * - Actors are admitted in order, while fewer than a window of them are under way. If all of these wait,
 *   the first one waited for is admitted beyond the window; if nobody is left to admit, the job fails.
 * - Actors that have to be run again come before admissions.
 * - An actor is done when its machine has ended and all that it sent and put is durable.
 * - A worker holds so many actors for each slot. Where no more fit, those that have waited for a while for a
 *   message are parked: their scratch lies in the store, and they go on elsewhere when the message is there.
 * - A worker that is to end gets no more actors. Those that it has are parked as soon as they wait, be it at a
 *   point of a command or for a core, or come to a next command. To it come those whose time is over, or is too
 *   short for a command that has to be run, and those whose actors have all waited for a while.
 * - A message or object whose identity is another one than before fails the job.
 * - A message that is lost, or was deleted before, is made again by running its sender again.
 */
#ifndef MU_LEDGER_H
#define MU_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mu/machine.h"
#include "util/sha256.h"

struct ledger;

struct ledger_identity {
    uint64_t size;
    bool unsummed; /* an object's, whose SHA-256 is not known */
    uint8_t sha256[SHA256_SIZE];
};

struct ledger_limits {
    int window;      /* actors under way at once; 0: four for each slot of the workers, and two */
    int failures;    /* of an actor at the same state, until the job fails; 0: three */
    int actors;      /* that a worker has at once, for each slot; 0: 64 */
    int64_t park_ms; /* that an actor has waited for a message when it may be parked; 0: 1000 */
    int64_t patience_ms; /* of a message that is durable, until its copy is fetched; 0: 250 */
    int64_t
        idle_ms; /* that all actors of a worker have waited when it is to end; 0: it may wait for ever */
};

struct ledger_call {
    const char *actor;
    uint32_t attempt;
    uint64_t request;
};

struct ledger_label {
    const char *from, *to, *name;
};

enum ledger_kind {
    LEDGER_REQUEST, /* `worker` is to do `what`, as `attempt` and `request` of `actor` */
    LEDGER_POINT,  /* the same for what a process asked for as `point`; with kind JOB_CLOSE there is
                       nothing to do, and with JOB_NEEDED neither: `number` is an enum ledger_need */
    LEDGER_REFUSE, /* the process will not get its `point`; `text` says why */
    LEDGER_PARK, /* `worker` is to park `actor`, which waits with `request`, or at `point` of it if that
                       is not 0, as `attempt` of `key`: ledger_parked() */
    LEDGER_STOW,   /* the same as a request of its own: it is not at anything */
    LEDGER_UNPARK, /* `worker` is to take what was parked, `key` and `identity`, for `attempt` of
                       `actor`; its outcome is `request`'s */
    LEDGER_DROP,   /* `worker` is to forget `attempt` of `actor` */
    LEDGER_FETCH,  /* the message to `actor` has a copy under `key`, and is `identity` */
    LEDGER_ADOPT, /* make `attempt`'s object the one of `key` if it is `identity`: ledger_adopted() */
    LEDGER_MESSAGE, /* to be remembered: durable, with `identity` */
    LEDGER_OBJECT, /* to be remembered: durable as `key`, made by `actor`, kept until `peer` is done */
    LEDGER_CLOSE, /* to be remembered: `actor` is a family, and has `number` members */
    LEDGER_DONE,  /* to be remembered: `actor` is done, its amount is `number`; messages to it may
                     go then */
    LEDGER_PARKED, /* to be remembered: `actor` is parked, as `attempt`, with `identity`; `text` is where
                       it is, `peer` and `name` are the message that it waits for, or NULL */
    LEDGER_RETIRE, /* `worker` is to end when its load is 0, as after ledger_retire(); `text` says why */
    LEDGER_DELETE, /* `key`, or if not 0 its `attempt`, may go when what is to be remembered is safe */
};

/* Whether an actor is needed: it is done; or it is yet to begin; or it has begun. */
enum ledger_need { LEDGER_NEED_NONE, LEDGER_NEED_LATER, LEDGER_NEED_NOW };

/* Strings live until the order is freed. */
struct ledger_order {
    enum ledger_kind kind;
    uint32_t worker;
    const char *actor; /* "to" of a message */
    uint32_t attempt;
    uint64_t request;
    uint32_t point;
    const char *key, *peer, *name, *text; /* peer and name: "from" and "name" of a message */
    int64_t number;
    bool identified; /* `identity` is known: of a request, what is to be got */
    struct ledger_identity identity;
    struct machine_request what;
    struct arena arena;
};

enum ledger_result { LEDGER_RUNNING, LEDGER_FINISHED, LEDGER_FAILED };

/* Actors under way at once that so many slots are kept busy with. */
int ledger_window_for(int slots);
/* `job` must outlive the ledger. NULL when out of memory. */
struct ledger *ledger_new(const struct job *job, const struct ledger_limits *limits);
void ledger_free(struct ledger *ledger); /* NULL is allowed */

/* Attempts at each actor that begin from now on are numbered behind this one. */
void ledger_number_attempts(struct ledger *ledger, uint32_t behind);
/* The next order, to be freed with ledger_order_free; false where there is none. */
bool ledger_order(struct ledger *ledger, struct ledger_order *order);
void ledger_order_free(struct ledger_order *order);

/* How the job stands; `failure` is filled where it failed. */
enum ledger_result ledger_result(const struct ledger *ledger, struct error *failure);
/* Ends the job for this reason, unless it has ended. */
void ledger_fail(struct ledger *ledger, const struct error *failure);

struct ledger_progress {
    int64_t actors; /* of the job; -1 while a family is open */
    int64_t done, live, waiting;
    int64_t amount; /* of what the job calls its progress: the sum over actors that are done */
    int workers;
};
void ledger_progress(const struct ledger *ledger, struct ledger_progress *progress);
/* How many actors are in each state of the machine, [job->states]; those that wait for a worker in none. */
void ledger_states(const struct ledger *ledger, uint32_t *actors);

/* ---- What was remembered, before anything else ---------------------------------------------- */

/* Each is -EBADMSG where the job has no such thing, or -ENOMEM. */
int ledger_replay_message(struct ledger *ledger, const struct ledger_label *label,
                          const struct ledger_identity *identity);
int ledger_replay_object(struct ledger *ledger, const char *key, const char *maker,
                         const char *peer, const struct ledger_identity *identity);
int ledger_replay_close(struct ledger *ledger, const char *family, int64_t count);
int ledger_replay_done(struct ledger *ledger, const char *actor, int64_t amount);
/* `text`, `from` and `name` as in the order. */
int ledger_replay_parked(struct ledger *ledger, const char *actor, uint32_t attempt,
                         const char *text, const char *from, const char *name,
                         const struct ledger_identity *identity);

/* ---- What happens --------------------------------------------------------------------------- */

/* Times are in milliseconds from any start, and never go back. */

/* A worker is there, with room for `slots` commands at once; another one with its number has gone before. Its
 * commands should end before `until`; 0: they have no limit. */
void ledger_joined(struct ledger *ledger, uint32_t worker, int slots, int64_t until, int64_t now);
/* So many slots are on their way: as long as that is so, no worker gets more actors than it has slots. */
void ledger_expect(struct ledger *ledger, int slots);
/* How many actors could do something if there were enough workers; at most `most`. */
int ledger_runnable(struct ledger *ledger, int most);
/* It has lost its connection and is back: asks it again for what it was not asked for. Call for each attempt
 * that it holds, then once with `held` NULL. */
void ledger_held(struct ledger *ledger, uint32_t worker, const struct ledger_call *held);
/* It is gone with all that it had. */
void ledger_lost(struct ledger *ledger, uint32_t worker, int64_t now);
/* It is to end soon: gets no more actors, and those that wait are parked. When its load is 0 it may go. */
void ledger_retire(struct ledger *ledger, uint32_t worker, int64_t now);
/* Whether the attempt is this worker's, and goes on. */
bool ledger_holds(const struct ledger *ledger, uint32_t worker, const char *actor,
                  uint32_t attempt);

/* Whether a worker may have this object of the store, or put one as this attempt: that is what an actor of its own is
 * at, a message to or from such an actor, or what was or is being parked of it. */
bool ledger_may_get(const struct ledger *ledger, uint32_t worker, const char *key);
bool ledger_may_put(const struct ledger *ledger, uint32_t worker, const char *key,
                    uint32_t attempt);

/* How many attempts a worker has; 0 for one that is not there. */
int ledger_load(const struct ledger *ledger, uint32_t worker);

/* What an attempt is at. */
struct ledger_view {
    const char *state;
    enum job_kind kind;
    int64_t since; /* when the request was ordered */
    uint32_t worker;
};
/* False where the call is not the one at hand. */
bool ledger_look(const struct ledger *ledger, const struct ledger_call *call,
                 struct ledger_view *view);

struct ledger_outcome {
    enum job_outcome outcome;
    bool cancelled;      /* it failed because it was broken off, a point with its command */
    const char *content; /* of what a "set" read */
    size_t length;
    const struct ledger_identity *identity; /* of what was got, put, sent or received; or NULL */
    int64_t took_ms;                        /* since the worker began with it; 0: not known */
    const char *reason; /* why it did not end well; what it printed about that */
    const char *printed;
};

/* A request has ended. One that is not at hand (any more) is ignored. */
void ledger_outcome(struct ledger *ledger, const struct ledger_call *call,
                    const struct ledger_outcome *outcome, int64_t now);
/* The process of a run asks for a point; `number` as in util/await.h. */
void ledger_point(struct ledger *ledger, const struct ledger_call *call, uint32_t point,
                  const char *name, int64_t number, int64_t now);
/* What it asked for has ended. */
void ledger_point_outcome(struct ledger *ledger, const struct ledger_call *call, uint32_t point,
                          const struct ledger_outcome *outcome, int64_t now);
/* A worker has put a copy of a message into the store, as the attempt of its sender. */
void ledger_stored(struct ledger *ledger, const struct ledger_call *call,
                   const struct ledger_label *label, const struct ledger_identity *identity,
                   int64_t now);
/* LEDGER_PARK or LEDGER_STOW is over: the attempt is in the store, and durable. */
void ledger_parked(struct ledger *ledger, const struct ledger_call *call,
                   const struct ledger_identity *identity, int64_t now);
/* LEDGER_ADOPT is over; `code` 0, or a negative errno as store_adopt() has them. */
void ledger_adopted(struct ledger *ledger, const char *key, uint32_t attempt, int code,
                    int64_t now);
/* Time has passed: to be called a few times a second. */
void ledger_tick(struct ledger *ledger, int64_t now);
/* The key of a message's copy; `key` has room for JOB_MOST_PATH + 1 bytes. */
void ledger_message_key(const struct ledger_label *label, char *key);

#endif
