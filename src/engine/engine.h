/*
 * What starts workers: one interface, one file for each way. An engine runs `excamera worker` somewhere,
 * hands each its document (mu/invocation.h), and says when it has ended; it knows nothing of jobs. On a
 * libuv loop, used from its thread alone; no event comes from inside a call.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdint.h>
#include <uv.h>

#include "util/error.h"

struct engine;

struct engine_events {
    /* What was started as `worker` runs no more; `how` is a few words for people. */
    void (*ended)(void *opaque, uint32_t worker, const char *how);
    void *opaque;
};

/* Processes of this machine: `program` is the path of excamera. */
int engine_local(uv_loop_t *loop, const char *program, const struct engine_events *events,
                 struct engine **engine, struct error *error);

/* A command each, which runs `excamera worker --invocation -` wherever it likes with its own standard input:
 * `text` is its words, between blanks; '...' and "..." hold blanks together, no shell sees them. "{worker}"
 * stands for a worker's number. It has this process's environment and standard error. -EINVAL where there
 * are no words in `text`, or a quote without its end. */
int engine_command(uv_loop_t *loop, const char *text, const struct engine_events *events,
                   struct engine **engine, struct error *error);

/* Starts one, which is told `document` in a way that nobody else can see. */
int engine_start(struct engine *engine, uint32_t worker, const char *document, struct error *error);
/* Ends one by force, where it runs still. */
void engine_kill(struct engine *engine, uint32_t worker);
/* Ends all that run, by force. */
void engine_stop(struct engine *engine);
/* The same, then frees the engine and calls `closed` from the loop; `ended` is not called any more. */
void engine_close(struct engine *engine, void (*closed)(void *opaque), void *opaque);

/* ---- For those who make one ----------------------------------------------------------------- */

struct engine {
    int (*start)(struct engine *engine, uint32_t worker, const char *document, struct error *error);
    void (*kill)(struct engine *engine, uint32_t worker);
    void (*stop)(struct engine *engine);
    void (*close)(struct engine *engine, void (*closed)(void *opaque), void *opaque);
};

#endif
