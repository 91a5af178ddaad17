/*
 * What the parts of a stream share. A received byte goes the way
 *
 *     socket -> network.input -> OpenSSL -> network.plain -> received()
 *
 * and stays in the first two buffers, which all streams share, only while the loop is in the read
 * callback: what cannot go on, since the stream is paused or its handshake waits for its turn, is kept
 * in stream.input (encrypted) and stream.kept (decrypted). A written byte goes
 *
 *     stream_write() -> stream.gathered -> OpenSSL -> network.staged -> socket, or libuv's queue
 *
 * where `gathered` makes one record of many small writes, and `staged`, which belongs to one stream at
 * a time, one system call of many records.
 */
#ifndef NET_STREAM_PRIVATE_H
#define NET_STREAM_PRIVATE_H

#include <openssl/ssl.h>

#include "net/list.h"
#include "net/stream.h"

enum {
    RECORD = 16384,          /* most bytes in a TLS record */
    INPUT_SIZE = 65536,      /* read at once */
    STAGED_SIZE = 8 * 17408, /* eight records with what TLS adds */
    HANDSHAKE_INPUT = 8192,  /* where reading stops until a handshake has had its turn */
    LINGER = 1000,           /* ms for the other side to see why we close, and to close too */
};

struct network {
    uv_loop_t *loop;
    uv_prepare_t prepare; /* before waiting for events: sends what was written */
    uv_check_t check;     /* after them: handshakes, resumed streams, then sending again */
    uv_idle_t idle;       /* active while something is left to do, so that the loop does not wait */
    unsigned handles;     /* of these three, not closed */
    bool closing;

    struct list_link streams;    /* all of them, by their member `all` */
    struct list_link listeners;  /* by their member `all` */
    struct list_link handshakes; /* streams whose handshake can go on, by `work` */
    struct list_link ready;      /* streams with input to decrypt, by `work` */
    struct list_link flushing;   /* streams with `gathered` or `staged` bytes, by `flush` */

    BIO_METHOD *bio_method;
    struct stream *staging; /* whose bytes are staged; NULL for nobody's */
    size_t staged_size;
    struct network_counters counters;
    uint8_t input[INPUT_SIZE];
    uint8_t plain[RECORD];
    uint8_t staged[STAGED_SIZE];
};

enum stream_state {
    STREAM_CONNECTING, /* looking up the name, dialling */
    STREAM_HANDSHAKING,
    STREAM_OPEN,
    STREAM_CLOSING, /* sends the rest and waits for the other side's end; only `closed` comes */
    STREAM_CLOSED,  /* its handles are being closed */
};

/* Bytes [taken, size) of an allocation. */
struct waiting {
    uint8_t *bytes;
    size_t taken, size, capacity;
};

struct stream {
    struct network *network;
    struct list_link all, work, flush;
    struct list_link shaking;    /* in listener->shaking */
    struct listener *listener;   /* until the stream is accepted */
    struct connector *connector; /* while connecting */
    uv_tcp_t tcp;
    uv_timer_t timer;
    uv_shutdown_t shutdown;
    unsigned handles; /* not closed */

    struct stream_handlers handlers;
    void *opaque;
    struct stream_limits limits;
    SSL *ssl;
    char *wanted_identity; /* of a server, or NULL */
    char *identity;
    char *server_name;
    char address[64];

    enum stream_state state;
    bool ours;        /* the handlers belong to a user who waits for `closed` */
    bool paused;      /* by the user */
    bool reading;     /* libuv reads */
    bool input_ended; /* the socket has given its last byte */
    bool peer_ended;  /* the other side has said goodbye */
    bool end_said;    /* we have; nothing is encrypted any more */
    bool shutdown_done;
    bool above;      /* stream_write returned 1, and `drained` is owed */
    bool suspect;    /* its time is up; the socket is read once more */
    int write_error; /* what writing came to; the reading side may still learn why */
    int code;        /* of `reason`, 0 for a good end */
    char *reason;

    const uint8_t *window; /* ciphertext that OpenSSL may take now */
    size_t window_size;
    struct waiting input, kept;
    uint8_t *gathered; /* RECORD bytes, there while anything is gathered */
    size_t gathered_size;
    size_t queued;        /* bytes that libuv holds for us, with what it takes to hold them */
    uint64_t handed_over; /* bytes given to libuv in all */

    /* in the loop's milliseconds */
    uint64_t deadline;      /* of connecting, of the handshake, of closing */
    uint64_t waiting_since; /* for its turn to shake hands */
    uint64_t heard_at;
    uint64_t progress_at;   /* when some of the queue was last seen going out */
    uint64_t progress_seen; /* bytes that had gone out then */
};

/* ---- network.c ----------------------------------------------------------------------------- */

/* Makes the loop come to the check and prepare handles without waiting. */
void network_wake(struct network *network);
/* A stream or listener is gone. */
void network_release(struct network *network);

/* ---- stream.c ------------------------------------------------------------------------------ */

/* NULL when out of memory. */
struct stream *stream_new(struct network *network, const struct stream_limits *limits);
/* Remembers why the stream ends, unless that is known. */
void stream_set_reason(struct stream *stream, int code, const char *sentence);
/* Closes the handles; `closed` comes later. */
void stream_destroy(struct stream *stream);
/* One of its handles is closed. */
void stream_handle_closed(struct stream *stream);
/* Gives up on a transport that failed with libuv's error `code`. */
void stream_break(struct stream *stream, int code, const char *doing);
/* Sends what is there, then closes; the reason has been set. */
void stream_linger(struct stream *stream);
/* Sets the timer to the earliest of the stream's limits. */
void stream_arm(struct stream *stream);
/* Starts or stops libuv's reading. */
void stream_read(struct stream *stream, bool on);
/* Destroys a closing stream when nothing is left to wait for. */
void stream_finish(struct stream *stream);
/* The connection stands: the handshake may begin. */
void stream_connected(struct stream *stream);
/* Ends a handshake that failed. */
void stream_refuse(struct stream *stream, enum tls_refusal refusal, const struct error *error);

/* ---- secure.c ------------------------------------------------------------------------------ */

BIO_METHOD *secure_bio_method(void);
/* Gives stream->ssl its input and output. */
int secure_attach(struct stream *stream);
/* Queues the stream for its turn to shake hands. */
void secure_want_turn(struct stream *stream);
/* As far as the handshake goes with what has come. */
void secure_shake_hands(struct stream *stream);
/* Decrypts what has come and hands it over, until nothing is left or the stream is paused. `bytes` are
 * new ones, of the shared buffer; NULL where stream->input holds them. */
void secure_pump(struct stream *stream, const uint8_t *bytes, size_t size);
/* Appends a copy to what waits; false when out of memory. */
bool waiting_add(struct waiting *waiting, const uint8_t *bytes, size_t size);
void waiting_release(struct waiting *waiting);

/* ---- sending.c ----------------------------------------------------------------------------  */

/* Takes encrypted bytes of the stream. */
void sending_stage(struct stream *stream, const uint8_t *bytes, size_t size);
/* Encrypts what is gathered and hands all over to the socket. */
void sending_flush(struct stream *stream);
/* Forgets what is gathered and staged. */
void sending_drop(struct stream *stream);

/* ---- connect.c ----------------------------------------------------------------------------- */

/* The time for the present address is up, or it failed: on to the next, if there is one. */
void connector_next(struct stream *stream, int code);
/* When the present attempt is to be given up. */
uint64_t connector_due(const struct stream *stream);
void connector_drop(struct stream *stream);

/* ---- listener.c ---------------------------------------------------------------------------- */

/* Hands over a stream whose handshake is done. */
void listener_accept(struct stream *stream);
/* Forgets a stream that was accepted or is gone. */
void listener_left(struct stream *stream);
/* Says that a stream was refused. */
void listener_refused(struct stream *stream, enum tls_refusal refusal, const struct error *error);
/* A session for one who has begun to speak; NULL when out of memory. */
SSL *listener_session(struct listener *listener);
/* The listener whose member `all` this is. */
struct listener *listener_of(struct list_link *link);

#endif
