#include "mu/worker.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/worker_private.h"

/* ---- Its own things ------------------------------------------------------------------------ */

static int no_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

static bool copy_argv(struct worker *worker, const char *const *argv)
{
    size_t count = 0;
    while (argv[count] != NULL)
        count++;
    worker->slot_argv = calloc(count + 1, sizeof *worker->slot_argv);
    for (size_t i = 0; worker->slot_argv != NULL && i < count; i++)
        if ((worker->slot_argv[i] = strdup(argv[i])) == NULL)
            return false;
    return worker->slot_argv != NULL;
}

static int copy_options(struct worker *worker, const struct worker_options *options,
                        struct error *error)
{
    const struct invocation *invocation = options->invocation;
    worker->job = strdup(invocation->job);
    worker->version = strdup(options->version);
    worker->build = strdup(options->build);
    worker->facts = strdup(options->facts);
    worker->program = strdup(options->program);
    worker->keep = invocation->keep != NULL ? strdup(invocation->keep) : NULL;
    worker->coordinator.host = strdup(invocation->coordinator.host);
    worker->coordinator.port = invocation->coordinator.port;
    worker->number = invocation->worker;
    worker->slots = invocation->slots;
    worker->patience_ms = invocation->patience_ms;
    worker->dies_at =
        invocation->life_ms > 0 ? uv_now(worker->loop) + invocation->life_ms : UINT64_MAX;
    memcpy(worker->token, invocation->token, invocation->token_size);
    worker->token_size = invocation->token_size;
    RAND_bytes(worker->instance, sizeof worker->instance); /* without them, two are taken for one */
    if (!copy_argv(worker, options->slot_argv) || !worker->job || !worker->version ||
        !worker->build || !worker->facts || !worker->program || !worker->coordinator.host ||
        (invocation->keep != NULL && !worker->keep))
        return no_memory(error);
    return 0;
}

static void free_argv(char **argv)
{
    for (size_t i = 0; argv != NULL && argv[i] != NULL; i++)
        free(argv[i]);
    free(argv);
}

static void worker_free(struct worker *worker)
{
    worker_scratch_release(&worker->scratch);
    free_argv(worker->slot_argv);
    free(worker->job);
    free(worker->version);
    free(worker->build);
    free(worker->facts);
    free(worker->program);
    free(worker->coordinator.host);
    free(worker->keep);
    explicit_bzero(worker, sizeof *worker);
    free(worker);
}

/* ---- The end ------------------------------------------------------------------------------- */

static void on_tick_closed(uv_handle_t *handle)
{
    struct worker *worker = handle->data;
    void (*ended)(void *, const struct error *) = worker->ended;
    void *opaque = worker->opaque;
    bool failed = worker->failed;
    struct error reason = worker->reason;
    worker_free(worker);
    ended(opaque, failed ? &reason : NULL);
}

static void on_removed(void *opaque, const struct files_result *result)
{
    struct worker *worker = opaque;
    if (result->error.code < 0 && !worker->failed) {
        worker->failed = true;
        worker->reason = result->error;
    }
    messenger_free(worker->messenger);
    network_free(worker->network);
    tls_client_free(worker->tls);
    uv_close((uv_handle_t *)&worker->tick, on_tick_closed);
}

static void on_store_closed(void *opaque)
{
    struct worker *worker = opaque;
    static const struct files_result nothing;
    if (worker_files_remove(worker->loop, AT_FDCWD, worker->scratch.path, on_removed, worker) < 0)
        on_removed(worker, &nothing);
}

static void on_link_store_closed(void *opaque)
{
    struct worker *worker = opaque;
    store_close(worker->store, on_store_closed, worker);
}

void worker_end_on(struct worker *worker)
{
    if (!worker->ending || worker->store_closed || worker->channel != NULL ||
        worker->lane_count > 0 || !list_empty(&worker->attempts))
        return;
    worker->store_closed = true;
    if (worker->link_store != NULL)
        store_close(worker->link_store, on_link_store_closed, worker);
    else
        on_link_store_closed(worker);
}

void worker_end(struct worker *worker, const struct error *reason)
{
    if (worker->ending)
        return;
    worker->ending = true;
    worker->failed = reason != NULL;
    if (reason != NULL)
        worker->reason = *reason;
    for (struct list_link *link = worker->attempts.next, *next; link != &worker->attempts;
         link = next) {
        next = link->next;
        worker_attempt_drop(LIST_ENTRY(link, struct attempt, link));
    }
    worker_run_close_lanes(worker);
    worker_session_close(worker);
    worker_end_on(worker);
}

void worker_stop(struct worker *worker, const char *reason)
{
    struct error error;
    error_set(&error, -ECANCELED, "%s", reason);
    worker_end(worker, &error);
}

/* ---- The beginning ------------------------------------------------------------------------- */

static void tick_attempt(struct attempt *attempt, uint64_t now)
{
    if (attempt->over)
        return;
    worker_attempt_hold(attempt);
    for (struct list_link *link = attempt->activities.next, *next; link != &attempt->activities;
         link = next) {
        next = link->next;
        worker_activity_tick(LIST_ENTRY(link, struct activity, link), now);
    }
    struct activity *current = worker_activity_current(attempt);
    if (current != NULL && current->park != NULL && current->unpark == NULL && !current->cancelled)
        worker_park_tick(current); /* which may free the other one */
    worker_message_tick(attempt, now);
    worker_attempt_release(attempt);
}

static void on_tick(uv_timer_t *timer)
{
    struct worker *worker = timer->data;
    uint64_t now = uv_now(worker->loop);
    worker_session_tick(worker);
    if (worker->ending)
        return;
    for (struct list_link *link = worker->attempts.next, *next; link != &worker->attempts;
         link = next) {
        next = link->next;
        tick_attempt(LIST_ENTRY(link, struct attempt, link), now);
    }
    worker_run_tick(worker);
}

static void on_broken(void *opaque, const struct label *label, const struct error *error)
{
    /* Nothing is lost: the store has a copy, or the attempt's end will say why not. */
}

static int open_messenger(struct worker *worker, const struct invocation *invocation,
                          struct error *error)
{
    static const struct messenger_handlers handlers = {
        .clash = worker_message_clash, .broken = on_broken, .base = worker_base_open};
    struct messenger_target targets[INVOCATION_MOST_RENDEZVOUS];
    for (size_t i = 0; i < invocation->rendezvous_count; i++) {
        targets[i].host = invocation->rendezvous[i].host;
        targets[i].port = invocation->rendezvous[i].port;
    }
    const struct messenger_options options = {
        .job = worker->job,
        .worker = worker->number,
        .build = worker->build,
        .client = worker->tls,
        .targets = targets,
        .count = invocation->rendezvous_count,
        .folder = worker->scratch.path,
        .handlers = &handlers,
        .opaque = worker,
    };
    return messenger_new(worker->network, &options, &worker->messenger, error);
}

static int open_parts(struct worker *worker, const struct invocation *invocation,
                      struct error *error)
{
    const struct store_lender lender = {worker_session_sign, worker};
    int code = worker_scratch_make(invocation->scratch, worker->job, worker->number,
                                   &worker->scratch, error);
    if (code == 0)
        code = tls_client_new(&invocation->credentials, &worker->tls, error);
    if (code == 0)
        code = network_new(worker->loop, &worker->network, error);
    if (code == 0)
        code = open_messenger(worker, invocation, error);
    if (code == 0)
        code = store_open_lent(worker->loop, invocation->store, &lender, &worker->store, error);
    return code;
}

static void close_parts(struct worker *worker)
{
    messenger_free(worker->messenger);
    if (worker->network != NULL)
        network_free(worker->network);
    tls_client_free(worker->tls);
    if (worker->scratch.path != NULL)
        worker_files_remove_now(AT_FDCWD, worker->scratch.path);
    worker_free(worker);
}

static struct worker *worker_new(uv_loop_t *loop)
{
    struct worker *worker = calloc(1, sizeof *worker);
    if (worker == NULL)
        return NULL;
    worker->loop = loop;
    worker->scratch.folder = -1;
    worker->opened_at = worker->lost_at = worker->dial_at = uv_now(loop);
    worker->pause_ms = 100;
    list_init(&worker->attempts);
    list_init(&worker->lanes);
    list_init(&worker->runs);
    return worker;
}

int worker_open(uv_loop_t *loop, const struct worker_options *options,
                void (*ended)(void *opaque, const struct error *reason), void *opaque,
                struct worker **result, struct error *error)
{
    *result = NULL;
    if (strcmp(options->build, options->invocation->build) != 0)
        return error_set(error, -EINVAL,
                         "the coordinator wants workers of build %.40s, this program is %.40s",
                         options->invocation->build, options->build);
    struct worker *worker = worker_new(loop);
    if (worker == NULL)
        return no_memory(error);
    worker->ended = ended;
    worker->opaque = opaque;
    int code = copy_options(worker, options, error);
    if (code == 0)
        code = open_parts(worker, options->invocation, error);
    if (code < 0) {
        close_parts(worker);
        return code;
    }
    uv_timer_init(loop, &worker->tick);
    worker->tick.data = worker;
    worker_scratch_sweep(loop, &worker->scratch);
    uv_timer_start(&worker->tick, on_tick, 0, WORKER_TICK_MS);
    *result = worker;
    return 0;
}
