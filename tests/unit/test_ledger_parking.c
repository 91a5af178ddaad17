/*
 * The rules of a job's bookkeeping, as in test_ledger_rules.c: of parking, and of workers that live for a while.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ledger_desk.h"

#define ONE_RUN                                                                                    \
    JOB("{\"name\": \"a\"}", "{\"to\": \"work\"}",                                                 \
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"retries\": 0, \"on\": {\"ok\": \"done\"}}")

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
    struct ledger_order order = desk_take(desk, LEDGER_PARK, actor);
    const struct ledger_call call = desk_call(&order);
    const struct ledger_identity identity = desk_identity(actor);
    ledger_parked(desk->ledger, &call, &identity, desk->now);
    return order;
}

static struct ledger_order unpark(struct desk *desk, const char *actor, enum job_outcome how)
{
    struct ledger_order order = desk_take(desk, LEDGER_UNPARK, actor);
    const struct ledger_call call = desk_call(&order);
    const struct ledger_outcome outcome = {.outcome = how};
    ledger_outcome(desk->ledger, &call, &outcome, desk->now);
    return order;
}

/* One place, and an actor in it that waits for one that has none. */
static struct desk *desk_with_parked(void)
{
    struct desk *desk = desk_new(PAIR, &narrow);
    desk_join(desk, 1);
    desk_take(desk, LEDGER_REQUEST, "a");
    ledger_tick(desk->ledger, 999);
    desk_assert_none(desk, LEDGER_PARK, "a");
    desk->now = 1000;
    ledger_tick(desk->ledger, desk->now);
    struct ledger_order parked = park(desk, "a");
    assert_string_equal(parked.key, "parked/a");
    parked = desk_take(desk, LEDGER_PARKED, "a");
    assert_int_equal(parked.attempt, 1);
    assert_non_null(strstr(parked.text, "\"hear\""));
    return desk;
}

static void who_waits_is_parked_for_others(void **state)
{
    struct desk *desk = desk_with_parked();
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_assert_none(desk, LEDGER_UNPARK, "a");
    struct ledger_order sent = desk_end(desk, "b", JOB_SEND, JOB_OK);
    desk_assert_none(desk, LEDGER_UNPARK, "a"); /* no room yet */
    desk_end(desk, "b", JOB_QUIT, JOB_OK);
    desk_store(desk, &sent);
    desk_take(desk, LEDGER_DONE, "b");
    struct ledger_order back = unpark(desk, "a", JOB_OK);
    assert_string_equal(back.key, "parked/a.attempt-1");
    assert_int_equal(back.attempt, 2);
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    /* Its worker is lost: it goes on from there once more. */
    desk_take(desk, LEDGER_REQUEST, "a");
    ledger_lost(desk->ledger, 1, 2000);
    desk_join(desk, 2);
    unpark(desk, "a", JOB_OK);
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    desk_end(desk, "a", JOB_RUN, JOB_OK);
    desk_end(desk, "a", JOB_QUIT, JOB_OK);
    desk_take(desk, LEDGER_DONE, "a");
    struct error error;
    assert_int_equal(ledger_result(desk->ledger, &error), LEDGER_FINISHED);
    desk_free(desk);
}

/* What is parked cannot be had, or leads to a failure: it begins at the start. */
static void what_was_parked_is_of_no_use(void **state)
{
    struct desk *desk = desk_with_parked();
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    struct ledger_order sent = desk_end(desk, "b", JOB_SEND, JOB_OK);
    desk_end(desk, "b", JOB_QUIT, JOB_OK);
    desk_store(desk, &sent);
    unpark(desk, "a", JOB_FAILED);
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    desk_end(desk, "a", JOB_RUN, JOB_FAILED);
    desk_assert_none(desk, LEDGER_UNPARK, "a");
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    desk_free(desk);
}

/* The message comes while it is being parked: nothing has happened. */
static void the_message_comes_first(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    desk_join(desk, 1);
    ledger_retire(desk->ledger, 1, 1);
    struct ledger_order asked = desk_take(desk, LEDGER_PARK, "a");
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_end(desk, "b", JOB_SEND, JOB_OK);
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    const struct ledger_call call = desk_call(&asked);
    const struct ledger_identity identity = desk_identity("a");
    ledger_parked(desk->ledger, &call, &identity, 2);
    desk_assert_none(desk, LEDGER_PARKED, "a");
    struct ledger_order stow = desk_take(desk, LEDGER_STOW, "a");
    const struct ledger_call next = desk_call(&stow);
    const struct ledger_outcome failed = {.outcome = JOB_FAILED};
    ledger_outcome(desk->ledger, &next, &failed, 2);
    desk_end(desk, "a", JOB_RUN, JOB_OK);
    desk_free(desk);
}

/* One that retires gives away those that wait, keeps those that work, and gets no others. */
static void workers_retire(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    desk_join(desk, 1);
    ledger_retire(desk->ledger, 1, 1);
    ledger_retire(desk->ledger, 9, 1);
    park(desk, "a");
    assert_int_equal(ledger_load(desk->ledger, 1), 1);
    struct ledger_order sent = desk_end(desk, "b", JOB_RUN, JOB_OK);
    sent = desk_end(desk, "b", JOB_SEND, JOB_OK);
    desk_store(desk, &sent);
    desk_assert_none(desk, LEDGER_UNPARK, "a");
    desk_end(desk, "b", JOB_QUIT, JOB_OK);
    assert_int_equal(ledger_load(desk->ledger, 1), 0);
    ledger_lost(desk->ledger, 1, 2);
    desk_join(desk, 2);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2);
    desk_free(desk);
}

/* Of a worker that does not do as it is told. */
static void only_who_waits_can_be_parked(void **state)
{
    struct desk *desk = desk_new(ONE_RUN, NULL);
    const struct ledger_identity identity = desk_identity("a");
    desk_join(desk, 1);
    for (int i = 0; i < 3; i++) {
        desk_assert_running(desk);
        struct ledger_order run = desk_take(desk, LEDGER_REQUEST, "a");
        const struct ledger_call call = desk_call(&run);
        ledger_parked(desk->ledger, &call, &identity, 1);
        desk_assert_none(desk, LEDGER_PARKED, "a");
    }
    desk_assert_failed(desk, "was not told to");
    desk_free(desk);
}

/* A worker that comes back is told again what it may not have heard. */
static void parking_is_said_again(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    desk_join(desk, 1);
    ledger_retire(desk->ledger, 1, 1);
    struct ledger_order asked = desk_take(desk, LEDGER_PARK, "a");
    const struct ledger_call call = desk_call(&asked);
    ledger_held(desk->ledger, 1, &call);
    ledger_held(desk->ledger, 1, NULL);
    assert_int_equal(park(desk, "a").request, asked.request);
    desk_take(desk, LEDGER_PARKED, "a");
    desk_free(desk);
}

/* What the journal says of actors that were parked, in any order that can be. */
static void parked_ones_are_remembered(void **state)
{
    static const char at[] = "{\"state\": \"hear\", \"tries\": 0, \"set\": {}}";
    const struct ledger_identity identity = desk_identity("a");
    const struct ledger_label label = {"b", "a", "m"};
    struct desk *desk = desk_new(PAIR, NULL);
    struct ledger *ledger = desk->ledger;
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_parked(ledger, "a", 7, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_parked(ledger, "c", 1, at, NULL, NULL, &identity), -EBADMSG);
    assert_int_equal(ledger_replay_parked(ledger, "b", 1, "{}", NULL, NULL, &identity), -EBADMSG);
    desk_join(desk, 1);
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_assert_none(desk, LEDGER_UNPARK, "a");
    desk_end(desk, "b", JOB_SEND, JOB_OK);
    assert_string_equal(unpark(desk, "a", JOB_OK).key, "parked/a.attempt-7");
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    desk_free(desk);

    desk = desk_new(PAIR, NULL);
    ledger = desk->ledger;
    assert_int_equal(ledger_replay_message(ledger, &label, &identity), 0);
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_done(ledger, "b", 0), 0);
    desk_join(desk, 1);
    unpark(desk, "a", JOB_OK); /* at once: what it waits for is there */
    desk_free(desk);

    desk = desk_new(PAIR, NULL);
    ledger = desk->ledger;
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, "b", "m", &identity), 0);
    assert_int_equal(ledger_replay_done(ledger, "a", 0), 0);
    assert_int_equal(ledger_replay_parked(ledger, "a", 4, at, NULL, NULL, &identity), 0);
    assert_int_equal(ledger_replay_done(ledger, "b", 0), 0);
    desk_join(desk, 1);
    struct error error;
    assert_int_equal(ledger_result(ledger, &error), LEDGER_FINISHED);
    desk_free(desk);

    desk = desk_new(PAIR, NULL);
    ledger = desk->ledger;
    assert_int_equal(ledger_replay_parked(ledger, "a", 3, at, NULL, NULL, &identity), 0);
    desk_join(desk, 1);
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
    const struct ledger_call call = desk_call(asked);
    const struct ledger_identity identity = desk_identity(asked->actor);
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
    desk_join(desk, 1);
    struct ledger_order run = desk_take(desk, LEDGER_REQUEST, "a");
    const struct ledger_call call = desk_call(&run);
    ledger_point(desk->ledger, &call, 1, "m", -1, 1);
    ledger_retire(desk->ledger, 1, 2);
    struct ledger_order asked = desk_take(desk, LEDGER_PARK, "a");
    assert_int_equal(asked.point, 1);
    was_parked(desk, &asked);
    struct ledger_order parked = desk_take(desk, LEDGER_PARKED, "a");
    assert_string_equal(parked.peer, "b");
    assert_string_equal(parked.name, "m");
    desk_join(desk, 2);
    desk_assert_none(desk, LEDGER_UNPARK, "a");
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_end(desk, "b", JOB_SEND, JOB_OK);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2);
    desk_end(desk, "a", JOB_RUN, JOB_OK);
    desk_end(desk, "a", JOB_QUIT, JOB_OK);
    desk_free(desk);
}

/* The process that asks for a next point has not been parked at the one before. */
static void the_point_s_message_comes_first(void **state)
{
    struct desk *desk = desk_new(ONE_POINT, NULL);
    desk_join(desk, 1);
    struct ledger_order run = desk_take(desk, LEDGER_REQUEST, "a");
    const struct ledger_call call = desk_call(&run);
    ledger_point(desk->ledger, &call, 1, "m", -1, 1);
    ledger_retire(desk->ledger, 1, 2);
    desk_take(desk, LEDGER_PARK, "a");
    ledger_point(desk->ledger, &call, 2, "m", -1, 3);
    struct ledger_order again = desk_take(desk, LEDGER_PARK, "a");
    assert_int_equal(again.point, 2);
    desk_free(desk);
}

/* Between two commands they go on elsewhere, unless that cannot be. */
static void before_a_command_they_leave(void **state)
{
    struct desk *desk = desk_new(PAIR, NULL);
    desk_join(desk, 1);
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_end(desk, "b", JOB_SEND, JOB_OK);
    ledger_retire(desk->ledger, 1, 1);
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    struct ledger_order stow = desk_take(desk, LEDGER_STOW, "a");
    assert_string_equal(stow.key, "parked/a");
    was_parked(desk, &stow);
    assert_null(desk_take(desk, LEDGER_PARKED, "a").name);
    desk_join(desk, 2);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2);
    ledger_retire(desk->ledger, 2, 2);
    desk_end(desk, "a", JOB_RUN, JOB_OK); /* begun before */
    desk_free(desk);
}

/* Who may not have begun yet is asked to leave. */
static void those_that_wait_for_a_core_leave(void **state)
{
    struct desk *desk = desk_new(RUNS("2"), NULL);
    desk_join(desk, 1);
    desk_take(desk, LEDGER_REQUEST, "one-000000");
    desk_take(desk, LEDGER_REQUEST, "one-000001");
    ledger_retire(desk->ledger, 1, 1);
    desk_assert_none(desk, LEDGER_PARK, "one-000000"); /* it had the only core */
    struct ledger_order asked = desk_take(desk, LEDGER_PARK, "one-000001");
    assert_int_equal(asked.point, 0);
    was_parked(desk, &asked);
    desk_take(desk, LEDGER_PARKED, "one-000001");
    desk_join(desk, 2);
    unpark(desk, "one-000001", JOB_OK);
    desk_end(desk, "one-000001", JOB_RUN, JOB_OK);
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
    desk_take_orders(desk);
}

static bool is_retired(struct desk *desk, uint32_t worker)
{
    desk_take_orders(desk);
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
        desk_end(desk, name, JOB_RUN, JOB_OK);
        desk->now += 2000;
        desk_end(desk, name, JOB_RUN, JOB_OK);
        desk_end(desk, name, JOB_QUIT, JOB_OK);
    }
    desk->now = 7500; /* it may take half as long again as the others */
    desk_end(desk, "one-000003", JOB_RUN, JOB_OK);
    struct ledger_order stow = desk_take(desk, LEDGER_STOW, "one-000003");
    assert_false(is_retired(desk, 1));
    was_parked(desk, &stow);
    desk_take(desk, LEDGER_PARKED, "one-000003");
    tick(desk, 7600);
    assert_true(is_retired(desk, 1)); /* there is nothing else to do */
    join_until(desk, 2, 17600);
    assert_int_equal(unpark(desk, "one-000003", JOB_OK).worker, 2);
    desk_end(desk, "one-000003", JOB_RUN, JOB_OK);
    desk_free(desk);
}

/* A command that does not end with its worker's time is run on one with more; then the job fails. */
static void commands_that_take_too_long(void **state)
{
    struct desk *desk = desk_new(ONE_RUN, NULL);
    join_until(desk, 1, 10000);
    desk_take(desk, LEDGER_REQUEST, "a");
    tick(desk, 10000);
    assert_true(is_retired(desk, 1));
    desk->now = 10500;
    ledger_lost(desk->ledger, 1, desk->now);
    desk_assert_running(desk);
    join_until(desk, 2, 20500);
    desk_take(desk, LEDGER_REQUEST, "a");
    ledger_lost(desk->ledger, 2, 15000); /* by bad luck */
    desk_assert_running(desk);
    desk->now = 20000;
    join_until(desk, 3, 30000);
    desk_take(desk, LEDGER_REQUEST, "a");
    ledger_lost(desk->ledger, 3, 30500);
    desk_assert_failed(desk, "state 'work': its command had run for 10 s");
    desk_free(desk);
}

/* When its worker's time is over a command leaves at any point, also where its message is there. */
static void commands_leave_when_it_is_late(void **state)
{
    struct desk *desk = desk_new(ONE_POINT, NULL);
    join_until(desk, 1, 10000);
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_end(desk, "b", JOB_SEND, JOB_OK);
    struct ledger_order run = desk_take(desk, LEDGER_REQUEST, "a");
    const struct ledger_call call = desk_call(&run);
    tick(desk, 10000);
    ledger_point(desk->ledger, &call, 1, "m", -1, 10001);
    desk->now = 10002;
    struct ledger_order asked = desk_take(desk, LEDGER_PARK, "a");
    was_parked(desk, &asked);
    desk_take(desk, LEDGER_PARKED, "a");
    desk_join(desk, 2);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 2); /* at once */
    desk_free(desk);
}

/* All that it has only waits. */
static void who_only_waits_ends(void **state)
{
    const struct ledger_limits limits = {.actors = 1, .idle_ms = 1000, .window = 10};
    struct desk *desk = desk_new(PAIR, &limits);
    desk_join(desk, 1);
    desk_join(desk, 2);
    assert_int_equal(ledger_runnable(desk->ledger, 9), 1); /* "b" */
    tick(desk, 1);
    tick(desk, 999);
    desk_assert_none(desk, LEDGER_PARK, "a");
    tick(desk, 1001);
    uint32_t worker = park(desk, "a").worker;
    assert_true(is_retired(desk, worker));
    assert_false(is_retired(desk, 3 - worker));
    desk_take(desk, LEDGER_PARKED, "a");
    assert_int_equal(ledger_runnable(desk->ledger, 9), 1);
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_end(desk, "b", JOB_SEND, JOB_OK);
    assert_int_equal(ledger_runnable(desk->ledger, 9), 2);
    desk_join(desk, 3);
    assert_int_equal(unpark(desk, "a", JOB_OK).worker, 3);
    desk_free(desk);
}

/* Those who are needed are known before there is a worker, since none comes for those who only wait. */
static void somebody_is_needed(void **state)
{
    static const char at[] = "{\"state\": \"hear\", \"tries\": 0, \"set\": {}}";
    const struct ledger_limits limits = {.window = 1, .idle_ms = 1000};
    const struct ledger_identity identity = desk_identity("a");
    struct desk *desk = desk_new(PAIR, &limits);
    assert_int_equal(ledger_replay_parked(desk->ledger, "a", 3, at, "b", "m", &identity), 0);
    tick(desk, 1);
    assert_int_equal(ledger_runnable(desk->ledger, 9), 1);
    desk_join(desk, 1);
    desk_end(desk, "b", JOB_RUN, JOB_OK);
    desk_free(desk);
}

/* Who comes first leaves something for those who come. */
static void others_are_expected(void **state)
{
    struct desk *desk = desk_new(RUNS("2"), NULL);
    ledger_expect(desk->ledger, 1);
    desk_join(desk, 1);
    desk_take(desk, LEDGER_REQUEST, "one-000000");
    desk_assert_none(desk, LEDGER_REQUEST, "one-000001");
    ledger_expect(desk->ledger, 0);
    desk_join(desk, 2);
    assert_int_equal(desk_take(desk, LEDGER_REQUEST, "one-000001").worker, 2);
    desk_free(desk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
