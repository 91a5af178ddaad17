/*
 * Workers as invocations of an AWS Lambda function, in one region or several. Lambda takes an event and promises
 * nothing: no more is ever heard of it from there, the worker itself has to dial.
 *
 *     queue -> under way -> taken (`started`) -> forgotten
 *       ^---------' later
 *
 * Each region has a window, of invocations that are under way there at once: halved where it asks to wait, one
 * larger with each that is taken; and a pause that grows while none is.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/call.h"
#include "engine/kind.h"
#include "engine/lambda_name.h"
#include "net/list.h"

enum {
    MOST_REGIONS = 32,
    CONNECTIONS = 64,
    /* Until a region that takes nothing is said to refuse: where it asks to wait, others may be using it. */
    PATIENCE_MS = 60000,
    THROTTLED_MS = 300000,
    /* Until a region that has refused is asked again, while others take what is started. */
    REFUSED_MS = 60000,
    DOCUMENT =
        256 * 1024,  /* bytes of an asynchronous invocation, in accounts without a higher quota */
    DIAL_MS = 30000, /* from an event's being taken; cold starts take up to a few seconds */
    WAITING_MS = 30000,
};

/* Of x86-64 in us-east-1: https://aws.amazon.com/lambda/pricing/, as read in June 2026. */
#define PRICE_GB_SECOND 0.0000166667
#define PRICE_REQUEST 0.0000002

struct region {
    char *name;
    unsigned under_way, window, failures; /* failures: pauses in a row */
    uint64_t ready_at, failing_since; /* in the loop's milliseconds; failing_since 0: it is not */
    bool refused;
    struct error why;
};

struct start {
    struct lambda *lambda;
    struct list_link link;
    struct region *region;
    uint32_t worker;
    bool unwanted; /* it was killed */
    char *document;
};

struct lambda {
    struct engine engine;
    uv_loop_t *loop;
    struct engine_events events;
    struct lambda_name name;
    char path[LAMBDA_PATH_SIZE];
    struct aws *aws;
    struct http *http;
    uv_timer_t timer; /* when the queue is to be looked at */
    struct region region[MOST_REGIONS];
    int regions, last; /* last: that was given something */
    struct list_link queue, flying;
    unsigned under_way;
    bool closing;
    void (*closed)(void *opaque);
    void *closed_opaque;
};

static void look(struct lambda *lambda);

/* ---- What becomes of a start --------------------------------------------------------------- */

static void forget(struct start *start)
{
    list_remove(&start->link);
    explicit_bzero(start->document, strlen(start->document));
    free(start->document);
    free(start);
}

static void end(struct start *start, const char *how)
{
    const struct engine_events events = start->lambda->events;
    uint32_t worker = start->worker;
    forget(start);
    events.ended(events.opaque, worker, how);
}

static void refuse(struct start *start, const struct error *reason)
{
    const struct engine_events events = start->lambda->events;
    uint32_t worker = start->worker;
    forget(start);
    events.refused(events.opaque, worker, reason);
}

static void taken(struct start *start)
{
    const struct engine_events events = start->lambda->events;
    struct region *region = start->region;
    uint32_t worker = start->worker;
    region->failures = 0;
    region->failing_since = 0;
    region->window += region->window < CONNECTIONS;
    forget(start);
    events.started(events.opaque, worker);
}

/* ---- Regions ------------------------------------------------------------------------------- */

/* All that it takes goes on elsewhere, where there is another one. */
static void refuse_region(struct lambda *lambda, struct region *region, const struct error *why)
{
    region->refused = true;
    region->ready_at = uv_now(lambda->loop) + REFUSED_MS;
    region->why = *why;
}

/* Answers that come from before the pause say nothing new. */
static void pause_region(struct lambda *lambda, struct region *region,
                         const struct aws_reply *reply)
{
    uint64_t now = uv_now(lambda->loop);
    bool throttled = reply->error.code == -EBUSY;
    if (region->failing_since == 0)
        region->failing_since = now;
    if (now - region->failing_since > (throttled ? THROTTLED_MS : PATIENCE_MS)) {
        region->failing_since = 0;
        refuse_region(lambda, region, &reply->error);
    } else if (now >= region->ready_at) {
        region->failures++;
        region->ready_at = now + http_retry_pause(reply->response, region->failures);
        region->window = region->window > 1 ? region->window / 2 : 1;
    }
}

/* The next in turn that can take something now. Else NULL, and `*wait` is how long that is so: 0 until
 * something under way has ended, UINT64_MAX where all have refused. */
static struct region *choose(struct lambda *lambda, uint64_t *wait)
{
    uint64_t now = uv_now(lambda->loop);
    *wait = UINT64_MAX;
    for (int i = 1; i <= lambda->regions; i++) {
        int index = (lambda->last + i) % lambda->regions;
        struct region *region = &lambda->region[index];
        if (region->refused && now < region->ready_at)
            continue;
        region->refused = false;
        if (now >= region->ready_at && region->under_way < region->window) {
            lambda->last = index;
            return region;
        }
        uint64_t left = now < region->ready_at ? region->ready_at - now : 0;
        if (left < *wait)
            *wait = left;
    }
    return NULL;
}

/* ---- Invoking ------------------------------------------------------------------------------ */

/* A sentence for who started the job. */
static void explain(const struct lambda *lambda, const struct region *region,
                    const struct aws_reply *reply, struct error *error)
{
    *error = reply->error;
    if (reply->error.code == -ENOENT)
        error_set(error, -ENOENT,
                  "AWS Lambda has no function %s%s%s in %s; `excamera lambda deploy` makes it",
                  lambda->name.function, lambda->name.alias[0] ? ":" : "", lambda->name.alias,
                  region->name);
    else if (strncmp(reply->kind, "AccessDenied", 12) == 0)
        error_prefix(error, "cannot start workers, since that takes lambda:InvokeFunction on %s",
                     lambda->name.function);
    else
        error_prefix(error, "cannot start workers by the Lambda function %s",
                     lambda->name.function);
}

static void fly_again(struct start *start)
{
    list_remove(&start->link);
    list_append(&start->lambda->queue, &start->link);
}

/* Whether the same may go well later. */
static bool passes(const struct aws_reply *reply)
{
    return reply->error.code == -EBUSY || reply->error.code == -EEXIST ||
           (reply->response != NULL && http_may_retry(reply->response));
}

static void on_reply(void *opaque, const struct aws_reply *reply)
{
    struct start *start = opaque;
    struct lambda *lambda = start->lambda;
    struct region *region = start->region;
    struct aws_reply explained = *reply;
    lambda->under_way--;
    region->under_way--;
    if (lambda->closing) {
        forget(start);
        return;
    }
    if (reply->error.code < 0)
        explain(lambda, region, reply, &explained.error);
    if (start->unwanted) {
        end(start, "was not needed any more");
    } else if (reply->error.code == 0) {
        taken(start);
    } else if (reply->error.code == -E2BIG) {
        refuse(start, &explained.error);
    } else {
        fly_again(start);
        if (passes(reply))
            pause_region(lambda, region, &explained);
        else
            refuse_region(lambda, region, &explained.error);
    }
    look(lambda);
}

static void invoke(struct start *start, struct region *region)
{
    static const char *const headers[] = {"X-Amz-Invocation-Type: Event",
                                          "Content-Type: application/json", NULL};
    struct lambda *lambda = start->lambda;
    const struct aws_call call = {
        .service = "lambda",
        .region = region->name,
        .method = "POST",
        .path = lambda->path,
        .headers = headers,
        .body = start->document,
        .size = strlen(start->document),
    };
    struct error error;
    start->region = region;
    if (aws_call(lambda->aws, lambda->http, &call, on_reply, start, &error) < 0) {
        end(start, error.message);
        return;
    }
    list_remove(&start->link);
    list_append(&lambda->flying, &start->link);
    region->under_way++;
    lambda->under_way++;
}

/* ---- The queue ----------------------------------------------------------------------------- */

static struct start *first(struct list_link *head)
{
    return list_empty(head) ? NULL : LIST_ENTRY(head->next, struct start, link);
}

/* Where no region takes anything, waiting helps nobody. Those that come later are tried again. */
static void refuse_all(struct lambda *lambda)
{
    struct list_link refused;
    const struct error why = lambda->region[lambda->last].why;
    for (int i = 0; i < lambda->regions; i++)
        lambda->region[i].ready_at = 0;
    list_take(&refused, &lambda->queue);
    for (struct start *start; (start = first(&refused)) != NULL;) {
        if (start->unwanted)
            end(start, "was not needed any more");
        else
            refuse(start, &why);
    }
}

static void on_timer(uv_timer_t *timer)
{
    look(timer->data);
}

/* Gives away what can be given. Only from the loop, since it has events. */
static void look(struct lambda *lambda)
{
    uint64_t wait = 0; /* as choose() has it; 0 where something under way has to end first */
    for (struct start *start; !lambda->closing && (start = first(&lambda->queue)) != NULL;) {
        struct region *region = NULL;
        wait = 0;
        if (start->unwanted) {
            end(start, "was not needed any more");
            continue;
        }
        if (lambda->under_way < CONNECTIONS)
            region = choose(lambda, &wait);
        if (region == NULL)
            break;
        invoke(start, region);
    }
    if (lambda->closing || list_empty(&lambda->queue))
        return;
    if (wait == UINT64_MAX)
        refuse_all(lambda);
    else if (wait > 0)
        uv_timer_start(&lambda->timer, on_timer, wait, 0);
}

static int lambda_start(struct engine *engine, uint32_t worker, const char *document,
                        struct error *error)
{
    struct lambda *lambda = (struct lambda *)engine;
    struct start *start = calloc(1, sizeof *start);
    if (start == NULL || (start->document = strdup(document)) == NULL) {
        free(start);
        return error_set(error, -ENOMEM, "out of memory");
    }
    start->lambda = lambda;
    start->worker = worker;
    list_append(&lambda->queue, &start->link);
    uv_timer_start(&lambda->timer, on_timer, 0, 0);
    return 0;
}

/* ---- Ending -------------------------------------------------------------------------------- */

static void unwant(struct list_link *head, const uint32_t *worker)
{
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct start *start = LIST_ENTRY(link, struct start, link);
        if (worker == NULL || start->worker == *worker)
            start->unwanted = true;
    }
}

/* What runs cannot be ended from here: it ends when its coordinator dismisses it, or is gone. */
static void lambda_kill(struct engine *engine, uint32_t worker)
{
    struct lambda *lambda = (struct lambda *)engine;
    unwant(&lambda->queue, &worker);
    unwant(&lambda->flying, &worker);
    uv_timer_start(&lambda->timer, on_timer, 0, 0);
}

static void lambda_stop(struct engine *engine)
{
    struct lambda *lambda = (struct lambda *)engine;
    unwant(&lambda->queue, NULL);
    unwant(&lambda->flying, NULL);
    uv_timer_start(&lambda->timer, on_timer, 0, 0);
}

static void lambda_free(struct lambda *lambda)
{
    for (struct start *start; (start = first(&lambda->queue)) != NULL;)
        forget(start);
    for (int i = 0; i < lambda->regions; i++)
        free(lambda->region[i].name);
    free(lambda);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct lambda *lambda = handle->data;
    void (*closed)(void *opaque) = lambda->closed;
    void *opaque = lambda->closed_opaque;
    lambda_free(lambda);
    if (closed != NULL)
        closed(opaque);
}

static void on_aws_closed(void *opaque)
{
    struct lambda *lambda = opaque;
    uv_close((uv_handle_t *)&lambda->timer, on_timer_closed);
}

/* Only now: answers may ask for credentials once more. */
static void on_http_closed(void *opaque)
{
    struct lambda *lambda = opaque;
    aws_close(lambda->aws, on_aws_closed, lambda);
}

static void lambda_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    struct lambda *lambda = (struct lambda *)engine;
    lambda->closing = true;
    lambda->closed = closed;
    lambda->closed_opaque = opaque;
    http_close(lambda->http, on_http_closed, lambda);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int add_region(struct lambda *lambda, const char *name, size_t length, struct error *error)
{
    struct region *region = &lambda->region[lambda->regions];
    if (lambda->regions == MOST_REGIONS)
        return error_set(error, -EINVAL, "at most %d regions", MOST_REGIONS);
    if ((region->name = strndup(name, length)) == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    region->window = CONNECTIONS;
    lambda->regions++;
    return 0;
}

static int read_regions(struct lambda *lambda, const struct engine_choice *choice,
                        struct error *error)
{
    const char *list = engine_option(choice, "regions");
    size_t length;
    int code = 0;
    if (list == NULL)
        list = aws_region(lambda->aws);
    if (list == NULL)
        list = "";
    for (const char *name; code == 0 && (name = engine_option_next(&list, &length)) != NULL;)
        code = add_region(lambda, name, length, error);
    if (code == 0 && lambda->regions == 0)
        code = error_set(error, -EINVAL,
                         "no AWS region is known: set the engine's option regions, or AWS_REGION");
    lambda->last = lambda->regions - 1;
    return code;
}

static int read_name(struct lambda *lambda, const struct engine_choice *choice, struct error *error)
{
    const char *text = engine_option(choice, "function");
    int code = lambda_name_read(text != NULL ? text : LAMBDA_FUNCTION, &lambda->name, error);
    if (code == 0)
        lambda_name_path(&lambda->name, LAMBDA_API, "/invocations", lambda->path);
    return code;
}

static int read_limits(struct engine_limits *limits, const struct engine_choice *choice,
                       struct error *error)
{
    int64_t memory = LAMBDA_MEMORY, seconds = LAMBDA_SECONDS;
    double gb_second = PRICE_GB_SECOND;
    limits->price_start = PRICE_REQUEST;
    limits->document = DOCUMENT;
    limits->dial_ms = DIAL_MS;
    limits->waiting_ms = WAITING_MS;
    int code = engine_option_integer(choice, "memory", 128, 10240, &memory, error);
    if (code == 0)
        code = engine_option_integer(choice, "timeout", 3, 900, &seconds, error);
    if (code == 0)
        code = engine_option_amount(choice, "price_gb_second", &gb_second, error);
    if (code == 0)
        code = engine_option_amount(choice, "price_request", &limits->price_start, error);
    limits->life_ms = (uint64_t)seconds * 1000;
    limits->price_second = gb_second * (double)memory / 1024;
    return code;
}

static int read_choice(struct lambda *lambda, const struct engine_choice *choice,
                       struct error *error)
{
    int code = read_name(lambda, choice, error);
    if (code == 0)
        code = read_limits(&lambda->engine.limits, choice, error);
    if (code == 0)
        code = aws_new(lambda->loop, NULL, &lambda->aws, error);
    if (code < 0)
        return code;
    code = read_regions(lambda, choice, error);
    if (code == 0)
        code = http_new(lambda->loop, CONNECTIONS, &lambda->http, error);
    if (code < 0)
        aws_close(lambda->aws, NULL, NULL);
    return code;
}

static int lambda_open(uv_loop_t *loop, const struct engine_choice *choice, const char *program,
                       const struct engine_events *events, struct engine **engine,
                       struct error *error)
{
    struct lambda *lambda = calloc(1, sizeof *lambda);
    if (lambda == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    lambda->engine.start = lambda_start;
    lambda->engine.kill = lambda_kill;
    lambda->engine.stop = lambda_stop;
    lambda->engine.close = lambda_close;
    lambda->loop = loop;
    lambda->events = *events;
    list_init(&lambda->queue);
    list_init(&lambda->flying);
    int code = read_choice(lambda, choice, error);
    if (code < 0) {
        lambda_free(lambda);
        return code;
    }
    uv_timer_init(loop, &lambda->timer);
    lambda->timer.data = lambda;
    *engine = &lambda->engine;
    return 0;
}

static const char *const keys[] = {"function",        "regions",       "memory", "timeout",
                                   "price_gb_second", "price_request", NULL};
const struct engine_kind engine_lambda_kind = {"lambda", keys, lambda_open};
