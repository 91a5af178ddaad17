/* Jobs that a coordinator elsewhere runs: handed in, watched, asked about. */
#ifndef CLI_SUBMIT_H
#define CLI_SUBMIT_H

#include "mu/job_file.h"
#include "mu/wire.h"

/* How to reach the coordinator. */
struct submit_access {
    char *host;
    uint16_t port;
    const char *keys; /* the folder that `excamera keys init` has made, with submitter.pem in it */
};

struct submit_progress {
    const char *id;
    bool waiting;         /* for its inputs */
    int64_t actors, done; /* as in struct ledger_progress */
    int64_t amount;
    int workers;
    double cost;                        /* so far; 0 where there is no price */
    uint32_t in_state[JOB_MOST_STATES]; /* actors in each of the job's states */
};

/* What happens meanwhile; each may be NULL. */
struct submit_events {
    void (*submitted)(void *opaque, const char *id);
    void (*progress)(void *opaque, const struct submit_progress *progress);
    void (*note)(void *opaque, const char *sentence);
    void *opaque;
};

struct submit_options {
    const struct submit_access *access;
    const char
        *store; /* a folder that workers reach under this name too; made where it is not there */
    const struct job *job;
    const char *text; /* of its file */
    size_t size;
    const struct job_choice *choice;
    int choices;
    int workers, spare, slots, window; /* 0: as the coordinator likes */
    uint64_t time_ms;                  /* limits; 0: none */
    double cost;
    struct submit_events events;
};

/* Hands the job in, brings its inputs to its store, waits until it is done, and brings its outputs.
 * -ECANCELED after SIGINT, SIGTERM or SIGHUP: the job goes on, unless it has not begun; the error says how to
 * attach to it again. */
int submit_job(const struct submit_options *options, struct error *error);
/* Attaches to a job that was handed in: waits, and brings its outputs. */
int submit_watch(const struct submit_access *access, const char *id,
                 const struct submit_events *events, struct error *error);
/* Asks, and calls `answered` with the jobs that the coordinator has. */
int submit_ask(const struct submit_access *access, const Mu__Envelope *question,
               void (*answered)(void *opaque, const Mu__Jobs *jobs), void *opaque,
               struct error *error);

/* Options that all of this has: --coordinator and --keys. */
enum { SUBMIT_COORDINATOR = 1000, SUBMIT_KEYS };
#define SUBMIT_OPTIONS                                                                             \
    {"coordinator", required_argument, NULL, SUBMIT_COORDINATOR},                                  \
    {                                                                                              \
        "keys", required_argument, NULL, SUBMIT_KEYS                                               \
    }
/* Takes one of these; prints a sentence and returns false where its value cannot be. */
bool submit_take_option(struct submit_access *access, int option, const char *value);

#endif
