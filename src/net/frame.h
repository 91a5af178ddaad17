/*
 * Messages on a stream of bytes. A frame is
 *
 *     4 bytes  little-endian, the number of bytes that follow
 *     1 byte   its type
 *     0        a control message: an envelope, which is opaque here
 *     1        a piece of bulk data: 8 bytes that name the transfer (little-endian), then 1 to 65536
 *              bytes of it
 *
 * Where one piece of a transfer ends and the next begins means nothing: what is read may be handed over
 * in smaller parts than it was written in, so that a relay needs no memory for it.
 */
#ifndef NET_FRAME_H
#define NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

enum { FRAME_PIECE_MOST = 65536, FRAME_HEAD_MOST = 13 };

/* Each returns whether reading goes on. What they are given is theirs until they return. */
struct frame_handlers {
    bool (*control)(void *opaque, const uint8_t *envelope, size_t size);
    bool (*bulk)(void *opaque, uint64_t transfer, const uint8_t *bytes, size_t size);
};

struct frame_reader {
    uint32_t control_most;         /* longest envelope that is let in */
    uint8_t head[FRAME_HEAD_MOST]; /* of the frame at hand */
    size_t head_size;              /* bytes of it that came */
    size_t left;                   /* bytes of the frame's body still to come */
    uint8_t *envelope;             /* where it did not come in one go; grows as bytes come */
    size_t envelope_size, envelope_capacity;
    uint64_t frames; /* that were read to their end */
};

/* `control_most`: bytes, at least 1. */
void frame_reader_init(struct frame_reader *reader, uint32_t control_most);
void frame_reader_release(struct frame_reader *reader);
/* Reads what is in `bytes`, which may begin and end anywhere. Returns how many were read: fewer than
 * `size` only where a handler said so; -EPROTO where they are no frames, -ENOMEM; after an error the
 * reader must not be used. */
ssize_t frame_read(struct frame_reader *reader, const uint8_t *bytes, size_t size,
                   const struct frame_handlers *handlers, void *opaque, struct error *error);
/* Whether a frame has begun and not ended. */
bool frame_reader_inside(const struct frame_reader *reader);

/* Writes what comes before an envelope, or before a piece of a transfer, of `size` bytes; returns the
 * length of that. */
size_t frame_control_head(uint8_t head[FRAME_HEAD_MOST], uint32_t size);
size_t frame_bulk_head(uint8_t head[FRAME_HEAD_MOST], uint64_t transfer, uint32_t size);

#endif
