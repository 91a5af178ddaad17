/* Frames over a stream: control messages and bulk data between two parties, see net/frame.h. All that
 * net/stream.h says of handlers and errors holds here too. */
#ifndef NET_CHANNEL_H
#define NET_CHANNEL_H

#include "net/frame.h"
#include "net/stream.h"

struct channel;

struct channel_handlers {
    void (*opened)(struct channel *channel, void *opaque); /* NULL for accepted channels */
    /* A whole envelope. */
    void (*control)(struct channel *channel, void *opaque, const uint8_t *envelope, size_t size);
    /* The next bytes of a transfer. */
    void (*bulk)(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                 size_t size);
    void (*drained)(struct channel *channel, void *opaque); /* may be NULL */
    void (*ended)(struct channel *channel, void *opaque);   /* may be NULL: closes */
    /* The channel is freed after it. */
    void (*closed)(struct channel *channel, void *opaque, const struct error *reason);
};

/* Zero means the default. */
struct channel_limits {
    uint32_t control; /* longest envelope, in bytes, that is let in (default 1 MiB) */
    unsigned
        frame; /* ms from a frame's first byte to its last, pauses not counted (default 60 s) */
};

/* Dials, as stream_connect. */
int channel_connect(struct network *network, struct tls_client *client,
                    const struct stream_target *target, const struct stream_limits *stream_limits,
                    const struct channel_limits *limits, const struct channel_handlers *handlers,
                    void *opaque, struct channel **channel, struct error *error);
/* Makes a channel of a stream that was just accepted. On -ENOMEM the stream has been aborted. */
int channel_accept(struct stream *stream, const struct channel_limits *limits,
                   const struct channel_handlers *handlers, void *opaque, struct channel **channel,
                   struct error *error);

/* As stream_write: 0, 1 to wait for `drained`, or an error, and then nothing was sent. Envelopes have
 * at least one byte. */
int channel_send(struct channel *channel, const uint8_t *envelope, size_t size);
/* Bytes of a transfer, 1 to FRAME_PIECE_MOST. */
int channel_send_bulk(struct channel *channel, uint64_t transfer, const uint8_t *bytes,
                      size_t size);

/* Stops reading after the frame at hand, or the part of a transfer; on again. */
void channel_pause(struct channel *channel);
void channel_resume(struct channel *channel);
/* stream_close, stream_abort and stream_fail. */
void channel_close(struct channel *channel);
void channel_abort(struct channel *channel, const char *reason);
void channel_fail(struct channel *channel, const struct error *error);
/* For everything else. */
struct stream *channel_stream(struct channel *channel);

#endif
