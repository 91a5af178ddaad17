#include "vp8/bool_writer.h"

/* Bits kept back at the end of a partition: libvpx writes a byte only when 24 bits follow it. */
#define HELD_BITS 24

void xc_bool_writer_init(struct bool_writer *writer, struct xc_buffer *buffer)
{
    *writer = (struct bool_writer){.buffer = buffer, .start = buffer->size, .range = 255};
}

static void carry(struct bool_writer *writer)
{
    uint8_t *byte = writer->buffer->data + writer->buffer->size;
    while (byte > writer->buffer->data + writer->start && ++*--byte == 0)
        ;
}

void xc_bool_writer_flush(struct bool_writer *writer)
{
    if (!xc_buffer_reserve(writer->buffer, 8)) {
        writer->failed = true;
        writer->shifted = 0;
        return;
    }
    if (writer->low >> (8 + writer->shifted) & 1)
        carry(writer);
    while (writer->shifted >= HELD_BITS) {
        writer->buffer->data[writer->buffer->size++] = (uint8_t)(writer->low >> writer->shifted);
        writer->shifted -= 8;
    }
    writer->low &= ((uint64_t)1 << (8 + writer->shifted)) - 1;
}

bool xc_bool_writer_finish(struct bool_writer *writer)
{
    for (int i = 0; i < 32; i++)
        write_bit(writer, 0);
    xc_bool_writer_flush(writer);
    return !writer->failed;
}
