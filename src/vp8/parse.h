/* Taking a frame apart, step by step. */
#ifndef VP8_PARSE_H
#define VP8_PARSE_H

#include "vp8/context.h"
#include "vp8/header.h"

/* Parses header and modes into context->header and context->map; coefficients remain to be read
 * from `partitions`. `frame` must have at least one byte. */
int xc_parse_frame(struct xc_context *context, const struct xc_state *before, const uint8_t *frame,
                   size_t size, struct partitions *partitions);

/* Parses a macroblock's coefficients; false where it has none. */
bool xc_parse_macroblock(const struct frame_header *header, struct bool_reader *reader,
                         struct mb_info *info, struct token_context *above,
                         struct token_context *left, struct mb_coefficients *coefficients);

#endif
