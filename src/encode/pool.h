/*
 * Local worker processes on a libuv loop: each runs one command to its end. A command that crashes,
 * is killed or fails is run again. The pool knows nothing of what the commands do.
 */
#ifndef ENCODE_POOL_H
#define ENCODE_POOL_H

#include <stdbool.h>
#include <uv.h>

#include "util/error.h"

enum {
    POOL_TRIES = 3,
    POOL_MOST_ARGUMENTS = 32, /* with the NULL at the end */
};

struct pool;

/* `folder` is where the commands run; it must outlive the pool. At most `workers` run at once. */
int pool_new(uv_loop_t *loop, int workers, const char *folder, struct pool **pool,
             struct error *error);
/* NULL is allowed. Only when nothing runs any more. */
void pool_free(struct pool *pool);

/* True when another command can be started. */
bool pool_has_room(const struct pool *pool);
bool pool_idle(const struct pool *pool);

/* Starts a command: `program` with `argv`, whose strings are copied. `done` is called once, from
 * the loop, with NULL for success or else with what the last of the tries said; never when this
 * function fails. */
int pool_run(struct pool *pool, const char *program, char *const argv[],
             void (*done)(void *opaque, const struct error *failure), void *opaque,
             struct error *error);

/* Kills what runs: no command is started or tried again, those that ran are done with a failure. */
void pool_stop(struct pool *pool);

#endif
