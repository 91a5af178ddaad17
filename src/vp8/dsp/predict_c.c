/* Inter and intra prediction in C (RFC 6386 sections 12 and 18). */
#include <string.h>

#include "vp8/dsp/dsp_c.h"

/* ---- Inter prediction ---------------------------------------------------------------------- */

/*
 * One pass of the six-tap filter along the direction in which neighbours are `step` samples apart.
 * A sum may reach 160 * 255, which overflows 16 signed bits; less 128 * 128 it always fits them,
 * and 16-bit sums keep twice as many lanes in a vector register as int.
 */
static inline void six_tap_pass(uint8_t *restrict to, ptrdiff_t to_stride,
                                const uint8_t *restrict source, ptrdiff_t source_stride,
                                ptrdiff_t step, const int16_t taps[6], int width, int height)
{
    int16_t t0 = taps[0], t1 = taps[1], t2 = taps[2], t3 = taps[3], t4 = taps[4], t5 = taps[5];
    for (int row = 0; row < height; row++) {
        const uint8_t *s = source + row * source_stride;
        uint8_t *d = to + row * to_stride;
        XC_KEEP_LOOP
        for (int i = 0; i < width; i++) {
            int16_t sum =
                (int16_t)(t0 * s[i - 2 * step] + t1 * s[i - step] + t2 * s[i] + t3 * s[i + step] +
                          t4 * s[i + 2 * step] + t5 * s[i + 3 * step] + 64 - 128 * 128);
            d[i] = clamp_lane((int16_t)((sum >> 7) + 128));
        }
    }
}

struct taps {
    const int16_t *tap;
};

static inline struct taps load_taps(const int16_t tap[6])
{
    return (struct taps){tap};
}

static inline void six_tap_across(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride,
                                  const uint8_t *source, ptrdiff_t stride, int width, int height)
{
    six_tap_pass(to, to_stride, source, stride, 1, taps->tap, width, height);
}

static inline void six_tap_down(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride,
                                const uint8_t *source, ptrdiff_t stride, int width, int height)
{
    six_tap_pass(to, to_stride, source, stride, stride, taps->tap, width, height);
}

/* One pass of the bilinear filter, as six_tap_pass; `fraction` in eighths, [1, 7]. */
static inline void bilinear_pass(uint8_t *restrict to, ptrdiff_t to_stride,
                                 const uint8_t *restrict source, ptrdiff_t source_stride,
                                 ptrdiff_t step, int fraction, int width, int height)
{
    uint16_t near = (uint16_t)(128 - 16 * fraction), far = (uint16_t)(16 * fraction);
    for (int row = 0; row < height; row++) {
        const uint8_t *s = source + row * source_stride;
        uint8_t *d = to + row * to_stride;
        XC_KEEP_LOOP
        for (int i = 0; i < width; i++) {
            uint16_t sum = (uint16_t)(s[i] * near + s[i + step] * far + 64);
            d[i] = (uint8_t)(sum >> 7);
        }
    }
}

#include "vp8/dsp/predict_inter.h"

/* ---- Intra prediction ---------------------------------------------------------------------- */

static inline void true_motion_block(uint8_t *restrict to, ptrdiff_t stride,
                                     const uint8_t *restrict above, const uint8_t *restrict left,
                                     int size)
{
    for (int row = 0; row < size; row++) {
        int16_t difference = (int16_t)(left[row] - above[-1]);
        XC_KEEP_LOOP
        for (int i = 0; i < size; i++)
            to[row * stride + i] = clamp_lane((int16_t)(above[i] + difference));
    }
}

static void true_motion(uint8_t *to, ptrdiff_t stride, const uint8_t *above, const uint8_t *left,
                        int size)
{
    if (size == 16)
        true_motion_block(to, stride, above, left, 16);
    else
        true_motion_block(to, stride, above, left, 8);
}

static inline uint8_t average2(int a, int b)
{
    return (uint8_t)((a + b + 1) >> 1);
}

/* Weights 1, 2, 1 around e[0]. */
static inline uint8_t smooth(const uint8_t *e)
{
    return (uint8_t)((e[-1] + 2 * e[0] + e[1] + 2) >> 2);
}

/* The 4x4 predictors take the edge of RFC 6386 section 12.3 in one array: see dsp.h. */
enum { CORNER = 4, ABOVE = 5 };

static void predict_b_dc(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    int sum = 4;
    for (int i = 0; i < 4; i++)
        sum += edge[i] + edge[ABOVE + i];
    for (int row = 0; row < 4; row++)
        memset(to + row * stride, sum >> 3, 4);
}

static void predict_b_tm(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    for (int row = 0; row < 4; row++)
        for (int i = 0; i < 4; i++)
            to[row * stride + i] =
                clamp_to_sample(edge[CORNER - 1 - row] + edge[ABOVE + i] - edge[CORNER]);
}

static void predict_b_ve(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    uint8_t line[4];
    for (int i = 0; i < 4; i++)
        line[i] = smooth(edge + ABOVE + i);
    for (int row = 0; row < 4; row++)
        memcpy(to + row * stride, line, 4);
}

static void predict_b_he(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    for (int row = 0; row < 3; row++)
        memset(to + row * stride, smooth(edge + CORNER - 1 - row), 4);
    memset(to + 3 * stride, (edge[1] + 3 * edge[0] + 2) >> 2, 4);
}

/* Rows of `line`, each beginning `advance` entries after the one above it. */
static inline void write_diagonal(uint8_t *to, ptrdiff_t stride, const uint8_t *line, int advance)
{
    for (int row = 0; row < 4; row++)
        memcpy(to + row * stride, line + row * advance, 4);
}

static void predict_b_ld(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    uint8_t line[7];
    for (int i = 0; i < 6; i++)
        line[i] = smooth(edge + ABOVE + 1 + i);
    line[6] = (uint8_t)((edge[11] + 3 * edge[12] + 2) >> 2);
    write_diagonal(to, stride, line, 1);
}

static void predict_b_rd(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    uint8_t line[7];
    for (int i = 0; i < 7; i++)
        line[i] = smooth(edge + 1 + i);
    write_diagonal(to, stride, line + 3, -1);
}

static void predict_b_vr(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    uint8_t even[5], odd[5];
    even[0] = smooth(edge + 3);
    odd[0] = smooth(edge + 2);
    for (int i = 0; i < 4; i++) {
        even[1 + i] = average2(edge[CORNER + i], edge[CORNER + 1 + i]);
        odd[1 + i] = smooth(edge + CORNER + i);
    }
    memcpy(to, even + 1, 4);
    memcpy(to + stride, odd + 1, 4);
    memcpy(to + 2 * stride, even, 4);
    memcpy(to + 3 * stride, odd, 4);
}

static void predict_b_vl(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    uint8_t even[5], odd[5];
    for (int i = 0; i < 4; i++) {
        even[i] = average2(edge[ABOVE + i], edge[ABOVE + 1 + i]);
        odd[i] = smooth(edge + ABOVE + 1 + i);
    }
    even[4] = smooth(edge + ABOVE + 5);
    odd[4] = smooth(edge + ABOVE + 6);
    memcpy(to, even, 4);
    memcpy(to + stride, odd, 4);
    memcpy(to + 2 * stride, even + 1, 4);
    memcpy(to + 3 * stride, odd + 1, 4);
}

static void predict_b_hd(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    uint8_t line[10];
    for (int i = 0; i < 4; i++) {
        line[2 * i] = average2(edge[i], edge[i + 1]);
        line[2 * i + 1] = smooth(edge + i + 1);
    }
    line[8] = smooth(edge + 5);
    line[9] = smooth(edge + 6);
    write_diagonal(to, stride, line + 6, -2);
}

static void predict_b_hu(uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    const uint8_t left[4] = {edge[3], edge[2], edge[1], edge[0]};
    uint8_t line[10] = {
        average2(left[0], left[1]), smooth(left + 1),
        average2(left[1], left[2]), smooth(left + 2),
        average2(left[2], left[3]), (uint8_t)((left[2] + 3 * left[3] + 2) >> 2),
    };
    memset(line + 6, left[3], 4);
    write_diagonal(to, stride, line, 2);
}

void xc_predict_init_c(struct xc_dsp *dsp)
{
    set_inter(dsp);
    dsp->true_motion = true_motion;
    dsp->intra4x4[B_DC_PRED] = predict_b_dc;
    dsp->intra4x4[B_TM_PRED] = predict_b_tm;
    dsp->intra4x4[B_VE_PRED] = predict_b_ve;
    dsp->intra4x4[B_HE_PRED] = predict_b_he;
    dsp->intra4x4[B_LD_PRED] = predict_b_ld;
    dsp->intra4x4[B_RD_PRED] = predict_b_rd;
    dsp->intra4x4[B_VR_PRED] = predict_b_vr;
    dsp->intra4x4[B_VL_PRED] = predict_b_vl;
    dsp->intra4x4[B_HD_PRED] = predict_b_hd;
    dsp->intra4x4[B_HU_PRED] = predict_b_hu;
}
