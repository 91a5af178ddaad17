/* What is asked of a worker, one kind each, from its start to its outcome. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/worker_private.h"
#include "util/beneath.h"

/* A file that is read and sent in an envelope. */
#define READ_MOST (512u * 1024)

struct activity *worker_activity_at(struct attempt *attempt, uint32_t point)
{
    for (struct list_link *link = attempt->activities.next; link != &attempt->activities;
         link = link->next) {
        struct activity *activity = LIST_ENTRY(link, struct activity, link);
        if (activity->point == point)
            return activity;
    }
    return NULL;
}

struct activity *worker_activity_current(struct attempt *attempt)
{
    return worker_activity_at(attempt, 0);
}

/* ---- The end ------------------------------------------------------------------------------- */

void worker_activity_free(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    list_remove(&activity->link);
    wire_free(activity->envelope);
    free(activity->copy);
    free(activity->park);
    free(activity);
    worker_attempt_release(attempt);
}

static void report_request(struct activity *activity, Mu__Outcome *outcome)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    struct attempt *attempt = activity->attempt;
    worker_packed_free(&attempt->outcome);
    attempt->acknowledged = false;
    attempt->done = (activity->quit && outcome->result == MU__OUTCOME__RESULT__OK) ||
                    outcome->result == MU__OUTCOME__RESULT__PARKED;
    envelope.body_case = MU__ENVELOPE__BODY_OUTCOME;
    envelope.outcome = outcome;
    if (worker_session_pack(attempt->worker, &envelope, &attempt->outcome))
        worker_session_transmit(attempt->worker, &attempt->outcome);
}

static void report_point(struct activity *activity, Mu__Outcome *outcome)
{
    struct activity *run = worker_activity_current(activity->attempt);
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__PointOutcome point = MU__POINT_OUTCOME__INIT;
    struct packed packed;
    point.call = outcome->call;
    outcome->call = NULL;
    point.id = activity->point;
    point.outcome = outcome;
    envelope.body_case = MU__ENVELOPE__BODY_POINT_OUTCOME;
    envelope.point_outcome = &point;
    if (run == NULL || run->request != activity->request ||
        !worker_session_pack(activity->attempt->worker, &envelope, &packed))
        return;
    worker_session_transmit(activity->attempt->worker, &packed);
    bool ok = outcome->result == MU__OUTCOME__RESULT__OK;
    worker_run_answer(run, activity->point, ok ? activity->answer : CONTROL_CANCELLED, packed);
}

void worker_activity_finish(struct activity *activity, const Mu__Outcome *outcome)
{
    Mu__Outcome said = *outcome;
    Mu__Call call;
    uint64_t now = uv_hrtime();
    worker_attempt_call(activity->attempt, activity->request, &call);
    said.call = &call;
    if (said.result != MU__OUTCOME__RESULT__OK && activity->timed_out)
        said.result = MU__OUTCOME__RESULT__TIMEOUT;
    if (activity->started == 0)
        activity->started = now;
    said.started_us = (activity->started - activity->came) / 1000;
    said.took_us = (now - activity->started) / 1000;
    bool over = activity->attempt->over;
    if (!over && activity->point == 0)
        report_request(activity, &said);
    else if (!over)
        report_point(activity, &said);
    worker_activity_free(activity);
}

static void fill_identity(Mu__Identity *to, const struct store_identity *from)
{
    mu__identity__init(to);
    to->size = from->size;
    to->sha256.data = (uint8_t *)from->sha256;
    to->sha256.len = from->unsummed ? 0 : SHA256_SIZE;
}

void worker_activity_ok(struct activity *activity, const struct store_identity *identity)
{
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    Mu__Identity said;
    if (identity != NULL) {
        fill_identity(&said, identity);
        outcome.identity = &said;
    }
    worker_activity_finish(activity, &outcome);
}

void worker_activity_fail(struct activity *activity, const char *reason)
{
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    outcome.result = activity->cancelled && !activity->timed_out ? MU__OUTCOME__RESULT__CANCELLED
                                                                 : MU__OUTCOME__RESULT__FAILED;
    outcome.error = (char *)(activity->timed_out ? "the time limit was reached" : reason);
    worker_activity_finish(activity, &outcome);
}

void worker_activity_finish_with(struct activity *activity, const struct error *error,
                                 const struct store_identity *identity)
{
    activity->operation = NULL;
    if (error->code < 0)
        worker_activity_fail(activity, error->message);
    else
        worker_activity_ok(activity, identity);
}

/* ---- Objects and files --------------------------------------------------------------------- */

static void on_got(void *opaque, const struct store_result *result)
{
    struct activity *activity = opaque;
    bool known =
        activity->put != NULL || (activity->get != NULL && activity->get->expected != NULL);
    worker_activity_finish_with(activity, &result->error, known ? &result->identity : NULL);
}

static void start_get(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    struct store_identity expected;
    struct error error;
    const Mu__Identity *wanted = activity->get->expected;
    struct store_get get = {
        .key = activity->get->key,
        .to = {.folder = attempt->files, .path = activity->get->file},
        .length = STORE_TO_END,
        .link = true,
    };
    if (wanted != NULL && !wire_object_valid(wanted)) {
        worker_activity_fail(activity, "the expected identity has no whole SHA-256");
        return;
    }
    if (wanted != NULL) {
        expected =
            (struct store_identity){.size = wanted->size, .unsummed = wanted->sha256.len == 0};
        if (!expected.unsummed)
            memcpy(expected.sha256, wanted->sha256.data, SHA256_SIZE);
        get.expected = &expected;
    }
    struct store *store = worker_store_for(attempt->worker, activity->get, &error);
    int code =
        store != NULL ? worker_attempt_make_way(attempt, activity->get->file, &error) : error.code;
    if (code == 0)
        code = store_get(store, &get, on_got, activity, &activity->operation, &error);
    if (code < 0)
        worker_activity_fail(activity, error.message);
}

static void start_put(struct activity *activity);

/* What may pass: somebody has to make room, or to repair a disk. */
static bool may_pass(int code)
{
    return code == -EROFS || code == -ENOSPC || code == -EDQUOT || code == -EIO || code == -ESTALE;
}

static void on_put(void *opaque, const struct store_result *result)
{
    struct activity *activity = opaque;
    if (!may_pass(result->error.code) || activity->cancelled ||
        ++activity->tries >= WORKER_PUT_TRIES) {
        if (activity->put->move && result->error.code == 0)
            beneath_unlink(activity->attempt->files, activity->put->file);
        worker_activity_finish_with(activity, &result->error, &result->identity);
        return;
    }
    activity->operation = NULL;
    activity->waiting = true;
    activity->retry_at =
        uv_now(activity->attempt->worker->loop) + (WORKER_RETRY_MS << (activity->tries - 1));
}

static void start_put(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    struct error error;
    const struct store_put put = {
        .from = {.folder = attempt->files, .path = activity->put->file},
        .key = activity->put->key,
        .attempt = attempt->number,
        .link = activity->put->move,
        .unsummed = activity->put->unsummed,
    };
    activity->waiting = false;
    activity->retry_at = 0;
    if (store_put(attempt->worker->store, &put, on_put, activity, &activity->operation, &error) < 0)
        worker_activity_fail(activity, error.message);
}

static void on_read(void *opaque, const struct files_result *result)
{
    struct activity *activity = opaque;
    if (result->error.code < 0) {
        worker_activity_fail(activity, result->error.message);
        return;
    }
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    outcome.content.data = result->content;
    outcome.content.len = result->size;
    worker_activity_finish(activity, &outcome);
}

static void start_read(struct activity *activity)
{
    const Mu__Read *read = activity->read;
    size_t most = read->limit < READ_MOST ? read->limit : READ_MOST;
    if (worker_files_read(activity->attempt->worker->loop, activity->attempt->files, read->file,
                          most, on_read, activity) < 0)
        worker_activity_fail(activity, "out of memory");
}

/* ---- The beginning ------------------------------------------------------------------------- */

static struct activity *activity_new(struct attempt *attempt, Mu__Envelope *envelope)
{
    struct activity *activity = calloc(1, sizeof *activity);
    if (activity == NULL) {
        struct error error;
        error_set(&error, -ENOMEM, "out of memory");
        wire_free(envelope);
        worker_end(attempt->worker, &error);
        return NULL;
    }
    activity->attempt = attempt;
    activity->envelope = envelope;
    activity->came = uv_hrtime();
    list_append(&attempt->activities, &activity->link);
    worker_attempt_hold(attempt);
    return activity;
}

static void start(struct activity *activity)
{
    if (activity->run != NULL) {
        worker_run_start(activity);
        return;
    }
    activity->started = activity->came;
    if (activity->get != NULL && activity->get->by_url)
        worker_url_get(activity);
    else if (activity->get != NULL)
        start_get(activity);
    else if (activity->put != NULL)
        start_put(activity);
    else if (activity->read != NULL)
        start_read(activity);
    else if (activity->send != NULL)
        worker_message_send(activity);
    else if (activity->receive != NULL)
        worker_message_receive(activity);
    else if (activity->unpark != NULL)
        worker_unpark(activity);
    else if (activity->stow)
        worker_park_tick(activity);
    else if (activity->quit)
        worker_message_settle(activity);
    else
        worker_activity_ok(activity, NULL);
}

void worker_activity_request(struct attempt *attempt, Mu__Envelope *envelope)
{
    const Mu__Request *request = envelope->request;
    attempt->request = request->call->request;
    struct activity *activity = activity_new(attempt, envelope);
    if (activity == NULL)
        return;
    activity->request = request->call->request;
    activity->timeout_ms = request->timeout_ms;
    activity->priority = (int32_t)request->priority;
    switch (request->what_case) {
    case MU__REQUEST__WHAT_GET:
        activity->get = request->get;
        break;
    case MU__REQUEST__WHAT_PUT:
        activity->put = request->put;
        break;
    case MU__REQUEST__WHAT_RUN:
        activity->run = request->run;
        break;
    case MU__REQUEST__WHAT_SEND:
        activity->send = request->send;
        break;
    case MU__REQUEST__WHAT_RECEIVE:
        activity->receive = request->receive;
        break;
    case MU__REQUEST__WHAT_READ:
        activity->read = request->read;
        break;
    case MU__REQUEST__WHAT_QUIT:
        activity->quit = true;
        break;
    case MU__REQUEST__WHAT_UNPARK:
        activity->unpark = request->unpark;
        break;
    case MU__REQUEST__WHAT_PARK:
        activity->stow = activity->waiting = true;
        activity->park = strdup(request->park->key);
        break;
    default:
        worker_activity_fail(activity, "a request of a kind that this worker does not know");
        return;
    }
    start(activity);
}

void worker_activity_point(struct attempt *attempt, Mu__Envelope *envelope)
{
    const Mu__PointRequest *request = envelope->point_request;
    struct activity *activity = activity_new(attempt, envelope);
    if (activity == NULL)
        return;
    activity->request = request->call->request;
    activity->point = request->id;
    activity->answer = CONTROL_READY;
    switch (request->what_case) {
    case MU__POINT_REQUEST__WHAT_GET:
        activity->get = request->get;
        break;
    case MU__POINT_REQUEST__WHAT_PUT:
        activity->put = request->put;
        break;
    case MU__POINT_REQUEST__WHAT_SEND:
        activity->send = request->send;
        break;
    case MU__POINT_REQUEST__WHAT_RECEIVE:
        activity->receive = request->receive;
        break;
    case MU__POINT_REQUEST__WHAT_NOTHING:
        break;
    case MU__POINT_REQUEST__WHAT_DONE:
        activity->answer = CONTROL_DONE;
        break;
    case MU__POINT_REQUEST__WHAT_BEGUN:
        activity->answer = CONTROL_BEGUN;
        break;
    case MU__POINT_REQUEST__WHAT_REFUSED:
        worker_activity_fail(activity, request->refused->reason);
        return;
    default:
        worker_activity_fail(activity, "a request of a kind that this worker does not know");
        return;
    }
    start(activity);
}

/* ---- Stopping ------------------------------------------------------------------------------ */

/* Threads' work on files is not stopped: it is short, and its end is the activity's. */
void worker_activity_cancel(struct activity *activity)
{
    activity->cancelled = true;
    if (activity->operation != NULL)
        store_cancel(activity->operation);
    else if (activity->run != NULL)
        worker_run_cancel(activity);
    else if (activity->waiting) {
        worker_message_stop_receiving(activity);
        worker_activity_fail(activity, "cancelled");
    }
}

void worker_activity_tick(struct activity *activity, uint64_t now)
{
    uint64_t limit = activity->timeout_ms * UINT64_C(1000000);
    if (limit > 0 && activity->run == NULL && !activity->cancelled &&
        uv_hrtime() - activity->came >= limit) {
        activity->timed_out = true;
        worker_activity_cancel(activity);
    } else if (activity->retry_at != 0 && now >= activity->retry_at) {
        start_put(activity);
    } else if (activity->copy != NULL) {
        worker_message_look(activity, now);
    }
}
