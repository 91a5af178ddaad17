#include "vp8/residue.h"

#include <string.h>

#include "vp8/reconstruct.h"
#include "vp8/tables.h"
#include "vp8/tokens.h"

/* Squared coefficient error per squared sample error: the transforms' gains (quantize.h). */
#define DCT_GAIN 4
#define WHT_GAIN 16

/* A macroblock while its residue is coded. */
struct work {
    const struct encoder *encoder;
    struct mb_info *info;
    struct mb_coefficients *coefficients;
    const struct xc_quantizers *quantizers;
    struct mb_target source, to;
    uint32_t lambda; /* per squared sample error */
    int row, column;
    int rate; /* of the tokens so far */
    /* Of the blocks with tokens so far, in squared coefficient error of the DCT; and what it would be with
     * all their levels 0. */
    int64_t distortion, zero;
};

static int64_t energy(const int16_t value[16], int first)
{
    static const int16_t nothing[16];
    return xc_block_distortion(value, nothing, first);
}

/* A block without tokens. It does not count in `distortion` and `zero`, which are compared. */
static void code_empty_block(struct work *work, enum block_type type, int block, uint8_t *above,
                             uint8_t *left)
{
    int band = xc_coefficient_bands[xc_first_position(type)], context = *above + *left;
    work->rate += work->encoder->token_costs.token[type][band][context][TOKEN_EOB];
    work->coefficients->end[block] = 0;
    *above = *left = 0;
}

/* Quantizes a block that is not empty. */
static void code_full_block(struct work *work, enum block_type type, int block,
                            const int16_t value[16], uint8_t *above, uint8_t *left)
{
    int16_t dequantized[16];
    struct xc_trellis trellis = {
        .quantizer = &work->quantizers->of[type],
        .costs = &work->encoder->token_costs,
        .lambda = work->lambda * (type == Y2 ? WHT_GAIN : DCT_GAIN),
        .type = type,
        .context = *above + *left,
    };
    struct xc_block_result result =
        xc_quantize_trellis(&trellis, value, work->coefficients->value[block], dequantized);
    work->coefficients->end[block] = (uint8_t)result.end;
    *above = *left = result.end > 0;
    int scale = type == Y2 ? WHT_GAIN / DCT_GAIN : 1;
    work->rate += result.rate;
    work->distortion += result.distortion / scale;
    int64_t zero = result.end ? energy(value, xc_first_position(type)) : result.distortion;
    work->zero += zero / scale;
}

static inline void code_block(struct work *work, enum block_type type, int block, bool coded,
                              const int16_t value[16], uint8_t *above, uint8_t *left)
{
    if (coded)
        code_full_block(work, type, block, value, above, left);
    else
        code_empty_block(work, type, block, above, left);
}

static void transform_block(const struct work *work, int x, int y, int16_t value[16])
{
    work->encoder->canvas.dsp->forward_dct(
        work->source.plane[0] + y * work->source.stride[0] + x, work->source.stride[0],
        work->to.plane[0] + y * work->to.stride[0] + x, work->to.stride[0], value);
}

/* The coefficients of a macroblock's blocks, as struct mb_coefficients numbers them. */
typedef int16_t macroblock_values[25][16];

static void transform_luma(const struct work *work, macroblock_values value)
{
    const struct xc_dsp *dsp = work->encoder->canvas.dsp;
    for (int i = 0; i < 16; i += 4) {
        const uint8_t *source = work->source.plane[0] + i * work->source.stride[0];
        const uint8_t *prediction = work->to.plane[0] + i * work->to.stride[0];
        dsp->forward_dct4((const uint8_t *const[]){source, source + 8}, work->source.stride[0],
                          (const uint8_t *const[]){prediction, prediction + 8}, work->to.stride[0],
                          value[i]);
    }
    if (has_y2(work->info))
        dsp->forward_wht(value[0], value[Y2_BLOCK]);
}

static void transform_chroma(const struct work *work, macroblock_values value)
{
    for (int plane = 1; plane < 3; plane++) {
        const struct mb_target *source = &work->source, *to = &work->to;
        ptrdiff_t below = 4 * source->stride[plane], to_below = 4 * to->stride[plane];
        work->encoder->canvas.dsp->forward_dct4(
            (const uint8_t *const[]){source->plane[plane], source->plane[plane] + below},
            source->stride[plane],
            (const uint8_t *const[]){to->plane[plane], to->plane[plane] + to_below},
            to->stride[plane], value[12 + 4 * plane]);
    }
}

/* The blocks from `first` on that have a level which is not 0, as a mask of their numbers. */
static uint32_t coded_blocks(const struct work *work, macroblock_values value, enum block_type type,
                             int first, int count)
{
    return work->encoder->canvas.dsp->coded_blocks(value[first], count,
                                                   work->quantizers->of[type].least)
           << first;
}

static enum block_type luma_type(bool y2)
{
    return y2 ? Y_AFTER_Y2 : Y_WITH_DC;
}

/* All modes but B_PRED: the luma is predicted as a whole. */
static void code_luma(struct work *work, macroblock_values value, uint32_t coded,
                      struct token_context *above, struct token_context *left)
{
    bool y2 = has_y2(work->info);
    if (y2)
        code_block(work, Y2, Y2_BLOCK, coded >> Y2_BLOCK & 1, value[Y2_BLOCK], &above->y2,
                   &left->y2);
    for (int i = 0; i < 16; i++)
        code_block(work, luma_type(y2), i, coded >> i & 1, value[i], &above->y[i & 3],
                   &left->y[i >> 2]);
}

static void code_b_pred(struct work *work, struct token_context *above, struct token_context *left)
{
    const struct encoder *encoder = work->encoder;
    for (int i = 0; i < 16; i++) {
        int x = 4 * (i & 3), y = 4 * (i >> 2);
        uint8_t edge[13];
        int16_t value[16];
        xc_intra4x4_edge(&encoder->canvas, work->row, work->column, i, edge);
        encoder->canvas.dsp->intra4x4[work->info->b_mode[i]](
            work->to.plane[0] + y * work->to.stride[0] + x, work->to.stride[0], edge);
        transform_block(work, x, y, value);
        code_block(
            work, Y_WITH_DC, i,
            encoder->canvas.dsp->coded_blocks(value, 1, work->quantizers->of[Y_WITH_DC].least),
            value, &above->y[i & 3], &left->y[i >> 2]);
        xc_add_subblock_residue(&encoder->canvas, work->coefficients, i,
                                &encoder->steps[work->info->segment], &work->to);
    }
}

static void code_chroma(struct work *work, macroblock_values value, uint32_t coded,
                        struct token_context *above, struct token_context *left)
{
    for (int i = 0; i < 8; i++) {
        uint8_t *a = i < 4 ? above->u : above->v, *l = i < 4 ? left->u : left->v;
        code_block(work, CHROMA, 16 + i, coded >> (16 + i) & 1, value[16 + i], &a[i & 1],
                   &l[i >> 1 & 1]);
    }
}

static void predict(struct work *work)
{
    const struct canvas *canvas = &work->encoder->canvas;
    if (work->info->reference != REF_INTRA) {
        xc_predict_inter(canvas, work->info, work->row, work->column, &work->to);
        return;
    }
    for (int plane = 0; plane < 3; plane++)
        if (plane > 0 || work->info->y_mode != B_PRED)
            xc_predict_intra(canvas, plane, plane ? work->info->uv_mode : work->info->y_mode,
                             work->row, work->column, work->to.plane[plane],
                             work->to.stride[plane]);
}

/* Whether leaving out all coefficients costs less than coding them. */
static bool better_skipped(const struct work *work)
{
    int skip = work->encoder->header->skip_probability;
    uint32_t lambda = work->lambda * DCT_GAIN;
    return xc_rd_cost(work->zero, xc_bit_cost(skip, 1), lambda) <=
           xc_rd_cost(work->distortion, work->rate + xc_bit_cost(skip, 0), lambda);
}

static void reconstruct(struct work *work)
{
    const struct encoder *encoder = work->encoder;
    const struct xc_steps *steps = &encoder->steps[work->info->segment];
    if (work->info->skip)
        return;
    if (work->info->y_mode != B_PRED)
        xc_add_luma_residue(&encoder->canvas, has_y2(work->info), work->coefficients, steps,
                            &work->to);
    xc_add_chroma_residue(&encoder->canvas, work->coefficients, steps, &work->to);
}

static bool any_coefficient(const struct mb_coefficients *coefficients)
{
    for (int i = 0; i < 25; i++)
        if (coefficients->end[i])
            return true;
    return false;
}

/* Codes all blocks of a predicted macroblock, or finds that there is nothing to be coded. */
static bool code_blocks(struct work *work, struct token_context *above, struct token_context *left)
{
    macroblock_values value;
    bool b_pred = work->info->y_mode == B_PRED, y2 = has_y2(work->info);
    transform_chroma(work, value);
    uint32_t coded = coded_blocks(work, value, CHROMA, 16, 8);
    work->coefficients->end[Y2_BLOCK] = 0;
    if (b_pred) {
        code_b_pred(work, above, left);
    } else {
        transform_luma(work, value);
        coded |= coded_blocks(work, value, luma_type(y2), 0, 16);
        if (y2)
            coded |= coded_blocks(work, value, Y2, Y2_BLOCK, 1);
        if (!coded)
            return false;
        code_luma(work, value, coded, above, left);
    }
    code_chroma(work, value, coded, above, left);
    return any_coefficient(work->coefficients) && (b_pred || !better_skipped(work));
}

void xc_code_residue(const struct encoder *encoder, int row, int column,
                     struct token_context *above, struct token_context *left,
                     struct decision_list *tokens)
{
    struct mb_coefficients coefficients;
    struct token_context above_before = *above, left_before = *left;
    int index = row * encoder->map->columns + column;
    struct work work = {
        .encoder = encoder,
        .info = mb_at(encoder->map, row, column),
        .coefficients = &coefficients,
        .source = xc_picture_target(encoder->source, row, column),
        .to = xc_picture_target(encoder->canvas.picture, row, column),
        .lambda = encoder->lambda[index],
        .row = row,
        .column = column,
    };
    work.quantizers = &encoder->quantizers[work.info->segment];
    predict(&work);
    work.info->skip = !code_blocks(&work, above, left);
    if (work.info->skip) {
        *above = above_before;
        *left = left_before;
        xc_clear_token_context(has_y2(work.info), above, left);
    } else {
        /* The same contexts again: they end as they have. */
        xc_list_coefficients(tokens, has_y2(work.info), &above_before, &left_before,
                             work.coefficients);
    }
    reconstruct(&work);
}
