/* How much a squared error counts where. */
#ifndef VP8_ACTIVITY_H
#define VP8_ACTIVITY_H

#include "vp8/encoder.h"

/* Sets encoder->lambda of every macroblock by its quantizer step and by the variance of the source
 * there: SSIM forgives error in busy places. `rate_weight` is in percent. */
void xc_set_lambdas(struct encoder *encoder, int rate_weight);

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
