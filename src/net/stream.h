/*
 * TLS connections on a libuv loop: bytes in order, both ways, with both sides' certificates checked.
 *
 * Rules that all of it keeps:
 * - Everything happens on the loop's thread. No handler is called from inside a function of this
 *   header; every function may be called from inside any handler, closing included.
 * - A call that returned an error never calls back.
 * - A stream that was opened (stream_connect returned 0, or it was handed to `accepted`) calls
 *   `closed` exactly once, as its last handler, and is freed after it.
 * - What one connection holds in memory is bounded whatever the other side does: by its limits' queue
 *   going out, by about 100 KB coming in.
 * - Nobody is declared silent before the socket was read.
 */
#ifndef NET_STREAM_H
#define NET_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "net/tls.h"
#include "util/error.h"

/* ---- what the streams of one loop share ---------------------------------------------------- */

struct network;

/* What happened so far. */
struct network_counters {
    uint64_t handshakes;            /* that succeeded */
    uint64_t refused[TLS_REFUSALS]; /* that failed on the accepting side, by reason */
    uint64_t turns_filled;          /* loop turns that left handshakes for the next one */
    uint64_t longest_handshakes;    /* most nanoseconds of handshakes in one loop turn */
};

/* Makes what the loop's streams share. The process ignores SIGPIPE from now on, unless it has a
 * handler for it. -ENOMEM. */
int network_new(uv_loop_t *loop, struct network **network, struct error *error);
/* Ends what is open: streams call `closed` with -ECANCELED. All is freed when the loop has run until
 * nothing is left; `network` must not be used any more but by the streams that end. NULL is
 * allowed. */
void network_free(struct network *network);
const struct network_counters *network_counters(const struct network *network);
uv_loop_t *network_loop(struct network *network);

/* ---- streams ------------------------------------------------------------------------------- */

struct stream;

struct stream_handlers {
    /* The handshake of stream_connect is done; what is written may go out. (Whether the other side
     * takes our certificate is known only when it answers.) NULL for accepted streams. */
    void (*opened)(struct stream *stream, void *opaque);
    /* Bytes that came, at most 16 KB at once. Returns how many it took; where that is less than
     * `size` the stream is paused and gives the rest again when it is resumed. */
    size_t (*received)(struct stream *stream, void *opaque, const uint8_t *bytes, size_t size);
    /* The queue, which had made stream_write return 1, is down to half of `high`. May be NULL. */
    void (*drained)(struct stream *stream, void *opaque);
    /* The other side will send nothing more. Where this is NULL, the stream is closed then. */
    void (*ended)(struct stream *stream, void *opaque);
    /* The stream is gone. `reason` is NULL when both sides had said all that they wanted to, or
     * stream_close could send all that was written. */
    void (*closed)(struct stream *stream, void *opaque, const struct error *reason);
};

/* Times in milliseconds. Zero where a limit is given as 0 means the default, but for `silence`. */
struct stream_limits {
    size_t queue;       /* most bytes waiting to be sent (default 4 MiB) */
    size_t high;        /* from here on the writer is asked to wait (default 256 KiB) */
    unsigned connect;   /* until the connection stands, before the handshake (default 20 s) */
    unsigned handshake; /* until the handshake is done, our own delays not counted (default 20 s) */
    unsigned silence;   /* longest time without a byte while reading; 0 for no limit */
    unsigned stall; /* longest time in which nothing of a filled queue goes out (default 60 s) */
};

struct stream_target {
    const char *host; /* name or address */
    uint16_t port;
    const char *server_name; /* which domain of the server is meant, see net/tls.h */
    const char *identity;    /* what the server's certificate must say; NULL: it must name `host` */
};

/* Dials. All of `target` is copied; `client` may be freed at once. -EINVAL, -ENOMEM. */
int stream_connect(struct network *network, struct tls_client *client,
                   const struct stream_target *target, const struct stream_limits *limits,
                   const struct stream_handlers *handlers, void *opaque, struct stream **stream,
                   struct error *error);

/* Says who is called from now on: for accepted streams, and when a stream changes hands. */
void stream_set_handlers(struct stream *stream, const struct stream_handlers *handlers,
                         void *opaque);

/* Queues bytes, all or none. They are sent at the end of this turn of the loop, or earlier when there
 * are many. Returns 0; 1 where the queue is at or above `high` now: wait for `drained`; -ENOTCONN
 * before `opened` and after stream_end, stream_close or an error; -ENOBUFS where they would exceed
 * `queue`; -ENOMEM. */
int stream_write(struct stream *stream, const void *bytes, size_t size);
/* The same of two pieces, as one. */
int stream_write_two(struct stream *stream, const void *first, size_t first_size,
                     const void *second, size_t second_size);
/* Bytes that wait to be sent. */
size_t stream_queued(const struct stream *stream);

/* Stops reading; `received` is not called until stream_resume. */
void stream_pause(struct stream *stream);
void stream_resume(struct stream *stream);
/* Whether `received` may still be called: false when paused, and from stream_close on. */
bool stream_receiving(const struct stream *stream);

/* Says that we will write nothing more; reading goes on. When both sides have ended, the stream
 * closes. */
void stream_end(struct stream *stream);
/* Sends what is queued, says goodbye, and closes within the stall limit. From now on only `closed` is
 * called. */
void stream_close(struct stream *stream);
/* Closes at once, with -ECANCELED and the sentence of `reason` (NULL for none of its own). */
void stream_abort(struct stream *stream, const char *reason);
/* Closes at once since the other side did what it may not: `closed` gets this error. */
void stream_fail(struct stream *stream, const struct error *error);

/* Who is on the other side: the identity in its certificate (not NULL once the handshake is done). */
const char *stream_identity(const struct stream *stream);
/* The domain that the client named. */
const char *stream_server_name(const struct stream *stream);
/* The other side as "address:port", for people; "" before the connection stands. */
const char *stream_address(const struct stream *stream);
/* Until when bytes came, in the loop's milliseconds. */
uint64_t stream_heard_at(const struct stream *stream);
/* Whatever the owner wants to keep with the stream. */
void *stream_opaque(const struct stream *stream);

/* ---- listening ----------------------------------------------------------------------------- */

struct listener;

struct listener_options {
    const char *host; /* name or address; NULL for every address, of IPv6 and IPv4 */
    uint16_t port;    /* 0 for any that is free */
    int backlog;      /* default 4096, of which the kernel may allow fewer */
    /* Most connections whose handshake waits for the other side (default 4096, but no more than half
     * of the descriptors that the process may open); the one that came first makes room for another.
     */
    unsigned handshakes;
    struct stream_limits limits; /* of the accepted streams */
};

struct listener_handlers {
    /* A client whose certificate is good. Must call stream_set_handlers (or close the stream). */
    void (*accepted)(struct listener *listener, void *opaque, struct stream *stream);
    /* One that was not let in. May be NULL. */
    void (*refused)(struct listener *listener, void *opaque, const char *address,
                    enum tls_refusal refusal, const struct error *error);
};

/* `server` stays the caller's and must outlive the listener and its handshakes. The host name is
 * looked up while the caller waits. Errors are those of getaddrinfo and bind as libuv gives them. */
int listener_open(struct network *network, struct tls_server *server,
                  const struct listener_options *options, const struct listener_handlers *handlers,
                  void *opaque, struct listener **listener, struct error *error);
uint16_t listener_port(const struct listener *listener);
/* Connections whose handshake is not done. */
unsigned listener_handshaking(const struct listener *listener);
/* Accepts nobody any more and drops those whose handshake is not done; accepted streams stay. Calls
 * no handler again. NULL is allowed. */
void listener_close(struct listener *listener);

#endif
