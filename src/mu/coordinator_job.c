/* A job's life: begun or gone on with, driven by its ledger, ended. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"
#include "mu/delivery.h"
#include "mu/worker_scratch.h"

/* Attempts at an actor by one coordinator: those of the next are numbered behind them. */
enum { ATTEMPTS_EACH = 10000 };

/* For workers to end by themselves when they are dismissed. */
enum { DISMISS_MS = 3000 };

/* How often the journal is told what a job with a limit has taken. */
enum { SPENT_MS = 5000 };

int64_t coordinator_job_now(const struct coordinator_job *job)
{
    return (int64_t)uv_now(job->coordinator->loop);
}

void coordinator_job_progress(const struct coordinator_job *job, struct ledger_progress *progress)
{
    ledger_progress(job->ledger, progress);
}

void coordinator_job_states(const struct coordinator_job *job, uint32_t *actors)
{
    ledger_states(job->ledger, actors);
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

static void release(struct coordinator_job *job)
{
    list_remove(&job->link);
    free_cleanups(&job->cleanups);
    free_cleanups(&job->safe_cleanups);
    tls_domain_free(job->domain);
    certificate_free(job->authority);
    ledger_free(job->ledger);
    free(job->facts);
    arena_free(&job->texts);
    free(job);
}

static void on_closed(void *opaque)
{
    struct coordinator_job *job = opaque;
    struct coordinator *coordinator = job->coordinator;
    /* What workers that were killed have left. */
    worker_scratch_remove_job(coordinator->options.scratch, job->name);
    if (job->options.ended != NULL)
        job->options.ended(job->options.opaque, job->failure.code < 0 ? &job->failure : NULL);
    release(job);
    coordinator_go_on(coordinator);
}

static void close_job(struct coordinator_job *job)
{
    job->closing = true;
    crew_free(job);
    if (!job->coordinator->closing) /* a job that goes on later finds its messages there */
        coordinator_unregister_job(job);
    journal_close(job->journal);
    job->journal = NULL;
    coordinator_link_free(job);
    store_close(job->store, on_closed, job);
}

/* Closes when the store and the journal have called back, and the workers are gone. */
static void end_on(struct coordinator_job *job)
{
    if (job->closing || job->operations > 0)
        return;
    if (job->present == 0 || uv_now(job->coordinator->loop) >= job->end_at)
        close_job(job);
}

static void end(struct coordinator_job *job, const struct error *failure)
{
    struct list_link *head = &job->members;
    if (job->ending)
        return;
    job->ending = true;
    job->end_at = uv_now(job->coordinator->loop) + DISMISS_MS;
    if (failure != NULL)
        job->failure = *failure;
    if (job->delivery != NULL)
        delivery_cancel(job->delivery);
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct member *member = LIST_ENTRY(link, struct member, link);
        if (member->session != NULL)
            coordinator_session_dismiss(member->session);
        if (member->gone)
            crew_uncount(member);
    }
}

void coordinator_job_fail(struct coordinator_job *job, const struct error *failure)
{
    end(job, failure);
}

void coordinator_job_stop(struct coordinator_job *job)
{
    struct error error;
    error_set(&error, -ECANCELED, "interrupted");
    end(job, &error);
}

/* ---- Going on ------------------------------------------------------------------------------ */

void coordinator_job_go_on(struct coordinator_job *job)
{
    struct ledger_order order;
    struct error error;
    if (job->ending || !job->ready)
        return;
    while (!job->ending && ledger_order(job->ledger, &order)) {
        coordinator_carry_out(job, &order);
        ledger_order_free(&order);
    }
    enum ledger_result result = ledger_result(job->ledger, &error);
    if (result == LEDGER_FAILED)
        coordinator_job_fail(job, &error);
    if (result == LEDGER_FINISHED && !job->delivering && !job->ending) {
        job->delivering = true;
        coordinator_get_outputs(job);
    }
    coordinator_record_sync(job);
    if (job->recorded && job->operations == 0)
        end(job, NULL);
}

void coordinator_job_operation_ended(struct coordinator_job *job)
{
    job->operations--;
    coordinator_job_go_on(job);
}

double coordinator_job_cost(const struct coordinator_job *job)
{
    const struct engine_limits *limits = engine_limits(job->coordinator->engine);
    double price = job->coordinator->options.price;
    return (double)job->worker_ms / 1000 * (price > 0 ? price : limits->price_second) +
           (double)job->starts * limits->price_start;
}

static void check_caps(struct coordinator_job *job)
{
    const struct coordinator_job_options *options = &job->options;
    struct error error;
    if (options->time_ms > 0 && job->ran_ms > options->time_ms) {
        error_set(&error, -ETIMEDOUT, "the job was not done within its limit of %.10g seconds",
                  (double)options->time_ms / 1000);
        coordinator_job_fail(job, &error);
    } else if (options->cost > 0 && coordinator_job_cost(job) > options->cost) {
        error_set(&error, -EDQUOT, "the job was not done within its limit of cost, %.10g",
                  options->cost);
        coordinator_job_fail(job, &error);
    }
}

static void count_time(struct coordinator_job *job, uint64_t passed)
{
    bool limited = job->options.time_ms > 0 || coordinator_job_cost(job) > 0;
    job->ran_ms += passed;
    job->worker_ms += passed * (uint64_t)crew_running(job);
    if (limited && job->ran_ms - job->counted_ms >= SPENT_MS)
        coordinator_record_spent(job);
    if (limited)
        check_caps(job);
}

void coordinator_job_tick(struct coordinator_job *job, uint64_t now, uint64_t passed)
{
    if (job->ending) {
        end_on(job);
        return;
    }
    count_time(job, passed);
    if (job->ready && !job->delivering && !job->ending) {
        crew_tick(job, now);
        ledger_tick(job->ledger, (int64_t)now);
    }
    coordinator_job_go_on(job);
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static const char *keep_text(struct coordinator_job *job, const char *text, bool *failed)
{
    const char *kept = text != NULL ? arena_copy(&job->texts, text, strlen(text)) : NULL;
    *failed |= text != NULL && kept == NULL;
    return kept;
}

static int keep_options(struct coordinator_job *job, const struct coordinator_job_options *options,
                        struct error *error)
{
    const struct engine_limits *engine = engine_limits(job->coordinator->engine);
    struct ledger_limits limits = {.window = options->window,
                                   .idle_ms = (int64_t)engine->waiting_ms};
    struct coordinator_job_options *kept = &job->options;
    bool failed = false;
    *kept = *options;
    kept->digest = keep_text(job, options->digest, &failed);
    kept->name = keep_text(job, options->name, &failed);
    kept->store = keep_text(job, options->store, &failed);
    kept->journal = keep_text(job, options->journal, &failed);
    kept->authority = keep_text(job, options->authority, &failed);
    kept->keep = keep_text(job, options->keep, &failed);
    /* The window is that of all workers, also while most of them are not needed. */
    if (limits.idle_ms > 0 && limits.window == 0)
        limits.window = ledger_window_for(options->workers * options->slots);
    job->ledger = ledger_new(options->job, &limits);
    if (failed || job->ledger == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    return 0;
}

static int open_job(struct coordinator_job *job, struct error *error)
{
    int code = coordinator_record_open(job, error);
    if (code == 0)
        code = coordinator_job_make_keys(job, error);
    if (code == 0 && coordinator_find_job(job->coordinator, job->name) != NULL)
        code = error_set(error, -EEXIST, "the job %s is here already", job->name);
    if (code == 0)
        code = coordinator_register_job(job, error);
    if (code == 0)
        code = store_open(job->coordinator->loop, job->options.store, &job->store, error);
    if (code == 0)
        job->one_machine =
            engine_limits(job->coordinator->engine)->same_machine && store_is_folder(job->store);
    return code;
}

int coordinator_add(struct coordinator *coordinator, const struct coordinator_job_options *options,
                    struct coordinator_job **made, struct error *error)
{
    struct coordinator_job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    job->coordinator = coordinator;
    list_init(&job->link);
    list_init(&job->members);
    list_init(&job->cleanups);
    list_init(&job->safe_cleanups);
    list_init(&job->removals);
    int code = keep_options(job, options, error);
    if (code == 0)
        code = open_job(job, error);
    if (code < 0) {
        coordinator_unregister_job(job);
        journal_close(job->journal);
        release(job);
        return code;
    }
    coordinator_note_files(coordinator, job->options.workers + job->options.spare);
    list_append(&coordinator->jobs, &job->link);
    ledger_number_attempts(job->ledger, (uint32_t)(job->epoch - 1) * ATTEMPTS_EACH);
    coordinator_put_inputs(job);
    *made = job;
    return 0;
}
