/* How much a squared error counts where. */
#ifndef VP8_ACTIVITY_H
#define VP8_ACTIVITY_H

#include "vp8/encoder.h"

/* Sets encoder->lambda of every macroblock by its quantizer step and by the variance of the source
 * there: SSIM forgives error in busy places. */
void xc_set_lambdas(struct encoder *encoder);

#endif
