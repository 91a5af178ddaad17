/*
 * The rules of a job's bookkeeping, one by one: happenings in a given order, and the orders that must follow.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "ledger_desk.h"

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
        desk_join(desk, worker);
    for (int i = 0; i < 3; i++) {
        desk_assert_running(desk);
        struct ledger_order order = desk_end(desk, "a", JOB_RUN, JOB_FAILED);
        assert_int_equal(on & 1u << order.worker, 0);
        on |= 1u << order.worker;
    }
    desk_assert_failed(desk, "bad luck");
    desk_free(desk);
}

/* Where there are fewer, they try again; another failure begins the count anew. */
static void one_worker_tries_again(void **state)
{
    struct desk *desk = desk_new(ONE_RUN, NULL);
    static const enum job_outcome how[] = {JOB_FAILED,  JOB_FAILED, JOB_TIMEOUT,
                                           JOB_TIMEOUT, JOB_FAILED, JOB_FAILED};
    desk_join(desk, 1);
    for (int i = 0; i < 6; i++) {
        desk_end(desk, "a", JOB_RUN, how[i]);
        desk_assert_running(desk);
    }
    desk_end(desk, "a", JOB_RUN, JOB_FAILED);
    desk_assert_failed(desk, "bad luck");
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
        desk_end(desk, name, JOB_RUN, JOB_OK);
        desk_end(desk, name, JOB_QUIT, JOB_OK);
    }
}

static struct desk *desk_with_straggler(void)
{
    const struct ledger_limits limits = {.window = 100};
    struct desk *desk = desk_new(FAMILY_AND_ONE, &limits);
    for (uint32_t worker = 1; worker <= 8; worker++)
        desk_join(desk, worker);
    desk->now = 1000;
    end_six(desk);
    return desk;
}

static void slow_ones_are_started_twice(void **state)
{
    struct desk *desk = desk_with_straggler();
    struct ledger_order first = desk_take(desk, LEDGER_REQUEST, "f-000006");
    ledger_tick(desk->ledger, 3000);
    desk_assert_none(desk, LEDGER_REQUEST, "f-000006");
    ledger_tick(desk->ledger, 3001);
    struct ledger_order *second = desk_find(desk, LEDGER_REQUEST, "f-000006");
    assert_non_null(second);
    assert_int_not_equal(second->worker, first.worker);
    ledger_tick(desk->ledger, 100000);
    /* Never twice for those that are the only ones of their kind. */
    desk_take(desk, LEDGER_REQUEST, "alone");
    desk_assert_none(desk, LEDGER_REQUEST, "alone");
    /* The first result counts. */
    desk->now = 100000;
    desk_end(desk, "f-000006", JOB_RUN, JOB_OK);
    desk_assert_none(desk, LEDGER_REQUEST, "f-000006-");
    desk_end(desk, "f-000006", JOB_QUIT, JOB_OK);
    assert_int_equal(desk_take(desk, LEDGER_DROP, "f-000006").attempt, first.attempt);
    desk_take(desk, LEDGER_DONE, "f-000006");
    desk_assert_none(desk, LEDGER_DONE, "f-000006");
    const struct ledger_call call = desk_call(&first);
    const struct ledger_outcome late = {.outcome = JOB_FAILED};
    ledger_outcome(desk->ledger, &call, &late, desk->now);
    desk_assert_none(desk, LEDGER_REQUEST, "f-000006");
    desk_assert_running(desk);
    desk_free(desk);
}

/* Time at a point is no time. */
static void waiting_is_not_slow(void **state)
{
    struct desk *desk = desk_with_straggler();
    struct ledger_order run = desk_take(desk, LEDGER_REQUEST, "f-000006");
    const struct ledger_call call = desk_call(&run);
    const struct ledger_outcome ok = {.outcome = JOB_OK};
    ledger_point(desk->ledger, &call, 1, "wait", -1, 1500);
    ledger_tick(desk->ledger, 50000);
    ledger_point_outcome(desk->ledger, &call, 1, &ok, 60000);
    ledger_tick(desk->ledger, 61500);
    desk_assert_none(desk, LEDGER_REQUEST, "f-000006");
    ledger_tick(desk->ledger, 61501);
    assert_non_null(desk_find(desk, LEDGER_REQUEST, "f-000006"));
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
    desk_join(leader.desk, 1);
    leader.run = desk_take(leader.desk, LEDGER_REQUEST, "head");
    return leader;
}

static void ask(struct leader *leader, const char *point, int64_t number)
{
    const struct ledger_call call = desk_call(&leader->run);
    ledger_point(leader->desk->ledger, &call, ++leader->point, point, number, leader->desk->now);
}

static void answer(struct leader *leader, const char *name)
{
    const struct ledger_call call = desk_call(&leader->run);
    const struct ledger_identity identity = desk_identity(name);
    const struct ledger_outcome ok = {.outcome = JOB_OK, .identity = &identity};
    ledger_point_outcome(leader->desk->ledger, &call, leader->point, &ok, leader->desk->now);
}

/* Those beyond go, whatever they were at; what they had sent is nobody's. */
static void members_beyond_the_end_go(void **state)
{
    struct leader leader = lead(OPEN_FAMILY(SAYS));
    struct desk *desk = leader.desk;
    desk_end(desk, "f-000000", JOB_SEND, JOB_OK); /* and is never stored */
    struct ledger_order sent = desk_end(desk, "f-000001", JOB_SEND, JOB_OK);
    ask(&leader, "tell", 2); /* who will not be there either */
    desk_take(desk, LEDGER_POINT, "head");
    answer(&leader, "t");
    ask(&leader, "end", 0);
    desk_take(desk, LEDGER_POINT, "head");
    answer(&leader, "");
    desk_take(desk, LEDGER_DROP, "f-000000");
    desk_take(desk, LEDGER_DROP, "f-000003");
    desk_store(desk, &sent); /* comes too late */
    desk_assert_none(desk, LEDGER_MESSAGE, "head");
    const struct ledger_call call = desk_call(&leader.run);
    const struct ledger_outcome ok = {.outcome = JOB_OK};
    ledger_outcome(desk->ledger, &call, &ok, 1);
    desk_end(desk, "head", JOB_QUIT, JOB_OK);
    desk_take(desk, LEDGER_DONE, "head");
    struct error error;
    assert_int_equal(ledger_result(desk->ledger, &error), LEDGER_FINISHED);
    desk_free(desk);
}

static void members_that_were_heard_cannot_go(void **state)
{
    struct leader leader = lead(OPEN_FAMILY(SAYS));
    desk_end(leader.desk, "f-000000", JOB_SEND, JOB_OK);
    ask(&leader, "hear", 0);
    answer(&leader, "m");
    ask(&leader, "end", 0);
    desk_assert_failed(leader.desk,
                       "family 'f' has only 0 members, but 'f-000000' has sent a message");
    desk_free(leader.desk);

    leader = lead(OPEN_FAMILY(PUTS));
    desk_end(leader.desk, "f-000001", JOB_PUT, JOB_OK);
    ask(&leader, "end", 1);
    desk_assert_failed(leader.desk, "'f-000001' has put an object");
    desk_free(leader.desk);

    leader = lead(OPEN_FAMILY("\"first\": {\"set\": {}, \"on\": {\"ok\": \"first-said\"}}, "
                              "\"first-said\": {\"send\": {\"to\": \"head\", \"name\": \"m\", "
                              "\"text\": \"\"}, \"on\": {\"ok\": \"done\"}}"));
    struct ledger_order sent = desk_end(leader.desk, "f-000000", JOB_SEND, JOB_OK);
    desk_store(leader.desk, &sent);
    desk_end(leader.desk, "f-000000", JOB_QUIT, JOB_OK);
    desk_take(leader.desk, LEDGER_DONE, "f-000000");
    ask(&leader, "end", 0);
    desk_assert_failed(leader.desk, "'f-000000' is done");
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
    desk_join(desk, 1);
    struct ledger_order sent = desk_end(desk, "a", JOB_SEND, JOB_OK);
    desk_store(desk, &sent);
    desk_end(desk, "b", JOB_RECEIVE, JOB_FAILED); /* the copy is gone */
    desk_end(desk, "a", JOB_RUN, JOB_OK);
    desk_assert_none(desk, LEDGER_DONE, "a");
    desk_end(desk, "a", JOB_QUIT, JOB_OK);
    desk_take(desk, LEDGER_DONE, "a");
    sent = desk_end(desk, "a", JOB_SEND, JOB_OK);
    desk_store(desk, &sent);
    desk_end(desk, "b", JOB_RECEIVE, JOB_OK);
    desk_end(desk, "b", JOB_QUIT, JOB_OK);
    desk_take(desk, LEDGER_DONE, "b");
    desk_free(desk);
}

/* A sender's worker is lost before the copy is there: nobody counts on it any more. */
static void sent_by_a_worker_that_is_lost(void **state)
{
    struct desk *desk = desk_new(TWO, NULL);
    desk_join(desk, 1);
    desk_end(desk, "a", JOB_SEND, JOB_OK);
    desk_take(desk, LEDGER_REQUEST, "a"); /* "more" */
    desk_take(desk, LEDGER_REQUEST, "b");
    ledger_lost(desk->ledger, 1, 1);
    desk_join(desk, 2);
    struct ledger_progress progress;
    ledger_progress(desk->ledger, &progress);
    assert_int_equal(progress.waiting, 1);
    struct ledger_order sent = desk_end(desk, "a", JOB_SEND, JOB_OK);
    ledger_progress(desk->ledger, &progress);
    assert_int_equal(progress.waiting, 0);
    desk_store(desk, &sent);
    desk_end(desk, "a", JOB_RUN, JOB_OK);
    desk_end(desk, "a", JOB_QUIT, JOB_OK);
    desk_take(desk, LEDGER_DONE, "a");
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
    desk_join(desk, 1);
    struct ledger_order sent = desk_end(desk, "a", JOB_SEND, JOB_OK);
    desk_store(desk, &sent);
    desk_take(desk, LEDGER_REQUEST, "a"); /* to wait */
    desk_end(desk, "b", JOB_RECEIVE, JOB_FAILED);
    desk_take(desk, LEDGER_DROP, "a");
    sent = desk_end(desk, "a", JOB_SEND, JOB_OK);
    assert_int_equal(sent.attempt, 2);
    desk_store(desk, &sent);
    desk_end(desk, "b", JOB_RECEIVE, JOB_OK);
    sent = desk_end(desk, "b", JOB_SEND, JOB_OK);
    desk_store(desk, &sent);
    desk_end(desk, "a", JOB_RECEIVE, JOB_OK);
    desk_end(desk, "a", JOB_QUIT, JOB_OK);
    desk_take(desk, LEDGER_DONE, "a");
    desk_assert_running(desk);
    desk_free(desk);
}

#define HEARS_AT_POINT                                                                             \
    JOB("{\"name\": \"a\"}, {\"name\": \"b\"}", WHERE("actor", "a", "say") "{\"to\": \"hear\"}",   \
        "\"say\": {\"send\": {\"to\": \"b\", \"name\": \"m\", \"text\": \"\"}, "                   \
        "\"on\": {\"ok\": \"done\"}}, "                                                            \
        "\"hear\": {\"run\": {\"argv\": [\"true\"], \"points\": {\"m\": {\"receive\": {\"from\": " \
        "\"a\", \"name\": \"m\", \"file\": \"m\"}}}}, \"retries\": 0, \"on\": {\"ok\": "           \
        "\"done\"}}")

/* A command is killed while it is given its message: that says nothing of the message. */
static void kept_when_the_command_ends(void **state)
{
    struct desk *desk = desk_new(HEARS_AT_POINT, NULL);
    desk_join(desk, 1);
    desk_join(desk, 2);
    struct ledger_order sent = desk_end(desk, "a", JOB_SEND, JOB_OK);
    desk_store(desk, &sent);
    desk_end(desk, "a", JOB_QUIT, JOB_OK);
    for (int i = 0; i < 3; i++) {
        struct ledger_order *run = desk_find(desk, LEDGER_REQUEST, "b");
        const struct ledger_call call = desk_call(run);
        const struct ledger_outcome broken = {
            .outcome = JOB_FAILED, .cancelled = true, .reason = "broken off"};
        ledger_point(desk->ledger, &call, 1, "m", -1, desk->now);
        desk_take(desk, LEDGER_POINT, "b");
        ledger_point_outcome(desk->ledger, &call, 1, &broken, desk->now);
        desk_assert_running(desk);
        desk_end(desk, "b", JOB_RUN, JOB_FAILED);
        desk_assert_none(desk, LEDGER_REQUEST, "a");
    }
    desk_assert_failed(desk, "run failed: bad luck");
    desk_free(desk);
}

/* The command at `run` asks for its message, which comes or not. */
static void hear(struct desk *desk, const struct ledger_order *run, enum job_outcome how)
{
    const struct ledger_call call = desk_call(run);
    const struct ledger_identity identity = desk_identity("m");
    const struct ledger_outcome outcome = {
        .outcome = how, .identity = &identity, .reason = "it is gone"};
    ledger_point(desk->ledger, &call, 1, "m", -1, desk->now);
    desk_take(desk, LEDGER_POINT, "b");
    ledger_point_outcome(desk->ledger, &call, 1, &outcome, desk->now);
}

/* A command that has not had its message, since that is lost, is not to blame. */
static void lost_at_a_point(void **state)
{
    struct desk *desk = desk_new(HEARS_AT_POINT, NULL);
    desk_join(desk, 1);
    for (int i = 0; i < 4; i++) {
        struct ledger_order sent = desk_end(desk, "a", JOB_SEND, JOB_OK);
        desk_store(desk, &sent);
        desk_end(desk, "a", JOB_QUIT, JOB_OK);
        struct ledger_order *run = desk_find(desk, LEDGER_REQUEST, "b");
        assert_int_equal(run->attempt, 1);
        hear(desk, run, i < 3 ? JOB_FAILED : JOB_OK);
        desk_end(desk, "b", JOB_RUN, i < 3 ? JOB_FAILED : JOB_OK);
        desk_assert_running(desk);
    }
    desk_end(desk, "b", JOB_QUIT, JOB_OK);
    desk_take(desk, LEDGER_DONE, "b");
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
        cmocka_unit_test(kept_when_the_command_ends),
        cmocka_unit_test(lost_at_a_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
