/* Frame headers (RFC 6386 section 9 and 19.2). */
#ifndef VP8_HEADER_H
#define VP8_HEADER_H

#include "vp8/bool_reader.h"
#include "vp8/frame.h"
#include "vp8/state.h"

#define MAX_PARTITIONS 8

/* The compressed parts of a frame, opened for reading. */
struct partitions {
    struct bool_reader first; /* header and modes; stands behind the header */
    struct bool_reader tokens[MAX_PARTITIONS];
};

/* Parses tag and header. `before` may be NULL or without pictures; an inter frame needs one.
 * On success `header` is filled, header->now with the values in force for this frame. */
int xc_parse_header(const struct xc_state *before, const uint8_t *frame, size_t size,
                    struct frame_header *header, struct partitions *partitions);

/* The probabilities that stay for the next frame: those in force, or what they were before this
 * frame's updates where it does not refresh them. `before` as in xc_parse_header. */
void xc_probabilities_after(const struct frame_header *header, const struct xc_state *before,
                            struct probabilities *after);

#endif
