#include "vp8/predict.h"

#include <string.h>

/* Samples outside the picture (RFC 6386 section 12.2). */
#define ABOVE_SAMPLE 127
#define LEFT_SAMPLE 129

/* ---- The canvas ---------------------------------------------------------------------------- */

/* The samples above a row of macroblocks. */
static uint8_t *line_above(const struct canvas *canvas, int plane, int row)
{
    const struct xc_picture *picture = canvas->picture;
    if (canvas->line)
        return canvas->line[plane];
    return picture->plane[plane] + ((plane == 0 ? 16 : 8) * row - 1) * picture->stride[plane];
}

void xc_canvas_init(struct canvas *canvas, const struct xc_dsp *dsp, const struct xc_state *before,
                    int version, struct xc_picture *picture, uint8_t *const *line)
{
    *canvas = (struct canvas){
        .dsp = dsp,
        .picture = picture,
        .line = line,
        .inter = version == 0 ? dsp->six_tap : dsp->bilinear,
        .chroma_mask = version == 3 ? ~7 : ~0,
    };
    for (int i = 0; before && i < XC_REFERENCES; i++)
        canvas->reference[i + 1] = before->picture[i];
    for (int i = 0; i < 3; i++)
        memset(line_above(canvas, i, 0) - 1, ABOVE_SAMPLE, (size_t)picture->plane_width[i] + 1 + 4);
}

void xc_canvas_keep_line(const struct canvas *canvas, int row)
{
    const struct xc_picture *picture = canvas->picture;
    for (int i = 0; i < 3; i++) {
        int height = i == 0 ? 16 : 8, width = picture->plane_width[i];
        uint8_t *line = canvas->line[i];
        memcpy(line, picture->plane[i] + ((row + 1) * height - 1) * picture->stride[i],
               (size_t)width);
        line[-1] = LEFT_SAMPLE;
        memset(line + width, line[width - 1], 4);
    }
}

void xc_canvas_begin_row(const struct canvas *canvas, int row)
{
    for (int i = 0; i < 3; i++)
        line_above(canvas, i, row + 1)[-1] = LEFT_SAMPLE;
}

void xc_canvas_end_row(const struct canvas *canvas, int row)
{
    for (int i = 0; i < 3; i++) {
        uint8_t *end = line_above(canvas, i, row + 1) + canvas->picture->plane_width[i];
        memset(end, end[-1], 4);
    }
}

/* ---- Intra prediction (RFC 6386 section 12) ------------------------------------------------ */

static void left_column(const struct xc_picture *picture, int plane, int x, int y, int count,
                        uint8_t *left)
{
    const uint8_t *sample = picture->plane[plane] + y * picture->stride[plane] + x - 1;
    for (int i = 0; i < count; i++)
        left[i] = x > 0 ? sample[i * picture->stride[plane]] : LEFT_SAMPLE;
}

static void fill(uint8_t *to, ptrdiff_t stride, int size, int value)
{
    for (int y = 0; y < size; y++)
        memset(to + y * stride, value, (size_t)size);
}

/* The mean of the samples above and to the left that exist. */
static int mean_of_edges(const uint8_t *above, const uint8_t *left, int size, bool has_above,
                         bool has_left)
{
    int sum = 0, shift = size == 16 ? 3 : 2;
    for (int i = 0; i < size; i++)
        sum += (has_above ? above[i] : 0) + (has_left ? left[i] : 0);
    shift += has_above + has_left;
    return has_above || has_left ? (sum + (1 << (shift - 1))) >> shift : 128;
}

void xc_predict_intra(const struct canvas *canvas, int plane, int mode, int row, int column,
                      uint8_t *to, ptrdiff_t stride)
{
    int size = plane == 0 ? 16 : 8;
    const uint8_t *above = line_above(canvas, plane, row) + column * size;
    uint8_t left[16];
    left_column(canvas->picture, plane, column * size, row * size, size, left);
    switch (mode) {
    case DC_PRED:
        fill(to, stride, size, mean_of_edges(above, left, size, row > 0, column > 0));
        break;
    case V_PRED:
        for (int y = 0; y < size; y++)
            memcpy(to + y * stride, above, (size_t)size);
        break;
    case H_PRED:
        for (int y = 0; y < size; y++)
            memset(to + y * stride, left[y], (size_t)size);
        break;
    default:
        canvas->dsp->true_motion(to, stride, above, left, size);
    }
}

void xc_intra4x4_edge(const struct canvas *canvas, int row, int column, int block, uint8_t edge[13])
{
    const struct xc_picture *picture = canvas->picture;
    int x = 16 * column + 4 * (block & 3), y = 16 * row + 4 * (block >> 2);
    const uint8_t *line = line_above(canvas, 0, row) + x;
    const uint8_t *above = block > 3 ? picture->plane[0] + (y - 1) * picture->stride[0] + x : line;
    uint8_t left[4];
    left_column(picture, 0, x, y, 4, left);
    for (int i = 0; i < 4; i++)
        edge[i] = left[3 - i];
    /* Outside the picture to the left stands LEFT_SAMPLE; the line knows that itself. */
    edge[4] = x == 0 && block > 3 ? LEFT_SAMPLE : above[-1];
    memcpy(edge + 5, above, 4);
    /* The last column of subblocks takes what lies above and to the right of the macroblock. */
    memcpy(edge + 9, (block & 3) == 3 ? line + 4 : above + 4, 4);
}

/* ---- Inter prediction (RFC 6386 section 18) ------------------------------------------------ */

static const struct {
    uint8_t width, height;
} block_dimensions[BLOCK_SIZES] = {
    [BLOCK_16X16] = {16, 16}, [BLOCK_16X8] = {16, 8}, [BLOCK_8X16] = {8, 16},
    [BLOCK_8X8] = {8, 8},     [BLOCK_4X4] = {4, 4},
};

/* Keeps a block within the border: where all samples that a filter would read lie outside the plane
 * on one side, they are all alike, and the block can as well lie nearer and at a whole position. */
static int clamp_position(int position, int length, int plane_length, int *fraction)
{
    int low = -(length + 6), high = plane_length + 5;
    if (position >= low && position <= high)
        return position;
    *fraction = 0;
    return position < low ? low : high;
}

void xc_predict_block(const struct canvas *canvas, int reference, int plane, enum block_size size,
                      int x, int y, int mv_row, int mv_column, uint8_t *to, ptrdiff_t stride)
{
    const struct xc_picture *from = canvas->reference[reference];
    int fraction_x = mv_column & 7, fraction_y = mv_row & 7;
    x = clamp_position(x + (mv_column >> 3), block_dimensions[size].width, from->plane_width[plane],
                       &fraction_x);
    y = clamp_position(y + (mv_row >> 3), block_dimensions[size].height, from->plane_height[plane],
                       &fraction_y);
    canvas->inter[size](to, stride, from->plane[plane] + y * from->stride[plane] + x,
                        from->stride[plane], fraction_x, fraction_y);
}

static void predict_luma_part(const struct canvas *canvas, const struct mb_info *info,
                              enum block_size size, int block, int row, int column,
                              const struct mb_target *to)
{
    struct motion_vector mv = info->mvs[block];
    int x = 4 * (block & 3), y = 4 * (block >> 2);
    xc_predict_block(canvas, info->reference, 0, size, 16 * column + x, 16 * row + y, 2 * mv.row,
                     2 * mv.column, to->plane[0] + y * to->stride[0] + x, to->stride[0]);
}

static void predict_split_luma(const struct canvas *canvas, const struct mb_info *info, int row,
                               int column, const struct mb_target *to)
{
    static const enum block_size size_of[] = {
        [SPLIT_16X8] = BLOCK_16X8,
        [SPLIT_8X16] = BLOCK_8X16,
        [SPLIT_8X8] = BLOCK_8X8,
        [SPLIT_4X4] = BLOCK_4X4,
    };
    enum block_size size = size_of[info->partitioning];
    int step_x = block_dimensions[size].width / 4, step_y = block_dimensions[size].height / 4;
    for (int by = 0; by < 4; by += step_y)
        for (int bx = 0; bx < 4; bx += step_x)
            predict_luma_part(canvas, info, size, 4 * by + bx, row, column, to);
}

/* A chroma subblock's vector is the mean of the four luma ones that it covers, in eighths of a
 * chroma sample; rounded away from zero. */
static int mean_of_four(int sum)
{
    return (sum + (sum < 0 ? -2 : 2)) / 4;
}

static void predict_split_chroma(const struct canvas *canvas, const struct mb_info *info, int row,
                                 int column, const struct mb_target *to)
{
    for (int block = 0; block < 4; block++) {
        int bx = block & 1, by = block >> 1;
        const struct motion_vector *mv = &info->mvs[8 * by + 2 * bx];
        int mv_row = mean_of_four(mv[0].row + mv[1].row + mv[4].row + mv[5].row);
        int mv_column = mean_of_four(mv[0].column + mv[1].column + mv[4].column + mv[5].column);
        for (int plane = 1; plane < 3; plane++)
            xc_predict_block(
                canvas, info->reference, plane, BLOCK_4X4, 8 * column + 4 * bx, 8 * row + 4 * by,
                mv_row & canvas->chroma_mask, mv_column & canvas->chroma_mask,
                to->plane[plane] + 4 * by * to->stride[plane] + 4 * bx, to->stride[plane]);
    }
}

void xc_predict_inter(const struct canvas *canvas, const struct mb_info *info, int row, int column,
                      const struct mb_target *to)
{
    if (info->y_mode == MV_SPLIT) {
        predict_split_luma(canvas, info, row, column, to);
        predict_split_chroma(canvas, info, row, column, to);
        return;
    }
    /* The same number is in quarters of a luma and in eighths of a chroma sample. */
    struct motion_vector mv = info->mv;
    xc_predict_block(canvas, info->reference, 0, BLOCK_16X16, 16 * column, 16 * row, 2 * mv.row,
                     2 * mv.column, to->plane[0], to->stride[0]);
    for (int plane = 1; plane < 3; plane++)
        xc_predict_block(canvas, info->reference, plane, BLOCK_8X8, 8 * column, 8 * row,
                         mv.row & canvas->chroma_mask, mv.column & canvas->chroma_mask,
                         to->plane[plane], to->stride[plane]);
}
