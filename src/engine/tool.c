#include "engine/tool.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum { LONGEST_MS = 120000, MOST_OUTPUT = 16 << 20, MOST_SAID = 8192, PIECE = 65536 };

/* What comes by a pipe: text with a zero behind it, NULL as long as there is none. */
struct gathered {
    uv_pipe_t pipe;
    char *text;
    size_t size, room, most;
};

struct tool {
    uv_process_t process;
    uv_pipe_t input;
    uv_timer_t timer;
    uv_write_t write;
    char *text; /* of the input */
    struct gathered output, said;
    int open; /* handles */
    bool running;
    int status;
    void (*done)(void *opaque, const struct tool_result *result); /* NULL: it was never begun */
    void *opaque;
};

/* ---- Ending -------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct tool *tool = handle->data;
    if (--tool->open > 0)
        return;
    const struct tool_result result = {
        .status = tool->status,
        .output = tool->output.text != NULL ? tool->output.text : "",
        .said = tool->said.text != NULL ? tool->said.text : "",
    };
    if (tool->done != NULL)
        tool->done(tool->opaque, &result);
    free(tool->output.text);
    free(tool->said.text);
    free(tool->text);
    free(tool);
}

static void close_handle(uv_handle_t *handle)
{
    if (!uv_is_closing(handle))
        uv_close(handle, on_closed);
}

static void on_exit_of(uv_process_t *process, int64_t status, int by_signal)
{
    struct tool *tool = process->data;
    tool->status = by_signal != 0 ? 128 + by_signal : (int)status;
    tool->running = false;
    close_handle((uv_handle_t *)process);
    close_handle((uv_handle_t *)&tool->input);
    close_handle((uv_handle_t *)&tool->timer);
}

void tool_kill(struct tool *tool)
{
    if (tool->running)
        kill(-tool->process.pid, SIGKILL);
    close_handle((uv_handle_t *)&tool->output.pipe);
    close_handle((uv_handle_t *)&tool->said.pipe);
}

static void on_timer(uv_timer_t *timer)
{
    tool_kill(timer->data);
}

/* ---- What it prints ------------------------------------------------------------------------ */

static struct gathered *gathered_of(uv_handle_t *pipe)
{
    struct tool *tool = pipe->data;
    return pipe == (uv_handle_t *)&tool->output.pipe ? &tool->output : &tool->said;
}

/* What is beyond the limit goes to the same place again and again. */
static void on_room(uv_handle_t *pipe, size_t wanted, uv_buf_t *buffer)
{
    struct gathered *gathered = gathered_of(pipe);
    *buffer = uv_buf_init(NULL, 0);
    if (gathered->room - gathered->size < PIECE && gathered->room <= gathered->most) {
        size_t room = 2 * gathered->room + PIECE;
        char *text = realloc(gathered->text, room);
        if (text == NULL)
            return;
        gathered->text = text;
        gathered->room = room;
    }
    *buffer = uv_buf_init(gathered->text + gathered->size,
                          (unsigned)(gathered->room - gathered->size - 1));
}

static void on_read(uv_stream_t *pipe, ssize_t got, const uv_buf_t *buffer)
{
    struct gathered *gathered = gathered_of((uv_handle_t *)pipe);
    if (got < 0) {
        close_handle((uv_handle_t *)pipe);
        return;
    }
    gathered->size += (size_t)got;
    if (gathered->size > gathered->most)
        gathered->size = gathered->most;
    gathered->text[gathered->size] = '\0';
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static void on_written(uv_write_t *write, int status)
{
    struct tool *tool = write->data;
    close_handle((uv_handle_t *)&tool->input);
}

static int spawn(struct tool *tool, uv_loop_t *loop, char *const *argv, char *const *env)
{
    uv_stdio_container_t streams[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&tool->input},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&tool->output.pipe},
        {.flags = UV_CREATE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&tool->said.pipe},
    };
    const uv_process_options_t options = {
        .exit_cb = on_exit_of,
        .file = argv[0],
        .args = (char **)argv,
        .env = (char **)env,
        .stdio_count = 3,
        .stdio = streams,
        .flags = UV_PROCESS_DETACHED, /* a terminal's Ctrl-C is for the one who runs it */
    };
    return uv_spawn(loop, &tool->process, &options);
}

static struct tool *tool_new(uv_loop_t *loop, const char *input)
{
    struct tool *tool = calloc(1, sizeof *tool);
    if (tool == NULL || (tool->text = strdup(input != NULL ? input : "")) == NULL) {
        free(tool);
        return NULL;
    }
    tool->output.most = MOST_OUTPUT;
    tool->said.most = MOST_SAID;
    tool->open = 5;
    tool->process.data = tool->input.data = tool->timer.data = tool->write.data = tool;
    tool->output.pipe.data = tool->said.pipe.data = tool;
    uv_pipe_init(loop, &tool->input, 0);
    uv_pipe_init(loop, &tool->output.pipe, 0);
    uv_pipe_init(loop, &tool->said.pipe, 0);
    uv_timer_init(loop, &tool->timer);
    return tool;
}

static void begin(struct tool *tool)
{
    uv_buf_t text = uv_buf_init(tool->text, (unsigned)strlen(tool->text));
    tool->running = true;
    uv_timer_start(&tool->timer, on_timer, LONGEST_MS, 0);
    uv_read_start((uv_stream_t *)&tool->output.pipe, on_room, on_read);
    uv_read_start((uv_stream_t *)&tool->said.pipe, on_room, on_read);
    if (uv_write(&tool->write, (uv_stream_t *)&tool->input, &text, 1, on_written) < 0)
        close_handle((uv_handle_t *)&tool->input);
}

int tool_run(uv_loop_t *loop, char *const *argv, char *const *env, const char *input,
             void (*done)(void *opaque, const struct tool_result *result), void *opaque,
             struct tool **made, struct error *error)
{
    struct tool *tool = tool_new(loop, input);
    if (tool == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = spawn(tool, loop, argv, env);
    if (code < 0) {
        close_handle((uv_handle_t *)&tool->process);
        close_handle((uv_handle_t *)&tool->input);
        close_handle((uv_handle_t *)&tool->timer);
        close_handle((uv_handle_t *)&tool->output.pipe);
        close_handle((uv_handle_t *)&tool->said.pipe);
        return error_set(error, code, "cannot run '%s': %s", argv[0], uv_strerror(code));
    }
    tool->done = done;
    tool->opaque = opaque;
    begin(tool);
    *made = tool;
    return 0;
}
