/*
 * A core slot of a worker: runs one command at a time, in a process apart, so that whatever a command
 * does to itself touches nothing else. On a libuv loop, used from its thread alone.
 *
 * The slot keeps a child process (mu/slot_child.h), in which this very program waits for commands:
 *  - `excamera task ...` is run in a copy of the child, without loading anything;
 *  - `excamera ...` is this program, wherever it lies;
 *  - any other argv[0] is looked for along PATH.
 * A command runs in its folder, in a session of its own, with the environment PATH and HOME (the worker's),
 * TMPDIR (its folder), LANG=C.UTF-8, XC_CONTROL (util/await.h) and XC_SLOT, and no other descriptors than
 * these: standard input is empty, both outputs are read. When it ends, whatever it has started is killed,
 * before the outcome is told. Should the worker die, the child does the same and ends; should the child
 * die, the slot does so, and makes a new one for the next command.
 *
 * As with all of libuv's streams, the program must ignore SIGPIPE.
 */
#ifndef MU_SLOT_H
#define MU_SLOT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "mu/control.h"
#include "util/error.h"

enum {
    SLOT_TAIL = 32 * 1024,     /* bytes kept of each output */
    SLOT_COMMAND = 128 * 1024, /* most bytes of a command's folder and arguments */
    SLOT_GRACE_MS = 5000,      /* for the child to end a command, until it is killed itself */
};

enum slot_end {
    SLOT_EXITED,      /* `status` is the exit status */
    SLOT_SIGNALLED,   /* by signal number `status`, which nobody here has sent */
    SLOT_TIMED_OUT,   /* killed at its time limit */
    SLOT_CANCELLED,   /* killed because of slot_cancel() or slot_close() */
    SLOT_NOT_STARTED, /* `reason` says why */
    SLOT_LOST,        /* the child itself has died; `reason` says how */
};

/* The end of what was written to an output. */
struct slot_text {
    const char *data; /* followed by a zero byte */
    size_t size;      /* at most SLOT_TAIL */
    uint64_t total;   /* bytes that were written */
};

struct slot_outcome {
    enum slot_end end;
    int status;
    const char *reason; /* "" where there is none */
    /* All zero where the child has died. Of processor time and memory: the command's and its children's,
     * but for processes that nobody has waited for. */
    uint64_t wall_us, waited_us; /* waited: at await_point(), part of wall */
    uint64_t user_us, system_us;
    uint64_t peak_bytes; /* of the largest single process */
    struct slot_text out, err;
};

struct slot_command {
    const char *folder;      /* absolute */
    const char *const *argv; /* ends with NULL */
    uint64_t limit_ms;       /* of time not spent in await_point(); 0 for none */
};

struct slot_events {
    /* The command waits at a point, see util/await.h: slot_answer() lets it go on. `number` may be
     * AWAIT_NO_NUMBER. */
    void (*await)(void *opaque, const char *name, int64_t number);
    /* The command has ended; another may be run from here. What the outcome points to lives until this
     * returns. */
    void (*done)(void *opaque, const struct slot_outcome *outcome);
    void *opaque;
};

struct slot;

/* `argv` runs this program so that it calls slot_child() at once; `program` is its path. Starts the
 * child. Strings are copied. */
int slot_open(uv_loop_t *loop, const char *program, const char *const argv[], struct slot **slot,
              struct error *error);
/* Ends what runs (done() is told, SLOT_CANCELLED) and the child; then frees the slot and calls `closed`
 * from the loop. */
void slot_close(struct slot *slot, void (*closed)(void *opaque), void *opaque);

/* Runs a command. Its events come from the loop, never from within this call; done() is the last of them,
 * and never comes when this fails: with -EBUSY while a command runs, -EINVAL, -E2BIG, or because there is
 * no child and none could be started. */
int slot_run(struct slot *slot, const struct slot_command *command,
             const struct slot_events *events, struct error *error);
/* Answers the command's question. Does nothing where it has asked none. */
void slot_answer(struct slot *slot, enum control_answer answer);
/* Ends what runs; its outcome still comes. Does nothing where nothing runs. */
void slot_cancel(struct slot *slot);

bool slot_busy(const struct slot *slot);
/* The child's process; 0 where there is none at the moment. */
int slot_pid(const struct slot *slot);

#endif
