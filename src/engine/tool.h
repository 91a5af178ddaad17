/* A program that is run for what it prints, such as a cluster's own commands: no shell, on the loop. */
#ifndef ENGINE_TOOL_H
#define ENGINE_TOOL_H

#include <uv.h>

#include "util/error.h"

struct tool;

struct tool_result {
    int status;         /* as it exited; 128 and more: by a signal, or it took too long */
    const char *output; /* what it printed, 16 MiB at most */
    const char *said;   /* on standard error, 8 KiB at most */
};

/* Runs `argv` with `input` (which may be NULL) on its standard input and the environment `env` (NULL: this process's),
 * for two minutes at most, and calls `done` when it has ended, where the tool is still valid for the last time. After a failure nothing is called:
 * -ENOENT where there is no such program, -ENOMEM and others. */
int tool_run(uv_loop_t *loop, char *const *argv, char *const *env, const char *input,
             void (*done)(void *opaque, const struct tool_result *result), void *opaque,
             struct tool **tool, struct error *error);
/* Ends it by force; `done` follows. */
void tool_kill(struct tool *tool);

#endif
