/*
 * The coordinator of one job: starts workers by way of an engine, tells each what to do next as the job's
 * ledger says (mu/ledger.h), takes what they make into the store, and remembers in a journal what is
 * durable, so that a job goes on where it was left. docs/protocol.md is how it speaks with workers. On a
 * libuv loop, used from its thread alone.
 */
#ifndef MU_COORDINATOR_H
#define MU_COORDINATOR_H

#include "engine/engine.h"
#include "mu/job.h"
#include "mu/ledger.h"
#include "util/error.h"

struct coordinator;

struct coordinator_options {
    const struct job *job; /* must outlive the coordinator */
    const char *digest;  /* of the job file and its choices: a journal of another one is refused */
    const char *build;   /* of the program; workers and the journal must have the same */
    const char *program; /* its path, for the local engine */
    const char *launch;  /* starts a worker, as engine_command() has it; NULL: `program` does */
    /* Opens what starts workers in place of these two. May be NULL. */
    int (*engine)(void *opaque, uv_loop_t *loop, const struct engine_events *events,
                  struct engine **engine, struct error *error);
    const char *store;   /* a place as store_open() has it; its parent folder is there */
    const char *journal; /* a file's path */
    const char *scratch; /* absolute: where workers make their folders */
    /* Absolute: a folder where the files of actors that are done are kept; NULL. Must outlive the
     * coordinator. */
    const char *keep;
    const char *host;      /* to listen at, and what workers dial */
    int workers, slots;    /* slots: of each */
    int window;            /* as in struct ledger_limits */
    unsigned heartbeat_ms; /* 0: 1000 */
    /* A transition, as one line of JSON without its end. May be NULL. */
    void (*trace)(void *opaque, const char *line);
    /* Something for people to know. May be NULL. */
    void (*note)(void *opaque, const char *sentence);
    /* All is over, and the coordinator freed. NULL: the job is done, and its outputs are there. */
    void (*ended)(void *opaque, const struct error *failure);
    void *opaque;
};

/* Begins, or goes on. After a failure nothing is called back, but the loop must run until it has nothing
 * left. Fails as journal_open(), store_open() and listener_open() do; -EINVAL where the journal is another
 * job's, or another program's. */
int coordinator_open(uv_loop_t *loop, const struct coordinator_options *options,
                     struct coordinator **coordinator, struct error *error);
/* Ends the job's work for now; `ended` comes with -ECANCELED. Opened again, it goes on. */
void coordinator_stop(struct coordinator *coordinator);
void coordinator_progress(const struct coordinator *coordinator, struct ledger_progress *progress);
/* As ledger_states(). */
void coordinator_states(const struct coordinator *coordinator, uint32_t *actors);

#endif
