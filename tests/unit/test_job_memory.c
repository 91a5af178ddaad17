/*
 * Running out of memory while jobs are loaded and machines make steps: each allocation fails in turn, the
 * call says so, leaves nothing behind, and works the next time.
 * Jansson is told to use the same allocator.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "mu/job_file.h"
#include "mu/machine.h"
#include "support/allocator.h"

static const char text[] =
    "{\"format\":1,\"job\":\"j\",\"variables\":{\"s\":\"a\",\"i\":1},"
    "\"inputs\":[{\"file\":\"/in/${s}\",\"key\":\"in\"}],"
    "\"actors\":[{\"name\":\"me\",\"variables\":{\"s\":\"b\"}},{\"family\":\"it\",\"count\":"
    "\"open\"}],"
    "\"machine\":{\"start\":[{\"if\":{\"all\":[{\"variable\":\"actor\",\"is\":\"me${i}\"},"
    "{\"not\":{\"variable\":\"i\",\"is\":7}}]},\"to\":\"end\"},{\"to\":\"run\"}],\"states\":{"
    "\"run\":{\"run\":{\"argv\":[\"a\",\"${s}b${i}\"],\"points\":{"
    "\"tell\":{\"send\":{\"to\":\"${actor}\",\"name\":\"n-${number}\",\"file\":\"f-${s}\"}},"
    "\"end\":{\"close\":{\"family\":\"it\"}}}},\"on\":{\"ok\":\"set\",\"failed\":\"wait\"}},"
    "\"wait\":{\"receive\":{\"from\":\"${actor}\",\"name\":\"n-000001\",\"file\":\"f\"},"
    "\"on\":{\"ok\":\"end\"}},"
    "\"set\":{\"set\":{\"s\":\"${s}!\",\"i\":{\"add\":1}},\"on\":{\"ok\":\"read\"}},"
    "\"read\":{\"set\":{\"i\":{\"file\":\"f\"},\"s\":{\"file\":\"f\"}},\"on\":{\"ok\":\"run\"}},"
    "\"end\":{\"quit\":{}}}}}";

/* Jansson may call it a mistake in the text when it cannot keep a word of it. */
static bool is_expected(int code)
{
    return code == -ENOMEM || code == -EINVAL;
}

static struct job *load(void)
{
    struct job *job;
    struct error error = {0};
    if (job_file_parse("job", text, strlen(text), NULL, 0, &job, &error) < 0)
        fail_msg("%s", error.message);
    return job;
}

static void loading(void **state)
{
    (void)state;
    int code = -ENOMEM, allocations = 0;
    for (bool failed = true; failed; allocations++) {
        struct job *job;
        struct error error = {0};
        const struct job_choice choice = {"s", "chosen"};
        allocator.until_failure = allocations;
        allocator.held = 0;
        code = job_file_parse("job", text, strlen(text), &choice, 1, &job, &error);
        failed = allocator.until_failure < 0;
        allocator.until_failure = -1;
        if (code < 0 && (!is_expected(code) || job != NULL || allocator.held != 0))
            fail_msg("allocation %d: %d, %d blocks held, %s", allocations, code, allocator.held,
                     error.message);
        job_free(job);
        assert_int_equal(allocator.held, 0);
    }
    assert_true(code == 0 && allocations > 50);
}

/* Starts an actor and takes it through a run, sets and a file, with a look at everything. */
static int play(const struct job *job, struct actor_state *at, struct error *error)
{
    static const char facts[] = "{\"i\":5,\"s\":\"new\"}";
    const struct actor me = {0, 0};
    const struct machine_outcome ok = {JOB_OK, facts, sizeof facts - 1};
    struct actor_state after, again = {0};
    struct machine_request request = {0}, point = {0};
    char *written = NULL;
    int code = machine_start(job, me, at, error);
    for (int i = 0; i < 2 && code >= 0; i++) {
        code = machine_request(job, me, at, &request, error);
        if (code >= 0 && request.points > 0)
            code = machine_number(&request.point[0], 3, &point, error);
        machine_request_free(&request);
        machine_request_free(&point);
        if (code >= 0)
            code = machine_step(job, me, at, &ok, &after, error);
        if (code >= 0) {
            actor_state_free(at);
            *at = after;
        }
    }
    if (code >= 0)
        code = actor_state_write(job, at, &written, error);
    free(written);
    if (code >= 0)
        code = actor_state_copy(at, &again, error);
    actor_state_free(&again);
    return code;
}

static void stepping(void **state)
{
    (void)state;
    struct job *job = load();
    struct error error = {0};
    int code = -ENOMEM, allocations = 0;
    for (bool failed = true; failed; allocations++) {
        struct actor_state at = {0};
        allocator.until_failure = allocations;
        allocator.held = 0;
        code = play(job, &at, &error);
        failed = allocator.until_failure < 0;
        allocator.until_failure = -1;
        if (code < 0 && !is_expected(code))
            fail_msg("allocation %d: %d, %s", allocations, code, error.message);
        actor_state_free(&at);
        assert_int_equal(allocator.held, 0);
    }
    assert_true(code >= 0 && allocations > 5);
    job_free(job);
}

static void reading_states(void **state)
{
    (void)state;
    static const char kept[] = "{\"state\":\"read\",\"tries\":1,\"set\":{\"s\":\"x\",\"i\":4}}";
    struct job *job = load();
    struct error error = {0};
    int code = -ENOMEM, allocations = 0;
    for (bool failed = true; failed; allocations++) {
        struct actor_state at;
        allocator.until_failure = allocations;
        allocator.held = 0;
        code = actor_state_read(job, kept, strlen(kept), &at, &error);
        failed = allocator.until_failure < 0;
        allocator.until_failure = -1;
        if (code < 0 && !is_expected(code))
            fail_msg("allocation %d: %d, %s", allocations, code, error.message);
        actor_state_free(&at);
        assert_int_equal(allocator.held, 0);
    }
    assert_true(code >= 0 && allocations > 5);
    job_free(job);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loading),
        cmocka_unit_test(stepping),
        cmocka_unit_test(reading_states),
    };
    json_set_alloc_funcs(malloc, free);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
