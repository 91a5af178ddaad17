/* Prediction with NEON (RFC 6386 sections 12 and 18). */
#include "vp8/dsp/lanes_neon.h"

/* ---- Inter prediction ---------------------------------------------------------------------- */

/* The filter's taps without their signs, which are + - + + - +. */
struct taps {
    uint8x8_t tap[6];
};

XC_INLINE struct taps load_taps(const int16_t tap[6])
{
    struct taps taps;
    for (int i = 0; i < 6; i++)
        taps.tap[i] = vdup_n_u8((uint8_t)(tap[i] < 0 ? -tap[i] : tap[i]));
    return taps;
}

/* Eight samples from those at -2 .. 3 beside each. A sum may reach 160 * 255; less 128 * 128 it fits 16
 * signed bits, and what it becomes is 128 too low. */
XC_INLINE uint8x8_t apply(const struct taps *taps, const uint8x8_t s[6])
{
    uint16x8_t sum = vmlal_u8(vdupq_n_u16(65536 - 128 * 128), s[2], taps->tap[2]);
    sum = vmlsl_u8(sum, s[1], taps->tap[1]);
    sum = vmlal_u8(sum, s[3], taps->tap[3]);
    sum = vmlsl_u8(sum, s[4], taps->tap[4]);
    sum = vmlal_u8(sum, s[0], taps->tap[0]);
    sum = vmlal_u8(sum, s[5], taps->tap[5]);
    int8x8_t lowered = vqrshrn_n_s16(vreinterpretq_s16_u16(sum), 7);
    return veor_u8(vreinterpret_u8_s8(lowered), vdup_n_u8(0x80));
}

/* The same for the halves of registers of sixteen. */
XC_INLINE uint8x16_t apply_wide(const struct taps *taps, const uint8x16_t s[6])
{
    uint8x8_t low[6], high[6];
    for (int i = 0; i < 6; i++) {
        low[i] = vget_low_u8(s[i]);
        high[i] = vget_high_u8(s[i]);
    }
    return vcombine_u8(apply(taps, low), apply(taps, high));
}

/* Sixteen samples of a row, from samples -2 .. 18 around `s`. */
XC_INLINE void across16(const struct taps *taps, uint8_t *to, const uint8_t *s)
{
    uint8x16_t first = vld1q_u8(s - 2), last = vld1q_u8(s + 3);
    uint8x16_t next = vextq_u8(last, last, 11);
    const uint8x16_t beside[6] = {
        first,
        vextq_u8(first, next, 1),
        vextq_u8(first, next, 2),
        vextq_u8(first, next, 3),
        vextq_u8(first, next, 4),
        last,
    };
    vst1q_u8(to, apply_wide(taps, beside));
}

/* Eight samples of a row, or the first four, from samples -2 .. width + 2. */
XC_INLINE void across8(const struct taps *taps, uint8_t *to, const uint8_t *s, int width)
{
    uint8x8_t first = vld1_u8(s - 2), last = width == 8 ? vld1_u8(s + 3) : load4(s + 3);
    uint8x8_t next = vext_u8(last, last, 3);
    const uint8x8_t beside[6] = {
        first,
        vext_u8(first, next, 1),
        vext_u8(first, next, 2),
        vext_u8(first, next, 3),
        vext_u8(first, next, 4),
        last,
    };
    uint8x8_t samples = apply(taps, beside);
    if (width == 8)
        vst1_u8(to, samples);
    else
        store4(to, samples);
}

XC_INLINE void six_tap_across(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride,
                              const uint8_t *s, ptrdiff_t stride, int width, int height)
{
    for (int y = 0; y < height; y++, to += to_stride, s += stride) {
        if (width == 16)
            across16(taps, to, s);
        else
            across8(taps, to, s, width);
    }
}

XC_INLINE void down16(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride, const uint8_t *s,
                      ptrdiff_t stride, int height)
{
    uint8x16_t row[6];
    for (int i = 0; i < 5; i++)
        row[i] = vld1q_u8(s + (i - 2) * stride);
    for (int y = 0; y < height; y++, to += to_stride) {
        row[5] = vld1q_u8(s + (y + 3) * stride);
        vst1q_u8(to, apply_wide(taps, row));
        for (int i = 0; i < 5; i++)
            row[i] = row[i + 1];
    }
}

XC_INLINE void down8(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride, const uint8_t *s,
                     ptrdiff_t stride, int height)
{
    uint8x8_t row[6];
    for (int i = 0; i < 5; i++)
        row[i] = vld1_u8(s + (i - 2) * stride);
    for (int y = 0; y < height; y++, to += to_stride) {
        row[5] = vld1_u8(s + (y + 3) * stride);
        vst1_u8(to, apply(taps, row));
        for (int i = 0; i < 5; i++)
            row[i] = row[i + 1];
    }
}

/* Two rows of four at a time. */
XC_INLINE void down4(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride, const uint8_t *s,
                     ptrdiff_t stride, int height)
{
    for (int y = 0; y < height; y += 2, to += 2 * to_stride, s += 2 * stride) {
        uint8x8_t row[6];
        for (int i = 0; i < 6; i++)
            row[i] = load4_twice(s + (i - 2) * stride, s + (i - 1) * stride);
        uint8x8_t two = apply(taps, row);
        store4(to, two);
        store4_upper(to + to_stride, two);
    }
}

XC_INLINE void six_tap_down(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride,
                            const uint8_t *s, ptrdiff_t stride, int width, int height)
{
    if (width == 16)
        down16(taps, to, to_stride, s, stride, height);
    else if (width == 8)
        down8(taps, to, to_stride, s, stride, height);
    else
        down4(taps, to, to_stride, s, stride, height);
}

/* One pass of the bilinear filter along the direction in which neighbours are `step` apart. */
XC_INLINE void bilinear_pass(uint8_t *to, ptrdiff_t to_stride, const uint8_t *s, ptrdiff_t stride,
                             ptrdiff_t step, int fraction, int width, int height)
{
    uint8x8_t near = vdup_n_u8((uint8_t)(128 - 16 * fraction));
    uint8x8_t far = vdup_n_u8((uint8_t)(16 * fraction));
    for (int y = 0; y < height; y++, to += to_stride, s += stride) {
        for (int x = 0; x < width; x += 8) {
            uint8x8_t a = width == 4 ? load4(s) : vld1_u8(s + x);
            uint8x8_t b = width == 4 ? load4(s + step) : vld1_u8(s + x + step);
            uint8x8_t samples = vrshrn_n_u16(vmlal_u8(vmull_u8(a, near), b, far), 7);
            if (width == 4)
                store4(to, samples);
            else
                vst1_u8(to + x, samples);
        }
    }
}

#include "vp8/dsp/predict_inter.h"

/* ---- Intra prediction ---------------------------------------------------------------------- */

/* above + left - corner, clamped. */
XC_INLINE uint8x8_t true_motion8(uint8x8_t above, int16x8_t step)
{
    return vqmovun_s16(vaddq_s16(vreinterpretq_s16_u16(vmovl_u8(above)), step));
}

static void true_motion(uint8_t *to, ptrdiff_t stride, const uint8_t *above, const uint8_t *left,
                        int size)
{
    for (int x = 0; x < size; x += 8) {
        uint8x8_t eight = vld1_u8(above + x);
        for (int y = 0; y < size; y++)
            vst1_u8(to + y * stride + x,
                    true_motion8(eight, vdupq_n_s16((int16_t)(left[y] - above[-1]))));
    }
}

void xc_predict_init_neon(struct xc_dsp *dsp)
{
    set_inter(dsp);
    dsp->true_motion = true_motion;
}
