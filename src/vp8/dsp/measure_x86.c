/* Difference measures for x86. Sums of absolute differences and of squares are left to C, of which
 * compilers make what could be written here. */
#include <immintrin.h>

#include "vp8/dsp/dsp_c.h"
#include "vp8/dsp/lanes_x86.h"

/* Eight samples, or four and four zeros, as 16 bits. */
XC_INLINE __m128i load_wide(const uint8_t *from, int width)
{
    return _mm_unpacklo_epi8(width >= 8 ? load8(from) : load4(from), _mm_setzero_si128());
}

XC_INLINE __m128i differences(const uint8_t *a, const uint8_t *b, int width)
{
    return _mm_sub_epi16(load_wide(a, width), load_wide(b, width));
}

XC_INLINE uint32_t sum_of_lanes(__m128i a)
{
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0x4e));
    a = _mm_add_epi32(a, _mm_shuffle_epi32(a, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(a);
}

/* ---- Hadamard transform -------------------------------------------------------------------- */

XC_INLINE __m128i magnitude(__m128i a)
{
#ifdef __SSSE3__
    return _mm_abs_epi16(a);
#else
    return _mm_max_epi16(a, _mm_sub_epi16(_mm_setzero_si128(), a));
#endif
}

/* The transform along two rows of two blocks each, and the halved sum of its magnitudes, as pairs of
 * 16 bits in which |s + t| + |s - t| = 2 max(|s|, |t|) is both the last step and the halving. */
XC_INLINE __m128i along_rows(__m128i a, __m128i b)
{
    __m128 first = _mm_castsi128_ps(a), second = _mm_castsi128_ps(b);
    __m128i left = _mm_castps_si128(_mm_shuffle_ps(first, second, 0x88));  /* columns 0 and 1 */
    __m128i right = _mm_castps_si128(_mm_shuffle_ps(first, second, 0xdd)); /* columns 2 and 3 */
    __m128i sum = magnitude(_mm_add_epi16(left, right));
    __m128i difference = magnitude(_mm_sub_epi16(left, right));
    sum = _mm_max_epi16(sum, _mm_srli_epi32(sum, 16));                      /* in the lower lane */
    difference = _mm_max_epi16(difference, _mm_slli_epi32(difference, 16)); /* in the upper one */
    __m128i lower = _mm_set1_epi32(0xffff);
    return _mm_or_si128(_mm_and_si128(lower, sum), _mm_andnot_si128(lower, difference));
}

/* One 4x4 block, or two side by side. */
XC_INLINE __m128i satd_blocks(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                              ptrdiff_t b_stride, int width)
{
    __m128i row[4];
    for (int y = 0; y < 4; y++)
        row[y] = differences(a + y * a_stride, b + y * b_stride, width);
    __m128i s01 = _mm_add_epi16(row[0], row[1]), d01 = _mm_sub_epi16(row[0], row[1]);
    __m128i s23 = _mm_add_epi16(row[2], row[3]), d23 = _mm_sub_epi16(row[2], row[3]);
    __m128i sums = along_rows(_mm_add_epi16(s01, s23), _mm_sub_epi16(s01, s23));
    __m128i others = along_rows(_mm_add_epi16(d01, d23), _mm_sub_epi16(d01, d23));
    return _mm_madd_epi16(_mm_add_epi16(sums, others), _mm_set1_epi16(1));
}

XC_INLINE uint32_t satd(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b, ptrdiff_t b_stride,
                        int width, int height)
{
    __m128i sum = _mm_setzero_si128();
    for (int y = 0; y < height; y += 4)
        for (int x = 0; x < width; x += 8)
            sum = _mm_add_epi32(sum, satd_blocks(a + y * a_stride + x, a_stride,
                                                 b + y * b_stride + x, b_stride, width));
    return sum_of_lanes(sum);
}

/* ---- The table ----------------------------------------------------------------------------- */

static void moments16x16(const uint8_t *a, ptrdiff_t stride, uint32_t *sum, uint32_t *squares)
{
    __m128i total = _mm_setzero_si128(), total_squares = total, zero = total;
    for (int y = 0; y < 16; y++, a += stride) {
        __m128i row = _mm_loadu_si128((const __m128i *)a);
        __m128i low = _mm_unpacklo_epi8(row, zero), high = _mm_unpackhi_epi8(row, zero);
        total = _mm_add_epi32(total, _mm_sad_epu8(row, zero));
        total_squares = _mm_add_epi32(
            total_squares, _mm_add_epi32(_mm_madd_epi16(low, low), _mm_madd_epi16(high, high)));
    }
    *sum = sum_of_lanes(total);
    *squares = sum_of_lanes(total_squares);
}

XC_MAKE_ALL_SATD

void XC_AT_LEVEL(xc_measure_init)(struct xc_dsp *dsp)
{
    set_satd(dsp);
    dsp->moments16x16 = moments16x16;
}
