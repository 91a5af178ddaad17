/* Workers as processes of this machine, told by their standard input: this program, or a command of the
 * user's that brings the document to a worker elsewhere. */
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "net/list.h"

struct command {
    struct engine engine;
    uv_loop_t *loop;
    char **argv;   /* "{worker}" in it stands for a worker's number */
    bool scrubbed; /* nothing of this process's environment but what programs are found by */
    struct engine_events events;
    struct list_link children;
    void (*closed)(void *opaque); /* NULL unless it is being closed */
    void *closed_opaque;
    uv_async_t last; /* tells of its end */
};

struct child {
    struct command *command;
    struct list_link link;
    uint32_t worker;
    uv_process_t process;
    uv_pipe_t input;
    uv_write_t write;
    char *document;
    int handles; /* not closed yet */
    bool running;
};

/* ---- Words --------------------------------------------------------------------------------- */

static void free_words(char **words)
{
    for (char **word = words; word != NULL && *word != NULL; word++)
        free(*word);
    free(words);
}

/* Reads one word at `*text`, which is not blank, and goes behind it. NULL when out of memory; `*open` where a
 * quote has no end. */
static char *read_word(const char **text, bool *open)
{
    char *word = malloc(strlen(*text) + 1), quote = '\0';
    size_t length = 0;
    if (word == NULL)
        return NULL;
    for (; **text != '\0' && (quote != '\0' || !isspace((unsigned char)**text)); ++*text) {
        if (quote != '\0' ? **text == quote : **text == '\'' || **text == '"')
            quote = quote != '\0' ? '\0' : **text;
        else
            word[length++] = **text;
    }
    word[length] = '\0';
    *open = quote != '\0';
    return word;
}

static int split_words(const char *text, char ***split, struct error *error)
{
    bool open = false;
    size_t count = 0;
    char **words = calloc(strlen(text) / 2 + 2, sizeof *words);
    if (words == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    for (;;) {
        while (isspace((unsigned char)*text))
            text++;
        if (*text == '\0')
            break;
        if ((words[count++] = read_word(&text, &open)) == NULL) {
            free_words(words);
            return error_set(error, -ENOMEM, "out of memory");
        }
    }
    if (open || count == 0) {
        free_words(words);
        return error_set(error, -EINVAL, "the command that launches workers %s",
                         open ? "has a quote without its end" : "is empty");
    }
    *split = words;
    return 0;
}

/* `word` with the worker's number in it; to be freed. */
static char *fill_word(const char *word, uint32_t worker)
{
    static const char place[] = "{worker}";
    char number[16], *filled;
    size_t length = (size_t)snprintf(number, sizeof number, "%" PRIu32, worker), count = 0;
    for (const char *at = word; (at = strstr(at, place)) != NULL; at += sizeof place - 1)
        count++;
    if ((filled = malloc(strlen(word) + count * length + 1)) == NULL)
        return NULL;
    char *to = filled;
    for (const char *at; (at = strstr(word, place)) != NULL; word = at + sizeof place - 1) {
        to = mempcpy(to, word, (size_t)(at - word));
        to = mempcpy(to, number, length);
    }
    strcpy(to, word);
    return filled;
}

static char **fill_words(char **words, uint32_t worker)
{
    size_t count = 0;
    while (words[count] != NULL)
        count++;
    char **filled = calloc(count + 1, sizeof *filled);
    for (size_t i = 0; filled != NULL && i < count; i++) {
        if ((filled[i] = fill_word(words[i], worker)) == NULL) {
            free_words(filled);
            return NULL;
        }
    }
    return filled;
}

/* ---- Ending -------------------------------------------------------------------------------- */

static void on_command_closed(uv_handle_t *handle)
{
    struct command *command = handle->data;
    void (*closed)(void *opaque) = command->closed;
    void *opaque = command->closed_opaque;
    free_words(command->argv);
    free(command);
    closed(opaque);
}

static void close_if_empty(struct command *command)
{
    if (command->closed != NULL && list_empty(&command->children) &&
        !uv_is_closing((uv_handle_t *)&command->last))
        uv_close((uv_handle_t *)&command->last, on_command_closed);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    struct command *command = child->command;
    if (--child->handles > 0)
        return;
    list_remove(&child->link);
    if (child->document != NULL)
        explicit_bzero(child->document, strlen(child->document));
    free(child->document);
    free(child);
    close_if_empty(command);
}

static void close_input(struct child *child)
{
    if (!uv_is_closing((uv_handle_t *)&child->input))
        uv_close((uv_handle_t *)&child->input, on_handle_closed);
}

static void on_exit_of(uv_process_t *process, int64_t status, int by_signal)
{
    struct child *child = process->data;
    struct command *command = child->command;
    uint32_t worker = child->worker;
    char how[64];
    if (by_signal != 0)
        snprintf(how, sizeof how, "ended by signal %d", by_signal);
    else
        snprintf(how, sizeof how, "ended with status %d", (int)status);
    child->running = false;
    uv_close((uv_handle_t *)process, on_handle_closed);
    close_input(child);
    if (command->closed == NULL)
        command->events.ended(command->events.opaque, worker, how);
}

static void on_written(uv_write_t *write, int status)
{
    close_input(write->data);
}

/* ---- Starting ------------------------------------------------------------------------------ */

static int spawn(struct child *child, char **argv, struct error *error)
{
    struct command *command = child->command;
    const char *path = getenv("PATH"), *home = getenv("HOME");
    char path_text[4096], home_text[4096];
    snprintf(path_text, sizeof path_text, "PATH=%s", path ? path : "/usr/bin:/bin");
    snprintf(home_text, sizeof home_text, "HOME=%s", home ? home : "/");
    char *scrubbed[] = {path_text, home_text, NULL};
    uv_stdio_container_t streams[3] = {
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE, .data.stream = (uv_stream_t *)&child->input},
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    uv_process_options_t options = {
        .exit_cb = on_exit_of,
        .file = argv[0],
        .args = argv,
        .env = command->scrubbed ? scrubbed : NULL,
        .stdio_count = 3,
        .stdio = streams,
        .flags = UV_PROCESS_DETACHED, /* a terminal's Ctrl-C is for the coordinator */
    };
    int code = uv_spawn(command->loop, &child->process, &options);
    if (code < 0)
        return error_set(error, code, "cannot start a worker by '%s': %s", argv[0],
                         uv_strerror(code));
    return 0;
}

/* A child that is in its command's list, with its argv in `*argv`. NULL when out of memory. */
static struct child *child_new(struct command *command, uint32_t worker, const char *document,
                               char ***argv)
{
    struct child *child = calloc(1, sizeof *child);
    *argv = fill_words(command->argv, worker);
    if (child == NULL || *argv == NULL || (child->document = strdup(document)) == NULL) {
        free_words(*argv);
        free(child);
        return NULL;
    }
    child->command = command;
    child->worker = worker;
    child->handles = 2;
    child->process.data = child->input.data = child->write.data = child;
    list_append(&command->children, &child->link);
    uv_pipe_init(command->loop, &child->input, 0);
    return child;
}

static int command_start(struct engine *engine, uint32_t worker, const char *document,
                         struct error *error)
{
    char **argv;
    struct child *child = child_new((struct command *)engine, worker, document, &argv);
    if (child == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = spawn(child, argv, error);
    free_words(argv);
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

/* With what it may have started: each is a session of its own. */
static void kill_child(const struct child *child)
{
    if (child->running)
        kill(-child->process.pid, SIGKILL);
}

static void command_kill(struct engine *engine, uint32_t worker)
{
    struct command *command = (struct command *)engine;
    struct list_link *head = &command->children;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct child *child = LIST_ENTRY(link, struct child, link);
        if (child->worker == worker)
            kill_child(child);
    }
}

static void command_stop(struct engine *engine)
{
    struct command *command = (struct command *)engine;
    struct list_link *head = &command->children;
    for (struct list_link *link = head->next; link != head; link = link->next)
        kill_child(LIST_ENTRY(link, struct child, link));
}

static void command_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    struct command *command = (struct command *)engine;
    command_stop(engine);
    command->closed = closed;
    command->closed_opaque = opaque;
    close_if_empty(command);
}

static void on_async(uv_async_t *async)
{
}

/* ---- Beginning ----------------------------------------------------------------------------- */

/* Takes `argv` over, also where it fails. */
static int command_new(uv_loop_t *loop, char **argv, const struct engine_events *events,
                       struct command **made, struct error *error)
{
    struct command *command = calloc(1, sizeof *command);
    int code = command != NULL ? uv_async_init(loop, &command->last, on_async) : UV_ENOMEM;
    if (code < 0) {
        free_words(argv);
        free(command);
        return error_set(error, code, "cannot start workers: %s", uv_strerror(code));
    }
    command->engine = (struct engine){command_start, command_kill, command_stop, command_close};
    command->loop = loop;
    command->argv = argv;
    command->events = *events;
    command->last.data = command;
    list_init(&command->children);
    *made = command;
    return 0;
}

int engine_local(uv_loop_t *loop, const char *program, const struct engine_events *events,
                 struct engine **engine, struct error *error)
{
    const char *const words[] = {program, "worker", "--invocation", "-"};
    enum { COUNT = sizeof words / sizeof *words };
    struct command *command;
    char **argv = calloc(COUNT + 1, sizeof *argv);
    for (int i = 0; argv != NULL && i < COUNT; i++) {
        if ((argv[i] = strdup(words[i])) == NULL) {
            free_words(argv);
            argv = NULL;
        }
    }
    if (argv == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = command_new(loop, argv, events, &command, error);
    if (code < 0)
        return code;
    command->scrubbed = true;
    *engine = &command->engine;
    return 0;
}

int engine_command(uv_loop_t *loop, const char *text, const struct engine_events *events,
                   struct engine **engine, struct error *error)
{
    struct command *command;
    char **argv = NULL;
    int code = split_words(text, &argv, error);
    if (code == 0)
        code = command_new(loop, argv, events, &command, error);
    if (code == 0)
        *engine = &command->engine;
    return code;
}
