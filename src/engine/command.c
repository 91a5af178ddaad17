/* Workers as processes of this machine, told by their standard input: this program, or a command of the
 * user's that brings the document to a worker elsewhere. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/kind.h"
#include "engine/words.h"
#include "net/list.h"

enum { MOST_HOSTS = 4096, MOST_PER_HOST = 4096 };

struct host {
    char *name;
    int running;
};

struct command {
    struct engine engine;
    uv_loop_t *loop;
    char **argv;       /* with places in it, see fill() */
    char run[16];      /* a word that tells this engine's workers from those of others */
    bool scrubbed;     /* nothing of this process's environment but what programs are found by */
    struct host *host; /* [hosts] */
    int hosts;         /* 0: the command names none */
    int last;          /* of these, that was taken last */
    int per_host;      /* workers at once; 0: no limit */
    struct engine_events events;
    struct list_link children, queue; /* queue: those that wait for a host */
    void (*closed)(void *opaque);     /* NULL unless it is being closed */
    void *closed_opaque;
    uv_async_t later; /* for what must not come from inside a call, its own end too */
};

/* Waits in the queue, then runs. */
struct child {
    struct command *command;
    struct list_link link;
    uint32_t worker;
    struct host *host; /* that it runs on; or NULL */
    uv_process_t process;
    uv_pipe_t input;
    uv_write_t write;
    char *document;
    int handles; /* not closed yet */
    bool running;
};

/* ---- Hosts --------------------------------------------------------------------------------- */

/* The one with the fewest workers, in turns; NULL where none has room. */
static struct host *choose_host(struct command *command)
{
    struct host *best = NULL;
    for (int i = 1; i <= command->hosts; i++) {
        struct host *host = &command->host[(command->last + i) % command->hosts];
        if ((command->per_host == 0 || host->running < command->per_host) &&
            (best == NULL || host->running < best->running))
            best = host;
    }
    return best;
}

static void free_hosts(struct command *command)
{
    for (int i = 0; i < command->hosts; i++)
        free(command->host[i].name);
    free(command->host);
}

static int read_hosts(struct command *command, const char *list, struct error *error)
{
    size_t length;
    command->host = calloc(strlen(list) / 2 + 1, sizeof *command->host);
    if (command->host == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    for (const char *name; (name = engine_option_next(&list, &length)) != NULL;) {
        if (command->hosts == MOST_HOSTS)
            return error_set(error, -EINVAL, "at most %d hosts", MOST_HOSTS);
        if ((command->host[command->hosts++].name = strndup(name, length)) == NULL)
            return error_set(error, -ENOMEM, "out of memory");
    }
    command->last = command->hosts - 1;
    return 0;
}

/* ---- Ending -------------------------------------------------------------------------------- */

static void free_command(struct command *command)
{
    words_free(command->argv);
    free_hosts(command);
    free(command);
}

static void on_command_closed(uv_handle_t *handle)
{
    struct command *command = handle->data;
    void (*closed)(void *opaque) = command->closed;
    void *opaque = command->closed_opaque;
    free_command(command);
    closed(opaque);
}

static void close_if_empty(struct command *command)
{
    if (command->closed != NULL && list_empty(&command->children) &&
        !uv_is_closing((uv_handle_t *)&command->later))
        uv_close((uv_handle_t *)&command->later, on_command_closed);
}

static void free_child(struct child *child)
{
    list_remove(&child->link);
    if (child->document != NULL)
        explicit_bzero(child->document, strlen(child->document));
    free(child->document);
    free(child);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    struct command *command = child->command;
    if (--child->handles > 0)
        return;
    free_child(child);
    close_if_empty(command);
}

static void close_input(struct child *child)
{
    if (!uv_is_closing((uv_handle_t *)&child->input))
        uv_close((uv_handle_t *)&child->input, on_handle_closed);
}

static void leave_host(struct child *child)
{
    if (child->host == NULL)
        return;
    child->host->running--;
    child->host = NULL;
    if (!list_empty(&child->command->queue))
        uv_async_send(&child->command->later);
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
    leave_host(child);
    uv_close((uv_handle_t *)process, on_handle_closed);
    close_input(child);
    if (command->closed == NULL)
        command->events.ended(command->events.opaque, worker, how);
}

static void on_written(uv_write_t *write, int status)
{
    struct child *child = write->data;
    struct command *command = child->command;
    close_input(child);
    if (status == 0 && child->running && command->closed == NULL)
        command->events.started(command->events.opaque, child->worker);
}

/* ---- Starting ------------------------------------------------------------------------------ */

/* What programs are found by, and services that they are given URLs of: all that a scrubbed environment has. */
enum { KEPT = 8, KEPT_SIZE = 4096 };

static void scrub(char texts[KEPT][KEPT_SIZE], char *scrubbed[KEPT + 1])
{
    static const struct {
        const char *name, *otherwise; /* NULL: it is left out */
    } kept[KEPT] = {{"PATH", "/usr/bin:/bin"}, {"HOME", "/"},           {"AWS_CA_BUNDLE", NULL},
                    {"CURL_CA_BUNDLE", NULL},  {"SSL_CERT_FILE", NULL}, {"http_proxy", NULL},
                    {"https_proxy", NULL},     {"no_proxy", NULL}};
    size_t count = 0;
    for (size_t i = 0; i < KEPT; i++) {
        const char *value = getenv(kept[i].name);
        if (value == NULL)
            value = kept[i].otherwise;
        if (value == NULL)
            continue;
        snprintf(texts[count], KEPT_SIZE, "%s=%s", kept[i].name, value);
        scrubbed[count] = texts[count];
        count++;
    }
    scrubbed[count] = NULL;
}

static int spawn(struct child *child, char **argv, struct error *error)
{
    struct command *command = child->command;
    char texts[KEPT][KEPT_SIZE], *scrubbed[KEPT + 1];
    scrub(texts, scrubbed);
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

/* The command line of a worker, to be freed. NULL when out of memory. */
static char **fill(const struct child *child)
{
    char number[16];
    snprintf(number, sizeof number, "%" PRIu32, child->worker);
    const struct words_place places[] = {
        {"{worker}", number},
        {"{run}", child->command->run},
        {"{host}", child->host != NULL ? child->host->name : ""},
        {NULL, NULL},
    };
    return words_fill(child->command->argv, places);
}

/* Starts one that is in no list; it is freed where that fails, in the loop. */
static int begin(struct child *child, struct error *error)
{
    struct command *command = child->command;
    char **argv = fill(child);
    child->handles = 2;
    child->process.data = child->input.data = child->write.data = child;
    list_append(&command->children, &child->link);
    uv_pipe_init(command->loop, &child->input, 0);
    int code =
        argv != NULL ? spawn(child, argv, error) : error_set(error, -ENOMEM, "out of memory");
    words_free(argv);
    if (code < 0) {
        if (argv != NULL)
            uv_close((uv_handle_t *)&child->process, on_handle_closed);
        else
            child->handles--;
        close_input(child);
        return code;
    }
    child->running = true;
    if (child->host != NULL)
        child->host->running++;
    uv_buf_t text = uv_buf_init(child->document, (unsigned)strlen(child->document));
    if (uv_write(&child->write, (uv_stream_t *)&child->input, &text, 1, on_written) < 0)
        close_input(child);
    return 0;
}

/* In no list yet. NULL when out of memory. */
static struct child *child_new(struct command *command, uint32_t worker, const char *document)
{
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL || (child->document = strdup(document)) == NULL) {
        free(child);
        return NULL;
    }
    child->command = command;
    child->worker = worker;
    list_init(&child->link);
    return child;
}

/* Takes a host, if the command names one. False where it must wait. */
static bool take_host(struct child *child)
{
    struct command *command = child->command;
    if (command->hosts == 0)
        return true;
    child->host = choose_host(command);
    if (child->host != NULL)
        command->last = (int)(child->host - command->host);
    return child->host != NULL;
}

static int command_start(struct engine *engine, uint32_t worker, const char *document,
                         struct error *error)
{
    struct command *command = (struct command *)engine;
    struct child *child = child_new(command, worker, document);
    if (child == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    if (list_empty(&command->queue) && take_host(child))
        return begin(child, error);
    list_append(&command->queue, &child->link);
    return 0;
}

static void tell_ended(struct command *command, uint32_t worker, const char *how)
{
    if (command->closed == NULL)
        command->events.ended(command->events.opaque, worker, how);
}

/* Starts those that waited for a host, as long as there is one. */
static void on_later(uv_async_t *async)
{
    struct command *command = async->data;
    while (!list_empty(&command->queue)) {
        struct child *child = LIST_ENTRY(command->queue.next, struct child, link);
        uint32_t worker = child->worker;
        struct error error;
        if (!take_host(child))
            return;
        list_remove(&child->link);
        if (begin(child, &error) < 0)
            tell_ended(command, worker, error.message);
    }
}

/* ---- Killing ------------------------------------------------------------------------------- */

/* With what it may have started: each is a session of its own. */
static void kill_child(const struct child *child)
{
    if (child->running)
        kill(-child->process.pid, SIGKILL);
}

static void command_kill(struct engine *engine, uint32_t worker)
{
    struct command *command = (struct command *)engine;
    struct list_link *head = &command->children, *next;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct child *child = LIST_ENTRY(link, struct child, link);
        if (child->worker == worker)
            kill_child(child);
    }
    head = &command->queue;
    for (struct list_link *link = head->next; link != head; link = next) {
        struct child *child = LIST_ENTRY(link, struct child, link);
        next = link->next;
        if (child->worker == worker)
            free_child(child);
    }
}

static void command_stop(struct engine *engine)
{
    struct command *command = (struct command *)engine;
    struct list_link *head = &command->children;
    for (struct list_link *link = head->next; link != head; link = link->next)
        kill_child(LIST_ENTRY(link, struct child, link));
    while (!list_empty(&command->queue))
        free_child(LIST_ENTRY(command->queue.next, struct child, link));
}

static void command_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    struct command *command = (struct command *)engine;
    command_stop(engine);
    command->closed = closed;
    command->closed_opaque = opaque;
    close_if_empty(command);
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static const struct engine functions = {
    .start = command_start, .kill = command_kill, .stop = command_stop, .close = command_close};

/* Takes `argv` over, also where it fails. */
static int command_new(uv_loop_t *loop, char **argv, const struct engine_events *events,
                       struct command **made, struct error *error)
{
    struct command *command = calloc(1, sizeof *command);
    int code = command != NULL ? uv_async_init(loop, &command->later, on_later) : UV_ENOMEM;
    if (code < 0) {
        words_free(argv);
        free(command);
        return error_set(error, code, "cannot start workers: %s", uv_strerror(code));
    }
    command->engine = functions;
    command->loop = loop;
    command->argv = argv;
    command->events = *events;
    command->later.data = command;
    list_init(&command->children);
    list_init(&command->queue);
    *made = command;
    return 0;
}

static int open_local(uv_loop_t *loop, const struct engine_choice *choice, const char *program,
                      const struct engine_events *events, struct engine **engine,
                      struct error *error)
{
    char *const words[] = {(char *)program, (char *)"worker", (char *)"--invocation", (char *)"-",
                           NULL};
    static const struct words_place none[] = {{NULL, NULL}};
    struct command *command = NULL;
    char **argv = words_fill(words, none);
    if (argv == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = command_new(loop, argv, events, &command, error);
    if (code < 0)
        return code;
    command->scrubbed = true;
    command->engine.limits.same_machine = true;
    *engine = &command->engine;
    return 0;
}

static int check_places(const struct command *command, struct error *error)
{
    bool named = words_have(command->argv, "{host}");
    if (named && command->hosts == 0)
        return error_set(error, -EINVAL,
                         "the command has {host} in it: the engine's option hosts must say which");
    if (!named && command->hosts > 0)
        return error_set(error, -EINVAL,
                         "the engine's option hosts is for a command with {host} in it");
    return 0;
}

static int read_options(struct command *command, const struct engine_choice *choice,
                        struct error *error)
{
    int64_t per_host = 0;
    const char *hosts = engine_option(choice, "hosts");
    int code = hosts != NULL ? read_hosts(command, hosts, error) : 0;
    if (code == 0)
        code = engine_option_integer(choice, "per_host", 1, MOST_PER_HOST, &per_host, error);
    if (code == 0)
        code = check_places(command, error);
    command->per_host = (int)per_host;
    command->engine.limits.workers = command->hosts * command->per_host;
    return code;
}

static int name_run(struct command *command, struct error *error)
{
    uint32_t number;
    int code = uv_random(NULL, NULL, &number, sizeof number, 0, NULL);
    if (code < 0)
        return error_set(error, code, "no random numbers: %s", uv_strerror(code));
    snprintf(command->run, sizeof command->run, "%08" PRIx32, number);
    return 0;
}

static void on_failed(void *opaque)
{
}

static int open_command(uv_loop_t *loop, const struct engine_choice *choice, const char *program,
                        const struct engine_events *events, struct engine **engine,
                        struct error *error)
{
    const char *text = engine_option(choice, "command");
    struct command *command = NULL;
    char **argv = NULL;
    if (text == NULL)
        return error_set(error, -EINVAL,
                         "the engine command needs its option command, as in "
                         "'command=ssh host excamera worker --invocation -'");
    int code = words_split("the command that starts workers", text, &argv, error);
    if (code == 0)
        code = command_new(loop, argv, events, &command, error);
    if (code < 0)
        return code;
    code = read_options(command, choice, error);
    if (code == 0)
        code = name_run(command, error);
    if (code < 0)
        command_close(&command->engine, on_failed, NULL);
    else
        *engine = &command->engine;
    return code;
}

static const char *const no_keys[] = {NULL};
static const char *const command_keys[] = {"command", "hosts", "per_host", NULL};
const struct engine_kind engine_local_kind = {"local", no_keys, open_local};
const struct engine_kind engine_command_kind = {"command", command_keys, open_command};
