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

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Block sizes that inter prediction and the difference measures come in. */
enum block_size { BLOCK_16X16, BLOCK_16X8, BLOCK_8X16, BLOCK_8X8, BLOCK_4X4, BLOCK_SIZES };

/* Thresholds of the loop filter (RFC 6386 section 15.2-15.4). */
struct filter_limits {
    /* E: |p0-q0|*2 + |p1-q1|/2 above it leaves the edge alone; between macroblocks and within. */
    uint8_t macroblock_edge, subblock_edge;
    uint8_t interior;      /* I */
    uint8_t high_variance; /* hev_threshold */
};

/* Which edges of a macroblock are filtered; always in this order. */
enum filter_edges {
    FILTER_LEFT = 1,  /* the edge to the macroblock on the left */
    FILTER_ABOVE = 2, /* and to that above */
    FILTER_INNER = 4, /* those within: the vertical ones before FILTER_ABOVE, the others after it */
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
    /* Four blocks side by side, each with only coefficient 0 set. */
    void (*inverse_dct_add_dc4)(const int16_t dc[4], uint8_t *to, ptrdiff_t stride);
    /* The 16 outputs are the DC coefficients of 16 luma blocks. */
    void (*inverse_wht)(const int16_t input[16], int16_t dc[16]);

    /* Forward transforms, scaled as the inverse ones expect. forward_dct takes source - prediction.
     */
    void (*forward_dct)(const uint8_t *source, ptrdiff_t source_stride, const uint8_t *prediction,
                        ptrdiff_t prediction_stride, int16_t coefficient[16]);
    /* Four blocks: two side by side from source[0] on, two from source[1] on. */
    void (*forward_dct4)(const uint8_t *const source[2], ptrdiff_t source_stride,
                         const uint8_t *const prediction[2], ptrdiff_t prediction_stride,
                         int16_t coefficient[64]);
    /* The input is the DC coefficients of 16 luma blocks, at coefficient[16 * i]. */
    void (*forward_wht)(const int16_t *coefficient, int16_t output[16]);

    /* Which of `count` blocks, at coefficient[16 * i], have a magnitude of at least least[j] at some place j: a
     * mask of bits i. At most 16 blocks; no coefficient is -32768. */
    uint32_t (*coded_blocks)(const int16_t *coefficient, int count, const int16_t least[16]);

    /* Loop filters over the edges of a macroblock, `edges` a mask of enum filter_edges: 16x16
     * luma, with or without 8x8 U and V, alike in stride. The samples are the macroblock's first. */
    void (*filter_luma)(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                        unsigned edges);
    void (*filter_macroblock)(uint8_t *y, ptrdiff_t y_stride, uint8_t *u, uint8_t *v,
                              ptrdiff_t uv_stride, const struct filter_limits *limits,
                              unsigned edges);
    /* The simple filter, which has luma and the edge limits only. */
    void (*filter_simple)(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                          unsigned edges);

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

/* Instruction sets, each with all that those of its architecture before it have: C, x86's, 64-bit Arm's.
 */
enum xc_cpu { XC_CPU_C, XC_CPU_SSE2, XC_CPU_SSSE3, XC_CPU_AVX2, XC_CPU_NEON, XC_CPU_LEVELS };

/* The level's name, as in "ssse3". */
const char *xc_cpu_name(enum xc_cpu level);

/* Whether this CPU, and this build, has a level. */
bool xc_cpu_has(enum xc_cpu level);

/* Fills the table for the best level that this CPU has. */
void xc_dsp_init(struct xc_dsp *dsp);

/* Fills it for a level that this CPU must have. */
void xc_dsp_init_level(struct xc_dsp *dsp, enum xc_cpu level);

#endif
