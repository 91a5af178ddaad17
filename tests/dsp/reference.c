#include "reference.h"

#include <math.h>
#include <stdlib.h>

const int block_widths[BLOCK_SIZES] = {16, 16, 8, 8, 4};
const int block_heights[BLOCK_SIZES] = {16, 8, 16, 8, 4};

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* ---- Prediction ---------------------------------------------------------------------------- */

static const int six_taps[8][6] = {
    {0, 0, 128, 0, 0, 0},     {0, -6, 123, 12, -1, 0},  {2, -11, 108, 36, -8, 1},
    {0, -9, 93, 50, -6, 0},   {3, -16, 77, 77, -16, 3}, {0, -6, 50, 93, -9, 0},
    {1, -8, 36, 108, -11, 2}, {0, -1, 12, 123, -6, 0},
};

static int six_tap_at(const uint8_t *s, ptrdiff_t step, int fraction)
{
    int sum = 64;
    for (int k = 0; k < 6; k++)
        sum += six_taps[fraction][k] * s[(k - 2) * step];
    return clamp(sum >> 7, 0, 255);
}

/* Both passes always: filter 0 changes nothing. */
void reference_six_tap(enum block_size size, uint8_t *to, ptrdiff_t to_stride,
                       const uint8_t *source, ptrdiff_t source_stride, int x, int y)
{
    uint8_t between[21 * 16];
    for (int row = 0; row < block_heights[size] + 5; row++)
        for (int i = 0; i < block_widths[size]; i++)
            between[row * 16 + i] =
                (uint8_t)six_tap_at(source + (row - 2) * source_stride + i, 1, x);
    for (int row = 0; row < block_heights[size]; row++)
        for (int i = 0; i < block_widths[size]; i++)
            to[row * to_stride + i] = (uint8_t)six_tap_at(between + (row + 2) * 16 + i, 16, y);
}

void reference_bilinear(enum block_size size, uint8_t *to, ptrdiff_t to_stride,
                        const uint8_t *source, ptrdiff_t source_stride, int x, int y)
{
    int between[17 * 16];
    for (int row = 0; row < block_heights[size] + 1; row++)
        for (int i = 0; i < block_widths[size]; i++) {
            const uint8_t *s = source + row * source_stride + i;
            between[row * 16 + i] = ((8 - x) * 16 * s[0] + x * 16 * s[1] + 64) / 128;
        }
    for (int row = 0; row < block_heights[size]; row++)
        for (int i = 0; i < block_widths[size]; i++) {
            const int *b = between + row * 16 + i;
            to[row * to_stride + i] = (uint8_t)(((8 - y) * 16 * b[0] + y * 16 * b[16] + 64) / 128);
        }
}

void reference_true_motion(uint8_t *to, ptrdiff_t stride, const uint8_t *above, const uint8_t *left,
                           int size)
{
    for (int row = 0; row < size; row++)
        for (int i = 0; i < size; i++)
            to[row * stride + i] = (uint8_t)clamp(left[row] + above[i] - above[-1], 0, 255);
}

/* Section 12.3, modes from vertical on: for each sample how many neighbours along the edge are
 * averaged (1; 2; or 3 with weights 1 2 1) and the first of them. Beyond its ends the edge repeats.
 */
static const struct {
    int8_t count, first;
} edge_averages[10][16] = {
    [2] = {{3, 4},
           {3, 5},
           {3, 6},
           {3, 7},
           {3, 4},
           {3, 5},
           {3, 6},
           {3, 7},
           {3, 4},
           {3, 5},
           {3, 6},
           {3, 7},
           {3, 4},
           {3, 5},
           {3, 6},
           {3, 7}},
    [3] = {{3, 2},
           {3, 2},
           {3, 2},
           {3, 2},
           {3, 1},
           {3, 1},
           {3, 1},
           {3, 1},
           {3, 0},
           {3, 0},
           {3, 0},
           {3, 0},
           {3, -1},
           {3, -1},
           {3, -1},
           {3, -1}},
    [4] = {{3, 5},
           {3, 6},
           {3, 7},
           {3, 8},
           {3, 6},
           {3, 7},
           {3, 8},
           {3, 9},
           {3, 7},
           {3, 8},
           {3, 9},
           {3, 10},
           {3, 8},
           {3, 9},
           {3, 10},
           {3, 11}},
    [5] = {{3, 3},
           {3, 4},
           {3, 5},
           {3, 6},
           {3, 2},
           {3, 3},
           {3, 4},
           {3, 5},
           {3, 1},
           {3, 2},
           {3, 3},
           {3, 4},
           {3, 0},
           {3, 1},
           {3, 2},
           {3, 3}},
    [6] = {{2, 4},
           {2, 5},
           {2, 6},
           {2, 7},
           {3, 3},
           {3, 4},
           {3, 5},
           {3, 6},
           {3, 2},
           {2, 4},
           {2, 5},
           {2, 6},
           {3, 1},
           {3, 3},
           {3, 4},
           {3, 5}},
    [7] = {{2, 5},
           {2, 6},
           {2, 7},
           {2, 8},
           {3, 5},
           {3, 6},
           {3, 7},
           {3, 8},
           {2, 6},
           {2, 7},
           {2, 8},
           {3, 9},
           {3, 6},
           {3, 7},
           {3, 8},
           {3, 10}},
    [8] = {{2, 3},
           {3, 3},
           {3, 4},
           {3, 5},
           {2, 2},
           {3, 2},
           {2, 3},
           {3, 3},
           {2, 1},
           {3, 1},
           {2, 2},
           {3, 2},
           {2, 0},
           {3, 0},
           {2, 1},
           {3, 1}},
    [9] = {{2, 2},
           {3, 1},
           {2, 1},
           {3, 0},
           {2, 1},
           {3, 0},
           {2, 0},
           {3, -1},
           {2, 0},
           {3, -1},
           {1, 0},
           {1, 0},
           {1, 0},
           {1, 0},
           {1, 0},
           {1, 0}},
};

static int edge_at(const uint8_t edge[13], int i)
{
    return edge[clamp(i, 0, 12)];
}

static int edge_average(const uint8_t edge[13], int count, int first)
{
    int a = edge_at(edge, first), b = edge_at(edge, first + 1), c = edge_at(edge, first + 2);
    return count == 1 ? a : count == 2 ? (a + b + 1) / 2 : (a + 2 * b + c + 2) / 4;
}

void reference_intra4x4(int mode, uint8_t *to, ptrdiff_t stride, const uint8_t edge[13])
{
    uint8_t left[4] = {edge[3], edge[2], edge[1], edge[0]};
    int mean =
        (left[0] + left[1] + left[2] + left[3] + edge[5] + edge[6] + edge[7] + edge[8] + 4) / 8;
    if (mode == 1) {
        reference_true_motion(to, stride, edge + 5, left, 4);
        return;
    }
    for (int i = 0; i < 16; i++)
        to[i / 4 * stride + i % 4] =
            (uint8_t)(mode == 0 ? mean
                                : edge_average(edge, edge_averages[mode][i].count,
                                               edge_averages[mode][i].first));
}

/* ---- Transforms ---------------------------------------------------------------------------- */

/* One dimension of section 14.3 over v[0], v[step], v[2 step], v[3 step]. */
static void inverse_dct_line(int *v, int step)
{
    int i0 = v[0], i1 = v[step], i2 = v[2 * step], i3 = v[3 * step];
    int c = (i1 * 35468 >> 16) - (i3 + (i3 * 20091 >> 16));
    int d = (i1 + (i1 * 20091 >> 16)) + (i3 * 35468 >> 16);
    v[0] = i0 + i2 + d;
    v[step] = i0 - i2 + c;
    v[2 * step] = i0 - i2 - c;
    v[3 * step] = i0 + i2 - d;
}

void reference_inverse_dct(const int16_t coefficient[16], int residue[16])
{
    for (int i = 0; i < 16; i++)
        residue[i] = coefficient[i];
    for (int column = 0; column < 4; column++)
        inverse_dct_line(residue + column, 4);
    for (int i = 0; i < 16; i++)
        residue[i] = (int16_t)residue[i];
    for (int row = 0; row < 4; row++)
        inverse_dct_line(residue + 4 * row, 1);
    for (int i = 0; i < 16; i++)
        residue[i] = (residue[i] + 4) >> 3;
}

/* Rows of the 4-point Walsh-Hadamard matrix in VP8's order; it is symmetric. */
static const int walsh[4][4] = {{1, 1, 1, 1}, {1, 1, -1, -1}, {1, -1, -1, 1}, {1, -1, 1, -1}};

void reference_inverse_wht(const int16_t input[16], int16_t dc[16])
{
    for (int row = 0; row < 4; row++)
        for (int column = 0; column < 4; column++) {
            int sum = 3;
            for (int i = 0; i < 4; i++) {
                int line = 0;
                for (int k = 0; k < 4; k++)
                    line += walsh[row][k] * input[4 * k + i];
                sum += walsh[i][column] * (int16_t)line;
            }
            dc[4 * row + column] = (int16_t)(sum >> 3);
        }
}

/* Orthonormal 4-point DCT-II. */
static double cosine(int frequency, int position)
{
    double scale = frequency ? sqrt(0.5) : 0.5;
    return scale * cos((2 * position + 1) * frequency * M_PI / 8);
}

/* VP8's coefficients are twice those of the orthonormal transform. */
void real_inverse_dct(const int16_t coefficient[16], double residue[16])
{
    for (int i = 0; i < 16; i++) {
        residue[i] = 0;
        for (int k = 0; k < 16; k++)
            residue[i] += cosine(k / 4, i / 4) * cosine(k % 4, i % 4) * coefficient[k] / 2;
    }
}

void real_forward_dct(const int residue[16], double coefficient[16])
{
    for (int k = 0; k < 16; k++) {
        coefficient[k] = 0;
        for (int i = 0; i < 16; i++)
            coefficient[k] += cosine(k / 4, i / 4) * cosine(k % 4, i % 4) * residue[i] * 2;
    }
}

void real_forward_wht(const int16_t *coefficient, double output[16])
{
    for (int k = 0; k < 16; k++) {
        output[k] = 0;
        for (int i = 0; i < 16; i++)
            output[k] += walsh[k / 4][i / 4] * walsh[i % 4][k % 4] * coefficient[16 * i] / 2.0;
    }
}

/* ---- Loop filters -------------------------------------------------------------------------- */

static int c(int value)
{
    return clamp(value, -128, 127);
}

static int u2s(uint8_t value)
{
    return value - 128;
}

static uint8_t s2u(int value)
{
    return (uint8_t)(c(value) + 128);
}

/* Section 15.2; `s` is q0 and `step` the distance between neighbours across the edge. Returns what
 * q0 was moved by. */
static int common_adjust(int use_outer_taps, uint8_t *s, ptrdiff_t step)
{
    int p1 = u2s(s[-2 * step]), p0 = u2s(s[-step]), q0 = u2s(s[0]), q1 = u2s(s[step]);
    int a = c((use_outer_taps ? c(p1 - q1) : 0) + 3 * (q0 - p0));
    int b = c(a + 3) >> 3;
    a = c(a + 4) >> 3;
    s[0] = s2u(q0 - a);
    s[-step] = s2u(p0 + b);
    return a;
}

static int simple_threshold(const uint8_t *s, ptrdiff_t step, int limit)
{
    return abs(s[-step] - s[0]) * 2 + abs(s[-2 * step] - s[step]) / 2 <= limit;
}

static int normal_threshold(const uint8_t *s, ptrdiff_t step, int edge_limit,
                            const struct filter_limits *limits)
{
    for (int i = -4; i < 3; i++)
        if (i != -1 && abs(s[i * step] - s[(i + 1) * step]) > limits->interior)
            return 0;
    return simple_threshold(s, step, edge_limit);
}

static int high_variance(const uint8_t *s, ptrdiff_t step, int threshold)
{
    return abs(s[-2 * step] - s[-step]) > threshold || abs(s[step] - s[0]) > threshold;
}

static void macroblock_line(uint8_t *s, ptrdiff_t step, int edge_limit,
                            const struct filter_limits *limits)
{
    if (!normal_threshold(s, step, edge_limit, limits))
        return;
    if (high_variance(s, step, limits->high_variance)) {
        common_adjust(1, s, step);
        return;
    }
    int w = c(c(u2s(s[-2 * step]) - u2s(s[step])) + 3 * (u2s(s[0]) - u2s(s[-step])));
    for (int i = 0; i < 3; i++) {
        int a = c(((27 - 9 * i) * w + 63) >> 7);
        s[i * step] = s2u(u2s(s[i * step]) - a);
        s[(-1 - i) * step] = s2u(u2s(s[(-1 - i) * step]) + a);
    }
}

static void subblock_line(uint8_t *s, ptrdiff_t step, int edge_limit,
                          const struct filter_limits *limits)
{
    if (!normal_threshold(s, step, edge_limit, limits))
        return;
    int high = high_variance(s, step, limits->high_variance);
    int a = (common_adjust(high, s, step) + 1) >> 1;
    if (!high) {
        s[step] = s2u(u2s(s[step]) - a);
        s[-2 * step] = s2u(u2s(s[-2 * step]) + a);
    }
}

static void simple_line(uint8_t *s, ptrdiff_t step, int edge_limit,
                        const struct filter_limits *limits)
{
    (void)limits;
    if (simple_threshold(s, step, edge_limit))
        common_adjust(1, s, step);
}

typedef void filter_line(uint8_t *s, ptrdiff_t step, int edge_limit,
                         const struct filter_limits *limits);

/* Edges of one direction of a size x size block: `along` and `across` are the distances of samples
 * along an edge and across it. */
static void filter_direction(filter_line *outer, filter_line *inner, uint8_t *s, ptrdiff_t along,
                             ptrdiff_t across, int size, const struct filter_limits *limits)
{
    for (int edge = 0; edge < size; edge += 4)
        for (int i = 0; i < size; i++) {
            uint8_t *sample = s + edge * across + i * along;
            if (edge == 0 && outer)
                outer(sample, across, limits->macroblock_edge, limits);
            if (edge > 0 && inner)
                inner(sample, across, limits->subblock_edge, limits);
        }
}

static void filter_block(filter_line *outer, filter_line *inner, uint8_t *s, ptrdiff_t stride,
                         int size, const struct filter_limits *limits, unsigned edges)
{
    filter_line *within = edges & FILTER_INNER ? inner : NULL;
    filter_direction(edges & FILTER_LEFT ? outer : NULL, within, s, stride, 1, size, limits);
    filter_direction(edges & FILTER_ABOVE ? outer : NULL, within, s, 1, stride, size, limits);
}

void reference_filter_luma(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                           unsigned edges)
{
    filter_block(macroblock_line, subblock_line, y, stride, 16, limits, edges);
}

void reference_filter_chroma(uint8_t *u, uint8_t *v, ptrdiff_t stride,
                             const struct filter_limits *limits, unsigned edges)
{
    filter_block(macroblock_line, subblock_line, u, stride, 8, limits, edges);
    filter_block(macroblock_line, subblock_line, v, stride, 8, limits, edges);
}

void reference_filter_simple(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                             unsigned edges)
{
    filter_block(simple_line, simple_line, y, stride, 16, limits, edges);
}

/* ---- Measures ------------------------------------------------------------------------------ */

uint32_t reference_sad(enum block_size size, const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                       ptrdiff_t b_stride)
{
    uint32_t sum = 0;
    for (int row = 0; row < block_heights[size]; row++)
        for (int i = 0; i < block_widths[size]; i++)
            sum += (uint32_t)abs(a[row * a_stride + i] - b[row * b_stride + i]);
    return sum;
}

uint32_t reference_sse(enum block_size size, const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                       ptrdiff_t b_stride)
{
    uint32_t sum = 0;
    for (int row = 0; row < block_heights[size]; row++)
        for (int i = 0; i < block_widths[size]; i++) {
            int d = a[row * a_stride + i] - b[row * b_stride + i];
            sum += (uint32_t)(d * d);
        }
    return sum;
}

uint32_t reference_satd(enum block_size size, const uint8_t *a, ptrdiff_t a_stride,
                        const uint8_t *b, ptrdiff_t b_stride)
{
    uint32_t sum = 0;
    for (int top = 0; top < block_heights[size]; top += 4)
        for (int left = 0; left < block_widths[size]; left += 4)
            for (int k = 0; k < 16; k++) {
                int coefficient = 0;
                for (int i = 0; i < 16; i++) {
                    int row = top + i / 4, column = left + i % 4;
                    int d = a[row * a_stride + column] - b[row * b_stride + column];
                    coefficient += walsh[k / 4][i / 4] * walsh[i % 4][k % 4] * d;
                }
                sum += (uint32_t)abs(coefficient);
            }
    return sum / 2;
}
