/* The server of bench_workers that is ours: a coordinator whose engine starts nothing and hands the
 * documents to the clients. */
#include <string.h>
#include <unistd.h>

#include "engine/kind.h"
#include "mu/coordinator.h"
#include "mu/job_file.h"
#include "workers.h"

static const char job_text[] =
    "{\"format\": 1, \"job\": \"bench\", \"variables\": {\"actors\": 1},"
    " \"actors\": [{\"family\": \"a\", \"count\": \"${actors}\"}],"
    " \"machine\": {\"start\": [{\"to\": \"work\"}], \"states\": {"
    "  \"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"end\"}},"
    "  \"end\": {\"quit\": {}}}}}";

struct server {
    uv_loop_t loop;
    uv_timer_t timer;
    struct coordinator *coordinator;
    struct coordinator_job *running;
    struct job *job;
    char folder[64];
};

/* ---- an engine ----------------------------------------------------------------------------- */

struct paper_engine {
    struct engine engine;
    uv_async_t last;
    void (*closed)(void *opaque);
    void *opaque;
};

static int paper_start(struct engine *engine, uint32_t worker, const char *document,
                       struct error *error)
{
    MUST(worker >= 1 && worker <= WORKERS && strlen(document) < DOCUMENT);
    strcpy(shared->document[worker - 1], document);
    shared->started++;
    return 0;
}

static void paper_kill(struct engine *engine, uint32_t worker)
{
}

static void paper_stop(struct engine *engine)
{
}

static void on_last_closed(uv_handle_t *handle)
{
    struct paper_engine *paper = handle->data;
    paper->closed(paper->opaque);
    free(paper);
}

static void paper_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    struct paper_engine *paper = (struct paper_engine *)engine;
    paper->closed = closed;
    paper->opaque = opaque;
    uv_close((uv_handle_t *)&paper->last, on_last_closed);
}

static int paper_open(void *opaque, uv_loop_t *loop, const struct engine_events *events,
                      struct engine **engine, struct error *error)
{
    struct paper_engine *paper = calloc(1, sizeof *paper);
    MUST(paper != NULL);
    paper->engine = (struct engine){
        .start = paper_start, .kill = paper_kill, .stop = paper_stop, .close = paper_close};
    uv_async_init(loop, &paper->last, NULL);
    paper->last.data = paper;
    *engine = &paper->engine;
    return 0;
}

/* ---- the coordinator ----------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer)
{
    struct server *server = timer->data;
    if (!shared->ready && shared->started == WORKERS) {
        count_begin();
        shared->ready = true;
    }
    if (shared->joined && !shared->counted) {
        struct ledger_progress progress;
        coordinator_job_progress(server->running, &progress);
        MUST(progress.workers == WORKERS);
        count_end();
        shared->counted = true;
    }
}

static void on_note(void *opaque, const char *sentence)
{
    fprintf(stderr, "coordinator: %s\n", sentence);
}

static void on_coordinator_closed(void *opaque)
{
    struct server *server = opaque;
    uv_close((uv_handle_t *)&server->timer, NULL);
}

static void on_ended(void *opaque, const struct error *failure)
{
    struct server *server = opaque;
    if (failure != NULL)
        fprintf(stderr, "coordinator: %s\n", failure->message);
    shared->finished = failure == NULL;
    coordinator_close(server->coordinator, on_coordinator_closed, server);
}

static void open_job(struct server *server)
{
    char actors[16];
    const struct job_choice choice = {"actors", actors};
    struct error error;
    snprintf(actors, sizeof actors, "%d", ACTORS);
    MUST(job_file_parse("bench", job_text, strlen(job_text), &choice, 1, &server->job, &error) ==
         0);
}

static int open_coordinator(struct server *server, struct error *error)
{
    const struct coordinator_options options = {
        .build = "bench",
        .program = "bench",
        .engine = paper_open,
        .scratch = server->folder,
        .listen = {.host = "127.0.0.1"},
        .heartbeat_ms = HEARTBEAT_MS,
        .note = on_note,
        .opaque = server,
    };
    return coordinator_open(&server->loop, &options, &server->coordinator, error);
}

static int add_job(struct server *server, struct error *error)
{
    char store[96], journal[96];
    snprintf(store, sizeof store, "%s/objects", server->folder);
    snprintf(journal, sizeof journal, "%s/journal", server->folder);
    const struct coordinator_job_options options = {
        .job = server->job,
        .digest = "bench",
        .store = store,
        .journal = journal,
        .workers = WORKERS,
        .slots = 1,
        .ended = on_ended,
        .opaque = server,
    };
    return coordinator_add(server->coordinator, &options, &server->running, error);
}

static void remove_folder(const char *folder)
{
    char command[128];
    snprintf(command, sizeof command, "rm -r %s", folder);
    MUST(system(command) == 0);
}

void coordinator_serve(int to, struct report *report)
{
    static struct server server;
    struct error error;
    strcpy(server.folder, "/var/tmp/bench-workers-XXXXXX");
    MUST(mkdtemp(server.folder) != NULL);
    uv_loop_init(&server.loop);
    uv_timer_init(&server.loop, &server.timer);
    server.timer.data = &server;
    uv_timer_start(&server.timer, on_timer, 5, 5);
    open_job(&server);
    if (open_coordinator(&server, &error) < 0 || add_job(&server, &error) < 0) {
        fprintf(stderr, "coordinator: %s\n", error.message);
        exit(EXIT_FAILURE);
    }
    tell_port(to, 0); /* it stands in the documents */
    uv_run(&server.loop, UV_RUN_DEFAULT);
    uv_loop_close(&server.loop);
    job_free(server.job);
    remove_folder(server.folder);
}
