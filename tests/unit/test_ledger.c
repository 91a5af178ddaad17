/*
 * The bookkeeping of jobs, against a world made of random happenings: workers that come, vanish and come
 * again, outcomes in any order, failures, messages that a rendezvous forgets. Whatever happens, jobs end,
 * and only when everything is durable.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "ledger_world.h"

/* Actors of an encode: its chunks, source, join, and a scan that has nothing to do. */
enum { ENCODE = CHUNKS + 3 };
#include "mu/job_file.h"

static const char *examples;

static struct job *load(const char *name, const struct job_choice *choice, int choices)
{
    char path[512];
    struct job *job;
    struct error error = {0};
    snprintf(path, sizeof path, "%s/%s.json", examples, name);
    if (job_file_load(path, choice, choices, &job, NULL, NULL, &error) < 0)
        fail_msg("%s", error.message);
    return job;
}

static struct job *parse(const char *text)
{
    struct job *job;
    struct error error = {0};
    if (job_file_parse("job", text, strlen(text), NULL, 0, &job, &error) < 0)
        fail_msg("%s", error.message);
    return job;
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void test_encode(void **state)
{
    struct job *job = load("encode", NULL, 0);
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct world *world = world_new(job, seed, seed % 3 == 0 ? 4 : 0);
        world->loss = seed % 4 == 0 ? 0 : 40;
        world_live_well(world, ENCODE);
        assert_true(world_has(world, "output.webm"));
        world_end(world);
    }
    job_free(job);
}

static void test_ring(void **state)
{
    const struct job_choice small[] = {{"members", "40"}};
    const struct job_choice large[] = {{"members", "500"}, {"rounds", "1"}};
    struct job *job = load("ring", small, 1), *long_ring = load("ring", large, 2);
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct world *world = world_new(job, seed, 6);
        world->loss = seed % 2 == 0 ? 0 : 60;
        world_live_well(world, 40);
        world_end(world);
    }
    struct world *world = world_new(long_ring, 7, 16);
    world_live_well(world, 500);
    world_end(world);
    job_free(job);
    job_free(long_ring);
}

/* More actors wait than workers hold: they wait in the store. */
static void test_parking(void **state)
{
    const struct job_choice choice[] = {{"members", "40"}, {"rounds", "2"}};
    const struct ledger_limits limits = {.window = 40, .actors = 2, .park_ms = 20};
    struct job *ring = load("ring", choice, 2), *encode = load("encode", NULL, 0);
    int parked = 0, unparked = 0;
    for (uint32_t seed = 1; seed <= 16; seed++) {
        struct world *world = world_new_limited(seed % 2 ? ring : encode, seed, &limits);
        world->loss = seed % 4 < 2 ? 0 : 60;
        world->restart = seed % 8 < 4 ? 0 : 1500;
        world->retirement = seed % 16 < 8 ? 0 : 40;
        world_live_well(world, seed % 2 ? 40 : ENCODE);
        for (int i = 0; i < world->durable_count; i++)
            assert_null(strstr(world->durable[i], "parked/"));
        parked += world->parked;
        unparked += world->unparked;
        world_end(world);
    }
    assert_true(parked > 200 && unparked > 100);
    job_free(ring);
    job_free(encode);
}

/* Each makes something, waits at a point for the one before, and has more to do then. */
static const char laps[] =
    "{\"format\": 1, \"job\": \"laps\", \"actors\": [{\"family\": \"one\", \"count\": 30}],"
    "\"machine\": {\"start\": \"make\", \"states\": {"
    "\"make\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": ["
    "{\"if\": {\"variable\": \"previous\", \"is\": \"\"}, \"to\": \"tell\"}, {\"to\": \"hear\"}]}},"
    "\"hear\": {\"run\": {\"argv\": [\"true\"], \"points\": {\"before\": {\"receive\": {\"from\": "
    "\"${previous}\", \"name\": \"m\", \"file\": \"m\"}}}}, \"on\": {\"ok\": \"tell\"}},"
    "\"tell\": {\"set\": {}, \"on\": {\"ok\": [{\"if\": {\"variable\": \"next\", \"is\": \"\"}, "
    "\"to\": \"more\"}, {\"to\": \"send\"}]}},"
    "\"send\": {\"send\": {\"to\": \"${next}\", \"name\": \"m\", \"text\": \"\"}, \"on\": {\"ok\": "
    "\"more\"}},"
    "\"more\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"done\"}},"
    "\"done\": {\"quit\": {}}}}}";

/* Workers that live for a while only, and end when their actors only wait. */
static void test_life(void **state)
{
    struct job *job = parse(laps), *encode = load("encode", NULL, 0);
    int at_points = 0, stowed = 0, withdrawn = 0, retirements = 0;
    for (uint32_t seed = 1; seed <= 32; seed++) {
        const struct ledger_limits limits = {
            .window = 30, .actors = 5, .idle_ms = seed % 4 < 2 ? 0 : 200};
        struct world *world = world_new_limited(seed % 2 ? job : encode, seed, &limits);
        world->life = seed % 2 ? 1000 : 3000;
        world->slow = seed % 2 ? 4 : 0;
        world->loss = seed % 8 < 4 ? 0 : 60;
        world->restart = seed % 16 < 8 ? 0 : 3000;
        world_live_well(world, seed % 2 ? 30 : ENCODE);
        for (int i = 0; i < world->durable_count; i++)
            assert_null(strstr(world->durable[i], "parked/"));
        at_points += world->parked_at_points;
        stowed += world->stowed;
        withdrawn += world->withdrawn;
        retirements += world->retirements;
        world_end(world);
    }
    assert_true(at_points > 20 && stowed > 20 && withdrawn > 5 && retirements > 100);
    job_free(job);
    job_free(encode);
}

/* Whatever was remembered when a coordinator ends, the next one comes to the end. */
static void test_restarts(void **state)
{
    const struct job_choice choice[] = {{"members", "30"}, {"rounds", "2"}};
    struct job *ring = load("ring", choice, 2), *encode = load("encode", NULL, 0);
    int restarts = 0;
    for (uint32_t seed = 1; seed <= 24; seed++) {
        struct world *world = world_new(seed % 2 ? ring : encode, seed, 0);
        world->loss = seed % 4 < 2 ? 0 : 60;
        world->restart = 700;
        world_live_well(world, seed % 2 ? 30 : ENCODE);
        restarts += world->restarts;
        world_end(world);
    }
    assert_true(restarts > 24);
    job_free(ring);
    job_free(encode);
}

/* Few are under way at once where they need not wait for one another. */
static void test_window(void **state)
{
    struct job *job = parse(
        "{\"format\": 1, \"job\": \"apart\", \"actors\": [{\"family\": \"one\", \"count\": 100}],"
        "\"machine\": {\"start\": \"work\", \"states\": {"
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"done\"}},"
        "\"done\": {\"quit\": {}}}}}");
    struct world *world = world_new(job, 3, 7);
    world_live_well(world, 100);
    assert_int_equal(world->most_live, 7);
    world_end(world);
    job_free(job);
}

/* Actors count for what their variable says at their end, once each; and are somewhere until then. */
static void test_progress(void **state)
{
    struct job *job = parse(
        "{\"format\": 1, \"job\": \"counts\", \"variables\": {\"size\": 0}, \"progress\": \"size\","
        "\"actors\": [{\"family\": \"one\", \"count\": 20}],"
        "\"machine\": {\"start\": \"work\", \"states\": {"
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"count\"}},"
        "\"count\": {\"set\": {\"size\": \"${index}\"}, \"on\": {\"ok\": \"done\"}},"
        "\"done\": {\"quit\": {}}}}}");
    struct ledger_progress progress;
    struct world *world = world_new(job, 4, 3);
    world->loss = 30;
    world_live_well(world, 20);
    ledger_progress(world->ledger, &progress);
    assert_int_equal(progress.amount, 19 * 20 / 2);
    world_end(world);

    world = world_new(job, 4, 3);
    uint32_t states[3];
    assert_int_equal(ledger_replay_done(world->ledger, "one-000019", 19), 0);
    assert_int_equal(ledger_replay_done(world->ledger, "one-000019", 19), 0);
    ledger_joined(world->ledger, 1, 1, 0, 1);
    ledger_progress(world->ledger, &progress);
    assert_int_equal(progress.amount, 19);
    ledger_states(world->ledger, states);
    assert_int_equal(states[0], 3); /* "work", of a window */
    assert_int_equal(states[1] + states[2], 0);
    world_end(world);
    job_free(job);
}

static bool take_point(struct ledger *ledger, enum ledger_kind kind, struct ledger_order *order)
{
    while (ledger_order(ledger, order)) {
        if (order->kind == kind)
            return true;
        ledger_order_free(order);
    }
    return false;
}

/* Who begins anew can ask whom it has to serve still. */
static void test_needed(void **state)
{
    struct job *job =
        parse("{\"format\": 1, \"job\": \"serves\", "
              "\"actors\": [{\"name\": \"one\"}, {\"family\": \"guest\", \"count\": 2}],"
              "\"machine\": {\"start\": [{\"if\": {\"variable\": \"actor\", \"is\": \"one\"}, "
              "\"to\": \"serve\"}, {\"to\": \"done\"}], \"states\": {"
              "\"serve\": {\"run\": {\"argv\": [\"true\"], \"points\": {"
              "\"ask\": {\"needed\": {\"actor\": \"guest-${number}\"}}, "
              "\"self\": {\"needed\": {\"actor\": \"one\"}}}}, \"on\": {\"ok\": \"done\"}},"
              "\"done\": {\"quit\": {}}}}}");
    const struct ledger_call call = {"one", 1, 1};
    struct world *world = world_new(job, 1, 1);
    struct ledger_order order;
    assert_int_equal(ledger_replay_done(world->ledger, "guest-000001", 0), 0);
    ledger_joined(world->ledger, 1, 1, 0, 1);
    for (uint32_t guest = 0; guest < 2; guest++) {
        ledger_point(world->ledger, &call, guest + 1, "ask", guest, 2);
        assert_true(take_point(world->ledger, LEDGER_POINT, &order));
        assert_int_equal(order.what.kind, JOB_NEEDED);
        assert_int_equal(order.number, guest == 0 ? LEDGER_NEED_LATER : LEDGER_NEED_NONE);
        ledger_order_free(&order);
        const struct ledger_outcome ok = {.outcome = JOB_OK};
        ledger_point_outcome(world->ledger, &call, guest + 1, &ok, 3);
    }
    ledger_point(world->ledger, &call, 3, "self", -1, 4);
    assert_true(take_point(world->ledger, LEDGER_POINT, &order));
    assert_int_equal(order.number, LEDGER_NEED_NOW);
    ledger_order_free(&order);
    ledger_point(world->ledger, &call, 4, "ask", 2, 4);
    assert_true(take_point(world->ledger, LEDGER_REFUSE, &order));
    ledger_order_free(&order);
    world_end(world);
    job_free(job);
}

static void assert_fails(struct world *world, const char *with)
{
    struct error error = {0};
    assert_int_equal(world_live(world, &error), LEDGER_FAILED);
    if (strstr(error.message, with) == NULL)
        fail_msg("'%s' without '%s'", error.message, with);
    world_end(world);
}

static void test_failing(void **state)
{
    struct job *job = load("encode", NULL, 0);
    struct world *world = world_new(job, 1, 0);
    world->failure = 1;
    assert_fails(world, "bad luck");
    world = world_new(job, 2, 0);
    world->loss = 10;
    world->lie = true;
    assert_fails(world, "task not deterministic");
    job_free(job);
}

#define TWO_ACTORS                                                                                 \
    "{\"format\": 1, \"job\": \"stuck\", \"variables\": {\"talks\": false},"                       \
    " \"actors\": [{\"name\": \"a\"}, {\"name\": \"b\"}], \"machine\": {\"start\": ["              \
    "{\"if\": {\"variable\": \"actor\", \"is\": \"a\"}, \"to\": \"wait-b\"}, "
#define RECEIVE(from, next)                                                                        \
    "\"wait-" from "\": {\"receive\": {\"from\": \"" from "\", \"name\": \"m\", \"file\": \"f\"}," \
    " \"on\": {\"ok\": \"" next "\"}},"
#define SEND(to)                                                                                   \
    "\"tell-" to "\": {\"send\": {\"to\": \"" to "\", \"name\": \"m\", \"text\": \"\"},"           \
    " \"on\": {\"ok\": \"done\"}},"
#define QUIT "\"done\": {\"quit\": {}}}}}"

static void test_deadlock(void **state)
{
    struct job *job = parse(TWO_ACTORS "{\"to\": \"wait-a\"}], \"states\": {" RECEIVE("b", "tell-b")
                                RECEIVE("a", "tell-a") SEND("a") SEND("b") QUIT);
    assert_fails(world_new(job, 1, 0), "wait for one another");
    job_free(job);
    job = parse(TWO_ACTORS
                "{\"to\": \"think\"}], \"states\": {\"think\": {\"set\": {\"talks\": false}, "
                "\"on\": {\"ok\": [{\"if\": {\"variable\": \"talks\", \"is\": true}, "
                "\"to\": \"tell-a\"}, {\"to\": \"done\"}]}}," RECEIVE("b", "done") SEND("a") QUIT);
    assert_fails(world_new(job, 1, 0), "ends without it");
    job_free(job);
}

/* What was remembered is not made again; what was deleted and is needed is. */
static void test_replay(void **state)
{
    const struct job_choice choice[] = {{"members", "6"}, {"rounds", "1"}};
    struct job *job = load("ring", choice, 2);
    struct world *world = world_new(job, 5, 0);
    const struct ledger_identity identity = world_identity("round-0 member-000000");
    const struct ledger_label label = {"member-000000", "member-000001", "round-0"};
    assert_int_equal(ledger_replay_message(world->ledger, &label, &identity), 0);
    strcpy(world->durable[world->durable_count++], "messages/member-000001/member-000000/round-0");
    assert_int_equal(ledger_replay_done(world->ledger, "member-000003", 0), 0);
    assert_int_equal(ledger_replay_done(world->ledger, "nobody", 0), -EBADMSG);
    world_live_well(world, 6);
    /* The fourth's message to the fifth was not there, so that it ran again. */
    assert_int_equal(world->done, 6);
    world_end(world);

    world = world_new(job, 5, 0);
    char name[JOB_ACTOR_SIZE];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "member-%06d", i);
        assert_int_equal(ledger_replay_done(world->ledger, name, 0), 0);
    }
    ledger_tick(world->ledger, 1);
    struct error error;
    assert_int_equal(ledger_result(world->ledger, &error), LEDGER_FINISHED);
    world_end(world);
    job_free(job);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),   cmocka_unit_test(test_ring),
        cmocka_unit_test(test_parking),  cmocka_unit_test(test_life),
        cmocka_unit_test(test_restarts), cmocka_unit_test(test_window),
        cmocka_unit_test(test_failing),  cmocka_unit_test(test_progress),
        cmocka_unit_test(test_needed),   cmocka_unit_test(test_deadlock),
        cmocka_unit_test(test_replay),
    };
    if (argc != 2)
        return 77;
    examples = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
