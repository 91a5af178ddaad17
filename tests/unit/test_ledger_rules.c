/*
 * The rules of a job's bookkeeping, one by one: happenings in a given order, and the orders that must follow.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mu/job_file.h"
#include "mu/ledger.h"

/* ---- A desk on which all orders lie -------------------------------------------------------- */

enum { MOST_ORDERS = 512 };

struct desk {
    struct job *job;
    struct ledger *ledger;
    struct ledger_order order[MOST_ORDERS];
    int count;
    int64_t now;
};

static struct desk *desk_new(const char *text, const struct ledger_limits *limits)
{
    static const struct ledger_limits usual;
    struct desk *desk = calloc(1, sizeof *desk);
    struct error error = {0};
    if (job_file_parse("job", text, strlen(text), NULL, 0, &desk->job, &error) < 0)
        fail_msg("%s", error.message);
    desk->ledger = ledger_new(desk->job, limits ? limits : &usual);
    assert_non_null(desk->ledger);
    return desk;
}

static void desk_free(struct desk *desk)
{
    for (int i = 0; i < desk->count; i++)
        ledger_order_free(&desk->order[i]);
    ledger_free(desk->ledger);
    job_free(desk->job);
    free(desk);
}

static void take_orders(struct desk *desk)
{
    while (desk->count < MOST_ORDERS && ledger_order(desk->ledger, &desk->order[desk->count]))
        desk->count++;
    assert_true(desk->count < MOST_ORDERS);
}

/* The first order of this kind for this actor that was not looked at before; NULL where there is none. */
static struct ledger_order *find(struct desk *desk, enum ledger_kind kind, const char *actor)
{
    take_orders(desk);
    for (int i = 0; i < desk->count; i++) {
        struct ledger_order *order = &desk->order[i];
        if (order->kind == kind && order->actor != NULL && strcmp(order->actor, actor) == 0)
            return order;
    }
    return NULL;
}

/* The same, which must be there; it is done with. The strings in it stay. */
static struct ledger_order take(struct desk *desk, enum ledger_kind kind, const char *actor)
{
    struct ledger_order *order = find(desk, kind, actor);
    if (order == NULL)
        fail_msg("no order of kind %d for %s", (int)kind, actor);
    struct ledger_order taken = *order;
    order->kind = (enum ledger_kind) - 1;
    return taken;
}

static void assert_none(struct desk *desk, enum ledger_kind kind, const char *actor)
{
    assert_null(find(desk, kind, actor));
}

static struct ledger_call call_of(const struct ledger_order *order)
{
    return (struct ledger_call){order->actor, order->attempt, order->request};
}

static struct ledger_identity identity_of(const char *text)
{
    struct ledger_identity identity = {.size = strlen(text)};
    memcpy(identity.sha256, text, identity.size < 32 ? identity.size : 32);
    return identity;
}

/* Its request at hand, of this kind, ends so. */
static struct ledger_order end(struct desk *desk, const char *actor, enum job_kind kind,
                               enum job_outcome how)
{
    struct ledger_order order = take(desk, LEDGER_REQUEST, actor);
    const struct ledger_identity identity = identity_of(order.what.name ? order.what.name : "x");
    const struct ledger_call call = call_of(&order);
    const struct ledger_outcome outcome = {
        .outcome = how, .identity = &identity, .reason = "bad luck"};
    assert_int_equal(order.what.kind, kind);
    ledger_outcome(desk->ledger, &call, &outcome, desk->now);
    return order;
}

static void join(struct desk *desk, uint32_t worker)
{
    ledger_joined(desk->ledger, worker, 1, 0, desk->now);
}

/* The copy of a message becomes durable. */
static void store(struct desk *desk, const struct ledger_order *sent)
{
    const struct ledger_label label = {sent->actor, sent->what.peer, sent->what.name};
    const struct ledger_identity identity = identity_of(sent->what.name);
    const struct ledger_call call = call_of(sent);
    char key[JOB_MOST_PATH + 1];
    ledger_stored(desk->ledger, &call, &label, &identity, desk->now);
    ledger_message_key(&label, key);
    ledger_adopted(desk->ledger, key, sent->attempt, 0, desk->now);
}

static void assert_failed(struct desk *desk, const char *with)
{
    struct error error = {0};
    assert_int_equal(ledger_result(desk->ledger, &error), LEDGER_FAILED);
    if (strstr(error.message, with) == NULL)
        fail_msg("'%s' without '%s'", error.message, with);
}

static void assert_running(struct desk *desk)
{
    struct error error = {.message = "finished"};
    if (ledger_result(desk->ledger, &error) != LEDGER_RUNNING)
        fail_msg("%s", error.message);
}

#define JOB(actors, start, states)                                                                 \
    "{\"format\": 1, \"job\": \"rules\", \"actors\": [" actors                                     \
    "], \"machine\": {\"start\": [" start "], \"states\": {" states                                \
    ", \"done\": {\"quit\": {}}}}}"
#define WHERE(variable, value, to)                                                                 \
    "{\"if\": {\"variable\": \"" variable "\", \"is\": \"" value "\"}, \"to\": \"" to "\"}, "

/* ---- Failures ------------------------------------------------------------------------------ */

#define ONE_RUN                                                                                    \
    JOB("{\"name\": \"a\"}", "{\"to\": \"work\"}",                                                 \
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"retries\": 0, \"on\": {\"ok\": \"done\"}}")

/* A task that fails alike on three workers is to blame itself. */
static void three_workers_must_agree(void **state)
{
    struct desk *desk = desk_new(ONE_RUN, NULL);
    uint32_t on = 0;
    for (uint32_t worker = 1; worker <= 4; worker++)
        join(desk, worker);
    for (int i = 0; i < 3; i++) {
        assert_running(desk);
        struct ledger_order order = end(desk, "a", JOB_RUN, JOB_FAILED);
        assert_int_equal(on & 1u << order.worker, 0);
        on |= 1u << order.worker;
    }
    assert_failed(desk, "bad luck");
    desk_free(desk);
}

/* Where there are fewer, they try again; another failure begins the count anew. */
static void one_worker_tries_again(void **state)
{
    struct desk *desk = desk_new(ONE_RUN, NULL);
    static const enum job_outcome how[] = {JOB_FAILED,  JOB_FAILED, JOB_TIMEOUT,
                                           JOB_TIMEOUT, JOB_FAILED, JOB_FAILED};
    join(desk, 1);
    for (int i = 0; i < 6; i++) {
        end(desk, "a", JOB_RUN, how[i]);
        assert_running(desk);
    }
    end(desk, "a", JOB_RUN, JOB_FAILED);
    assert_failed(desk, "bad luck");
    desk_free(desk);
}

/* ---- Stragglers ---------------------------------------------------------------------------- */

#define FAMILY_AND_ONE                                                                             \
    JOB("{\"name\": \"alone\"}, {\"family\": \"f\", \"count\": 7}", "{\"to\": \"work\"}",          \
        "\"work\": {\"run\": {\"argv\": [\"true\"], \"points\": {\"wait\": {\"get\": {\"key\": "   \
        "\"k\", \"file\": \"k\"}}}}, \"on\": {\"ok\": \"done\"}}")

/* Ends all members' runs but the last one's, after a second each. */
static void end_six(struct desk *desk)
{
    char name[16];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "f-%06d", i);
        end(desk, name, JOB_RUN, JOB_OK);
        end(desk, name, JOB_QUIT, JOB_OK);
    }
}

static struct desk *desk_with_straggler(void)
{
    const struct ledger_limits limits = {.window = 100};
    struct desk *desk = desk_new(FAMILY_AND_ONE, &limits);
    for (uint32_t worker = 1; worker <= 8; worker++)
        join(desk, worker);
    desk->now = 1000;
    end_six(desk);
    return desk;
}

static void slow_ones_are_started_twice(void **state)
{
    struct desk *desk = desk_with_straggler();
    struct ledger_order first = take(desk, LEDGER_REQUEST, "f-000006");
    ledger_tick(desk->ledger, 3000);
    assert_none(desk, LEDGER_REQUEST, "f-000006");
    ledger_tick(desk->ledger, 3001);
    struct ledger_order *second = find(desk, LEDGER_REQUEST, "f-000006");
    assert_non_null(second);
    assert_int_not_equal(second->worker, first.worker);
    ledger_tick(desk->ledger, 100000);
    /* Never twice for those that are the only ones of their kind. */
    take(desk, LEDGER_REQUEST, "alone");
    assert_none(desk, LEDGER_REQUEST, "alone");
    /* The first result counts. */
    desk->now = 100000;
    end(desk, "f-000006", JOB_RUN, JOB_OK);
    assert_none(desk, LEDGER_REQUEST, "f-000006-");
    end(desk, "f-000006", JOB_QUIT, JOB_OK);
    assert_int_equal(take(desk, LEDGER_DROP, "f-000006").attempt, first.attempt);
    take(desk, LEDGER_DONE, "f-000006");
    assert_none(desk, LEDGER_DONE, "f-000006");
    const struct ledger_call call = call_of(&first);
    const struct ledger_outcome late = {.outcome = JOB_FAILED};
    ledger_outcome(desk->ledger, &call, &late, desk->now);
    assert_none(desk, LEDGER_REQUEST, "f-000006");
    assert_running(desk);
    desk_free(desk);
}

/* Time at a point is no time. */
static void waiting_is_not_slow(void **state)
{
    struct desk *desk = desk_with_straggler();
    struct ledger_order run = take(desk, LEDGER_REQUEST, "f-000006");
    const struct ledger_call call = call_of(&run);
    const struct ledger_outcome ok = {.outcome = JOB_OK};
    ledger_point(desk->ledger, &call, 1, "wait", -1, 1500);
    ledger_tick(desk->ledger, 50000);
    ledger_point_outcome(desk->ledger, &call, 1, &ok, 60000);
    ledger_tick(desk->ledger, 61500);
    assert_none(desk, LEDGER_REQUEST, "f-000006");
    ledger_tick(desk->ledger, 61501);
    assert_non_null(find(desk, LEDGER_REQUEST, "f-000006"));
    desk_free(desk);
}

/* ---- Families that close ------------------------------------------------------------------- */

#define OPEN_FAMILY(states)                                                                        \
    JOB("{\"name\": \"head\"}, {\"family\": \"f\", \"count\": \"open\"}",                          \
        WHERE("actor", "head", "lead") "{\"to\": \"first\"}",                                      \
        "\"lead\": {\"run\": {\"argv\": [\"true\"], \"points\": {"                                 \
        "\"hear\": {\"receive\": {\"from\": \"f-${number}\", \"name\": \"m\", \"file\": \"m\"}}, " \
        "\"tell\": {\"send\": {\"to\": \"f-${number}\", \"name\": \"t\", \"file\": \"t\"}}, "      \
        "\"end\": {\"close\": {\"family\": \"f\"}}}}, \"on\": {\"ok\": \"done\"}}, " states)
#define SAYS                                                                                       \
    "\"first\": {\"send\": {\"to\": \"head\", \"name\": \"m\", \"text\": \"\"}, "                  \
    "\"on\": {\"ok\": \"listen\"}}, \"listen\": {\"receive\": {\"from\": \"head\", "               \
    "\"name\": \"t\", \"file\": \"t\"}, \"on\": {\"ok\": \"done\"}}"
#define PUTS                                                                                       \
    "\"first\": {\"put\": {\"key\": \"k/${actor}\", \"file\": \"k\"}, "                            \
    "\"on\": {\"ok\": \"first-said\"}}, \"first-said\": {\"send\": {\"to\": \"head\", "            \
    "\"name\": \"m\", \"text\": \"\"}, \"on\": {\"ok\": \"listen\"}}, "                            \
    "\"listen\": {\"receive\": {\"from\": \"head\", "                                              \
    "\"name\": \"t\", \"file\": \"t\"}, \"on\": {\"ok\": \"done\"}}"

struct leader {
    struct desk *desk;
    struct ledger_order run;
    uint32_t point;
};

static struct leader lead(const char *job)
{
    struct leader leader = {.desk = desk_new(job, NULL)};
    join(leader.desk, 1);
    leader.run = take(leader.desk, LEDGER_REQUEST, "head");
    return leader;
}

static void ask(struct leader *leader, const char *point, int64_t number)
{
    const struct ledger_call call = call_of(&leader->run);
    ledger_point(leader->desk->ledger, &call, ++leader->point, point, number, leader->desk->now);
}

static void answer(struct leader *leader, const char *name)
{
    const struct ledger_call call = call_of(&leader->run);
    const struct ledger_identity identity = identity_of(name);
    const struct ledger_outcome ok = {.outcome = JOB_OK, .identity = &identity};
    ledger_point_outcome(leader->desk->ledger, &call, leader->point, &ok, leader->desk->now);
}

/* Those beyond go, whatever they were at; what they had sent is nobody's. */
static void members_beyond_the_end_go(void **state)
{
    struct leader leader = lead(OPEN_FAMILY(SAYS));
    struct desk *desk = leader.desk;
    end(desk, "f-000000", JOB_SEND, JOB_OK); /* and is never stored */
    struct ledger_order sent = end(desk, "f-000001", JOB_SEND, JOB_OK);
    ask(&leader, "tell", 2); /* who will not be there either */
    take(desk, LEDGER_POINT, "head");
    answer(&leader, "t");
    ask(&leader, "end", 0);
    take(desk, LEDGER_POINT, "head");
    answer(&leader, "");
    take(desk, LEDGER_DROP, "f-000000");
    take(desk, LEDGER_DROP, "f-000003");
    store(desk, &sent); /* comes too late */
    assert_none(desk, LEDGER_MESSAGE, "head");
    const struct ledger_call call = call_of(&leader.run);
    const struct ledger_outcome ok = {.outcome = JOB_OK};
    ledger_outcome(desk->ledger, &call, &ok, 1);
    end(desk, "head", JOB_QUIT, JOB_OK);
    take(desk, LEDGER_DONE, "head");
    struct error error;
    assert_int_equal(ledger_result(desk->ledger, &error), LEDGER_FINISHED);
    desk_free(desk);
}

static void members_that_were_heard_cannot_go(void **state)
{
    struct leader leader = lead(OPEN_FAMILY(SAYS));
    end(leader.desk, "f-000000", JOB_SEND, JOB_OK);
    ask(&leader, "hear", 0);
    answer(&leader, "m");
    ask(&leader, "end", 0);
    assert_failed(leader.desk, "family 'f' has only 0 members, but 'f-000000' has sent a message");
    desk_free(leader.desk);

    leader = lead(OPEN_FAMILY(PUTS));
    end(leader.desk, "f-000001", JOB_PUT, JOB_OK);
    ask(&leader, "end", 1);
    assert_failed(leader.desk, "'f-000001' has put an object");
    desk_free(leader.desk);

    leader = lead(OPEN_FAMILY("\"first\": {\"set\": {}, \"on\": {\"ok\": \"first-said\"}}, "
                              "\"first-said\": {\"send\": {\"to\": \"head\", \"name\": \"m\", "
                              "\"text\": \"\"}, \"on\": {\"ok\": \"done\"}}"));
    struct ledger_order sent = end(leader.desk, "f-000000", JOB_SEND, JOB_OK);
    store(leader.desk, &sent);
    end(leader.desk, "f-000000", JOB_QUIT, JOB_OK);
    take(leader.desk, LEDGER_DONE, "f-000000");
    ask(&leader, "end", 0);
    assert_failed(leader.desk, "'f-000000' is done");
    desk_free(leader.desk);
}

/* ---- What is lost -------------------------------------------------------------------------- */

#define TWO                                                                                        \
    JOB("{\"name\": \"a\"}, {\"name\": \"b\"}", WHERE("actor", "a", "say") "{\"to\": \"hear\"}",   \
        "\"say\": {\"send\": {\"to\": \"b\", \"name\": \"m\", \"text\": \"\"}, "                   \
        "\"on\": {\"ok\": \"more\"}}, "                                                            \
        "\"more\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"done\"}}, "                \
        "\"hear\": {\"receive\": {\"from\": \"a\", \"name\": \"m\", \"file\": \"m\"}, "            \
        "\"on\": {\"ok\": \"done\"}}")

/* Its sender is under way still, and runs again as soon as it is done. */
static void lost_while_its_sender_goes_on(void **state)
{
    struct desk *desk = desk_new(TWO, NULL);
    join(desk, 1);
    struct ledger_order sent = end(desk, "a", JOB_SEND, JOB_OK);
    store(desk, &sent);
    end(desk, "b", JOB_RECEIVE, JOB_FAILED); /* the copy is gone */
    end(desk, "a", JOB_RUN, JOB_OK);
    assert_none(desk, LEDGER_DONE, "a");
    end(desk, "a", JOB_QUIT, JOB_OK);
    take(desk, LEDGER_DONE, "a");
    sent = end(desk, "a", JOB_SEND, JOB_OK);
    store(desk, &sent);
    end(desk, "b", JOB_RECEIVE, JOB_OK);
    end(desk, "b", JOB_QUIT, JOB_OK);
    take(desk, LEDGER_DONE, "b");
    desk_free(desk);
}

/* A sender's worker is lost before the copy is there: nobody counts on it any more. */
static void sent_by_a_worker_that_is_lost(void **state)
{
    struct desk *desk = desk_new(TWO, NULL);
    join(desk, 1);
    end(desk, "a", JOB_SEND, JOB_OK);
    take(desk, LEDGER_REQUEST, "a"); /* "more" */
    take(desk, LEDGER_REQUEST, "b");
    ledger_lost(desk->ledger, 1, 1);
    join(desk, 2);
    struct ledger_progress progress;
    ledger_progress(desk->ledger, &progress);
    assert_int_equal(progress.waiting, 1);
    struct ledger_order sent = end(desk, "a", JOB_SEND, JOB_OK);
    ledger_progress(desk->ledger, &progress);
    assert_int_equal(progress.waiting, 0);
    store(desk, &sent);
    end(desk, "a", JOB_RUN, JOB_OK);
    end(desk, "a", JOB_QUIT, JOB_OK);
    take(desk, LEDGER_DONE, "a");
    desk_free(desk);
}

#define BOTH_WAIT                                                                                  \
    JOB("{\"name\": \"a\"}, {\"name\": \"b\"}", WHERE("actor", "a", "say") "{\"to\": \"hear\"}",   \
        "\"say\": {\"send\": {\"to\": \"b\", \"name\": \"m\", \"text\": \"\"}, "                   \
        "\"on\": {\"ok\": \"wait\"}}, "                                                            \
        "\"wait\": {\"receive\": {\"from\": \"b\", \"name\": \"n\", \"file\": \"n\"}, "            \
        "\"on\": {\"ok\": \"done\"}}, "                                                            \
        "\"hear\": {\"receive\": {\"from\": \"a\", \"name\": \"m\", \"file\": \"m\"}, "            \
        "\"on\": {\"ok\": \"reply\"}}, "                                                           \
        "\"reply\": {\"send\": {\"to\": \"a\", \"name\": \"n\", \"text\": \"\"}, "                 \
        "\"on\": {\"ok\": \"done\"}}")

/* Its sender waits for who waits for it: it begins again. */
static void lost_between_two_that_wait(void **state)
{
    struct desk *desk = desk_new(BOTH_WAIT, NULL);
    join(desk, 1);
    struct ledger_order sent = end(desk, "a", JOB_SEND, JOB_OK);
    store(desk, &sent);
    take(desk, LEDGER_REQUEST, "a"); /* to wait */
    end(desk, "b", JOB_RECEIVE, JOB_FAILED);
    take(desk, LEDGER_DROP, "a");
    sent = end(desk, "a", JOB_SEND, JOB_OK);
    assert_int_equal(sent.attempt, 2);
    store(desk, &sent);
    end(desk, "b", JOB_RECEIVE, JOB_OK);
    sent = end(desk, "b", JOB_SEND, JOB_OK);
    store(desk, &sent);
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    end(desk, "a", JOB_QUIT, JOB_OK);
    take(desk, LEDGER_DONE, "a");
    assert_running(desk);
    desk_free(desk);
}

/* ---- Parking ------------------------------------------------------------------------------- */

#define PAIR                                                                                       \
    JOB("{\"name\": \"a\"}, {\"name\": \"b\"}", WHERE("actor", "a", "hear") "{\"to\": \"work\"}",  \
        "\"hear\": {\"receive\": {\"from\": \"b\", \"name\": \"m\", \"file\": \"m\"}, "            \
        "\"on\": {\"ok\": \"more\"}}, "                                                            \
        "\"more\": {\"run\": {\"argv\": [\"true\"]}, \"retries\": 0, \"on\": {\"ok\": "            \
        "\"done\"}}, "                                                                             \
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"say\"}}, "                 \
        "\"say\": {\"send\": {\"to\": \"a\", \"name\": \"m\", \"text\": \"\"}, "                   \
        "\"on\": {\"ok\": \"done\"}}")

static const struct ledger_limits narrow = {.actors = 1};

/* The actor is asked to be parked, and is. */
static struct ledger_order park(struct desk *desk, const char *actor)
{
    struct ledger_order order = take(desk, LEDGER_PARK, actor);
    const struct ledger_call call = call_of(&order);
    const struct ledger_identity identity = identity_of(actor);
    ledger_parked(desk->ledger, &call, &identity, desk->now);
    return order;
}

static struct ledger_order unpark(struct desk *desk, const char *actor, enum job_outcome how)
{
    struct ledger_order order = take(desk, LEDGER_UNPARK, actor);
    const struct ledger_call call = call_of(&order);
    const struct ledger_outcome outcome = {.outcome = how};
    ledger_outcome(desk->ledger, &call, &outcome, desk->now);
    return order;
}

/* One place, and an actor in it that waits for one that has none. */
static struct desk *desk_with_parked(void)
{
    struct desk *desk = desk_new(PAIR, &narrow);
    join(desk, 1);
    take(desk, LEDGER_REQUEST, "a");
    ledger_tick(desk->ledger, 999);
    assert_none(desk, LEDGER_PARK, "a");
    desk->now = 1000;
    ledger_tick(desk->ledger, desk->now);
    struct ledger_order parked = park(desk, "a");
    assert_string_equal(parked.key, "parked/a");
    parked = take(desk, LEDGER_PARKED, "a");
    assert_int_equal(parked.attempt, 1);
    assert_non_null(strstr(parked.text, "\"hear\""));
    return desk;
}

static void who_waits_is_parked_for_others(void **state)
{
    struct desk *desk = desk_with_parked();
    end(desk, "b", JOB_RUN, JOB_OK);
    assert_none(desk, LEDGER_UNPARK, "a");
    struct ledger_order sent = end(desk, "b", JOB_SEND, JOB_OK);
    assert_none(desk, LEDGER_UNPARK, "a"); /* no room yet */
    end(desk, "b", JOB_QUIT, JOB_OK);
    store(desk, &sent);
    take(desk, LEDGER_DONE, "b");
    struct ledger_order back = unpark(desk, "a", JOB_OK);
    assert_string_equal(back.key, "parked/a.attempt-1");
    assert_int_equal(back.attempt, 2);
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    /* Its worker is lost: it goes on from there once more. */
    take(desk, LEDGER_REQUEST, "a");
    ledger_lost(desk->ledger, 1, 2000);
    join(desk, 2);
    unpark(desk, "a", JOB_OK);
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    end(desk, "a", JOB_RUN, JOB_OK);
    end(desk, "a", JOB_QUIT, JOB_OK);
    take(desk, LEDGER_DONE, "a");
    struct error error;
    assert_int_equal(ledger_result(desk->ledger, &error), LEDGER_FINISHED);
    desk_free(desk);
}

/* What is parked cannot be had, or leads to a failure: it begins at the start. */
static void what_was_parked_is_of_no_use(void **state)
{
    struct desk *desk = desk_with_parked();
    end(desk, "b", JOB_RUN, JOB_OK);
    struct ledger_order sent = end(desk, "b", JOB_SEND, JOB_OK);
    end(desk, "b", JOB_QUIT, JOB_OK);
    store(desk, &sent);
    unpark(desk, "a", JOB_FAILED);
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    end(desk, "a", JOB_RUN, JOB_FAILED);
    assert_none(desk, LEDGER_UNPARK, "a");
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    desk_free(desk);
}

/* The message comes while it is being parked: nothing has happened. */
static void the_message_comes_first(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    join(desk, 1);
    ledger_retire(desk->ledger, 1, 1);
    struct ledger_order asked = take(desk, LEDGER_PARK, "a");
    end(desk, "b", JOB_RUN, JOB_OK);
    end(desk, "b", JOB_SEND, JOB_OK);
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    const struct ledger_call call = call_of(&asked);
    const struct ledger_identity identity = identity_of("a");
    ledger_parked(desk->ledger, &call, &identity, 2);
    assert_none(desk, LEDGER_PARKED, "a");
    struct ledger_order stow = take(desk, LEDGER_STOW, "a");
    const struct ledger_call next = call_of(&stow);
    const struct ledger_outcome failed = {.outcome = JOB_FAILED};
    ledger_outcome(desk->ledger, &next, &failed, 2);
    end(desk, "a", JOB_RUN, JOB_OK);
    desk_free(desk);
}

/* One that retires gives away those that wait, keeps those that work, and gets no others. */
static void workers_retire(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    join(desk, 1);
    ledger_retire(desk->ledger, 1, 1);
    ledger_retire(desk->ledger, 9, 1);
    park(desk, "a");
    assert_int_equal(ledger_load(desk->ledger, 1), 1);
    struct ledger_order sent = end(desk, "b", JOB_RUN, JOB_OK);
    sent = end(desk, "b", JOB_SEND, JOB_OK);
    store(desk, &sent);
    assert_none(desk, LEDGER_UNPARK, "a");
    end(desk, "b", JOB_QUIT, JOB_OK);
    assert_int_equal(ledger_load(desk->ledger, 1), 0);
    ledger_lost(desk->ledger, 1, 2);
    join(desk, 2);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2);
    desk_free(desk);
}

/* Of a worker that does not do as it is told. */
static void only_who_waits_can_be_parked(void **state)
{
    struct desk *desk = desk_new(ONE_RUN, NULL);
    const struct ledger_identity identity = identity_of("a");
    join(desk, 1);
    for (int i = 0; i < 3; i++) {
        assert_running(desk);
        struct ledger_order run = take(desk, LEDGER_REQUEST, "a");
        const struct ledger_call call = call_of(&run);
        ledger_parked(desk->ledger, &call, &identity, 1);
        assert_none(desk, LEDGER_PARKED, "a");
    }
    assert_failed(desk, "was not told to");
    desk_free(desk);
}

/* A worker that comes back is told again what it may not have heard. */
static void parking_is_said_again(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    join(desk, 1);
    ledger_retire(desk->ledger, 1, 1);
    struct ledger_order asked = take(desk, LEDGER_PARK, "a");
    const struct ledger_call call = call_of(&asked);
    ledger_held(desk->ledger, 1, &call);
    ledger_held(desk->ledger, 1, NULL);
    assert_int_equal(park(desk, "a").request, asked.request);
    take(desk, LEDGER_PARKED, "a");
    desk_free(desk);
}

/* What the journal says of actors that were parked, in any order that can be. */
static void parked_ones_are_remembered(void **state)
{
    static const char at[] = "{\"state\": \"hear\", \"tries\": 0, \"set\": {}}";
    const struct ledger_identity identity = identity_of("a");
    const struct ledger_label label = {"b", "a", "m"};
    struct desk *desk = desk_new(PAIR, NULL);
    struct ledger *ledger = desk->ledger;
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_parked(ledger, "a", 7, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_parked(ledger, "c", 1, at, NULL, NULL, &identity), -EBADMSG);
    assert_int_equal(ledger_replay_parked(ledger, "b", 1, "{}", NULL, NULL, &identity), -EBADMSG);
    join(desk, 1);
    end(desk, "b", JOB_RUN, JOB_OK);
    assert_none(desk, LEDGER_UNPARK, "a");
    end(desk, "b", JOB_SEND, JOB_OK);
    assert_string_equal(unpark(desk, "a", JOB_OK).key, "parked/a.attempt-7");
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    desk_free(desk);

    desk = desk_new(PAIR, NULL);
    ledger = desk->ledger;
    assert_int_equal(ledger_replay_message(ledger, &label, &identity), 0);
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_done(ledger, "b", 0), 0);
    join(desk, 1);
    unpark(desk, "a", JOB_OK); /* at once: what it waits for is there */
    desk_free(desk);

    desk = desk_new(PAIR, NULL);
    ledger = desk->ledger;
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_done(ledger, "a", 0), 0);
    assert_int_equal(ledger_replay_parked(ledger, "a", 4, at, NULL, NULL, &identity), 0);
    assert_int_equal(ledger_replay_done(ledger, "b", 0), 0);
    join(desk, 1);
    struct error error;
    assert_int_equal(ledger_result(ledger, &error), LEDGER_FINISHED);
    desk_free(desk);

    desk = desk_new(PAIR, NULL);
    ledger = desk->ledger;
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, NULL, NULL, &identity), 0);
    join(desk, 1);
    unpark(desk, "a", JOB_OK); /* at once: it waits for nothing */
    desk_free(desk);
}

#define RUNS(count)                                                                                \
    JOB("{\"family\": \"one\", \"count\": " count "}", "{\"to\": \"work\"}",                       \
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"finish\"}}, "              \
        "\"finish\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"done\"}}")

/* ---- Workers that are to end --------------------------------------------------------------- */

/* The worker has parked the actor with the request that it was told of. */
static void was_parked(struct desk *desk, const struct ledger_order *asked)
{
    const struct ledger_call call = call_of(asked);
    const struct ledger_identity identity = identity_of(asked->actor);
    ledger_parked(desk->ledger, &call, &identity, desk->now);
}

#define ONE_POINT                                                                                  \
    JOB("{\"name\": \"a\"}, {\"name\": \"b\"}", WHERE("actor", "a", "hear") "{\"to\": \"work\"}",  \
        "\"hear\": {\"run\": {\"argv\": [\"true\"], \"points\": {\"m\": {\"receive\": {\"from\": " \
        "\"b\", \"name\": \"m\", \"file\": \"m\"}}}}, \"on\": {\"ok\": \"done\"}}, "               \
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"say\"}}, "                 \
        "\"say\": {\"send\": {\"to\": \"a\", \"name\": \"m\", \"text\": \"\"}, "                   \
        "\"on\": {\"ok\": \"done\"}}")

/* A command that waits at a point is begun anew where it goes on, when its message is there. */
static void at_points_they_are_parked(void **state)
{
    struct desk *desk = desk_new(ONE_POINT, NULL);
    join(desk, 1);
    struct ledger_order run = take(desk, LEDGER_REQUEST, "a");
    const struct ledger_call call = call_of(&run);
    ledger_point(desk->ledger, &call, 1, "m", -1, 1);
    ledger_retire(desk->ledger, 1, 2);
    struct ledger_order asked = take(desk, LEDGER_PARK, "a");
    assert_int_equal(asked.point, 1);
    was_parked(desk, &asked);
    struct ledger_order parked = take(desk, LEDGER_PARKED, "a");
    assert_string_equal(parked.peer, "b");
    assert_string_equal(parked.name, "m");
    join(desk, 2);
    assert_none(desk, LEDGER_UNPARK, "a");
    end(desk, "b", JOB_RUN, JOB_OK);
    end(desk, "b", JOB_SEND, JOB_OK);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2);
    end(desk, "a", JOB_RUN, JOB_OK);
    end(desk, "a", JOB_QUIT, JOB_OK);
    desk_free(desk);
}

/* The process that asks for a next point has not been parked at the one before. */
static void the_point_s_message_comes_first(void **state)
{
    struct desk *desk = desk_new(ONE_POINT, NULL);
    join(desk, 1);
    struct ledger_order run = take(desk, LEDGER_REQUEST, "a");
    const struct ledger_call call = call_of(&run);
    ledger_point(desk->ledger, &call, 1, "m", -1, 1);
    ledger_retire(desk->ledger, 1, 2);
    take(desk, LEDGER_PARK, "a");
    ledger_point(desk->ledger, &call, 2, "m", -1, 3);
    struct ledger_order again = take(desk, LEDGER_PARK, "a");
    assert_int_equal(again.point, 2);
    desk_free(desk);
}

/* Between two commands they go on elsewhere, unless that cannot be. */
static void before_a_command_they_leave(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    join(desk, 1);
    end(desk, "b", JOB_RUN, JOB_OK);
    end(desk, "b", JOB_SEND, JOB_OK);
    ledger_retire(desk->ledger, 1, 1);
    end(desk, "a", JOB_RECEIVE, JOB_OK);
    struct ledger_order stow = take(desk, LEDGER_STOW, "a");
    assert_string_equal(stow.key, "parked/a");
    was_parked(desk, &stow);
    assert_null(take(desk, LEDGER_PARKED, "a").name);
    join(desk, 2);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2);
    ledger_retire(desk->ledger, 2, 2);
    end(desk, "a", JOB_RUN, JOB_OK); /* begun before */
    desk_free(desk);
}

/* Who may not have begun yet is asked to leave. */
static void those_that_wait_for_a_core_leave(void **state)
{
    struct desk *desk = desk_new(RUNS("2"), NULL);
    join(desk, 1);
    take(desk, LEDGER_REQUEST, "one-000000");
    take(desk, LEDGER_REQUEST, "one-000001");
    ledger_retire(desk->ledger, 1, 1);
    assert_none(desk, LEDGER_PARK, "one-000000"); /* it had the only core */
    struct ledger_order asked = take(desk, LEDGER_PARK, "one-000001");
    assert_int_equal(asked.point, 0);
    was_parked(desk, &asked);
    take(desk, LEDGER_PARKED, "one-000001");
    join(desk, 2);
    unpark(desk, "one-000001", JOB_OK);
    end(desk, "one-000001", JOB_RUN, JOB_OK);
    desk_free(desk);
}

static void join_until(struct desk *desk, uint32_t worker, int64_t until)
{
    ledger_joined(desk->ledger, worker, 1, until, desk->now);
}

static void tick(struct desk *desk, int64_t now)
{
    desk->now = now;
    ledger_tick(desk->ledger, now);
    take_orders(desk);
}

static bool is_retired(struct desk *desk, uint32_t worker)
{
    take_orders(desk);
    for (int i = 0; i < desk->count; i++)
        if (desk->order[i].kind == LEDGER_RETIRE && desk->order[i].worker == worker)
            return true;
    return false;
}

/* What is to be done takes too long for what is left of its time: somebody else does it. */
static void time_is_short(void **state)
{
    struct desk *desk = desk_new(RUNS("4"), &narrow);
    join_until(desk, 1, 10000);
    for (int i = 0; i < 3; i++) {
        char name[32];
        snprintf(name, sizeof name, "one-00000%d", i);
        end(desk, name, JOB_RUN, JOB_OK);
        desk->now += 2000;
        end(desk, name, JOB_RUN, JOB_OK);
        end(desk, name, JOB_QUIT, JOB_OK);
    }
    desk->now = 7500; /* it may take half as long again as the others */
    end(desk, "one-000003", JOB_RUN, JOB_OK);
    struct ledger_order stow = take(desk, LEDGER_STOW, "one-000003");
    assert_false(is_retired(desk, 1));
    was_parked(desk, &stow);
    take(desk, LEDGER_PARKED, "one-000003");
    tick(desk, 7600);
    assert_true(is_retired(desk, 1)); /* there is nothing else to do */
    join_until(desk, 2, 17600);
    assert_int_equal(unpark(desk, "one-000003", JOB_OK).worker, 2);
    end(desk, "one-000003", JOB_RUN, JOB_OK);
    desk_free(desk);
}

/* A command that does not end with its worker's time is run on one with more; then the job fails. */
static void commands_that_take_too_long(void **state)
{
    struct desk *desk = desk_new(ONE_RUN, NULL);
    join_until(desk, 1, 10000);
    take(desk, LEDGER_REQUEST, "a");
    tick(desk, 10000);
    assert_true(is_retired(desk, 1));
    desk->now = 10500;
    ledger_lost(desk->ledger, 1, desk->now);
    assert_running(desk);
    join_until(desk, 2, 20500);
    take(desk, LEDGER_REQUEST, "a");
    ledger_lost(desk->ledger, 2, 15000); /* by bad luck */
    assert_running(desk);
    desk->now = 20000;
    join_until(desk, 3, 30000);
    take(desk, LEDGER_REQUEST, "a");
    ledger_lost(desk->ledger, 3, 30500);
    assert_failed(desk, "state 'work': its command had run for 10 s");
    desk_free(desk);
}

/* When its worker's time is over a command leaves at any point, also where its message is there. */
static void commands_leave_when_it_is_late(void **state)
{
    struct desk *desk = desk_new(ONE_POINT, NULL);
    join_until(desk, 1, 10000);
    end(desk, "b", JOB_RUN, JOB_OK);
    end(desk, "b", JOB_SEND, JOB_OK);
    struct ledger_order run = take(desk, LEDGER_REQUEST, "a");
    const struct ledger_call call = call_of(&run);
    tick(desk, 10000);
    ledger_point(desk->ledger, &call, 1, "m", -1, 10001);
    desk->now = 10002;
    struct ledger_order asked = take(desk, LEDGER_PARK, "a");
    was_parked(desk, &asked);
    take(desk, LEDGER_PARKED, "a");
    join(desk, 2);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2); /* at once */
    desk_free(desk);
}

/* All that it has only waits. */
static void who_only_waits_ends(void **state)
{
    const struct ledger_limits limits = {.actors = 1, .idle_ms = 1000, .window = 10};
    struct desk *desk = desk_new(PAIR, &limits);
    join(desk, 1);
    join(desk, 2);
    assert_int_equal(ledger_runnable(desk->ledger, 9), 1); /* "b" */
    tick(desk, 1);
    tick(desk, 999);
    assert_none(desk, LEDGER_PARK, "a");
    tick(desk, 1001);
    uint32_t worker = park(desk, "a").worker;
    assert_true(is_retired(desk, worker));
    assert_false(is_retired(desk, 3 - worker));
    take(desk, LEDGER_PARKED, "a");
    assert_int_equal(ledger_runnable(desk->ledger, 9), 1);
    end(desk, "b", JOB_RUN, JOB_OK);
    end(desk, "b", JOB_SEND, JOB_OK);
    assert_int_equal(ledger_runnable(desk->ledger, 9), 2);
    join(desk, 3);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 3);
    desk_free(desk);
}

/* Those who are needed are known before there is a worker, since none comes for those who only wait. */
static void somebody_is_needed(void **state)
{
    static const char at[] = "{\"state\": \"hear\", \"tries\": 0, \"set\": {}}";
    const struct ledger_limits limits = {.window = 1, .idle_ms = 1000};
    const struct ledger_identity identity = identity_of("a");
    struct desk *desk = desk_new(PAIR, &limits);
    assert_int_equal(ledger_replay_parked(desk->ledger, "a", 3, at, "b", "m", &identity), 0);
    tick(desk, 1);
    assert_int_equal(ledger_runnable(desk->ledger, 9), 1);
    join(desk, 1);
    end(desk, "b", JOB_RUN, JOB_OK);
    desk_free(desk);
}

/* Who comes first leaves something for those who come. */
static void others_are_expected(void **state)
{
    struct desk *desk = desk_new(RUNS("2"), NULL);
    ledger_expect(desk->ledger, 1);
    join(desk, 1);
    take(desk, LEDGER_REQUEST, "one-000000");
    assert_none(desk, LEDGER_REQUEST, "one-000001");
    ledger_expect(desk->ledger, 0);
    join(desk, 2);
    assert_int_equal(take(desk, LEDGER_REQUEST, "one-000001").worker, 2);
    desk_free(desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_workers_must_agree),
        cmocka_unit_test(one_worker_tries_again),
        cmocka_unit_test(slow_ones_are_started_twice),
        cmocka_unit_test(waiting_is_not_slow),
        cmocka_unit_test(members_beyond_the_end_go),
        cmocka_unit_test(members_that_were_heard_cannot_go),
        cmocka_unit_test(lost_while_its_sender_goes_on),
        cmocka_unit_test(sent_by_a_worker_that_is_lost),
        cmocka_unit_test(lost_between_two_that_wait),
        cmocka_unit_test(who_waits_is_parked_for_others),
        cmocka_unit_test(what_was_parked_is_of_no_use),
        cmocka_unit_test(the_message_comes_first),
        cmocka_unit_test(workers_retire),
        cmocka_unit_test(only_who_waits_can_be_parked),
        cmocka_unit_test(parking_is_said_again),
        cmocka_unit_test(parked_ones_are_remembered),
        cmocka_unit_test(at_points_they_are_parked),
        cmocka_unit_test(the_point_s_message_comes_first),
        cmocka_unit_test(before_a_command_they_leave),
        cmocka_unit_test(those_that_wait_for_a_core_leave),
        cmocka_unit_test(time_is_short),
        cmocka_unit_test(commands_that_take_too_long),
        cmocka_unit_test(who_only_waits_ends),
        cmocka_unit_test(commands_leave_when_it_is_late),
        cmocka_unit_test(others_are_expected),
        cmocka_unit_test(somebody_is_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
