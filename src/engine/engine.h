/*
 * What starts workers: one interface, one file for each way. An engine runs `excamera worker` somewhere,
 * hands each its document (mu/invocation.h), and says what became of it; it knows nothing of jobs. On a
 * libuv loop, used from its thread alone; no event comes from inside a call.
 *
 *     engine_start() -> started -> ended
 *          +----------> refused, or ended: it never ran
 *
 * An engine has its own queue: it may gather what is started in one go, and waits by itself where the cluster
 * or cloud asks for patience, so that `started` may come late.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "util/error.h"

struct engine;

struct engine_option {
    const char *key, *value;
};

/* What a user has chosen. Those that take one copy what they keep. */
struct engine_choice {
    const char *name;                   /* NULL: processes of this machine, "local" */
    const struct engine_option *option; /* [options]; the last one counts where a key comes twice */
    int options;
};

struct engine_events {
    /* `worker` runs, or has been taken on by those who promise no more. From now on it can be expected to
     * dial. */
    void (*started)(void *opaque, uint32_t worker);
    /* What was started as `worker` runs no more, or never ran; `how` is a few words for people. */
    void (*ended)(void *opaque, uint32_t worker, const char *how);
    /* `worker` was not started, and another one would not be either until somebody changes something:
     * `reason` says what. */
    void (*refused)(void *opaque, uint32_t worker, const struct error *reason);
    void *opaque;
};

/* What holds for workers of an engine. Zero: nothing does. */
struct engine_limits {
    int workers;      /* at once, at most */
    uint64_t life_ms; /* of a worker; it is gone after that */
    uint64_t
        waiting_ms; /* that a worker may spend waiting until it is better ended and started again */
    uint64_t dial_ms;    /* after `started`; one that has not dialled by then is lost */
    double price_second; /* of a worker's running */
    double price_start;  /* of each start */
    size_t document;     /* bytes that one may have */
    bool same_machine;   /* its workers run on this one, and see its files */
};

/* Makes the engine of a choice. `program` is the path of excamera, for workers that are started on this
 * machine or on others that see the same files. -EINVAL where there is no such engine, or no such option of
 * it, with those that there are; or else as the engine says. */
int engine_open(uv_loop_t *loop, const struct engine_choice *choice, const char *program,
                const struct engine_events *events, struct engine **engine, struct error *error);
/* Valid as long as the engine. */
const struct engine_limits *engine_limits(const struct engine *engine);
/* Has one started, which is told `document` in a way that nobody else can see. After a failure there are no
 * events of it; -EMSGSIZE where the document is longer than the limit. Else one of `ended` and `refused`
 * follows when it is known; an engine may never learn of an end. */
int engine_start(struct engine *engine, uint32_t worker, const char *document, struct error *error);
/* Ends one by force, or takes it out of the queue; its `ended` may follow. */
void engine_kill(struct engine *engine, uint32_t worker);
/* The same for all. */
void engine_stop(struct engine *engine);
/* The same, then frees the engine and calls `closed` from the loop; there are no events any more. */
void engine_close(struct engine *engine, void (*closed)(void *opaque), void *opaque);

#endif
