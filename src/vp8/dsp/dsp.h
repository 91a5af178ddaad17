/*
 * The kernels: everything that touches many samples, behind one table of function pointers.
 * xc_dsp_init fills it with C and then overwrites what the CPU level has faster; every level gives
 * the same bytes. Kernels know blocks of samples and coefficients, nothing of frames or states.
 *
 * Samples are 8 bit; strides are in samples and may differ for each argument. Coefficients of a 4x4
 * block lie in raster order: coefficient[4 * row + column].
 */
#ifndef VP8_DSP_DSP_H
#define VP8_DSP_DSP_H

#include <stddef.h>
#include <stdint.h>

/* Block sizes that inter prediction and the difference measures come in. */
enum block_size { BLOCK_16X16, BLOCK_16X8, BLOCK_8X16, BLOCK_8X8, BLOCK_4X4, BLOCK_SIZES };

/* Directions of an edge between blocks: VERTICAL_EDGE has its samples left and right of it. */
enum edge { VERTICAL_EDGE, HORIZONTAL_EDGE, EDGE_DIRECTIONS };

/* Thresholds of the normal loop filter (RFC 6386 section 15.2-15.4). */
struct filter_limits {
    uint8_t edge;          /* E: |p0-q0|*2 + |p1-q1|/2 above it leaves the edge alone */
    uint8_t interior;      /* I */
    uint8_t high_variance; /* hev_threshold */
};

/* Prediction from a reference: `source` points to the sample at the whole-pixel position; `x` and
 * `y` are the fractions in eighths of a sample, [0, 7]. Reads up to 2 samples before and 3 after
 * the block in a direction whose fraction is not 0 (six-tap), 1 after (bilinear); RFC 6386
 * section 18. */
typedef void predict_inter(uint8_t *to, ptrdiff_t to_stride, const uint8_t *source,
                           ptrdiff_t source_stride, int x, int y);

/* Sum over a block of a measure of a - b. */
typedef uint32_t measure_block(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                               ptrdiff_t b_stride);

struct xc_dsp {
    /* Inter prediction; whole-pixel (x = y = 0) is a copy in both. */
    predict_inter *six_tap[BLOCK_SIZES];
    predict_inter *bilinear[BLOCK_SIZES];

    /* Intra prediction of a `size` x `size` block, size 16 or 8 (RFC 6386 section 12.2):
     * above[-1] is the corner, above[0 .. size-1] the row above, left[0 .. size-1] the column. */
    void (*true_motion)(uint8_t *to, ptrdiff_t stride, const uint8_t *above, const uint8_t *left,
                        int size);
    /* Intra prediction of a 4x4 block by one of the ten modes, in the order of enum intra_b_mode
     * (frame.h). edge[0..3] is the column to the left from bottom to top, edge[4] the corner,
     * edge[5..12] the row above and above-right (RFC 6386 section 12.3). */
    void (*intra4x4[10])(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13]);

    /* Inverse transforms (RFC 6386 section 14.3, 14.4), added to what stands in `to`. */
    void (*inverse_dct_add)(const int16_t coefficient[16], uint8_t *to, ptrdiff_t stride);
    void (*inverse_dct_add_dc)(int dc, uint8_t *to, ptrdiff_t stride); /* only coefficient 0 set */
    /* The 16 outputs are the DC coefficients of 16 luma blocks: block[i][0] in coefficient[16 * i].
     */
    void (*inverse_wht)(const int16_t input[16], int16_t *coefficient);

    /* Forward transforms, scaled as the inverse ones expect. forward_dct takes source - prediction.
     */
    void (*forward_dct)(const uint8_t *source, ptrdiff_t source_stride, const uint8_t *prediction,
                        ptrdiff_t prediction_stride, int16_t coefficient[16]);
    /* Input as inverse_wht's output: the DCs at coefficient[16 * i]. */
    void (*forward_wht)(const int16_t *coefficient, int16_t output[16]);

    /* Loop filters over `count` samples of an edge (16 luma, 8 chroma; any multiple of 8);
     * `sample` is the first one on the far side (q0). */
    void (*filter_macroblock[EDGE_DIRECTIONS])(uint8_t *sample, ptrdiff_t stride, int count,
                                               const struct filter_limits *limits);
    void (*filter_subblock[EDGE_DIRECTIONS])(uint8_t *sample, ptrdiff_t stride, int count,
                                             const struct filter_limits *limits);
    /* The simple filter uses the edge limit only. */
    void (*filter_simple[EDGE_DIRECTIONS])(uint8_t *sample, ptrdiff_t stride, int count,
                                           int edge_limit);

    /* Difference measures. */
    measure_block *sad[BLOCK_SIZES]; /* sum of absolute differences */
    measure_block *sse[BLOCK_SIZES]; /* sum of squared errors */
    measure_block
        *satd[BLOCK_SIZES]; /* sum of absolute 4x4 Hadamard coefficients of a - b, halved */
    /* Four candidates at once: sads[i] = sad of a against b[i]. */
    void (*sad_x4[BLOCK_SIZES])(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *const b[4],
                                ptrdiff_t b_stride, uint32_t sads[4]);
    /* Sum and sum of squares of a 16x16 block's samples. */
    void (*moments16x16)(const uint8_t *a, ptrdiff_t stride, uint32_t *sum, uint32_t *squares);
};

/* Fills the table for the best level that this CPU has. */
void xc_dsp_init(struct xc_dsp *dsp);

/* Each level's own part of xc_dsp_init. */
void xc_dsp_init_c(struct xc_dsp *dsp);

#endif
