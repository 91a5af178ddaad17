/*
 * From transform coefficients to levels: a trellis chooses the levels of a block by rate and
 * distortion over the true costs of its tokens.
 *
 * Distortion is the sum of squared differences between coefficients and dequantized levels. The
 * transforms are not orthonormal: it is 4 times the squared error of the samples, for Y2 blocks 16
 * times, so that Y2 wants a lambda 4 times that of the others for the same trade.
 *
 * What is minimized is
 *     cost = distortion * 2^16 + lambda * rate
 * with rate in 1/256 bit, so lambda is in 1/256 of distortion per bit. Below a lambda of 2^32
 * nothing can overflow 64 bits.
 */
#ifndef VP8_QUANTIZE_H
#define VP8_QUANTIZE_H

#include <stdint.h>

#include "vp8/cost.h"
#include "vp8/frame.h"
#include "vp8/steps.h"

/* step and reciprocal: [0] for position 0 of a block, [1] for the others. */
struct xc_quantizer {
    uint16_t step[2];       /* [4, 440] */
    uint32_t reciprocal[2]; /* 2^25 / step, rounded up: exact for magnitudes below 2^16 */
    /* Raster order: the least magnitude whose nearest level is not 0; more than any coefficient
     * where the type of block has none. */
    int16_t least[16];
};

/* By enum block_type. */
struct xc_quantizers {
    struct xc_quantizer of[BLOCK_TYPES];
};

void xc_quantizers_init(struct xc_quantizers *quantizers, const struct xc_steps *steps);

static inline int64_t xc_rd_cost(int64_t distortion, int rate, uint32_t lambda)
{
    return distortion * 65536 + (int64_t)lambda * rate;
}

/* The sum of squared differences over the positions from `first` on, 0 or 1; raster order. The
 * differences must be below 2^14. */
int64_t xc_block_distortion(const int16_t coefficient[16], const int16_t dequantized[16],
                            int first);

/* What a choice of levels came to. */
struct xc_block_result {
    int end;            /* as in struct mb_coefficients */
    int rate;           /* of all the block's tokens, in 1/256 bit */
    int64_t distortion; /* as above */
};

/* What the trellis decides by. */
struct xc_trellis {
    const struct xc_quantizer *quantizer;
    const struct xc_token_costs *costs;
    uint32_t lambda;
    enum block_type type;
    int context; /* of the block's first token, [0, 2] */
};

/*
 * Chooses for each coefficient among the nearest level, the one below it, and 0, so that the cost
 * of the block is the least that these allow, tokens' contexts and the end of block included.
 *   coefficient  of a block of the type, raster order, each in [-16383, 16383]
 *   level        set, raster order; of a block that starts at position 1, level[0] is 0
 *   dequantized  set, raster order; of such a block, dequantized[0] is left alone
 */
struct xc_block_result xc_quantize_trellis(const struct xc_trellis *trellis,
                                           const int16_t coefficient[16], int16_t level[16],
                                           int16_t dequantized[16]);

#endif
