/* Objects and messages of attempts, taken over by the job: tried again while the store is in trouble. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"

/* A store that is full or read-only for longer than this ends the job: no attempt could do better. */
enum { PATIENCE_MS = 15000, PAUSE_MS = 300, CLEANED_MS = 5 };

struct adoption {
    struct coordinator_job *job;
    uint32_t attempt;
    struct store_identity identity;
    uint64_t since;
    uv_timer_t timer; /* until it is tried again */
    char key[];
};

static void on_timer_closed(uv_handle_t *handle)
{
    struct adoption *adoption = handle->data;
    struct coordinator_job *job = adoption->job;
    free(adoption);
    coordinator_job_operation_ended(job);
}

static void end_adoption(struct adoption *adoption)
{
    uv_close((uv_handle_t *)&adoption->timer, on_timer_closed);
}

static void try_adoption(struct adoption *adoption);

static void on_pause_over(uv_timer_t *timer)
{
    struct adoption *adoption = timer->data;
    if (adoption->job->ending)
        end_adoption(adoption);
    else
        try_adoption(adoption);
}

static void on_adopted(void *opaque, const struct store_result *result)
{
    struct adoption *adoption = opaque;
    struct coordinator_job *job = adoption->job;
    int code = result->error.code;
    if (code == 0 || code == -ENOENT || code == -EBADMSG || code == -EEXIST) {
        ledger_adopted(job->ledger, adoption->key, adoption->attempt, code,
                       coordinator_job_now(job));
    } else if (code != -ECANCELED && !job->ending) {
        if (uv_now(job->coordinator->loop) - adoption->since < PATIENCE_MS) {
            uv_timer_start(&adoption->timer, on_pause_over, PAUSE_MS, 0);
            return;
        }
        ledger_fail(job->ledger, &result->error);
    }
    end_adoption(adoption);
}

/* What was deleted and is made again comes when the earlier one has gone, which might take it along. */
static void try_adoption(struct adoption *adoption)
{
    struct coordinator_job *job = adoption->job;
    struct error error;
    if (coordinator_record_cleans(job, adoption->key)) {
        uv_timer_start(&adoption->timer, on_pause_over, CLEANED_MS, 0);
        return;
    }
    if (store_adopt(job->store, adoption->key, adoption->attempt, &adoption->identity, on_adopted,
                    adoption, NULL, &error) == 0)
        return;
    ledger_fail(job->ledger, &error);
    end_adoption(adoption);
}

void coordinator_adopt(struct coordinator_job *job, const struct ledger_order *order)
{
    uv_loop_t *loop = job->coordinator->loop;
    struct adoption *adoption = calloc(1, sizeof *adoption + strlen(order->key) + 1);
    struct error error;
    if (adoption == NULL) {
        error_set(&error, -ENOMEM, "out of memory");
        ledger_fail(job->ledger, &error);
        return;
    }
    adoption->job = job;
    adoption->attempt = order->attempt;
    adoption->since = uv_now(loop);
    adoption->identity.size = order->identity.size;
    adoption->identity.unsummed = order->identity.unsummed || job->one_machine;
    memcpy(adoption->identity.sha256, order->identity.sha256, sizeof adoption->identity.sha256);
    strcpy(adoption->key, order->key);
    uv_timer_init(loop, &adoption->timer);
    adoption->timer.data = adoption;
    job->operations++;
    try_adoption(adoption);
}
