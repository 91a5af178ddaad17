#include "mu/submitter.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/identity.h"

enum {
    TICK_MS = 100,
    FIRST_PAUSE_MS = 100,
    LONGEST_PAUSE_MS = 2000,
    PATIENCE_MS = 20000,
    DIAL_MS = 10000,       /* for each step of getting a connection */
    SILENT_HEARTBEATS = 4, /* without a word, and the other side is dead */
    MOST_BYTES = 1 << 20,  /* of an envelope, docs/protocol.md */
};

struct submitter {
    struct network *network;
    struct tls_client *client;
    char *host, *build;
    uint16_t port;
    unsigned patience_ms, heartbeat_ms;
    struct submitter_handlers handlers;
    void *opaque;
    uint8_t *question; /* packed; NULL: nothing is asked */
    size_t question_size;
    struct channel *channel; /* NULL while there is none */
    bool welcomed, suspect;
    bool freed;   /* by its owner */
    bool closing; /* the timer */
    bool failed;
    struct error trouble; /* the last */
    uint64_t dial_at, pause_ms, lost_at, spoke_at;
    uv_timer_t timer;
};

/* ---- The end ------------------------------------------------------------------------------- */

static void on_timer_closed(uv_handle_t *handle)
{
    struct submitter *submitter = handle->data;
    tls_client_free(submitter->client);
    free(submitter->host);
    free(submitter->build);
    free(submitter->question);
    free(submitter);
}

static void free_when_closed(struct submitter *submitter)
{
    if (!submitter->freed || submitter->channel != NULL || submitter->closing)
        return;
    submitter->closing = true;
    uv_close((uv_handle_t *)&submitter->timer, on_timer_closed);
}

void submitter_free(struct submitter *submitter)
{
    if (submitter == NULL)
        return;
    submitter->freed = true;
    if (submitter->channel != NULL)
        channel_close(submitter->channel);
    free_when_closed(submitter);
}

static void fail(struct submitter *submitter, const struct error *reason)
{
    if (submitter->failed || submitter->freed)
        return;
    submitter->failed = true;
    submitter->handlers.failed(submitter->opaque, reason);
}

/* ---- Asking -------------------------------------------------------------------------------- */

static void send_question(struct submitter *submitter)
{
    if (submitter->question == NULL || !submitter->welcomed)
        return;
    submitter->spoke_at = uv_now(network_loop(submitter->network));
    if (channel_send(submitter->channel, submitter->question, submitter->question_size) < 0)
        channel_abort(submitter->channel, "the question cannot be sent");
}

int submitter_ask(struct submitter *submitter, const Mu__Envelope *question, struct error *error)
{
    size_t size = mu__envelope__get_packed_size(question);
    if (size > MOST_BYTES)
        return error_set(error, -EMSGSIZE, "a job that is handed in has at most %d bytes",
                         MOST_BYTES);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    mu__envelope__pack(question, bytes);
    free(submitter->question);
    submitter->question = bytes;
    submitter->question_size = size;
    send_question(submitter);
    return 0;
}

static void on_opened(struct channel *channel, void *opaque)
{
    struct submitter *submitter = opaque;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    Mu__SubmitterHello who = MU__SUBMITTER_HELLO__INIT;
    hello.protocol = MU_PROTOCOL;
    hello.build = submitter->build;
    hello.who_case = MU__HELLO__WHO_SUBMITTER;
    hello.submitter = &who;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    if (wire_send(channel, &envelope) < 0)
        channel_abort(channel, "cannot say hello");
}

static void on_welcome(struct submitter *submitter, const Mu__Welcome *welcome)
{
    submitter->welcomed = true;
    submitter->suspect = false;
    submitter->heartbeat_ms = welcome->heartbeat_ms > 0 ? welcome->heartbeat_ms : 1000;
    submitter->pause_ms = FIRST_PAUSE_MS;
    send_question(submitter);
}

static void dispatch(struct submitter *submitter, const Mu__Envelope *envelope)
{
    struct error error;
    if (envelope->body_case == MU__ENVELOPE__BODY_REFUSAL) {
        error_set(&error, -EPERM, "the coordinator refuses: %.900s", envelope->refusal->reason);
        fail(submitter, &error);
    } else if (envelope->body_case == MU__ENVELOPE__BODY_WELCOME && !submitter->welcomed) {
        on_welcome(submitter, envelope->welcome);
    } else if (!submitter->welcomed) {
        channel_abort(submitter->channel, "the coordinator does not say hello");
    } else if (envelope->body_case != MU__ENVELOPE__BODY_HEARTBEAT) {
        submitter->handlers.answered(submitter->opaque, envelope);
    }
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct submitter *submitter = opaque;
    Mu__Envelope *envelope;
    struct error error;
    if (submitter->freed || submitter->failed)
        return;
    if (wire_read(bytes, size, &envelope, &error) < 0) {
        channel_fail(channel, &error);
        return;
    }
    dispatch(submitter, envelope);
    wire_free(envelope);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    channel_abort(channel, "the coordinator sent pieces of a message");
}

/* ---- Dialling ------------------------------------------------------------------------------ */

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct submitter *submitter = opaque;
    uint64_t now = uv_now(network_loop(submitter->network));
    bool was_there = submitter->welcomed;
    submitter->channel = NULL;
    submitter->welcomed = false;
    if (submitter->freed) {
        free_when_closed(submitter);
        return;
    }
    if (reason != NULL)
        submitter->trouble = *reason;
    else
        error_set(&submitter->trouble, -ECONNRESET, "it has closed the connection");
    submitter->dial_at = now + submitter->pause_ms;
    submitter->pause_ms *= 2;
    if (submitter->pause_ms > LONGEST_PAUSE_MS)
        submitter->pause_ms = LONGEST_PAUSE_MS;
    if (!was_there)
        return;
    submitter->lost_at = now;
    if (submitter->handlers.lost != NULL && !submitter->failed)
        submitter->handlers.lost(submitter->opaque, &submitter->trouble);
}

static void dial(struct submitter *submitter)
{
    static const struct channel_handlers handlers = {
        .opened = on_opened, .control = on_control, .bulk = on_bulk, .closed = on_closed};
    static const struct stream_limits limits = {.connect = DIAL_MS, .handshake = DIAL_MS};
    const struct stream_target target = {
        .host = submitter->host,
        .port = submitter->port,
        .server_name = DOMAIN_DEPLOYMENT,
        .identity = IDENTITY_COORDINATOR,
    };
    submitter->dial_at = uv_now(network_loop(submitter->network)) + LONGEST_PAUSE_MS;
    channel_connect(submitter->network, submitter->client, &target, &limits, NULL, &handlers,
                    submitter, &submitter->channel, &submitter->trouble);
}

/* Silent is who was so when last looked at too: the socket was read in between. */
static void check(struct submitter *submitter, uint64_t now)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Heartbeat heartbeat = MU__HEARTBEAT__INIT;
    uint64_t heard_at = stream_heard_at(channel_stream(submitter->channel));
    bool silent = now > heard_at + SILENT_HEARTBEATS * (uint64_t)submitter->heartbeat_ms;
    if (silent && submitter->suspect) {
        channel_abort(submitter->channel, "the coordinator is silent");
        return;
    }
    submitter->suspect = silent;
    if (now < submitter->spoke_at + submitter->heartbeat_ms / 2)
        return;
    submitter->spoke_at = now;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat;
    if (wire_send(submitter->channel, &envelope) < 0)
        channel_abort(submitter->channel, "the coordinator does not take what is said to it");
}

static void give_up(struct submitter *submitter)
{
    struct error error = submitter->trouble;
    if (error.code == 0)
        error_set(&error, -ETIMEDOUT, "it does not answer");
    error_prefix(&error, "the coordinator at %s:%u is not to be reached", submitter->host,
                 submitter->port);
    error.code = -ETIMEDOUT;
    fail(submitter, &error);
}

static void on_timer(uv_timer_t *timer)
{
    struct submitter *submitter = timer->data;
    uint64_t now = uv_now(timer->loop);
    if (submitter->freed || submitter->failed)
        return;
    if (submitter->welcomed)
        check(submitter, now);
    else if (now - submitter->lost_at > submitter->patience_ms)
        give_up(submitter);
    else if (submitter->channel == NULL && now >= submitter->dial_at)
        dial(submitter);
}

int submitter_new(struct network *network, const struct submitter_options *options,
                  struct submitter **made, struct error *error)
{
    struct submitter *submitter = calloc(1, sizeof *submitter);
    if (submitter == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    submitter->network = network;
    submitter->host = strdup(options->host);
    submitter->build = strdup(options->build);
    submitter->port = options->port;
    submitter->patience_ms = options->patience_ms ? options->patience_ms : PATIENCE_MS;
    submitter->handlers = *options->handlers;
    submitter->opaque = options->opaque;
    submitter->pause_ms = FIRST_PAUSE_MS;
    submitter->lost_at = uv_now(network_loop(network));
    int code = submitter->host != NULL && submitter->build != NULL
                   ? tls_client_new(options->credentials, &submitter->client, error)
                   : error_set(error, -ENOMEM, "out of memory");
    uv_timer_init(network_loop(network), &submitter->timer);
    submitter->timer.data = submitter;
    if (code < 0) {
        submitter_free(submitter);
        return code;
    }
    uv_timer_start(&submitter->timer, on_timer, 0, TICK_MS);
    *made = submitter;
    return 0;
}
