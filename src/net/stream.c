/* The life of a stream: its handlers, its limits in time, its end. */
#include "net/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream_private.h"

#define NEVER UINT64_MAX

/* ---- beginning ----------------------------------------------------------------------------- */

static void on_timer(uv_timer_t *timer);

static void set_limits(struct stream_limits *limits, const struct stream_limits *wanted)
{
    if (wanted)
        *limits = *wanted;
    limits->queue = limits->queue ? limits->queue : 4 << 20;
    limits->high = limits->high ? limits->high : 256 << 10;
    limits->connect = limits->connect ? limits->connect : 20000;
    limits->handshake = limits->handshake ? limits->handshake : 20000;
    limits->stall = limits->stall ? limits->stall : 60000;
}

struct stream *stream_new(struct network *network, const struct stream_limits *limits)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (!stream)
        return NULL;
    stream->network = network;
    set_limits(&stream->limits, limits);
    list_init(&stream->work);
    list_init(&stream->flush);
    list_init(&stream->shaking);
    list_append(&network->streams, &stream->all);
    uv_tcp_init(network->loop, &stream->tcp); /* opens nothing yet, so that it cannot fail */
    uv_timer_init(network->loop, &stream->timer);
    stream->handles = 2;
    stream->deadline = uv_now(network->loop) + stream->limits.connect;
    return stream;
}

/* For people, so that a failure leaves it empty. */
static void note_address(struct stream *stream)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    char host[INET6_ADDRSTRLEN] = "";
    if (uv_tcp_getpeername(&stream->tcp, (struct sockaddr *)&address, &size) < 0)
        return;
    bool six = address.ss_family == AF_INET6;
    uint16_t port = six ? ((struct sockaddr_in6 *)&address)->sin6_port
                        : ((struct sockaddr_in *)&address)->sin_port;
    uv_ip_name((struct sockaddr *)&address, host, sizeof host);
    snprintf(stream->address, sizeof stream->address, six ? "[%s]:%u" : "%s:%u", host,
             (unsigned)ntohs(port));
}

void stream_connected(struct stream *stream)
{
    note_address(stream);
    stream->state = STREAM_HANDSHAKING;
    stream->heard_at = uv_now(stream->network->loop);
    stream->deadline = stream->heard_at + stream->limits.handshake;
    stream_arm(stream);
    stream_read(stream, true);
}

void stream_set_handlers(struct stream *stream, const struct stream_handlers *handlers,
                         void *opaque)
{
    stream->handlers = *handlers;
    stream->opaque = opaque;
    stream->ours = true;
}

/* ---- reading ------------------------------------------------------------------------------- */

static void on_buffer(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct stream *stream = LIST_ENTRY(handle, struct stream, tcp);
    bool stranger = stream->state == STREAM_HANDSHAKING;
    *buffer = uv_buf_init((char *)stream->network->input, stranger ? HANDSHAKE_INPUT : INPUT_SIZE);
}

/* What comes during a handshake waits for its turn. */
static void take_handshake(struct stream *stream, const uint8_t *bytes, size_t size)
{
    if (!waiting_add(&stream->input, bytes, size)) {
        stream_break(stream, -ENOMEM, "shaking hands");
        return;
    }
    if (stream->input.size - stream->input.taken >= HANDSHAKE_INPUT)
        stream_read(stream, false);
    secure_want_turn(stream);
}

static void take_end(struct stream *stream, int code)
{
    stream->input_ended = true;
    stream->reading = false;
    if (stream->state == STREAM_HANDSHAKING && code == UV_EOF)
        secure_want_turn(stream);
    else if (stream->state == STREAM_CLOSING)
        stream_finish(stream);
    else if (code != UV_EOF)
        stream_break(stream, stream->write_error ? stream->write_error : code, "reading");
    else
        secure_pump(stream, NULL, 0);
}

static void on_read(uv_stream_t *handle, ssize_t size, const uv_buf_t *buffer)
{
    struct stream *stream = LIST_ENTRY(handle, struct stream, tcp);
    if (size == 0)
        return;
    /* A handshake has its time and no more, however many bytes it dribbles. */
    stream->suspect &= stream->state == STREAM_HANDSHAKING;
    stream->heard_at = uv_now(stream->network->loop);
    if (size < 0)
        take_end(stream, (int)size);
    else if (stream->state == STREAM_HANDSHAKING)
        take_handshake(stream, (const uint8_t *)buffer->base, (size_t)size);
    else if (stream->state == STREAM_OPEN && !stream->peer_ended)
        secure_pump(stream, (const uint8_t *)buffer->base, (size_t)size);
}

void stream_read(struct stream *stream, bool on)
{
    if (on == stream->reading || (on && stream->input_ended) || stream->state == STREAM_CLOSED)
        return;
    uv_stream_t *handle = (uv_stream_t *)&stream->tcp;
    int result = on ? uv_read_start(handle, on_buffer, on_read) : uv_read_stop(handle);
    stream->reading = on;
    if (result < 0)
        stream_break(stream, result, "reading");
}

void stream_pause(struct stream *stream)
{
    stream->paused = true;
    if (stream->state == STREAM_OPEN)
        stream_read(stream, false);
}

void stream_resume(struct stream *stream)
{
    if (!stream->paused)
        return;
    stream->paused = false;
    stream->heard_at = uv_now(stream->network->loop);
    if (stream->state != STREAM_OPEN)
        return;
    stream_arm(stream);
    if (stream->kept.size == 0 && stream->input.size == 0 && !stream->input_ended) {
        stream_read(stream, true);
        return;
    }
    if (list_empty(&stream->work))
        list_append(&stream->network->ready, &stream->work);
    network_wake(stream->network);
}

bool stream_receiving(const struct stream *stream)
{
    return stream->state == STREAM_OPEN && !stream->paused;
}

/* ---- time ---------------------------------------------------------------------------------- */

/* When the rest of the queue is to be given up, if nothing of it goes out until then. */
static uint64_t stall_due(struct stream *stream)
{
    uint64_t out =
        stream->handed_over - uv_stream_get_write_queue_size((uv_stream_t *)&stream->tcp);
    if (out != stream->progress_seen) {
        stream->progress_seen = out;
        stream->progress_at = uv_now(stream->network->loop);
    }
    return stream->queued > 0 ? stream->progress_at + stream->limits.stall : NEVER;
}

/* When to give up hearing from the other side. Time in our own queue does not count. */
static uint64_t silence_due(const struct stream *stream)
{
    if (stream->state == STREAM_HANDSHAKING)
        return list_empty(&stream->work) ? stream->deadline : NEVER;
    if (!stream->limits.silence || stream->paused || stream->peer_ended)
        return NEVER;
    return stream->heard_at + stream->limits.silence;
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_due(struct stream *stream)
{
    switch (stream->state) {
    case STREAM_CONNECTING:
        return connector_due(stream);
    case STREAM_HANDSHAKING:
        return earlier(silence_due(stream), stall_due(stream));
    case STREAM_OPEN:
        return stream->write_error ? stream->deadline
                                   : earlier(silence_due(stream), stall_due(stream));
    case STREAM_CLOSING:
        return stream->shutdown_done ? stream->deadline : stall_due(stream);
    default:
        return NEVER;
    }
}

void stream_arm(struct stream *stream)
{
    uint64_t due = next_due(stream), now = uv_now(stream->network->loop);
    if (stream->state == STREAM_CLOSED)
        return;
    if (due == NEVER)
        uv_timer_stop(&stream->timer);
    else
        uv_timer_start(&stream->timer, on_timer, due > now ? due - now : 1, 0);
}

static void time_out(struct stream *stream, const char *sentence)
{
    struct error error;
    error_set(&error, -ETIMEDOUT, "%s", sentence);
    if (stream->state == STREAM_HANDSHAKING)
        stream_refuse(stream, TLS_TOO_SLOW, &error);
    else
        stream_fail(stream, &error);
}

static void silent(struct stream *stream)
{
    if (!stream->suspect) {
        /* The loop may have been too busy to read: it does so before this timer comes again. */
        stream->suspect = true;
        uv_timer_start(&stream->timer, on_timer, 1, 0);
    } else if (stream->state == STREAM_HANDSHAKING) {
        time_out(stream, "the other side did not finish its handshake in time");
    } else {
        time_out(stream, "nothing was heard from the other side for too long");
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct stream *stream = LIST_ENTRY(timer, struct stream, timer);
    uint64_t now = uv_now(stream->network->loop);
    if (next_due(stream) > now)
        stream_arm(stream);
    else if (stream->state == STREAM_CONNECTING)
        connector_next(stream, -ETIMEDOUT);
    else if (stream->state == STREAM_CLOSING && stream->shutdown_done)
        stream_destroy(stream);
    else if (stream->write_error)
        stream_break(stream, stream->write_error, "sending");
    else if (stall_due(stream) <= now)
        time_out(stream, "the other side does not read what it is sent");
    else
        silent(stream);
}

/* ---- ending -------------------------------------------------------------------------------- */

void stream_set_reason(struct stream *stream, int code, const char *sentence)
{
    if (stream->code)
        return;
    stream->code = code;
    stream->reason = strdup(sentence);
}

static void free_stream(struct stream *stream)
{
    struct network *network = stream->network;
    list_remove(&stream->all);
    SSL_free(stream->ssl);
    waiting_release(&stream->input);
    waiting_release(&stream->kept);
    free(stream->wanted_identity);
    free(stream->identity);
    free(stream->server_name);
    free(stream->reason);
    free(stream);
    network_release(network);
}

void stream_handle_closed(struct stream *stream)
{
    if (--stream->handles > 0)
        return;
    struct error error;
    if (stream->code)
        error_set(&error, stream->code, "%s", stream->reason ? stream->reason : "out of memory");
    if (stream->ours)
        stream->handlers.closed(stream, stream->opaque, stream->code ? &error : NULL);
    free_stream(stream);
}

static void on_tcp_closed(uv_handle_t *handle)
{
    stream_handle_closed(LIST_ENTRY(handle, struct stream, tcp));
}

static void on_timer_closed(uv_handle_t *handle)
{
    stream_handle_closed(LIST_ENTRY(handle, struct stream, timer));
}

void stream_destroy(struct stream *stream)
{
    if (stream->state == STREAM_CLOSED)
        return;
    stream->state = STREAM_CLOSED;
    sending_drop(stream);
    connector_drop(stream);
    list_remove(&stream->work);
    if (stream->listener)
        listener_left(stream);
    /* A connector may be closing the socket already, to try another address. */
    if (!uv_is_closing((uv_handle_t *)&stream->tcp))
        uv_close((uv_handle_t *)&stream->tcp, on_tcp_closed);
    uv_close((uv_handle_t *)&stream->timer, on_timer_closed);
}

void stream_break(struct stream *stream, int code, const char *doing)
{
    char sentence[200];
    snprintf(sentence, sizeof sentence, "%s: %s", doing, uv_strerror(code));
    stream_set_reason(stream, code, sentence);
    if (stream->listener && stream->state == STREAM_HANDSHAKING) {
        struct error error;
        error_set(&error, code, "%s", sentence);
        listener_refused(stream, code == -ENOMEM ? TLS_OTHER : TLS_GONE, &error);
    }
    stream_destroy(stream);
}

void stream_fail(struct stream *stream, const struct error *error)
{
    stream_set_reason(stream, error->code, error->message);
    stream_destroy(stream);
}

void stream_abort(struct stream *stream, const char *reason)
{
    stream_set_reason(stream, -ECANCELED, reason ? reason : "closed here");
    stream_destroy(stream);
}

void stream_finish(struct stream *stream)
{
    if (stream->state == STREAM_CLOSING && stream->shutdown_done && stream->input_ended)
        stream_destroy(stream);
}

static void on_shutdown(uv_shutdown_t *request, int status)
{
    struct stream *stream = LIST_ENTRY(request, struct stream, shutdown);
    if (status == UV_ECANCELED)
        return;
    if (status < 0 && status != UV_ENOTCONN) {
        stream_break(stream, status, "sending");
        return;
    }
    stream->shutdown_done = true;
    if (stream->state != STREAM_CLOSING)
        return;
    stream->deadline = uv_now(stream->network->loop) + LINGER;
    stream_arm(stream);
    stream_finish(stream);
}

/* Sends what is there and then the connection's end. */
static void shut_down(struct stream *stream)
{
    sending_flush(stream);
    if (stream->state == STREAM_CLOSED)
        return;
    stream->end_said = true;
    int result = uv_shutdown(&stream->shutdown, (uv_stream_t *)&stream->tcp, on_shutdown);
    if (result < 0)
        stream_break(stream, result, "sending");
}

void stream_linger(struct stream *stream)
{
    if (stream->state == STREAM_CLOSING || stream->state == STREAM_CLOSED)
        return;
    stream->state = STREAM_CLOSING;
    list_remove(&stream->work);
    if (!stream->end_said)
        shut_down(stream);
    else if (stream->shutdown_done)
        stream->deadline = uv_now(stream->network->loop) + LINGER;
    stream_read(stream, true);
    stream_arm(stream);
    stream_finish(stream);
}

void stream_refuse(struct stream *stream, enum tls_refusal refusal, const struct error *error)
{
    stream_set_reason(stream, error->code, error->message);
    if (stream->listener)
        listener_refused(stream, refusal, error);
    stream_linger(stream);
}

void stream_end(struct stream *stream)
{
    if (stream->state != STREAM_OPEN || stream->end_said || stream->write_error)
        return;
    sending_flush(stream);
    if (stream->state != STREAM_OPEN)
        return;
    SSL_shutdown(stream->ssl);
    shut_down(stream);
    if (stream->state == STREAM_OPEN && stream->peer_ended)
        stream_linger(stream);
}

void stream_close(struct stream *stream)
{
    if (stream->state < STREAM_OPEN) {
        stream_abort(stream, "closed here before it was open");
    } else if (stream->write_error) {
        stream_break(stream, stream->write_error, "sending");
    } else {
        stream_end(stream);
        stream_linger(stream);
    }
}

/* ---- asking -------------------------------------------------------------------------------- */

const char *stream_identity(const struct stream *stream)
{
    return stream->identity;
}

const char *stream_server_name(const struct stream *stream)
{
    return stream->server_name;
}

uint64_t stream_heard_at(const struct stream *stream)
{
    return stream->heard_at;
}

void *stream_opaque(const struct stream *stream)
{
    return stream->opaque;
}

const char *stream_address(const struct stream *stream)
{
    return stream->address;
}
