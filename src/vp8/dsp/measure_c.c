/* Difference measures in C. */
#include <stdlib.h>

#include "vp8/dsp/dsp_c.h"

static inline uint32_t sad(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                           ptrdiff_t b_stride, int width, int height)
{
    int sum = 0;
    for (int row = 0; row < height; row++, a += a_stride, b += b_stride)
        for (int i = 0; i < width; i++)
            sum += abs(a[i] - b[i]);
    return (uint32_t)sum;
}

static inline uint32_t sse(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                           ptrdiff_t b_stride, int width, int height)
{
    int sum = 0; /* signed, so that 16-bit products can be summed in pairs */
    for (int row = 0; row < height; row++, a += a_stride, b += b_stride) {
        for (int i = 0; i < width; i++) {
            int16_t difference = (int16_t)(a[i] - b[i]);
            sum += difference * difference;
        }
    }
    return (uint32_t)sum;
}

static inline int magnitude(int x)
{
    return x < 0 ? -x : x;
}

static inline int larger(int a, int b)
{
    return a > b ? a : b;
}

/* A row of 4x4 blocks: the transform's columns first, all in 16 bits (a coefficient is at most
 * 16 * 255). |s + t| + |s - t| = 2 max(|s|, |t|) is both the last butterfly and the halving. */
static inline uint32_t satd_row(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                                ptrdiff_t b_stride, int width)
{
    int16_t t[4][16];
    for (int i = 0; i < width; i++) {
        int16_t d0 = (int16_t)(a[i] - b[i]);
        int16_t d1 = (int16_t)(a[a_stride + i] - b[b_stride + i]);
        int16_t d2 = (int16_t)(a[2 * a_stride + i] - b[2 * b_stride + i]);
        int16_t d3 = (int16_t)(a[3 * a_stride + i] - b[3 * b_stride + i]);
        t[0][i] = (int16_t)(d0 + d1 + d2 + d3);
        t[1][i] = (int16_t)(d0 + d1 - d2 - d3);
        t[2][i] = (int16_t)(d0 - d1 + d2 - d3);
        t[3][i] = (int16_t)(d0 - d1 - d2 + d3);
    }
    uint32_t sum = 0;
    for (int row = 0; row < 4; row++) {
        for (int i = 0; i < width; i += 4) {
            const int16_t *v = t[row] + i;
            sum += (uint32_t)larger(magnitude(v[0] + v[2]), magnitude(v[1] + v[3]));
            sum += (uint32_t)larger(magnitude(v[0] - v[2]), magnitude(v[1] - v[3]));
        }
    }
    return sum;
}

static inline uint32_t satd(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                            ptrdiff_t b_stride, int width, int height)
{
    uint32_t sum = 0;
    for (int row = 0; row < height; row += 4)
        sum += satd_row(a + row * a_stride, a_stride, b + row * b_stride, b_stride, width);
    return sum;
}

#define MAKE_MEASURES(name, width, height)                                                         \
    static uint32_t sad_##name(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,             \
                               ptrdiff_t b_stride)                                                 \
    {                                                                                              \
        return sad(a, a_stride, b, b_stride, width, height);                                       \
    }                                                                                              \
    static uint32_t sse_##name(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,             \
                               ptrdiff_t b_stride)                                                 \
    {                                                                                              \
        return sse(a, a_stride, b, b_stride, width, height);                                       \
    }                                                                                              \
    static uint32_t satd_##name(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,            \
                                ptrdiff_t b_stride)                                                \
    {                                                                                              \
        return satd(a, a_stride, b, b_stride, width, height);                                      \
    }                                                                                              \
    static void sad_x4_##name(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *const b[4],     \
                              ptrdiff_t b_stride, uint32_t sads[4])                                \
    {                                                                                              \
        for (int i = 0; i < 4; i++)                                                                \
            sads[i] = sad(a, a_stride, b[i], b_stride, width, height);                             \
    }
XC_FOR_BLOCK_SIZES(MAKE_MEASURES)

static void moments16x16(const uint8_t *a, ptrdiff_t stride, uint32_t *sum, uint32_t *squares)
{
    int total = 0, total_squares = 0;
    for (int row = 0; row < 16; row++, a += stride) {
        for (int i = 0; i < 16; i++) {
            int16_t value = a[i];
            total += value;
            total_squares += value * value;
        }
    }
    *sum = (uint32_t)total;
    *squares = (uint32_t)total_squares;
}

#define SET_MEASURES(name, width, height)                                                          \
    dsp->sad[i] = sad_##name;                                                                      \
    dsp->sse[i] = sse_##name;                                                                      \
    dsp->satd[i] = satd_##name;                                                                    \
    dsp->sad_x4[i++] = sad_x4_##name;

void xc_measure_init_c(struct xc_dsp *dsp)
{
    int i = 0;
    XC_FOR_BLOCK_SIZES(SET_MEASURES)
    dsp->moments16x16 = moments16x16;
}
