/*
 * Prediction for x86 (RFC 6386 sections 12 and 18). The filters multiply unsigned samples by signed
 * taps in pairs, which is what SSSE3's maddubs does; plain SSE2 has nothing better than C's.
 */
#include <immintrin.h>

#include "vp8/dsp/lanes_x86.h"

/* ---- Inter prediction ---------------------------------------------------------------------- */

#ifdef __SSSE3__

/* Stores the first `width` samples, 4 or 8. */
XC_INLINE void store(uint8_t *to, __m128i samples, int width)
{
    if (width == 8)
        _mm_storel_epi64((__m128i *)to, samples);
    else
        store4(to, samples);
}

/* Two taps in each 16-bit lane, for the samples of a pair. */
XC_INLINE __m128i tap_pair(int first, int second)
{
    return _mm_set1_epi16((int16_t)((first & 0xff) | second * 256));
}

/* The taps 0 .. 5 in the pairs (1, 2), (3, 4) and (0, 5): none of their sums leaves 16 bits, and as
 * the last pair has no negative tap, sums may saturate, since nothing takes from them after that. */
struct taps {
    __m128i near, far, outer;
};

XC_INLINE struct taps load_taps(const int16_t tap[6])
{
    return (struct taps){tap_pair(tap[1], tap[2]), tap_pair(tap[3], tap[4]),
                         tap_pair(tap[0], tap[5])};
}

/* The filter's value in each 16-bit lane, not yet clamped. */
XC_INLINE __m128i apply(const struct taps *taps, __m128i near, __m128i far, __m128i outer)
{
    __m128i sum =
        _mm_adds_epi16(_mm_maddubs_epi16(near, taps->near), _mm_maddubs_epi16(far, taps->far));
    sum = _mm_adds_epi16(sum, _mm_maddubs_epi16(outer, taps->outer));
    return _mm_srai_epi16(_mm_adds_epi16(sum, _mm_set1_epi16(64)), 7);
}

/* Samples -2 .. 5 and 3 .. 10 around `s`: no more than eight filtered samples need. `width` is 4 or
 * 8; of four samples it reads up to 6. */
XC_INLINE __m128i load_around(const uint8_t *s, int width)
{
    return _mm_unpacklo_epi64(load8(s - 2), width == 8 ? load8(s + 3) : load4(s + 3));
}

/* Where in these the pairs of taps apply. */
#define NEAR_PAIRS _mm_setr_epi8(1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 11, 11, 12)
#define FAR_PAIRS _mm_setr_epi8(3, 4, 4, 5, 5, 6, 6, 7, 7, 11, 11, 12, 12, 13, 13, 14)
#define OUTER_PAIRS _mm_setr_epi8(0, 5, 1, 6, 2, 7, 3, 11, 4, 12, 5, 13, 6, 14, 7, 15)

XC_INLINE __m128i across8(const struct taps *taps, __m128i around)
{
    return apply(taps, _mm_shuffle_epi8(around, NEAR_PAIRS), _mm_shuffle_epi8(around, FAR_PAIRS),
                 _mm_shuffle_epi8(around, OUTER_PAIRS));
}

#ifdef __AVX2__

struct wide_taps {
    __m256i near, far, outer;
};

XC_INLINE struct wide_taps widen(const struct taps *taps)
{
    return (struct wide_taps){_mm256_broadcastsi128_si256(taps->near),
                              _mm256_broadcastsi128_si256(taps->far),
                              _mm256_broadcastsi128_si256(taps->outer)};
}

XC_INLINE __m256i apply_wide(const struct wide_taps *taps, __m256i near, __m256i far, __m256i outer)
{
    __m256i sum = _mm256_adds_epi16(_mm256_maddubs_epi16(near, taps->near),
                                    _mm256_maddubs_epi16(far, taps->far));
    sum = _mm256_adds_epi16(sum, _mm256_maddubs_epi16(outer, taps->outer));
    return _mm256_srai_epi16(_mm256_adds_epi16(sum, _mm256_set1_epi16(64)), 7);
}

/* Sixteen samples of a row: eight in each lane, from samples -2 .. 13 and 3 .. 18. */
XC_INLINE void across16(const struct wide_taps *taps, uint8_t *to, const uint8_t *s)
{
    const __m256i near =
        _mm256_setr_epi8(1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, /* next lane */
                         4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12);
    const __m256i two = _mm256_set1_epi8(2);
    const __m256i outer =
        _mm256_setr_epi8(0, 5, 1, 6, 2, 7, 3, 8, 4, 9, 5, 10, 6, 11, 7, 12, /* next lane */
                         3, 8, 4, 9, 5, 10, 6, 11, 7, 12, 8, 13, 9, 14, 10, 15);
    __m256i around = _mm256_set_m128i(load16(s + 3), load16(s - 2));
    __m256i sum = apply_wide(taps, _mm256_shuffle_epi8(around, near),
                             _mm256_shuffle_epi8(around, _mm256_add_epi8(near, two)),
                             _mm256_shuffle_epi8(around, outer));
    _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(_mm256_castsi256_si128(sum),
                                                     _mm256_extracti128_si256(sum, 1)));
}

/* Two rows of 8 or 4 samples, one in each lane. */
XC_INLINE void across_two(const struct wide_taps *taps, uint8_t *to, ptrdiff_t to_stride,
                          const uint8_t *s, ptrdiff_t stride, int width)
{
    __m256i around = _mm256_set_m128i(load_around(s + stride, width), load_around(s, width));
    __m256i sum =
        apply_wide(taps, _mm256_shuffle_epi8(around, _mm256_broadcastsi128_si256(NEAR_PAIRS)),
                   _mm256_shuffle_epi8(around, _mm256_broadcastsi128_si256(FAR_PAIRS)),
                   _mm256_shuffle_epi8(around, _mm256_broadcastsi128_si256(OUTER_PAIRS)));
    sum = _mm256_packus_epi16(sum, sum);
    store(to, _mm256_castsi256_si128(sum), width);
    store(to + to_stride, _mm256_extracti128_si256(sum, 1), width);
}

/* Two rows, one in each lane, from `s` on. */
XC_INLINE __m256i load_two(const uint8_t *s, ptrdiff_t stride, int width)
{
    if (width == 16)
        return _mm256_set_m128i(load16(s + stride), load16(s));
    return _mm256_set_m128i(load8(s + stride), load8(s));
}

/* Filters rows two by two; `width` is 16 or 8, `height` even. */
XC_INLINE void down_wide(const struct taps *narrow, uint8_t *to, ptrdiff_t to_stride,
                         const uint8_t *s, ptrdiff_t stride, int width, int height)
{
    struct wide_taps taps = widen(narrow);
    __m256i row[6];
    for (int i = 0; i < 4; i++)
        row[i] = load_two(s + (i - 2) * stride, stride, width);
    for (int y = 0; y < height; y += 2, to += 2 * to_stride) {
        row[4] = load_two(s + (y + 2) * stride, stride, width);
        row[5] = load_two(s + (y + 3) * stride, stride, width);
        __m256i low =
            apply_wide(&taps, _mm256_unpacklo_epi8(row[1], row[2]),
                       _mm256_unpacklo_epi8(row[3], row[4]), _mm256_unpacklo_epi8(row[0], row[5]));
        __m256i high = low;
        if (width == 16)
            high = apply_wide(&taps, _mm256_unpackhi_epi8(row[1], row[2]),
                              _mm256_unpackhi_epi8(row[3], row[4]),
                              _mm256_unpackhi_epi8(row[0], row[5]));
        __m256i two = _mm256_packus_epi16(low, high);
        if (width == 16) {
            _mm_storeu_si128((__m128i *)to, _mm256_castsi256_si128(two));
            _mm_storeu_si128((__m128i *)(to + to_stride), _mm256_extracti128_si256(two, 1));
        } else {
            store(to, _mm256_castsi256_si128(two), 8);
            store(to + to_stride, _mm256_extracti128_si256(two, 1), 8);
        }
        for (int i = 0; i < 4; i++)
            row[i] = row[i + 2];
    }
}
#endif

#ifdef __AVX2__
XC_INLINE void six_tap_across(const struct taps *narrow, uint8_t *to, ptrdiff_t to_stride,
                              const uint8_t *s, ptrdiff_t stride, int width, int height)
{
    struct wide_taps taps = widen(narrow);
    int y = 0;
    if (width == 16) {
        for (; y < height; y++)
            across16(&taps, to + y * to_stride, s + y * stride);
        return;
    }
    for (; y + 1 < height; y += 2)
        across_two(&taps, to + y * to_stride, to_stride, s + y * stride, stride, width);
    if (y < height) {
        __m128i sum = across8(narrow, load_around(s + y * stride, width));
        store(to + y * to_stride, _mm_packus_epi16(sum, sum), width);
    }
}
#else
XC_INLINE void six_tap_across(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride,
                              const uint8_t *s, ptrdiff_t stride, int width, int height)
{
    for (int y = 0; y < height; y++, to += to_stride, s += stride) {
        if (width == 16) {
            __m128i left = across8(taps, load_around(s, 8));
            __m128i right = across8(taps, load_around(s + 8, 8));
            _mm_storeu_si128((__m128i *)to, _mm_packus_epi16(left, right));
        } else {
            __m128i sum = across8(taps, load_around(s, width));
            store(to, _mm_packus_epi16(sum, sum), width);
        }
    }
}
#endif

/* Eight lanes of neighbours in a column: those of a row, or four of a row and four of the next. */
XC_INLINE __m128i load_lanes(const uint8_t *s, ptrdiff_t stride, int width)
{
    return width == 4 ? _mm_unpacklo_epi32(load4(s), load4(s + stride)) : load8(s);
}

XC_INLINE __m128i down8(const struct taps *taps, const uint8_t *s, ptrdiff_t stride, int width)
{
    __m128i row[6];
    for (int i = 0; i < 6; i++)
        row[i] = load_lanes(s + (i - 2) * stride, stride, width);
    return apply(taps, _mm_unpacklo_epi8(row[1], row[2]), _mm_unpacklo_epi8(row[3], row[4]),
                 _mm_unpacklo_epi8(row[0], row[5]));
}

XC_INLINE void six_tap_down(const struct taps *taps, uint8_t *to, ptrdiff_t to_stride,
                            const uint8_t *s, ptrdiff_t stride, int width, int height)
{
    if (width == 4) {
        for (int y = 0; y < height; y += 2, to += 2 * to_stride, s += 2 * stride) {
            __m128i sum = down8(taps, s, stride, 4), two = _mm_packus_epi16(sum, sum);
            store(to, two, 4);
            store(to + to_stride, _mm_srli_si128(two, 4), 4);
        }
        return;
    }
#ifdef __AVX2__
    down_wide(taps, to, to_stride, s, stride, width, height);
#else
    for (int y = 0; y < height; y++, to += to_stride, s += stride) {
        for (int x = 0; x < width; x += 8) {
            __m128i sum = down8(taps, s + x, stride, 8);
            store(to + x, _mm_packus_epi16(sum, sum), 8);
        }
    }
#endif
}

/* One pass of the bilinear filter along the direction in which neighbours are `step` apart. */
XC_INLINE void bilinear_pass(uint8_t *to, ptrdiff_t to_stride, const uint8_t *s, ptrdiff_t stride,
                             ptrdiff_t step, int fraction, int width, int height)
{
    __m128i taps = tap_pair(128 - 16 * fraction, 16 * fraction), half = _mm_set1_epi16(64);
    for (int y = 0; y < height; y++, to += to_stride, s += stride) {
        for (int x = 0; x < width; x += 8) {
            __m128i near = width == 4 ? load4(s) : load8(s + x);
            __m128i far = width == 4 ? load4(s + step) : load8(s + x + step);
            __m128i sum = _mm_maddubs_epi16(_mm_unpacklo_epi8(near, far), taps);
            sum = _mm_srli_epi16(_mm_add_epi16(sum, half), 7);
            store(to + x, _mm_packus_epi16(sum, sum), width == 4 ? 4 : 8);
        }
    }
}

#include "vp8/dsp/predict_inter.h"
#endif

/* ---- Intra prediction ---------------------------------------------------------------------- */

/* above + left - corner, clamped. */
static void true_motion(uint8_t *to, ptrdiff_t stride, const uint8_t *above, const uint8_t *left,
                        int size)
{
    __m128i zero = _mm_setzero_si128();
    __m128i row = size == 16 ? load16(above) : _mm_loadl_epi64((const __m128i *)above);
    __m128i low = _mm_unpacklo_epi8(row, zero), high = _mm_unpackhi_epi8(row, zero);
    for (int y = 0; y < size; y++, to += stride) {
        __m128i step = _mm_set1_epi16((int16_t)(left[y] - above[-1]));
        __m128i sum = _mm_packus_epi16(_mm_add_epi16(low, step), _mm_add_epi16(high, step));
        if (size == 16)
            _mm_storeu_si128((__m128i *)to, sum);
        else
            _mm_storel_epi64((__m128i *)to, sum);
    }
}

void XC_AT_LEVEL(xc_predict_init)(struct xc_dsp *dsp)
{
#ifdef __SSSE3__
    set_inter(dsp);
#endif
    dsp->true_motion = true_motion;
}
