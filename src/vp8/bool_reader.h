/* The boolean entropy decoder (RFC 6386 section 7.3), on 64-bit words. Inline: it is the inner loop
 * of everything that parses. */
#ifndef VP8_BOOL_READER_H
#define VP8_BOOL_READER_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "vp8/dsp/inline.h"

/* `value` holds the bits that are next, from its top; `bits` is how many of them came from the
 * data, less 8. Behind the end of the data come zeros, for ever. */
struct bool_reader {
    const uint8_t *next, *end;
    uint64_t value;
    uint32_t range; /* [128, 255] between calls */
    int bits;
};

/* Less than a word is left. */
static __attribute__((noinline, unused)) struct bool_reader
bool_reader_fill_end(struct bool_reader reader)
{
    while (reader.bits < 48 && reader.next < reader.end) {
        reader.value |= (uint64_t)*reader.next++ << (48 - reader.bits);
        reader.bits += 8;
    }
    if (reader.next == reader.end && reader.bits < 0)
        reader.bits += 1 << 30; /* zeros from here on */
    return reader;
}

/* To be called with less than 8 bits held. The rare case takes the reader by value, so that callers can keep
 * it in registers. */
XC_INLINE void bool_reader_fill(struct bool_reader *reader)
{
    if (__builtin_expect(reader->end - reader->next < 8, 0)) {
        *reader = bool_reader_fill_end(*reader);
        return;
    }
    uint64_t word;
    memcpy(&word, reader->next, sizeof word);
    word = __builtin_bswap64(word) >> 8; /* seven bytes: they fit below what is held */
    reader->value |= word << -reader->bits;
    reader->next += 7;
    reader->bits += 56;
}

static inline void bool_reader_init(struct bool_reader *reader, const uint8_t *data, size_t size)
{
    reader->next = data;
    reader->end = data + size;
    reader->value = 0;
    reader->range = 255;
    reader->bits = -8;
    bool_reader_fill(reader);
}

/* One bool whose probability of being 0 is probability / 256. */
XC_INLINE int read_bool(struct bool_reader *reader, int probability)
{
    if (__builtin_expect(reader->bits < 0, 0))
        bool_reader_fill(reader);
    uint32_t split = 1 + (((reader->range - 1) * (uint32_t)probability) >> 8);
    uint64_t big_split = (uint64_t)split << 56;
    int bit = reader->value >= big_split;
    uint32_t range = bit ? reader->range - split : split;
    uint64_t value = bit ? reader->value - big_split : reader->value;
    int shift = __builtin_clz(range) ^ 24; /* as range is below 256 */
    reader->range = range << shift;
    reader->value = value << shift;
    reader->bits -= shift;
    return bit;
}

static inline int read_bit(struct bool_reader *reader)
{
    return read_bool(reader, 128);
}

/* An unsigned number of `width` bits, most significant first. */
static inline int read_literal(struct bool_reader *reader, int width)
{
    int value = 0;
    while (width--)
        value = value << 1 | read_bit(reader);
    return value;
}

/* A magnitude of `width` bits and a sign. */
static inline int read_signed(struct bool_reader *reader, int width)
{
    int value = read_literal(reader, width);
    return read_bit(reader) ? -value : value;
}

/* A flag and, where it is set, a signed number; otherwise 0. */
static inline int read_optional_signed(struct bool_reader *reader, int width)
{
    return read_bit(reader) ? read_signed(reader, width) : 0;
}

/* A leaf of a tree (tables.h). */
static inline int read_tree(struct bool_reader *reader, const int8_t *tree,
                            const uint8_t *probability)
{
    int node = 0;
    do
        node = tree[node + read_bool(reader, probability[node >> 1])];
    while (node > 0);
    return -node;
}

#endif
