/* Writing a frame that is there in parts, as the parser or a test made them. */
#ifndef SUPPORT_REWRITE_H
#define SUPPORT_REWRITE_H

#include "vp8/frame.h"

/* Overwrites `frame`. `coefficients` has an entry for each macroblock in raster order. Macroblocks whose
 * `skip` is set have no tokens where the header enables skipping. As xc_write_frame. */
int rewrite_frame(const struct frame_header *header, const struct mb_map *map,
                  const struct mb_coefficients *coefficients, struct xc_buffer *frame);

#endif
