/* A worker that parks attempts and goes on with parked ones: real process, real store. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "worker_support.h"

#define CALL(name, n, r)                                                                           \
    (struct call)                                                                                  \
    {                                                                                              \
        .actor = name, .attempt = n, .request = r                                                  \
    }

static void park_at(struct farm *farm, struct call call, uint32_t point)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Park park = MU__PARK__INIT;
    Mu__Call of = MU__CALL__INIT;
    char key[64];
    snprintf(key, sizeof key, "parked/%s", call.actor);
    of.actor = (char *)call.actor;
    of.attempt = call.attempt;
    of.request = call.request;
    park.call = &of;
    park.key = key;
    park.point = point;
    envelope.body_case = MU__ENVELOPE__BODY_PARK;
    envelope.park = &park;
    farm_send(farm, &envelope);
}

static void park(struct farm *farm, struct call call)
{
    park_at(farm, call, 0);
}

/* As a request of its own. */
static void stow(struct farm *farm, struct call call)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Park park = MU__PARK__INIT;
    Mu__Call of = MU__CALL__INIT;
    char key[64];
    snprintf(key, sizeof key, "parked/%s", call.actor);
    of.actor = (char *)call.actor;
    of.attempt = call.attempt;
    of.request = call.request;
    park.key = key;
    request.call = &of;
    request.what_case = MU__REQUEST__WHAT_PARK;
    request.park = &park;
    envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
    envelope.request = &request;
    farm_send(farm, &envelope);
}

static const Mu__Identity *expect_parked(struct farm *farm, struct call call)
{
    const Mu__Outcome *outcome = farm_outcome(farm, call);
    if (outcome->result != MU__OUTCOME__RESULT__PARKED)
        fail_msg("not parked, but %d: %s", outcome->result, outcome->error);
    return outcome->identity;
}

static void unpark(struct farm *farm, struct call call, const char *key,
                   const Mu__Identity *identity)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Unpark unpark = MU__UNPARK__INIT;
    Mu__Call of = MU__CALL__INIT;
    of.actor = (char *)call.actor;
    of.attempt = call.attempt;
    of.request = call.request;
    unpark.key = (char *)key;
    unpark.identity = (Mu__Identity *)identity;
    request.call = &of;
    request.what_case = MU__REQUEST__WHAT_UNPARK;
    request.unpark = &unpark;
    envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
    envelope.request = &request;
    farm_send(farm, &envelope);
}

/* An actor that has done something, and waits. */
static void wait_for_message(struct farm *farm, const char *script)
{
    ask_sh(farm, CALL("a", 1, 1), script, NULL);
    farm_expect_ok(farm, CALL("a", 1, 1));
    ask_receive(farm, CALL("a", 1, 2), "b", "m", "in/got");
}

static void an_attempt_goes_on_elsewhere(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_send(farm, CALL("a", 1, 3), "c", "early", NULL, "durable before");
    farm_expect_ok(farm, CALL("a", 1, 3));
    ask_sh(farm, CALL("a", 1, 4), "mkdir -p deep/er; echo mine >deep/er/file; ln -s deep/er near",
           NULL);
    farm_expect_ok(farm, CALL("a", 1, 4));
    ask_receive(farm, CALL("a", 1, 5), "b", "m", "in/got");
    park(farm, CALL("a", 1, 5));
    park(farm, CALL("a", 1, 5));
    const Mu__Outcome *parked = farm_outcome(farm, CALL("a", 1, 5));
    assert_int_equal(parked->result, MU__OUTCOME__RESULT__PARKED);
    assert_string_equal(farm_take(farm, MU__ENVELOPE__BODY_STORED)->stored->label->name, "early");
    assert_true(farm_exists(farm, "store/parked/a.attempt-1"));
    unpark(farm, CALL("a", 2, 1), "parked/a.attempt-1", parked->identity);
    farm_expect_ok(farm, CALL("a", 2, 1));
    ask_receive(farm, CALL("a", 2, 2), "b", "m", "in/got");
    ask_send(farm, CALL("b", 1, 1), "a", "m", NULL, "at last");
    farm_expect_ok(farm, CALL("b", 1, 1));
    farm_expect_ok(farm, CALL("a", 2, 2));
    ask_sh(farm, CALL("a", 2, 3), "test \"$(cat near/file in/got)\" = \"mine\nat last\"", NULL);
    farm_expect_ok(farm, CALL("a", 2, 3));
    /* It can be parked once more, though it was parked before. */
    ask_receive(farm, CALL("a", 2, 4), "b", "n", "in/other");
    park(farm, CALL("a", 2, 4));
    assert_int_equal(farm_outcome(farm, CALL("a", 2, 4))->result, MU__OUTCOME__RESULT__PARKED);
    assert_true(farm_exists(farm, "store/parked/a.attempt-2"));
    farm_dismiss(farm);
}

static void what_comes_first_counts(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_send(farm, CALL("b", 1, 1), "a", "m", NULL, "here");
    farm_expect_ok(farm, CALL("b", 1, 1));
    wait_for_message(farm, "true");
    farm_expect_ok(farm, CALL("a", 1, 2));
    park(farm, CALL("a", 1, 2));
    park(farm, CALL("nobody", 1, 2));
    ask_sh(farm, CALL("a", 1, 3), "test \"$(cat in/got)\" = here", NULL);
    park(farm, CALL("a", 1, 3)); /* runs */
    farm_expect_ok(farm, CALL("a", 1, 3));
    assert_false(farm_exists(farm, "store/parked/a.attempt-1"));
    farm_dismiss(farm);
}

/* It waits on where it cannot be packed. */
static void what_cannot_be_packed_waits_on(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    wait_for_message(farm, "mkfifo pipe");
    park(farm, CALL("a", 1, 2));
    farm_run(farm, 300);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    ask_send(farm, CALL("b", 1, 1), "a", "m", NULL, "here");
    farm_expect_ok(farm, CALL("b", 1, 1));
    farm_expect_ok(farm, CALL("a", 1, 2));
    assert_false(farm_exists(farm, "store/parked/a.attempt-1"));
    farm_dismiss(farm);
}

static void what_was_parked_is_checked(void **state)
{
    struct farm *farm = *state;
    uint8_t sum[WIRE_SHA256] = {1, 2, 3};
    Mu__Identity other = MU__IDENTITY__INIT, none = MU__IDENTITY__INIT;
    farm_start(farm);
    wait_for_message(farm, "echo mine >file");
    park(farm, CALL("a", 1, 2));
    const Mu__Identity *identity = farm_outcome(farm, CALL("a", 1, 2))->identity;
    other.size = identity->size;
    other.sha256.data = sum;
    other.sha256.len = sizeof sum;
    const struct {
        const char *key;
        const Mu__Identity *identity;
    } bad[] = {{"parked/a.attempt-1", &other},
               {"parked/a.attempt-9", identity},
               {"../parked/a.attempt-1", identity},
               {"parked/a.attempt-1", &none}};
    for (uint32_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        unpark(farm, CALL("a", 2 + i, 1), bad[i].key, bad[i].identity);
        const Mu__Outcome *outcome = farm_outcome(farm, CALL("a", 2 + i, 1));
        if (outcome->result != MU__OUTCOME__RESULT__FAILED)
            fail_msg("%s, case %u", bad[i].key, i);
        farm_drop(farm, "a", 2 + i);
    }
    farm_dismiss(farm);
}

#define ASK(point) "echo 'await " point "' >&$XC_CONTROL; read answer <&$XC_CONTROL; "

/* Waits until the command asks for its point, and says that it is to receive a message of "b". */
static uint32_t receive_at_point(struct farm *farm)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__PointRequest request = MU__POINT_REQUEST__INIT;
    Mu__Receive receive = MU__RECEIVE__INIT;
    Mu__Label label = MU__LABEL__INIT;
    const Mu__Point *point = farm_take(farm, MU__ENVELOPE__BODY_POINT)->point;
    label.from = "b";
    label.to = point->call->actor;
    label.name = "m";
    receive.label = &label;
    receive.file = "got";
    request.call = point->call;
    request.id = point->id;
    request.what_case = MU__POINT_REQUEST__WHAT_RECEIVE;
    request.receive = &receive;
    envelope.body_case = MU__ENVELOPE__BODY_POINT_REQUEST;
    envelope.point_request = &request;
    farm_send(farm, &envelope);
    return point->id;
}

/* The command ends, and begins anew where it goes on, with the files as it left them. */
static void a_command_that_waits_at_a_point_is_parked(void **state)
{
    static const char script[] =
        "echo once >>tries; " ASK("m") "test $answer = ready; cat got >>tries";
    struct farm *farm = *state;
    farm->invocation.slots = 1;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1, 1), script, "m");
    uint32_t point = receive_at_point(farm);
    farm_run(farm, 50);
    park_at(farm, CALL("a", 1, 1), point + 1); /* it does not wait there */
    park(farm, CALL("a", 1, 1));               /* it has begun */
    park_at(farm, CALL("a", 1, 1), point);
    park_at(farm, CALL("a", 1, 1), point);
    const Mu__Identity *identity = expect_parked(farm, CALL("a", 1, 1));
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_POINT_OUTCOME));
    unpark(farm, CALL("a", 2, 1), "parked/a.attempt-1", identity);
    farm_expect_ok(farm, CALL("a", 2, 1));
    ask_sh(farm, CALL("a", 2, 2), script, "m");
    receive_at_point(farm);
    ask_send(farm, CALL("b", 1, 1), "a", "m", NULL, "at last");
    farm_expect_ok(farm, CALL("b", 1, 1));
    farm_expect_ok(farm, CALL("a", 2, 2));
    ask_sh(farm, CALL("a", 2, 3), "test \"$(cat tries)\" = \"$(printf 'once\nonce\nat last')\"",
           NULL);
    farm_expect_ok(farm, CALL("a", 2, 3));
    farm_dismiss(farm);
}

/* Where it cannot be packed it is begun anew on the spot, and its points go on being numbered. */
static void what_cannot_be_packed_begins_anew(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1, 1), "test -p pipe || mkfifo pipe; " ASK("m") "test $answer = ready",
           "m");
    uint32_t point = receive_at_point(farm);
    park_at(farm, CALL("a", 1, 1), point);
    assert_int_equal(receive_at_point(farm), point + 1);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    ask_send(farm, CALL("b", 1, 1), "a", "m", NULL, "here");
    farm_expect_ok(farm, CALL("b", 1, 1));
    farm_expect_ok(farm, CALL("a", 1, 1));
    assert_false(farm_exists(farm, "store/parked/a.attempt-1"));
    farm_dismiss(farm);
}

static void what_has_not_begun_is_parked(void **state)
{
    struct farm *farm = *state;
    farm->invocation.slots = 1;
    farm_start(farm);
    ask_sh(farm, CALL("b", 1, 1), "until test -e go; do sleep 0.02; done", NULL);
    farm_run(farm, 50);
    ask_sh(farm, CALL("a", 1, 1), "touch begun", NULL);
    park(farm, CALL("b", 1, 1)); /* runs */
    park(farm, CALL("a", 1, 1));
    const Mu__Identity *identity = expect_parked(farm, CALL("a", 1, 1));
    farm_drop(farm, "b", 1);
    unpark(farm, CALL("a", 2, 1), "parked/a.attempt-1", identity);
    farm_expect_ok(farm, CALL("a", 2, 1));
    ask_sh(farm, CALL("a", 2, 2), "! test -e begun", NULL);
    farm_expect_ok(farm, CALL("a", 2, 2));
    farm_dismiss(farm);
}

static void between_two_requests_it_is_parked(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1, 1), "echo mine >file", NULL);
    farm_expect_ok(farm, CALL("a", 1, 1));
    ask_send(farm, CALL("a", 1, 2), "c", "early", NULL, "durable before");
    farm_expect_ok(farm, CALL("a", 1, 2));
    stow(farm, CALL("a", 1, 3));
    const Mu__Identity *identity = expect_parked(farm, CALL("a", 1, 3));
    assert_true(farm_said(farm, MU__ENVELOPE__BODY_STORED));
    unpark(farm, CALL("a", 2, 1), "parked/a.attempt-1", identity);
    farm_expect_ok(farm, CALL("a", 2, 1));
    ask_sh(farm, CALL("a", 2, 2), "test $(cat file) = mine; mkfifo pipe", NULL);
    farm_expect_ok(farm, CALL("a", 2, 2));
    /* Where it cannot be, it goes on. */
    stow(farm, CALL("a", 2, 3));
    assert_int_equal(farm_outcome(farm, CALL("a", 2, 3))->result, MU__OUTCOME__RESULT__FAILED);
    ask_sh(farm, CALL("a", 2, 4), "test $(cat file) = mine", NULL);
    farm_expect_ok(farm, CALL("a", 2, 4));
    farm_dismiss(farm);
}

/* An object that is no archive, whole as it is. */
static void what_is_no_archive_is_refused(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_sh(farm, CALL("b", 1, 1), "echo no archive >file", NULL);
    farm_expect_ok(farm, CALL("b", 1, 1));
    ask_put(farm, CALL("b", 1, 2), "file", "parked/a");
    const Mu__Identity *identity = farm_outcome(farm, CALL("b", 1, 2))->identity;
    unpark(farm, CALL("a", 1, 1), "parked/a.attempt-1", identity);
    const Mu__Outcome *outcome = farm_outcome(farm, CALL("a", 1, 1));
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__FAILED);
    assert_non_null(strstr(outcome->error, "archive"));
    farm_dismiss(farm);
}

static void dropping_ends_parking(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    wait_for_message(farm, "head -c 20000000 /dev/urandom >file");
    park(farm, CALL("a", 1, 2));
    farm_drop(farm, "a", 1);
    ask_sh(farm, CALL("b", 1, 1), "true", NULL);
    farm_expect_ok(farm, CALL("b", 1, 1));
    farm_run(farm, 500);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    farm_dismiss(farm);
}

int main(void)
{
    alarm(getenv("ASAN_OPTIONS") != NULL ? 240 : 100);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        FARM_TEST(an_attempt_goes_on_elsewhere),
        FARM_TEST(what_comes_first_counts),
        FARM_TEST(what_cannot_be_packed_waits_on),
        FARM_TEST(what_was_parked_is_checked),
        FARM_TEST(what_is_no_archive_is_refused),
        FARM_TEST(dropping_ends_parking),
        FARM_TEST(a_command_that_waits_at_a_point_is_parked),
        FARM_TEST(what_cannot_be_packed_begins_anew),
        FARM_TEST(what_has_not_begun_is_parked),
        FARM_TEST(between_two_requests_it_is_parked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
