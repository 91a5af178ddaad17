/*
 * Where workers work on a machine: each in a folder of its own, in one that is its job's.
 *
 *     SCRATCH/excamera-JOB/12-x7Gk2q/
 *
 * A worker holds a lock on its folder as long as it lives. So one that begins can tell what dead ones have
 * left, and removes that; whoever had workers started removes all of the job's when they have ended.
 */
#ifndef MU_WORKER_SCRATCH_H
#define MU_WORKER_SCRATCH_H

#include <uv.h>

#include "util/error.h"

struct worker_scratch {
    char *job;  /* the job's folder */
    char *path; /* the worker's; NULL where there is none */
    int folder; /* the same, open and locked; -1 */
};

/* Makes the worker's folder, and the job's if it is not there. A negative errno; -EPERM where the job's
 * folder is somebody else's. Release it in any case. */
int worker_scratch_make(const char *scratch, const char *job, uint32_t worker,
                        struct worker_scratch *made, struct error *error);
/* Closes the worker's folder, and removes the job's if nothing is left in it; removes nothing else. */
void worker_scratch_release(struct worker_scratch *scratch);
/* Removes the worker's folder with all that is in it, while the caller waits, and releases it. */
void worker_scratch_remove(struct worker_scratch *scratch);
/* Removes what dead workers of the job have left, in a thread of the loop's pool. Without memory for that,
 * nothing is removed. */
void worker_scratch_sweep(uv_loop_t *loop, const struct worker_scratch *scratch);
/* The same while the caller waits. */
void worker_scratch_sweep_now(const struct worker_scratch *scratch);

/* Removes the job's folder with all that is in it, while the caller waits. For whoever had its workers
 * started, when all of them have ended. A negative errno; 0 where it was not there. */
int worker_scratch_remove_job(const char *scratch, const char *job);

#endif
