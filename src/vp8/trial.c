#include "vp8/trial.h"

#include <string.h>

#include "vp8/tables.h"

/* Squared coefficient error per squared sample error: the transforms' gains (quantize.h). */
enum { DCT_GAIN = 4, WHT_GAIN = 16 };

/* A block whose levels are all 0 because its coefficients are that small. */
static void add_empty_block(const struct xc_trial *trial, enum block_type type, int context,
                            const int16_t coefficient[16], struct xc_trial_result *result)
{
    static const int16_t nothing[16];
    int first = xc_first_position(type), band = xc_coefficient_bands[first];
    result->rate += trial->costs->token[type][band][context][TOKEN_EOB];
    result->distortion += (uint64_t)xc_block_distortion(coefficient, nothing, first) /
                          (type == Y2 ? WHT_GAIN / DCT_GAIN : 1);
}

/* A block that may have tokens. Returns its end. */
static int add_full_block(const struct xc_trial *trial, enum block_type type, int context,
                          const int16_t coefficient[16], int16_t dequantized[16],
                          struct xc_trial_result *result)
{
    struct xc_block_result block =
        xc_quantize_plain(trial->plain, trial->costs, type, context, coefficient, dequantized);
    result->rate += (uint32_t)block.rate;
    result->distortion += (uint64_t)block.distortion / (type == Y2 ? WHT_GAIN / DCT_GAIN : 1);
    result->coded |= block.end > 0;
    return block.end;
}

/* Adds a block to the result, `full` where one of its nearest levels is not 0. Returns whether it has tokens. */
static bool add_block(const struct xc_trial *trial, enum block_type type, bool full, int context,
                      const int16_t coefficient[16], struct xc_trial_result *result)
{
    int16_t dequantized[16];
    if (full)
        return add_full_block(trial, type, context, coefficient, dequantized, result) > 0;
    add_empty_block(trial, type, context, coefficient, result);
    return false;
}

static uint32_t full_blocks(const struct xc_trial *trial, enum block_type type,
                            const int16_t *coefficient, int count)
{
    return trial->dsp->coded_blocks(coefficient, count, trial->quantizers->of[type].least);
}

/* A row of four luma blocks. */
static void add_luma_row(const struct xc_trial *trial, enum block_type type,
                         const int16_t *coefficient, uint8_t above[4], uint8_t *left,
                         struct xc_trial_result *result)
{
    uint32_t full = full_blocks(trial, type, coefficient, 4);
    for (int i = 0; i < 4; i++)
        above[i] = *left =
            add_block(trial, type, full >> i & 1, above[i] + *left, coefficient + 16 * i, result);
}

static void add_y2(const struct xc_trial *trial, const int16_t *coefficient,
                   struct xc_trial_result *result)
{
    int16_t dc[16];
    trial->dsp->forward_wht(coefficient, dc);
    add_block(trial, Y2, full_blocks(trial, Y2, dc, 1), trial->above->y2 + trial->left->y2, dc,
              result);
}

void xc_trial_luma(const struct xc_trial *trial, const uint8_t *source, ptrdiff_t source_stride,
                   const uint8_t *prediction, ptrdiff_t prediction_stride, bool y2, uint32_t rate,
                   uint64_t limit, struct xc_trial_result *result)
{
    int16_t coefficient[16 * 16];
    uint8_t above[4], left[4];
    memcpy(above, trial->above->y, sizeof(above));
    memcpy(left, trial->left->y, sizeof(left));
    *result = (struct xc_trial_result){0};
    for (int row = 0; row < 4; row++) {
        trial->dsp->forward_dct4((const uint8_t *const[]){source, source + 8}, source_stride,
                                 (const uint8_t *const[]){prediction, prediction + 8},
                                 prediction_stride, coefficient + 64 * row);
        add_luma_row(trial, y2 ? Y_AFTER_Y2 : Y_WITH_DC, coefficient + 64 * row, above, &left[row],
                     result);
        if (xc_trial_cost(trial->lambda, rate + result->rate, result->distortion) > limit)
            return;
        source += 4 * source_stride;
        prediction += 4 * prediction_stride;
    }
    if (y2)
        add_y2(trial, coefficient, result);
}

void xc_trial_chroma(const struct xc_trial *trial, int plane, const uint8_t *source,
                     ptrdiff_t source_stride, const uint8_t *prediction,
                     ptrdiff_t prediction_stride, struct xc_trial_result *result)
{
    int16_t coefficient[4 * 16];
    uint8_t above[2], left[2];
    memcpy(above, plane == 1 ? trial->above->u : trial->above->v, sizeof(above));
    memcpy(left, plane == 1 ? trial->left->u : trial->left->v, sizeof(left));
    trial->dsp->forward_dct4(
        (const uint8_t *const[]){source, source + 4 * source_stride}, source_stride,
        (const uint8_t *const[]){prediction, prediction + 4 * prediction_stride}, prediction_stride,
        coefficient);
    uint32_t full = full_blocks(trial, CHROMA, coefficient, 4);
    for (int block = 0; block < 4; block++) {
        int x = block & 1, y = block >> 1;
        above[x] = left[y] = add_block(trial, CHROMA, full >> block & 1, above[x] + left[y],
                                       coefficient + 16 * block, result);
    }
}

int xc_trial_block(const struct xc_trial *trial, const uint8_t *source, ptrdiff_t source_stride,
                   const uint8_t *prediction, ptrdiff_t prediction_stride, int context,
                   int16_t dequantized[16], struct xc_trial_result *result)
{
    int16_t coefficient[16];
    *result = (struct xc_trial_result){0};
    trial->dsp->forward_dct(source, source_stride, prediction, prediction_stride, coefficient);
    return add_full_block(trial, Y_WITH_DC, context, coefficient, dequantized, result);
}
