/* Putting a frame together: the inverse of parse.h. */
#ifndef VP8_FRAME_WRITE_H
#define VP8_FRAME_WRITE_H

#include "vp8/token_list.h"

/* Largest first partition: its size has 19 bits in the frame tag (RFC 6386 section 9.1). */
#define MAX_FIRST_PARTITION ((1u << 19) - 1)

/* Overwrites `frame`. `modes` are the decisions of xc_list_modes.
 * XC_ERROR_NO_MEMORY, also where a list is incomplete; or XC_ERROR_SIZE where a partition grows beyond what the
 * format can say. */
int xc_write_frame(const struct frame_header *header, const struct mb_map *map,
                   const struct decision_list *modes, const struct token_list *tokens,
                   struct xc_buffer *frame);

#endif
