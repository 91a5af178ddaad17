/* A coordinator, real workers, and an engine that limits their lives, charges for them, or loses them. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "engine/kind.h"
#include "mu/coordinator.h"
#include "mu/job_file.h"

/* What workers say of their program. */
extern const char build_sources[];

enum { MOST_STARTS = 256 };

/* Processes of this machine, of which some are never there though it says that they were started. */
struct fickle {
    struct engine engine;
    struct engine *local;
    struct engine_events events;
    uv_timer_t timer;
    uint32_t lost[MOST_STARTS]; /* of which this is to be said */
    int lost_count, said;
    int starts;
    void (*closed)(void *opaque);
    void *closed_opaque;
};

struct desk {
    char folder[64];
    uv_loop_t loop;
    struct fickle fickle;
    const char *program;
    int lose; /* the first of so many starts */
    struct coordinator *coordinator;
    struct coordinator_job *added;
    struct job *job;
    bool ended;
    struct error failure; /* code 0: it was done */
    char notes[8192];
};

/* ---- The engine ---------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct fickle *fickle = timer->data;
    while (fickle->said < fickle->lost_count)
        fickle->events.started(fickle->events.opaque, fickle->lost[fickle->said++]);
}

static int fickle_start(struct engine *engine, uint32_t worker, const char *document,
                        struct error *error)
{
    struct fickle *fickle = (struct fickle *)engine;
    const struct desk *desk = fickle->timer.loop->data;
    if (desk->lose == 0 || fickle->starts++ % desk->lose != 0)
        return engine_start(fickle->local, worker, document, error);
    assert_true(fickle->lost_count < MOST_STARTS);
    fickle->lost[fickle->lost_count++] = worker;
    return 0;
}

static void fickle_kill(struct engine *engine, uint32_t worker)
{
    engine_kill(((struct fickle *)engine)->local, worker);
}

static void fickle_stop(struct engine *engine)
{
    engine_stop(((struct fickle *)engine)->local);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct fickle *fickle = handle->data;
    engine_close(fickle->local, fickle->closed, fickle->closed_opaque);
}

static void fickle_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    struct fickle *fickle = (struct fickle *)engine;
    fickle->closed = closed;
    fickle->closed_opaque = opaque;
    uv_close((uv_handle_t *)&fickle->timer, on_timer_closed);
}

static int open_fickle(void *opaque, uv_loop_t *loop, const struct engine_events *events,
                       struct engine **engine, struct error *error)
{
    static const struct engine_choice local = {.name = "local"};
    struct desk *desk = opaque;
    struct fickle *fickle = &desk->fickle;
    fickle->events = *events;
    fickle->engine.start = fickle_start;
    fickle->engine.kill = fickle_kill;
    fickle->engine.stop = fickle_stop;
    fickle->engine.close = fickle_close;
    fickle->timer.data = fickle;
    loop->data = desk;
    uv_timer_init(loop, &fickle->timer);
    uv_timer_start(&fickle->timer, on_timer, 1, 1);
    *engine = &fickle->engine;
    return engine_open(loop, &local, desk->program, events, &fickle->local, error);
}

/* ---- A job --------------------------------------------------------------------------------- */

static int set_up(void **state)
{
    struct desk *desk = calloc(1, sizeof *desk);
    *state = desk;
    strcpy(desk->folder, "/tmp/excamera-crew-XXXXXX");
    assert_non_null(mkdtemp(desk->folder));
    desk->program = getenv("EXCAMERA");
    uv_loop_init(&desk->loop);
    return 0;
}

static int tear_down(void **state)
{
    struct desk *desk = *state;
    char command[128];
    assert_int_equal(uv_loop_close(&desk->loop), 0);
    snprintf(command, sizeof command, "rm -rf %s", desk->folder);
    assert_int_equal(system(command), 0);
    job_free(desk->job);
    free(desk);
    return 0;
}

static void on_note(void *opaque, const char *sentence)
{
    struct desk *desk = opaque;
    size_t length = strlen(desk->notes);
    snprintf(desk->notes + length, sizeof desk->notes - length, "%s\n", sentence);
}

static void on_ended(void *opaque, const struct error *failure)
{
    struct desk *desk = opaque;
    desk->ended = true;
    if (failure != NULL)
        desk->failure = *failure;
    coordinator_close(desk->coordinator, NULL, NULL);
}

/* Runs the job to its end; `${folder}` in it is a folder for whatever it likes. */
static void run(struct desk *desk, const char *text, const struct coordinator_job_options *settings)
{
    char store[128], journal[128];
    struct coordinator_job_options options = *settings;
    const struct job_choice choice = {"folder", desk->folder};
    struct error error;
    snprintf(store, sizeof store, "%s/store", desk->folder);
    snprintf(journal, sizeof journal, "%s/journal", desk->folder);
    if (job_file_parse("job", text, strlen(text), &choice, 1, &desk->job, &error) < 0)
        fail_msg("%s", error.message);
    const struct coordinator_options of_all = {
        .build = build_sources,
        .program = desk->program,
        .engine = open_fickle,
        .scratch = desk->folder,
        .listen = {.host = "127.0.0.1"},
        .patience_ms = 10000,
        .note = on_note,
        .opaque = desk,
    };
    if (coordinator_open(&desk->loop, &of_all, &desk->coordinator, &error) < 0)
        fail_msg("%s", error.message);
    options.job = desk->job;
    options.digest = "job";
    options.store = store;
    options.journal = journal;
    options.slots = 1;
    options.ended = on_ended;
    options.opaque = desk;
    if (coordinator_add(desk->coordinator, &options, &desk->added, &error) < 0)
        fail_msg("%s", error.message);
    uv_run(&desk->loop, UV_RUN_DEFAULT);
    assert_true(desk->ended);
}

static void assert_done(const struct desk *desk)
{
    if (desk->failure.code < 0)
        fail_msg("%s\n%s", desk->failure.message, desk->notes);
}

static void assert_failed(const struct desk *desk, const char *with)
{
    if (desk->failure.code == 0 || strstr(desk->failure.message, with) == NULL)
        fail_msg("'%s' without '%s'", desk->failure.message, with);
}

static int count_notes(const struct desk *desk, const char *of)
{
    int count = 0;
    for (const char *at = desk->notes; (at = strstr(at, of)) != NULL; at++)
        count++;
    return count;
}

/* So many words of this file. */
static int count_words(const struct desk *desk, const char *name)
{
    char path[256], word[64];
    int count = 0;
    snprintf(path, sizeof path, "%s/%s", desk->folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fscanf(file, "%63s", word) == 1)
        count++;
    fclose(file);
    return count;
}

#define JOB(actors, states)                                                                        \
    "{\"format\": 1, \"job\": \"crew\", \"variables\": {\"folder\": \"\", \"step\": 0}, "          \
    "\"actors\": [" actors "], \"machine\": {" states ", \"done\": {\"quit\": {}}}}}"
#define RUN(script) "{\"run\": {\"argv\": [\"sh\", \"-euc\", \"" script "\"]}, \"retries\": 0, "
#define PARTS(count, script)                                                                       \
    JOB("{\"family\": \"part\", \"count\": " count "}",                                            \
        "\"start\": \"work\", \"states\": {\"work\": " RUN(script) "\"on\": {\"ok\": \"done\"}}")

/* ---- Starts -------------------------------------------------------------------------------- */

static void half_of_them_never_come(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 4};
    desk->lose = 2;
    desk->fickle.engine.limits.dial_ms = 1500;
    run(desk, PARTS("8", "sleep 1; echo x >>${folder}/done"), &options);
    assert_done(desk);
    assert_true(count_notes(desk, "has not come") >= 1);
    assert_true(count_words(desk, "done") >= 8);
}

static void nobody_ever_comes(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 2};
    desk->lose = 1;
    desk->fickle.engine.limits.dial_ms = 200;
    run(desk, PARTS("8", "true"), &options);
    assert_failed(desk, "none of the 6 workers that were started has come");
}

/* The engine's words are told. */
static void they_end_at_once(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 1};
    desk->program = "/bin/false";
    run(desk, PARTS("8", "true"), &options);
    assert_failed(desk, "; the last one ended with status 1");
}

static void no_more_than_the_engine_has(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 5};
    desk->fickle.engine.limits.workers = 1;
    run(desk, PARTS("3", "mkdir ${folder}/alone; sleep 0.2; rmdir ${folder}/alone"), &options);
    assert_done(desk);
}

static void starts_cost_too(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 2, .cost = 1.5};
    desk->fickle.engine.limits.price_start = 1;
    run(desk, PARTS("2", "sleep 60"), &options);
    assert_failed(desk, "limit of cost, 1.5");
}

/* ---- Lives --------------------------------------------------------------------------------- */

/* Eight steps that no worker lives long enough for: none is done twice. */
static void they_go_on_elsewhere(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 2};
    desk->fickle.engine.limits.life_ms = 5000;
    run(desk,
        JOB("{\"family\": \"part\", \"count\": 2}",
            "\"start\": \"work\", \"states\": {\"work\": " RUN(
                "sleep 0.6; echo x >>steps") "\"on\": {\"ok\": \"count\"}}, "
                                             "\"count\": {\"set\": {\"step\": {\"add\": 1}}, "
                                             "\"on\": {\"ok\": [{\"if\": {\"variable\": \"step\", "
                                             "\"less\": 8}, \"to\": \"work\"}, {\"to\": "
                                             "\"tell\"}]}}, "
                                             "\"tell\": " RUN(
                                                 "cat steps >${folder}/${actor}") "\"on\": "
                                                                                  "{\"ok\": "
                                                                                  "\"done\"}}"),
        &options);
    assert_done(desk);
    assert_int_equal(count_words(desk, "part-000000"), 8);
    assert_int_equal(count_words(desk, "part-000001"), 8);
    assert_true(count_notes(desk, "its time is nearly over") +
                    count_notes(desk, "takes longer than its time") >=
                2);
}

static void no_life_is_long_enough(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 1};
    desk->fickle.engine.limits.life_ms = 4000;
    run(desk, PARTS("1", "echo x >>${folder}/begun; sleep 100"), &options);
    assert_failed(desk, "make the job's pieces smaller, or give workers more time");
    assert_int_equal(count_words(desk, "begun"), 2);
}

/* Who waits for what takes long is not paid for that, at a state or at a point; nobody is started in vain. */
static void waiting_ends_them(void **state)
{
    struct desk *desk = *state;
    const struct coordinator_job_options options = {.workers = 3};
    desk->fickle.engine.limits.waiting_ms = 500;
    run(desk,
        JOB("{\"name\": \"a\"}, {\"name\": \"b\"}, {\"name\": \"c\"}",
            "\"start\": [{\"if\": {\"variable\": \"actor\", \"is\": \"a\"}, \"to\": \"hear\"}, "
            "{\"if\": {\"variable\": \"actor\", \"is\": \"b\"}, \"to\": \"await\"}, {\"to\": "
            "\"work\"}], \"states\": {"
            "\"hear\": {\"receive\": {\"from\": \"c\", \"name\": \"m\", \"file\": \"m\"}, "
            "\"on\": {\"ok\": \"done\"}}, "
            "\"await\": {\"run\": {\"argv\": [\"sh\", \"-euc\", \"echo x >>${folder}/begun; echo "
            "await m >&3; read -r answer <&3; test $$answer = ready; cat m\"], \"points\": {\"m\": "
            "{\"receive\": {\"from\": \"c\", \"name\": \"m\", \"file\": \"m\"}}}}, \"on\": "
            "{\"ok\": "
            "\"done\"}}, "
            "\"work\": " RUN("sleep 4; echo word >m") "\"on\": {\"ok\": \"tell-a\"}}, "
                                                      "\"tell-a\": {\"send\": {\"to\": \"a\", "
                                                      "\"name\": \"m\", \"file\": \"m\"}, "
                                                      "\"on\": {\"ok\": \"tell-b\"}}, "
                                                      "\"tell-b\": {\"send\": {\"to\": \"b\", "
                                                      "\"name\": \"m\", \"file\": \"m\"}, "
                                                      "\"on\": {\"ok\": \"done\"}}"),
        &options);
    assert_done(desk);
    assert_int_equal(count_words(desk, "begun"), 2);
    assert_true(count_notes(desk, "it has only waited for a while") >= 2);
}

#define CREW_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        CREW_TEST(half_of_them_never_come),
        CREW_TEST(nobody_ever_comes),
        CREW_TEST(they_end_at_once),
        CREW_TEST(starts_cost_too),
        CREW_TEST(no_more_than_the_engine_has),
        CREW_TEST(they_go_on_elsewhere),
        CREW_TEST(no_life_is_long_enough),
        CREW_TEST(waiting_ends_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
