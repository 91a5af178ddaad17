/*
 * The loop filters in C (RFC 6386 section 15), eight samples of an edge at a time and without
 * branches, so that the compiler can keep the eight in one vector register.
 */
#include <endian.h>
#include <string.h>

#include "vp8/dsp/dsp_c.h"

/* Eight lines across an edge; across[0..3] are p3 .. p0, across[4..7] are q0 .. q3. */
enum { LANES = 8, P3 = 0, P2, P1, P0, Q0, Q1, Q2, Q3, ACROSS };

static inline int16_t magnitude(int16_t x)
{
    return (int16_t)(x < 0 ? -x : x);
}

static inline int16_t larger(int16_t a, int16_t b)
{
    return a > b ? a : b;
}

static inline int16_t clamp_signed(int16_t x)
{
    return x < -128 ? -128 : x > 127 ? 127 : x;
}

static inline int16_t difference(uint8_t a, uint8_t b)
{
    return magnitude((int16_t)(a - b));
}

/* -1 where the difference right at the edge is small enough to be filtered (section 15.2), else 0.
 */
static inline int16_t within_edge_limit(uint8_t p1, uint8_t p0, uint8_t q0, uint8_t q1,
                                        int16_t limit)
{
    int16_t step = (int16_t)(difference(p0, q0) * 2 + (difference(p1, q1) >> 1));
    return step <= limit ? -1 : 0;
}

/* -1 where the normal filters apply (section 15.3), else 0. */
static inline int16_t normal_mask(const uint8_t v[ACROSS][LANES], int i, int16_t edge,
                                  int16_t interior)
{
    int16_t most = difference(v[P3][i], v[P2][i]);
    most = larger(most, difference(v[P2][i], v[P1][i]));
    most = larger(most, difference(v[P1][i], v[P0][i]));
    most = larger(most, difference(v[Q1][i], v[Q0][i]));
    most = larger(most, difference(v[Q2][i], v[Q1][i]));
    most = larger(most, difference(v[Q3][i], v[Q2][i]));
    int16_t flat = most <= interior ? -1 : 0;
    return flat & within_edge_limit(v[P1][i], v[P0][i], v[Q0][i], v[Q1][i], edge);
}

/* -1 where the variance beside the edge is high, else 0. */
static inline int16_t high_variance(const uint8_t v[ACROSS][LANES], int i, int16_t threshold)
{
    int16_t most = larger(difference(v[P1][i], v[P0][i]), difference(v[Q1][i], v[Q0][i]));
    return most > threshold ? -1 : 0;
}

static inline int16_t to_signed(uint8_t x)
{
    return (int16_t)(x - 128);
}

static inline uint8_t to_sample(int16_t x)
{
    return (uint8_t)(clamp_signed(x) + 128);
}

/* Section 15.2's common_adjust: how far q0 moves down and p0 up, for a filter value in [-128, 127].
 */
static inline int16_t q_adjust(int16_t value)
{
    return (int16_t)(clamp_signed((int16_t)(value + 4)) >> 3);
}

static inline int16_t p_adjust(int16_t value)
{
    return (int16_t)(clamp_signed((int16_t)(value + 3)) >> 3);
}

static inline void simple_lanes(uint8_t v[ACROSS][LANES], int16_t limit,
                                const struct filter_limits *limits)
{
    for (int i = 0; i < LANES; i++) {
        int16_t p1 = to_signed(v[P1][i]), p0 = to_signed(v[P0][i]);
        int16_t q0 = to_signed(v[Q0][i]), q1 = to_signed(v[Q1][i]);
        int16_t value = clamp_signed((int16_t)(clamp_signed((int16_t)(p1 - q1)) + 3 * (q0 - p0)));
        value &= within_edge_limit(v[P1][i], v[P0][i], v[Q0][i], v[Q1][i], limit);
        v[P0][i] = to_sample((int16_t)(p0 + p_adjust(value)));
        v[Q0][i] = to_sample((int16_t)(q0 - q_adjust(value)));
    }
}

/* Section 15.3's subblock_filter. */
static inline void subblock_lanes(uint8_t v[ACROSS][LANES], int16_t edge,
                                  const struct filter_limits *limits)
{
    int16_t interior = limits->interior, threshold = limits->high_variance;
    for (int i = 0; i < LANES; i++) {
        int16_t mask = normal_mask(v, i, edge, interior), high = high_variance(v, i, threshold);
        int16_t p1 = to_signed(v[P1][i]), p0 = to_signed(v[P0][i]);
        int16_t q0 = to_signed(v[Q0][i]), q1 = to_signed(v[Q1][i]);
        int16_t outer = clamp_signed((int16_t)(p1 - q1)) & high;
        int16_t value = clamp_signed((int16_t)(outer + 3 * (q0 - p0))) & mask;
        int16_t down = q_adjust(value);
        int16_t half = (int16_t)((down + 1) >> 1) & (int16_t)~high;
        v[P1][i] = to_sample((int16_t)(p1 + half));
        v[P0][i] = to_sample((int16_t)(p0 + p_adjust(value)));
        v[Q0][i] = to_sample((int16_t)(q0 - down));
        v[Q1][i] = to_sample((int16_t)(q1 - half));
    }
}

/* Section 15.3's MBfilter: about 3/7, 2/7 and 1/7 of the step go to the three samples of each side,
 * or, where the variance is high, only the two nearest samples move. */
static inline void macroblock_lanes(uint8_t v[ACROSS][LANES], int16_t edge,
                                    const struct filter_limits *limits)
{
    int16_t interior = limits->interior, threshold = limits->high_variance;
    for (int i = 0; i < LANES; i++) {
        int16_t mask = normal_mask(v, i, edge, interior), high = high_variance(v, i, threshold);
        int16_t p2 = to_signed(v[P2][i]), p1 = to_signed(v[P1][i]), p0 = to_signed(v[P0][i]);
        int16_t q0 = to_signed(v[Q0][i]), q1 = to_signed(v[Q1][i]), q2 = to_signed(v[Q2][i]);
        int16_t outer = clamp_signed((int16_t)(p1 - q1));
        int16_t value = clamp_signed((int16_t)(outer + 3 * (q0 - p0))) & mask;
        int16_t narrow = value & high, wide = value & (int16_t)~high;
        int16_t a = (int16_t)((27 * wide + 63) >> 7);
        int16_t b = (int16_t)((18 * wide + 63) >> 7);
        int16_t c = (int16_t)((9 * wide + 63) >> 7);
        v[P2][i] = to_sample((int16_t)(p2 + c));
        v[P1][i] = to_sample((int16_t)(p1 + b));
        v[P0][i] = to_sample((int16_t)(p0 + a + p_adjust(narrow)));
        v[Q0][i] = to_sample((int16_t)(q0 - a - q_adjust(narrow)));
        v[Q1][i] = to_sample((int16_t)(q1 - b));
        v[Q2][i] = to_sample((int16_t)(q2 - c));
    }
}

/* Exchanges the bits of `*a` above `shift` with those of `*b` below it, in each group of `mask`. */
static inline void exchange(uint64_t *a, uint64_t *b, int shift, uint64_t mask)
{
    uint64_t differ = ((*a >> shift) ^ *b) & mask;
    *b ^= differ;
    *a ^= differ << shift;
}

/* Eight rows of eight samples become eight columns. */
static inline void transpose(uint64_t row[8])
{
    for (int i = 0; i < 4; i++)
        exchange(&row[i], &row[i + 4], 32, 0x00000000ffffffff);
    for (int i = 0; i < 8; i += (i & 1) ? 3 : 1)
        exchange(&row[i], &row[i + 2], 16, 0x0000ffff0000ffff);
    for (int i = 0; i < 8; i += 2)
        exchange(&row[i], &row[i + 1], 8, 0x00ff00ff00ff00ff);
}

static inline void load_transposed(uint8_t v[ACROSS][LANES], const uint8_t *from, ptrdiff_t stride)
{
    uint64_t row[8];
    for (int i = 0; i < 8; i++) {
        memcpy(&row[i], from + i * stride, 8);
        row[i] = le64toh(row[i]);
    }
    transpose(row);
    for (int i = 0; i < 8; i++) {
        row[i] = htole64(row[i]);
        memcpy(v[i], &row[i], 8);
    }
}

static inline void store_transposed(const uint8_t v[ACROSS][LANES], uint8_t *to, ptrdiff_t stride)
{
    uint64_t row[8];
    for (int i = 0; i < 8; i++) {
        memcpy(&row[i], v[i], 8);
        row[i] = le64toh(row[i]);
    }
    transpose(row);
    for (int i = 0; i < 8; i++) {
        row[i] = htole64(row[i]);
        memcpy(to + i * stride, &row[i], 8);
    }
}

/* A filter inlined into all its uses would be more than the compiler turns into vectors. */
#define NOT_INLINE static __attribute__((noinline)) void

/* Both directions of a filter, over `count` samples of an edge whose first on the far side (q0) is
 * `sample`. `first` and `last` are the lines across a horizontal edge that it reads; those that it
 * may change are one less on each side, or the same for the simple filter. */
#define MAKE_FILTER(name, first, last, first_changed, last_changed)                                \
    NOT_INLINE name##_vertical(uint8_t *sample, ptrdiff_t stride, int count, uint8_t edge,         \
                               const struct filter_limits *limits)                                 \
    {                                                                                              \
        for (int done = 0; done < count; done += LANES, sample += LANES * stride) {                \
            uint8_t v[ACROSS][LANES];                                                              \
            load_transposed(v, sample - 4, stride);                                                \
            name##_lanes(v, edge, limits);                                                         \
            store_transposed(v, sample - 4, stride);                                               \
        }                                                                                          \
    }                                                                                              \
    NOT_INLINE name##_horizontal(uint8_t *sample, ptrdiff_t stride, int count, uint8_t edge,       \
                                 const struct filter_limits *limits)                               \
    {                                                                                              \
        for (int done = 0; done < count; done += LANES, sample += LANES) {                         \
            uint8_t v[ACROSS][LANES];                                                              \
            for (int i = first; i <= last; i++)                                                    \
                memcpy(v[i], sample + (i - 4) * stride, LANES);                                    \
            name##_lanes(v, edge, limits);                                                         \
            for (int i = first_changed; i <= last_changed; i++)                                    \
                memcpy(sample + (i - 4) * stride, v[i], LANES);                                    \
        }                                                                                          \
    }
MAKE_FILTER(macroblock, P3, Q3, P2, Q2)
MAKE_FILTER(subblock, P3, Q3, P1, Q1)
MAKE_FILTER(simple, P1, Q1, P0, Q0)

/* The edges of a block of `size` x `size` samples: `outer` filters those that it shares with its
 * neighbours, `inner` those within. */
#define FILTER_EDGES(outer, inner, sample, stride, size, limits, edges)                            \
    do {                                                                                           \
        if ((edges)&FILTER_LEFT)                                                                   \
            outer##_vertical(sample, stride, size, (limits)->macroblock_edge, limits);             \
        for (int x_ = 4; ((edges)&FILTER_INNER) && x_ < (size); x_ += 4)                           \
            inner##_vertical((sample) + x_, stride, size, (limits)->subblock_edge, limits);        \
        if ((edges)&FILTER_ABOVE)                                                                  \
            outer##_horizontal(sample, stride, size, (limits)->macroblock_edge, limits);           \
        for (int y_ = 4; ((edges)&FILTER_INNER) && y_ < (size); y_ += 4)                           \
            inner##_horizontal((sample) + y_ * (stride), stride, size, (limits)->subblock_edge,    \
                               limits);                                                            \
    } while (0)

static void filter_luma(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                        unsigned edges)
{
    FILTER_EDGES(macroblock, subblock, y, stride, 16, limits, edges);
}

static void filter_macroblock(uint8_t *y, ptrdiff_t y_stride, uint8_t *u, uint8_t *v,
                              ptrdiff_t uv_stride, const struct filter_limits *limits,
                              unsigned edges)
{
    FILTER_EDGES(macroblock, subblock, y, y_stride, 16, limits, edges);
    FILTER_EDGES(macroblock, subblock, u, uv_stride, 8, limits, edges);
    FILTER_EDGES(macroblock, subblock, v, uv_stride, 8, limits, edges);
}

static void filter_simple(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                          unsigned edges)
{
    FILTER_EDGES(simple, simple, y, stride, 16, limits, edges);
}

void xc_loopfilter_init_c(struct xc_dsp *dsp)
{
    dsp->filter_luma = filter_luma;
    dsp->filter_macroblock = filter_macroblock;
    dsp->filter_simple = filter_simple;
}
