#include "mu/rendezvous.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "mu/rendezvous_private.h"

enum {
    HEARTBEAT_MS = 5000,
    SILENT_HEARTBEATS = 4,
    HELLO_MS = 10000,
    DRAIN_MS = 10000,
    DRAIN_LOOK_MS = 50,
    CONTROL_MOST = 65536, /* longest envelope: one that registers a job */
};

#define MEMORY (UINT64_C(1) << 30)
#define SPILL_MOST (UINT64_C(16) << 30)

/* ---- connections --------------------------------------------------------------------------- */

static void note(struct rendezvous *rendezvous, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct rendezvous *rendezvous, const char *format, ...)
{
    char sentence[1280];
    va_list arguments;
    if (rendezvous->note == NULL || rendezvous->freed)
        return;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    rendezvous->note(rendezvous->note_opaque, sentence);
}

void rendezvous_connection_note(struct connection *connection, const char *sentence)
{
    const struct stream *stream = channel_stream(connection->channel);
    note(connection->rendezvous, "%s (%s): %s", stream_address(stream), stream_identity(stream),
         sentence);
}

void rendezvous_connection_fail(struct connection *connection, int code, const char *format, ...)
{
    struct error error = {.code = code};
    va_list arguments;
    if (connection->over)
        return;
    va_start(arguments, format);
    vsnprintf(error.message, sizeof error.message, format, arguments);
    va_end(arguments);
    connection->over = true;
    connection->rendezvous->counters.cut_off++;
    channel_fail(connection->channel, &error);
}

void rendezvous_connection_send(struct connection *connection, const Mu__Envelope *envelope)
{
    if (connection->over)
        return;
    int code = wire_send(connection->channel, envelope);
    if (code < 0)
        rendezvous_connection_fail(connection, code, "it does not read what it is sent");
    else
        connection->full |= code == 1;
}

static void release(struct rendezvous *rendezvous)
{
    if (--rendezvous->users > 0)
        return;
    tls_server_free(rendezvous->tls);
    tls_domain_free(rendezvous->control);
    certificate_free(rendezvous->own);
    hash_release(&rendezvous->jobs);
    spill_free(rendezvous->spill);
    free(rendezvous);
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct connection *connection = opaque;
    struct error error;
    Mu__Envelope *envelope;
    if (connection->over)
        return;
    if (wire_read(bytes, size, &envelope, &error) < 0) {
        rendezvous_connection_fail(connection, error.code, "%s", error.message);
        return;
    }
    rendezvous_control_envelope(connection, envelope);
    wire_free(envelope);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    struct connection *connection = opaque;
    if (connection->over)
        return;
    if (connection->kind == CONNECTION_WORKER)
        rendezvous_messages_bulk(connection, transfer, bytes, size);
    else
        rendezvous_connection_fail(connection, -EPROTO, "bytes of a message that is not due");
}

static void on_drained(struct channel *channel, void *opaque)
{
    struct connection *connection = opaque;
    connection->full = false;
    rendezvous_messages_pump(connection);
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct connection *connection = opaque;
    struct rendezvous *rendezvous = connection->rendezvous;
    if (reason != NULL)
        rendezvous_connection_note(connection, reason->message);
    connection->over = true; /* nothing can be said to it */
    rendezvous_messages_leave(connection);
    list_remove(&connection->all);
    list_remove(&connection->of_job);
    free(connection);
    release(rendezvous);
}

static const struct channel_handlers channel_handlers = {
    .control = on_control, .bulk = on_bulk, .drained = on_drained, .closed = on_closed};

/* ---- those who come ------------------------------------------------------------------------ */

static void on_accepted(struct listener *listener, void *opaque, struct stream *stream)
{
    static const struct channel_limits limits = {.control = CONTROL_MOST};
    struct rendezvous *rendezvous = opaque;
    struct error error;
    struct job_room *job;
    bool known = rendezvous_control_find_domain(rendezvous, stream_server_name(stream), &job);
    struct connection *connection = known ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL) {
        stream_abort(stream, known ? "out of memory" : "its job is over");
        return;
    }
    if (channel_accept(stream, &limits, &channel_handlers, connection, &connection->channel,
                       &error) < 0) {
        free(connection);
        return;
    }
    connection->rendezvous = rendezvous;
    connection->job = job;
    connection->opened_at = uv_now(network_loop(rendezvous->network));
    list_init(&connection->of_job);
    list_init(&connection->ready);
    list_append(&rendezvous->connections, &connection->all);
    if (job != NULL)
        list_append(&job->connections, &connection->of_job);
    rendezvous->users++;
}

static void on_refused(struct listener *listener, void *opaque, const char *address,
                       enum tls_refusal refusal, const struct error *error)
{
    struct rendezvous *rendezvous = opaque;
    rendezvous->counters.refused++;
    note(rendezvous, "%s: %s: %s", address, tls_refusal_name(refusal), error->message);
}

static struct tls_domain *lookup(void *opaque, const char *name)
{
    struct rendezvous *rendezvous = opaque;
    struct job_room *job;
    if (!rendezvous_control_find_domain(rendezvous, name, &job))
        return NULL;
    return job ? job->domain : rendezvous->control;
}

/* ---- time ---------------------------------------------------------------------------------- */

static void look_after(struct connection *connection, uint64_t now)
{
    Mu__Heartbeat heartbeat = MU__HEARTBEAT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat;
    if (connection->kind != CONNECTION_NEW)
        rendezvous_connection_send(connection, &envelope);
    else if (now - connection->opened_at > HELLO_MS)
        rendezvous_connection_fail(connection, -ETIMEDOUT, "it did not say who it is in time");
}

static void job_moving(void *opaque, struct hash_link *link)
{
    *(bool *)opaque |= rendezvous_messages_moving(HASH_ENTRY(link, struct job_room, link));
}

static void close_connections(struct rendezvous *rendezvous)
{
    struct list_link *link = rendezvous->connections.next, *next;
    for (; link != &rendezvous->connections; link = next) {
        struct connection *connection = LIST_ENTRY(link, struct connection, all);
        next = link->next;
        if (!connection->over)
            channel_close(connection->channel);
        connection->over = true;
    }
}

/* First what is on its way, then the connections, then whoever asked for it. */
static void look_drained(struct rendezvous *rendezvous, uint64_t now)
{
    bool moving = false;
    hash_each(&rendezvous->jobs, job_moving, &moving);
    if (!rendezvous->closing && (!moving || now >= rendezvous->drain_until)) {
        rendezvous->closing = true;
        close_connections(rendezvous);
    }
    if (!rendezvous->closing || !list_empty(&rendezvous->connections))
        return;
    uv_timer_stop(&rendezvous->timer);
    rendezvous->drained(rendezvous->drained_opaque);
}

static void on_timer(uv_timer_t *timer)
{
    struct rendezvous *rendezvous = timer->data;
    uint64_t now = uv_now(network_loop(rendezvous->network));
    if (rendezvous->draining) {
        look_drained(rendezvous, now);
        return;
    }
    struct list_link *link = rendezvous->connections.next, *next;
    for (; link != &rendezvous->connections; link = next) {
        next = link->next;
        look_after(LIST_ENTRY(link, struct connection, all), now);
    }
}

/* ---- beginning and end --------------------------------------------------------------------- */

static int begin_listening(struct rendezvous *rendezvous, const struct rendezvous_options *options,
                           struct error *error)
{
    static const struct listener_handlers handlers = {.accepted = on_accepted,
                                                      .refused = on_refused};
    const struct listener_options listening = {
        .host = options->host,
        .port = options->port,
        .limits = {.silence = SILENT_HEARTBEATS * rendezvous->heartbeat_ms}};
    return listener_open(rendezvous->network, rendezvous->tls, &listening, &handlers, rendezvous,
                         &rendezvous->listener, error);
}

static int set_up(struct rendezvous *rendezvous, const struct rendezvous_options *options,
                  struct error *error)
{
    const char *folder = options->spill ? options->spill : "/var/tmp";
    const struct credentials *credentials = &options->credentials;
    if (spill_new(options->memory ? options->memory : MEMORY,
                  options->spill_most ? options->spill_most : SPILL_MOST, folder,
                  &rendezvous->spill, error) < 0 ||
        tls_server_new(lookup, rendezvous, &rendezvous->tls, error) < 0 ||
        tls_domain_new(credentials->own, credentials->authority, &rendezvous->control, error) < 0)
        return error->code;
    X509_up_ref(credentials->own->x509);
    EVP_PKEY_up_ref(credentials->own->key);
    rendezvous->own->x509 = credentials->own->x509;
    rendezvous->own->key = credentials->own->key;
    return begin_listening(rendezvous, options, error);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

int rendezvous_new(struct network *network, const struct rendezvous_options *options,
                   struct rendezvous **made, struct error *error)
{
    struct rendezvous *rendezvous = calloc(1, sizeof *rendezvous);
    *made = NULL;
    if (rendezvous == NULL || (rendezvous->own = calloc(1, sizeof *rendezvous->own)) == NULL) {
        free(rendezvous);
        return error_set(error, -ENOMEM, "out of memory");
    }
    rendezvous->network = network;
    rendezvous->heartbeat_ms = options->heartbeat_ms ? options->heartbeat_ms : HEARTBEAT_MS;
    rendezvous->note = options->note;
    rendezvous->note_opaque = options->opaque;
    rendezvous->users = 1;
    rendezvous->timer.data = rendezvous;
    list_init(&rendezvous->connections);
    list_init(&rendezvous->delivered);
    list_init(&rendezvous->unasked);
    if (set_up(rendezvous, options, error) < 0) {
        release(rendezvous);
        return error->code;
    }
    uv_timer_init(network_loop(network), &rendezvous->timer);
    uv_timer_start(&rendezvous->timer, on_timer, rendezvous->heartbeat_ms,
                   rendezvous->heartbeat_ms);
    uv_unref((uv_handle_t *)&rendezvous->timer);
    *made = rendezvous;
    return 0;
}

uint16_t rendezvous_port(const struct rendezvous *rendezvous)
{
    return listener_port(rendezvous->listener);
}

const struct rendezvous_counters *rendezvous_counters(struct rendezvous *rendezvous)
{
    const struct spill_counters *spill = spill_counters(rendezvous->spill);
    rendezvous->counters.memory = spill->memory;
    rendezvous->counters.memory_peak = spill->memory_peak;
    rendezvous->counters.file = spill->file;
    rendezvous->counters.file_peak = spill->file_peak;
    return &rendezvous->counters;
}

void rendezvous_drain(struct rendezvous *rendezvous, void (*done)(void *opaque), void *opaque)
{
    listener_close(rendezvous->listener);
    rendezvous->listener = NULL;
    rendezvous->draining = true;
    rendezvous->drained = done;
    rendezvous->drained_opaque = opaque;
    rendezvous->drain_until = uv_now(network_loop(rendezvous->network)) + DRAIN_MS;
    uv_ref((uv_handle_t *)&rendezvous->timer);
    uv_timer_start(&rendezvous->timer, on_timer, 1, DRAIN_LOOK_MS);
}

static void free_job(void *opaque, struct hash_link *link)
{
    rendezvous_job_free(HASH_ENTRY(link, struct job_room, link));
}

void rendezvous_free(struct rendezvous *rendezvous)
{
    if (rendezvous == NULL)
        return;
    rendezvous->freed = true;
    listener_close(rendezvous->listener);
    hash_each(&rendezvous->jobs, free_job, NULL);
    struct list_link *link = rendezvous->connections.next;
    for (; link != &rendezvous->connections; link = link->next) {
        struct connection *connection = LIST_ENTRY(link, struct connection, all);
        connection->over = true;
        channel_abort(connection->channel, "the rendezvous ends");
    }
    uv_close((uv_handle_t *)&rendezvous->timer, on_timer_closed);
}
