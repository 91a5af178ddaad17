#include "cli/local.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/build.h"
#include "cli/trace.h"

enum { PROGRESS_MS = 250 };

/* A coordinator that is lost comes again elsewhere, with workers of its own. */
enum { PATIENCE_MS = 10000 };

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

struct local {
    const struct local_options *options;
    char *program, *objects, *journal, *scratch;
    char *keep;  /* absolute, or NULL */
    FILE *trace; /* NULL: none */
    uv_loop_t loop;
    uv_signal_t signal[SIGNALS];
    uv_timer_t timer;
    struct coordinator *coordinator;
    struct coordinator_job *job; /* NULL once it has ended */
    struct error *error;
    int code;
};

/* ---- Signals ------------------------------------------------------------------------------- */

static volatile sig_atomic_t caught;

static void on_caught(int number)
{
    caught = number;
}

/* nohup and its like have a signal ignored: so be it. */
static bool is_ignored(int number)
{
    struct sigaction action;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

void local_catch_signals(void)
{
    const struct sigaction action = {.sa_handler = on_caught};
    for (int i = 0; i < SIGNALS; i++)
        if (!is_ignored(signals[i]))
            sigaction(signals[i], &action, NULL);
}

bool local_interrupted(void)
{
    return caught != 0;
}

/* ---- Folders ------------------------------------------------------------------------------- */

static int make_folder(const char *path, struct error *error)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return 0;
    return error_set(error, -errno, "cannot make the folder %s: %s", path, strerror(errno));
}

static int prepare_keep(struct local *local, struct error *error)
{
    const char *keep = local->options->keep;
    int code = make_folder(keep, error);
    if (code == 0 && (local->keep = realpath(keep, NULL)) == NULL)
        code = error_set(error, -errno, "%s: %s", keep, strerror(errno));
    return code;
}

static int prepare(struct local *local, struct error *error)
{
    const char *folder = local->options->folder->path;
    const char *store = local->options->store;
    int length = store != NULL ? asprintf(&local->objects, "%s", store)
                               : asprintf(&local->objects, "%s/objects", folder);
    if (length < 0)
        local->objects = NULL;
    if (asprintf(&local->journal, "%s/journal", folder) < 0)
        local->journal = NULL;
    if (asprintf(&local->scratch, "%s/scratch", folder) < 0)
        local->scratch = NULL;
    if (local->objects == NULL || local->journal == NULL || local->scratch == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    local_remove_tree(local->scratch); /* of those who were killed here before */
    int code = store == NULL ? make_folder(local->objects, error) : 0;
    if (code == 0)
        code = make_folder(local->scratch, error);
    return code == 0 && local->options->keep != NULL ? prepare_keep(local, error) : code;
}

/* ---- Running ------------------------------------------------------------------------------- */

static void close_handles(struct local *local)
{
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&local->signal[i], NULL);
    uv_close((uv_handle_t *)&local->timer, NULL);
}

static void on_closed(void *opaque)
{
    close_handles(opaque);
}

static void on_ended(void *opaque, const struct error *failure)
{
    struct local *local = opaque;
    if (local->options->spent != NULL)
        *local->options->spent = coordinator_job_cost(local->job);
    local->job = NULL;
    if (failure != NULL)
        *local->error = *failure;
    local->code = failure != NULL ? failure->code : 0;
    coordinator_close(local->coordinator, on_closed, local);
}

static void on_trace(void *opaque, const char *line)
{
    const struct local *local = opaque;
    trace_line(local->trace, line);
}

static void on_note(void *opaque, const char *sentence)
{
    const struct local_options *options = ((struct local *)opaque)->options;
    options->note(options->opaque, sentence);
}

static void tell_progress(const struct local *local)
{
    if (local->job != NULL && local->options->progress != NULL)
        local->options->progress(local->options->opaque, local->job);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct local *local = handle->data;
    tell_progress(local);
    if (local->job != NULL)
        coordinator_job_stop(local->job);
}

static void on_timer(uv_timer_t *timer)
{
    tell_progress(timer->data);
}

static void open_handles(struct local *local)
{
    uv_timer_init(&local->loop, &local->timer);
    local->timer.data = local;
    uv_timer_start(&local->timer, on_timer, PROGRESS_MS, PROGRESS_MS);
    for (int i = 0; i < SIGNALS; i++) {
        uv_signal_init(&local->loop, &local->signal[i]);
        local->signal[i].data = local;
        if (!is_ignored(signals[i]))
            uv_signal_start(&local->signal[i], on_signal, signals[i]);
    }
}

static int open_coordinator(struct local *local, struct error *error)
{
    const struct engine_choice_line *engine = local->options->engine;
    const struct coordinator_options options = {
        .build = build_identity(),
        .program = local->program,
        .choice = engine_choice_of(engine),
        .advertise = {engine->host, engine->port},
        .rendezvous_port = engine->rendezvous_port,
        .scratch = local->scratch,
        .listen = {engine->host != NULL ? NULL : "127.0.0.1", engine->port},
        .patience_ms = PATIENCE_MS,
        .note = local->options->note != NULL ? on_note : NULL,
        .opaque = local,
    };
    return coordinator_open(&local->loop, &options, &local->coordinator, error);
}

static int add_job(struct local *local, struct error *error)
{
    const struct local_options *options = local->options;
    const struct coordinator_job_options job = {
        .job = options->job,
        .digest = options->digest,
        .store = local->objects,
        .journal = local->journal,
        .keep = local->keep,
        .workers = options->workers,
        .spare = options->spare,
        .slots = options->slots,
        .window = options->window,
        .time_ms = options->time_ms,
        .cost = options->cost,
        .trace = local->trace != NULL ? on_trace : NULL,
        .ended = on_ended,
        .opaque = local,
    };
    return coordinator_add(local->coordinator, &job, &local->job, error);
}

static int serve(struct local *local, struct error *error)
{
    local->error = error;
    local->code = uv_loop_init(&local->loop);
    if (local->code < 0)
        return error_set(error, local->code, "cannot start: %s", uv_strerror(local->code));
    open_handles(local);
    local->code = open_coordinator(local, error);
    if (local->code < 0) {
        close_handles(local);
    } else {
        local->code = add_job(local, error);
        if (local->code < 0)
            coordinator_close(local->coordinator, on_closed, local);
        else if (local_interrupted())
            coordinator_job_stop(local->job);
    }
    uv_run(&local->loop, UV_RUN_DEFAULT);
    uv_loop_close(&local->loop);
    return local->code;
}

int local_run(const struct local_options *options, struct error *error)
{
    struct local local = {.options = options};
    /* Whoever goes away is an error like any other. */
    signal(SIGPIPE, SIG_IGN);
    int code = build_program(&local.program, error);
    if (code == 0)
        code = trace_open(options->trace, "we", &local.trace, error);
    if (code == 0)
        code = prepare(&local, error);
    if (code == 0)
        code = serve(&local, error);
    struct error lost;
    if (trace_close(local.trace, options->trace, &lost) < 0 && code == 0) {
        *error = lost;
        code = lost.code;
    }
    if (local.scratch != NULL)
        local_remove_tree(local.scratch);
    free(local.scratch);
    free(local.objects);
    free(local.journal);
    free(local.keep);
    free(local.program);
    return code;
}

int local_digest(const char *text, size_t size, const struct job_choice *choice, int choices,
                 char digest[SHA256_HEX_SIZE], struct error *error)
{
    uint8_t sum[SHA256_SIZE];
    struct sha256 *sha256 = sha256_new();
    int code = sha256 != NULL ? sha256_update(sha256, text, size) : -ENOMEM;
    for (int i = 0; i < choices && code == 0; i++) {
        code = sha256_update(sha256, choice[i].variable, strlen(choice[i].variable) + 1);
        if (code == 0)
            code = sha256_update(sha256, choice[i].value, strlen(choice[i].value) + 1);
    }
    if (code == 0)
        code = sha256_finish(sha256, sum);
    sha256_free(sha256);
    if (code < 0)
        return error_set(error, code, "cannot compute a sum: %s", strerror(-code));
    sha256_hex(sum, digest);
    return 0;
}
