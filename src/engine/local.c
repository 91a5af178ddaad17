/* Workers as processes of this machine, told by their standard input. */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "net/list.h"

struct local {
    struct engine engine;
    uv_loop_t *loop;
    char *program;
    struct engine_events events;
    struct list_link children;
    void (*closed)(void *opaque); /* NULL unless it is being closed */
    void *closed_opaque;
    uv_async_t last; /* tells of its end */
};

struct child {
    struct local *local;
    struct list_link link;
    uint32_t worker;
    uv_process_t process;
    uv_pipe_t input;
    uv_write_t write;
    char *document;
    int handles; /* not closed yet */
    bool running;
};

static void on_local_closed(uv_handle_t *handle)
{
    struct local *local = handle->data;
    void (*closed)(void *opaque) = local->closed;
    void *opaque = local->closed_opaque;
    free(local->program);
    free(local);
    closed(opaque);
}

static void close_if_empty(struct local *local)
{
    if (local->closed != NULL && list_empty(&local->children) &&
        !uv_is_closing((uv_handle_t *)&local->last))
        uv_close((uv_handle_t *)&local->last, on_local_closed);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    struct local *local = child->local;
    if (--child->handles > 0)
        return;
    list_remove(&child->link);
    if (child->document != NULL)
        explicit_bzero(child->document, strlen(child->document));
    free(child->document);
    free(child);
    close_if_empty(local);
}

static void close_input(struct child *child)
{
    if (!uv_is_closing((uv_handle_t *)&child->input))
        uv_close((uv_handle_t *)&child->input, on_handle_closed);
}

static void on_exit_of(uv_process_t *process, int64_t status, int by_signal)
{
    struct child *child = process->data;
    struct local *local = child->local;
    uint32_t worker = child->worker;
    char how[64];
    if (by_signal != 0)
        snprintf(how, sizeof how, "ended by signal %d", by_signal);
    else
        snprintf(how, sizeof how, "ended with status %d", (int)status);
    child->running = false;
    uv_close((uv_handle_t *)process, on_handle_closed);
    close_input(child);
    if (local->closed == NULL)
        local->events.ended(local->events.opaque, worker, how);
}

static void on_written(uv_write_t *write, int status)
{
    close_input(write->data);
}

static int spawn(struct child *child, struct error *error)
{
    struct local *local = child->local;
    const char *path = getenv("PATH"), *home = getenv("HOME");
    char path_text[4096], home_text[4096];
    snprintf(path_text, sizeof path_text, "PATH=%s", path ? path : "/usr/bin:/bin");
    snprintf(home_text, sizeof home_text, "HOME=%s", home ? home : "/");
    char *environment[] = {path_text, home_text, NULL};
    char *arguments[] = {local->program, "worker", "--invocation", "-", NULL};
    uv_stdio_container_t streams[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&child->input},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_of,
        .file = local->program,
        .args = arguments,
        .env = environment,
        .stdio_count = 3,
        .stdio = streams,
        .flags = UV_PROCESS_DETACHED, /* a terminal's Ctrl-C is for the coordinator */
    };
    int code = uv_spawn(local->loop, &child->process, &options);
    if (code < 0)
        return error_set(error, code, "cannot start a worker: %s", uv_strerror(code));
    return 0;
}

static int local_start(struct engine *engine, uint32_t worker, const char *document,
                       struct error *error)
{
    struct local *local = (struct local *)engine;
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL || (child->document = strdup(document)) == NULL) {
        free(child);
        return error_set(error, -ENOMEM, "out of memory");
    }
    child->local = local;
    child->worker = worker;
    child->handles = 2;
    child->process.data = child->input.data = child->write.data = child;
    list_append(&local->children, &child->link);
    uv_pipe_init(local->loop, &child->input, 0);
    int code = spawn(child, error);
    if (code < 0) {
        uv_close((uv_handle_t *)&child->process, on_handle_closed);
        close_input(child);
        return code;
    }
    child->running = true;
    uv_buf_t text = uv_buf_init(child->document, (unsigned)strlen(child->document));
    if (uv_write(&child->write, (uv_stream_t *)&child->input, &text, 1, on_written) < 0)
        close_input(child);
    return 0;
}

static void local_stop(struct engine *engine)
{
    struct local *local = (struct local *)engine;
    struct list_link *head = &local->children;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct child *child = LIST_ENTRY(link, struct child, link);
        if (child->running)
            uv_process_kill(&child->process, SIGKILL);
    }
}

static void local_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    struct local *local = (struct local *)engine;
    local_stop(engine);
    local->closed = closed;
    local->closed_opaque = opaque;
    close_if_empty(local);
}

static void on_async(uv_async_t *async)
{
}

int engine_local(uv_loop_t *loop, const char *program, const struct engine_events *events,
                 struct engine **engine, struct error *error)
{
    struct local *local = calloc(1, sizeof *local);
    if (local == NULL || (local->program = strdup(program)) == NULL) {
        free(local);
        return error_set(error, -ENOMEM, "out of memory");
    }
    int code = uv_async_init(loop, &local->last, on_async);
    if (code < 0) {
        free(local->program);
        free(local);
        return error_set(error, code, "cannot start workers: %s", uv_strerror(code));
    }
    local->engine = (struct engine){local_start, local_stop, local_close};
    local->loop = loop;
    local->events = *events;
    local->last.data = local;
    list_init(&local->children);
    *engine = &local->engine;
    return 0;
}
