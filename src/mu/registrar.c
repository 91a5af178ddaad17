#include "mu/registrar.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/rendezvous.h"
#include "mu/wire.h"
#include "net/certificate.h"
#include "net/identity.h"
#include "net/list.h"

enum {
    LEAST_PAUSE = 100,
    MOST_PAUSE = 5000,
    LOST_MS = 30000,
    SILENT_HEARTBEATS = 4,
    HEARTBEAT_LEAST = 10, /* ms, whatever the rendezvous says */
    HEARTBEAT_MOST = 60000,
    WELCOME_MS = 10000,
    STALL_MS = 20000,
};

struct registered {
    struct list_link link;
    bool said; /* on this connection */
    char *ca;  /* PEM */
    char name[WIRE_NAME_MOST + 1];
};

struct registrar {
    struct network *network;
    struct tls_client *client;
    char *host, *build;
    uint16_t port;
    uint64_t epoch;
    unsigned least_pause, most_pause, lost_ms;
    struct registrar_handlers handlers;
    void *opaque;
    struct list_link jobs; /* struct registered */
    struct channel *channel;
    bool opened;   /* the hello has been answered by a welcome */
    bool complete; /* all jobs have been said on this connection */
    bool full;     /* wait for the queue to drain */
    bool suspect;  /* nothing was heard for too long; looked at once more */
    bool was_lost; /* `lost` was called, since it was ready */
    bool was_refused;
    bool freed;
    unsigned pause; /* ms before dialling next time */
    unsigned heartbeat_ms;
    uv_timer_t timer; /* to dial again, or for heartbeats */
    uv_timer_t absence;
    unsigned users; /* timers and the channel: what keeps this struct */
    struct error trouble;
};

static void on_timer(uv_timer_t *timer);
static void on_absent(uv_timer_t *timer);

static uint64_t now(const struct registrar *registrar)
{
    return uv_now(network_loop(registrar->network));
}

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

/* ---- Saying -------------------------------------------------------------------------------- */

/* Gives the connection up; all else happens when it is closed. */
static void cut(struct registrar *registrar, int code, const char *sentence)
{
    struct error error;
    error_set(&error, code, "%s", sentence);
    registrar->opened = registrar->complete = false;
    channel_fail(registrar->channel, &error);
}

static void say(struct registrar *registrar, const Mu__Envelope *envelope)
{
    int code = wire_send(registrar->channel, envelope);
    if (code < 0)
        cut(registrar, code, "the rendezvous does not read what it is sent");
    else
        registrar->full |= code == 1;
}

static void say_hello(struct registrar *registrar)
{
    Mu__ControlHello control = MU__CONTROL_HELLO__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    control.epoch = registrar->epoch;
    hello.protocol = MU_PROTOCOL;
    hello.version = (char *)XC_VERSION;
    hello.build = registrar->build;
    hello.who_case = MU__HELLO__WHO_CONTROL;
    hello.control = &control;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    say(registrar, &envelope);
}

static void say_register(struct registrar *registrar, struct registered *job)
{
    Mu__Register message = MU__REGISTER__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    message.job = job->name;
    message.ca.data = (uint8_t *)job->ca;
    message.ca.len = strlen(job->ca);
    envelope.body_case = MU__ENVELOPE__BODY_REGISTER;
    envelope.register_ = &message;
    job->said = true;
    say(registrar, &envelope);
}

static void say_complete(struct registrar *registrar)
{
    Mu__Complete message = MU__COMPLETE__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_COMPLETE;
    envelope.complete = &message;
    say(registrar, &envelope);
    if (!registrar->opened)
        return;
    registrar->complete = true;
    registrar->was_lost = false;
    uv_timer_stop(&registrar->absence);
    if (registrar->handlers.ready != NULL)
        registrar->handlers.ready(registrar->opaque);
}

/* Says what is to be said, as far as the queue takes it. Calls handlers. */
static void pump(struct registrar *registrar)
{
    struct list_link *link = registrar->jobs.next;
    for (; link != &registrar->jobs && registrar->opened && !registrar->full; link = link->next) {
        struct registered *job = LIST_ENTRY(link, struct registered, link);
        if (!job->said)
            say_register(registrar, job);
    }
    if (registrar->opened && !registrar->full && !registrar->complete)
        say_complete(registrar);
}

/* ---- Hearing ------------------------------------------------------------------------------- */

static void on_welcome(struct registrar *registrar, const Mu__Welcome *welcome)
{
    unsigned beat = welcome->heartbeat_ms;
    beat = beat < HEARTBEAT_LEAST ? HEARTBEAT_LEAST : beat;
    registrar->heartbeat_ms = beat > HEARTBEAT_MOST ? HEARTBEAT_MOST : beat;
    registrar->opened = true;
    registrar->pause = registrar->least_pause;
    uv_timer_start(&registrar->timer, on_timer, registrar->heartbeat_ms, registrar->heartbeat_ms);
    pump(registrar);
}

/* Not before it is closed, when nothing of it is in use. */
static void on_refusal(struct registrar *registrar, const Mu__Refusal *refusal)
{
    struct error error;
    error_set(&error, -EACCES, "the rendezvous at %s:%u refuses this coordinator: %.400s",
              registrar->host, (unsigned)registrar->port, refusal->reason);
    registrar->was_refused = true;
    registrar->opened = registrar->complete = false;
    channel_fail(registrar->channel, &error);
}

static void on_envelope(struct registrar *registrar, const Mu__Envelope *envelope)
{
    if (envelope->body_case == MU__ENVELOPE__BODY_REFUSAL)
        on_refusal(registrar, envelope->refusal);
    else if (envelope->body_case == MU__ENVELOPE__BODY_WELCOME && !registrar->opened)
        on_welcome(registrar, envelope->welcome);
    else if (envelope->body_case != MU__ENVELOPE__BODY_HEARTBEAT || !registrar->opened)
        cut(registrar, -EPROTO, "the rendezvous says something that is not due");
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct registrar *registrar = opaque;
    struct error error;
    Mu__Envelope *envelope;
    if (registrar->freed || registrar->was_refused)
        return;
    if (wire_read(bytes, size, &envelope, &error) < 0) {
        cut(registrar, error.code, error.message);
        return;
    }
    on_envelope(registrar, envelope);
    wire_free(envelope);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    struct registrar *registrar = opaque;
    if (!registrar->freed)
        cut(registrar, -EPROTO, "the rendezvous sends bytes of no message");
}

/* ---- The connection ------------------------------------------------------------------------ */

static void release(struct registrar *registrar)
{
    if (--registrar->users > 0)
        return;
    while (!list_empty(&registrar->jobs)) {
        struct registered *job = LIST_ENTRY(registrar->jobs.next, struct registered, link);
        list_remove(&job->link);
        certificate_forget(job->ca);
        free(job);
    }
    free(registrar->host);
    free(registrar->build);
    free(registrar);
}

static void dial_later(struct registrar *registrar)
{
    uv_timer_start(&registrar->timer, on_timer, registrar->pause, 0);
    registrar->pause =
        registrar->pause < registrar->most_pause / 2 ? registrar->pause * 2 : registrar->most_pause;
}

static void on_opened(struct channel *channel, void *opaque)
{
    struct registrar *registrar = opaque;
    if (registrar->freed)
        return;
    say_hello(registrar);
    uv_timer_start(&registrar->timer, on_timer, WELCOME_MS, 0);
}

static void on_drained(struct channel *channel, void *opaque)
{
    struct registrar *registrar = opaque;
    registrar->full = false;
    if (!registrar->freed)
        pump(registrar);
}

static void give_up(struct registrar *registrar)
{
    uv_timer_stop(&registrar->timer);
    uv_timer_stop(&registrar->absence);
    if (registrar->handlers.refused != NULL)
        registrar->handlers.refused(registrar->opaque, &registrar->trouble);
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct registrar *registrar = opaque;
    registrar->channel = NULL;
    registrar->opened = registrar->complete = registrar->full = registrar->suspect = false;
    if (reason != NULL)
        registrar->trouble = *reason;
    else
        error_set(&registrar->trouble, -ECONNRESET, "the connection was closed");
    for (struct list_link *link = registrar->jobs.next; link != &registrar->jobs; link = link->next)
        LIST_ENTRY(link, struct registered, link)->said = false;
    if (!registrar->freed && registrar->was_refused) {
        give_up(registrar);
    } else if (!registrar->freed) {
        if (!registrar->was_lost && !uv_is_active((uv_handle_t *)&registrar->absence))
            uv_timer_start(&registrar->absence, on_absent, registrar->lost_ms, 0);
        dial_later(registrar);
    }
    release(registrar);
}

static void dial(struct registrar *registrar)
{
    static const struct channel_handlers handlers = {.opened = on_opened,
                                                     .control = on_control,
                                                     .bulk = on_bulk,
                                                     .drained = on_drained,
                                                     .closed = on_closed};
    const struct stream_target target = {.host = registrar->host,
                                         .port = registrar->port,
                                         .server_name = DOMAIN_DEPLOYMENT,
                                         .identity = IDENTITY_RENDEZVOUS};
    const struct stream_limits limits = {.stall = STALL_MS};
    if (channel_connect(registrar->network, registrar->client, &target, &limits, NULL, &handlers,
                        registrar, &registrar->channel, &registrar->trouble) < 0)
        dial_later(registrar);
    else
        registrar->users++;
}

/* ---- The time ------------------------------------------------------------------------------ */

static void keep_alive(struct registrar *registrar)
{
    uint64_t silent = now(registrar) - stream_heard_at(channel_stream(registrar->channel));
    Mu__Heartbeat heartbeat = MU__HEARTBEAT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat;
    /* Should this loop have been busy, it reads the socket before it comes here again. */
    bool suspect = silent > (uint64_t)SILENT_HEARTBEATS * registrar->heartbeat_ms;
    if (suspect && registrar->suspect)
        cut(registrar, -ETIMEDOUT, "nothing was heard from the rendezvous for too long");
    else
        say(registrar, &envelope);
    registrar->suspect = suspect;
}

static void on_timer(uv_timer_t *timer)
{
    struct registrar *registrar = timer->data;
    if (registrar->channel == NULL)
        dial(registrar);
    else if (registrar->opened)
        keep_alive(registrar);
    else
        cut(registrar, -ETIMEDOUT, "the rendezvous does not answer");
}

static void on_absent(uv_timer_t *timer)
{
    struct registrar *registrar = timer->data;
    struct error reason = registrar->trouble;
    registrar->was_lost = true;
    if (reason.code == 0)
        error_set(&reason, -ETIMEDOUT, "no answer");
    error_prefix(&reason, "the rendezvous at %s:%u is lost", registrar->host,
                 (unsigned)registrar->port);
    if (registrar->handlers.lost != NULL)
        registrar->handlers.lost(registrar->opaque, &reason);
}

/* ---- Jobs ---------------------------------------------------------------------------------- */

static struct registered *find(struct registrar *registrar, const char *name)
{
    for (struct list_link *link = registrar->jobs.next; link != &registrar->jobs;
         link = link->next) {
        struct registered *job = LIST_ENTRY(link, struct registered, link);
        if (strcmp(job->name, name) == 0)
            return job;
    }
    return NULL;
}

int registrar_register(struct registrar *registrar, const char *name, const struct certificate *ca,
                       struct error *error)
{
    char server_name[RENDEZVOUS_NAME_SIZE];
    if (!rendezvous_job_name(server_name, name))
        return error_set(error, -EINVAL, "a job cannot be called '%.80s'", name);
    if (find(registrar, name) != NULL)
        return error_set(error, -EEXIST, "job %s is registered already", name);
    struct registered *job = calloc(1, sizeof *job);
    if (job == NULL)
        return out_of_memory(error);
    int code = certificate_write(ca, false, &job->ca, error);
    if (code < 0) {
        free(job);
        return code;
    }
    snprintf(job->name, sizeof job->name, "%s", name);
    list_append(&registrar->jobs, &job->link);
    if (registrar->complete && !registrar->full)
        say_register(registrar, job);
    return 0;
}

void registrar_unregister(struct registrar *registrar, const char *name)
{
    struct registered *job = find(registrar, name);
    Mu__Unregister message = MU__UNREGISTER__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    if (job == NULL)
        return;
    message.job = job->name;
    envelope.body_case = MU__ENVELOPE__BODY_UNREGISTER;
    envelope.unregister = &message;
    if (registrar->opened && job->said)
        say(registrar, &envelope);
    list_remove(&job->link);
    certificate_forget(job->ca);
    free(job);
}

void registrar_forget(struct registrar *registrar, const char *name, const char *actor)
{
    const struct registered *job = find(registrar, name);
    Mu__Forget message = MU__FORGET__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    if (job == NULL || !registrar->opened || !job->said)
        return;
    message.job = (char *)job->name;
    message.actor = (char *)actor;
    envelope.body_case = MU__ENVELOPE__BODY_FORGET;
    envelope.forget = &message;
    say(registrar, &envelope);
}

bool registrar_ready(const struct registrar *registrar)
{
    return registrar->complete;
}

const char *registrar_trouble(const struct registrar *registrar)
{
    return registrar->trouble.message;
}

/* ---- The whole ----------------------------------------------------------------------------- */

int registrar_new(struct network *network, const struct registrar_options *options,
                  struct registrar **made, struct error *error)
{
    struct registrar *registrar = *made = calloc(1, sizeof *registrar);
    if (registrar == NULL)
        return out_of_memory(error);
    list_init(&registrar->jobs);
    registrar->network = network;
    registrar->client = options->client;
    registrar->port = options->port;
    registrar->epoch = options->epoch;
    registrar->least_pause = options->least_pause ? options->least_pause : LEAST_PAUSE;
    registrar->most_pause = options->most_pause ? options->most_pause : MOST_PAUSE;
    registrar->pause = registrar->least_pause;
    registrar->lost_ms = options->lost_ms ? options->lost_ms : LOST_MS;
    registrar->handlers = *options->handlers;
    registrar->opaque = options->opaque;
    registrar->host = strdup(options->host);
    registrar->build = strdup(options->build ? options->build : "");
    registrar->users = 1;
    if (registrar->host == NULL || registrar->build == NULL) {
        release(registrar);
        *made = NULL;
        return out_of_memory(error);
    }
    registrar->users = 2; /* the timers */
    uv_timer_init(network_loop(network), &registrar->timer);
    uv_timer_init(network_loop(network), &registrar->absence);
    registrar->timer.data = registrar->absence.data = registrar;
    uv_timer_start(&registrar->absence, on_absent, registrar->lost_ms, 0);
    dial(registrar);
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void registrar_free(struct registrar *registrar)
{
    if (registrar == NULL)
        return;
    registrar->freed = true;
    registrar->opened = registrar->complete = false;
    if (registrar->channel != NULL)
        channel_close(registrar->channel);
    uv_close((uv_handle_t *)&registrar->timer, on_timer_closed);
    uv_close((uv_handle_t *)&registrar->absence, on_timer_closed);
}
