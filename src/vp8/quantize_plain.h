/*
 * Quantization for estimates: each coefficient by itself, rounded with a dead zone about as wide as what
 * the trellis of quantize.h leaves out. Takes about a quarter of its time, and ranks candidates nearly as well.
 */
#ifndef VP8_QUANTIZE_PLAIN_H
#define VP8_QUANTIZE_PLAIN_H

#include "vp8/quantize.h"

/* All by raster order. */
struct xc_plain_quantizer {
    uint16_t inverse[16]; /* 2^16 / step, rounded up */
    uint16_t bias[16];    /* added to magnitudes before the division */
    int16_t step[16];
};

/* By enum block_type. */
struct xc_plain_quantizers {
    struct xc_plain_quantizer of[BLOCK_TYPES];
};

void xc_plain_quantizers_init(struct xc_plain_quantizers *plain,
                              const struct xc_quantizers *quantizers);

/*
 *   context      of the block's first token, [0, 2]
 *   coefficient  of a block of the type, raster order, each in [-16383, 16383]
 *   dequantized  set, raster order; of a block that starts at position 1, dequantized[0] is left alone
 */
struct xc_block_result xc_quantize_plain(const struct xc_plain_quantizers *plain,
                                         const struct xc_token_costs *costs, enum block_type type,
                                         int context, const int16_t coefficient[16],
                                         int16_t dequantized[16]);

#endif
