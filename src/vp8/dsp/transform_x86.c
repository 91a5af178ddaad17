/*
 * Transforms for x86 (RFC 6386 section 14). A 4x4 block lies in two registers, rows 0 and 1 in one,
 * 2 and 3 in the other. Sums are of 16 bits, which hold what real streams need; the few blocks of
 * broken streams whose values between the two passes are too large go to the C kernel.
 */
#include <immintrin.h>

#include "vp8/dsp/dsp_c.h"
#include "vp8/dsp/lanes_x86.h"

XC_INLINE __m128i swap_halves(__m128i a)
{
    return _mm_shuffle_epi32(a, 0x4e);
}

struct block {
    __m128i upper, lower; /* rows 0 and 1, rows 2 and 3 */
};

XC_INLINE struct block load_block(const int16_t coefficient[16])
{
    return (struct block){_mm_loadu_si128((const __m128i *)coefficient),
                          _mm_loadu_si128((const __m128i *)(coefficient + 8))};
}

XC_INLINE void store_block(struct block b, int16_t coefficient[16])
{
    _mm_storeu_si128((__m128i *)coefficient, b.upper);
    _mm_storeu_si128((__m128i *)(coefficient + 8), b.lower);
}

XC_INLINE struct block transpose(struct block b)
{
    __m128i even = _mm_unpacklo_epi16(b.upper, b.lower), odd = _mm_unpackhi_epi16(b.upper, b.lower);
    return (struct block){_mm_unpacklo_epi16(even, odd), _mm_unpackhi_epi16(even, odd)};
}

/* Whether all values lie in [-limit, limit - 1], for a power of two. No sum of a second pass leaves 16
 * bits then: of the DCT with 8192, of the WHT, which adds up four of them and a rounding term, with 4096.
 */
XC_INLINE bool is_small(struct block b, int limit)
{
    __m128i offset = _mm_set1_epi16((int16_t)limit), beyond = _mm_set1_epi16((int16_t)(-2 * limit));
    __m128i any = _mm_or_si128(_mm_add_epi16(b.upper, offset), _mm_add_epi16(b.lower, offset));
    __m128i none = _mm_cmpeq_epi16(_mm_and_si128(any, beyond), _mm_setzero_si128());
    return _mm_movemask_epi8(none) == 0xffff;
}

/* ---- Inverse ------------------------------------------------------------------------------- */

/* One pass over columns; `rounding` is added to each result. */
XC_INLINE struct block inverse_dct_pass(struct block b, int rounding)
{
    __m128i even = _mm_unpacklo_epi64(b.upper, b.lower); /* rows 0 and 2 */
    __m128i odd = _mm_unpackhi_epi64(b.upper, b.lower);  /* rows 1 and 3 */
    __m128i negate_lower = _mm_set_epi32(0, 0, -1, -1), negate_upper = _mm_set_epi32(-1, -1, 0, 0);
    /* 35468 / 65536 as a signed factor, less 1; 20091 / 65536 of a factor of 1.3. */
    __m128i sine = _mm_add_epi16(_mm_mulhi_epi16(odd, _mm_set1_epi16(35468 - 65536)), odd);
    __m128i cosine = _mm_add_epi16(_mm_mulhi_epi16(odd, _mm_set1_epi16(20091)), odd);
    cosine = swap_halves(cosine);
    cosine = _mm_sub_epi16(_mm_xor_si128(cosine, negate_lower), negate_lower);
    __m128i cd = _mm_add_epi16(sine, cosine);
    __m128i row2 = _mm_unpackhi_epi64(even, even);
    row2 = _mm_sub_epi16(_mm_xor_si128(row2, negate_upper), negate_upper);
    __m128i ab = _mm_add_epi16(_mm_unpacklo_epi64(even, even), row2);
    ab = _mm_add_epi16(ab, _mm_set1_epi16((int16_t)rounding));
    __m128i dc = swap_halves(cd);
    return (struct block){_mm_add_epi16(ab, dc), swap_halves(_mm_sub_epi16(ab, dc))};
}

static void inverse_dct_add(const int16_t coefficient[16], uint8_t *to, ptrdiff_t stride)
{
    struct block b = inverse_dct_pass(load_block(coefficient), 0);
    if (!is_small(b, 8192)) {
        xc_inverse_dct_add_c(coefficient, to, stride);
        return;
    }
    b = transpose(inverse_dct_pass(transpose(b), 4));
    __m128i zero = _mm_setzero_si128();
    __m128i upper = _mm_unpacklo_epi32(load4(to), load4(to + stride));
    __m128i lower = _mm_unpacklo_epi32(load4(to + 2 * stride), load4(to + 3 * stride));
    upper = _mm_add_epi16(_mm_unpacklo_epi8(upper, zero), _mm_srai_epi16(b.upper, 3));
    lower = _mm_add_epi16(_mm_unpacklo_epi8(lower, zero), _mm_srai_epi16(b.lower, 3));
    __m128i sum = _mm_packus_epi16(upper, lower);
    for (int row = 0; row < 4; row++) {
        store4(to + row * stride, sum);
        sum = _mm_srli_si128(sum, 4);
    }
}

static void inverse_dct_add_dc(int dc, uint8_t *to, ptrdiff_t stride)
{
    __m128i value = _mm_set1_epi16((int16_t)((dc + 4) >> 3)), zero = _mm_setzero_si128();
    __m128i up = _mm_packus_epi16(value, value);
    __m128i down = _mm_sub_epi16(zero, value);
    down = _mm_packus_epi16(down, down);
    for (int row = 0; row < 4; row++)
        store4(to + row * stride, _mm_subs_epu8(_mm_adds_epu8(load4(to + row * stride), up), down));
}

/* Repeats each of the first four bytes four times. */
XC_INLINE __m128i spread(__m128i a)
{
    a = _mm_unpacklo_epi8(a, a);
    return _mm_unpacklo_epi16(a, a);
}

static void inverse_dct_add_dc4(const int16_t dc[4], uint8_t *to, ptrdiff_t stride)
{
    __m128i value = _mm_loadl_epi64((const __m128i *)dc), zero = _mm_setzero_si128();
    value = _mm_srai_epi16(_mm_adds_epi16(value, _mm_set1_epi16(4)), 3);
    __m128i up = spread(_mm_packus_epi16(value, value));
    __m128i down = _mm_sub_epi16(zero, value);
    down = spread(_mm_packus_epi16(down, down));
    for (int row = 0; row < 4; row++) {
        __m128i *at = (__m128i *)(to + row * stride);
        _mm_storeu_si128(at, _mm_subs_epu8(_mm_adds_epu8(_mm_loadu_si128(at), up), down));
    }
}

XC_INLINE struct block inverse_wht_pass(struct block b, int rounding)
{
    __m128i other = swap_halves(b.lower), bias = _mm_set1_epi16((int16_t)rounding);
    __m128i ab = _mm_add_epi16(b.upper, other), dc = _mm_sub_epi16(b.upper, other);
    __m128i ad = _mm_add_epi16(_mm_unpacklo_epi64(ab, dc), bias);
    __m128i bc = _mm_unpackhi_epi64(ab, dc);
    return (struct block){_mm_add_epi16(ad, bc), _mm_sub_epi16(ad, bc)};
}

static void inverse_wht(const int16_t input[16], int16_t dc[16])
{
    struct block b = inverse_wht_pass(load_block(input), 0);
    if (!is_small(b, 4096)) {
        xc_inverse_wht_c(input, dc);
        return;
    }
    b = transpose(inverse_wht_pass(transpose(b), 3));
    b.upper = _mm_srai_epi16(b.upper, 3);
    b.lower = _mm_srai_epi16(b.lower, 3);
    store_block(b, dc);
}

/* ---- Forward ------------------------------------------------------------------------------- */

/* Rows of four differences each, as 16 bits. */
XC_INLINE __m128i two_differences(const uint8_t *source, ptrdiff_t source_stride,
                                  const uint8_t *prediction, ptrdiff_t prediction_stride)
{
    __m128i zero = _mm_setzero_si128();
    __m128i s = _mm_unpacklo_epi32(load4(source), load4(source + source_stride));
    __m128i p = _mm_unpacklo_epi32(load4(prediction), load4(prediction + prediction_stride));
    return _mm_sub_epi16(_mm_unpacklo_epi8(s, zero), _mm_unpacklo_epi8(p, zero));
}

/* (c * 2217 + d * 5352 + first) >> shift in the lower half, (d * 2217 - c * 5352 + second) >> shift
 * in the upper half, for c and d in the halves of `cd`. */
XC_INLINE __m128i rotate(__m128i cd, int first, int second, int shift)
{
    __m128i pairs = _mm_unpacklo_epi16(cd, swap_halves(cd)); /* c, d, c, d ... */
    __m128i sum = _mm_madd_epi16(pairs, _mm_set1_epi32(5352 * 65536 + 2217));
    __m128i other = _mm_madd_epi16(pairs, _mm_set1_epi32(2217 * 65536 + (-5352 & 0xffff)));
    sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(first)), shift);
    other = _mm_srai_epi32(_mm_add_epi32(other, _mm_set1_epi32(second)), shift);
    return _mm_packs_epi32(sum, other);
}

/* The sums and differences that both passes begin with: a, b in the halves of one register, d, c in
 * those of the other; from columns (or rows) 0 .. 3. */
XC_INLINE void butterfly(struct block b, __m128i *ab, __m128i *dc)
{
    __m128i other = swap_halves(b.lower); /* 3 and 2 */
    *ab = _mm_add_epi16(b.upper, other);
    *dc = _mm_sub_epi16(b.upper, other);
}

/* a + b in the lower half, a - b in the upper one. */
XC_INLINE __m128i sum_and_difference(__m128i ab)
{
    __m128i negate_upper = _mm_set_epi32(-1, -1, 0, 0);
    __m128i b = _mm_unpackhi_epi64(ab, ab);
    b = _mm_sub_epi16(_mm_xor_si128(b, negate_upper), negate_upper);
    return _mm_add_epi16(_mm_unpacklo_epi64(ab, ab), b);
}

static void forward_dct(const uint8_t *source, ptrdiff_t source_stride, const uint8_t *prediction,
                        ptrdiff_t prediction_stride, int16_t coefficient[16])
{
    struct block b = {two_differences(source, source_stride, prediction, prediction_stride),
                      two_differences(source + 2 * source_stride, source_stride,
                                      prediction + 2 * prediction_stride, prediction_stride)};
    __m128i ab, dc;
    butterfly(transpose(b), &ab, &dc);
    __m128i even = sum_and_difference(_mm_slli_epi16(ab, 3));
    __m128i odd = rotate(swap_halves(_mm_slli_epi16(dc, 3)), 14500, 7500, 12);
    b = (struct block){_mm_unpacklo_epi64(even, odd), _mm_unpackhi_epi64(even, odd)};
    butterfly(transpose(b), &ab, &dc);
    even = _mm_srai_epi16(_mm_add_epi16(sum_and_difference(ab), _mm_set1_epi16(7)), 4);
    odd = rotate(swap_halves(dc), 12000, 51000, 16);
    /* One more in row 1 where d is not 0. */
    __m128i one = _mm_set_epi16(0, 0, 0, 0, 1, 1, 1, 1);
    odd = _mm_add_epi16(odd, _mm_andnot_si128(_mm_cmpeq_epi16(dc, _mm_setzero_si128()), one));
    store_block((struct block){_mm_unpacklo_epi64(even, odd), _mm_unpackhi_epi64(even, odd)},
                coefficient);
}

#ifdef __AVX2__

/* Four blocks in four registers: block 0 and 2 in the quarters of the lower and upper halves that come first,
 * 1 and 3 in those behind them; row (or column) i of all in register i. */
struct four_blocks {
    __m256i line[4];
};

XC_INLINE __m256i eight_differences(const uint8_t *const source[2], ptrdiff_t source_at,
                                    const uint8_t *const prediction[2], ptrdiff_t prediction_at)
{
    __m128i s = _mm_unpacklo_epi64(load8(source[0] + source_at), load8(source[1] + source_at));
    __m128i p = _mm_unpacklo_epi64(load8(prediction[0] + prediction_at),
                                   load8(prediction[1] + prediction_at));
    return _mm256_sub_epi16(_mm256_cvtepu8_epi16(s), _mm256_cvtepu8_epi16(p));
}

XC_INLINE struct four_blocks transpose_four(struct four_blocks b)
{
    __m256i low01 = _mm256_unpacklo_epi16(b.line[0], b.line[1]); /* blocks 0 and 2 */
    __m256i low23 = _mm256_unpacklo_epi16(b.line[2], b.line[3]);
    __m256i high01 = _mm256_unpackhi_epi16(b.line[0], b.line[1]); /* blocks 1 and 3 */
    __m256i high23 = _mm256_unpackhi_epi16(b.line[2], b.line[3]);
    __m256i first = _mm256_unpacklo_epi32(low01, low23),
            second = _mm256_unpackhi_epi32(low01, low23);
    __m256i third = _mm256_unpacklo_epi32(high01, high23);
    __m256i fourth = _mm256_unpackhi_epi32(high01, high23);
    return (struct four_blocks){
        {_mm256_unpacklo_epi64(first, third), _mm256_unpackhi_epi64(first, third),
         _mm256_unpacklo_epi64(second, fourth), _mm256_unpackhi_epi64(second, fourth)}};
}

/* (x * 2217 + y * 5352 + rounding) >> shift */
XC_INLINE __m256i rotate_four(__m256i x, __m256i y, int taps, int rounding, int shift)
{
    __m256i bias = _mm256_set1_epi32(rounding), tap = _mm256_set1_epi32(taps);
    __m256i low = _mm256_madd_epi16(_mm256_unpacklo_epi16(x, y), tap);
    __m256i high = _mm256_madd_epi16(_mm256_unpackhi_epi16(x, y), tap);
    return _mm256_packs_epi32(_mm256_srai_epi32(_mm256_add_epi32(low, bias), shift),
                              _mm256_srai_epi32(_mm256_add_epi32(high, bias), shift));
}

enum { COSINE_AND_SINE = 5352 * 65536 + 2217, SINE_AND_COSINE = 2217 * 65536 + (-5352 & 0xffff) };

static void forward_dct4(const uint8_t *const source[2], ptrdiff_t source_stride,
                         const uint8_t *const prediction[2], ptrdiff_t prediction_stride,
                         int16_t coefficient[64])
{
    struct four_blocks b;
    for (int i = 0; i < 4; i++)
        b.line[i] = _mm256_slli_epi16(
            eight_differences(source, i * source_stride, prediction, i * prediction_stride), 3);
    b = transpose_four(b);
    __m256i sum03 = _mm256_add_epi16(b.line[0], b.line[3]);
    __m256i sum12 = _mm256_add_epi16(b.line[1], b.line[2]);
    __m256i c = _mm256_sub_epi16(b.line[1], b.line[2]), d = _mm256_sub_epi16(b.line[0], b.line[3]);
    b.line[0] = _mm256_add_epi16(sum03, sum12);
    b.line[1] = rotate_four(c, d, COSINE_AND_SINE, 14500, 12);
    b.line[2] = _mm256_sub_epi16(sum03, sum12);
    b.line[3] = rotate_four(c, d, SINE_AND_COSINE, 7500, 12);
    b = transpose_four(b);
    __m256i seven = _mm256_set1_epi16(7), zero = _mm256_setzero_si256();
    sum03 = _mm256_add_epi16(_mm256_add_epi16(b.line[0], b.line[3]), seven);
    sum12 = _mm256_add_epi16(b.line[1], b.line[2]);
    c = _mm256_sub_epi16(b.line[1], b.line[2]);
    d = _mm256_sub_epi16(b.line[0], b.line[3]);
    __m256i row0 = _mm256_srai_epi16(_mm256_add_epi16(sum03, sum12), 4);
    __m256i row2 = _mm256_srai_epi16(_mm256_sub_epi16(sum03, sum12), 4);
    /* One more where d is not 0. */
    __m256i row1 =
        _mm256_add_epi16(rotate_four(c, d, COSINE_AND_SINE, 12000, 16),
                         _mm256_add_epi16(_mm256_cmpeq_epi16(d, zero), _mm256_set1_epi16(1)));
    __m256i row3 = rotate_four(c, d, SINE_AND_COSINE, 51000, 16);
    __m256i upper0 = _mm256_unpacklo_epi64(row0, row1), upper1 = _mm256_unpackhi_epi64(row0, row1);
    __m256i lower0 = _mm256_unpacklo_epi64(row2, row3), lower1 = _mm256_unpackhi_epi64(row2, row3);
    __m256i *to = (__m256i *)coefficient;
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(upper0, lower0, 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(upper1, lower1, 0x20));
    _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(upper0, lower0, 0x31));
    _mm256_storeu_si256(to + 3, _mm256_permute2x128_si256(upper1, lower1, 0x31));
}

#else
XC_MAKE_FORWARD_DCT4
#endif

/* The DCs of blocks 0, 4, 8 and 12, counted from `coefficient` on. */
XC_INLINE __m128i load_column_of_dcs(const int16_t *coefficient)
{
    return _mm_setr_epi16(coefficient[0], coefficient[64], coefficient[128], coefficient[192], 0, 0,
                          0, 0);
}

/* x / 8 rounded to the nearest, halves towards zero. */
XC_INLINE __m128i eighths(__m128i x)
{
    x = _mm_sub_epi32(x, _mm_srai_epi32(x, 31));
    return _mm_srai_epi32(_mm_add_epi32(x, _mm_set1_epi32(3)), 3);
}

/* The first pass stays within 16 bits, as no DC is beyond 2040; the second one has 32. */
static void forward_wht(const int16_t *coefficient, int16_t output[16])
{
    __m128i column01 =
        _mm_unpacklo_epi64(load_column_of_dcs(coefficient), load_column_of_dcs(coefficient + 16));
    __m128i column23 = _mm_unpacklo_epi64(load_column_of_dcs(coefficient + 32),
                                          load_column_of_dcs(coefficient + 48));
    __m128i ad = _mm_slli_epi16(_mm_add_epi16(column01, column23), 2);
    __m128i bc = _mm_slli_epi16(_mm_sub_epi16(column01, column23), 2);
    __m128i none = _mm_cmpeq_epi16(ad, _mm_setzero_si128());
    __m128i da = swap_halves(ad), cb = swap_halves(bc);
    /* In the lower halves: one more where a is not 0. */
    __m128i column0 = _mm_add_epi16(_mm_add_epi16(ad, da), _mm_add_epi16(none, _mm_set1_epi16(1)));
    __m128i even = _mm_unpacklo_epi16(column0, _mm_add_epi16(bc, cb));
    __m128i odd = _mm_unpacklo_epi16(_mm_sub_epi16(bc, cb), _mm_sub_epi16(ad, da));
    __m128i row01 = _mm_unpacklo_epi32(even, odd), row23 = _mm_unpackhi_epi32(even, odd);
    __m128i row02 = _mm_unpacklo_epi16(row01, row23), row13 = _mm_unpackhi_epi16(row01, row23);
    __m128i plus = _mm_set1_epi16(1), minus = _mm_set1_epi32(-65536 + 1);
    __m128i a = _mm_madd_epi16(row02, plus), b = _mm_madd_epi16(row02, minus);
    __m128i c = _mm_madd_epi16(row13, minus), d = _mm_madd_epi16(row13, plus);
    store_block(
        (struct block){_mm_packs_epi32(eighths(_mm_add_epi32(a, d)), eighths(_mm_add_epi32(b, c))),
                       _mm_packs_epi32(eighths(_mm_sub_epi32(b, c)), eighths(_mm_sub_epi32(a, d)))},
        output);
}

/* ---- Quantization -------------------------------------------------------------------------- */

#ifdef __AVX2__
static uint32_t coded_blocks(const int16_t *coefficient, int count, const int16_t least[16])
{
    __m256i most =
        _mm256_sub_epi16(_mm256_loadu_si256((const __m256i *)least), _mm256_set1_epi16(1));
    uint32_t mask = 0;
    for (int i = 0; i < count; i++) {
        __m256i value = _mm256_loadu_si256((const __m256i *)(coefficient + 16 * i));
        __m256i beyond = _mm256_cmpgt_epi16(_mm256_abs_epi16(value), most);
        mask |= (uint32_t)!_mm256_testz_si256(beyond, beyond) << i;
    }
    return mask;
}
#else
XC_INLINE __m128i beyond(const int16_t *coefficient, __m128i most)
{
    __m128i value = _mm_loadu_si128((const __m128i *)coefficient);
    value = _mm_max_epi16(value, _mm_sub_epi16(_mm_setzero_si128(), value));
    return _mm_cmpgt_epi16(value, most);
}

static uint32_t coded_blocks(const int16_t *coefficient, int count, const int16_t least[16])
{
    struct block most = load_block(least);
    uint32_t mask = 0;
    most.upper = _mm_sub_epi16(most.upper, _mm_set1_epi16(1));
    most.lower = _mm_sub_epi16(most.lower, _mm_set1_epi16(1));
    for (int i = 0; i < count; i++, coefficient += 16) {
        __m128i any =
            _mm_or_si128(beyond(coefficient, most.upper), beyond(coefficient + 8, most.lower));
        mask |= (uint32_t)(_mm_movemask_epi8(any) != 0) << i;
    }
    return mask;
}
#endif

void XC_AT_LEVEL(xc_transform_init)(struct xc_dsp *dsp)
{
    XC_SET_TRANSFORMS(dsp);
}
