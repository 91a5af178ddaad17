/* The pool of worker processes: what fails is tried again, what is stopped ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encode/pool.h"

struct fixture {
    uv_loop_t loop;
    struct pool *pool;
    char folder[40];
    int done, failed;
    struct error failure;
};

static int set_up(void **state)
{
    struct fixture *fixture = calloc(1, sizeof *fixture);
    struct error error;
    strcpy(fixture->folder, "/tmp/excamera-test-XXXXXX");
    if (fixture == NULL || mkdtemp(fixture->folder) == NULL || uv_loop_init(&fixture->loop) != 0)
        return -1;
    *state = fixture;
    return pool_new(&fixture->loop, 2, fixture->folder, &fixture->pool, &error);
}

static int tear_down(void **state)
{
    struct fixture *fixture = *state;
    char tries[60];
    pool_free(fixture->pool);
    snprintf(tries, sizeof tries, "%s/tries", fixture->folder);
    unlink(tries);
    rmdir(fixture->folder);
    int open_handles = uv_loop_close(&fixture->loop);
    free(fixture);
    return open_handles;
}

static void on_done(void *opaque, const struct error *failure)
{
    struct fixture *fixture = opaque;
    fixture->done++;
    if (failure != NULL) {
        fixture->failed++;
        fixture->failure = *failure;
    }
}

static void run_shell(struct fixture *fixture, const char *script)
{
    struct error error;
    char *argv[] = {"sh", "-c", (char *)script, NULL};
    assert_int_equal(pool_run(fixture->pool, "/bin/sh", argv, on_done, fixture, &error), 0);
}

static void success(void **state)
{
    struct fixture *fixture = *state;
    run_shell(fixture, "exit 0");
    run_shell(fixture, "echo something >&2");
    assert_false(pool_has_room(fixture->pool));
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->done, 2);
    assert_int_equal(fixture->failed, 0);
    assert_true(pool_idle(fixture->pool));
}

static void a_command_that_fails_twice_succeeds(void **state)
{
    struct fixture *fixture = *state;
    run_shell(fixture, "echo x >> tries; test $(wc -l < tries) = 3");
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->done, 1);
    assert_int_equal(fixture->failed, 0);
}

static void a_command_that_always_fails_says_why(void **state)
{
    struct fixture *fixture = *state;
    run_shell(fixture, "echo x >> tries; echo the reason >&2; exit 7");
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->failed, 1);
    assert_non_null(strstr(fixture->failure.message, "status 7"));
    assert_non_null(strstr(fixture->failure.message, "the reason"));
    assert_non_null(strstr(fixture->failure.message, "3 times"));
}

static void a_command_that_is_killed_says_so(void **state)
{
    struct fixture *fixture = *state;
    run_shell(fixture, "kill -9 $$");
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->failed, 1);
    assert_non_null(strstr(fixture->failure.message, "Killed"));
}

static void long_output_is_cut(void **state)
{
    struct fixture *fixture = *state;
    run_shell(fixture, "for i in $(seq 20000); do echo line $i >&2; done; exit 1");
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->failed, 1);
    assert_non_null(strstr(fixture->failure.message, "line 20000"));
}

static void a_missing_program_is_a_failure(void **state)
{
    struct fixture *fixture = *state;
    struct error error;
    char *argv[] = {"nothing", NULL};
    assert_int_equal(pool_run(fixture->pool, "/no/such/program", argv, on_done, fixture, &error),
                     0);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->failed, 1);
    assert_non_null(strstr(fixture->failure.message, "no such file"));
}

static void stopping_ends_what_runs(void **state)
{
    struct fixture *fixture = *state;
    run_shell(fixture, "exec sleep 100");
    run_shell(fixture, "exec sleep 100");
    pool_stop(fixture->pool);
    uv_run(&fixture->loop, UV_RUN_DEFAULT);
    assert_int_equal(fixture->done, 2);
    assert_int_equal(fixture->failed, 2);
    assert_true(pool_idle(fixture->pool));
    assert_false(pool_has_room(fixture->pool));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(success, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_command_that_fails_twice_succeeds, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_command_that_always_fails_says_why, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_command_that_is_killed_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(long_output_is_cut, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_missing_program_is_a_failure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_ends_what_runs, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
