/* The handshake and decryption of streams: OpenSSL between the network's buffers. */
#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream_private.h"

/* ---- bytes that wait ----------------------------------------------------------------------- */

void waiting_release(struct waiting *waiting)
{
    free(waiting->bytes);
    *waiting = (struct waiting){0};
}

bool waiting_add(struct waiting *waiting, const uint8_t *bytes, size_t size)
{
    if (size > waiting->capacity - waiting->size) {
        size_t left = waiting->size - waiting->taken;
        uint8_t *moved = malloc(left + size);
        if (!moved)
            return false;
        if (left > 0)
            memcpy(moved, waiting->bytes + waiting->taken, left);
        free(waiting->bytes);
        *waiting = (struct waiting){.bytes = moved, .size = left, .capacity = left + size};
    }
    memcpy(waiting->bytes + waiting->size, bytes, size);
    waiting->size += size;
    return true;
}

/* ---- OpenSSL's input and output ------------------------------------------------------------ */

static int bio_read(BIO *bio, char *to, int size)
{
    struct stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (stream->window_size == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t taken = stream->window_size < (size_t)size ? stream->window_size : (size_t)size;
    memcpy(to, stream->window, taken);
    stream->window += taken;
    stream->window_size -= taken;
    return (int)taken;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
    sending_stage(BIO_get_data(bio), (const uint8_t *)bytes, (size_t)size);
    return size;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    return command == BIO_CTRL_FLUSH;
}

BIO_METHOD *secure_bio_method(void)
{
    BIO_METHOD *method = BIO_meth_new(BIO_TYPE_SOURCE_SINK, "stream");
    if (!method)
        return NULL;
    BIO_meth_set_read(method, bio_read);
    BIO_meth_set_write(method, bio_write);
    BIO_meth_set_ctrl(method, bio_control);
    return method;
}

int secure_attach(struct stream *stream)
{
    BIO *bio = BIO_new(stream->network->bio_method);
    if (!bio)
        return -ENOMEM;
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(stream->ssl, bio, bio);
    return 0;
}

/* Lets OpenSSL read what waits in stream->input. */
static void open_window(struct stream *stream)
{
    stream->window = stream->input.bytes + stream->input.taken;
    stream->window_size = stream->input.size - stream->input.taken;
}

/* Keeps what OpenSSL left of stream->input. */
static void close_window(struct stream *stream)
{
    stream->input.taken = stream->input.size - stream->window_size;
    stream->window_size = 0;
    if (stream->input.taken == stream->input.size)
        waiting_release(&stream->input);
}

/* ---- handshakes ---------------------------------------------------------------------------- */

void secure_want_turn(struct stream *stream)
{
    if (!list_empty(&stream->work))
        return;
    stream->waiting_since = uv_now(stream->network->loop);
    list_append(&stream->network->handshakes, &stream->work);
    network_wake(stream->network);
}

static bool remember(char **where, const char *text)
{
    free(*where);
    *where = strdup(text ? text : "");
    return *where != NULL;
}

/* Learns who is on the other side, and whether that is whom we want. */
static int meet(struct stream *stream, struct error *error)
{
    char identity[CERTIFICATE_IDENTITY_SIZE];
    bool server = SSL_is_server(stream->ssl);
    int found = tls_peer_identity(stream->ssl, identity);
    if (found < 0 && (server || stream->wanted_identity))
        return error_set(error, -EACCES, "the other side's certificate says no identity");
    if (stream->wanted_identity && strcmp(identity, stream->wanted_identity) != 0)
        return error_set(error, -EACCES, "the other side is '%s', not '%s'", identity,
                         stream->wanted_identity);
    const char *name = SSL_get_servername(stream->ssl, TLSEXT_NAMETYPE_host_name);
    if (!remember(&stream->identity, identity) || !remember(&stream->server_name, name))
        return error_set(error, -ENOMEM, "out of memory");
    return 0;
}

static void handshake_done(struct stream *stream)
{
    struct error error;
    if (meet(stream, &error) < 0) {
        stream_refuse(stream, TLS_NO_IDENTITY, &error);
        return;
    }
    stream->state = STREAM_OPEN;
    stream->heard_at = uv_now(stream->network->loop);
    stream->network->counters.handshakes++;
    stream_arm(stream);
    if (stream->listener)
        listener_accept(stream);
    else if (stream->handlers.opened)
        stream->handlers.opened(stream, stream->opaque);
    secure_pump(stream, NULL, 0);
}

static void refuse_gone(struct stream *stream)
{
    struct error error;
    error_set(&error, -ECONNRESET, "the other side left during the handshake");
    stream_refuse(stream, TLS_GONE, &error);
}

/* A connection that says nothing costs no session. */
static bool begin_session(struct stream *stream)
{
    if (stream->ssl)
        return true;
    stream->ssl = listener_session(stream->listener);
    return stream->ssl && secure_attach(stream) == 0;
}

void secure_shake_hands(struct stream *stream)
{
    stream->deadline += uv_now(stream->network->loop) - stream->waiting_since;
    if (!begin_session(stream)) {
        stream_break(stream, -ENOMEM, "shaking hands");
        return;
    }
    open_window(stream);
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    int kind = result == 1 ? SSL_ERROR_NONE : SSL_get_error(stream->ssl, result);
    close_window(stream);
    if (stream->state != STREAM_HANDSHAKING)
        return;
    struct error error;
    if (kind == SSL_ERROR_NONE) {
        handshake_done(stream);
    } else if (kind != SSL_ERROR_WANT_READ) {
        enum tls_refusal refusal = tls_explain(stream->ssl, &error);
        stream_refuse(stream, refusal, &error);
    } else if (stream->input_ended) {
        refuse_gone(stream);
    } else {
        stream_read(stream, true);
        stream_arm(stream);
    }
}

/* ---- decrypting ---------------------------------------------------------------------------- */

static bool may_deliver(const struct stream *stream)
{
    return stream->state == STREAM_OPEN && !stream->paused && !stream->peer_ended;
}

/* Hands over `size` bytes, and keeps what is not taken. */
static void deliver(struct stream *stream, const uint8_t *bytes, size_t size)
{
    size_t taken = stream->handlers.received(stream, stream->opaque, bytes, size);
    if (taken >= size || stream->state != STREAM_OPEN)
        return;
    stream->paused = true;
    if (!waiting_add(&stream->kept, bytes + taken, size - taken))
        stream_break(stream, -ENOMEM, "reading");
}

/* Hands over what was kept; the handler may leave some of it again. */
static void deliver_kept(struct stream *stream)
{
    struct waiting kept = stream->kept;
    stream->kept = (struct waiting){0};
    deliver(stream, kept.bytes + kept.taken, kept.size - kept.taken);
    waiting_release(&kept);
}

static void peer_ended(struct stream *stream)
{
    stream->peer_ended = true;
    if (stream->end_said || !stream->handlers.ended)
        stream_close(stream);
    else
        stream->handlers.ended(stream, stream->opaque);
}

static void decryption_failed(struct stream *stream)
{
    struct error error;
    tls_explain(stream->ssl, &error);
    stream_set_reason(stream, error.code, error.message);
    stream_linger(stream);
}

/* One record. False when there is none, or an end. */
static bool decrypt(struct stream *stream)
{
    struct network *network = stream->network;
    ERR_clear_error();
    int size = SSL_read(stream->ssl, network->plain, RECORD);
    if (size > 0) {
        deliver(stream, network->plain, (size_t)size);
        return true;
    }
    int kind = SSL_get_error(stream->ssl, size);
    if (kind == SSL_ERROR_ZERO_RETURN)
        peer_ended(stream);
    else if (kind != SSL_ERROR_WANT_READ)
        decryption_failed(stream);
    return false;
}

/* The socket ended, and all that it gave has been handed over. */
static void input_ended(struct stream *stream)
{
    if (stream->state == STREAM_OPEN && !stream->peer_ended)
        stream_break(stream, stream->write_error ? stream->write_error : -ECONNRESET,
                     "the other side is gone");
}

static bool keep_input(struct stream *stream, const uint8_t *bytes, size_t size)
{
    if (waiting_add(&stream->input, bytes, size))
        return true;
    stream_break(stream, -ENOMEM, "reading");
    return false;
}

void secure_pump(struct stream *stream, const uint8_t *bytes, size_t size)
{
    bool own = bytes == NULL || stream->input.size > 0;
    if (own && bytes && !keep_input(stream, bytes, size))
        return;
    if (own) {
        open_window(stream);
    } else {
        stream->window = bytes;
        stream->window_size = size;
    }
    while (may_deliver(stream)) {
        if (stream->kept.size > 0)
            deliver_kept(stream);
        else if (!decrypt(stream))
            break;
    }
    if (stream->state != STREAM_OPEN || stream->peer_ended)
        stream->window_size = 0; /* what follows the end is nobody's */
    if (own)
        close_window(stream);
    else if (stream->window_size > 0)
        keep_input(stream, stream->window, stream->window_size);
    stream->window_size = 0;
    if (stream->state != STREAM_OPEN)
        return;
    stream_read(stream, !stream->paused);
    if (stream->input_ended && !stream->paused)
        input_ended(stream);
}
