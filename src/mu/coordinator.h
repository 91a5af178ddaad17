/*
 * The coordinator: takes jobs, starts workers for each by way of an engine, tells them what to do next as the
 * job's ledger says (mu/ledger.h), takes what they make into the job's store, and remembers in the job's
 * journal what is durable, so that a job goes on where it was left. docs/protocol.md is how it speaks with
 * workers and with those who hand in jobs. On a libuv loop, used from its thread alone.
 *
 *     coordinator_open() -> coordinator_add(), ... -> each job's `ended` -> coordinator_close()
 */
#ifndef MU_COORDINATOR_H
#define MU_COORDINATOR_H

#include "engine/engine.h"
#include "mu/job.h"
#include "mu/ledger.h"
#include "net/certificate.h"
#include "util/error.h"

struct coordinator;
struct coordinator_job;

/* Where a server is dialled. */
struct coordinator_place {
    const char *host; /* a name or an address */
    uint16_t port;
};

/* Makes what starts the workers; returns as engine_open() does. */
typedef int coordinator_engine(void *opaque, uv_loop_t *loop, const struct engine_events *events,
                               struct engine **engine, struct error *error);

/* All but the keys is copied, which must outlive the coordinator. Zero means the default where one is said. */
struct coordinator_options {
    const char *build;               /* of the program; workers and journals must have the same */
    const char *program;             /* its path, for workers that are started on this machine */
    struct engine_choice choice;     /* of what starts them; used while it is opened only */
    coordinator_engine *engine;      /* in place of that; NULL: none */
    const char *scratch;             /* absolute: where workers make their folders */
    struct coordinator_place listen; /* port 0: any that is free; host NULL: all addresses */
    struct coordinator_place advertise; /* what workers dial; by default what is listened at */
    uint16_t rendezvous_port;           /* of one of its own; 0: any that is free */
    /* The deployment's, for coordinators: those who hand in jobs are known by it. NULL: nobody may, and the
     * servers have keys that are made for the time being. */
    const struct credentials *keys;
    /* The rendezvous, in the order of mapping; none: one of its own, with `rendezvous_keys` where `keys` are
     * given. */
    const struct coordinator_place *rendezvous;
    int rendezvous_count;
    const struct credentials *rendezvous_keys;
    /* A folder for the jobs that are handed in, locked while it is used. NULL: none can be. */
    const char *state;
    int workers;                 /* of all jobs together, at most; 0: as many as the jobs want */
    int slots;                   /* of each worker, for jobs that are handed in; default 1 */
    double price;                /* of a worker's second; 0: the engine's */
    unsigned heartbeat_ms;       /* default 1000 */
    unsigned launch_ms;          /* until a worker that has not come is replaced; default 120 s */
    unsigned rendezvous_lost_ms; /* until one that is gone is given up; default 30 s */
    unsigned patience_ms;        /* of workers whose coordinator is gone; default 300 s */
    /* Something for people to know. May be NULL. */
    void (*note)(void *opaque, const char *sentence);
    /* A transition of a job that was handed in, as one line of JSON without its end. May be NULL. */
    void (*trace)(void *opaque, const char *line);
    void *opaque;
};

/* All but `job` is copied. */
struct coordinator_job_options {
    const struct job *job; /* must outlive it */
    const char *digest;  /* of the job file and its choices: a journal of another one is refused */
    const char *name;    /* that workers know it by; NULL: as the journal has it, or a new one */
    const char *store;   /* a place as store_open() has it; its parent folder is there */
    const char *journal; /* a file's path */
    const char *authority; /* a file that keeps the workers' authority; NULL: a new one each time */
    const char *keep; /* absolute: for the scratch folders of actors that are done; NULL: removed */
    bool elsewhere;   /* inputs that are files, and outputs, are brought by somebody else */
    bool
        one_machine; /* the workers run on this one, and the store is a folder of it: objects that never
                         leave its disks are known by their sizes, and compared when they come again */
    int workers;     /* at most; those that are used at once */
    int spare;       /* that are started beyond these, to take the place of others */
    int slots;       /* of each worker */
    int window;      /* as in struct ledger_limits */
    uint64_t time_ms; /* the job may take; 0: no limit */
    double cost;      /* it may have, as coordinator_job_cost() counts it; 0: no limit */
    /* A transition, as one line of JSON without its end. May be NULL. */
    void (*trace)(void *opaque, const char *line);
    /* It is over, and freed when this returns. NULL: the job is done, and its outputs are there. */
    void (*ended)(void *opaque, const struct error *failure);
    void *opaque;
};

/* Listens. After a failure nothing is called back, but the loop must run until it has nothing left. Fails
 * as listener_open() does; -EBUSY where another coordinator has the state folder. With a state folder the
 * jobs in it go on. */
int coordinator_open(uv_loop_t *loop, const struct coordinator_options *options,
                     struct coordinator **coordinator, struct error *error);
/* Ends all, and calls `closed` when it is freed; jobs end with -ECANCELED. Also while it drains. */
void coordinator_close(struct coordinator *coordinator, void (*closed)(void *opaque), void *opaque);
/* The same, but lets what runs end first, for 10 s at most; nothing more is begun, and actors that wait are
 * parked. */
void coordinator_drain(struct coordinator *coordinator, void (*closed)(void *opaque), void *opaque);
uint16_t coordinator_port(const struct coordinator *coordinator);

/* Begins a job, or goes on with it. After a failure nothing is called back. Fails as journal_open() and
 * store_open() do; -EINVAL where the journal is another job's, or another program's. */
int coordinator_add(struct coordinator *coordinator, const struct coordinator_job_options *options,
                    struct coordinator_job **job, struct error *error);
/* Ends the job's work for now; `ended` comes with -ECANCELED. Added again, it goes on. */
void coordinator_job_stop(struct coordinator_job *job);
void coordinator_job_progress(const struct coordinator_job *job, struct ledger_progress *progress);
/* What it has cost so far, since it was begun, by the price of workers; 0 where there is none. */
double coordinator_job_cost(const struct coordinator_job *job);
/* As ledger_states(). */
void coordinator_job_states(const struct coordinator_job *job, uint32_t *actors);

#endif
