/* How much a squared error counts where. */
#ifndef VP8_ACTIVITY_H
#define VP8_ACTIVITY_H

#include "vp8/dsp/dsp.h"
#include "vp8/frame.h"

/* Sets the multiplier of every macroblock (struct encoder), `lambda` in raster order, by its quantizer step and by
 * the variance of the source there: SSIM forgives error in busy places. `rate_weight` is in percent. */
void xc_set_lambdas(const struct xc_dsp *dsp, const struct frame_header *header,
                    const struct mb_map *map, const struct xc_picture *source, int rate_weight,
                    uint32_t *lambda);

/* The rate weights of the public parameters. */
static inline bool rate_weight_valid(int weight)
{
    return weight >= 0 && weight <= XC_MAX_RATE_WEIGHT;
}

static inline int rate_weight(int weight)
{
    return weight ? weight : 100;
}

#endif
