#include "vp8/trial.h"

#include <string.h>

/* Squared coefficient error per squared sample error: the transforms' gains (quantize.h). */
enum { DCT_GAIN = 4, WHT_GAIN = 16 };

/* Quantizes one block as it will be in the end, so that rate and distortion are the true ones as far as
 * its neighbours' contexts are. Adds them. Returns the block's end. */
static int add_block(const struct xc_trial *trial, enum block_type type, int context,
                     const int16_t coefficient[16], int16_t dequantized[16],
                     struct xc_trial_result *result)
{
    int16_t level[16];
    struct xc_trellis trellis = {
        .quantizer = &trial->quantizers->of[type],
        .costs = trial->costs,
        .lambda = trial->lambda * (type == Y2 ? WHT_GAIN : DCT_GAIN),
        .type = type,
        .context = context,
    };
    struct xc_block_result block = xc_quantize_trellis(&trellis, coefficient, level, dequantized);
    result->rate += (uint32_t)block.rate;
    result->distortion += (uint64_t)block.distortion / (type == Y2 ? WHT_GAIN / DCT_GAIN : 1);
    result->coded |= block.end > 0;
    return block.end;
}

static void transform_luma(const struct xc_dsp *dsp, const uint8_t *source, ptrdiff_t source_stride,
                           const uint8_t *prediction, ptrdiff_t prediction_stride, int row,
                           int16_t *coefficient)
{
    for (int i = 0; i < 4; i++)
        dsp->forward_dct(source + 4 * row * source_stride + 4 * i, source_stride,
                         prediction + 4 * row * prediction_stride + 4 * i, prediction_stride,
                         coefficient + 16 * i);
}

void xc_trial_luma(const struct xc_trial *trial, const uint8_t *source, ptrdiff_t source_stride,
                   const uint8_t *prediction, ptrdiff_t prediction_stride, bool y2, uint32_t rate,
                   uint64_t limit, struct xc_trial_result *result)
{
    enum block_type type = y2 ? Y_AFTER_Y2 : Y_WITH_DC;
    int16_t coefficient[16 * 16], dequantized[16];
    uint8_t above[4], left[4];
    memcpy(above, trial->above->y, sizeof(above));
    memcpy(left, trial->left->y, sizeof(left));
    *result = (struct xc_trial_result){0};
    for (int row = 0; row < 4; row++) {
        int16_t *of_row = coefficient + 64 * row;
        transform_luma(trial->dsp, source, source_stride, prediction, prediction_stride, row,
                       of_row);
        for (int i = 0; i < 4; i++)
            above[i] = left[row] = add_block(trial, type, above[i] + left[row], of_row + 16 * i,
                                             dequantized, result) > 0;
        if (xc_trial_cost(trial->lambda, rate + result->rate, result->distortion) > limit)
            return;
    }
    if (y2) {
        int16_t dc[16];
        trial->dsp->forward_wht(coefficient, dc);
        add_block(trial, Y2, trial->above->y2 + trial->left->y2, dc, dequantized, result);
    }
}

void xc_trial_chroma(const struct xc_trial *trial, int plane, const uint8_t *source,
                     ptrdiff_t source_stride, const uint8_t *prediction,
                     ptrdiff_t prediction_stride, struct xc_trial_result *result)
{
    int16_t coefficient[16], dequantized[16];
    uint8_t above[2], left[2];
    memcpy(above, plane == 1 ? trial->above->u : trial->above->v, sizeof(above));
    memcpy(left, plane == 1 ? trial->left->u : trial->left->v, sizeof(left));
    for (int block = 0; block < 4; block++) {
        int x = block & 1, y = block >> 1;
        trial->dsp->forward_dct(source + 4 * y * source_stride + 4 * x, source_stride,
                                prediction + 4 * y * prediction_stride + 4 * x, prediction_stride,
                                coefficient);
        above[x] = left[y] =
            add_block(trial, CHROMA, above[x] + left[y], coefficient, dequantized, result) > 0;
    }
}

int xc_trial_block(const struct xc_trial *trial, const uint8_t *source, ptrdiff_t source_stride,
                   const uint8_t *prediction, ptrdiff_t prediction_stride, int context,
                   int16_t dequantized[16], struct xc_trial_result *result)
{
    int16_t coefficient[16];
    *result = (struct xc_trial_result){0};
    trial->dsp->forward_dct(source, source_stride, prediction, prediction_stride, coefficient);
    return add_block(trial, Y_WITH_DC, context, coefficient, dequantized, result);
}
