/*
 * The loop filters for x86 (RFC 6386 section 15), sixteen lines across an edge at a time: a
 * macroblock's luma, or its U and V side by side. A macroblock is loaded once for all of its edges of
 * a direction, which are then filtered in registers, one after the other as the format wants.
 */
#include <immintrin.h>

#include "vp8/dsp/lanes_x86.h"

#define LANES __m128i
#define OP(name) _mm_##name
#define OP_BITS(name) _mm_##name##_si128
#define SIZED(name) name##16
#include "vp8/dsp/loopfilter_edges_x86.h"

#ifdef __AVX2__
#define LANES __m256i
#define OP(name) _mm256_##name
#define OP_BITS(name) _mm256_##name##_si256
#define SIZED(name) name##32
#include "vp8/dsp/loopfilter_edges_x86.h"
#endif

/* ---- Turning rows into columns ------------------------------------------------------------- */

/* Where the sixteen rows of a block lie: one plane's, or eight each of two. */
struct rows {
    uint8_t *quarter[4]; /* every fourth row */
    ptrdiff_t stride, stride3;
};

XC_INLINE struct rows rows_of(uint8_t *upper, uint8_t *lower, ptrdiff_t stride)
{
    return (struct rows){
        {upper, upper + 4 * stride, lower, lower + 4 * stride}, stride, 3 * stride};
}

/* As sums that addresses of x86 can hold. */
XC_INLINE uint8_t *row_at(const struct rows *rows, int i)
{
    return rows->quarter[i / 4] + (i % 4 == 3 ? rows->stride3 : i % 4 * rows->stride);
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
    interleave16(v, 4);
    interleave16(v, 4);
}

XC_INLINE void store_columns4(__m128i v[4], const struct rows *rows, int x)
{
    interleave16(v, 4);
    interleave16(v, 4);
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
    interleave16(v, 8);
    interleave16(v, 8);
    interleave16(v, 8);
}

XC_INLINE void store_columns8(__m128i v[8], const struct rows *rows, int x)
{
    interleave16(v, 8);
    interleave16(v, 8);
    interleave16(v, 8);
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
        interleave16(v, 16);
}

XC_INLINE void store_columns16(__m128i v[16], const struct rows *rows)
{
    for (int round = 0; round < 4; round++)
        interleave16(v, 16);
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
        struct thresholds16 between = thresholds16(limits, limits->macroblock_edge);
        macroblock_edge16(v, &between);
    }
    if (inner) {
        struct thresholds16 within = thresholds16(limits, limits->subblock_edge);
        for (int i = 4; i < size; i += 4)
            subblock_edge16(v + i, &within);
    }
}

XC_INLINE void filter_simply(__m128i *v, int size, bool outer, bool inner,
                             const struct filter_limits *limits)
{
    if (outer) {
        struct thresholds16 between = thresholds16(limits, limits->macroblock_edge);
        simple_edge16(v, &between);
    }
    if (inner) {
        struct thresholds16 within = thresholds16(limits, limits->subblock_edge);
        for (int i = 4; i < size; i += 4)
            simple_edge16(v + i, &within);
    }
}

typedef void filter_direction(__m128i *v, int size, bool outer, bool inner,
                              const struct filter_limits *limits);

/* The vertical edges of 16 rows of 16 samples. */
XC_INLINE void filter_luma_columns(filter_direction *filter, uint8_t *y, ptrdiff_t stride,
                                   const struct filter_limits *limits, bool outer, bool inner)
{
    struct rows rows = rows_of(y, y + 8 * stride, stride);
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

#ifndef __AVX2__

XC_INLINE void filter_chroma_columns(uint8_t *u, uint8_t *v, ptrdiff_t stride,
                                     const struct filter_limits *limits, bool outer, bool inner)
{
    struct rows rows = rows_of(u, v, stride);
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

#else

/*
 * Luma and chroma at once: 16 lines across luma edges in the lower halves of the registers, 8 of U and 8 of V
 * in the upper ones. Luma has two more edges, which are filtered by themselves.
 */

XC_INLINE __m256i join(__m128i luma, __m128i chroma)
{
    return _mm256_inserti128_si256(_mm256_castsi128_si256(luma), chroma, 1);
}

XC_INLINE void load_all_columns8(const struct rows *luma, const struct rows *chroma, int x,
                                 __m256i v[8])
{
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        v[i] =
            join(_mm_unpacklo_epi8(load8(row_at(luma, i) + x), load8(row_at(luma, i + 8) + x)),
                 _mm_unpacklo_epi8(load8(row_at(chroma, i) + x), load8(row_at(chroma, i + 8) + x)));
    interleave32(v, 8);
    interleave32(v, 8);
    interleave32(v, 8);
}

XC_INLINE void store_two_rows(const struct rows *rows, int i, int x, __m128i samples)
{
    _mm_storel_epi64((__m128i *)(row_at(rows, i) + x), samples);
    _mm_storeh_pi((__m64 *)(row_at(rows, i + 1) + x), _mm_castsi128_ps(samples));
}

XC_INLINE void store_all_columns8(__m256i v[8], const struct rows *luma, const struct rows *chroma,
                                  int x)
{
    interleave32(v, 8);
    interleave32(v, 8);
    interleave32(v, 8);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++) {
        store_two_rows(luma, 2 * i, x, _mm256_castsi256_si128(v[i]));
        store_two_rows(chroma, 2 * i, x, _mm256_extracti128_si256(v[i], 1));
    }
}

XC_INLINE void load_all_columns4(const struct rows *luma, const struct rows *chroma, int x,
                                 __m256i v[4])
{
    __m128i y[4], uv[4];
    load_columns4(luma, x, y);
    load_columns4(chroma, x, uv);
    for (int i = 0; i < 4; i++)
        v[i] = join(y[i], uv[i]);
}

XC_INLINE void store_all_columns4(__m256i v[4], const struct rows *luma, const struct rows *chroma,
                                  int x)
{
    __m128i y[4], uv[4];
    for (int i = 0; i < 4; i++) {
        y[i] = _mm256_castsi256_si128(v[i]);
        uv[i] = _mm256_extracti128_si256(v[i], 1);
    }
    store_columns4(y, luma, x);
    store_columns4(uv, chroma, x);
}

/* v[0..3] lie before the macroblock, v[4..11] in it; beyond[0..7] are luma's lines 8 .. 15. */
XC_INLINE void filter_all(__m256i v[12], __m128i *beyond, bool outer, bool inner,
                          const struct filter_limits *limits)
{
    if (outer) {
        struct thresholds32 between = thresholds32(limits, limits->macroblock_edge);
        macroblock_edge32(v, &between);
    }
    if (!inner)
        return;
    struct thresholds32 within = thresholds32(limits, limits->subblock_edge);
    subblock_edge32(v + 4, &within);
    struct thresholds16 luma = thresholds16(limits, limits->subblock_edge);
    __m128i line[12];
#pragma GCC unroll 12
    for (int i = 0; i < 12; i++)
        line[i] = i < 4 ? _mm256_castsi256_si128(v[8 + i]) : beyond[i - 4];
    subblock_edge16(line, &luma);
    subblock_edge16(line + 4, &luma);
    /* A filter within a macroblock changes two lines on each side. */
    v[10] = _mm256_inserti128_si256(v[10], line[2], 0);
    v[11] = _mm256_inserti128_si256(v[11], line[3], 0);
#pragma GCC unroll 8
    for (int i = 0; i < 8; i++)
        beyond[i] = line[4 + i];
}

XC_INLINE void filter_all_columns(const struct rows *luma, const struct rows *chroma,
                                  const struct filter_limits *limits, bool outer, bool inner)
{
    __m256i v[12];
    __m128i beyond[8];
    if (!inner) {
        load_all_columns8(luma, chroma, -4, v);
        filter_all(v, NULL, true, false, limits);
        store_all_columns8(v, luma, chroma, -4);
        return;
    }
    load_all_columns8(luma, chroma, 0, v + 4);
    load_columns8(luma, 8, beyond);
    if (outer)
        load_all_columns4(luma, chroma, -4, v);
    filter_all(v, beyond, outer, true, limits);
    if (outer)
        store_all_columns4(v, luma, chroma, -4);
    store_all_columns8(v + 4, luma, chroma, 0);
    store_columns8(beyond, luma, 8);
}

XC_INLINE void filter_all_rows(const struct rows *luma, const struct rows *chroma,
                               const struct filter_limits *limits, bool outer, bool inner)
{
    __m256i line[12];
    __m128i beyond[8];
    int first = outer ? -4 : 0, last = inner ? 8 : 4;
    uint8_t *y = luma->quarter[0], *u = chroma->quarter[0], *v = chroma->quarter[2];
#pragma GCC unroll 12
    for (int i = first; i < last; i++)
        line[i + 4] =
            join(load16(y + i * luma->stride),
                 _mm_unpacklo_epi64(load8(u + i * chroma->stride), load8(v + i * chroma->stride)));
#pragma GCC unroll 8
    for (int i = 0; inner && i < 8; i++)
        beyond[i] = load16(y + (8 + i) * luma->stride);
    filter_all(line, beyond, outer, inner, limits);
    if (outer)
        first = -3;
    if (!inner)
        last = 3;
#pragma GCC unroll 12
    for (int i = first; i < last; i++) {
        __m128i uv = _mm256_extracti128_si256(line[i + 4], 1);
        _mm_storeu_si128((__m128i *)(y + i * luma->stride), _mm256_castsi256_si128(line[i + 4]));
        _mm_storel_epi64((__m128i *)(u + i * chroma->stride), uv);
        _mm_storeh_pi((__m64 *)(v + i * chroma->stride), _mm_castsi128_ps(uv));
    }
#pragma GCC unroll 8
    for (int i = 0; inner && i < 7; i++)
        _mm_storeu_si128((__m128i *)(y + (8 + i) * luma->stride), beyond[i]);
}

#endif

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

static void filter_macroblock(uint8_t *y, ptrdiff_t y_stride, uint8_t *u, uint8_t *v,
                              ptrdiff_t uv_stride, const struct filter_limits *limits,
                              unsigned edges)
{
    bool inner = edges & FILTER_INNER;
#ifdef __AVX2__
    struct rows luma = rows_of(y, y + 8 * y_stride, y_stride), chroma = rows_of(u, v, uv_stride);
    FILTER_CASES(filter_all_columns, edges & FILTER_LEFT, inner, &luma, &chroma, limits);
    FILTER_CASES(filter_all_rows, edges & FILTER_ABOVE, inner, &luma, &chroma, limits);
#else
    filter_luma(y, y_stride, limits, edges);
    FILTER_CASES(filter_chroma_columns, edges & FILTER_LEFT, inner, u, v, uv_stride, limits);
    FILTER_CASES(filter_chroma_rows, edges & FILTER_ABOVE, inner, u, v, uv_stride, limits);
#endif
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
    dsp->filter_macroblock = filter_macroblock;
    dsp->filter_simple = filter_simple;
}
