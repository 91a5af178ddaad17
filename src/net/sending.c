/* From stream_write to the socket. */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream_private.h"

/* What TLS may add to a full queue: its part of each record, and some answers. A peer that makes us
 * answer and reads nothing must not make it grow. */
static size_t queue_most(const struct stream *stream)
{
    return stream->limits.queue + stream->limits.queue / 64 + 32768;
}

/* Bytes on their way, in libuv's queue. */
struct pending {
    uv_write_t request;
    size_t size; /* with this struct */
    uint8_t bytes[];
};

/* ---- to the socket ------------------------------------------------------------------------- */

/* Nothing goes out any more. What the other side said before it closed may still be there to be read,
 * as why it refused us; so the reading side ends the stream, or the timer soon. */
static void write_failed(struct stream *stream, int code)
{
    if (stream->write_error || stream->state == STREAM_CLOSED)
        return;
    if (stream->state != STREAM_OPEN) {
        stream_break(stream, code, "sending");
        return;
    }
    stream->write_error = code;
    stream->deadline = uv_now(stream->network->loop) + LINGER;
    stream_arm(stream);
}

static void tell_drained(struct stream *stream)
{
    if (!stream->above || stream->queued > stream->limits.high / 2 ||
        stream->state != STREAM_OPEN || stream->write_error)
        return;
    stream->above = false;
    if (stream->handlers.drained)
        stream->handlers.drained(stream, stream->opaque);
}

static void on_written(uv_write_t *request, int status)
{
    struct pending *pending = request->data;
    struct stream *stream = LIST_ENTRY(request->handle, struct stream, tcp);
    stream->queued -= pending->size;
    free(pending);
    if (status < 0 && status != UV_ECANCELED)
        write_failed(stream, status);
    tell_drained(stream);
}

static void queue_up(struct stream *stream, const uint8_t *bytes, size_t size)
{
    if (stream->queued + size > queue_most(stream)) {
        stream_break(stream, -ENOBUFS, "the other side does not read what it asked for");
        return;
    }
    struct pending *pending = malloc(sizeof *pending + size);
    if (!pending) {
        stream_break(stream, -ENOMEM, "sending");
        return;
    }
    memcpy(pending->bytes, bytes, size);
    pending->size = sizeof *pending + size;
    pending->request.data = pending;
    uv_buf_t buffer = uv_buf_init((char *)pending->bytes, (unsigned)size);
    int result = uv_write(&pending->request, (uv_stream_t *)&stream->tcp, &buffer, 1, on_written);
    if (result < 0) {
        free(pending);
        write_failed(stream, result);
        return;
    }
    if (stream->queued == 0)
        stream->progress_at = uv_now(stream->network->loop);
    stream->queued += pending->size;
    stream->handed_over += size;
    if (!uv_is_active((uv_handle_t *)&stream->timer))
        stream_arm(stream);
}

/* Sends what is staged, whosever it is; what the socket does not take is queued. */
static void send_staged(struct network *network)
{
    struct stream *stream = network->staging;
    size_t size = network->staged_size;
    network->staging = NULL;
    network->staged_size = 0;
    if (!stream || size == 0 || stream->write_error || stream->state == STREAM_CLOSED)
        return;
    int sent = 0;
    if (stream->queued == 0) {
        uv_buf_t buffer = uv_buf_init((char *)network->staged, (unsigned)size);
        sent = uv_try_write((uv_stream_t *)&stream->tcp, &buffer, 1);
    }
    if (sent < 0 && sent != UV_EAGAIN) {
        write_failed(stream, sent);
        return;
    }
    sent = sent < 0 ? 0 : sent;
    if ((size_t)sent < size)
        queue_up(stream, network->staged + sent, size - (size_t)sent);
}

static void want_flush(struct stream *stream)
{
    if (!list_empty(&stream->flush))
        return;
    list_append(&stream->network->flushing, &stream->flush);
    network_wake(stream->network);
}

void sending_stage(struct stream *stream, const uint8_t *bytes, size_t size)
{
    struct network *network = stream->network;
    if (network->staging != stream)
        send_staged(network);
    while (size > 0 && stream->state != STREAM_CLOSED) {
        size_t room = STAGED_SIZE - network->staged_size, part = size < room ? size : room;
        network->staging = stream;
        memcpy(network->staged + network->staged_size, bytes, part);
        network->staged_size += part;
        bytes += part;
        size -= part;
        if (network->staged_size == STAGED_SIZE)
            send_staged(network);
    }
    if (network->staging == stream)
        want_flush(stream);
}

/* ---- encrypting ---------------------------------------------------------------------------- */

/* All of it, as records; sending_stage never takes less than it is given. */
static void encrypt(struct stream *stream, const uint8_t *bytes, size_t size)
{
    size_t written;
    ERR_clear_error();
    if (size > 0 && SSL_write_ex(stream->ssl, bytes, size, &written) != 1) {
        struct error error;
        tls_explain(stream->ssl, &error);
        stream_fail(stream, &error);
    }
}

static void encrypt_gathered(struct stream *stream)
{
    uint8_t *gathered = stream->gathered;
    stream->gathered = NULL;
    if (gathered)
        encrypt(stream, gathered, stream->gathered_size);
    stream->gathered_size = 0;
    free(gathered);
}

void sending_flush(struct stream *stream)
{
    encrypt_gathered(stream);
    if (stream->network->staging == stream)
        send_staged(stream->network);
}

void sending_drop(struct stream *stream)
{
    struct network *network = stream->network;
    list_remove(&stream->flush);
    if (network->staging == stream) {
        network->staging = NULL;
        network->staged_size = 0;
    }
    free(stream->gathered);
    stream->gathered = NULL;
    stream->gathered_size = 0;
}

/* Appends to what is gathered; whole records go to OpenSSL as they lie. */
static int gather(struct stream *stream, const uint8_t *bytes, size_t size)
{
    while (size > 0 && stream->state == STREAM_OPEN) {
        size_t part = RECORD - stream->gathered_size;
        part = part < size ? part : size;
        if (part == RECORD) {
            encrypt(stream, bytes, RECORD);
        } else {
            if (!stream->gathered && !(stream->gathered = malloc(RECORD)))
                return -ENOMEM;
            memcpy(stream->gathered + stream->gathered_size, bytes, part);
            stream->gathered_size += part;
            if (stream->gathered_size == RECORD)
                encrypt_gathered(stream);
        }
        bytes += part;
        size -= part;
    }
    return stream->state == STREAM_OPEN ? 0 : -ENOTCONN;
}

size_t stream_queued(const struct stream *stream)
{
    const struct network *network = stream->network;
    return stream->queued + stream->gathered_size +
           (network->staging == stream ? network->staged_size : 0);
}

static bool fits(const struct stream *stream, size_t first, size_t second)
{
    size_t queued = stream_queued(stream);
    return queued <= stream->limits.queue && first <= stream->limits.queue - queued &&
           second <= stream->limits.queue - queued - first;
}

int stream_write_two(struct stream *stream, const void *first, size_t first_size,
                     const void *second, size_t second_size)
{
    if (stream->state != STREAM_OPEN || stream->end_said || stream->write_error)
        return -ENOTCONN;
    if (!fits(stream, first_size, second_size) && stream->network->staging == stream)
        send_staged(stream->network);
    if (!fits(stream, first_size, second_size))
        return -ENOBUFS;
    int result = gather(stream, first, first_size);
    if (result == 0)
        result = gather(stream, second, second_size);
    if (result == -ENOMEM)
        stream_break(stream, -ENOMEM, "sending");
    if (result < 0)
        return result;
    if (stream_queued(stream) >= stream->limits.high && stream->network->staging == stream)
        send_staged(stream->network);
    if (stream->state != STREAM_OPEN)
        return -ENOTCONN;
    if (stream->gathered)
        want_flush(stream);
    stream->above |= stream->queued >= stream->limits.high;
    return stream->above;
}

int stream_write(struct stream *stream, const void *bytes, size_t size)
{
    return stream_write_two(stream, bytes, size, NULL, 0);
}
