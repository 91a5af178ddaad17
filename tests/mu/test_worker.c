/* A worker process at work: each kind of request, well and badly; its cores; what it leaves behind. */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "worker_support.h"

#define CALL(actor_, request_) ((struct call){.actor = actor_, .attempt = 1, .request = request_})

static void expect_failure(struct farm *farm, struct call call, const char *words)
{
    const Mu__Outcome *outcome = farm_outcome(farm, call);
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__FAILED);
    if (words[0] != '\0' && strstr(outcome->error, words) == NULL)
        fail_msg("'%s' does not say '%s'", outcome->error, words);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void each_kind_does_what_it_says(void **state)
{
    struct farm *farm = *state;
    farm_write(farm, "store/film", "pictures");
    farm_start(farm);
    ask_get(farm, CALL("a", 1), "film", "in/film");
    farm_expect_ok(farm, CALL("a", 1));
    ask_sh(farm, CALL("a", 2), "tr a-z A-Z <in/film >out; pwd; echo \"$HOME/$SECRET\" >&2", NULL);
    const Mu__Outcome *outcome = farm_outcome(farm, CALL("a", 2));
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__OK);
    assert_non_null(memmem(outcome->stdout_tail.data, outcome->stdout_tail.len, "a.1/files", 9));
    assert_true(outcome->took_us > 0 && outcome->memory > 0);
    ask_read(farm, CALL("a", 3), "out", 100);
    outcome = farm_outcome(farm, CALL("a", 3));
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__OK);
    assert_int_equal(outcome->content.len, 8);
    assert_memory_equal(outcome->content.data, "PICTURES", 8);
    ask_put(farm, CALL("a", 4), "out", "loud");
    outcome = farm_outcome(farm, CALL("a", 4));
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__OK);
    assert_true(wire_identity_valid(outcome->identity));
    assert_int_equal(outcome->identity->size, 8);
    assert_string_equal(farm_read(farm, "store/loud.attempt-1"), "PICTURES");
    ask_quit(farm, CALL("a", 5));
    farm_expect_ok(farm, CALL("a", 5));
    farm_dismiss(farm);
}

static void messages_pass_and_are_copied(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    /* Received before it was sent, sent from a file that changes afterwards. */
    ask_receive(farm, CALL("b", 1), "a", "state", "got");
    ask_sh(farm, CALL("a", 1), "echo first >state", NULL);
    farm_expect_ok(farm, CALL("a", 1));
    ask_send(farm, CALL("a", 2), "b", "state", "state", NULL);
    const Mu__Outcome *sent = farm_outcome(farm, CALL("a", 2));
    assert_int_equal(sent->result, MU__OUTCOME__RESULT__OK);
    assert_int_equal(sent->identity->size, 6);
    ask_sh(farm, CALL("a", 3), "echo other >state", NULL);
    farm_expect_ok(farm, CALL("a", 3));
    const Mu__Outcome *got = farm_outcome(farm, CALL("b", 1));
    assert_int_equal(got->result, MU__OUTCOME__RESULT__OK);
    assert_memory_equal(got->identity->sha256.data, sent->identity->sha256.data, WIRE_SHA256);
    ask_sh(farm, CALL("b", 2), "test \"$(cat got)\" = first", NULL);
    farm_expect_ok(farm, CALL("b", 2));
    const Mu__Stored *stored = farm_take(farm, MU__ENVELOPE__BODY_STORED)->stored;
    assert_string_equal(stored->label->to, "b");
    assert_memory_equal(stored->identity->sha256.data, sent->identity->sha256.data, WIRE_SHA256);
    assert_string_equal(farm_read(farm, "store/messages/b/a/state.attempt-1"), "first\n");
    /* Once more the same is nothing new, another one is an error. A text, received twice. */
    ask_send(farm, CALL("a", 4), "b", "state", NULL, "first\n");
    farm_expect_ok(farm, CALL("a", 4));
    ask_send(farm, CALL("a", 5), "b", "state", "state", NULL);
    expect_failure(farm, CALL("a", 5), "not deterministic");
    ask_send(farm, CALL("a", 6), "b", "word", NULL, "hello");
    farm_expect_ok(farm, CALL("a", 6));
    for (uint64_t i = 3; i <= 4; i++) {
        ask_receive(farm, CALL("b", i), "a", "word", "deep/word");
        farm_expect_ok(farm, CALL("b", i));
    }
    farm_dismiss(farm);
}

struct arrival {
    bool done;
    struct store_identity identity;
    int code;
};

static void on_arrival(void *opaque, const struct store_identity *identity,
                       const struct error *error)
{
    *(struct arrival *)opaque =
        (struct arrival){.done = true, .identity = *identity, .code = error->code};
}

/* It is on its way before all of it is copied, and what arrives is what was sent. */
static void a_large_message_goes_while_it_is_copied(void **state)
{
    struct farm *farm = *state;
    struct messenger_receive *receive;
    struct arrival arrival = {.done = false};
    const struct label label = {"a", "z", "big"};
    struct error error;
    farm_start(farm);
    int folder = open(farm->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct store_file to = {.folder = folder, .path = "arrived"};
    struct messenger *neighbour = farm_neighbour(farm, 0);
    assert_int_equal(
        messenger_receive(neighbour, &label, &to, on_arrival, &arrival, &receive, &error), 0);
    ask_sh(farm, CALL("a", 1), "seq 1 3000000 >big", NULL);
    farm_expect_ok(farm, CALL("a", 1));
    ask_send(farm, CALL("a", 2), "z", "big", "big", NULL);
    const Mu__Outcome *sent = farm_outcome(farm, CALL("a", 2));
    assert_int_equal(sent->result, MU__OUTCOME__RESULT__OK);
    UNTIL(farm, arrival.done);
    assert_int_equal(arrival.code, 0);
    assert_int_equal(arrival.identity.size, sent->identity->size);
    assert_memory_equal(arrival.identity.sha256, sent->identity->sha256.data, WIRE_SHA256);
    ask_sh(farm, CALL("a", 3), "cmp big ../../../../../arrived", NULL);
    farm_expect_ok(farm, CALL("a", 3));
    /* The same once more is nothing new; what changes it is an error. */
    ask_send(farm, CALL("a", 4), "z", "big", "big", NULL);
    farm_expect_ok(farm, CALL("a", 4));
    ask_sh(farm, CALL("a", 5), "echo >>big", NULL);
    farm_expect_ok(farm, CALL("a", 5));
    ask_send(farm, CALL("a", 6), "z", "big", "big", NULL);
    expect_failure(farm, CALL("a", 6), "not deterministic");
    close(folder);
    messenger_free(neighbour);
    farm_dismiss(farm);
}

static void failures_say_why(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_get(farm, CALL("a", 1), "nothing", "x");
    expect_failure(farm, CALL("a", 1), "nothing");
    ask_put(farm, CALL("a", 2), "nothing", "x");
    expect_failure(farm, CALL("a", 2), "nothing");
    ask_read(farm, CALL("a", 3), "nothing", 10);
    expect_failure(farm, CALL("a", 3), "nothing");
    ask_send(farm, CALL("a", 4), "b", "m", "nothing", NULL);
    expect_failure(farm, CALL("a", 4), "nothing");
    ask_sh(farm, CALL("a", 5), "echo one; echo 'no picture' >&2; exit 3", NULL);
    const Mu__Outcome *outcome = farm_outcome(farm, CALL("a", 5));
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__FAILED);
    assert_int_equal(outcome->exit_status, 3);
    assert_int_equal(outcome->stderr_tail.len, 11);
    assert_memory_equal(outcome->stderr_tail.data, "no picture\n", 11);
    ask_sh(farm, CALL("a", 6), "kill -SEGV $$", NULL);
    assert_int_equal(farm_outcome(farm, CALL("a", 6))->exit_status, -SIGSEGV);
    const char *argv[] = {"no-such-program-anywhere"};
    ask_run(farm, CALL("a", 7), argv, 1, NULL);
    expect_failure(farm, CALL("a", 7), "program cannot be run");
    ask_run(farm, CALL("a", 8), NULL, 0, NULL);
    expect_failure(farm, CALL("a", 8), "command");
    ask_sh(farm, CALL("a", 9), "head -c 2000 /dev/zero >big; yes | head -c 100000 >&2; exit 1",
           NULL);
    assert_int_equal(farm_outcome(farm, CALL("a", 9))->stderr_tail.len, WIRE_TAIL_MOST);
    ask_read(farm, CALL("a", 10), "big", 1999);
    expect_failure(farm, CALL("a", 10), "1999");
    farm_dismiss(farm);
}

static void nothing_leaves_the_scratch_folder(void **state)
{
    struct farm *farm = *state;
    char *longest = calloc(1, 3001);
    uint64_t n = 0;
    memset(longest, 'x', 3000);
    const char *const bad[] = {"../outside", "/etc/hostname", "a/../../b",  "",    "./a",
                               "a//b",       longest,         "out/passwd", "a/.."};
    farm_write(farm, "store/film", "pictures");
    farm_start(farm);
    ask_sh(farm, CALL("a", ++n), "ln -s /etc out; ln -s /etc/passwd link; mkfifo pipe", NULL);
    farm_expect_ok(farm, CALL("a", n));
    ask_send(farm, CALL("a", ++n), "a", "m", NULL, "text");
    farm_expect_ok(farm, CALL("a", n));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ask_get(farm, CALL("a", ++n), "film", bad[i]);
        expect_failure(farm, CALL("a", n), "");
        ask_put(farm, CALL("a", ++n), bad[i], "copy");
        expect_failure(farm, CALL("a", n), "");
        ask_read(farm, CALL("a", ++n), bad[i], 100);
        expect_failure(farm, CALL("a", n), "");
        ask_receive(farm, CALL("a", ++n), "a", "m", bad[i]);
        expect_failure(farm, CALL("a", n), "");
        if (bad[i][0] == '\0')
            continue; /* without a file it is a text that is sent */
        ask_send(farm, CALL("a", ++n), "b", "m", bad[i], NULL);
        expect_failure(farm, CALL("a", n), "");
    }
    ask_read(farm, CALL("a", ++n), "link", 10000);
    expect_failure(farm, CALL("a", n), "");
    ask_read(farm, CALL("a", ++n), "pipe", 10000);
    expect_failure(farm, CALL("a", n), "");
    ask_get(farm, CALL("a", ++n), "../film", "x");
    expect_failure(farm, CALL("a", n), "key");
    ask_put(farm, CALL("a", ++n), "x", longest);
    expect_failure(farm, CALL("a", n), "key");
    ask_send(farm, CALL("a", ++n), "../b", "m", NULL, "text");
    expect_failure(farm, CALL("a", n), "not allowed");
    ask_receive(farm, CALL("a", ++n), "b", "m/n", "x");
    expect_failure(farm, CALL("a", n), "not allowed");
    assert_int_equal(farm_entries(farm, "scratch"), 1);
    assert_int_equal(farm_entries(farm, "store"), 2); /* the film, messages */
    free(longest);
    farm_dismiss(farm);
}

static void time_limits_hold(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    struct call run = {.actor = "a", .attempt = 1, .request = 1, .timeout_ms = 300};
    struct call wait = {.actor = "b", .attempt = 1, .request = 1, .timeout_ms = 300};
    ask_sh(farm, run, "sleep 1000 & sleep 1000", NULL);
    ask_receive(farm, wait, "z", "never", "x");
    assert_int_equal(farm_outcome(farm, run)->result, MU__OUTCOME__RESULT__TIMEOUT);
    assert_int_equal(farm_outcome(farm, wait)->result, MU__OUTCOME__RESULT__TIMEOUT);
    run.request = wait.request = 2;
    ask_sh(farm, run, "true", NULL);
    farm_expect_ok(farm, run);
    farm_dismiss(farm);
}

/* ---- Cores --------------------------------------------------------------------------------- */

static void later_steps_and_earlier_actors_go_first(void **state)
{
    struct farm *farm = *state;
    static const struct {
        const char *actor;
        uint32_t priority;
    } order[] = {{"c-10", 1}, {"c-9", 1}, {"c-11", 7}, {"c-2", 7}, {"d", 0}};
    char script[300];
    farm->invocation.slots = 1;
    farm_start(farm);
    snprintf(script, sizeof script, "while ! test -e %s/go; do sleep 0.02; done", farm->folder);
    ask_sh(farm, CALL("first", 1), script, NULL);
    for (int i = 0; i < 5; i++) {
        snprintf(script, sizeof script, "echo %s >>%s/order", order[i].actor, farm->folder);
        ask_sh(
            farm,
            (struct call){
                .actor = order[i].actor, .attempt = 1, .request = 1, .priority = order[i].priority},
            script, NULL);
    }
    farm_run(farm, 200);
    farm_write(farm, "go", "");
    for (int i = 0; i < 5; i++)
        farm_expect_ok(farm, CALL(order[i].actor, 1));
    assert_string_equal(farm_read(farm, "order"), "c-2\nc-11\nc-9\nc-10\nd\n");
    farm_dismiss(farm);
}

static void answer_point(struct farm *farm, const Mu__Point *point, Mu__PointRequest *request)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    request->call = point->call;
    request->id = point->id;
    envelope.body_case = MU__ENVELOPE__BODY_POINT_REQUEST;
    envelope.point_request = request;
    farm_send(farm, &envelope);
}

#define ASK(point) "echo 'await " point "' >&$XC_CONTROL; read answer <&$XC_CONTROL; "

static void waiting_at_a_point_leaves_the_core(void **state)
{
    struct farm *farm = *state;
    Mu__PointRequest request = MU__POINT_REQUEST__INIT;
    Mu__Receive receive = MU__RECEIVE__INIT;
    Mu__Label label = MU__LABEL__INIT;
    farm->invocation.slots = 1;
    farm_start(farm);
    ask_sh(farm, CALL("b", 1), ASK("state 7") "echo $answer $(cat got) >out", "state");
    const Mu__Point *point = farm_take(farm, MU__ENVELOPE__BODY_POINT)->point;
    assert_string_equal(point->name, "state");
    assert_int_equal(point->number, 7);
    label.from = "a";
    label.to = "b";
    label.name = "state";
    receive.label = &label;
    receive.file = "got";
    request.what_case = MU__POINT_REQUEST__WHAT_RECEIVE;
    request.receive = &receive;
    answer_point(farm, point, &request);
    answer_point(farm, point, &request); /* said twice, done once */
    /* With but one core, the other command can run. The questions survive a lost connection. */
    ask_sh(farm, CALL("a", 1), "echo here >state", NULL);
    farm_expect_ok(farm, CALL("a", 1));
    int hellos = farm->hellos;
    farm_cut(farm);
    UNTIL(farm, farm->hellos > hellos);
    assert_int_equal(farm_take(farm, MU__ENVELOPE__BODY_POINT)->point->id, 1);
    ask_send(farm, CALL("a", 2), "b", "state", "state", NULL);
    farm_expect_ok(farm, CALL("a", 2));
    const Mu__PointOutcome *done = farm_take(farm, MU__ENVELOPE__BODY_POINT_OUTCOME)->point_outcome;
    assert_int_equal(done->outcome->result, MU__OUTCOME__RESULT__OK);
    assert_int_equal(done->outcome->identity->size, 5);
    farm_expect_ok(farm, CALL("b", 1));
    ask_sh(farm, CALL("b", 2), "test \"$(cat out)\" = 'ready here'", NULL);
    farm_expect_ok(farm, CALL("b", 2));
    farm_dismiss(farm);
}

static void points_are_refused_or_unknown(void **state)
{
    struct farm *farm = *state;
    Mu__PointRequest request = MU__POINT_REQUEST__INIT;
    Mu__Refusal refusal = MU__REFUSAL__INIT;
    Mu__Nothing nothing = MU__NOTHING__INIT;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), ASK("other") "test $answer = cancelled", "state");
    farm_expect_ok(farm, CALL("a", 1));
    ask_sh(farm, CALL("a", 2),
           ASK("state") "test $answer = cancelled || exit 1; " ASK(
               "state") "test $answer = ready || exit 1; " ASK("state") "test $answer = done",
           "state");
    request.what_case = MU__POINT_REQUEST__WHAT_REFUSED;
    refusal.reason = "no such actor";
    request.refused = &refusal;
    answer_point(farm, farm_take(farm, MU__ENVELOPE__BODY_POINT)->point, &request);
    request.what_case = MU__POINT_REQUEST__WHAT_NOTHING;
    request.nothing = &nothing;
    answer_point(farm, farm_take(farm, MU__ENVELOPE__BODY_POINT)->point, &request);
    request.what_case = MU__POINT_REQUEST__WHAT_DONE;
    request.done = &nothing;
    answer_point(farm, farm_take(farm, MU__ENVELOPE__BODY_POINT)->point, &request);
    farm_expect_ok(farm, CALL("a", 2));
    /* The command ends while what it asked for is under way. */
    struct call limited = {.actor = "a", .attempt = 1, .request = 3};
    ask_sh(farm, limited, "(" ASK("state") ") & sleep 0.3", "state");
    farm_take(farm, MU__ENVELOPE__BODY_POINT);
    farm_expect_ok(farm, limited);
    farm_dismiss(farm);
}

/* ---- Attempts ------------------------------------------------------------------------------ */

static void dropping_ends_what_is_under_way(void **state)
{
    struct farm *farm = *state;
    farm->invocation.slots = 1;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "sleep 1000 & sleep 1000", NULL);
    ask_sh(farm, CALL("b", 1), "sleep 1000", NULL);
    ask_receive(farm, CALL("c", 1), "z", "never", "x");
    ask_quit(farm, CALL("d", 1));
    farm_expect_ok(farm, CALL("d", 1));
    farm_run(farm, 200);
    for (const char *actor = "c"; *actor != '\0'; actor++)
        farm_drop(farm, actor, 1);
    farm_drop(farm, "b", 1);
    farm_drop(farm, "a", 1);
    farm_drop(farm, "nobody", 1);
    /* The next attempt at the same actor does not meet what the first one left. */
    struct call next = {.actor = "a", .attempt = 2, .request = 1};
    ask_sh(farm, next, "touch ours; ls ..; test $(ls | wc -l) = 1", NULL);
    farm_expect_ok(farm, next);
    farm_run(farm, 200);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    assert_int_equal(farm_slot_processes(farm), 1);
    farm_dismiss(farm);
}

static void attempts_leave_nothing(void **state)
{
    struct farm *farm = *state;
    char name[32];
    int before = 0;
    farm_start(farm);
    for (int i = 0; i < 60; i++) {
        snprintf(name, sizeof name, "ring-%d", i);
        ask_sh(farm, CALL(name, 1), "mkdir -p a/b; echo x >a/b/c; chmod 0 a/b; ln -s / root", NULL);
        farm_expect_ok(farm, CALL(name, 1));
        ask_send(farm, CALL(name, 2), name, "self", NULL, "text");
        farm_expect_ok(farm, CALL(name, 2));
        ask_receive(farm, CALL(name, 3), name, "self", "got");
        farm_expect_ok(farm, CALL(name, 3));
        ask_quit(farm, CALL(name, 4));
        farm_expect_ok(farm, CALL(name, 4));
        if (i == 10)
            before = farm_worker_descriptors(farm);
    }
    farm_run(farm, 300);
    assert_in_range(farm_worker_descriptors(farm), 1, before + 2);
    ask_sh(farm, CALL("last", 1), "test $(ls ../.. | wc -l) = 1", NULL);
    farm_expect_ok(farm, CALL("last", 1));
    farm_dismiss(farm);
}

static void quit_waits_until_all_is_durable(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    farm_write(farm, "store/messages", "in the way"); /* a file where a folder must be */
    ask_send(farm, CALL("a", 1), "b", "m", NULL, "text");
    farm_expect_ok(farm, CALL("a", 1));
    ask_quit(farm, CALL("a", 2));
    farm_run(farm, 500);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_STORED));
    char path[100];
    snprintf(path, sizeof path, "%s/store/messages", farm->folder);
    unlink(path);
    farm_expect_ok(farm, CALL("a", 2));
    assert_true(farm_said(farm, MU__ENVELOPE__BODY_STORED));
    assert_string_equal(farm_read(farm, "store/messages/b/a/m.attempt-1"), "text");
    farm_dismiss(farm);
}

static void messages_outlive_their_worker(void **state)
{
    struct farm *farm = *state;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "head -c 3000000 /dev/urandom >state; sha256sum <state", NULL);
    const Mu__Outcome *made = farm_outcome(farm, CALL("a", 1));
    ask_send(farm, CALL("a", 2), "b", "state", "state", NULL);
    farm_expect_ok(farm, CALL("a", 2));
    UNTIL(farm, rendezvous_counters(farm->rendezvous)->received == 3000000);
    farm_dismiss(farm);
    farm_start(farm);
    ask_receive(farm, CALL("b", 1), "a", "state", "in/got");
    farm_expect_ok(farm, CALL("b", 1));
    ask_sh(farm, CALL("b", 2), "sha256sum <in/got", NULL);
    const Mu__Outcome *got = farm_outcome(farm, CALL("b", 2));
    assert_memory_equal(got->stdout_tail.data, made->stdout_tail.data, 64);
    /* Made again with another content: its attempt cannot end well. */
    ask_send(farm, CALL("a", 1), "b", "state", NULL, "something else");
    farm_expect_ok(farm, CALL("a", 1));
    UNTIL(farm, rendezvous_counters(farm->rendezvous)->clashes > 0);
    farm_run(farm, 100);
    ask_quit(farm, CALL("a", 2));
    expect_failure(farm, CALL("a", 2), "not deterministic");
    farm_dismiss(farm);
}

static void a_lost_rendezvous_is_mapped_out(void **state)
{
    struct farm *farm = *state;
    struct invocation *invocation = &farm->invocation;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__MapOut map_out = MU__MAP_OUT__INIT;
    static const char *const receivers[] = {"b", "c", "d", "e"}; /* of both rendezvous */
    free(invocation->rendezvous[0].host);
    invocation->rendezvous = realloc(invocation->rendezvous, 2 * sizeof *invocation->rendezvous);
    invocation->rendezvous_count = 2;
    invocation->rendezvous[0] = (struct invocation_place){strdup("127.0.0.1"), 1};
    invocation->rendezvous[1] =
        (struct invocation_place){strdup("127.0.0.1"), rendezvous_port(farm->rendezvous)};
    farm_start(farm);
    for (uint64_t i = 0; i < 4; i++) {
        ask_send(farm, CALL("a", i + 1), receivers[i], "m", NULL, "1000");
        farm_expect_ok(farm, CALL("a", i + 1));
    }
    farm_run(farm, 300);
    assert_in_range(rendezvous_counters(farm->rendezvous)->received, 4, 12);
    envelope.body_case = MU__ENVELOPE__BODY_MAP_OUT;
    envelope.map_out = &map_out;
    farm_send(farm, &envelope);
    UNTIL(farm, rendezvous_counters(farm->rendezvous)->received == 16);
    farm_dismiss(farm);
}

static void a_store_that_fails_for_a_while_is_waited_for(void **state)
{
    struct farm *farm = *state;
    char path[100];
    snprintf(path, sizeof path, "%s/store", farm->folder);
    if (mount("tmpfs", path, "tmpfs", 0, "size=256k") != 0)
        skip(); /* not allowed here */
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "echo x >small; head -c 300000 /dev/zero >big", NULL);
    farm_expect_ok(farm, CALL("a", 1));
    int readonly = mount("tmpfs", path, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=256k");
    ask_put(farm, CALL("a", 2), "small", "small");
    ask_put(farm, CALL("b", 1), "nothing", "small"); /* an error at once */
    expect_failure(farm, CALL("b", 1), "nothing");
    farm_run(farm, 500);
    bool waited = !farm_said(farm, MU__ENVELOPE__BODY_OUTCOME);
    int writable = mount("tmpfs", path, "tmpfs", MS_REMOUNT, "size=256k");
    farm_expect_ok(farm, CALL("a", 2));
    struct call full = {.actor = "a", .attempt = 1, .request = 3, .timeout_ms = 700};
    ask_put(farm, full, "big", "big");
    int result = (int)farm_outcome(farm, full)->result;
    farm_dismiss(farm);
    umount(path);
    assert_int_equal(result, MU__OUTCOME__RESULT__TIMEOUT);
    assert_true(readonly == 0 && writable == 0 && waited);
}

static void messages_are_fetched_from_their_copies(void **state)
{
    struct farm *farm = *state;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Fetch fetch = MU__FETCH__INIT;
    farm_start(farm);
    ask_send(farm, CALL("a", 1), "b", "m", NULL, "the text");
    farm_expect_ok(farm, CALL("a", 1));
    const Mu__Stored *stored = farm_take(farm, MU__ENVELOPE__BODY_STORED)->stored;
    farm_drop(farm, "a", 1);
    rendezvous_forget(farm->rendezvous, JOB, "b");
    ask_receive(farm, CALL("b", 1), "a", "m", "in/got");
    farm_run(farm, 200);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    fetch.label = stored->label;
    fetch.identity = stored->identity;
    fetch.key = "messages/b/a/m.attempt-1";
    envelope.body_case = MU__ENVELOPE__BODY_FETCH;
    envelope.fetch = &fetch;
    farm_send(farm, &envelope);
    farm_expect_ok(farm, CALL("b", 1));
    ask_sh(farm, CALL("b", 2), "test \"$(cat in/got)\" = 'the text'", NULL);
    farm_expect_ok(farm, CALL("b", 2));
    /* A copy that is not the message. */
    rendezvous_forget(farm->rendezvous, JOB, "b");
    farm_write(farm, "store/other", "another text");
    ask_receive(farm, CALL("b", 3), "a", "m", "in/got");
    fetch.key = "other";
    farm_send(farm, &envelope);
    expect_failure(farm, CALL("b", 3), "other");
    farm_dismiss(farm);
}

/* Sends `size` zeros. */
static void send_zeros(struct farm *farm, struct messenger *messenger, uint64_t size,
                       struct store_identity *identity)
{
    static const uint8_t zeros[100000];
    const struct label label = {"z", "b", "zeros"};
    struct messenger_send *send;
    struct error error;
    struct sha256 *sum = sha256_new();
    char path[128];
    snprintf(path, sizeof path, "%s/store/zeros", farm->folder);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    *identity = (struct store_identity){.size = size};
    for (uint64_t at = 0; at < size; at += sizeof zeros) {
        assert_int_equal(write(file, zeros, sizeof zeros), sizeof zeros);
        sha256_update(sum, zeros, sizeof zeros);
    }
    sha256_finish(sum, identity->sha256);
    sha256_free(sum);
    if (messenger_send(messenger, &label, file, identity, NULL, false, &send, &error) < 0)
        fail_msg("%s", error.message);
}

/* Whether bytes of this file have come, and not all of it. */
static bool partly_here(struct farm *farm, const char *file)
{
    char pattern[256];
    struct stat status = {0};
    glob_t found;
    snprintf(pattern, sizeof pattern, "%s/scratch/*/12-*/b.1/files/%s.part", farm->folder, file);
    if (glob(pattern, 0, NULL, &found) == 0)
        stat(found.gl_pathv[0], &status);
    globfree(&found);
    return status.st_size > 0;
}

static void name_copy(struct farm *farm, const struct store_identity *identity, const char *key)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Fetch fetch = MU__FETCH__INIT;
    Mu__Label label = MU__LABEL__INIT;
    Mu__Identity named = MU__IDENTITY__INIT;
    label.from = "z";
    label.to = "b";
    label.name = "zeros";
    named.size = identity->size;
    named.sha256.data = (uint8_t *)identity->sha256;
    named.sha256.len = SHA256_SIZE;
    fetch.label = &label;
    fetch.identity = &named;
    fetch.key = (char *)key;
    envelope.body_case = MU__ENVELOPE__BODY_FETCH;
    envelope.fetch = &fetch;
    farm_send(farm, &envelope);
}

/* What is coming goes on; only when nothing more comes is the copy taken. */
static void a_copy_is_for_what_does_not_come(void **state)
{
    struct farm *farm = *state;
    struct store_identity identity;
    farm_start(farm);
    struct messenger *neighbour = farm_neighbour(farm, 0);
    ask_receive(farm, CALL("b", 1), "z", "zeros", "got");
    send_zeros(farm, neighbour, 20000000, &identity);
    UNTIL(farm, partly_here(farm, "got"));
    name_copy(farm, &identity, "there-is-none");
    farm_expect_ok(farm, CALL("b", 1));
    rendezvous_forget(farm->rendezvous, JOB, "b");
    messenger_free(neighbour);
    tls_client_free(farm->neighbour);
    neighbour = farm_neighbour(farm, 0);
    ask_receive(farm, CALL("b", 2), "z", "zeros", "again");
    send_zeros(farm, neighbour, 20000000, &identity);
    UNTIL(farm, partly_here(farm, "again"));
    rendezvous_free(farm->rendezvous);
    farm->rendezvous = NULL;
    messenger_free(neighbour);
    farm_run(farm, 100);
    assert_false(farm_said(farm, MU__ENVELOPE__BODY_OUTCOME));
    name_copy(farm, &identity, "zeros");
    farm_expect_ok(farm, CALL("b", 2));
    ask_sh(farm, CALL("b", 3), "cmp got again && test $(ls | wc -l) = 2", NULL);
    farm_expect_ok(farm, CALL("b", 3));
    farm_dismiss(farm);
}

/* ---- Over slow connections ----------------------------------------------------------------- */

/* Too little to tell of the speed of a connection, which would be a fast one here. */
enum { LARGE = 200000 };

static struct store_identity large_bytes(uint8_t *bytes, uint8_t first)
{
    struct store_identity identity = {.size = LARGE};
    struct sha256 *sum = sha256_new();
    uint32_t random = 1;
    for (int i = 0; i < LARGE; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(random >> 29);
    }
    bytes[0] = first;
    sha256_update(sum, bytes, LARGE);
    sha256_finish(sum, identity.sha256);
    sha256_free(sum);
    return identity;
}

static void send_large(struct farm *farm, struct messenger *messenger, const char *name,
                       uint8_t first, const struct messenger_base *base)
{
    static uint8_t bytes[LARGE];
    const struct label label = {"z", "b", name};
    const struct store_identity identity = large_bytes(bytes, first);
    struct messenger_send *send;
    struct error error;
    char path[128];
    snprintf(path, sizeof path, "%s/%s", farm->folder, name);
    int file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_int_equal(write(file, bytes, LARGE), LARGE);
    if (messenger_send(messenger, &label, file, &identity, base, false, &send, &error) < 0)
        fail_msg("%s", error.message);
}

static void a_difference_to_what_was_received(void **state)
{
    struct farm *farm = *state;
    static uint8_t bytes[LARGE];
    char path[128];
    farm_start(farm);
    struct messenger *neighbour = farm_neighbour(farm, 1e6);
    send_large(farm, neighbour, "before", 'x', NULL);
    ask_receive(farm, CALL("b", 1), "z", "before", "before");
    farm_expect_ok(farm, CALL("b", 1));
    ask_sh(farm, CALL("b", 2), "rm before", NULL);
    farm_expect_ok(farm, CALL("b", 2));
    uint64_t so_far = messenger_counters(neighbour)->sent;
    snprintf(path, sizeof path, "%s/before", farm->folder);
    struct messenger_base base = {.file = open(path, O_RDONLY | O_CLOEXEC),
                                  .identity = large_bytes(bytes, 'x')};
    send_large(farm, neighbour, "after", 'y', &base);
    close(base.file);
    ask_receive(farm, CALL("b", 3), "z", "after", "after");
    farm_expect_ok(farm, CALL("b", 3));
    assert_int_equal(messenger_counters(neighbour)->differences, 1);
    assert_true(messenger_counters(neighbour)->sent - so_far < LARGE / 100);
    ask_sh(farm, CALL("b", 4), "test \"$(head -c 1 after)\" = y && rm after", NULL);
    farm_expect_ok(farm, CALL("b", 4));
    messenger_free(neighbour);
    farm_dismiss(farm);
}

/* A worker that has found its connection to be slow. */
static void a_difference_to_what_was_sent(void **state)
{
    struct farm *farm = *state;
    const uint64_t size = 1288895; /* of the lines from 1 to 200000 */
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "seq 1 200000 >before; sed 's/^777$/778/' before >after", NULL);
    farm_expect_ok(farm, CALL("a", 1));
    ask_send(farm, CALL("a", 2), "b", "before", "before", NULL);
    /* Looked after so rarely, the connection is slow even where its buffers hold all of the message. */
    while (rendezvous_counters(farm->rendezvous)->received < size) {
        usleep(200000);
        uv_run(&farm->loop, UV_RUN_ONCE);
    }
    const Mu__Outcome *outcome = farm_outcome(farm, CALL("a", 2));
    assert_int_equal(outcome->result, MU__OUTCOME__RESULT__OK);
    assert_int_equal(outcome->identity->size, size);
    farm_run(farm, 200); /* it hears that all has arrived */
    ask_send(farm, CALL("a", 3), "b", "after", "after", NULL);
    farm_expect_ok(farm, CALL("a", 3));
    UNTIL(farm, rendezvous_counters(farm->rendezvous)->offers == 3); /* the last one twice */
    UNTIL(farm, rendezvous_counters(farm->rendezvous)->received > size);
    farm_run(farm, 100);
    assert_true(rendezvous_counters(farm->rendezvous)->received - size < size / 100);
    farm_dismiss(farm);
}

static void a_killed_slot_costs_one_command(void **state)
{
    struct farm *farm = *state;
    farm->invocation.slots = 1;
    farm_start(farm);
    ask_sh(farm, CALL("a", 1), "kill -9 $PPID; sleep 1000", NULL);
    assert_int_equal(farm_outcome(farm, CALL("a", 1))->result, MU__OUTCOME__RESULT__FAILED);
    ask_sh(farm, CALL("a", 2), "true", NULL);
    farm_expect_ok(farm, CALL("a", 2));
    farm_dismiss(farm);
}

int main(void)
{
    alarm(getenv("ASAN_OPTIONS") != NULL ? 240 : 100);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        FARM_TEST(each_kind_does_what_it_says),
        FARM_TEST(messages_pass_and_are_copied),
        FARM_TEST(a_large_message_goes_while_it_is_copied),
        FARM_TEST(failures_say_why),
        FARM_TEST(nothing_leaves_the_scratch_folder),
        FARM_TEST(time_limits_hold),
        FARM_TEST(later_steps_and_earlier_actors_go_first),
        FARM_TEST(waiting_at_a_point_leaves_the_core),
        FARM_TEST(points_are_refused_or_unknown),
        FARM_TEST(dropping_ends_what_is_under_way),
        FARM_TEST(attempts_leave_nothing),
        FARM_TEST(quit_waits_until_all_is_durable),
        FARM_TEST(messages_outlive_their_worker),
        FARM_TEST(a_lost_rendezvous_is_mapped_out),
        FARM_TEST(a_store_that_fails_for_a_while_is_waited_for),
        FARM_TEST(messages_are_fetched_from_their_copies),
        FARM_TEST(a_copy_is_for_what_does_not_come),
        FARM_TEST(a_difference_to_what_was_received),
        FARM_TEST(a_difference_to_what_was_sent),
        FARM_TEST(a_killed_slot_costs_one_command),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
