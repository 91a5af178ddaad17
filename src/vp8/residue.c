#include "vp8/residue.h"

#include <string.h>

#include "vp8/reconstruct.h"
#include "vp8/tokens.h"

/* Squared coefficient error per squared sample error: the transforms' gains (quantize.h). */
#define DCT_GAIN 4
#define WHT_GAIN 16

/* A macroblock while its residue is coded. */
struct work {
    struct encoder *encoder;
    struct mb_info *info;
    struct mb_coefficients *coefficients;
    const struct xc_quantizers *quantizers;
    struct mb_target source, to;
    uint32_t lambda; /* per squared sample error */
    int row, column;
    int rate;           /* of the tokens so far */
    int64_t distortion; /* of the blocks so far, in squared coefficient error of the DCT */
    int64_t zero;       /* what it would be with all levels 0 */
};

static int64_t energy(const int16_t value[16], int first)
{
    static const int16_t nothing[16];
    return xc_block_distortion(value, nothing, first);
}

/* Quantizes a block and sets its contexts. */
static void code_block(struct work *work, enum block_type type, int block, const int16_t value[16],
                       uint8_t *above, uint8_t *left)
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

static void transform_block(const struct work *work, int plane, int x, int y, int16_t value[16])
{
    work->encoder->canvas.dsp->forward_dct(
        work->source.plane[plane] + y * work->source.stride[plane] + x, work->source.stride[plane],
        work->to.plane[plane] + y * work->to.stride[plane] + x, work->to.stride[plane], value);
}

/* All modes but B_PRED: the luma is predicted as a whole. */
static void code_luma(struct work *work, struct token_context *above, struct token_context *left)
{
    bool y2 = has_y2(work->info);
    int16_t value[16][16];
    for (int i = 0; i < 16; i++)
        transform_block(work, 0, 4 * (i & 3), 4 * (i >> 2), value[i]);
    if (y2) {
        int16_t dc[16];
        work->encoder->canvas.dsp->forward_wht(value[0], dc);
        code_block(work, Y2, Y2_BLOCK, dc, &above->y2, &left->y2);
    }
    for (int i = 0; i < 16; i++)
        code_block(work, y2 ? Y_AFTER_Y2 : Y_WITH_DC, i, value[i], &above->y[i & 3],
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
        transform_block(work, 0, x, y, value);
        code_block(work, Y_WITH_DC, i, value, &above->y[i & 3], &left->y[i >> 2]);
        xc_add_subblock_residue(&encoder->canvas, work->coefficients, i,
                                &encoder->steps[work->info->segment], &work->to);
    }
}

static void code_chroma(struct work *work, struct token_context *above, struct token_context *left)
{
    for (int plane = 1; plane < 3; plane++) {
        uint8_t *a = plane == 1 ? above->u : above->v, *l = plane == 1 ? left->u : left->v;
        for (int i = 0; i < 4; i++) {
            int16_t value[16];
            transform_block(work, plane, 4 * (i & 1), 4 * (i >> 1), value);
            code_block(work, CHROMA, 12 + 4 * plane + i, value, &a[i & 1], &l[i >> 1]);
        }
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

void xc_code_residue(struct encoder *encoder, int row, int column, struct token_context *above,
                     struct token_context *left)
{
    struct token_context above_before = *above, left_before = *left;
    int index = row * encoder->map->columns + column;
    struct work work = {
        .encoder = encoder,
        .info = mb_at(encoder->map, row, column),
        .coefficients = &encoder->coefficients[index],
        .source = xc_picture_target(encoder->source, row, column),
        .to = xc_picture_target(encoder->canvas.picture, row, column),
        .lambda = encoder->lambda[index],
        .row = row,
        .column = column,
    };
    work.quantizers = &encoder->quantizers[work.info->segment];
    predict(&work);
    bool b_pred = work.info->y_mode == B_PRED, y2 = has_y2(work.info);
    work.coefficients->end[Y2_BLOCK] = 0;
    if (b_pred)
        code_b_pred(&work, above, left);
    else
        code_luma(&work, above, left);
    code_chroma(&work, above, left);
    work.info->skip = !any_coefficient(work.coefficients) || (!b_pred && better_skipped(&work));
    if (work.info->skip) {
        *above = above_before;
        *left = left_before;
        xc_clear_token_context(y2, above, left);
    }
    reconstruct(&work);
}
