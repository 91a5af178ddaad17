/* Attempts that wait without a worker: their scratch goes to the store, and comes from there. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/scratch_archive.h"
#include "mu/worker_private.h"
#include "util/beneath.h"

/* The work of a thread: an archive, in the attempt's own folder, of its scratch or to become it. */
struct parking {
    uv_work_t work;
    struct activity *activity;
    char file[32];
    bool unpack;
    struct error error;
};

static int pack(struct parking *parking)
{
    const struct attempt *attempt = parking->activity->attempt;
    int flags = parking->unpack ? O_RDONLY : O_WRONLY | O_CREAT | O_EXCL;
    int file = beneath_open(attempt->own, parking->file, flags, 0600);
    if (file < 0)
        return error_set(&parking->error, file, "cannot open an archive of its scratch folder: %s",
                         error_reason(file));
    int code = parking->unpack
                   ? scratch_unpack(file, attempt->files, SCRATCH_MOST_BYTES, &parking->error)
                   : scratch_pack(attempt->files, file, &parking->error);
    if (close(file) != 0 && code == 0)
        code = error_set(&parking->error, -errno, "cannot write an archive of its scratch folder");
    return code;
}

static void on_work(uv_work_t *work)
{
    struct parking *parking = (struct parking *)work;
    parking->error.code = pack(parking);
}

static void on_packed(struct activity *activity, const struct parking *parking);

static void on_after(uv_work_t *work, int status)
{
    struct parking *parking = (struct parking *)work;
    struct activity *activity = parking->activity;
    (void)status;
    if (!parking->unpack) {
        on_packed(activity, parking);
    } else {
        unlinkat(activity->attempt->own, parking->file, 0);
        worker_activity_finish_with(activity, &parking->error, NULL);
    }
    free(parking);
}

/* False where there is no memory. */
static bool begin(struct activity *activity, const char *file, bool unpack)
{
    struct parking *parking = calloc(1, sizeof *parking);
    if (parking == NULL)
        return false;
    parking->activity = activity;
    parking->unpack = unpack;
    snprintf(parking->file, sizeof parking->file, "%s", file);
    if (uv_queue_work(activity->attempt->worker->loop, &parking->work, on_work, on_after) == 0)
        return true;
    free(parking);
    return false;
}

/* ---- Parking ------------------------------------------------------------------------------- */

static void forget(struct activity *activity)
{
    free(activity->park);
    activity->park = NULL;
    activity->packing = false;
}

/* It waits for its message again as if nothing had been; a command is begun anew. */
static void call_off(struct activity *activity, const struct error *why)
{
    forget(activity);
    if (activity->cancelled)
        worker_activity_fail(activity, "cancelled");
    else if (activity->run != NULL)
        worker_run_start(activity);
    else if (activity->receive != NULL)
        worker_message_receive(activity);
    else
        worker_activity_fail(activity, why->message);
}

static void on_put(void *opaque, const struct store_result *result)
{
    struct activity *activity = opaque;
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    Mu__Identity identity = MU__IDENTITY__INIT;
    activity->operation = NULL;
    if (result->error.code < 0) {
        call_off(activity, &result->error);
        return;
    }
    identity.size = result->identity.size;
    identity.sha256.data = (uint8_t *)result->identity.sha256;
    identity.sha256.len = SHA256_SIZE;
    outcome.result = MU__OUTCOME__RESULT__PARKED;
    outcome.identity = &identity;
    worker_activity_finish(activity, &outcome);
}

static void on_packed(struct activity *activity, const struct parking *parking)
{
    struct attempt *attempt = activity->attempt;
    struct error error = parking->error;
    const struct store_put put = {
        .from = {.folder = attempt->own, .path = parking->file},
        .key = activity->park,
        .attempt = attempt->number,
        .link = true,
    };
    if (error.code == 0 && !activity->cancelled &&
        store_put(attempt->worker->store, &put, on_put, activity, &activity->operation, &error) ==
            0)
        return;
    unlinkat(attempt->own, parking->file, 0);
    call_off(activity, &error);
}

/* Whether all that the attempt has sent is durable. */
static bool is_settled(const struct attempt *attempt)
{
    const struct list_link *head = &attempt->sends;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct outgoing *outgoing = LIST_ENTRY(link, struct outgoing, link);
        if (outgoing->known && outgoing->stored.bytes == NULL)
            return false;
    }
    return true;
}

/* Its last process is gone, if there was one: nothing changes in its scratch. */
void worker_park_ended(struct activity *activity)
{
    struct error error;
    char file[32];
    activity->waiting = false;
    worker_attempt_draft(activity->attempt, file);
    if (begin(activity, file, false))
        return;
    error_set(&error, -ENOMEM, "out of memory");
    call_off(activity, &error);
}

/* What of it waits for a message, itself or its point; NULL where that has come. */
static struct activity *find_waiting(struct activity *activity)
{
    struct activity *waiting = worker_activity_at(activity->attempt, activity->park_point);
    return waiting != NULL && waiting->receiving != NULL && waiting->copy == NULL ? waiting : NULL;
}

/* Ends what it waits for, so that nothing comes any more; false where that is too late. */
static bool stop_waiting(struct activity *activity)
{
    struct activity *waiting = find_waiting(activity);
    if (activity->run != NULL && activity->park_point == 0)
        return worker_run_withdraw(activity);
    if (waiting == NULL)
        return false;
    worker_message_stop_receiving(waiting);
    if (waiting != activity)
        worker_activity_free(waiting);
    return true;
}

/* Should what it waits for come before all is durable, it is not parked. */
void worker_park_tick(struct activity *activity)
{
    if (activity->packing || !is_settled(activity->attempt))
        return;
    if (!activity->stow && !stop_waiting(activity)) {
        forget(activity);
        return;
    }
    activity->packing = true;
    if (activity->park_point != 0)
        worker_run_cancel(activity);
    else
        worker_park_ended(activity);
}

void worker_park(struct attempt *attempt, uint64_t request, uint32_t point, const char *key)
{
    struct activity *activity = worker_activity_current(attempt);
    if (activity == NULL || activity->request != request || activity->park != NULL ||
        activity->unpark != NULL)
        return; /* it is over, or this is said twice */
    activity->park = strdup(key);
    activity->park_point = point;
    if (activity->park != NULL)
        worker_park_tick(activity);
}

/* ---- Going on ------------------------------------------------------------------------------ */

static void on_got(void *opaque, const struct store_result *result)
{
    struct activity *activity = opaque;
    activity->operation = NULL;
    if (result->error.code < 0 || activity->cancelled)
        worker_activity_fail(activity,
                             result->error.code < 0 ? result->error.message : "cancelled");
    else if (!begin(activity, activity->park, true))
        worker_activity_fail(activity, "out of memory");
}

void worker_unpark(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    const Mu__Unpark *unpark = activity->unpark;
    struct store_identity expected = {.unsummed = false};
    struct error error;
    char file[32];
    worker_attempt_draft(attempt, file);
    activity->park = strdup(file);
    if (activity->park == NULL || !wire_identity_valid(unpark->identity)) {
        worker_activity_fail(activity, "what was parked has no SHA-256");
        return;
    }
    expected.size = unpark->identity->size;
    memcpy(expected.sha256, unpark->identity->sha256.data, SHA256_SIZE);
    const struct store_get get = {
        .key = unpark->key,
        .to = {.folder = attempt->own, .path = activity->park},
        .length = STORE_TO_END,
        .expected = &expected,
    };
    if (store_get(attempt->worker->store, &get, on_got, activity, &activity->operation, &error) < 0)
        worker_activity_fail(activity, error.message);
}
