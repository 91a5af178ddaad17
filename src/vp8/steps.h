/* Quantizer steps (RFC 6386 section 14.1). */
#ifndef VP8_STEPS_H
#define VP8_STEPS_H

#include "vp8/frame.h"

/* What one level of a coefficient is worth. */
struct block_steps {
    int16_t dc, ac;
};

struct xc_steps {
    struct block_steps y, y2, chroma;
};

/* The steps of a segment's macroblocks. */
void xc_steps_init(struct xc_steps *steps, const struct frame_header *header, int segment);

#endif
