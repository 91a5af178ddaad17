/*
 * Transforms with NEON (RFC 6386 section 14). A 4x4 block lies in four registers, one a row. The first
 * pass of an inverse transform keeps the lower 16 bits, as the C kernel does; the second one has sums of
 * 32, so that blocks of broken streams come out alike too.
 */
#include "vp8/dsp/lanes_neon.h"

XC_INLINE void transpose(int16x4_t row[4])
{
    int32x2_t even[2], odd[2];
    for (int i = 0; i < 2; i++) {
        even[i] = vreinterpret_s32_s16(vtrn1_s16(row[2 * i], row[2 * i + 1]));
        odd[i] = vreinterpret_s32_s16(vtrn2_s16(row[2 * i], row[2 * i + 1]));
    }
    row[0] = vreinterpret_s16_s32(vtrn1_s32(even[0], even[1]));
    row[1] = vreinterpret_s16_s32(vtrn1_s32(odd[0], odd[1]));
    row[2] = vreinterpret_s16_s32(vtrn2_s32(even[0], even[1]));
    row[3] = vreinterpret_s16_s32(vtrn2_s32(odd[0], odd[1]));
}

/* ---- Inverse ------------------------------------------------------------------------------- */

/* x * 35468 / 65536, rounded down. */
XC_INLINE int16x4_t times_sine(int16x4_t x)
{
    return vqdmulh_n_s16(x, 35468 / 2);
}

/* x * 20091 / 65536, rounded down: what times_cosine has beyond x. */
XC_INLINE int16x4_t times_cosine_less_one(int16x4_t x)
{
    return vshr_n_s16(vqdmulh_n_s16(x, 20091), 1);
}

/* Along columns. */
XC_INLINE void inverse_dct_first(int16x4_t row[4])
{
    int16x4_t a = vadd_s16(row[0], row[2]), b = vsub_s16(row[0], row[2]);
    int16x4_t cosine1 = vadd_s16(row[1], times_cosine_less_one(row[1]));
    int16x4_t cosine3 = vadd_s16(row[3], times_cosine_less_one(row[3]));
    int16x4_t c = vsub_s16(times_sine(row[1]), cosine3);
    int16x4_t d = vadd_s16(cosine1, times_sine(row[3]));
    row[0] = vadd_s16(a, d);
    row[1] = vadd_s16(b, c);
    row[2] = vsub_s16(b, c);
    row[3] = vsub_s16(a, d);
}

/* The same in 32 bits, and an eighth of it. */
XC_INLINE void inverse_dct_second(int16x4_t row[4])
{
    int32x4_t a = vaddl_s16(row[0], row[2]), b = vsubl_s16(row[0], row[2]);
    int32x4_t c = vsubl_s16(times_sine(row[1]), times_cosine_less_one(row[3]));
    int32x4_t d = vaddl_s16(times_sine(row[3]), times_cosine_less_one(row[1]));
    c = vsubw_s16(c, row[3]);
    d = vaddw_s16(d, row[1]);
    row[0] = vrshrn_n_s32(vaddq_s32(a, d), 3);
    row[1] = vrshrn_n_s32(vaddq_s32(b, c), 3);
    row[2] = vrshrn_n_s32(vsubq_s32(b, c), 3);
    row[3] = vrshrn_n_s32(vsubq_s32(a, d), 3);
}

XC_INLINE uint8x8_t add_clamped(uint8x8_t samples, int16x8_t residue)
{
    uint16x8_t sum = vaddw_u8(vreinterpretq_u16_s16(residue), samples);
    return vqmovun_s16(vreinterpretq_s16_u16(sum));
}

/* Adds to two rows of four samples. */
XC_INLINE void add_to_rows(uint8_t *to, ptrdiff_t stride, int16x8_t residue)
{
    uint8x8_t sum = add_clamped(load4_twice(to, to + stride), residue);
    store4(to, sum);
    store4_upper(to + stride, sum);
}

static void inverse_dct_add(const int16_t coefficient[16], uint8_t *to, ptrdiff_t stride)
{
    int16x4_t row[4];
    for (int i = 0; i < 4; i++)
        row[i] = vld1_s16(coefficient + 4 * i);
    inverse_dct_first(row);
    transpose(row);
    inverse_dct_second(row);
    transpose(row);
    add_to_rows(to, stride, vcombine_s16(row[0], row[1]));
    add_to_rows(to + 2 * stride, stride, vcombine_s16(row[2], row[3]));
}

static void inverse_dct_add_dc(int dc, uint8_t *to, ptrdiff_t stride)
{
    int16x8_t value = vdupq_n_s16((int16_t)((dc + 4) >> 3));
    add_to_rows(to, stride, value);
    add_to_rows(to + 2 * stride, stride, value);
}

static void inverse_dct_add_dc4(const int16_t dc[4], uint8_t *to, ptrdiff_t stride)
{
    int16x4_t value = vrshr_n_s16(vld1_s16(dc), 3);
    int16x8_t left = vcombine_s16(vdup_lane_s16(value, 0), vdup_lane_s16(value, 1));
    int16x8_t right = vcombine_s16(vdup_lane_s16(value, 2), vdup_lane_s16(value, 3));
    for (int y = 0; y < 4; y++, to += stride) {
        vst1_u8(to, add_clamped(vld1_u8(to), left));
        vst1_u8(to + 8, add_clamped(vld1_u8(to + 8), right));
    }
}

static void inverse_wht(const int16_t input[16], int16_t dc[16])
{
    int16x4_t row[4];
    for (int i = 0; i < 4; i++)
        row[i] = vld1_s16(input + 4 * i);
    int16x4_t a = vadd_s16(row[0], row[3]), d = vsub_s16(row[0], row[3]);
    int16x4_t b = vadd_s16(row[1], row[2]), c = vsub_s16(row[1], row[2]);
    row[0] = vadd_s16(a, b);
    row[1] = vadd_s16(d, c);
    row[2] = vsub_s16(a, b);
    row[3] = vsub_s16(d, c);
    transpose(row);
    int32x4_t three = vdupq_n_s32(3);
    int32x4_t wide_a = vaddw_s16(vaddw_s16(three, row[0]), row[3]);
    int32x4_t wide_d = vsubw_s16(vaddw_s16(three, row[0]), row[3]);
    int32x4_t wide_b = vaddl_s16(row[1], row[2]), wide_c = vsubl_s16(row[1], row[2]);
    row[0] = vshrn_n_s32(vaddq_s32(wide_a, wide_b), 3);
    row[1] = vshrn_n_s32(vaddq_s32(wide_d, wide_c), 3);
    row[2] = vshrn_n_s32(vsubq_s32(wide_a, wide_b), 3);
    row[3] = vshrn_n_s32(vsubq_s32(wide_d, wide_c), 3);
    transpose(row);
    for (int i = 0; i < 4; i++)
        vst1_s16(dc + 4 * i, row[i]);
}

/* ---- Forward ------------------------------------------------------------------------------- */

enum { FORWARD_COSINE = 5352, FORWARD_SINE = 2217 }; /* see transform_c.c */

/* Two blocks, the rows of one in the lower halves and those of the other in the upper ones: each is
 * transposed. */
XC_INLINE void transpose_two(int16x8_t row[4])
{
    int32x4_t even[2], odd[2];
    for (int i = 0; i < 2; i++) {
        even[i] = vreinterpretq_s32_s16(vtrn1q_s16(row[2 * i], row[2 * i + 1]));
        odd[i] = vreinterpretq_s32_s16(vtrn2q_s16(row[2 * i], row[2 * i + 1]));
    }
    row[0] = vreinterpretq_s16_s32(vtrn1q_s32(even[0], even[1]));
    row[1] = vreinterpretq_s16_s32(vtrn1q_s32(odd[0], odd[1]));
    row[2] = vreinterpretq_s16_s32(vtrn2q_s32(even[0], even[1]));
    row[3] = vreinterpretq_s16_s32(vtrn2q_s32(odd[0], odd[1]));
}

/* a * 2217 + b * 5352 + rounding, in two halves. */
XC_INLINE int32x4x2_t rotate(int16x8_t a, int16x8_t b, int rounding)
{
    int32x4_t bias = vdupq_n_s32(rounding);
    int32x4_t low = vmlal_n_s16(bias, vget_low_s16(a), FORWARD_SINE);
    int32x4_t high = vmlal_high_n_s16(bias, a, FORWARD_SINE);
    return (int32x4x2_t){{vmlal_n_s16(low, vget_low_s16(b), FORWARD_COSINE),
                          vmlal_high_n_s16(high, b, FORWARD_COSINE)}};
}

#define NARROW(sums, shift)                                                                        \
    vshrn_high_n_s32(vshrn_n_s32((sums).val[0], shift), (sums).val[1], shift)

/* Two blocks of differences, laid out as for transpose_two, become coefficients. */
XC_INLINE void forward_dct_two(int16x8_t row[4])
{
    transpose_two(row);
    int16x8_t a = vshlq_n_s16(vaddq_s16(row[0], row[3]), 3);
    int16x8_t b = vshlq_n_s16(vaddq_s16(row[1], row[2]), 3);
    int16x8_t c = vshlq_n_s16(vsubq_s16(row[1], row[2]), 3);
    int16x8_t d = vshlq_n_s16(vsubq_s16(row[0], row[3]), 3);
    row[0] = vaddq_s16(a, b);
    row[1] = NARROW(rotate(c, d, 14500), 12);
    row[2] = vsubq_s16(a, b);
    row[3] = NARROW(rotate(d, vnegq_s16(c), 7500), 12);
    transpose_two(row);
    a = vaddq_s16(vaddq_s16(row[0], row[3]), vdupq_n_s16(7));
    b = vaddq_s16(row[1], row[2]);
    c = vsubq_s16(row[1], row[2]);
    d = vsubq_s16(row[0], row[3]);
    row[0] = vshrq_n_s16(vaddq_s16(a, b), 4);
    row[1] = NARROW(rotate(c, d, 12000), 16);
    row[1] = vsubq_s16(row[1], vreinterpretq_s16_u16(vtstq_s16(d, d))); /* one more unless d is 0 */
    row[2] = vshrq_n_s16(vsubq_s16(a, b), 4);
    row[3] = NARROW(rotate(d, vnegq_s16(c), 51000), 16);
}

static void forward_dct(const uint8_t *source, ptrdiff_t source_stride, const uint8_t *prediction,
                        ptrdiff_t prediction_stride, int16_t coefficient[16])
{
    int16x8_t row[4];
    for (int i = 0; i < 4; i++)
        row[i] = vreinterpretq_s16_u16(
            vsubl_u8(load4(source + i * source_stride), load4(prediction + i * prediction_stride)));
    forward_dct_two(row);
    for (int i = 0; i < 4; i++)
        vst1_s16(coefficient + 4 * i, vget_low_s16(row[i]));
}

static void forward_dct4(const uint8_t *const source[2], ptrdiff_t source_stride,
                         const uint8_t *const prediction[2], ptrdiff_t prediction_stride,
                         int16_t coefficient[64])
{
    for (int pair = 0; pair < 2; pair++, coefficient += 32) {
        int16x8_t row[4];
        for (int i = 0; i < 4; i++)
            row[i] =
                vreinterpretq_s16_u16(vsubl_u8(vld1_u8(source[pair] + i * source_stride),
                                               vld1_u8(prediction[pair] + i * prediction_stride)));
        forward_dct_two(row);
        for (int i = 0; i < 4; i++) {
            vst1_s16(coefficient + 4 * i, vget_low_s16(row[i]));
            vst1_s16(coefficient + 16 + 4 * i, vget_high_s16(row[i]));
        }
    }
}

/* ---- Quantization -------------------------------------------------------------------------- */

/* The DCs of blocks 0, 4, 8 and 12, counted from `coefficient` on. */
XC_INLINE int16x4_t load_column_of_dcs(const int16_t *coefficient)
{
    int16x4_t column = vld1_dup_s16(coefficient);
    column = vld1_lane_s16(coefficient + 64, column, 1);
    column = vld1_lane_s16(coefficient + 128, column, 2);
    return vld1_lane_s16(coefficient + 192, column, 3);
}

/* x / 8 rounded to the nearest, halves towards zero. */
XC_INLINE int16x4_t eighths(int32x4_t x)
{
    x = vsubq_s32(x, vshrq_n_s32(x, 31));
    return vmovn_s32(vshrq_n_s32(vaddq_s32(x, vdupq_n_s32(3)), 3));
}

static void forward_wht(const int16_t *coefficient, int16_t output[16])
{
    int16x4_t column[4];
    for (int i = 0; i < 4; i++)
        column[i] = load_column_of_dcs(coefficient + 16 * i);
    int32x4_t a = vshlq_n_s32(vaddl_s16(column[0], column[2]), 2);
    int32x4_t b = vshlq_n_s32(vsubl_s16(column[0], column[2]), 2);
    int32x4_t c = vshlq_n_s32(vsubl_s16(column[1], column[3]), 2);
    int32x4_t d = vshlq_n_s32(vaddl_s16(column[1], column[3]), 2);
    /* One more where a is not 0: a mask of ones is -1. */
    int32x4_t first = vsubq_s32(vaddq_s32(a, d), vreinterpretq_s32_u32(vtstq_s32(a, a)));
    int32x4x2_t even = vtrnq_s32(first, vaddq_s32(b, c));
    int32x4x2_t odd = vtrnq_s32(vsubq_s32(b, c), vsubq_s32(a, d));
    int32x4_t row[4];
    for (int i = 0; i < 2; i++) {
        row[i] = vcombine_s32(vget_low_s32(even.val[i]), vget_low_s32(odd.val[i]));
        row[2 + i] = vcombine_s32(vget_high_s32(even.val[i]), vget_high_s32(odd.val[i]));
    }
    a = vaddq_s32(row[0], row[2]);
    b = vsubq_s32(row[0], row[2]);
    c = vsubq_s32(row[1], row[3]);
    d = vaddq_s32(row[1], row[3]);
    vst1_s16(output, eighths(vaddq_s32(a, d)));
    vst1_s16(output + 4, eighths(vaddq_s32(b, c)));
    vst1_s16(output + 8, eighths(vsubq_s32(b, c)));
    vst1_s16(output + 12, eighths(vsubq_s32(a, d)));
}

static uint32_t coded_blocks(const int16_t *coefficient, int count, const int16_t least[16])
{
    int16x8_t upper = vld1q_s16(least), lower = vld1q_s16(least + 8);
    uint32_t mask = 0;
    for (int i = 0; i < count; i++, coefficient += 16) {
        uint16x8_t any = vorrq_u16(vcgeq_s16(vabsq_s16(vld1q_s16(coefficient)), upper),
                                   vcgeq_s16(vabsq_s16(vld1q_s16(coefficient + 8)), lower));
        mask |= (uint32_t)(vmaxvq_u16(any) != 0) << i;
    }
    return mask;
}

void xc_transform_init_neon(struct xc_dsp *dsp)
{
    XC_SET_TRANSFORMS(dsp);
}
