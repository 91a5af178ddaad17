/* Prediction of macroblocks (RFC 6386 sections 12 and 18). */
#ifndef VP8_PREDICT_H
#define VP8_PREDICT_H

#include "vp8/context.h"

/* A picture in the making, and what it is predicted from. */
struct canvas {
    const struct xc_dsp *dsp;
    struct xc_picture *picture; /* the current row of macroblocks is not yet loop-filtered */
    uint8_t *const *line; /* as in struct xc_context; NULL where all of the picture is unfiltered */
    const struct xc_picture *reference[4]; /* by enum mb_reference; [REF_INTRA] is NULL */
    predict_inter *const *inter;           /* six-tap or bilinear kernels */
    int chroma_mask;                       /* clears the fraction of chroma vectors in profile 3 */
};

/* `before` may be NULL where no macroblock refers to it. Prepares the line above the first row. */
void xc_canvas_init(struct canvas *canvas, const struct xc_dsp *dsp, const struct xc_state *before,
                    int version, struct xc_picture *picture, uint8_t *const *line);

/* Keeps the last row of samples of a reconstructed row of macroblocks for the row below, where the canvas has lines
 * for that. To be called before the row is loop-filtered. */
void xc_canvas_keep_line(const struct canvas *canvas, int row);

/* Where it has none: to be called before a row's first macroblock and behind its last one. They put into the
 * picture's border what the row below takes to lie beyond the ends of this one. */
void xc_canvas_begin_row(const struct canvas *canvas, int row);
void xc_canvas_end_row(const struct canvas *canvas, int row);

/* Where a macroblock's samples go; strides in samples. */
struct mb_target {
    uint8_t *plane[3];
    ptrdiff_t stride[3];
};

/* The macroblock's own place in a picture. */
static inline struct mb_target xc_picture_target(const struct xc_picture *picture, int row,
                                                 int column)
{
    struct mb_target target;
    for (int i = 0; i < 3; i++) {
        int size = i == 0 ? 16 : 8;
        target.stride[i] = picture->stride[i];
        target.plane[i] = picture->plane[i] + row * size * target.stride[i] + column * size;
    }
    return target;
}

/* Predicts a whole plane (16x16 luma, 8x8 chroma) by DC_PRED, V_PRED, H_PRED or TM_PRED. */
void xc_predict_intra(const struct canvas *canvas, int plane, int mode, int row, int column,
                      uint8_t *to, ptrdiff_t stride);

/* The samples around luma subblock `block` (in raster order), as the kernels of intra4x4 take them.
 */
void xc_intra4x4_edge(const struct canvas *canvas, int row, int column, int block,
                      uint8_t edge[13]);

/* Predicts a block of `plane` whose first sample is (x, y) from a reference; `mv` is in eighths of
 * a sample. Vectors may point anywhere: the reference goes on beyond its edges. */
void xc_predict_block(const struct canvas *canvas, int reference, int plane, enum block_size size,
                      int x, int y, int mv_row, int mv_column, uint8_t *to, ptrdiff_t stride);

/* Predicts all planes of an inter macroblock. */
void xc_predict_inter(const struct canvas *canvas, const struct mb_info *info, int row, int column,
                      const struct mb_target *to);

#endif
