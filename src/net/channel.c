#include "net/channel.h"

#include <errno.h>
#include <stdlib.h>

enum { CONTROL_MOST = 1 << 20, FRAME_TIME = 60000 };

struct channel {
    struct stream *stream;
    struct channel_handlers handlers;
    void *opaque;
    struct channel_limits limits;
    struct frame_reader reader;
    uint64_t begun_at; /* of the frame at hand, in the loop's milliseconds */
};

/* ---- reading ------------------------------------------------------------------------------- */

static bool on_control(void *opaque, const uint8_t *envelope, size_t size)
{
    struct channel *channel = opaque;
    channel->handlers.control(channel, channel->opaque, envelope, size);
    return stream_receiving(channel->stream);
}

static bool on_bulk(void *opaque, uint64_t transfer, const uint8_t *bytes, size_t size)
{
    struct channel *channel = opaque;
    channel->handlers.bulk(channel, channel->opaque, transfer, bytes, size);
    return stream_receiving(channel->stream);
}

static bool too_slow(const struct channel *channel)
{
    return frame_reader_inside(&channel->reader) &&
           stream_heard_at(channel->stream) - channel->begun_at > channel->limits.frame;
}

static size_t on_received(struct stream *stream, void *opaque, const uint8_t *bytes, size_t size)
{
    static const struct frame_handlers handlers = {.control = on_control, .bulk = on_bulk};
    struct channel *channel = opaque;
    struct error error;
    uint64_t frames = channel->reader.frames;
    bool inside = frame_reader_inside(&channel->reader);
    if (too_slow(channel)) {
        error_set(&error, -ETIMEDOUT, "the other side takes too long over one message");
        stream_fail(stream, &error);
        return size;
    }
    ssize_t taken = frame_read(&channel->reader, bytes, size, &handlers, channel, &error);
    if (taken < 0) {
        stream_fail(stream, &error);
        return size;
    }
    if (!inside || channel->reader.frames != frames)
        channel->begun_at = stream_heard_at(stream);
    return (size_t)taken;
}

/* ---- the other handlers -------------------------------------------------------------------- */

static void on_opened(struct stream *stream, void *opaque)
{
    struct channel *channel = opaque;
    channel->handlers.opened(channel, channel->opaque);
}

static void on_drained(struct stream *stream, void *opaque)
{
    struct channel *channel = opaque;
    if (channel->handlers.drained)
        channel->handlers.drained(channel, channel->opaque);
}

static void on_ended(struct stream *stream, void *opaque)
{
    struct channel *channel = opaque;
    struct error error;
    if (frame_reader_inside(&channel->reader)) {
        error_set(&error, -EPROTO, "the other side stopped in the middle of a message");
        stream_fail(stream, &error);
    } else if (channel->handlers.ended) {
        channel->handlers.ended(channel, channel->opaque);
    } else {
        stream_close(stream);
    }
}

static void on_closed(struct stream *stream, void *opaque, const struct error *reason)
{
    struct channel *channel = opaque;
    channel->handlers.closed(channel, channel->opaque, reason);
    frame_reader_release(&channel->reader);
    free(channel);
}

static const struct stream_handlers stream_handlers = {
    .opened = on_opened,
    .received = on_received,
    .drained = on_drained,
    .ended = on_ended,
    .closed = on_closed,
};

/* ---- making -------------------------------------------------------------------------------- */

static struct channel *new_channel(const struct channel_limits *limits,
                                   const struct channel_handlers *handlers, void *opaque)
{
    struct channel *channel = calloc(1, sizeof *channel);
    if (!channel)
        return NULL;
    channel->handlers = *handlers;
    channel->opaque = opaque;
    if (limits)
        channel->limits = *limits;
    if (!channel->limits.control)
        channel->limits.control = CONTROL_MOST;
    if (!channel->limits.frame)
        channel->limits.frame = FRAME_TIME;
    frame_reader_init(&channel->reader, channel->limits.control);
    return channel;
}

int channel_connect(struct network *network, struct tls_client *client,
                    const struct stream_target *target, const struct stream_limits *stream_limits,
                    const struct channel_limits *limits, const struct channel_handlers *handlers,
                    void *opaque, struct channel **made, struct error *error)
{
    *made = NULL;
    struct channel *channel = new_channel(limits, handlers, opaque);
    if (!channel)
        return error_set(error, -ENOMEM, "out of memory");
    int result = stream_connect(network, client, target, stream_limits, &stream_handlers, channel,
                                &channel->stream, error);
    if (result < 0) {
        free(channel);
        return result;
    }
    *made = channel;
    return 0;
}

int channel_accept(struct stream *stream, const struct channel_limits *limits,
                   const struct channel_handlers *handlers, void *opaque, struct channel **made,
                   struct error *error)
{
    *made = NULL;
    struct channel *channel = new_channel(limits, handlers, opaque);
    if (!channel) {
        stream_abort(stream, "out of memory");
        return error_set(error, -ENOMEM, "out of memory");
    }
    channel->stream = stream;
    stream_set_handlers(stream, &stream_handlers, channel);
    *made = channel;
    return 0;
}

/* ---- writing ------------------------------------------------------------------------------- */

int channel_send(struct channel *channel, const uint8_t *envelope, size_t size)
{
    uint8_t head[FRAME_HEAD_MOST];
    if (size == 0 || size >= UINT32_MAX)
        return -EINVAL;
    size_t before = frame_control_head(head, (uint32_t)size);
    return stream_write_two(channel->stream, head, before, envelope, size);
}

int channel_send_bulk(struct channel *channel, uint64_t transfer, const uint8_t *bytes, size_t size)
{
    uint8_t head[FRAME_HEAD_MOST];
    if (size == 0 || size > FRAME_PIECE_MOST)
        return -EINVAL;
    size_t before = frame_bulk_head(head, transfer, (uint32_t)size);
    return stream_write_two(channel->stream, head, before, bytes, size);
}

/* ---- the rest ------------------------------------------------------------------------------ */

void channel_pause(struct channel *channel)
{
    stream_pause(channel->stream);
}

void channel_resume(struct channel *channel)
{
    stream_resume(channel->stream);
    channel->begun_at = stream_heard_at(channel->stream);
}

void channel_close(struct channel *channel)
{
    stream_close(channel->stream);
}

void channel_abort(struct channel *channel, const char *reason)
{
    stream_abort(channel->stream, reason);
}

void channel_fail(struct channel *channel, const struct error *error)
{
    stream_fail(channel->stream, error);
}

struct stream *channel_stream(struct channel *channel)
{
    return channel->stream;
}
