#include "net/frame.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH = 4, TYPE = 1, TRANSFER = 8, CONTROL_HEAD = LENGTH + TYPE };

enum frame_type { FRAME_CONTROL, FRAME_BULK };

void frame_reader_init(struct frame_reader *reader, uint32_t control_most)
{
    *reader = (struct frame_reader){.control_most = control_most};
}

void frame_reader_release(struct frame_reader *reader)
{
    free(reader->envelope);
    reader->envelope = NULL;
    reader->envelope_size = reader->envelope_capacity = 0;
}

bool frame_reader_inside(const struct frame_reader *reader)
{
    return reader->head_size > 0;
}

/* ---- heads --------------------------------------------------------------------------------- */

static uint32_t length_of(const struct frame_reader *reader)
{
    uint32_t length;
    memcpy(&length, reader->head, sizeof length);
    return le32toh(length);
}

static uint64_t transfer_of(const struct frame_reader *reader)
{
    uint64_t transfer;
    memcpy(&transfer, reader->head + CONTROL_HEAD, sizeof transfer);
    return le64toh(transfer);
}

static enum frame_type type_of(const struct frame_reader *reader)
{
    return reader->head[LENGTH];
}

static size_t head_length(const struct frame_reader *reader)
{
    bool bulk = reader->head_size >= CONTROL_HEAD && type_of(reader) == FRAME_BULK;
    return bulk ? FRAME_HEAD_MOST : CONTROL_HEAD;
}

/* Called once length and type are there. */
static int check_head(struct frame_reader *reader, struct error *error)
{
    uint32_t length = length_of(reader), before, most;
    if (reader->head[LENGTH] > FRAME_BULK)
        return error_set(error, -EPROTO, "a frame of the unknown type %u", reader->head[LENGTH]);
    bool bulk = type_of(reader) == FRAME_BULK;
    before = bulk ? TYPE + TRANSFER : TYPE;
    most = bulk ? FRAME_PIECE_MOST : reader->control_most;
    if (length <= before || length - before > most)
        return error_set(error, -EPROTO, "a %s frame of %u bytes, where 1 to %u are allowed",
                         bulk ? "bulk" : "control", length > before ? length - before : 0, most);
    reader->left = length - before;
    return 0;
}

/* Takes bytes of the head; returns how many, or an error. */
static ssize_t take_head(struct frame_reader *reader, const uint8_t *bytes, size_t size,
                         struct error *error)
{
    size_t wanted = head_length(reader) - reader->head_size;
    size_t taken = size < wanted ? size : wanted;
    memcpy(reader->head + reader->head_size, bytes, taken);
    reader->head_size += taken;
    if (reader->head_size == CONTROL_HEAD && check_head(reader, error) < 0)
        return error->code;
    return (ssize_t)taken;
}

/* ---- bodies -------------------------------------------------------------------------------- */

static void end_frame(struct frame_reader *reader)
{
    reader->head_size = 0;
    reader->frames++;
}

/* Keeps a part of an envelope. Memory grows with what came, not with what was announced. */
static int keep(struct frame_reader *reader, const uint8_t *bytes, size_t size)
{
    size_t needed = reader->envelope_size + size;
    if (needed > reader->envelope_capacity) {
        size_t whole = reader->envelope_size + reader->left;
        size_t capacity = needed * 2 < whole ? needed * 2 : whole;
        uint8_t *grown = realloc(reader->envelope, capacity);
        if (!grown)
            return -ENOMEM;
        reader->envelope = grown;
        reader->envelope_capacity = capacity;
    }
    memcpy(reader->envelope + reader->envelope_size, bytes, size);
    reader->envelope_size = needed;
    reader->left -= size;
    return 0;
}

static bool end_kept(struct frame_reader *reader, const struct frame_handlers *handlers,
                     void *opaque)
{
    uint8_t *envelope = reader->envelope;
    size_t size = reader->envelope_size;
    reader->envelope = NULL;
    reader->envelope_size = reader->envelope_capacity = 0;
    end_frame(reader);
    bool more = handlers->control(opaque, envelope, size);
    free(envelope);
    return more;
}

/* `size` is at most reader->left. */
static int take_control(struct frame_reader *reader, const uint8_t *bytes, size_t size,
                        const struct frame_handlers *handlers, void *opaque, bool *more)
{
    if (reader->envelope_size == 0 && size == reader->left) {
        end_frame(reader);
        *more = handlers->control(opaque, bytes, size);
        return 0;
    }
    int result = keep(reader, bytes, size);
    if (result == 0 && reader->left == 0)
        *more = end_kept(reader, handlers, opaque);
    return result;
}

static void take_bulk(struct frame_reader *reader, const uint8_t *bytes, size_t size,
                      const struct frame_handlers *handlers, void *opaque, bool *more)
{
    uint64_t transfer = transfer_of(reader);
    reader->left -= size;
    if (reader->left == 0)
        end_frame(reader);
    *more = handlers->bulk(opaque, transfer, bytes, size);
}

ssize_t frame_read(struct frame_reader *reader, const uint8_t *bytes, size_t size,
                   const struct frame_handlers *handlers, void *opaque, struct error *error)
{
    size_t at = 0;
    bool more = true;
    while (more && at < size) {
        if (reader->head_size < head_length(reader)) {
            ssize_t taken = take_head(reader, bytes + at, size - at, error);
            if (taken < 0)
                return taken;
            at += (size_t)taken;
            continue;
        }
        size_t part = size - at < reader->left ? size - at : reader->left;
        const uint8_t *body = bytes + at;
        at += part;
        if (type_of(reader) == FRAME_BULK)
            take_bulk(reader, body, part, handlers, opaque, &more);
        else if (take_control(reader, body, part, handlers, opaque, &more) < 0)
            return error_set(error, -ENOMEM, "out of memory");
    }
    return (ssize_t)at;
}

/* ---- writing ------------------------------------------------------------------------------- */

static size_t write_head(uint8_t *head, uint32_t length, enum frame_type type)
{
    uint32_t little = htole32(length);
    memcpy(head, &little, sizeof little);
    head[LENGTH] = (uint8_t)type;
    return CONTROL_HEAD;
}

size_t frame_control_head(uint8_t head[FRAME_HEAD_MOST], uint32_t size)
{
    return write_head(head, TYPE + size, FRAME_CONTROL);
}

size_t frame_bulk_head(uint8_t head[FRAME_HEAD_MOST], uint64_t transfer, uint32_t size)
{
    uint64_t little = htole64(transfer);
    size_t before = write_head(head, TYPE + TRANSFER + size, FRAME_BULK);
    memcpy(head + before, &little, sizeof little);
    return FRAME_HEAD_MOST;
}
