/* Difference measures with NEON. Sums of absolute differences and of squares are left to C, of which
 * compilers make what could be written here. */
#include "vp8/dsp/lanes_neon.h"

/* ---- Hadamard transform -------------------------------------------------------------------- */

/* Eight differences, or four and zeros. */
XC_INLINE int16x8_t differences(const uint8_t *a, const uint8_t *b, int width)
{
    uint8x8_t first = width == 4 ? load4(a) : vld1_u8(a);
    uint8x8_t second = width == 4 ? load4(b) : vld1_u8(b);
    return vreinterpretq_s16_u16(vsubl_u8(first, second));
}

/* The transform along two rows of two blocks each, and the halved sum of its magnitudes in eight lanes:
 * |s + t| + |s - t| = 2 max(|s|, |t|) is both the last step and the halving. */
XC_INLINE uint16x8_t along_rows(int16x8_t a, int16x8_t b)
{
    int32x4_t first = vreinterpretq_s32_s16(a), second = vreinterpretq_s32_s16(b);
    int16x8_t left = vreinterpretq_s16_s32(vtrn1q_s32(first, second));  /* columns 0 and 1 */
    int16x8_t right = vreinterpretq_s16_s32(vtrn2q_s32(first, second)); /* columns 2 and 3 */
    return vreinterpretq_u16_s16(
        vpmaxq_s16(vabsq_s16(vaddq_s16(left, right)), vabsq_s16(vsubq_s16(left, right))));
}

/* One 4x4 block, or two side by side. */
XC_INLINE uint16x8_t satd_blocks(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                                 ptrdiff_t b_stride, int width)
{
    int16x8_t row[4];
    for (int y = 0; y < 4; y++)
        row[y] = differences(a + y * a_stride, b + y * b_stride, width);
    int16x8_t s01 = vaddq_s16(row[0], row[1]), d01 = vsubq_s16(row[0], row[1]);
    int16x8_t s23 = vaddq_s16(row[2], row[3]), d23 = vsubq_s16(row[2], row[3]);
    return vaddq_u16(along_rows(vaddq_s16(s01, s23), vsubq_s16(s01, s23)),
                     along_rows(vaddq_s16(d01, d23), vsubq_s16(d01, d23)));
}

XC_INLINE uint32_t satd(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride,
                        int width, int height)
{
    uint32x4_t sum = vdupq_n_u32(0);
    for (int y = 0; y < height; y += 4)
        for (int x = 0; x < width; x += 8)
            sum = vpadalq_u16(sum, satd_blocks(a + y * a_stride + x, a_stride, b + y * b_stride + x,
                                               b_stride, width));
    return vaddvq_u32(sum);
}

/* ---- The table ----------------------------------------------------------------------------- */

static void moments16x16(const uint8_t *a, ptrdiff_t stride, uint32_t *sum, uint32_t *squares)
{
    uint32x4_t total = vdupq_n_u32(0), total_squares = total;
    for (int y = 0; y < 16; y++, a += stride) {
        uint8x16_t row = vld1q_u8(a);
        total = vpadalq_u16(total, vpaddlq_u8(row));
        total_squares = vpadalq_u16(total_squares, vmull_u8(vget_low_u8(row), vget_low_u8(row)));
        total_squares = vpadalq_u16(total_squares, vmull_high_u8(row, row));
    }
    *sum = vaddvq_u32(total);
    *squares = vaddvq_u32(total_squares);
}

XC_MAKE_ALL_SATD

void xc_measure_init_neon(struct xc_dsp *dsp)
{
    set_satd(dsp);
    dsp->moments16x16 = moments16x16;
}
