/* States: immutable values, see excamera/vp8.h. */
#ifndef VP8_STATE_H
#define VP8_STATE_H

#include <stdatomic.h>

#include "vp8/frame.h"
#include "vp8/picture.h"

struct xc_state {
    atomic_int references;
    struct persistent persistent;
    struct xc_picture *picture[XC_REFERENCES]; /* by enum xc_reference; all NULL without pictures */
    size_t map_size;                           /* macroblocks in all */
    uint8_t segment_map[];                     /* [0, 3] for each macroblock in raster order */
};

/* A state with one reference, no pictures and a segment map of zeros, for its maker to fill.
 * NULL when out of memory. */
struct xc_state *xc_state_alloc(const struct persistent *persistent);

/* What a key frame starts from (RFC 6386 section 9): default probabilities, nothing else set. */
void xc_persistent_reset(struct persistent *persistent);

#endif
