/*
 * A worker: dials the coordinator that its invocation names, says what it is, and does what it is asked
 * until it is dismissed, until the coordinator was gone for its patience, or until the life that the invocation
 * gives it is over (docs/protocol.md). It decides nothing, and leaves nothing behind. On a libuv loop, used
 * from its thread alone.
 *
 * - Its folder (mode 0700) lies in the job's; what dead workers of the job have left there it removes.
 * - Each attempt at an actor has a scratch folder of its own, which is removed when the attempt is over, or
 *   kept elsewhere if the invocation says so. Files are named by paths that cannot leave it.
 * - Commands run in slots (mu/slot.h). Where these are short, the larger priority goes first, then the
 *   actor whose name comes first, numbers in it compared as numbers. A command that waits at a point has no
 *   core meanwhile: another one may run.
 * - Files that are got may share the store's blocks: commands write new files rather than into those.
 */
#ifndef MU_WORKER_H
#define MU_WORKER_H

#include <uv.h>

#include "mu/invocation.h"
#include "util/error.h"

struct worker;

struct worker_options {
    const struct invocation *invocation; /* may be released after the call */
    const char *version;                 /* of the program */
    const char *build;                   /* must be the invocation's */
    const char *facts; /* architecture and versions that commands' results depend on */
    /* As slot_open() has them. */
    const char *program;
    const char *const *slot_argv;
};

/* Starts. -EINVAL where the invocation is for another build, or what the store, the scratch folder or the
 * slots fail with. `ended` is called once, from the loop, when all is over and the worker is freed:
 * `reason` is NULL where it was dismissed. */
int worker_open(uv_loop_t *loop, const struct worker_options *options,
                void (*ended)(void *opaque, const struct error *reason), void *opaque,
                struct worker **worker, struct error *error);
/* Ends what is under way, for `reason`; `ended` still comes. */
void worker_stop(struct worker *worker, const char *reason);

#endif
