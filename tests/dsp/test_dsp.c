/*
 * Every kernel at every level against the reference, on random and on extreme input. Kernels write
 * into the middle of a canvas; the reference writes into a twin, and the whole canvases must be
 * equal, so that nothing around the block may change. Reports a line of TAP for each test and level;
 * --bench prints speeds instead.
 *
 * It does without cmocka, so that it runs wherever there is a compiler and libc.
 */
#include "test_dsp.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "reference.h"
#include "support/claim.h"
#include "support/scratch.h"

enum { STRIDE = 80, ROWS = 64, CANVAS = STRIDE * ROWS };

static int rounds; /* how much is tested */

/* A claim that `size` bytes are alike; says which one is not. */
#define CLAIM_SAME(actual, expected, size)                                                         \
    claim_same(__LINE__, (const uint8_t *)(actual), (const uint8_t *)(expected), size)

static void claim_same(int line, const uint8_t *actual, const uint8_t *expected, size_t size)
{
    size_t i = 0;
    if (!memcmp(actual, expected, size))
        return;
    while (actual[i] == expected[i])
        i++;
    fprintf(stderr, "line %d: byte %zu is %d, not %d\n", line, i, actual[i], expected[i]);
    exit(EXIT_FAILURE);
}

static uint64_t random_state;

/* Not inlined, since GCC's vectorizer for Arm thinks for half a minute over uses that were unrolled. */
static __attribute__((noinline)) uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

/* Kinds of content: noise, both ends of the range mixed, flat ends, and gentle slopes such as let
 * the loop filters in. */
enum content { NOISE, EXTREMES, BLACK, WHITE, GENTLE, STEPS, CONTENTS };

static uint8_t random_sample(enum content content)
{
    switch (content) {
    case NOISE:
        return (uint8_t)random_below(256);
    case EXTREMES:
        return random_below(2) ? 255 : 0;
    case BLACK:
        return 0;
    case WHITE:
        return 255;
    case GENTLE:
        return (uint8_t)(124 + random_below(9));
    default:
        return (uint8_t)((random_below(2) ? 0 : 240) + random_below(16));
    }
}

static void fill_samples(uint8_t *samples, size_t count, enum content content)
{
    for (size_t i = 0; i < count; i++)
        samples[i] = random_sample(content);
}

/* A canvas with smooth areas whose mean jumps at every fourth sample, for the loop filters. */
static void fill_plateaus(uint8_t *samples, int slope)
{
    int height[ROWS / 4][STRIDE / 4];
    for (int i = 0; i < ROWS / 4; i++)
        for (int k = 0; k < STRIDE / 4; k++)
            height[i][k] = (int)random_below(256 - slope);
    int near = (int)random_below(256 - slope);
    for (int i = 0; i < CANVAS; i++) {
        int plateau = height[i / STRIDE / 4][i % STRIDE / 4];
        int base = near + (plateau - near) / (1 + slope);
        samples[i] = (uint8_t)(base + (int)random_below((uint32_t)slope + 1));
    }
}

/* ---- Prediction ---------------------------------------------------------------------------- */

typedef void reference_inter(enum block_size size, uint8_t *to, ptrdiff_t to_stride,
                             const uint8_t *source, ptrdiff_t source_stride, int x, int y);

static void check_inter(predict_inter *const kernels[BLOCK_SIZES], reference_inter *reference,
                        enum content content)
{
    static uint8_t source[CANVAS], expected[CANVAS], actual[CANVAS];
    fill_samples(source, CANVAS, content);
    fill_samples(expected, CANVAS, NOISE);
    for (enum block_size size = 0; size < BLOCK_SIZES; size++) {
        for (int fractions = 0; fractions < 64; fractions++) {
            int x = fractions % 8, y = fractions / 8;
            size_t from = 16 * STRIDE + 16 + random_below(16),
                   to = 8 * STRIDE + 4 * random_below(8);
            memcpy(actual, expected, CANVAS);
            reference(size, expected + to, STRIDE, source + from, STRIDE, x, y);
            kernels[size](actual + to, STRIDE, source + from, STRIDE, x, y);
            CLAIM_SAME(actual, expected, CANVAS);
        }
    }
}

/* With `before` and `after` samples allowed around the block, in directions that have a fraction,
 * the source lies in an allocation of exactly that: a sanitizer sees any read beyond. */
static void check_inter_reads(predict_inter *const kernels[BLOCK_SIZES], int before, int after)
{
    for (enum block_size size = 0; size < BLOCK_SIZES; size++) {
        for (int fractions = 0; fractions < 64; fractions++) {
            int x = fractions % 8, y = fractions / 8;
            int left = x ? before : 0, top = y ? before : 0;
            int width = block_widths[size] + left + (x ? after : 0);
            int height = block_heights[size] + top + (y ? after : 0);
            uint8_t *source = malloc((size_t)width * height), to[16 * 16];
            CLAIM(source);
            fill_samples(source, (size_t)width * height, WHITE);
            kernels[size](to, 16, source + top * width + left, width, x, y);
            CLAIM(to[0] == 255);
            free(source);
        }
    }
}

static void test_inter(const struct xc_dsp *dsp)
{
    for (int round = 0; round < rounds; round++) {
        check_inter(dsp->six_tap, reference_six_tap, round % CONTENTS);
        check_inter(dsp->bilinear, reference_bilinear, round % CONTENTS);
    }
    check_inter_reads(dsp->six_tap, 2, 3);
    check_inter_reads(dsp->bilinear, 0, 1);
}

static void test_true_motion(const struct xc_dsp *dsp)
{
    static uint8_t expected[CANVAS], actual[CANVAS];
    for (int round = 0; round < 20 * rounds; round++) {
        int size = round % 2 ? 16 : 8;
        uint8_t above[33], left[16];
        fill_samples(above, sizeof(above), round % CONTENTS);
        fill_samples(left, sizeof(left), random_below(CONTENTS));
        fill_samples(expected, CANVAS, NOISE);
        memcpy(actual, expected, CANVAS);
        uint8_t *corner = above + random_below(16);
        size_t to = 8 * STRIDE + 8 * random_below(4);
        reference_true_motion(expected + to, STRIDE, corner + 1, left, size);
        dsp->true_motion(actual + to, STRIDE, corner + 1, left, size);
        CLAIM_SAME(actual, expected, CANVAS);
    }
}

static void test_intra4x4(const struct xc_dsp *dsp)
{
    static uint8_t expected[CANVAS], actual[CANVAS];
    for (int round = 0; round < 20 * rounds; round++) {
        uint8_t edge[13];
        fill_samples(edge, sizeof(edge), round % CONTENTS);
        fill_samples(expected, CANVAS, NOISE);
        for (int mode = 0; mode < 10; mode++) {
            size_t to = 8 * STRIDE + 4 * random_below(8);
            memcpy(actual, expected, CANVAS);
            reference_intra4x4(mode, expected + to, STRIDE, edge);
            dsp->intra4x4[mode](actual + to, STRIDE, edge);
            CLAIM_SAME(actual, expected, CANVAS);
        }
    }
}

/* ---- Transforms ---------------------------------------------------------------------------- */

static int16_t random_coefficient(int range)
{
    return (int16_t)((int)random_below(2 * (uint32_t)range + 1) - range);
}

static void random_block(int16_t block[16], int range)
{
    for (int i = 0; i < 16; i++)
        block[i] = random_below(3) ? random_coefficient(range) : 0;
}

/* One row right at a power of two, where kernels with sums of 16 bits are at their ends. */
static void random_ends(int16_t block[16])
{
    int end = 1 << (11 + random_below(4));
    memset(block, 0, 16 * sizeof(block[0]));
    for (int i = 0; i < 4; i++)
        block[i] = (int16_t)(random_below(2) ? -end : end - 1);
}

/* Ranges of real coefficients and, beyond them, of what a broken stream may hold. */
static const int ranges[] = {4, 60, 600, 2047, 32767};

static uint8_t clamped_sum(int a, int b)
{
    int sum = a + b;
    return (uint8_t)(sum < 0 ? 0 : sum > 255 ? 255 : sum);
}

static void check_inverse_dct(const struct xc_dsp *dsp, const int16_t block[16], int dc_only)
{
    static uint8_t expected[CANVAS], actual[CANVAS];
    int residue[16];
    size_t to = 8 * STRIDE + 4 * random_below(8);
    fill_samples(expected, CANVAS, random_below(CONTENTS));
    memcpy(actual, expected, CANVAS);
    reference_inverse_dct(block, residue);
    for (int i = 0; i < 16; i++) {
        uint8_t *sample = &expected[to + i / 4 * STRIDE + i % 4];
        *sample = clamped_sum(*sample, residue[i]);
    }
    if (dc_only)
        dsp->inverse_dct_add_dc(block[0], actual + to, STRIDE);
    else
        dsp->inverse_dct_add(block, actual + to, STRIDE);
    CLAIM_SAME(actual, expected, CANVAS);
}

static void test_inverse_dct(const struct xc_dsp *dsp)
{
    for (int round = 0; round < 100 * rounds; round++) {
        int16_t block[16];
        random_block(block, ranges[round % 5]);
        check_inverse_dct(dsp, block, 0);
        memset(block + 1, 0, 15 * sizeof(block[0]));
        check_inverse_dct(dsp, block, 0);
        check_inverse_dct(dsp, block, 1);
        random_ends(block);
        check_inverse_dct(dsp, block, 0);
    }
}

/* The reference itself against the real-valued transform. */
static void test_inverse_dct_is_a_dct(const struct xc_dsp *dsp)
{
    for (int round = 0; round < rounds; round++) {
        int16_t block[16];
        int residue[16];
        double exact[16];
        random_block(block, 300);
        reference_inverse_dct(block, residue);
        real_inverse_dct(block, exact);
        for (int i = 0; i < 16; i++)
            CLAIM(fabs(residue[i] - exact[i]) < 1.5);
    }
}

static void test_inverse_dct_dc4(const struct xc_dsp *dsp)
{
    static uint8_t expected[CANVAS], actual[CANVAS];
    for (int round = 0; round < 100 * rounds; round++) {
        int16_t dc[4];
        size_t to = 8 * STRIDE + 4 * random_below(8);
        fill_samples(expected, CANVAS, random_below(CONTENTS));
        memcpy(actual, expected, CANVAS);
        for (int i = 0; i < 4; i++) {
            dc[i] = random_coefficient(ranges[round % 5]);
            for (int k = 0; k < 16; k++) {
                uint8_t *sample = &expected[to + k / 4 * STRIDE + 4 * i + k % 4];
                *sample = clamped_sum(*sample, (dc[i] + 4) >> 3);
            }
        }
        dsp->inverse_dct_add_dc4(dc, actual + to, STRIDE);
        CLAIM_SAME(actual, expected, CANVAS);
    }
}

static void test_inverse_wht(const struct xc_dsp *dsp)
{
    for (int round = 0; round < 100 * rounds; round++) {
        int16_t block[16], expected[17], actual[17];
        if (round % 6 < 5)
            random_block(block, ranges[round % 6]);
        else
            random_ends(block);
        for (int i = 0; i < 17; i++)
            expected[i] = actual[i] = random_coefficient(32767);
        reference_inverse_wht(block, expected);
        dsp->inverse_wht(block, actual);
        CLAIM_SAME(actual, expected, sizeof(actual));
    }
}

/* Close to the real transform, and its own inverse to within 1. */
static void test_forward_dct(const struct xc_dsp *dsp)
{
    static uint8_t source[CANVAS], prediction[CANVAS];
    for (int round = 0; round < 100 * rounds; round++) {
        fill_samples(source, CANVAS / 8, round % CONTENTS);
        fill_samples(prediction, CANVAS / 8, random_below(CONTENTS));
        int16_t block[17];
        int residue[16], back[16];
        double exact[16];
        size_t a = random_below(32), b = random_below(32);
        block[16] = 12345;
        dsp->forward_dct(source + a, STRIDE, prediction + b, STRIDE, block);
        CLAIM(block[16] == 12345);
        for (int i = 0; i < 16; i++)
            residue[i] =
                source[a + i / 4 * STRIDE + i % 4] - prediction[b + i / 4 * STRIDE + i % 4];
        real_forward_dct(residue, exact);
        reference_inverse_dct(block, back);
        for (int i = 0; i < 16; i++) {
            CLAIM(fabs(block[i] - exact[i]) < 3);
            CLAIM(abs(back[i] - residue[i]) <= 1);
        }
    }
}

static void test_forward_wht(const struct xc_dsp *dsp)
{
    struct xc_dsp plain;
    xc_dsp_init_level(&plain, XC_CPU_C);
    for (int round = 0; round < 100 * rounds; round++) {
        int16_t input[256], output[17], back[16];
        int16_t expected[16];
        double exact[16];
        for (int i = 0; i < 256; i++)
            input[i] = random_coefficient(2040);
        output[16] = 12345;
        dsp->forward_wht(input, output);
        CLAIM(output[16] == 12345);
        plain.forward_wht(input, expected);
        CLAIM(memcmp(output, expected, sizeof expected) == 0);
        real_forward_wht(input, exact);
        reference_inverse_wht(output, back);
        for (int i = 0; i < 16; i++) {
            CLAIM(fabs(output[i] - exact[i]) < 1.5);
            CLAIM(abs(back[i] - input[16 * i]) <= 2);
        }
    }
}

static void test_forward_dct4(const struct xc_dsp *dsp)
{
    static uint8_t source[CANVAS], prediction[CANVAS];
    for (int round = 0; round < 40 * rounds; round++) {
        int16_t expected[64], actual[65];
        size_t a = random_below(32), b = random_below(32);
        fill_samples(source, CANVAS / 4, round % CONTENTS);
        fill_samples(prediction, CANVAS / 4, random_below(CONTENTS));
        const uint8_t *const sources[2] = {source + a, source + b + 4 * STRIDE};
        const uint8_t *const predictions[2] = {prediction + b, prediction + a + 5 * STRIDE};
        for (int i = 0; i < 4; i++)
            dsp->forward_dct(sources[i / 2] + 4 * (i % 2), STRIDE, predictions[i / 2] + 4 * (i % 2),
                             STRIDE, expected + 16 * i);
        actual[64] = 12345;
        dsp->forward_dct4(sources, STRIDE, predictions, STRIDE, actual);
        CLAIM_SAME(actual, expected, sizeof(expected));
        CLAIM(actual[64] == 12345);
    }
}

static void test_coded_blocks(const struct xc_dsp *dsp)
{
    for (int round = 0; round < 100 * rounds; round++) {
        int16_t coefficient[256], least[16];
        int count = 1 + (int)random_below(16), range = 1 + (int)random_below(60);
        uint32_t expected = 0;
        for (int i = 0; i < 16; i++)
            least[i] = (int16_t)(random_below(8) ? range + (int)random_below(8) - 4 : INT16_MAX);
        for (int i = 0; i < 256; i++)
            coefficient[i] = random_coefficient(random_below(50) ? range - 2 : 2040);
        for (int i = 0; i < 16 * count; i++)
            if (abs(coefficient[i]) >= least[i % 16])
                expected |= 1u << i / 16;
        CLAIM(dsp->coded_blocks(coefficient, count, least) == expected);
    }
}

/* All levels must give the same coefficients, not just good ones. */
static void test_forward_like_c(const struct xc_dsp *dsp)
{
    struct xc_dsp c;
    uint8_t source[20], prediction[20];
    int16_t input[256], expected[16], actual[16];
    xc_dsp_init_level(&c, XC_CPU_C);
    for (int round = 0; round < 100 * rounds; round++) {
        fill_samples(source, 20, round % CONTENTS);
        fill_samples(prediction, 20, random_below(CONTENTS));
        c.forward_dct(source, 5, prediction, 4, expected);
        dsp->forward_dct(source, 5, prediction, 4, actual);
        CLAIM_SAME(actual, expected, sizeof(actual));
        for (int i = 0; i < 256; i++)
            input[i] = random_coefficient(ranges[round % 4]);
        c.forward_wht(input, expected);
        dsp->forward_wht(input, actual);
        CLAIM_SAME(actual, expected, sizeof(actual));
    }
}

/* ---- Loop filters -------------------------------------------------------------------------- */

static struct filter_limits random_limits(void)
{
    uint8_t level = (uint8_t)random_below(64);
    struct filter_limits limits = {
        .macroblock_edge = (uint8_t)(2 * level + random_below(68)),
        .subblock_edge = (uint8_t)(2 * level + random_below(64)),
        .interior = (uint8_t)random_below(64),
        .high_variance = (uint8_t)random_below(4),
    };
    return limits;
}

/* Returns how many samples the reference changed. */
static int check_filters(const struct xc_dsp *dsp, int kind, unsigned edges)
{
    static uint8_t before[CANVAS], expected[CANVAS], actual[CANVAS];
    struct filter_limits limits = random_limits();
    size_t at = 16 * STRIDE + 16 + 4 * random_below(4), u = at + 20 * STRIDE, v = u + 24;
    if (random_below(8))
        fill_plateaus(before, (int)random_below(20));
    else
        fill_samples(before, CANVAS, random_below(CONTENTS));
    memcpy(expected, before, CANVAS);
    memcpy(actual, before, CANVAS);
    if (kind == 0) {
        reference_filter_luma(expected + at, STRIDE, &limits, edges);
        dsp->filter_luma(actual + at, STRIDE, &limits, edges);
    } else if (kind == 1) {
        reference_filter_luma(expected + at, STRIDE, &limits, edges);
        reference_filter_chroma(expected + u, expected + v, STRIDE, &limits, edges);
        dsp->filter_macroblock(actual + at, STRIDE, actual + u, actual + v, STRIDE, &limits, edges);
    } else {
        reference_filter_simple(expected + at, STRIDE, &limits, edges);
        dsp->filter_simple(actual + at, STRIDE, &limits, edges);
    }
    CLAIM_SAME(actual, expected, CANVAS);
    int changed = 0;
    for (int i = 0; i < CANVAS; i++)
        changed += expected[i] != before[i];
    return changed;
}

static void test_loop_filters(const struct xc_dsp *dsp)
{
    for (int kind = 0; kind < 3; kind++) {
        for (unsigned edges = 0; edges < 8; edges++) {
            int changed = 0;
            for (int round = 0; round < 20 * rounds; round++)
                changed += check_filters(dsp, kind, edges);
            CLAIM(edges == 0 || changed > 10 * rounds); /* the input does let them in */
        }
    }
}

/* ---- Measures ------------------------------------------------------------------------------ */

static void check_measures(const struct xc_dsp *dsp, enum block_size size, const uint8_t *a,
                           const uint8_t *b)
{
    const uint8_t *candidates[4] = {b, b + 1, b + STRIDE, b + 5 * STRIDE + 3};
    uint32_t sads[4];
    CLAIM(dsp->sad[size](a, STRIDE, b, STRIDE) == reference_sad(size, a, STRIDE, b, STRIDE));
    CLAIM(dsp->sse[size](a, STRIDE, b, STRIDE) == reference_sse(size, a, STRIDE, b, STRIDE));
    CLAIM(dsp->satd[size](a, STRIDE, b, STRIDE) == reference_satd(size, a, STRIDE, b, STRIDE));
    dsp->sad_x4[size](a, STRIDE, candidates, STRIDE, sads);
    for (int i = 0; i < 4; i++)
        CLAIM(sads[i] == reference_sad(size, a, STRIDE, candidates[i], STRIDE));
}

static void test_measures(const struct xc_dsp *dsp)
{
    static uint8_t a[CANVAS], b[CANVAS];
    for (int round = 0; round < 10 * rounds; round++) {
        fill_samples(a, CANVAS, round % CONTENTS);
        fill_samples(b, CANVAS, random_below(CONTENTS));
        for (enum block_size size = 0; size < BLOCK_SIZES; size++)
            check_measures(dsp, size, a + 4 * random_below(8), b + random_below(STRIDE));
    }
}

static void test_moments(const struct xc_dsp *dsp)
{
    static uint8_t a[CANVAS];
    for (int round = 0; round < 10 * rounds; round++) {
        uint32_t sum, squares, expected_sum = 0, expected_squares = 0;
        size_t at = random_below(32);
        fill_samples(a, CANVAS, round % CONTENTS);
        for (int i = 0; i < 256; i++) {
            uint32_t value = a[at + i / 16 * STRIDE + i % 16];
            expected_sum += value;
            expected_squares += value * value;
        }
        dsp->moments16x16(a + at, STRIDE, &sum, &squares);
        CLAIM(sum == expected_sum);
        CLAIM(squares == expected_squares);
    }
}

/* An entry that no level set would be a crash later. */
static void test_table_is_complete(const struct xc_dsp *dsp)
{
    void *const *entries = (void *const *)dsp;
    for (size_t i = 0; i < sizeof(struct xc_dsp) / sizeof(entries[0]); i++)
        CLAIM(entries[i]);
}

/* Their names are the test report's. */
static const struct test {
    const char *name;
    void (*run)(const struct xc_dsp *dsp);
} tests[] = {
    {"table is complete", test_table_is_complete},
    {"inter prediction", test_inter},
    {"true motion", test_true_motion},
    {"intra prediction of 4x4", test_intra4x4},
    {"inverse DCT", test_inverse_dct},
    {"inverse DCT of four DCs", test_inverse_dct_dc4},
    {"the reference is a DCT", test_inverse_dct_is_a_dct},
    {"inverse WHT", test_inverse_wht},
    {"forward DCT", test_forward_dct},
    {"forward DCT of four blocks", test_forward_dct4},
    {"forward WHT", test_forward_wht},
    {"blocks with something to code", test_coded_blocks},
    {"forward transforms like C", test_forward_like_c},
    {"loop filters", test_loop_filters},
    {"measures", test_measures},
    {"moments", test_moments},
};
enum { TESTS = sizeof tests / sizeof *tests };

/* `done` tests have been reported before; returns how many have now. */
static int run_level(enum xc_cpu level, int done)
{
    struct xc_dsp dsp;
    memset(&dsp, 0, sizeof(dsp));
    xc_dsp_init_level(&dsp, level);
    random_state = 1;
    for (int i = 0; i < TESTS; i++) {
        tests[i].run(&dsp);
        printf("ok %d - %s: %s\n", ++done, xc_cpu_name(level), tests[i].name);
        fflush(stdout);
    }
    return done;
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--bench")) {
        bench_levels();
        return 0;
    }
    int done = 0;
    rounds = test_level() == TEST_QUICK ? 8 : 40;
    for (enum xc_cpu level = 0; level < XC_CPU_LEVELS; level++)
        if (xc_cpu_has(level))
            done = run_level(level, done);
    printf("1..%d\n", done);
    return 0;
}
