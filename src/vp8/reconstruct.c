#include "vp8/reconstruct.h"

#include <string.h>

#include "vp8/tokens.h"

/* Products wrap to 16 bits, as in libvpx; only broken streams make any that do not fit. */
static int16_t dequantize_one(int16_t level, int16_t step)
{
    return (int16_t)(uint16_t)((uint32_t)level * (uint32_t)step);
}

static void dequantize(const int16_t level[16], const struct block_steps *steps, int16_t value[16])
{
    for (int i = 0; i < 16; i++)
        value[i] = dequantize_one(level[i], steps->ac);
    value[0] = dequantize_one(level[0], steps->dc);
}

/* Of a block without tokens, levels are not to be read. */
static int16_t own_dc(const struct mb_coefficients *coefficients, int block,
                      const struct block_steps *steps)
{
    return coefficients->end[block] ? dequantize_one(coefficients->value[block][0], steps->dc) : 0;
}

/* A block whose coefficient 0 is `dc`, dequantized, whatever its own says. */
static void add_block(const struct xc_dsp *dsp, const struct mb_coefficients *coefficients,
                      int block, const struct block_steps *steps, int16_t dc, uint8_t *to,
                      ptrdiff_t stride)
{
    int16_t value[16];
    if (coefficients->end[block] > 1) {
        dequantize(coefficients->value[block], steps, value);
        value[0] = dc;
        dsp->inverse_dct_add(value, to, stride);
    } else if (dc) {
        dsp->inverse_dct_add_dc(dc, to, stride);
    }
}

/* Four luma blocks side by side, from block `first` on. */
static void add_luma_row(const struct xc_dsp *dsp, const struct mb_coefficients *coefficients,
                         int first, const struct block_steps *steps, const int16_t dc[4],
                         uint8_t *to, ptrdiff_t stride)
{
    const uint8_t *end = coefficients->end + first;
    if (end[0] <= 1 && end[1] <= 1 && end[2] <= 1 && end[3] <= 1) {
        if (dc[0] | dc[1] | dc[2] | dc[3])
            dsp->inverse_dct_add_dc4(dc, to, stride);
        return;
    }
    for (int i = 0; i < 4; i++)
        add_block(dsp, coefficients, first + i, steps, dc[i], to + 4 * i, stride);
}

void xc_add_luma_residue(const struct canvas *canvas, bool y2,
                         const struct mb_coefficients *coefficients, const struct xc_steps *steps,
                         const struct mb_target *to)
{
    int16_t dc[16];
    if (y2 && coefficients->end[Y2_BLOCK] > 1) {
        int16_t value[16];
        dequantize(coefficients->value[Y2_BLOCK], &steps->y2, value);
        canvas->dsp->inverse_wht(value, dc);
    } else if (y2) {
        int16_t all = (int16_t)((own_dc(coefficients, Y2_BLOCK, &steps->y2) + 3) >> 3);
        for (int i = 0; i < 16; i++)
            dc[i] = all;
    } else {
        for (int i = 0; i < 16; i++)
            dc[i] = own_dc(coefficients, i, &steps->y);
    }
    for (int row = 0; row < 4; row++)
        add_luma_row(canvas->dsp, coefficients, 4 * row, &steps->y, dc + 4 * row,
                     to->plane[0] + 4 * row * to->stride[0], to->stride[0]);
}

void xc_add_chroma_residue(const struct canvas *canvas, const struct mb_coefficients *coefficients,
                           const struct xc_steps *steps, const struct mb_target *to)
{
    for (int plane = 1; plane < 3; plane++)
        for (int i = 0; i < 4; i++)
            add_block(canvas->dsp, coefficients, 12 + 4 * plane + i, &steps->chroma,
                      own_dc(coefficients, 12 + 4 * plane + i, &steps->chroma),
                      to->plane[plane] + 4 * (i >> 1) * to->stride[plane] + 4 * (i & 1),
                      to->stride[plane]);
}

void xc_add_subblock_residue(const struct canvas *canvas,
                             const struct mb_coefficients *coefficients, int block,
                             const struct xc_steps *steps, const struct mb_target *to)
{
    add_block(canvas->dsp, coefficients, block, &steps->y, own_dc(coefficients, block, &steps->y),
              to->plane[0] + 4 * (block >> 2) * to->stride[0] + 4 * (block & 3), to->stride[0]);
}

/* Subblocks are predicted from each other, so each is finished before the next. */
static void reconstruct_b_pred(const struct canvas *canvas, const struct mb_info *info,
                               const struct mb_coefficients *coefficients,
                               const struct xc_steps *steps, int row, int column,
                               const struct mb_target *to)
{
    for (int i = 0; i < 16; i++) {
        uint8_t edge[13];
        uint8_t *block = to->plane[0] + 4 * (i >> 2) * to->stride[0] + 4 * (i & 3);
        xc_intra4x4_edge(canvas, row, column, i, edge);
        canvas->dsp->intra4x4[info->b_mode[i]](block, to->stride[0], edge);
        if (!info->skip)
            xc_add_subblock_residue(canvas, coefficients, i, steps, to);
    }
}

void xc_reconstruct_macroblock(const struct canvas *canvas, const struct mb_info *info,
                               const struct mb_coefficients *coefficients,
                               const struct xc_steps *steps, int row, int column)
{
    struct mb_target to = xc_picture_target(canvas->picture, row, column);
    if (info->reference != REF_INTRA) {
        xc_predict_inter(canvas, info, row, column, &to);
    } else {
        for (int plane = 1; plane < 3; plane++)
            xc_predict_intra(canvas, plane, info->uv_mode, row, column, to.plane[plane],
                             to.stride[plane]);
        if (info->y_mode == B_PRED)
            reconstruct_b_pred(canvas, info, coefficients, steps, row, column, &to);
        else
            xc_predict_intra(canvas, 0, info->y_mode, row, column, to.plane[0], to.stride[0]);
    }
    if (info->skip)
        return;
    if (info->y_mode != B_PRED)
        xc_add_luma_residue(canvas, has_y2(info), coefficients, steps, &to);
    xc_add_chroma_residue(canvas, coefficients, steps, &to);
}
