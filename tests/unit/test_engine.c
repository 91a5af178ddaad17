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
    int started, ended, closed;
    uint32_t worker;
    char how[64];
};

static void on_started(void *opaque, uint32_t worker)
{
    ((struct world *)opaque)->started++;
}

static void on_refused(void *opaque, uint32_t worker, const struct error *reason)
{
    fail_msg("worker %u was refused: %s", worker, reason->message);
}

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

/* Opens an engine with options of the form "key=value", at most three, until NULL. */
static int open_with(struct world *world, const char *name, char *const *words, struct error *error)
{
    const struct engine_events events = {on_started, on_ended, on_refused, world};
    struct engine_option option[3];
    char text[3][2 * SCRATCH_PATH];
    int count = 0;
    for (; words[count] != NULL; count++) {
        snprintf(text[count], sizeof text[count], "%s", words[count]);
        char *value = strchr(text[count], '=');
        *value = '\0';
        option[count] = (struct engine_option){text[count], value + 1};
    }
    const struct engine_choice choice = {name, option, count};
    return engine_open(&world->loop, &choice, "excamera", &events, &world->engine, error);
}

/* An engine whose command is `form` with the scratch folder in it, and other options, until NULL. */
static void open_engine(struct world *world, const char *form, char *more, char *still_more)
{
    struct error error;
    char text[2 * SCRATCH_PATH];
    const char *at = strchr(form, '@');
    snprintf(text, sizeof text, "command=%.*s%s%s", (int)(at - form), form, world->folder, at + 1);
    char *words[] = {text, more, still_more, NULL};
    assert_int_equal(open_with(world, "command", words, &error), 0);
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
    open_engine(world, "sh  -c 'cat >\"$0\"; echo {worker} {worker} >>\"$0\"'\t\"@/got {worker}\"",
                NULL, NULL);
    start(world, 7, "a document\n");
    run_until_ended(world, 1);
    assert_int_equal(world->worker, 7);
    assert_string_equal(world->how, "ended with status 0");
    assert_file(world, "got 7", "a document\n7 7\n");
}

static void test_no_shell_sees_the_words(void **state)
{
    struct world *world = *state;
    open_engine(world, "sh -c 'printf %s \"$1\" >\"$0\"' @/got $HOME;*", NULL, NULL);
    start(world, 1, "");
    run_until_ended(world, 1);
    assert_file(world, "got", "$HOME;*");
}

static void assert_refused(struct world *world, const char *name, char *const *words,
                           const char *said)
{
    struct error error;
    assert_int_equal(open_with(world, name, words, &error), -EINVAL);
    if (strstr(error.message, said) == NULL)
        fail_msg("'%s' does not say '%s'", error.message, said);
    assert_null(world->engine);
}

static void test_options_that_cannot_be(void **state)
{
    static const struct {
        const char *name;
        char *words[4];
        const char *said;
    } wrong[] = {
        {"cluster", {NULL}, "there are local, command"},
        {"local", {"command=x", NULL}, "local has no options"},
        {"command", {NULL}, "needs its option command"},
        {"command", {"command=x", "host=a", NULL}, "no option 'host'; it has command, hosts"},
        {"command", {"command=", NULL}, "is empty"},
        {"command", {"command=  ", NULL}, "is empty"},
        {"command", {"command=ssh 'host", NULL}, "a quote without its end"},
        {"command", {"command=ssh \"host'", NULL}, "a quote without its end"},
        {"command", {"command=ssh {host}", NULL}, "hosts must say which"},
        {"command", {"command=ssh {host}", "hosts= , ", NULL}, "hosts must say which"},
        {"command", {"command=ssh", "hosts=a", NULL}, "for a command with {host} in it"},
        {"command", {"command=ssh {host}", "hosts=a", "per_host=0", NULL}, "from 1 to"},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_refused(*state, wrong[i].name, wrong[i].words, wrong[i].said);
}

static void test_command_that_is_not_there(void **state)
{
    struct world *world = *state;
    struct error error;
    open_engine(world, "@/nothing", NULL, NULL);
    assert_int_equal(engine_start(world->engine, 1, "", &error), -ENOENT);
    assert_non_null(strstr(error.message, "/nothing"));
}

static void let_go(struct world *world, const char *name)
{
    char path[2 * SCRATCH_PATH];
    snprintf(path, sizeof path, "%s/%s", world->folder, name);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fclose(file);
}

/* Two run at once on each of two hosts; who waits is started where one has ended, or not at all. */
static void test_hosts_take_turns(void **state)
{
    struct world *world = *state;
    open_engine(world,
                "sh -c 'cd @; echo {host} >at-{worker}; until test -e go-{worker}; do sleep 0.02; "
                "done'",
                "hosts=east, west", "per_host=2");
    assert_int_equal(engine_limits(world->engine)->workers, 4);
    for (uint32_t worker = 1; worker <= 6; worker++)
        start(world, worker, "");
    engine_kill(world->engine, 5);
    while (world->started < 4)
        uv_run(&world->loop, UV_RUN_ONCE);
    let_go(world, "go-2");
    while (world->started < 5)
        uv_run(&world->loop, UV_RUN_ONCE);
    let_go(world, "go-6");
    run_until_ended(world, 2);
    assert_int_equal(world->worker, 6);
    let_go(world, "go-1");
    run_until_ended(world, 3);
    assert_file(world, "at-1", "east\n");
    assert_file(world, "at-2", "west\n");
    assert_file(world, "at-6", "west\n");
}

/* The one that it started ends with it: it would hold the standard error of this process open. */
static void test_stop_ends_all_that_run(void **state)
{
    struct world *world = *state;
    open_engine(world, "sh -c 'sleep 1000 & wait' @", NULL, NULL);
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
        cmocka_unit_test_setup_teardown(test_options_that_cannot_be, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_hosts_take_turns, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_command_that_is_not_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_stop_ends_all_that_run, set_up, tear_down),
    };
    signal(SIGPIPE, SIG_IGN); /* a command may end before it has read its document */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
