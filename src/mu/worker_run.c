/* Commands. As many go on at once as there are cores; one that waits at a point has none, so there may be
 * more slots than cores. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/worker_private.h"

/* For commands that wait at points there are more slots than cores. To start one takes longer than many a
 * command does: those that nothing runs in stay a while. */
enum { LANE_IDLE_MS = 10000 };

/* A slot, and what runs in it. */
struct lane {
    struct worker *worker;
    struct list_link link;
    struct slot *slot;
    struct activity *activity; /* NULL: nothing */
    uint64_t idle_since;       /* while there is nothing, in the loop's milliseconds */
};

/* A point that the process has asked for. */
struct asked {
    struct list_link link;
    uint32_t id;
    struct packed question;
    struct packed outcome; /* once it is done */
    enum control_answer answer;
};

struct run {
    struct activity *activity;
    struct list_link queue; /* among those that wait for a core */
    struct lane *lane;      /* NULL until it starts */
    bool has_core;
    struct list_link points; /* struct asked, the last one is what the process waits for */
};

static struct worker *worker_of(const struct run *run)
{
    return run->activity->attempt->worker;
}

/* ---- Cores --------------------------------------------------------------------------------- */

static bool goes_before(const struct activity *a, const struct activity *b)
{
    int order = strverscmp(a->attempt->actor, b->attempt->actor);
    if (a->priority != b->priority)
        return a->priority > b->priority;
    return order != 0 ? order < 0 : a->came < b->came;
}

static void enqueue(struct run *run)
{
    struct list_link *queue = &worker_of(run)->runs, *place = queue->next;
    while (place != queue &&
           !goes_before(run->activity, LIST_ENTRY(place, struct run, queue)->activity))
        place = place->next;
    list_append(place, &run->queue); /* before `place` */
}

static void give_back(struct run *run)
{
    if (run->has_core)
        worker_of(run)->busy_cores--;
    run->has_core = false;
}

static struct asked *last_asked(struct run *run)
{
    return LIST_ENTRY(run->points.previous, struct asked, link);
}

static int begin(struct run *run, struct error *error);

/* Gives the cores that are free to those who wait for one. */
static void grant(struct worker *worker)
{
    while (!worker->ending && worker->busy_cores < worker->slots && !list_empty(&worker->runs)) {
        struct run *run = LIST_ENTRY(worker->runs.next, struct run, queue);
        struct error error;
        list_remove(&run->queue);
        run->has_core = true;
        worker->busy_cores++;
        if (run->lane != NULL) {
            slot_answer(run->lane->slot, last_asked(run)->answer);
        } else if (begin(run, &error) < 0) {
            struct activity *activity = run->activity;
            give_back(run);
            activity->running = NULL;
            free(run);
            worker_activity_fail(activity, error.message);
        }
    }
}

/* ---- Points -------------------------------------------------------------------------------- */

static void asked_free(struct asked *asked)
{
    list_remove(&asked->link);
    worker_packed_free(&asked->question);
    worker_packed_free(&asked->outcome);
    free(asked);
}

static bool has_point(const struct activity *activity, const char *name)
{
    for (size_t i = 0; i < activity->run->n_points; i++)
        if (strcmp(activity->run->points[i], name) == 0)
            return true;
    return false;
}

static bool pack_question(struct run *run, struct asked *asked, const char *name, int64_t number)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Point point = MU__POINT__INIT;
    Mu__Call call;
    worker_attempt_call(run->activity->attempt, run->activity->request, &call);
    point.call = &call;
    point.id = asked->id;
    point.name = (char *)name;
    point.number = number;
    envelope.body_case = MU__ENVELOPE__BODY_POINT;
    envelope.point = &point;
    return worker_session_pack(worker_of(run), &envelope, &asked->question);
}

static void on_await(void *opaque, const char *name, int64_t number)
{
    struct lane *lane = opaque;
    struct activity *activity = lane->activity;
    struct run *run = activity->running;
    struct asked *asked = NULL;
    if (has_point(activity, name) && !activity->cancelled)
        asked = calloc(1, sizeof *asked);
    if (asked == NULL) {
        slot_answer(lane->slot, CONTROL_CANCELLED);
        return;
    }
    asked->id = ++activity->points_asked;
    list_append(&run->points, &asked->link);
    give_back(run);
    if (pack_question(run, asked, name, number))
        worker_session_transmit(lane->worker, &asked->question);
    grant(lane->worker);
}

bool worker_run_waits_at(struct activity *activity, uint32_t point)
{
    struct run *run = activity->running;
    return run != NULL && !activity->cancelled && !list_empty(&run->points) &&
           last_asked(run)->id == point && last_asked(run)->outcome.bytes == NULL;
}

void worker_run_point_asked(struct activity *activity, uint32_t point)
{
    struct list_link *points = &activity->running->points;
    while (LIST_ENTRY(points->next, struct asked, link)->id < point)
        asked_free(LIST_ENTRY(points->next, struct asked, link));
}

void worker_run_answer(struct activity *activity, uint32_t point, enum control_answer answer,
                       struct packed outcome)
{
    if (!worker_run_waits_at(activity, point)) {
        worker_packed_free(&outcome);
        return;
    }
    struct run *run = activity->running;
    struct asked *asked = last_asked(run);
    asked->outcome = outcome;
    asked->answer = answer;
    enqueue(run);
    grant(worker_of(run));
}

void worker_run_resend(struct activity *activity)
{
    struct run *run = activity->running;
    if (run == NULL)
        return;
    for (struct list_link *link = run->points.next; link != &run->points; link = link->next) {
        struct asked *asked = LIST_ENTRY(link, struct asked, link);
        worker_session_transmit(worker_of(run), &asked->question);
        worker_session_transmit(worker_of(run), &asked->outcome);
    }
}

/* ---- The end of a command ------------------------------------------------------------------ */

static void run_free(struct run *run)
{
    give_back(run);
    list_remove(&run->queue);
    while (!list_empty(&run->points))
        asked_free(LIST_ENTRY(run->points.next, struct asked, link));
    run->activity->running = NULL;
    free(run);
}

/* What the process had asked for does not matter any more. */
static void cancel_point(struct attempt *attempt)
{
    for (struct list_link *link = attempt->activities.next; link != &attempt->activities;
         link = link->next) {
        struct activity *activity = LIST_ENTRY(link, struct activity, link);
        if (activity->point == 0)
            continue;
        worker_activity_cancel(activity); /* which may free it; there is only one */
        return;
    }
}

static void fill_outcome(Mu__Outcome *outcome, const struct slot_outcome *slot)
{
    outcome->result = MU__OUTCOME__RESULT__FAILED;
    outcome->error = (char *)slot->reason;
    if (slot->end == SLOT_EXITED) {
        outcome->exit_status = slot->status;
        if (slot->status == 0)
            outcome->result = MU__OUTCOME__RESULT__OK;
    } else if (slot->end == SLOT_SIGNALLED) {
        outcome->exit_status = -slot->status;
    } else if (slot->end == SLOT_TIMED_OUT) {
        outcome->result = MU__OUTCOME__RESULT__TIMEOUT;
    } else if (slot->end == SLOT_CANCELLED) {
        outcome->result = MU__OUTCOME__RESULT__CANCELLED;
    }
    outcome->cpu_us = slot->user_us + slot->system_us;
    outcome->memory = slot->peak_bytes;
}

static ProtobufCBinaryData text_tail(const struct slot_text *text)
{
    size_t size = text->size < WIRE_TAIL_MOST ? text->size : WIRE_TAIL_MOST;
    return (ProtobufCBinaryData){
        .data = size > 0 ? (uint8_t *)text->data + text->size - size : NULL, .len = size};
}

static void on_done(void *opaque, const struct slot_outcome *slot)
{
    struct lane *lane = opaque;
    struct activity *activity = lane->activity;
    struct worker *worker = lane->worker;
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    lane->activity = NULL;
    lane->idle_since = uv_now(worker->loop);
    run_free(activity->running);
    if (activity->packing && !activity->cancelled) {
        worker_park_ended(activity);
        grant(worker);
        return;
    }
    cancel_point(activity->attempt);
    fill_outcome(&outcome, slot);
    outcome.stderr_tail = text_tail(&slot->err);
    outcome.stdout_tail = text_tail(&slot->out);
    worker_activity_finish(activity, &outcome);
    grant(worker);
}

/* ---- The beginning ------------------------------------------------------------------------- */

static void on_lane_closed(void *opaque)
{
    struct lane *lane = opaque;
    struct worker *worker = lane->worker;
    free(lane);
    worker->lane_count--;
    worker_end_on(worker);
}

/* What runs in it is ended, and told before the lane is freed. */
static void lane_close(struct lane *lane)
{
    list_remove(&lane->link);
    slot_close(lane->slot, on_lane_closed, lane);
}

static struct lane *lane_open(struct worker *worker, struct error *error)
{
    struct lane *lane = calloc(1, sizeof *lane);
    if (lane == NULL) {
        error_set(error, -ENOMEM, "out of memory");
        return NULL;
    }
    lane->worker = worker;
    if (slot_open(worker->loop, worker->program, (const char *const *)worker->slot_argv,
                  &lane->slot, error) < 0) {
        free(lane);
        return NULL;
    }
    list_append(&worker->lanes, &lane->link);
    worker->lane_count++;
    return lane;
}

static struct lane *find_lane(struct worker *worker, struct error *error)
{
    for (struct list_link *link = worker->lanes.next; link != &worker->lanes; link = link->next) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        if (lane->activity == NULL && !slot_busy(lane->slot))
            return lane;
    }
    return lane_open(worker, error);
}

/* The command's arguments as slots want them; NULL when out of memory. */
static const char **arguments_of(const Mu__Run *run)
{
    const char **argv = calloc(run->n_argv + 1, sizeof *argv);
    for (size_t i = 0; argv != NULL && i < run->n_argv; i++)
        argv[i] = run->argv[i];
    return argv;
}

/* Starts the command in a slot. */
static int begin(struct run *run, struct error *error)
{
    struct activity *activity = run->activity;
    struct worker *worker = worker_of(run);
    struct lane *lane = find_lane(worker, error);
    if (lane == NULL)
        return error->code;
    const char **argv = arguments_of(activity->run);
    char *folder;
    if (argv == NULL ||
        asprintf(&folder, "%s/%s/files", worker->scratch.path, activity->attempt->folder) < 0) {
        free(argv);
        return error_set(error, -ENOMEM, "out of memory");
    }
    const struct slot_command command = {
        .folder = folder, .argv = argv, .limit_ms = activity->timeout_ms};
    const struct slot_events events = {.await = on_await, .done = on_done, .opaque = lane};
    int code = slot_run(lane->slot, &command, &events, error);
    free(folder);
    free(argv);
    if (code < 0)
        return code;
    lane->activity = activity;
    run->lane = lane;
    activity->started = uv_hrtime();
    return 0;
}

void worker_run_start(struct activity *activity)
{
    struct run *run = activity->run->n_argv > 0 ? calloc(1, sizeof *run) : NULL;
    if (run == NULL) {
        worker_activity_fail(activity, activity->run->n_argv > 0 ? "out of memory" : "no command");
        return;
    }
    run->activity = activity;
    list_init(&run->queue);
    list_init(&run->points);
    activity->running = run;
    enqueue(run);
    grant(worker_of(run));
}

bool worker_run_withdraw(struct activity *activity)
{
    struct run *run = activity->running;
    if (run == NULL || run->lane != NULL)
        return false;
    run_free(run);
    return true;
}

void worker_run_cancel(struct activity *activity)
{
    struct run *run = activity->running;
    if (run == NULL)
        return;
    if (worker_run_withdraw(activity))
        worker_activity_fail(activity, "cancelled");
    else
        slot_cancel(run->lane->slot);
}

/* ---- The slots as a whole ------------------------------------------------------------------ */

void worker_run_tick(struct worker *worker)
{
    uint64_t now = uv_now(worker->loop);
    for (struct list_link *link = worker->lanes.next, *next; link != &worker->lanes; link = next) {
        struct lane *lane = LIST_ENTRY(link, struct lane, link);
        next = link->next;
        if (worker->lane_count > worker->slots && lane->activity == NULL &&
            now - lane->idle_since > LANE_IDLE_MS)
            lane_close(lane);
    }
}

void worker_run_close_lanes(struct worker *worker)
{
    while (!list_empty(&worker->lanes))
        lane_close(LIST_ENTRY(worker->lanes.next, struct lane, link));
}
