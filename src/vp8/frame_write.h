/* Putting a frame together: the inverse of parse.h. */
#ifndef VP8_FRAME_WRITE_H
#define VP8_FRAME_WRITE_H

#include "vp8/context.h"

/* Largest first partition: its size has 19 bits in the frame tag (RFC 6386 section 9.1). */
#define MAX_FIRST_PARTITION ((1u << 19) - 1)

/* Overwrites `frame`. `coefficients` has an entry for each macroblock in raster order. Macroblocks whose
 * `skip` is set have no tokens where the header enables skipping.
 * XC_ERROR_NO_MEMORY, or XC_ERROR_SIZE where a partition grows beyond what the format can say. */
int xc_write_frame(const struct frame_header *header, const struct mb_map *map,
                   const struct mb_coefficients *coefficients, struct token_context *above,
                   struct xc_buffer *frame);

#endif
