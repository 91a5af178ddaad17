#include "mu/coordinator.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"
#include "mu/worker_scratch.h"
#include "net/identity.h"

/* Attempts at an actor by one coordinator: those of the next are numbered behind them. */
enum { ATTEMPTS_EACH = 10000 };

/* For workers to end by themselves when they are dismissed. */
enum { DISMISS_MS = 3000 };

int64_t coordinator_now(const struct coordinator *coordinator)
{
    return (int64_t)uv_now(coordinator->loop);
}

void coordinator_note(struct coordinator *coordinator, const char *format, ...)
{
    char sentence[512];
    va_list arguments;
    if (coordinator->options.note == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    coordinator->options.note(coordinator->options.opaque, sentence);
}

void coordinator_progress(const struct coordinator *coordinator, struct ledger_progress *progress)
{
    ledger_progress(coordinator->ledger, progress);
}

void coordinator_states(const struct coordinator *coordinator, uint32_t *actors)
{
    ledger_states(coordinator->ledger, actors);
}

/* ---- Ending -------------------------------------------------------------------------------- */

static void free_cleanups(struct list_link *list)
{
    while (!list_empty(list)) {
        struct cleanup *cleanup = LIST_ENTRY(list->next, struct cleanup, link);
        list_remove(&cleanup->link);
        free(cleanup);
    }
}

static void release(struct coordinator *coordinator)
{
    crew_free(coordinator);
    free_cleanups(&coordinator->cleanups);
    free_cleanups(&coordinator->safe_cleanups);
    tls_server_free(coordinator->server);
    tls_domain_free(coordinator->domain);
    credentials_release(&coordinator->own);
    certificate_free(coordinator->authority);
    ledger_free(coordinator->ledger);
    free(coordinator->digest);
    free(coordinator->build);
    free(coordinator->scratch);
    free(coordinator->host);
    free(coordinator->store_place);
    free(coordinator->facts);
}

/* Frees it when nothing is left that would call back. */
static void free_when_closed(struct coordinator *coordinator)
{
    if (coordinator->open > 0 || coordinator->operations > 0 || !list_empty(&coordinator->sessions))
        return;
    struct error failure = coordinator->failure;
    struct coordinator_options options = coordinator->options;
    /* What workers that were killed have left. */
    if (coordinator->scratch != NULL)
        worker_scratch_remove_job(coordinator->scratch, coordinator->job);
    release(coordinator);
    free(coordinator);
    if (options.ended != NULL)
        options.ended(options.opaque, failure.code < 0 ? &failure : NULL);
}

static void on_part_closed(void *opaque)
{
    struct coordinator *coordinator = opaque;
    coordinator->open--;
    free_when_closed(coordinator);
}

static void on_tick_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static void close_all(struct coordinator *coordinator)
{
    coordinator->ticking = false;
    rendezvous_free(coordinator->rendezvous);
    coordinator->rendezvous = NULL;
    listener_close(coordinator->listener);
    network_free(coordinator->network);
    journal_close(coordinator->journal);
    coordinator->journal = NULL;
    if (coordinator->store != NULL)
        store_close(coordinator->store, on_part_closed, coordinator);
    if (coordinator->engine != NULL)
        engine_close(coordinator->engine, on_part_closed, coordinator);
    uv_close((uv_handle_t *)&coordinator->tick, on_tick_closed);
}

/* Closes when the store and the journal have called back, and the workers are gone. */
static void end_on(struct coordinator *coordinator)
{
    if (!coordinator->ticking || coordinator->operations > 0)
        return;
    if (crew_count(coordinator) > 0 && uv_now(coordinator->loop) < coordinator->end_at)
        return;
    close_all(coordinator);
}

static void end(struct coordinator *coordinator, const struct error *failure)
{
    if (coordinator->ending)
        return;
    coordinator->ending = true;
    coordinator->end_at = uv_now(coordinator->loop) + DISMISS_MS;
    if (failure != NULL)
        coordinator->failure = *failure;
    sessions_dismiss(coordinator);
}

void coordinator_fail(struct coordinator *coordinator, const struct error *failure)
{
    end(coordinator, failure);
}

void coordinator_stop(struct coordinator *coordinator)
{
    struct error error;
    error_set(&error, -ECANCELED, "interrupted");
    end(coordinator, &error);
}

/* ---- Going on ------------------------------------------------------------------------------ */

void coordinator_go_on(struct coordinator *coordinator)
{
    struct ledger_order order;
    struct error error;
    if (coordinator->ending || !coordinator->ready)
        return;
    while (!coordinator->ending && ledger_order(coordinator->ledger, &order)) {
        order_carry_out(coordinator, &order);
        ledger_order_free(&order);
    }
    enum ledger_result result = ledger_result(coordinator->ledger, &error);
    if (result == LEDGER_FAILED)
        coordinator_fail(coordinator, &error);
    if (result == LEDGER_FINISHED && !coordinator->delivering && !coordinator->ending) {
        coordinator->delivering = true;
        transfer_outputs(coordinator);
    }
    record_sync(coordinator);
    if (coordinator->recorded && coordinator->operations == 0)
        end(coordinator, NULL);
}

void coordinator_operation_ended(struct coordinator *coordinator)
{
    coordinator->operations--;
    coordinator_go_on(coordinator);
}

static void on_tick(uv_timer_t *timer)
{
    struct coordinator *coordinator = timer->data;
    uint64_t now = uv_now(coordinator->loop);
    if (coordinator->ending) {
        end_on(coordinator);
        return;
    }
    sessions_tick(coordinator, now);
    if (coordinator->ready && !coordinator->delivering) {
        crew_tick(coordinator, now);
        ledger_tick(coordinator->ledger, (int64_t)now);
    }
    coordinator_go_on(coordinator);
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static struct tls_domain *lookup(void *opaque, const char *name)
{
    struct coordinator *coordinator = opaque;
    char own[RENDEZVOUS_NAME_SIZE];
    return rendezvous_job_name(own, coordinator->job) && strcmp(own, name) == 0
               ? coordinator->domain
               : NULL;
}

static int copy_options(struct coordinator *coordinator, const struct coordinator_options *options,
                        struct error *error)
{
    const struct ledger_limits limits = {.window = options->window};
    coordinator->options = *options;
    coordinator->digest = strdup(options->digest);
    coordinator->build = strdup(options->build);
    coordinator->scratch = strdup(options->scratch);
    coordinator->host = strdup(options->host);
    coordinator->store_place = strdup(options->store);
    coordinator->ledger = ledger_new(options->job, &limits);
    if (!coordinator->digest || !coordinator->build || !coordinator->scratch ||
        !coordinator->host || !coordinator->store_place || !coordinator->ledger)
        return error_set(error, -ENOMEM, "out of memory");
    return 0;
}

static int open_network(struct coordinator *coordinator, struct error *error)
{
    const struct listener_options listen = {.host = coordinator->host};
    int code = network_new(coordinator->loop, &coordinator->network, error);
    if (code == 0)
        code = tls_server_new(lookup, coordinator, &coordinator->server, error);
    if (code == 0)
        code = listener_open(coordinator->network, coordinator->server, &listen, &session_listener,
                             coordinator, &coordinator->listener, error);
    return code;
}

static int open_rendezvous(struct coordinator *coordinator, struct error *error)
{
    struct credentials credentials;
    int code = crew_rendezvous_keys(coordinator, &credentials, error);
    if (code == 0) {
        const struct rendezvous_options options = {
            .host = coordinator->host, .credentials = credentials, .spill = coordinator->scratch};
        code = rendezvous_new(coordinator->network, &options, &coordinator->rendezvous, error);
    }
    credentials_release(&credentials);
    if (code == 0)
        code = rendezvous_register(coordinator->rendezvous, coordinator->job,
                                   coordinator->authority, error);
    return code;
}

static int open_all(struct coordinator *coordinator, struct error *error)
{
    const struct coordinator_options *options = &coordinator->options;
    const struct engine_events events = {crew_ended, coordinator};
    int code = record_open(coordinator, error);
    if (code == 0)
        code = store_open(coordinator->loop, options->store, &coordinator->store, error);
    coordinator->open += coordinator->store != NULL;
    if (code == 0)
        code = crew_make_keys(coordinator, error);
    if (code == 0)
        code = open_network(coordinator, error);
    if (code == 0)
        code = open_rendezvous(coordinator, error);
    if (code == 0 && options->engine != NULL)
        code = options->engine(options->opaque, coordinator->loop, &events, &coordinator->engine,
                               error);
    else if (code == 0 && options->launch != NULL)
        code = engine_command(coordinator->loop, options->launch, &events, &coordinator->engine,
                              error);
    else if (code == 0)
        code =
            engine_local(coordinator->loop, options->program, &events, &coordinator->engine, error);
    coordinator->open += coordinator->engine != NULL;
    return code;
}

int coordinator_open(uv_loop_t *loop, const struct coordinator_options *options,
                     struct coordinator **made, struct error *error)
{
    struct coordinator *coordinator = calloc(1, sizeof *coordinator);
    if (coordinator == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    coordinator->loop = loop;
    list_init(&coordinator->members);
    list_init(&coordinator->sessions);
    list_init(&coordinator->cleanups);
    list_init(&coordinator->safe_cleanups);
    uv_timer_init(loop, &coordinator->tick);
    coordinator->tick.data = coordinator;
    coordinator->open = 1;
    int code = copy_options(coordinator, options, error);
    if (code == 0)
        code = open_all(coordinator, error);
    if (code < 0) {
        coordinator->options.ended = NULL;
        coordinator->ending = true;
        close_all(coordinator);
        return code;
    }
    ledger_number_attempts(coordinator->ledger, (uint32_t)(coordinator->epoch - 1) * ATTEMPTS_EACH);
    coordinator->ticking = true;
    uv_timer_start(&coordinator->tick, on_tick, COORDINATOR_TICK_MS, COORDINATOR_TICK_MS);
    transfer_inputs(coordinator);
    *made = coordinator;
    return 0;
}
