/* The kernels' speed: nanoseconds per call, the best of several runs. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "reference.h"
#include "test_dsp.h"

enum { STRIDE = 64, ROWS = 64, RUNS = 7, CALLS = 4000 };

/* What a benchmark may work on; `use` keeps results alive. */
struct bench {
    struct xc_dsp dsp;
    uint8_t a[ROWS * STRIDE], b[ROWS * STRIDE], to[ROWS * STRIDE];
    uint8_t edge[13];
    int16_t coefficient[16], wide[256];
    uint32_t use;
};

typedef void bench_call(struct bench *b, int variant);

#define AT (16 * STRIDE + 16)

static void call_six_tap(struct bench *b, int variant)
{
    static const int x[] = {0, 2, 0, 2}, y[] = {0, 0, 2, 2};
    int motion = variant % 4;
    b->dsp.six_tap[variant / 4](b->to + AT, STRIDE, b->a + AT, STRIDE, x[motion], y[motion]);
}

static void call_bilinear(struct bench *b, int size)
{
    b->dsp.bilinear[size](b->to + AT, STRIDE, b->a + AT, STRIDE, 2, 6);
}

static void call_true_motion(struct bench *b, int size)
{
    b->dsp.true_motion(b->to + AT, STRIDE, b->a + AT, b->b + AT, size);
}

static void call_intra4x4(struct bench *b, int mode)
{
    b->dsp.intra4x4[mode](b->to + AT, STRIDE, b->edge);
}

static void call_inverse_dct(struct bench *b, int variant)
{
    b->dsp.inverse_dct_add(b->coefficient, b->to + AT, STRIDE);
}

static void call_inverse_dct_dc(struct bench *b, int variant)
{
    b->dsp.inverse_dct_add_dc(b->coefficient[0], b->to + AT, STRIDE);
}

static void call_inverse_dct_dc4(struct bench *b, int variant)
{
    b->dsp.inverse_dct_add_dc4(b->coefficient, b->to + AT, STRIDE);
}

static void call_inverse_wht(struct bench *b, int variant)
{
    b->dsp.inverse_wht(b->coefficient, b->wide);
}

static void call_forward_dct(struct bench *b, int variant)
{
    b->dsp.forward_dct(b->a + AT, STRIDE, b->b + AT, STRIDE, b->wide);
    b->use += (uint32_t)b->wide[5];
}

static void call_forward_dct4(struct bench *b, int variant)
{
    const uint8_t *const source[2] = {b->a + AT, b->a + AT + 8};
    const uint8_t *const prediction[2] = {b->b + AT, b->b + AT + 8};
    b->dsp.forward_dct4(source, STRIDE, prediction, STRIDE, b->wide);
}

static void call_coded_blocks(struct bench *b, int variant)
{
    static const int16_t least[16] = {9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9, 9};
    b->use += b->dsp.coded_blocks(b->wide, 16, least);
}

static void call_forward_wht(struct bench *b, int variant)
{
    int16_t output[16];
    b->dsp.forward_wht(b->wide, output);
    b->use += (uint32_t)output[5];
}

static const struct filter_limits bench_limits = {64, 60, 20, 2};

static void call_filter_luma(struct bench *b, int edges)
{
    b->dsp.filter_luma(b->to + AT, STRIDE, &bench_limits, (unsigned)edges);
}

static void call_filter_macroblock(struct bench *b, int edges)
{
    uint8_t *u = b->to + AT + 20 * STRIDE;
    b->dsp.filter_macroblock(b->to + AT, STRIDE, u, u + 24, STRIDE, &bench_limits, (unsigned)edges);
}

static void call_filter_simple(struct bench *b, int edges)
{
    b->dsp.filter_simple(b->to + AT, STRIDE, &bench_limits, (unsigned)edges);
}

static void call_sad(struct bench *b, int size)
{
    b->use += b->dsp.sad[size](b->a + AT, STRIDE, b->b + AT + 1, STRIDE);
}

static void call_sad_x4(struct bench *b, int size)
{
    const uint8_t *candidates[4] = {b->b + AT, b->b + AT + 1, b->b + AT - 1, b->b + AT + STRIDE};
    uint32_t sads[4];
    b->dsp.sad_x4[size](b->a + AT, STRIDE, candidates, STRIDE, sads);
    b->use += sads[3];
}

static void call_sse(struct bench *b, int size)
{
    b->use += b->dsp.sse[size](b->a + AT, STRIDE, b->b + AT + 1, STRIDE);
}

static void call_satd(struct bench *b, int size)
{
    b->use += b->dsp.satd[size](b->a + AT, STRIDE, b->b + AT + 1, STRIDE);
}

static void call_moments(struct bench *b, int variant)
{
    uint32_t sum, squares;
    b->dsp.moments16x16(b->a + AT, STRIDE, &sum, &squares);
    b->use += sum + squares;
}

static const struct benchmark {
    const char *name;
    bench_call *call;
    int variant;
} benchmarks[] = {
    {"six_tap 16x16 copy", call_six_tap, 0},
    {"six_tap 16x16 across", call_six_tap, 1},
    {"six_tap 16x16 down", call_six_tap, 2},
    {"six_tap 16x16 both", call_six_tap, 3},
    {"six_tap 8x8 across", call_six_tap, 4 * BLOCK_8X8 + 1},
    {"six_tap 8x8 both", call_six_tap, 4 * BLOCK_8X8 + 3},
    {"six_tap 4x4 across", call_six_tap, 4 * BLOCK_4X4 + 1},
    {"six_tap 4x4 both", call_six_tap, 4 * BLOCK_4X4 + 3},
    {"bilinear 16x16 both", call_bilinear, BLOCK_16X16},
    {"bilinear 8x8 both", call_bilinear, BLOCK_8X8},
    {"bilinear 4x4 both", call_bilinear, BLOCK_4X4},
    {"true_motion 16", call_true_motion, 16},
    {"true_motion 8", call_true_motion, 8},
    {"intra4x4 DC", call_intra4x4, 0},
    {"intra4x4 TM", call_intra4x4, 1},
    {"intra4x4 VR", call_intra4x4, 6},
    {"intra4x4 HU", call_intra4x4, 9},
    {"inverse_dct_add", call_inverse_dct, 0},
    {"inverse_dct_add_dc", call_inverse_dct_dc, 0},
    {"inverse_dct_add_dc4", call_inverse_dct_dc4, 0},
    {"inverse_wht", call_inverse_wht, 0},
    {"forward_dct", call_forward_dct, 0},
    {"forward_dct4", call_forward_dct4, 0},
    {"forward_wht", call_forward_wht, 0},
    {"coded_blocks", call_coded_blocks, 0},
    {"filter_luma left", call_filter_luma, FILTER_LEFT},
    {"filter_luma above", call_filter_luma, FILTER_ABOVE},
    {"filter_luma all", call_filter_luma, FILTER_LEFT | FILTER_ABOVE | FILTER_INNER},
    {"filter_macroblock outer", call_filter_macroblock, FILTER_LEFT | FILTER_ABOVE},
    {"filter_macroblock all", call_filter_macroblock, FILTER_LEFT | FILTER_ABOVE | FILTER_INNER},
    {"filter_simple all", call_filter_simple, FILTER_LEFT | FILTER_ABOVE | FILTER_INNER},
    {"sad 16x16", call_sad, BLOCK_16X16},
    {"sad 8x8", call_sad, BLOCK_8X8},
    {"sad 4x4", call_sad, BLOCK_4X4},
    {"sad_x4 16x16", call_sad_x4, BLOCK_16X16},
    {"sse 16x16", call_sse, BLOCK_16X16},
    {"sse 8x8", call_sse, BLOCK_8X8},
    {"sse 4x4", call_sse, BLOCK_4X4},
    {"satd 16x16", call_satd, BLOCK_16X16},
    {"satd 8x8", call_satd, BLOCK_8X8},
    {"satd 4x4", call_satd, BLOCK_4X4},
    {"moments 16x16", call_moments, 0},
};

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static double best_nanoseconds(struct bench *b, const struct benchmark *benchmark)
{
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double start = seconds();
        for (int i = 0; i < CALLS; i++)
            benchmark->call(b, benchmark->variant);
        double each = (seconds() - start) / CALLS * 1e9;
        if (each < best)
            best = each;
    }
    return best;
}

static void fill(struct bench *b)
{
    srand(1);
    for (int i = 0; i < ROWS * STRIDE; i++) {
        b->a[i] = (uint8_t)(100 + rand() % 50);
        b->b[i] = (uint8_t)(100 + rand() % 50);
        b->to[i] = (uint8_t)(100 + rand() % 12);
    }
    for (int i = 0; i < 13; i++)
        b->edge[i] = b->a[i];
    for (int i = 0; i < 16; i++)
        b->coefficient[i] = (int16_t)(rand() % 9 - 4);
    for (int i = 0; i < 256; i++)
        b->wide[i] = (int16_t)(rand() % 512 - 256);
}

void bench_levels(void)
{
    static struct bench bench;
    printf("%-30s", "ns per call");
    for (enum xc_cpu level = 0; level < XC_CPU_LEVELS; level++)
        if (xc_cpu_has(level))
            printf(" %9s", xc_cpu_name(level));
    printf(" %9s\n", "ratio");
    for (size_t k = 0; k < sizeof(benchmarks) / sizeof(benchmarks[0]); k++) {
        double first = 0, last = 0;
        printf("%-30s", benchmarks[k].name);
        for (enum xc_cpu level = 0; level < XC_CPU_LEVELS; level++) {
            if (!xc_cpu_has(level))
                continue;
            fill(&bench);
            xc_dsp_init_level(&bench.dsp, level);
            last = best_nanoseconds(&bench, &benchmarks[k]);
            if (level == XC_CPU_C)
                first = last;
            printf(" %9.1f", last);
        }
        printf(" %9.2f\n", first / last);
    }
}
