/* Jobs that are handed in: begun, ended, cancelled, and removed with all that they have left. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "mu/coordinator_private.h"
#include "mu/job_file.h"

struct handed_in *coordinator_handed_in_new(struct coordinator *coordinator, const char *id)
{
    struct handed_in *job = calloc(1, sizeof *job);
    if (job == NULL)
        return NULL;
    job->coordinator = coordinator;
    job->progress.actors = -1;
    job->submitted = (uint64_t)time(NULL);
    snprintf(job->id, sizeof job->id, "%s", id);
    list_append(&coordinator->handed_in, &job->link);
    return job;
}

void coordinator_handed_in_free(struct handed_in *job)
{
    coordinator_submitter_forget(job);
    list_remove(&job->link);
    job_free(job->what);
    if (job->submit != NULL)
        mu__submit__free_unpacked(job->submit, NULL);
    free(job);
}

struct handed_in *coordinator_handed_in_find(struct coordinator *coordinator, const char *id)
{
    struct list_link *head = &coordinator->handed_in;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct handed_in *job = LIST_ENTRY(link, struct handed_in, link);
        if (strcmp(job->id, id) == 0)
            return job;
    }
    return NULL;
}

/* ---- How it stands ------------------------------------------------------------------------- */

static void look(struct handed_in *job)
{
    const struct coordinator_job *running = job->running;
    coordinator_job_progress(running, &job->progress);
    job->ran_ms = running->ran_ms;
    job->cost = coordinator_job_cost(running);
}

void coordinator_handed_in_line(struct handed_in *job, Mu__JobLine *line)
{
    if (job->running != NULL)
        look(job);
    mu__job_line__init(line);
    line->id = job->id;
    line->name = job->name;
    line->state = job->state;
    line->actors = job->progress.actors;
    line->done = job->progress.done;
    line->amount = job->progress.amount;
    line->workers = job->running != NULL ? (uint32_t)job->progress.workers : 0;
    line->submitted = job->submitted;
    line->ran_ms = job->ran_ms;
    line->cost = job->cost;
    line->error = job->failure;
}

/* ---- The end ------------------------------------------------------------------------------- */

/* What may be otherwise when the coordinator starts again. */
static bool is_passing(int code)
{
    return code == -ENOSPC || code == -EDQUOT || code == -EROFS || code == -EIO ||
           code == -ENOMEM || code == -EMFILE || code == -ENFILE || code == -EBUSY ||
           code == -EACCES || code == -ETIME || code == -ETIMEDOUT || code == -ECONNREFUSED ||
           code == -ECONNRESET || code == -EHOSTUNREACH;
}

/* Where it is not `remembered`, it begins again when the coordinator does. */
static void end(struct handed_in *job, Mu__JobLine__State state, const struct error *failure,
                bool remembered)
{
    struct error error;
    job->state = state;
    snprintf(job->failure, sizeof job->failure, "%s", failure != NULL ? failure->message : "");
    if (remembered && coordinator_state_ended(job, &error) < 0)
        coordinator_note(job->coordinator, "the end of job %s is not remembered: %s", job->id,
                         error.message);
    coordinator_note(job->coordinator, "job %s has ended%s%s", job->id, failure ? ": " : "",
                     job->failure);
    coordinator_submitter_tell(job);
}

static void on_ended(void *opaque, const struct error *failure)
{
    struct handed_in *job = opaque;
    look(job);
    job->running = NULL;
    if (failure == NULL)
        end(job, MU__JOB_LINE__STATE__DONE, NULL, true);
    else if (failure->code != -ECANCELED)
        end(job, MU__JOB_LINE__STATE__FAILED, failure, !is_passing(failure->code));
    else if (job->cancelled)
        end(job, MU__JOB_LINE__STATE__CANCELLED, NULL, true);
}

void coordinator_handed_in_cancel(struct handed_in *job)
{
    job->cancelled = true;
    if (job->running != NULL) {
        look(job);
        coordinator_job_stop(job->running);
    } else if (job->state == MU__JOB_LINE__STATE__WAITING) {
        end(job, MU__JOB_LINE__STATE__CANCELLED, NULL, true);
    }
}

/* ---- The beginning ------------------------------------------------------------------------- */

static int parse(struct handed_in *job, struct error *error)
{
    const Mu__Submit *submit = job->submit;
    struct job_choice *choices = calloc(submit->n_choices + 1, sizeof *choices);
    if (choices == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    for (size_t i = 0; i < submit->n_choices; i++)
        choices[i] = (struct job_choice){submit->choices[i]->variable, submit->choices[i]->value};
    int code = job_file_parse("the job", (const char *)submit->job.data, submit->job.len, choices,
                              (int)submit->n_choices, &job->what, error);
    free(choices);
    if (code == 0)
        snprintf(job->name, sizeof job->name, "%s", job->what->name);
    return code;
}

static int limit(uint32_t value, int most)
{
    return value < (uint32_t)most ? (int)value : most;
}

static void on_trace(void *opaque, const char *line)
{
    const struct handed_in *job = opaque;
    job->coordinator->options.trace(job->coordinator->options.opaque, line);
}

static int add(struct handed_in *job, const char *store, struct error *error)
{
    const struct coordinator_options *from = &job->coordinator->options;
    const Mu__Settings *settings = job->submit->settings;
    int most = from->workers > 0 ? from->workers : COORDINATOR_MOST_WORKERS;
    char *journal = coordinator_state_path(job, "journal");
    char *authority = coordinator_state_path(job, "authority");
    struct coordinator_job_options options = {
        .job = job->what,
        .digest = job->id,
        .name = job->id,
        .store = store,
        .journal = journal,
        .authority = authority,
        .elsewhere = true,
        .workers = settings->workers > 0 ? limit(settings->workers, most) : most,
        .spare = limit(settings->spare, most),
        .slots = settings->slots > 0 ? limit(settings->slots, INVOCATION_MOST_SLOTS) : from->slots,
        .window = limit(settings->window, JOB_MOST_ACTORS),
        .time_ms = settings->time_ms,
        .cost = settings->cost,
        .trace = from->trace != NULL ? on_trace : NULL,
        .ended = on_ended,
        .opaque = job,
    };
    int code = journal && authority
                   ? coordinator_add(job->coordinator, &options, &job->running, error)
                   : error_set(error, -ENOMEM, "out of memory");
    free(journal);
    free(authority);
    return code;
}

void coordinator_handed_in_begin(struct handed_in *job)
{
    char *store = NULL;
    struct error error;
    int code = job->what == NULL ? parse(job, &error) : 0;
    if (code == 0 && asprintf(&store, "%s/%s", job->submit->store, job->id) < 0) {
        store = NULL;
        code = error_set(&error, -ENOMEM, "out of memory");
    }
    if (code == 0)
        code = coordinator_state_begun(job, &error);
    job->state = MU__JOB_LINE__STATE__RUNNING;
    if (code == 0)
        code = add(job, store, &error);
    free(store);
    if (code < 0)
        end(job, MU__JOB_LINE__STATE__FAILED, &error, false);
}

int coordinator_handed_in_check(struct handed_in *job, struct error *error)
{
    return job->what == NULL ? parse(job, error) : 0;
}

/* ---- Cleaning ------------------------------------------------------------------------------ */

static void discard(struct handed_in *job)
{
    struct error error;
    if (coordinator_state_remove(job, &error) < 0)
        coordinator_note(job->coordinator, "%s", error.message);
    else
        coordinator_handed_in_free(job);
}

static void on_cleaned(void *opaque)
{
    struct handed_in *job = opaque;
    struct coordinator *coordinator = job->coordinator;
    coordinator->cleaning--;
    job->cleaning = NULL;
    if (job->cleaned)
        discard(job);
    if (coordinator->cleaning == 0)
        coordinator_submitter_cleaned(coordinator);
    coordinator_go_on(coordinator);
}

static void on_deleted(void *opaque, const struct store_result *result)
{
    struct handed_in *job = opaque;
    job->cleaned = result->error.code == 0;
    if (!job->cleaned)
        coordinator_note(job->coordinator, "what job %s has left stays: %s", job->id,
                         result->error.message);
    store_close(job->cleaning, on_cleaned, job);
}

/* A store that is not there any more has nothing of it. */
static bool store_is_gone(const struct handed_in *job)
{
    return job->submit == NULL ||
           (!store_is_remote(job->submit->store) && access(job->submit->store, F_OK) != 0);
}

void coordinator_handed_in_clean(struct handed_in *job)
{
    char prefix[STORE_KEY_SIZE];
    struct error error;
    if (job->running != NULL || job->cleaning != NULL ||
        (job->state != MU__JOB_LINE__STATE__DONE && job->state != MU__JOB_LINE__STATE__FAILED &&
         job->state != MU__JOB_LINE__STATE__CANCELLED))
        return;
    snprintf(prefix, sizeof prefix, "%s/", job->id);
    if (store_is_gone(job)) {
        discard(job);
        return;
    }
    if (store_open(job->coordinator->loop, job->submit->store, &job->cleaning, &error) < 0) {
        coordinator_note(job->coordinator, "what job %s has left stays: %s", job->id,
                         error.message);
        return;
    }
    job->coordinator->cleaning++;
    if (store_delete_prefix(job->cleaning, prefix, on_deleted, job, NULL, &error) < 0)
        store_close(job->cleaning, on_cleaned, job);
}
