#include "mu/coordinator.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/coordinator_private.h"
#include "net/identity.h"
#include "util/open_files.h"

enum { HEARTBEAT_MS = 1000, LAUNCH_MS = 120000, DRAIN_MS = 10000 };

/* Files and connections: of a coordinator by itself, and for each worker its connection here, that at a
 * rendezvous of our own, and what its start takes. */
enum { FILES_LEAST = 256, FILES_EACH = 3 };

uint16_t coordinator_port(const struct coordinator *coordinator)
{
    return listener_port(coordinator->listener);
}

void coordinator_note(struct coordinator *coordinator, const char *format, ...)
{
    char sentence[512];
    va_list arguments;
    if (coordinator->options.note == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    coordinator->options.note(coordinator->options.opaque, sentence);
}

struct coordinator_job *coordinator_find_job(struct coordinator *coordinator, const char *name)
{
    struct list_link *head = &coordinator->jobs;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct coordinator_job *job = LIST_ENTRY(link, struct coordinator_job, link);
        if (strcmp(job->name, name) == 0)
            return job;
    }
    return NULL;
}

/* ---- Ending -------------------------------------------------------------------------------- */

static void free_when_closed(struct coordinator *coordinator)
{
    if (coordinator->open > 0 || !list_empty(&coordinator->sessions))
        return;
    void (*closed)(void *opaque) = coordinator->closed;
    void *opaque = coordinator->closed_opaque;
    while (!list_empty(&coordinator->handed_in))
        coordinator_handed_in_free(LIST_ENTRY(coordinator->handed_in.next, struct handed_in, link));
    journal_close(coordinator->state);
    tls_domain_free(coordinator->deployment);
    tls_server_free(coordinator->server);
    credentials_release(&coordinator->keys);
    hash_release(&coordinator->members);
    arena_free(&coordinator->texts);
    free(coordinator);
    if (closed != NULL)
        closed(opaque);
}

static void on_part_closed(void *opaque)
{
    struct coordinator *coordinator = opaque;
    coordinator->open--;
    free_when_closed(coordinator);
}

static void on_tick_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

/* Sessions end with the network, and are freed before the tick has closed. */
static void close_all(struct coordinator *coordinator)
{
    coordinator_close_rendezvous(coordinator);
    listener_close(coordinator->listener);
    network_free(coordinator->network);
    if (coordinator->engine != NULL)
        engine_close(coordinator->engine, on_part_closed, coordinator);
    uv_close((uv_handle_t *)&coordinator->tick, on_tick_closed);
}

void coordinator_go_on(struct coordinator *coordinator)
{
    if (!coordinator->closing || !list_empty(&coordinator->jobs) || coordinator->cleaning > 0)
        return;
    if (!uv_is_closing((uv_handle_t *)&coordinator->tick))
        close_all(coordinator);
    else
        free_when_closed(coordinator);
}

void coordinator_close(struct coordinator *coordinator, void (*closed)(void *opaque), void *opaque)
{
    struct list_link *head = &coordinator->jobs;
    coordinator->closing = true;
    coordinator->closed = closed;
    coordinator->closed_opaque = opaque;
    for (struct list_link *link = head->next; link != head; link = link->next)
        coordinator_job_stop(LIST_ENTRY(link, struct coordinator_job, link));
    coordinator_go_on(coordinator);
}

void coordinator_drain(struct coordinator *coordinator, void (*closed)(void *opaque), void *opaque)
{
    coordinator->draining = true;
    coordinator->drain_until = uv_now(coordinator->loop) + DRAIN_MS;
    coordinator->closed = closed;
    coordinator->closed_opaque = opaque;
}

static bool has_drained(const struct coordinator *coordinator)
{
    const struct list_link *head = &coordinator->jobs;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        if (LIST_ENTRY(link, struct coordinator_job, link)->present > 0)
            return false;
    return true;
}

/* ---- The time ------------------------------------------------------------------------------ */

static void on_tick(uv_timer_t *timer)
{
    struct coordinator *coordinator = timer->data;
    struct list_link *head = &coordinator->jobs, *next;
    uint64_t now = uv_now(coordinator->loop), passed = now - coordinator->ticked_at;
    coordinator->ticked_at = now;
    coordinator_session_tick(coordinator, now);
    coordinator_submitter_tick(coordinator, now);
    if (coordinator->draining && !coordinator->closing &&
        (has_drained(coordinator) || now >= coordinator->drain_until))
        coordinator_close(coordinator, coordinator->closed, coordinator->closed_opaque);
    crew_share(coordinator);
    for (struct list_link *link = head->next; link != head; link = next) {
        next = link->next;
        coordinator_job_tick(LIST_ENTRY(link, struct coordinator_job, link), now, passed);
    }
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static struct tls_domain *lookup(void *opaque, const char *name)
{
    struct coordinator *coordinator = opaque;
    struct list_link *head = &coordinator->jobs;
    char job_name[RENDEZVOUS_NAME_SIZE];
    if (strcmp(name, DOMAIN_DEPLOYMENT) == 0)
        return coordinator->deployment;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct coordinator_job *job = LIST_ENTRY(link, struct coordinator_job, link);
        if (rendezvous_job_name(job_name, job->name) && strcmp(job_name, name) == 0)
            return job->domain;
    }
    return NULL;
}

/* A copy of what is not NULL. */
static const char *keep_text(struct coordinator *coordinator, const char *text, bool *failed)
{
    const char *kept = text != NULL ? arena_copy(&coordinator->texts, text, strlen(text)) : NULL;
    *failed |= text != NULL && kept == NULL;
    return kept;
}

static int keep_rendezvous(struct coordinator *coordinator, bool *failed)
{
    struct coordinator_options *options = &coordinator->options;
    size_t count = (size_t)options->rendezvous_count;
    struct coordinator_place *places = arena_alloc(&coordinator->texts, count, sizeof *places);
    if (places == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++) {
        places[i] = options->rendezvous[i];
        places[i].host = keep_text(coordinator, places[i].host, failed);
    }
    options->rendezvous = places;
    return 0;
}

static int keep_options(struct coordinator *coordinator, const struct coordinator_options *options,
                        struct error *error)
{
    struct coordinator_options *kept = &coordinator->options;
    bool failed = false;
    *kept = *options;
    kept->build = keep_text(coordinator, options->build, &failed);
    kept->program = keep_text(coordinator, options->program, &failed);
    kept->choice = (struct engine_choice){0};
    kept->scratch = keep_text(coordinator, options->scratch, &failed);
    kept->listen.host = keep_text(coordinator, options->listen.host, &failed);
    kept->advertise.host = keep_text(coordinator, options->advertise.host, &failed);
    kept->state = keep_text(coordinator, options->state, &failed);
    kept->heartbeat_ms = kept->heartbeat_ms ? kept->heartbeat_ms : HEARTBEAT_MS;
    kept->launch_ms = kept->launch_ms ? kept->launch_ms : LAUNCH_MS;
    kept->patience_ms = kept->patience_ms ? kept->patience_ms : INVOCATION_PATIENCE_MS;
    kept->slots = kept->slots ? kept->slots : 1;
    if (keep_rendezvous(coordinator, &failed) < 0 || failed)
        return error_set(error, -ENOMEM, "out of memory");
    return 0;
}

static int open_network(struct coordinator *coordinator, struct error *error)
{
    const struct listener_options listen = {.host = coordinator->options.listen.host,
                                            .port = coordinator->options.listen.port};
    int code = network_new(coordinator->loop, &coordinator->network, error);
    if (code == 0)
        code = tls_server_new(lookup, coordinator, &coordinator->server, error);
    if (code == 0)
        code = listener_open(coordinator->network, coordinator->server, &listen,
                             &coordinator_session_listener, coordinator, &coordinator->listener,
                             error);
    return code;
}

static int open_engine(struct coordinator *coordinator, const struct engine_choice *choice,
                       struct error *error)
{
    const struct coordinator_options *options = &coordinator->options;
    const struct engine_events events = {.started = crew_started,
                                         .ended = crew_ended,
                                         .refused = crew_refused,
                                         .opaque = coordinator};
    int code = options->engine != NULL ? options->engine(options->opaque, coordinator->loop,
                                                         &events, &coordinator->engine, error)
                                       : engine_open(coordinator->loop, choice, options->program,
                                                     &events, &coordinator->engine, error);
    coordinator->open += code == 0;
    return code;
}

/* Those that the state folder has. */
static void go_on_with_jobs(struct coordinator *coordinator)
{
    struct list_link *head = &coordinator->handed_in;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct handed_in *job = LIST_ENTRY(link, struct handed_in, link);
        if (job->state == MU__JOB_LINE__STATE__RUNNING)
            coordinator_handed_in_begin(job);
    }
}

void coordinator_note_files(struct coordinator *coordinator, int workers)
{
    struct error error;
    if (open_files_allow(FILES_LEAST + FILES_EACH * (uint64_t)workers, &error) < 0)
        coordinator_note(coordinator, "%s", error.message);
}

int coordinator_open(uv_loop_t *loop, const struct coordinator_options *options,
                     struct coordinator **made, struct error *error)
{
    struct coordinator *coordinator = calloc(1, sizeof *coordinator);
    if (coordinator == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    coordinator->loop = loop;
    list_init(&coordinator->jobs);
    list_init(&coordinator->sessions);
    list_init(&coordinator->handed_in);
    uv_timer_init(loop, &coordinator->tick);
    coordinator->tick.data = coordinator;
    coordinator->open = 1;
    int code = keep_options(coordinator, options, error);
    coordinator_note_files(coordinator, coordinator->options.workers);
    if (code == 0)
        code = coordinator_make_keys(coordinator, error);
    if (code == 0)
        code = coordinator_state_open(coordinator, error);
    if (code == 0)
        code = open_network(coordinator, error);
    if (code == 0)
        code = coordinator_open_rendezvous(coordinator, error);
    if (code == 0)
        code = open_engine(coordinator, &options->choice, error);
    if (code < 0) {
        coordinator_close(coordinator, NULL, NULL);
        return code;
    }
    coordinator->ticked_at = uv_now(loop);
    uv_timer_start(&coordinator->tick, on_tick, COORDINATOR_TICK_MS, COORDINATOR_TICK_MS);
    *made = coordinator;
    go_on_with_jobs(coordinator);
    return 0;
}
