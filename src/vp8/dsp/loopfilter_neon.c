/*
 * The loop filters with NEON (RFC 6386 section 15), sixteen lines across an edge at a time: a
 * macroblock's luma, or its U and V side by side. A macroblock is loaded once for all of its edges of a
 * direction, which are then filtered in registers, one after the other as the format wants.
 */
#include "vp8/dsp/lanes_neon.h"

/* Limits of an edge, in each lane. */
struct thresholds {
    uint8x16_t edge, interior, high_variance;
};

XC_INLINE struct thresholds thresholds(const struct filter_limits *limits, uint8_t edge)
{
    return (struct thresholds){
        .edge = vdupq_n_u8(edge),
        .interior = vdupq_n_u8(limits->interior),
        .high_variance = vdupq_n_u8(limits->high_variance),
    };
}

/* ---- Arithmetic on lanes ------------------------------------------------------------------- */

XC_INLINE int8x16_t to_signed(uint8x16_t a)
{
    return vreinterpretq_s8_u8(veorq_u8(a, vdupq_n_u8(0x80)));
}

XC_INLINE uint8x16_t to_samples(int8x16_t a)
{
    return veorq_u8(vreinterpretq_u8_s8(a), vdupq_n_u8(0x80));
}

/* The value where `mask` is all ones, else 0; and the other way round. */
XC_INLINE int8x16_t keep(int8x16_t value, uint8x16_t mask)
{
    return vandq_s8(value, vreinterpretq_s8_u8(mask));
}

XC_INLINE int8x16_t drop(int8x16_t value, uint8x16_t mask)
{
    return vbicq_s8(value, vreinterpretq_s8_u8(mask));
}

/* v[0..3] are p3 .. p0, v[4..7] are q0 .. q3. */
XC_INLINE uint8x16_t within_edge_limit(const uint8x16_t v[8], uint8x16_t limit)
{
    uint8x16_t step = vabdq_u8(v[3], v[4]), half = vshrq_n_u8(vabdq_u8(v[2], v[5]), 1);
    return vcleq_u8(vqaddq_u8(vqaddq_u8(step, step), half), limit);
}

/* Where the normal filters apply, and where the variance beside the edge is high. */
XC_INLINE uint8x16_t normal_mask(const uint8x16_t v[8], const struct thresholds *limits,
                                 uint8x16_t *high)
{
    uint8x16_t near = vmaxq_u8(vabdq_u8(v[2], v[3]), vabdq_u8(v[5], v[4]));
    uint8x16_t far = vmaxq_u8(vmaxq_u8(vabdq_u8(v[0], v[1]), vabdq_u8(v[1], v[2])),
                              vmaxq_u8(vabdq_u8(v[7], v[6]), vabdq_u8(v[6], v[5])));
    *high = vcgtq_u8(near, limits->high_variance);
    return vandq_u8(vcleq_u8(vmaxq_u8(near, far), limits->interior),
                    within_edge_limit(v, limits->edge));
}

/* clamp(outer + 3 * (q0 - p0)); the steps' clamping changes nothing, as all go one way. */
XC_INLINE int8x16_t filter_value(int8x16_t outer, int8x16_t p0, int8x16_t q0)
{
    int8x16_t step = vqsubq_s8(q0, p0);
    return vqaddq_s8(vqaddq_s8(vqaddq_s8(outer, step), step), step);
}

/* Section 15.2's common_adjust on p0 and q0; returns how far q0 moved. */
XC_INLINE int8x16_t adjust(int8x16_t value, int8x16_t *p0, int8x16_t *q0)
{
    int8x16_t down = vshrq_n_s8(vqaddq_s8(value, vdupq_n_s8(4)), 3);
    int8x16_t up = vshrq_n_s8(vqaddq_s8(value, vdupq_n_s8(3)), 3);
    *q0 = vqsubq_s8(*q0, down);
    *p0 = vqaddq_s8(*p0, up);
    return down;
}

XC_INLINE void simple_edge(uint8x16_t v[8], const struct thresholds *limits)
{
    uint8x16_t mask = within_edge_limit(v, limits->edge);
    int8x16_t p0 = to_signed(v[3]), q0 = to_signed(v[4]);
    int8x16_t outer = vqsubq_s8(to_signed(v[2]), to_signed(v[5]));
    adjust(keep(filter_value(outer, p0, q0), mask), &p0, &q0);
    v[3] = to_samples(p0);
    v[4] = to_samples(q0);
}

/* Section 15.3's subblock_filter. */
XC_INLINE void subblock_edge(uint8x16_t v[8], const struct thresholds *limits)
{
    uint8x16_t high, mask = normal_mask(v, limits, &high);
    int8x16_t p1 = to_signed(v[2]), p0 = to_signed(v[3]);
    int8x16_t q0 = to_signed(v[4]), q1 = to_signed(v[5]);
    int8x16_t outer = keep(vqsubq_s8(p1, q1), high);
    int8x16_t down = adjust(keep(filter_value(outer, p0, q0), mask), &p0, &q0);
    int8x16_t half = drop(vrshrq_n_s8(down, 1), high);
    v[2] = to_samples(vqaddq_s8(p1, half));
    v[3] = to_samples(p0);
    v[4] = to_samples(q0);
    v[5] = to_samples(vqsubq_s8(q1, half));
}

/* (weight * value + 63) >> 7 */
XC_INLINE int8x16_t share(int8x16_t value, int8_t weight)
{
    int16x8_t bias = vdupq_n_s16(63);
    int8x8_t weights = vdup_n_s8(weight);
    int16x8_t low = vmlal_s8(bias, vget_low_s8(value), weights);
    int16x8_t high = vmlal_s8(bias, vget_high_s8(value), weights);
    return vcombine_s8(vshrn_n_s16(low, 7), vshrn_n_s16(high, 7));
}

/* Section 15.3's MBfilter. */
XC_INLINE void macroblock_edge(uint8x16_t v[8], const struct thresholds *limits)
{
    uint8x16_t high, mask = normal_mask(v, limits, &high);
    int8x16_t p[3], q[3];
    for (int i = 0; i < 3; i++) {
        p[i] = to_signed(v[3 - i]);
        q[i] = to_signed(v[4 + i]);
    }
    int8x16_t value = keep(filter_value(vqsubq_s8(p[1], q[1]), p[0], q[0]), mask);
    adjust(keep(value, high), &p[0], &q[0]);
    value = drop(value, high);
    for (int i = 0; i < 3; i++) {
        int8x16_t by = share(value, (int8_t)(27 - 9 * i));
        v[3 - i] = to_samples(vqaddq_s8(p[i], by));
        v[4 + i] = to_samples(vqsubq_s8(q[i], by));
    }
}

/* ---- Turning rows into columns ------------------------------------------------------------- */

/* One step of a transposition: of registers that are `distance` apart, elements of so many bytes are
 * exchanged, the odd ones of the first for the even ones of the second. */
#define EXCHANGE(v, count, distance, elements, name)                                               \
    _Pragma("GCC unroll 16") for (int i_ = 0; i_ < (count); i_++)                                  \
    {                                                                                              \
        if (i_ & (distance))                                                                       \
            continue;                                                                              \
        elements a_ = vreinterpretq_##name##_u8((v)[i_]);                                          \
        elements b_ = vreinterpretq_##name##_u8((v)[i_ + (distance)]);                             \
        (v)[i_] = vreinterpretq_u8_##name(vtrn1q_##name(a_, b_));                                  \
        (v)[i_ + (distance)] = vreinterpretq_u8_##name(vtrn2q_##name(a_, b_));                     \
    }

/* Each block of count x count bytes (4, 8 or 16) becomes its mirror image: four, two or one lie side by
 * side in the registers. */
XC_INLINE void transpose(uint8x16_t *v, int count)
{
#pragma GCC unroll 16
    for (int i = 0; i < count; i += 2) {
        uint8x16_t a = v[i], b = v[i + 1];
        v[i] = vtrn1q_u8(a, b);
        v[i + 1] = vtrn2q_u8(a, b);
    }
    EXCHANGE(v, count, 2, uint16x8_t, u16)
    if (count > 4)
        EXCHANGE(v, count, 4, uint32x4_t, u32)
    if (count > 8)
        EXCHANGE(v, count, 8, uint64x2_t, u64)
}

/* Where sixteen lines across an edge lie: in one plane, or eight each in two. */
struct lines {
    uint8_t *first, *second;
    ptrdiff_t stride;
};

/* A line of those across a vertical edge, which lie below each other. */
XC_INLINE uint8_t *row_at(const struct lines *lines, int i)
{
    return i < 8 ? lines->first + i * lines->stride : lines->second + (i - 8) * lines->stride;
}

/* `count` columns from column x on. */
XC_INLINE void load_columns(const struct lines *lines, int x, int count, uint8x16_t *v)
{
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) {
        if (count == 16)
            v[i] = vld1q_u8(row_at(lines, i) + x);
        else if (count == 8)
            v[i] = vcombine_u8(vld1_u8(row_at(lines, i) + x), vld1_u8(row_at(lines, i + 8) + x));
        else
            v[i] = vcombine_u8(load4_twice(row_at(lines, i) + x, row_at(lines, i + 4) + x),
                               load4_twice(row_at(lines, i + 8) + x, row_at(lines, i + 12) + x));
    }
    transpose(v, count);
}

XC_INLINE void store_columns(uint8x16_t *v, const struct lines *lines, int x, int count)
{
    transpose(v, count);
#pragma GCC unroll 16
    for (int i = 0; i < count; i++) {
        uint8x8_t low = vget_low_u8(v[i]), high = vget_high_u8(v[i]);
        if (count == 16) {
            vst1q_u8(row_at(lines, i) + x, v[i]);
        } else if (count == 8) {
            vst1_u8(row_at(lines, i) + x, low);
            vst1_u8(row_at(lines, i + 8) + x, high);
        } else {
            store4(row_at(lines, i) + x, low);
            store4_upper(row_at(lines, i + 4) + x, low);
            store4(row_at(lines, i + 8) + x, high);
            store4_upper(row_at(lines, i + 12) + x, high);
        }
    }
}

/* ---- Macroblocks --------------------------------------------------------------------------- */

/* The edges of a block of `size` x `size` samples, 16 or two of 8, that are filtered in a direction. */
struct edges {
    int size;
    bool simple, outer, inner;
};

/* v[0..3] lie before the block, v[4 .. size + 3] in it. */
XC_INLINE void filter_edges(uint8x16_t *v, struct edges edges, const struct filter_limits *limits)
{
    struct thresholds between = thresholds(limits, limits->macroblock_edge);
    struct thresholds within = thresholds(limits, limits->subblock_edge);
    if (edges.outer && edges.simple)
        simple_edge(v, &between);
    else if (edges.outer)
        macroblock_edge(v, &between);
    if (!edges.inner)
        return;
#pragma GCC unroll 3
    for (int i = 4; i < edges.size; i += 4) {
        if (edges.simple)
            simple_edge(v + i, &within);
        else
            subblock_edge(v + i, &within);
    }
}

/* Lines of samples of 16 rows. */
XC_INLINE void filter_columns(const struct lines *lines, struct edges edges,
                              const struct filter_limits *limits)
{
    uint8x16_t v[20];
    if (!edges.inner) {
        load_columns(lines, -4, 8, v);
        filter_edges(v, edges, limits);
        store_columns(v, lines, -4, 8);
        return;
    }
    load_columns(lines, 0, edges.size, v + 4);
    if (edges.outer)
        load_columns(lines, -4, 4, v);
    filter_edges(v, edges, limits);
    if (edges.outer)
        store_columns(v, lines, -4, 4);
    store_columns(v + 4, lines, 0, edges.size);
}

/* Lines of samples of 16 columns; a filter changes at most three rows above the macroblock. */
XC_INLINE void filter_rows(const struct lines *lines, struct edges edges,
                           const struct filter_limits *limits)
{
    uint8x16_t v[20];
    int first = edges.outer ? -4 : 0, last = edges.inner ? edges.size : 4;
#pragma GCC unroll 20
    for (int i = first; i < last; i++) {
        const uint8_t *a = lines->first + i * lines->stride, *b = lines->second + i * lines->stride;
        v[i + 4] = edges.size == 16 ? vld1q_u8(a) : vcombine_u8(vld1_u8(a), vld1_u8(b));
    }
    filter_edges(v, edges, limits);
    if (edges.outer)
        first = -3;
    if (!edges.inner)
        last = 3;
#pragma GCC unroll 20
    for (int i = first; i < last; i++) {
        uint8_t *a = lines->first + i * lines->stride, *b = lines->second + i * lines->stride;
        vst1_u8(a, vget_low_u8(v[i + 4]));
        vst1_u8(b, vget_high_u8(v[i + 4]));
    }
}

/* Calls `filter` with each case of edges as a constant, so that each is compiled by itself. */
#define FILTER_CASES(filter, lines, size, simple, outer, inner, limits)                            \
    do {                                                                                           \
        if ((outer) && (inner))                                                                    \
            filter(lines, (struct edges){size, simple, true, true}, limits);                       \
        else if (outer)                                                                            \
            filter(lines, (struct edges){size, simple, true, false}, limits);                      \
        else if (inner)                                                                            \
            filter(lines, (struct edges){size, simple, false, true}, limits);                      \
    } while (0)

#define FILTER_BLOCK(columns, rows, size, simple, limits, edges)                                   \
    do {                                                                                           \
        bool inner_ = (edges)&FILTER_INNER;                                                        \
        FILTER_CASES(filter_columns, columns, size, simple, (edges)&FILTER_LEFT, inner_, limits);  \
        FILTER_CASES(filter_rows, rows, size, simple, (edges)&FILTER_ABOVE, inner_, limits);       \
    } while (0)

static void filter_luma(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                        unsigned edges)
{
    struct lines columns = {y, y + 8 * stride, stride}, rows = {y, y + 8, stride};
    FILTER_BLOCK(&columns, &rows, 16, false, limits, edges);
}

static void filter_macroblock(uint8_t *y, ptrdiff_t y_stride, uint8_t *u, uint8_t *v,
                              ptrdiff_t uv_stride, const struct filter_limits *limits,
                              unsigned edges)
{
    struct lines chroma = {u, v, uv_stride};
    filter_luma(y, y_stride, limits, edges);
    FILTER_BLOCK(&chroma, &chroma, 8, false, limits, edges);
}

static void filter_simple(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                          unsigned edges)
{
    struct lines columns = {y, y + 8 * stride, stride}, rows = {y, y + 8, stride};
    FILTER_BLOCK(&columns, &rows, 16, true, limits, edges);
}

void xc_loopfilter_init_neon(struct xc_dsp *dsp)
{
    dsp->filter_luma = filter_luma;
    dsp->filter_macroblock = filter_macroblock;
    dsp->filter_simple = filter_simple;
}
