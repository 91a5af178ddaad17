/* Writing frame headers: the inverse of header.h. */
#ifndef VP8_HEADER_WRITE_H
#define VP8_HEADER_WRITE_H

#include "vp8/bool_writer.h"
#include "vp8/frame.h"

/* The header's part of the first partition. */
void xc_write_header(struct bool_writer *writer, const struct frame_header *header);

/* Bytes of the uncompressed frame tag. */
static inline size_t frame_tag_size(const struct frame_header *header)
{
    return header->key_frame ? 10 : 3;
}

/* The uncompressed tag (RFC 6386 section 9.1): `tag` has room for frame_tag_size() bytes. The first
 * partition's size has 19 bits. */
void xc_write_frame_tag(const struct frame_header *header, size_t first_partition_size,
                        uint8_t *tag);

#endif
