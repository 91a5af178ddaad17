/* The boolean entropy encoder (RFC 6386 section 7.3), the inverse of bool_reader.h. */
#ifndef VP8_BOOL_WRITER_H
#define VP8_BOOL_WRITER_H

#include "vp8/buffer.h"

/* `low` holds the lower end of the interval: 8 + `shifted` bits that are not yet written, and above
 * them room for a carry. */
struct bool_writer {
    struct xc_buffer *buffer; /* bytes are appended here */
    size_t start; /* where this writer's bytes begin in the buffer: no carry goes further */
    uint64_t low;
    uint32_t range; /* [128, 255] between calls */
    int shifted;
    bool failed; /* out of memory: what was written is incomplete */
};

void xc_bool_writer_init(struct bool_writer *writer, struct xc_buffer *buffer);
/* Moves whole bytes to the buffer. */
void xc_bool_writer_flush(struct bool_writer *writer);
/* Ends the partition as libvpx does, with 32 zeros; false when anything failed. */
bool xc_bool_writer_finish(struct bool_writer *writer);

/* One bool whose probability of being 0 is probability / 256. */
static inline void write_bool(struct bool_writer *writer, int probability, int bit)
{
    uint32_t split = 1 + (((writer->range - 1) * (uint32_t)probability) >> 8);
    uint32_t range = bit ? writer->range - split : split;
    int shift = __builtin_clz(range) - 24;
    writer->low = (writer->low + (bit ? split : 0)) << shift;
    writer->range = range << shift;
    writer->shifted += shift;
    if (writer->shifted >= 48)
        xc_bool_writer_flush(writer);
}

static inline void write_bit(struct bool_writer *writer, int bit)
{
    write_bool(writer, 128, bit);
}

/* An unsigned number of `width` bits, most significant first. */
static inline void write_literal(struct bool_writer *writer, int value, int width)
{
    while (width--)
        write_bit(writer, value >> width & 1);
}

/* A magnitude of `width` bits and a sign. */
static inline void write_signed(struct bool_writer *writer, int value, int width)
{
    write_literal(writer, value < 0 ? -value : value, width);
    write_bit(writer, value < 0);
}

/* A flag and, where the value is not 0, a signed number. */
static inline void write_optional_signed(struct bool_writer *writer, int value, int width)
{
    write_bit(writer, value != 0);
    if (value != 0)
        write_signed(writer, value, width);
}

#endif
