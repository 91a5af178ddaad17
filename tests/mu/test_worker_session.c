/* A worker and its coordinator: lost connections, replaced and silent coordinators, the end. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker_support.h"

#define CALL(actor_, request_) ((struct call){.actor = actor_, .attempt = 1, .request = request_})

static void reconnects_and_says_again_what_was_lost(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    assert_int_equal(farm->hello->hello->worker->n_held, 0);
    ask_sh(farm, CALL("a", 1), "echo x >>count; sleep 0.3", NULL);
    farm_run(farm, 50);
    farm_cut(farm);
    UNTIL(farm, farm->hellos == 2);
    const Mu__WorkerHello *hello = farm->hello->hello->worker;
    assert_int_equal(hello->epoch, 5);
    assert_int_equal(hello->n_held, 1);
    assert_string_equal(hello->held[0]->actor, "a");
    assert_int_equal(hello->held[0]->attempt, 1);
    assert_int_equal(hello->held[0]->request, 1);
    ask_sh(farm, CALL("a", 1), "echo x >>count; sleep 0.3", NULL); /* again: not done again */
    /* The outcome comes, is not acknowledged, comes again, until it is. */
    for (int i = 3; i <= 4; i++) {
        assert_string_equal(farm_take(farm, MU__ENVELOPE__BODY_OUTCOME)->outcome->call->actor, "a");
        farm_cut(farm);
        UNTIL(farm, farm->hellos == i);
    }
    farm_expect_ok(farm, CALL("a", 1));
    farm_run(farm, 50);
    farm_cut(farm);
    UNTIL(farm, farm->hellos == 5);
    farm_run(farm, 100);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    /* Asked for once more it is said once more, and not done. */
    ask_sh(farm, CALL("a", 1), "echo x >>count", NULL);
    farm_expect_ok(farm, CALL("a", 1));
    ask_sh(farm, CALL("a", 2), "test $(wc -l <count) = 1", NULL);
    farm_expect_ok(farm, CALL("a", 2));
    farm_dismiss(farm);
}

static void a_replaced_coordinator_is_not_obeyed(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    farm_run(farm, 100);
    farm->epoch = 4;
    farm_cut(farm);
    UNTIL(farm, farm->hellos == 2);
    UNTIL(farm, farm->channel == NULL); /* the worker has left */
    farm->epoch = 6;
    UNTIL(farm, farm->hellos >= 3 && farm->channel != NULL);
    ask_sh(farm, CALL("a", 1), "true", NULL);
    farm_expect_ok(farm, CALL("a", 1));
    farm_cut(farm);
    UNTIL(farm, farm->channel != NULL && farm->hellos >= 4);
    assert_int_equal(farm->hello->hello->worker->epoch, 6);
    farm_dismiss(farm);
}

static void a_silent_coordinator_is_left(void **state)
{
    struct farm *farm = *state;
    farm->heartbeat_ms = 100;
    farm->silent = true;
    farm_start(farm);
    farm->heartbeat_ms = 100000;
    UNTIL(farm, farm->hellos == 2);
    farm_dismiss(farm);
}

static void heartbeats_keep_it(void **state)
{
    struct farm *farm = *state;
    farm->heartbeat_ms = 100;
    farm_start(farm);
    farm_run(farm, 1500);
    assert_int_equal(farm->hellos, 1);
    farm_dismiss(farm);
}

static void breaches_end_the_connection_alone(void **state)
{
    struct farm *farm = *state;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Call call = MU__CALL__INIT;
    Mu__Fetch fetch = MU__FETCH__INIT;
    uint8_t garbage[100];
    memset(garbage, 0xee, sizeof garbage);
    farm_start(farm);
    for (int i = 0; i < 6; i++) {
        UNTIL(farm, farm->channel != NULL && farm->hellos == i + 1);
        call.actor = i == 3 ? "../../x" : "a";
        call.attempt = i == 4 ? 0 : 1;
        call.request = 1;
        if (i == 0)
            channel_send(farm->channel, garbage, sizeof garbage);
        if (i == 1)
            channel_send_bulk(farm->channel, 1, garbage, sizeof garbage);
        envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
        envelope.request = &request;
        request.call = i == 2 ? NULL : &call;
        if (i == 5) {
            envelope.body_case = MU__ENVELOPE__BODY_FETCH;
            envelope.fetch = &fetch;
        }
        if (i >= 2)
            farm_send(farm, &envelope);
        UNTIL(farm, farm->channel == NULL);
    }
    UNTIL(farm, farm->channel != NULL && farm->hellos == 7);
    assert_int_equal(farm->hello->hello->worker->n_held, 0);
    farm_dismiss(farm);
}

/* ---- The end ------------------------------------------------------------------------------- */

static void a_refused_worker_ends(void **state)
{
    struct farm *farm = *state;
    farm->refuse = "this place is taken";
    farm_launch(farm);
    farm_expect_end(farm);
    assert_int_equal(farm->status, 1);
}

static void another_build_ends_at_once(void **state)
{
    struct farm *farm = *state;
    farm->invocation.build[0] ^= 1;
    farm_launch(farm);
    farm_expect_end(farm);
    assert_int_equal(farm->status, 1);
    assert_int_equal(farm->hellos, 0);
}

static void without_its_coordinator_it_ends_in_time(void **state)
{
    struct farm *farm = *state;
    farm->invocation.patience_ms = 700;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "sleep 1000 & sleep 1000", NULL);
    ask_send(farm, CALL("b", 1), "c", "m", NULL, "text");
    farm_expect_ok(farm, CALL("b", 1));
    farm_stop_listening(farm);
    farm_cut(farm);
    uint64_t begun = uv_hrtime();
    UNTIL(farm, !farm->running);
    assert_in_range((uv_hrtime() - begun) / 1000000, 600, 10000);
    farm_expect_end(farm);
    assert_int_equal(farm->status, 1);
    farm_listen(farm);
}

static void its_life_is_told_and_ends(void **state)
{
    struct farm *farm = *state;
    farm->invocation.life_ms = 3000;
    farm_start(farm);
    assert_in_range(farm->hello->hello->worker->life_ms, 1, 3000);
    ask_sh(farm, CALL("a", 1), "sleep 1000 & sleep 1000", NULL);
    farm_cut(farm);
    UNTIL(farm, farm->hellos == 2);
    assert_in_range(farm->hello->hello->worker->life_ms, 1, 2999); /* it runs on */
    farm_expect_end(farm);
    assert_int_equal(farm->status, 1);
}

static void a_signal_ends_it(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "trap '' TERM; sleep 1000 & sleep 1000", NULL);
    farm_run(farm, 200);
    kill(farm->pid, SIGTERM);
    farm_expect_end(farm);
    assert_int_equal(farm->status, 1);
}

static void killed_it_leaves_no_processes(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "setsid sleep 1000 & sleep 1000", NULL);
    UNTIL(farm, farm_slot_processes(farm) >= 3);
    kill(farm->pid, SIGKILL);
    UNTIL(farm, !farm->running);
    for (int i = 0; i < 300 && farm_slot_processes(farm) > 0; i++)
        farm_run(farm, 10);
    assert_int_equal(farm_slot_processes(farm), 0);
}

int main(void)
{
    alarm(getenv("ASAN_OPTIONS") != NULL ? 240 : 100);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        FARM_TEST(reconnects_and_says_again_what_was_lost),
        FARM_TEST(a_replaced_coordinator_is_not_obeyed),
        FARM_TEST(a_silent_coordinator_is_left),
        FARM_TEST(heartbeats_keep_it),
        FARM_TEST(breaches_end_the_connection_alone),
        FARM_TEST(a_refused_worker_ends),
        FARM_TEST(another_build_ends_at_once),
        FARM_TEST(without_its_coordinator_it_ends_in_time),
        FARM_TEST(its_life_is_told_and_ends),
        FARM_TEST(a_signal_ends_it),
        FARM_TEST(killed_it_leaves_no_processes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
