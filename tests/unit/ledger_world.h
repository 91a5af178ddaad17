/*
 * A world of random happenings for a job's bookkeeping: workers that come, vanish and come again, outcomes in
 * any order, failures, messages that a rendezvous forgets, coordinators that die.
 */
#ifndef TESTS_LEDGER_WORLD_H
#define TESTS_LEDGER_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mu/ledger.h"

enum { WORKERS = 5, CHUNKS = 9, BATCH = 4, MOST = 4096 };

/* Something that will happen. */
struct happening {
    enum { REQUEST, POINT, PARK, STOW, UNPARK, ADOPT, STORED } what;
    uint32_t worker;
    char actor[JOB_ACTOR_SIZE], peer[JOB_ACTOR_SIZE], name[JOB_ACTOR_SIZE], key[600];
    uint32_t attempt, point;
    uint64_t request;
    enum job_kind kind;
    bool fetched;
    int progress;                      /* of a run: points that its process has asked for */
    int own;                           /* of a chunk's run: how many points it has, ... */
    char own_point[2][JOB_ACTOR_SIZE]; /* ... and what they are called */
    bool asking;
    struct ledger_identity identity;
};

/* Something that was remembered, as the ledger has ordered it. */
struct memory {
    enum ledger_kind kind;
    char actor[JOB_ACTOR_SIZE], peer[JOB_ACTOR_SIZE], name[JOB_ACTOR_SIZE], key[600], text[400];
    bool for_ever; /* or, of what is parked: waits for nothing */
    uint32_t attempt;
    int64_t number;
    struct ledger_identity identity;
};

struct world {
    const struct job *job;
    struct ledger_limits limits;
    struct memory memory[MOST];
    int memories;
    struct ledger *ledger;
    uint32_t random;
    int64_t now;
    struct happening happening[MOST];
    int count;
    bool there[WORKERS];
    uint32_t number[WORKERS]; /* of the worker that sits there */
    uint32_t workers_made;
    char relayed[MOST][300]; /* what the rendezvous has */
    int relayed_count;
    char durable[MOST][600];
    int durable_count;
    int loss, failure, restart, retirement; /* one in so many */
    bool retired[WORKERS];
    int slow;     /* commands do something one time in so many that they could */
    int64_t life; /* of workers, twice as long at most; 0: no limit */
    int64_t until[WORKERS];
    int parked, unparked, restarts, retirements;
    int parked_at_points, stowed, withdrawn;
    int done, most_live;
    bool lie; /* the first message that is sent again is another one */
};

/* The same seed gives the same happenings. `job` must outlive the world. */
struct world *world_new(const struct job *job, uint32_t seed, int window);
struct world *world_new_limited(const struct job *job, uint32_t seed,
                                const struct ledger_limits *limits);
void world_end(struct world *world);
/* Lets things happen until the job has ended; LEDGER_RUNNING where it does not end. */
enum ledger_result world_live(struct world *world, struct error *error);
/* The same: the job must come to its end, with so many actors. */
void world_live_well(struct world *world, int actors);
/* Whether this is in the store. */
bool world_has(const struct world *world, const char *key);
struct ledger_identity world_identity(const char *text);

#endif
