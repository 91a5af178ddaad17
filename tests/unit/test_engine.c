/* Engines: commands that are started for workers, what they are told, and their end. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "engine/engine.h"
#include "support/scratch.h"

struct world {
    uv_loop_t loop;
    char folder[SCRATCH_PATH];
    struct engine *engine;
    int ended, closed;
    uint32_t worker;
    char how[64];
};

static void on_ended(void *opaque, uint32_t worker, const char *how)
{
    struct world *world = opaque;
    world->ended++;
    world->worker = worker;
    snprintf(world->how, sizeof world->how, "%s", how);
}

static void on_closed(void *opaque)
{
    struct world *world = opaque;
    world->closed++;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    uv_loop_init(&world->loop);
    scratch_path(world->folder, "engine");
    assert_true(mkdir(world->folder, 0777) == 0 || errno == EEXIST);
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (world->engine != NULL)
        engine_close(world->engine, on_closed, world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->closed, world->engine != NULL);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    free(world);
    return 0;
}

/* An engine whose command is `form` with the scratch folder in it. */
static void open_engine(struct world *world, const char *form)
{
    const struct engine_events events = {on_ended, world};
    struct error error;
    char text[2 * SCRATCH_PATH];
    const char *at = strchr(form, '@');
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - form), form, world->folder, at + 1);
    assert_int_equal(engine_command(&world->loop, text, &events, &world->engine, &error), 0);
}

static void start(struct world *world, uint32_t worker, const char *document)
{
    struct error error;
    assert_int_equal(engine_start(world->engine, worker, document, &error), 0);
}

static void run_until_ended(struct world *world, int count)
{
    while (world->ended < count)
        uv_run(&world->loop, UV_RUN_ONCE);
}

static void assert_file(struct world *world, const char *name, const char *expected)
{
    char path[2 * SCRATCH_PATH], text[4096];
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    assert_string_equal(text, expected);
}

static void test_command_gets_the_document_and_the_number(void **state)
{
    struct world *world = *state;
    open_engine(world, "sh  -c 'cat >\"$0\"; echo {worker} {worker} >>\"$0\"'\t\"@/got {worker}\"");
    start(world, 7, "a document\n");
    run_until_ended(world, 1);
    assert_int_equal(world->worker, 7);
    assert_string_equal(world->how, "ended with status 0");
    assert_file(world, "got 7", "a document\n7 7\n");
}

static void test_no_shell_sees_the_words(void **state)
{
    struct world *world = *state;
    open_engine(world, "sh -c 'printf %s \"$1\" >\"$0\"' @/got $HOME;*");
    start(world, 1, "");
    run_until_ended(world, 1);
    assert_file(world, "got", "$HOME;*");
}

static void test_words_that_are_none(void **state)
{
    static const char *const wrong[] = {"", "  ", "ssh 'host", "ssh \"host'"};
    struct world *world = *state;
    const struct engine_events events = {on_ended, world};
    struct error error;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(engine_command(&world->loop, wrong[i], &events, &world->engine, &error),
                         -EINVAL);
    assert_null(world->engine);
}

static void test_command_that_is_not_there(void **state)
{
    struct world *world = *state;
    struct error error;
    open_engine(world, "@/nothing");
    assert_int_equal(engine_start(world->engine, 1, "", &error), -ENOENT);
    assert_non_null(strstr(error.message, "/nothing"));
}

/* The one that it started ends with it: it would hold the standard error of this process open. */
static void test_stop_ends_all_that_run(void **state)
{
    struct world *world = *state;
    open_engine(world, "sh -c 'sleep 1000 & wait' @");
    for (uint32_t worker = 1; worker <= 3; worker++)
        start(world, worker, "never read");
    engine_stop(world->engine);
    run_until_ended(world, 3);
    assert_string_equal(world->how, "ended by signal 9");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_command_gets_the_document_and_the_number, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_no_shell_sees_the_words, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_words_that_are_none, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_command_that_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_ends_all_that_run, set_up, tear_down),
    };
    signal(SIGPIPE, SIG_IGN); /* a command may end before it has read its document */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
