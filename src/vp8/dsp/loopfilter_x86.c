/*
 * The loop filters for x86 (RFC 6386 section 15), sixteen lines across an edge at a time: a
 * macroblock's luma, or its U and V side by side. A macroblock is loaded once for all of its edges of
 * a direction, which are then filtered in registers, one after the other as the format wants.
 */
#include <immintrin.h>

#include "vp8/dsp/lanes_x86.h"

/* Limits of an edge, in each lane. */
struct thresholds {
    __m128i edge, interior, high_variance;
};

XC_INLINE struct thresholds thresholds(const struct filter_limits *limits, uint8_t edge)
{
    return (struct thresholds){
        .edge = _mm_set1_epi8((char)edge),
        .interior = _mm_set1_epi8((char)limits->interior),
        .high_variance = _mm_set1_epi8((char)limits->high_variance),
    };
}

/* ---- Arithmetic on lanes ------------------------------------------------------------------- */

XC_INLINE __m128i difference(__m128i a, __m128i b)
{
    return _mm_or_si128(_mm_subs_epu8(a, b), _mm_subs_epu8(b, a));
}

/* All ones where a <= b, else zeros. */
XC_INLINE __m128i at_most(__m128i a, __m128i b)
{
    return _mm_cmpeq_epi8(_mm_subs_epu8(a, b), _mm_setzero_si128());
}

XC_INLINE __m128i flip_sign(__m128i a)
{
    return _mm_xor_si128(a, _mm_set1_epi8((char)0x80));
}

/* Signed value >> 3, from one that was made unsigned by adding 128; the result has 16 added. */
XC_INLINE __m128i biased_eighth(__m128i a)
{
    return _mm_and_si128(_mm_srli_epi16(a, 3), _mm_set1_epi8(31));
}

/* v[0..3] are p3 .. p0, v[4..7] are q0 .. q3. */
XC_INLINE __m128i within_edge_limit(const __m128i v[8], __m128i limit)
{
    __m128i step = difference(v[3], v[4]);
    __m128i half = _mm_srli_epi16(_mm_and_si128(difference(v[2], v[5]), _mm_set1_epi8(-2)), 1);
    return at_most(_mm_adds_epu8(_mm_adds_epu8(step, step), half), limit);
}

/* Where the normal filters apply, and where the variance beside the edge is high. */
XC_INLINE __m128i normal_mask(const __m128i v[8], const struct thresholds *limits, __m128i *high)
{
    __m128i near = _mm_max_epu8(difference(v[2], v[3]), difference(v[5], v[4]));
    __m128i far = _mm_max_epu8(_mm_max_epu8(difference(v[0], v[1]), difference(v[1], v[2])),
                               _mm_max_epu8(difference(v[7], v[6]), difference(v[6], v[5])));
    *high = _mm_xor_si128(at_most(near, limits->high_variance), _mm_set1_epi8(-1));
    return _mm_and_si128(at_most(_mm_max_epu8(near, far), limits->interior),
                         within_edge_limit(v, limits->edge));
}

/* clamp(outer + 3 * (q0 - p0)); the steps' clamping changes nothing, as all go one way. */
XC_INLINE __m128i filter_value(__m128i outer, __m128i p0, __m128i q0)
{
    __m128i step = _mm_subs_epi8(q0, p0);
    return _mm_adds_epi8(_mm_adds_epi8(_mm_adds_epi8(outer, step), step), step);
}

/* Section 15.2's common_adjust on p0 and q0; returns how far q0 moved, with 16 added. */
XC_INLINE __m128i adjust(__m128i value, __m128i *p0, __m128i *q0)
{
    __m128i bias = _mm_set1_epi8(16), positive = flip_sign(value);
    __m128i down = biased_eighth(_mm_adds_epu8(positive, _mm_set1_epi8(4)));
    __m128i up = biased_eighth(_mm_adds_epu8(positive, _mm_set1_epi8(3)));
    *q0 = _mm_subs_epi8(*q0, _mm_sub_epi8(down, bias));
    *p0 = _mm_adds_epi8(*p0, _mm_sub_epi8(up, bias));
    return down;
}

XC_INLINE void simple_edge(__m128i v[8], const struct thresholds *limits)
{
    __m128i mask = within_edge_limit(v, limits->edge);
    __m128i p0 = flip_sign(v[3]), q0 = flip_sign(v[4]);
    __m128i outer = _mm_subs_epi8(flip_sign(v[2]), flip_sign(v[5]));
    adjust(_mm_and_si128(filter_value(outer, p0, q0), mask), &p0, &q0);
    v[3] = flip_sign(p0);
    v[4] = flip_sign(q0);
}

/* Section 15.3's subblock_filter. */
XC_INLINE void subblock_edge(__m128i v[8], const struct thresholds *limits)
{
    __m128i high, mask = normal_mask(v, limits, &high);
    __m128i p1 = flip_sign(v[2]), p0 = flip_sign(v[3]);
    __m128i q0 = flip_sign(v[4]), q1 = flip_sign(v[5]);
    __m128i outer = _mm_and_si128(_mm_subs_epi8(p1, q1), high);
    __m128i down = adjust(_mm_and_si128(filter_value(outer, p0, q0), mask), &p0, &q0);
    __m128i half = _mm_sub_epi8(_mm_avg_epu8(down, _mm_setzero_si128()), _mm_set1_epi8(8));
    half = _mm_andnot_si128(high, half);
    v[2] = flip_sign(_mm_adds_epi8(p1, half));
    v[3] = flip_sign(p0);
    v[4] = flip_sign(q0);
    v[5] = flip_sign(_mm_subs_epi8(q1, half));
}

/* Moves p and q towards each other by `low` and `high` >> 7, 16 bits for the lanes' halves. */
XC_INLINE void move(__m128i low, __m128i high, __m128i *p, __m128i *q)
{
    __m128i by = _mm_packs_epi16(_mm_srai_epi16(low, 7), _mm_srai_epi16(high, 7));
    *p = flip_sign(_mm_adds_epi8(*p, by));
    *q = flip_sign(_mm_subs_epi8(*q, by));
}

/* Section 15.3's MBfilter. */
XC_INLINE void macroblock_edge(__m128i v[8], const struct thresholds *limits)
{
    __m128i high, mask = normal_mask(v, limits, &high), zero = _mm_setzero_si128();
    for (int i = 1; i < 7; i++)
        v[i] = flip_sign(v[i]);
    __m128i value = filter_value(_mm_subs_epi8(v[2], v[5]), v[3], v[4]);
    value = _mm_and_si128(value, mask);
    adjust(_mm_and_si128(value, high), &v[3], &v[4]);
    __m128i wide = _mm_andnot_si128(high, value);
    /* 9 times the value: the upper halves of (256 * value) * (256 * 9). */
    __m128i low9 = _mm_mulhi_epi16(_mm_unpacklo_epi8(zero, wide), _mm_set1_epi16(9 << 8));
    __m128i high9 = _mm_mulhi_epi16(_mm_unpackhi_epi8(zero, wide), _mm_set1_epi16(9 << 8));
    __m128i low = _mm_add_epi16(low9, _mm_set1_epi16(63));
    __m128i upper = _mm_add_epi16(high9, _mm_set1_epi16(63));
    for (int i = 0; i < 3; i++) {
        move(low, upper, &v[1 + i], &v[6 - i]);
        low = _mm_add_epi16(low, low9);
        upper = _mm_add_epi16(upper, high9);
    }
}

/* ---- Turning rows into columns ------------------------------------------------------------- */

/* Merges register i with register i + count / 2, byte by byte, for each i below count / 2: a shuffle
 * of all bytes, a few of which in a row transpose the block that the registers hold. */
XC_INLINE void interleave(__m128i *v, int count)
{
    __m128i t[16];
#pragma GCC unroll 8
    for (int i = 0; i < count / 2; i++) {
        t[2 * i] = _mm_unpacklo_epi8(v[i], v[i + count / 2]);
        t[2 * i + 1] = _mm_unpackhi_epi8(v[i], v[i + count / 2]);
    }
#pragma GCC unroll 16
    for (int i = 0; i < count; i++)
        v[i] = t[i]; // cppcheck-suppress uninitvar
}

/* Where the sixteen rows of a block lie: one plane's, or eight each of two. */
struct rows {
    uint8_t *upper, *lower;
    ptrdiff_t stride;
};

XC_INLINE uint8_t *row_at(const struct rows *rows, int i)
{
    return i < 8 ? rows->upper + i * rows->stride : rows->lower + (i - 8) * rows->stride;
}

/* Four columns from column x on. */
XC_INLINE void load_columns4(const struct rows *rows, int x, __m128i v[4])
{
    __m128i t[8];
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        t[i] = _mm_unpacklo_epi8(load4(row_at(rows, i) + x), load4(row_at(rows, i + 8) + x));
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        v[i] = _mm_unpacklo_epi8(t[i], t[i + 4]);
    interleave(v, 4);
    interleave(v, 4);
}

XC_INLINE void store_columns4(__m128i v[4], const struct rows *rows, int x)
{
    interleave(v, 4);
    interleave(v, 4);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++) {
        store4(row_at(rows, i) + x, v[i / 4]);
        v[i / 4] = _mm_srli_si128(v[i / 4], 4);
    }
}

XC_INLINE void load_columns8(const struct rows *rows, int x, __m128i v[8])
{
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        v[i] = _mm_unpacklo_epi8(load8(row_at(rows, i) + x), load8(row_at(rows, i + 8) + x));
    interleave(v, 8);
    interleave(v, 8);
    interleave(v, 8);
}

XC_INLINE void store_columns8(__m128i v[8], const struct rows *rows, int x)
{
    interleave(v, 8);
    interleave(v, 8);
    interleave(v, 8);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        _mm_storel_epi64((__m128i *)(row_at(rows, 2 * i) + x), v[i]);
        _mm_storel_epi64((__m128i *)(row_at(rows, 2 * i + 1) + x), _mm_unpackhi_epi64(v[i], v[i]));
    }
}

XC_INLINE void load_columns16(const struct rows *rows, __m128i v[16])
{
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        v[i] = _mm_loadu_si128((const __m128i *)row_at(rows, i));
    for (int round = 0; round < 4; round++)
        interleave(v, 16);
}

XC_INLINE void store_columns16(__m128i v[16], const struct rows *rows)
{
    for (int round = 0; round < 4; round++)
        interleave(v, 16);
#pragma GCC unroll 16
    for (int i = 0; i < 16; i++)
        _mm_storeu_si128((__m128i *)row_at(rows, i), v[i]);
}

/* ---- Macroblocks --------------------------------------------------------------------------- */

/* Filters the edges of one direction: v[0..3] lie before the macroblock, v[4 .. size + 3] in it. */
XC_INLINE void filter_normal(__m128i *v, int size, bool outer, bool inner,
                             const struct filter_limits *limits)
{
    if (outer) {
        struct thresholds between = thresholds(limits, limits->macroblock_edge);
        macroblock_edge(v, &between);
    }
    if (inner) {
        struct thresholds within = thresholds(limits, limits->subblock_edge);
        for (int i = 4; i < size; i += 4)
            subblock_edge(v + i, &within);
    }
}

XC_INLINE void filter_simply(__m128i *v, int size, bool outer, bool inner,
                             const struct filter_limits *limits)
{
    if (outer) {
        struct thresholds between = thresholds(limits, limits->macroblock_edge);
        simple_edge(v, &between);
    }
    if (inner) {
        struct thresholds within = thresholds(limits, limits->subblock_edge);
        for (int i = 4; i < size; i += 4)
            simple_edge(v + i, &within);
    }
}

typedef void filter_direction(__m128i *v, int size, bool outer, bool inner,
                              const struct filter_limits *limits);

/* The vertical edges of 16 rows of 16 samples. */
XC_INLINE void filter_luma_columns(filter_direction *filter, uint8_t *y, ptrdiff_t stride,
                                   const struct filter_limits *limits, bool outer, bool inner)
{
    struct rows rows = {y, y + 8 * stride, stride};
    __m128i v[20];
    if (!inner) {
        load_columns8(&rows, -4, v);
        filter(v, 16, true, false, limits);
        store_columns8(v, &rows, -4);
        return;
    }
    load_columns16(&rows, v + 4);
    if (outer)
        load_columns4(&rows, -4, v);
    filter(v, 16, outer, true, limits);
    if (outer)
        store_columns4(v, &rows, -4);
    store_columns16(v + 4, &rows);
}

/* The horizontal edges; a filter changes at most three rows above the macroblock. */
XC_INLINE void filter_luma_rows(filter_direction *filter, uint8_t *y, ptrdiff_t stride,
                                const struct filter_limits *limits, bool outer, bool inner)
{
    __m128i v[20];
    int first = outer ? -4 : 0, last = inner ? 16 : 4;
#pragma GCC unroll 20
    for (int i = first; i < last; i++)
        v[i + 4] = _mm_loadu_si128((const __m128i *)(y + i * stride));
    filter(v, 16, outer, inner, limits);
    if (outer)
        first = -3;
    if (!inner)
        last = 3;
#pragma GCC unroll 20
    for (int i = first; i < last; i++)
        _mm_storeu_si128((__m128i *)(y + i * stride), v[i + 4]);
}

XC_INLINE void filter_chroma_columns(uint8_t *u, uint8_t *v, ptrdiff_t stride,
                                     const struct filter_limits *limits, bool outer, bool inner)
{
    struct rows rows = {u, v, stride};
    __m128i line[12];
    if (!inner) {
        load_columns8(&rows, -4, line);
        filter_normal(line, 8, true, false, limits);
        store_columns8(line, &rows, -4);
        return;
    }
    load_columns8(&rows, 0, line + 4);
    if (outer)
        load_columns4(&rows, -4, line);
    filter_normal(line, 8, outer, true, limits);
    if (outer)
        store_columns4(line, &rows, -4);
    store_columns8(line + 4, &rows, 0);
}

XC_INLINE void filter_chroma_rows(uint8_t *u, uint8_t *v, ptrdiff_t stride,
                                  const struct filter_limits *limits, bool outer, bool inner)
{
    __m128i line[12];
    int first = outer ? -4 : 0, last = inner ? 8 : 4;
#pragma GCC unroll 12
    for (int i = first; i < last; i++)
        line[i + 4] = _mm_unpacklo_epi64(load8(u + i * stride), load8(v + i * stride));
    filter_normal(line, 8, outer, inner, limits);
    if (outer)
        first = -3;
    if (!inner)
        last = 3;
#pragma GCC unroll 12
    for (int i = first; i < last; i++) {
        _mm_storel_epi64((__m128i *)(u + i * stride), line[i + 4]);
        _mm_storel_epi64((__m128i *)(v + i * stride), _mm_unpackhi_epi64(line[i + 4], line[i + 4]));
    }
}

/* Calls `filter` with the two flags as constants, so that each case is compiled by itself. */
#define FILTER_CASES(filter, outer, inner, ...)                                                    \
    do {                                                                                           \
        if ((outer) && (inner))                                                                    \
            filter(__VA_ARGS__, true, true);                                                       \
        else if (outer)                                                                            \
            filter(__VA_ARGS__, true, false);                                                      \
        else if (inner)                                                                            \
            filter(__VA_ARGS__, false, true);                                                      \
    } while (0)

static void filter_luma(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                        unsigned edges)
{
    bool inner = edges & FILTER_INNER;
    FILTER_CASES(filter_luma_columns, edges & FILTER_LEFT, inner, filter_normal, y, stride, limits);
    FILTER_CASES(filter_luma_rows, edges & FILTER_ABOVE, inner, filter_normal, y, stride, limits);
}

static void filter_chroma(uint8_t *u, uint8_t *v, ptrdiff_t stride,
                          const struct filter_limits *limits, unsigned edges)
{
    bool inner = edges & FILTER_INNER;
    FILTER_CASES(filter_chroma_columns, edges & FILTER_LEFT, inner, u, v, stride, limits);
    FILTER_CASES(filter_chroma_rows, edges & FILTER_ABOVE, inner, u, v, stride, limits);
}

static void filter_simple(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                          unsigned edges)
{
    bool inner = edges & FILTER_INNER;
    FILTER_CASES(filter_luma_columns, edges & FILTER_LEFT, inner, filter_simply, y, stride, limits);
    FILTER_CASES(filter_luma_rows, edges & FILTER_ABOVE, inner, filter_simply, y, stride, limits);
}

void XC_AT_LEVEL(xc_loopfilter_init)(struct xc_dsp *dsp)
{
    dsp->filter_luma = filter_luma;
    dsp->filter_chroma = filter_chroma;
    dsp->filter_simple = filter_simple;
}
