/* Machines as pure functions: actors, their states as values, steps, guards, settings, requests. */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mu/draw.h"
#include "mu/job_file.h"
#include "mu/machine.h"

static struct job *load(const char *text)
{
    struct job *job;
    struct error error = {0};
    if (job_file_parse("job", text, strlen(text), NULL, 0, &job, &error) < 0)
        fail_msg("%s", error.message);
    return job;
}

static struct actor find(const struct job *job, const char *name)
{
    struct actor actor;
    if (!actor_find(job, name, &actor))
        fail_msg("no actor %s", name);
    return actor;
}

static void assert_contains(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("'%s' without '%s'", text, part);
}

/* The name of the state that the actor is in. */
static const char *where(const struct job *job, const struct actor_state *state)
{
    return job->state[state->state].name;
}

/* Makes a step and leaves its result in `state`. */
static int step(const struct job *job, struct actor actor, struct actor_state *state,
                enum job_outcome outcome, const char *content)
{
    const struct machine_outcome given = {outcome, content, content != NULL ? strlen(content) : 0};
    struct actor_state after;
    struct error error;
    int result = machine_step(job, actor, state, &given, &after, &error);
    if (result < 0)
        fail_msg("%s", error.message);
    actor_state_free(state);
    *state = after;
    return result;
}

/* ---- Actors -------------------------------------------------------------------------------- */

static const char people[] =
    "{\"format\":1,\"job\":\"people\",\"variables\":{\"v\":\"job\"},\"actors\":["
    "{\"name\":\"king\",\"variables\":{\"v\":\"king\"}},{\"family\":\"heir\",\"count\":3},"
    "{\"family\":\"folk\",\"count\":\"open\"}],\"machine\":{\"start\":\"do\",\"states\":{"
    "\"do\":{\"run\":{\"argv\":[\"${actor}\",\"${family}\",\"${index}\",\"${count}\",\"${previous}"
    "\","
    "\"${next}\",\"${first}\",\"${last}\",\"${v}\"],"
    "\"points\":{\"end\":{\"close\":{\"family\":\"folk\"}}}},\"on\":{\"ok\":\"end\"}},"
    "\"end\":{\"quit\":{}}}}}";

static void actors_have_names(void **state)
{
    (void)state;
    struct job *job = load(people);
    static const char *const names[] = {"king",        "heir-000000", "heir-000002",
                                        "folk-000000", "folk-123456", "folk-1234567"};
    static const char *const others[] = {"",
                                         "king-000000",
                                         "heir",
                                         "heir-",
                                         "heir-00000",
                                         "heir-000003",
                                         "heir-0000000",
                                         "folk-0123456",
                                         "folk-10000000",
                                         "heir--00001",
                                         "heir-00000x"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        char name[JOB_ACTOR_SIZE];
        struct actor actor = find(job, names[i]);
        assert_true(actor_exists(job, actor));
        actor_name(job, actor, name);
        assert_string_equal(name, names[i]);
    }
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct actor actor;
        if (actor_find(job, others[i], &actor))
            fail_msg("'%s' is an actor", others[i]);
    }
    assert_false(actor_exists(job, (struct actor){0, 1}));
    assert_false(actor_exists(job, (struct actor){1, -1}));
    assert_false(actor_exists(job, (struct actor){3, 0}));
    assert_false(actor_exists(job, (struct actor){-1, 0}));
    job_free(job);
}

/* What the actor's run gets as arguments. */
static void assert_sees(const struct job *job, const char *name, const char *const words[9])
{
    struct actor_state state;
    struct machine_request request;
    struct error error;
    assert_int_equal(machine_start(job, find(job, name), &state, &error), MACHINE_REQUEST);
    assert_int_equal(machine_request(job, find(job, name), &state, &request, &error), 0);
    for (int i = 0; i < 9; i++)
        assert_string_equal(request.argv[i], words[i]);
    assert_null(request.argv[9]);
    machine_request_free(&request);
    actor_state_free(&state);
}

static void actors_know_their_neighbours(void **state)
{
    (void)state;
    struct job *job = load(people);
    assert_sees(job, "king", (const char *[]){"king", "", "0", "1", "", "", "", "", "king"});
    assert_sees(job, "heir-000000",
                (const char *[]){"heir-000000", "heir", "0", "3", "", "heir-000001", "heir-000000",
                                 "heir-000002", "job"});
    assert_sees(job, "heir-000002",
                (const char *[]){"heir-000002", "heir", "2", "3", "heir-000001", "", "heir-000000",
                                 "heir-000002", "job"});
    assert_sees(job, "folk-000007",
                (const char *[]){"folk-000007", "folk", "7", "0", "folk-000006", "folk-000008",
                                 "folk-000000", "", "job"});
    job_free(job);
}

/* ---- Steps --------------------------------------------------------------------------------- */

static const char steps[] =
    "{\"format\":1,\"job\":\"steps\",\"variables\":{\"a\":1,\"b\":2,\"s\":\"x\",\"f\":false,"
    "\"limit\":7},\"actors\":[{\"name\":\"me\"}],\"machine\":{\"start\":\"try\",\"states\":{"
    "\"try\":{\"run\":{\"argv\":[\"a\"]},\"retries\":2,\"timeout\":\"${limit}\","
    "\"on\":{\"ok\":\"swap\",\"failed\":[{\"if\":{\"variable\":\"f\",\"is\":true},\"to\":\"end\"},"
    "{\"to\":\"read\"}]}},"
    "\"swap\":{\"set\":{\"a\":\"${b}\",\"b\":\"${a}\",\"s\":\"${s}${a}$$\"},\"on\":{\"ok\":\"add\"}"
    "},"
    "\"add\":{\"set\":{\"a\":{\"add\":\"${b}\"}},\"on\":{\"ok\":\"read\"}},"
    "\"read\":{\"set\":{\"b\":{\"file\":\"facts-${s}\"},\"s\":{\"file\":\"facts-${s}\"},"
    "\"a\":{\"add\":-1},\"f\":{\"file\":\"facts-${s}\"}},\"retries\":1,\"on\":{\"ok\":\"try\"}},"
    "\"end\":{\"quit\":{}}}}}";

static const struct actor me = {0, 0};

static struct actor_state start(const struct job *job, int expected)
{
    struct actor_state state;
    struct error error;
    int result = machine_start(job, me, &state, &error);
    if (result < 0)
        fail_msg("%s", error.message);
    assert_int_equal(result, expected);
    return state;
}

static int tries(const struct job *job, const struct actor_state *state)
{
    struct machine_request request;
    struct error error;
    assert_int_equal(machine_request(job, me, state, &request, &error), 0);
    int found = request.tries;
    machine_request_free(&request);
    return found;
}

static void requests_are_tried_again(void **state)
{
    (void)state;
    struct job *job = load(steps);
    struct actor_state at = start(job, MACHINE_REQUEST);
    for (int i = 0; i < 2; i++) {
        assert_string_equal(where(job, &at), "try");
        assert_int_equal(tries(job, &at), i);
        assert_int_equal(step(job, me, &at, i == 0 ? JOB_FAILED : JOB_TIMEOUT, NULL),
                         MACHINE_REQUEST);
    }
    assert_int_equal(tries(job, &at), 2);
    /* The machine says where failures lead to, but nothing of time limits. */
    struct actor_state other;
    struct error error;
    assert_int_equal(actor_state_copy(&at, &other, &error), 0);
    assert_int_equal(step(job, me, &other, JOB_TIMEOUT, NULL), MACHINE_UNHANDLED);
    assert_true(actor_state_equal(&at, &other));
    assert_int_equal(step(job, me, &at, JOB_FAILED, NULL), MACHINE_REQUEST);
    assert_string_equal(where(job, &at), "read");
    assert_int_equal(tries(job, &at), 0);
    actor_state_free(&other);
    actor_state_free(&at);
    job_free(job);
}

static void assert_integer(const struct job *job, const struct actor_state *state, const char *name,
                           int64_t expected)
{
    int variable;
    assert_true(job_find_variable(job, name, &variable));
    const struct job_value *value = actor_state_get(state, variable);
    assert_non_null(value);
    assert_int_equal(value->integer, expected);
}

static void variables_are_set_all_at_once(void **state)
{
    (void)state;
    struct job *job = load(steps);
    struct actor_state at = start(job, MACHINE_REQUEST);
    assert_int_equal(step(job, me, &at, JOB_OK, NULL), MACHINE_REQUEST);
    assert_string_equal(where(job, &at), "read");
    assert_integer(job, &at, "a", 3);
    assert_integer(job, &at, "b", 1);
    assert_string_equal(actor_state_get(&at, 2)->string, "x1$");
    actor_state_free(&at);
    job_free(job);
}

static void variables_are_read_from_files(void **state)
{
    (void)state;
    struct job *job = load(steps);
    struct actor_state at = start(job, MACHINE_REQUEST);
    for (int i = 0; i < 3; i++)
        step(job, me, &at, JOB_FAILED, NULL);
    struct machine_request request;
    struct error error;
    assert_int_equal(machine_request(job, me, &at, &request, &error), 0);
    assert_int_equal(request.kind, JOB_SET);
    assert_string_equal(request.file, "facts-x");
    machine_request_free(&request);
    assert_int_equal(
        step(job, me, &at, JOB_OK, "{\"s\":\"new\",\"f\":true,\"b\":-5,\"other\":[1]}\n"),
        MACHINE_REQUEST);
    assert_string_equal(where(job, &at), "try");
    assert_integer(job, &at, "a", 0);
    assert_integer(job, &at, "b", -5);
    assert_integer(job, &at, "f", 1);
    assert_string_equal(actor_state_get(&at, 2)->string, "new");
    /* Guards see them. */
    for (int i = 0; i < 2; i++)
        step(job, me, &at, JOB_FAILED, NULL);
    assert_int_equal(step(job, me, &at, JOB_FAILED, NULL), MACHINE_FINISHED);
    actor_state_free(&at);
    job_free(job);
}

static void bad_files_are_failures(void **state)
{
    (void)state;
    static const struct {
        const char *content, *error;
    } files[] = {
        {"", "the file's line 1: "},
        {"[]", "is not a JSON object"},
        {"{\"s\":\"a\",\"s\":\"b\"}", "the file's line 1: duplicate object key"},
        {"{\"b\":1,\"s\":\"a\"}", "does not say 'f' as a boolean"},
        {"{\"b\":1.5,\"s\":\"a\",\"f\":true}", "does not say 'b' as an integer"},
        {"{\"b\":1,\"s\":null,\"f\":true}", "does not say 's' as a string"},
    };
    struct job *job = load(steps);
    struct actor_state before = start(job, MACHINE_REQUEST), after;
    step(job, me, &before, JOB_OK, NULL);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        struct error error;
        struct machine_outcome outcome = {JOB_OK, files[i].content, strlen(files[i].content)};
        before.tries = 0;
        assert_int_equal(machine_step(job, me, &before, &outcome, &after, &error), MACHINE_REQUEST);
        assert_contains(error.message, files[i].error);
        assert_int_equal(after.tries, 1);
        before.tries = 1;
        /* But for the try, nothing has changed. */
        assert_true(actor_state_equal(&before, &after));
        actor_state_free(&after);
        assert_int_equal(machine_step(job, me, &before, &outcome, &after, &error),
                         MACHINE_UNHANDLED);
        assert_contains(error.message, files[i].error);
        actor_state_free(&after);
    }
    actor_state_free(&before);
    job_free(job);
}

static void sums_beyond_64_bits_end_it(void **state)
{
    (void)state;
    struct job *job = load(
        "{\"format\":1,\"job\":\"j\",\"variables\":{\"a\":9223372036854775807},"
        "\"actors\":[{\"name\":\"me\"}],\"machine\":{\"start\":\"add\",\"states\":{"
        "\"add\":{\"set\":{\"a\":{\"add\":1}},\"on\":{\"ok\":\"end\"}},\"end\":{\"quit\":{}}}}}");
    struct actor_state at;
    struct error error;
    assert_int_equal(machine_start(job, me, &at, &error), -ERANGE);
    assert_string_equal(error.message,
                        "actor 'me': state 'add': variable 'a' grows beyond 64 bits");
    assert_null(at.set);
    job_free(job);
}

/* ---- Guards -------------------------------------------------------------------------------- */

static void guards_compare(void **state)
{
    (void)state;
    static const struct {
        const char *guard;
        bool holds;
    } guards[] = {
        {"{\"variable\":\"i\",\"is\":5}", true},
        {"{\"variable\":\"i\",\"is\":6}", false},
        {"{\"variable\":\"i\",\"is_not\":6}", true},
        {"{\"variable\":\"i\",\"less\":5}", false},
        {"{\"variable\":\"i\",\"less\":\"${j}\"}", true},
        {"{\"variable\":\"i\",\"at_most\":5}", true},
        {"{\"variable\":\"i\",\"at_most\":4}", false},
        {"{\"variable\":\"i\",\"more\":-5}", true},
        {"{\"variable\":\"i\",\"more\":5}", false},
        {"{\"variable\":\"i\",\"at_least\":5}", true},
        {"{\"variable\":\"i\",\"at_least\":\"${j}\"}", false},
        {"{\"variable\":\"s\",\"is\":\"a5\"}", true},
        {"{\"variable\":\"s\",\"is\":\"a${i}\"}", true},
        {"{\"variable\":\"s\",\"is\":\"${actor}\"}", false},
        {"{\"variable\":\"s\",\"is_not\":\"\"}", true},
        {"{\"variable\":\"b\",\"is\":true}", true},
        {"{\"variable\":\"b\",\"is\":\"${c}\"}", false},
        {"{\"variable\":\"b\",\"is_not\":\"${c}\"}", true},
        {"{\"variable\":\"index\",\"is\":0}", true},
        {"{\"variable\":\"family\",\"is\":\"\"}", true},
        {"{\"not\":{\"variable\":\"b\",\"is\":true}}", false},
        {"{\"all\":[{\"variable\":\"b\",\"is\":true},{\"variable\":\"i\",\"is\":5}]}", true},
        {"{\"all\":[{\"variable\":\"b\",\"is\":true},{\"variable\":\"i\",\"is\":4}]}", false},
        {"{\"any\":[{\"variable\":\"b\",\"is\":false},{\"variable\":\"i\",\"is\":5}]}", true},
        {"{\"any\":[{\"variable\":\"b\",\"is\":false},{\"variable\":\"i\",\"is\":4}]}", false},
        {"{\"not\":{\"any\":[{\"variable\":\"b\",\"is\":false},{\"not\":{\"all\":["
         "{\"variable\":\"i\",\"is\":5}]}}]}}",
         true},
    };
    for (size_t i = 0; i < sizeof guards / sizeof guards[0]; i++) {
        char *text;
        assert_true(
            asprintf(&text,
                     "{\"format\":1,\"job\":\"j\",\"variables\":{\"i\":5,\"j\":6,\"s\":\"a5\","
                     "\"b\":true,\"c\":false},\"actors\":[{\"name\":\"me\"}],\"machine\":{"
                     "\"start\":[{\"if\":%s,\"to\":\"yes\"},{\"to\":\"no\"}],\"states\":{"
                     "\"yes\":{\"quit\":{}},\"no\":{\"quit\":{}}}}}",
                     guards[i].guard) > 0);
        struct job *job = load(text);
        struct actor_state at = start(job, MACHINE_FINISHED);
        if (strcmp(where(job, &at), guards[i].holds ? "yes" : "no") != 0)
            fail_msg("%s", guards[i].guard);
        actor_state_free(&at);
        job_free(job);
        free(text);
    }
}

/* ---- States as values ---------------------------------------------------------------------- */

static void states_are_written_and_read(void **state)
{
    (void)state;
    struct job *job = load(steps);
    struct actor_state at = start(job, MACHINE_REQUEST), again;
    struct error error;
    char *text;
    step(job, me, &at, JOB_OK, NULL);
    step(job, me, &at, JOB_FAILED, NULL);
    assert_int_equal(actor_state_write(job, &at, &text, &error), 0);
    assert_string_equal(text,
                        "{\"state\":\"read\",\"tries\":1,\"set\":{\"a\":3,\"b\":1,\"s\":\"x1$\"}}");
    assert_int_equal(actor_state_read(job, text, strlen(text), &again, &error), 0);
    assert_true(actor_state_equal(&at, &again));
    again.tries = 0;
    assert_false(actor_state_equal(&at, &again));
    again.tries = 1;
    assert_int_equal(
        actor_state_set(&again, 3, &(struct job_value){.type = JOB_BOOLEAN, .integer = 1}, &error),
        0);
    assert_false(actor_state_equal(&at, &again));
    free(text);
    actor_state_free(&at);
    actor_state_free(&again);
    job_free(job);
}

static void states_of_other_jobs_are_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "{}",
        "{\"state\":\"raed\",\"tries\":0,\"set\":{}}",
        "{\"state\":\"read\",\"tries\":2,\"set\":{}}",
        "{\"state\":\"read\",\"tries\":-1,\"set\":{}}",
        "{\"state\":\"read\",\"tries\":0,\"set\":[]}",
        "{\"state\":\"read\",\"tries\":0,\"set\":{\"c\":1}}",
        "{\"state\":\"read\",\"tries\":0,\"set\":{\"index\":1}}",
        "{\"state\":\"read\",\"tries\":0,\"set\":{\"b\":1,\"a\":\"1\"}}",
        "{\"state\":\"read\",\"tries\":0,\"set\":{},\"more\":1}",
        "{\"state\":\"read\",\"tries\":0,\"set\":{}} x",
    };
    struct job *job = load(steps);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct actor_state at;
        struct error error;
        assert_int_equal(actor_state_read(job, texts[i], strlen(texts[i]), &at, &error), -EINVAL);
        assert_null(at.set);
    }
    job_free(job);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static const char asks[] =
    "{\"format\":1,\"job\":\"asks\",\"variables\":{\"name\":\"n\",\"peer\":\"me\",\"limit\":7},"
    "\"actors\":[{\"name\":\"me\"},{\"family\":\"it\",\"count\":\"open\"}],"
    "\"machine\":{\"start\":\"get\",\"states\":{"
    "\"get\":{\"get\":{\"key\":\"in/${name}\",\"file\":\"d/${name}.y\"},\"on\":{\"ok\":\"put\"}},"
    "\"put\":{\"put\":{\"key\":\"out\",\"file\":\"f\",\"for\":\"it-000001\"},\"on\":{\"ok\":"
    "\"send\"}},"
    "\"send\":{\"send\":{\"to\":\"${peer}\",\"name\":\"m-${name}\",\"text\":\"hello\"},"
    "\"timeout\":0.25,\"on\":{\"ok\":\"receive\"}},"
    "\"receive\":{\"receive\":{\"from\":\"me\",\"name\":\"m-n\",\"file\":\"g\"},\"on\":{\"ok\":"
    "\"run\"}},"
    "\"run\":{\"run\":{\"argv\":[\"sh\",\"${name} $${x}\"],\"points\":{"
    "\"wait\":{\"receive\":{\"from\":\"it-${number}\",\"name\":\"a-${number}-${name}\","
    "\"file\":\"f-${number}\"}},"
    "\"keep\":{\"put\":{\"file\":\"f\",\"key\":\"k/${name}\",\"for\":\"it-000000\"}},"
    "\"end\":{\"close\":{\"family\":\"it\"}}}},\"timeout\":\"${limit}\",\"priority\":42,"
    "\"on\":{\"ok\":\"read\"}},"
    "\"read\":{\"set\":{\"name\":{\"file\":\"f\"},\"peer\":{\"file\":\"f\"},\"limit\":{\"file\":"
    "\"f\"}},"
    "\"on\":{\"ok\":\"get\",\"failed\":\"say\",\"timeout\":\"end\"}},"
    "\"say\":{\"send\":{\"to\":\"it-000000\",\"name\":\"a-000000-n\",\"file\":\"f\"},"
    "\"on\":{\"ok\":\"say-it\"}},"
    "\"say-it\":{\"send\":{\"to\":\"me\",\"name\":\"a-000000-n\",\"file\":\"f\"},\"on\":{\"ok\":"
    "\"end\"}},"
    "\"end\":{\"quit\":{}}}}}";

static struct machine_request ask(const struct job *job, const struct actor_state *state)
{
    struct machine_request request;
    struct error error;
    if (machine_request(job, me, state, &request, &error) < 0)
        fail_msg("%s", error.message);
    return request;
}

static void requests_are_filled_in(void **state)
{
    (void)state;
    struct job *job = load(asks);
    struct actor_state at = start(job, MACHINE_REQUEST);
    struct machine_request request = ask(job, &at);
    assert_int_equal(request.kind, JOB_GET);
    assert_string_equal(request.key, "in/n");
    assert_string_equal(request.file, "d/n.y");
    assert_int_equal(request.timeout_ms, 300000);
    assert_int_equal(request.priority, 0);
    assert_null(request.peer);
    machine_request_free(&request);

    step(job, me, &at, JOB_OK, NULL);
    request = ask(job, &at);
    assert_int_equal(request.kind, JOB_PUT);
    assert_string_equal(request.key, "out");
    assert_string_equal(request.peer, "it-000001");
    assert_int_equal(request.priority, 1);
    machine_request_free(&request);

    step(job, me, &at, JOB_OK, NULL);
    request = ask(job, &at);
    assert_int_equal(request.kind, JOB_SEND);
    assert_string_equal(request.peer, "me");
    assert_string_equal(request.name, "m-n");
    assert_string_equal(request.text, "hello");
    assert_null(request.file);
    assert_int_equal(request.timeout_ms, 250);
    machine_request_free(&request);

    step(job, me, &at, JOB_OK, NULL);
    request = ask(job, &at);
    assert_int_equal(request.kind, JOB_RECEIVE);
    assert_string_equal(request.peer, "me");
    assert_string_equal(request.file, "g");
    assert_int_equal(request.timeout_ms, 0);
    machine_request_free(&request);
    actor_state_free(&at);
    job_free(job);
}

/* In the state "run". */
static struct actor_state at_run(const struct job *job)
{
    struct actor_state at = start(job, MACHINE_REQUEST);
    for (int i = 0; i < 4; i++)
        step(job, me, &at, JOB_OK, NULL);
    assert_string_equal(where(job, &at), "run");
    return at;
}

static void points_get_their_numbers(void **state)
{
    (void)state;
    struct job *job = load(asks);
    struct actor_state at = at_run(job);
    struct machine_request request = ask(job, &at), point;
    struct error error;
    assert_string_equal(request.argv[1], "n ${x}");
    assert_int_equal(request.timeout_ms, 7000);
    assert_int_equal(request.priority, 42);
    assert_int_equal(request.points, 3);
    assert_string_equal(request.point[0].name, "wait");
    assert_true(request.point[0].numbered);
    assert_int_equal(machine_number(&request.point[0], 12, &point, &error), 0);
    assert_int_equal(point.kind, JOB_RECEIVE);
    assert_string_equal(point.peer, "it-000012");
    assert_string_equal(point.name, "a-000012-n");
    assert_string_equal(point.file, "f-000012");
    machine_request_free(&point);
    assert_int_equal(machine_number(&request.point[0], 1234567, &point, &error), 0);
    assert_string_equal(point.peer, "it-1234567");
    machine_request_free(&point);
    assert_string_equal(request.point[1].name, "keep");
    assert_false(request.point[1].numbered);
    assert_string_equal(request.point[1].request.key, "k/n");
    assert_true(request.point[2].numbered);
    assert_string_equal(request.point[2].request.family, "it");
    machine_request_free(&request);
    actor_state_free(&at);
    job_free(job);
}

/* What variables come to while the job runs is checked then. */
static void bad_values_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *content, *state, *error;
        int steps; /* from "read" on */
    } cases[] = {
        {"{\"name\":\"../n\",\"peer\":\"me\",\"limit\":7}", "get",
         "actor 'me', state 'get': 'in/../n' is no key", 1},
        {"{\"name\":\"n\",\"peer\":\"you\",\"limit\":7}", "send",
         "state 'send': the job has no actor 'you'", 3},
        {"{\"name\":\"n\",\"peer\":\"it-01\",\"limit\":7}", "send", "no actor 'it-01'", 3},
        {"{\"name\":\"n/m\",\"peer\":\"me\",\"limit\":7}", "send", "'m-n/m' is no name", 3},
        {"{\"name\":\"n/m\",\"peer\":\"me\",\"limit\":7}", "run",
         "state 'run': point 'wait': 'a-000000-n/m' is no name of a message", 5},
        {"{\"name\":\"n\",\"peer\":\"me\",\"limit\":0}", "run", "a time limit of 0 seconds", 5},
    };
    struct job *job = load(asks);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct actor_state at = at_run(job);
        struct machine_request request;
        struct error error;
        step(job, me, &at, JOB_OK, NULL);
        for (int j = 0; j < cases[i].steps; j++)
            step(job, me, &at, JOB_OK, j == 0 ? cases[i].content : NULL);
        assert_string_equal(where(job, &at), cases[i].state);
        assert_int_equal(machine_request(job, me, &at, &request, &error), -EINVAL);
        assert_contains(error.message, cases[i].error);
        assert_null(request.arena.last);
        actor_state_free(&at);
    }
    job_free(job);
}

/* A variable can grow by being put into itself, up to a limit. */
static void texts_do_not_grow_for_ever(void **state)
{
    (void)state;
    struct job *job =
        load("{\"format\":1,\"job\":\"j\",\"variables\":{\"s\":\"0123456789abcdef\"},"
             "\"actors\":[{\"name\":\"me\"}],\"machine\":{\"start\":\"run\",\"states\":{"
             "\"run\":{\"run\":{\"argv\":[\"a\"]},\"on\":{\"ok\":\"double\",\"failed\":\"end\"}},"
             "\"double\":{\"set\":{\"s\":\"${s}${s}\"},\"on\":{\"ok\":\"run\"}},\"end\":{\"quit\":{"
             "}}}}}");
    struct actor_state at = start(job, MACHINE_REQUEST), after;
    struct machine_outcome outcome = {.outcome = JOB_OK};
    struct error error;
    for (int length = 16; length < JOB_MOST_TEXT; length *= 2)
        step(job, me, &at, JOB_OK, NULL);
    assert_int_equal(machine_step(job, me, &at, &outcome, &after, &error), -E2BIG);
    assert_contains(error.message, "actor 'me': state 'double': a text of 32768 bytes");
    assert_null(after.set);
    actor_state_free(&at);
    job_free(job);
}

/* ---- Drawing ------------------------------------------------------------------------------- */

static char *draw(const struct job *job)
{
    char *text;
    size_t size;
    struct error error;
    FILE *stream = open_memstream(&text, &size);
    assert_non_null(stream);
    assert_int_equal(draw_dot(job, stream, &error), 0);
    assert_int_equal(fclose(stream), 0);
    return text;
}

static void machines_are_drawn(void **state)
{
    (void)state;
    struct job *job = load(steps), *again = load(steps);
    char *text = draw(job), *same = draw(again);
    assert_string_equal(text, same);
    assert_string_equal(
        text, "digraph \"steps\" {\n"
              "    node [shape=box, fontname=\"sans-serif\", fontsize=10];\n"
              "    edge [fontname=\"sans-serif\", fontsize=9];\n"
              "    \"\" [shape=point];\n"
              "    \"\" -> \"try\" [style=solid, label=\"\"];\n"
              "    \"try\" [label=\"try\\nrun a\", style=bold];\n"
              "    \"try\" -> \"swap\" [style=solid, label=\"\"];\n"
              "    \"try\" -> \"end\" [style=dashed, label=\"failed, f = true\"];\n"
              "    \"try\" -> \"read\" [style=dashed, label=\"failed, else\"];\n"
              "    \"swap\" [label=\"swap\\nset a = ${b}\\nb = ${a}\\ns = '${s}${a}$'\"];\n"
              "    \"swap\" -> \"add\" [style=solid, label=\"\"];\n"
              "    \"add\" [label=\"add\\nset a += ${b}\"];\n"
              "    \"add\" -> \"read\" [style=solid, label=\"\"];\n"
              "    \"read\" [label=\"read\\nset b from facts-${s}\\ns from facts-${s}\\na += -1\\n"
              "f from facts-${s}\"];\n"
              "    \"read\" -> \"try\" [style=solid, label=\"\"];\n"
              "    \"end\" [label=\"end\\nquit\", peripheries=2];\n"
              "}\n");
    free(text);
    free(same);
    job_free(job);
    job_free(again);
}

static void drawings_hold_any_text(void **state)
{
    (void)state;
    struct job *job = load(
        "{\"format\":1,\"job\":\"j\",\"actors\":[{\"name\":\"me\"}],\"machine\":{\"start\":\"run\","
        "\"states\":{\"run\":{\"run\":{\"argv\":[\"a\\\"b\\\\c\\nd\","
        "\"äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöü\"]},"
        "\"on\":{\"ok\":\"end\"}},\"end\":{\"quit\":{}}}}}");
    char *text = draw(job);
    assert_contains(
        text, "run a\\\"b\\\\c d äöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäöüäö…");
    free(text);
    job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(actors_have_names),
        cmocka_unit_test(actors_know_their_neighbours),
        cmocka_unit_test(requests_are_tried_again),
        cmocka_unit_test(variables_are_set_all_at_once),
        cmocka_unit_test(variables_are_read_from_files),
        cmocka_unit_test(bad_files_are_failures),
        cmocka_unit_test(sums_beyond_64_bits_end_it),
        cmocka_unit_test(guards_compare),
        cmocka_unit_test(states_are_written_and_read),
        cmocka_unit_test(states_of_other_jobs_are_refused),
        cmocka_unit_test(requests_are_filled_in),
        cmocka_unit_test(points_get_their_numbers),
        cmocka_unit_test(bad_values_are_refused),
        cmocka_unit_test(texts_do_not_grow_for_ever),
        cmocka_unit_test(machines_are_drawn),
        cmocka_unit_test(drawings_hold_any_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
