/* What it would cost to code the residue that a prediction leaves: forward transform, quantizer,
 * rate of the tokens in their contexts. */
#ifndef VP8_TRIAL_H
#define VP8_TRIAL_H

#include "vp8/context.h"
#include "vp8/cost.h"
#include "vp8/quantize_plain.h"

/* Where a macroblock stands. */
struct xc_trial {
    const struct xc_dsp *dsp;
    /* Of its segment: the latter tell which blocks are empty. */
    const struct xc_plain_quantizers *plain;
    const struct xc_quantizers *quantizers;
    const struct xc_token_costs *costs;
    const struct token_context *above, *left;
    uint32_t lambda; /* as in struct encoder */
};

struct xc_trial_result {
    uint32_t rate;       /* of all tokens, in 1/256 bit */
    uint64_t distortion; /* 4 times the squared error of the samples */
    bool coded;          /* some level is not 0 */
};

/* Squared error (4 times that of samples) and rate (1/256 bit) as one figure. */
static inline uint64_t xc_trial_cost(uint32_t lambda, uint32_t rate, uint64_t distortion)
{
    return (distortion << 14) + (uint64_t)lambda * rate;
}

/* All 16 luma blocks, `y2` telling whether their DCs are coded in a block of their own. Once the
 * result, with `rate` added, costs more than `limit`, the rest is left out. Sets `result`. */
void xc_trial_luma(const struct xc_trial *trial, const uint8_t *source, ptrdiff_t source_stride,
                   const uint8_t *prediction, ptrdiff_t prediction_stride, bool y2, uint32_t rate,
                   uint64_t limit, struct xc_trial_result *result);

/* The four blocks of chroma plane 1 or 2. Adds to `result`. */
void xc_trial_chroma(const struct xc_trial *trial, int plane, const uint8_t *source,
                     ptrdiff_t source_stride, const uint8_t *prediction,
                     ptrdiff_t prediction_stride, struct xc_trial_result *result);

/* One luma block with its DC. `context` as in xc_block_rate. Sets `result` and `dequantized`; returns
 * the block's end. */
int xc_trial_block(const struct xc_trial *trial, const uint8_t *source, ptrdiff_t source_stride,
                   const uint8_t *prediction, ptrdiff_t prediction_stride, int context,
                   int16_t dequantized[16], struct xc_trial_result *result);

#endif
