/* What a frame leaves behind: from a state, a header and a new picture to the state after. */
#ifndef VP8_SUCCESSION_H
#define VP8_SUCCESSION_H

#include "vp8/frame.h"
#include "vp8/state.h"

/* `picture` is the frame's, or NULL for a state without pictures; its reference is borrowed.
 * `before` may be NULL for key frames. NULL when out of memory. */
struct xc_state *xc_state_after(const struct xc_state *before, const struct frame_header *header,
                                const struct mb_map *map, const struct xc_picture *picture);

#endif
