#include "encode/pool.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUTPUT_KEPT = 700 }; /* bytes of what a command printed last, to be shown when it fails */

struct pool {
    uv_loop_t *loop;
    const char *folder;
    int workers, running;
    bool stopping;
    struct command *first; /* those that run, linked */
};

struct command {
    struct pool *pool;
    struct command *next, *previous;
    void (*done)(void *opaque, const struct error *failure);
    void *opaque;
    const char *program;
    char *argument[POOL_MOST_ARGUMENTS]; /* owned */
    int tries;
    int open_handles; /* of process and pipe */
    uv_process_t process;
    uv_pipe_t pipe; /* what the command prints to standard error */
    int64_t status;
    int signal;
    char output[OUTPUT_KEPT + 1];
    size_t output_size;
    char piece[4096];
};

int pool_new(uv_loop_t *loop, int workers, const char *folder, struct pool **result,
             struct error *error)
{
    struct pool *pool = calloc(1, sizeof *pool);
    *result = pool;
    if (pool == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    pool->loop = loop;
    pool->workers = workers;
    pool->folder = folder;
    return 0;
}

void pool_free(struct pool *pool)
{
    free(pool);
}

bool pool_has_room(const struct pool *pool)
{
    return pool->running < pool->workers && !pool->stopping;
}

bool pool_idle(const struct pool *pool)
{
    return pool->running == 0;
}

static void free_command(struct command *command)
{
    for (int i = 0; i < POOL_MOST_ARGUMENTS; i++)
        free(command->argument[i]);
    free(command);
}

static void remove_command(struct command *command)
{
    struct pool *pool = command->pool;
    if (command->previous != NULL)
        command->previous->next = command->next;
    else
        pool->first = command->next;
    if (command->next != NULL)
        command->next->previous = command->previous;
    pool->running--;
}

static void allocate_piece(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    (void)suggested;
    struct command *command = handle->data;
    *buffer = uv_buf_init(command->piece, sizeof command->piece);
}

/* Keeps the end of what is printed. */
static void keep_output(struct command *command, const char *data, size_t size)
{
    if (size > OUTPUT_KEPT) {
        data += size - OUTPUT_KEPT;
        size = OUTPUT_KEPT;
    }
    size_t kept = command->output_size;
    if (kept + size > OUTPUT_KEPT) {
        kept = OUTPUT_KEPT - size;
        memmove(command->output, command->output + command->output_size - kept, kept);
    }
    memcpy(command->output + kept, data, size);
    command->output_size = kept + size;
}

static void on_closed(uv_handle_t *handle);

static void on_output(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct command *command = stream->data;
    if (size >= 0)
        keep_output(command, buffer->base, (size_t)size);
    else
        uv_close((uv_handle_t *)stream, on_closed);
}

static void on_ended(uv_process_t *process, int64_t status, int signal)
{
    struct command *command = process->data;
    command->status = status;
    command->signal = signal;
    uv_close((uv_handle_t *)process, on_closed);
}

/* Starts a try. One that cannot be started ends like one that fails: by way of on_closed. */
static void spawn(struct command *command)
{
    struct pool *pool = command->pool;
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE, .data.stream = (uv_stream_t *)&command->pipe},
    };
    uv_process_options_t options = {
        .exit_cb = on_ended,
        .file = command->program,
        .args = command->argument,
        .cwd = pool->folder,
        .stdio_count = 3,
        .stdio = stdio,
    };
    command->tries++;
    command->output_size = 0;
    command->process.data = command;
    command->pipe.data = command;
    uv_pipe_init(pool->loop, &command->pipe, 0);
    command->signal = 0;
    command->status = uv_spawn(pool->loop, &command->process, &options);
    command->open_handles = 2;
    if (command->status < 0) {
        uv_close((uv_handle_t *)&command->pipe, on_closed);
        uv_close((uv_handle_t *)&command->process, on_closed);
        return;
    }
    uv_read_start((uv_stream_t *)&command->pipe, allocate_piece, on_output);
}

/* Why the last try failed. */
static void explain(struct command *command, struct error *failure)
{
    char how[120];
    if (command->status < 0)
        snprintf(how, sizeof how, "could not be started: %s", uv_strerror((int)command->status));
    else if (command->signal != 0)
        snprintf(how, sizeof how, "was ended by signal %d (%s)", command->signal,
                 strsignal(command->signal));
    else
        snprintf(how, sizeof how, "failed with status %d", (int)command->status);
    size_t size = command->output_size;
    while (size > 0 && command->output[size - 1] == '\n')
        size--;
    command->output[size] = '\0';
    error_set(failure, -EIO, "a worker %s, %d times in a row%s%s", how, command->tries,
              size > 0 ? ":\n" : "", command->output);
}

/* Both the process and its pipe are closed: the try is over. */
static void on_closed(uv_handle_t *handle)
{
    struct command *command = handle->data;
    struct pool *pool = command->pool;
    if (--command->open_handles > 0)
        return;
    bool failed = command->status != 0 || command->signal != 0;
    if (failed && !pool->stopping && command->tries < POOL_TRIES) {
        spawn(command);
        return;
    }
    remove_command(command);
    struct error failure;
    if (failed)
        explain(command, &failure);
    command->done(command->opaque, failed ? &failure : NULL);
    free_command(command);
}

static bool copy_arguments(struct command *command, char *const argv[])
{
    for (int i = 0; argv[i] != NULL; i++) {
        if (i == POOL_MOST_ARGUMENTS - 1)
            return false;
        command->argument[i] = strdup(argv[i]);
        if (command->argument[i] == NULL)
            return false;
    }
    return true;
}

int pool_run(struct pool *pool, const char *program, char *const argv[],
             void (*done)(void *opaque, const struct error *failure), void *opaque,
             struct error *error)
{
    struct command *command = calloc(1, sizeof *command);
    if (command == NULL || !copy_arguments(command, argv)) {
        if (command != NULL)
            free_command(command);
        return error_set(error, -ENOMEM, "out of memory");
    }
    command->pool = pool;
    command->program = program;
    command->done = done;
    command->opaque = opaque;
    command->next = pool->first;
    if (command->next != NULL)
        command->next->previous = command;
    pool->first = command;
    pool->running++;
    spawn(command);
    return 0;
}

void pool_stop(struct pool *pool)
{
    pool->stopping = true;
    for (struct command *command = pool->first; command != NULL; command = command->next)
        if (uv_is_active((uv_handle_t *)&command->process))
            uv_process_kill(&command->process, SIGKILL);
}
