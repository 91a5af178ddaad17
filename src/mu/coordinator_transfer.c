/* A job's inputs into the store before it begins, its outputs out of it when it is done. */
#include "mu/coordinator_private.h"
#include "mu/delivery.h"

static void deliver(struct coordinator_job *job, enum delivery_what what, delivery_done *done)
{
    const struct delivery_options options = {.loop = job->coordinator->loop,
                                             .store = job->store,
                                             .job = job->options.job,
                                             .what = what,
                                             .linked = coordinator_link_known,
                                             .done = done,
                                             .opaque = job};
    struct error error;
    if (delivery_begin(&options, &job->delivery, &error) == 0)
        job->operations++;
    else
        coordinator_job_fail(job, &error);
}

/* ---- Inputs -------------------------------------------------------------------------------- */

static void begin(struct coordinator_job *job)
{
    struct error error;
    job->ready = true;
    ledger_tick(job->ledger, coordinator_job_now(job));
    if (ledger_result(job->ledger, &error) == LEDGER_RUNNING)
        crew_begin(job);
}

static void on_inputs(void *opaque, const struct error *failure)
{
    struct coordinator_job *job = opaque;
    job->delivery = NULL;
    if (failure != NULL)
        coordinator_job_fail(job, failure);
    else if (!job->ending)
        begin(job);
    coordinator_job_operation_ended(job);
}

void coordinator_put_inputs(struct coordinator_job *job)
{
    if (job->options.job->inputs == 0)
        begin(job);
    else
        deliver(job, job->options.elsewhere ? DELIVERY_LINKS : DELIVERY_INPUTS, on_inputs);
}

/* ---- Outputs ------------------------------------------------------------------------------- */

static void on_outputs(void *opaque, const struct error *failure)
{
    struct coordinator_job *job = opaque;
    job->delivery = NULL;
    if (failure != NULL)
        coordinator_job_fail(job, failure);
    else
        coordinator_record_finished(job);
    coordinator_job_operation_ended(job);
}

void coordinator_get_outputs(struct coordinator_job *job)
{
    if (job->options.elsewhere || job->options.job->outputs == 0)
        coordinator_record_finished(job);
    else
        deliver(job, DELIVERY_OUTPUTS, on_outputs);
}
