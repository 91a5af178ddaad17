/*
 * Quantizers against division, the trellis against trying everything, plain quantization against the
 * trellis. --bench prints the trellis's speed instead.
 */
#include "vp8/quantize_plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "vp8/tables.h"

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

static struct xc_quantizers make_quantizers(int dc, int ac)
{
    struct block_steps both = {(int16_t)dc, (int16_t)ac};
    struct xc_steps steps = {.y = both, .y2 = both, .chroma = both};
    struct xc_quantizers quantizers;
    xc_quantizers_init(&quantizers, &steps);
    return quantizers;
}

static void test_quantizers_take_their_steps(void **state)
{
    struct xc_steps steps = {.y = {4, 5}, .y2 = {6, 8}, .chroma = {132, 157}};
    struct xc_quantizers quantizers;
    xc_quantizers_init(&quantizers, &steps);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(quantizers.of[Y_WITH_DC].step[i], i ? 5 : 4);
        assert_int_equal(quantizers.of[Y_AFTER_Y2].step[i], i ? 5 : 4);
        assert_int_equal(quantizers.of[Y2].step[i], i ? 8 : 6);
        assert_int_equal(quantizers.of[CHROMA].step[i], i ? 157 : 132);
    }
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* Without a price of bits, for every step and magnitude that there is: no level is nearer. */
static void test_free_bits_give_the_nearest_level(void **state)
{
    static struct xc_token_costs costs;
    xc_token_costs_init(&costs, xc_default_coefficient_probabilities);
    for (int step = 4; step <= 440; step++) {
        struct xc_quantizers quantizers = make_quantizers(step, step);
        const struct xc_trellis trellis = {
            .quantizer = &quantizers.of[Y2], .costs = &costs, .type = Y2};
        for (int value = 0; value <= 16383; value += 16) {
            int16_t coefficient[16], level[16], dequantized[16];
            for (int i = 0; i < 16; i++)
                coefficient[i] = (int16_t)smaller(value + i, 16383);
            xc_quantize_trellis(&trellis, coefficient, level, dequantized);
            for (int i = 0; i < 16; i++) {
                int nearest = smaller((coefficient[i] + step / 2) / step, XC_MAX_LEVEL);
                assert_int_equal(dequantized[i], level[i] * step);
                assert_int_equal(abs(coefficient[i] - dequantized[i]),
                                 abs(coefficient[i] - nearest * step));
            }
        }
    }
}

static void test_quantize_block(void **state)
{
    /* Raster order; 100 at place 8 is position 3 in zigzag order. */
    static const int16_t coefficient[16] = {-500, 9, 0, 0, 0, 0, 0, 0, 100};
    static struct xc_token_costs costs;
    struct xc_quantizers quantizers = make_quantizers(50, 20);
    struct xc_trellis trellis = {
        .quantizer = &quantizers.of[Y_AFTER_Y2], .costs = &costs, .type = Y_AFTER_Y2};
    int16_t level[16], dequantized[16] = {1234};
    xc_token_costs_init(&costs, xc_default_coefficient_probabilities);
    assert_int_equal(xc_quantize_trellis(&trellis, coefficient, level, dequantized).end, 4);
    assert_int_equal(level[0], 0);
    assert_int_equal(dequantized[0], 1234);
    assert_int_equal(level[8], 5);
    static const int16_t only_first[16] = {9000};
    assert_int_equal(xc_quantize_trellis(&trellis, only_first, level, dequantized).end, 0);
    trellis.quantizer = &quantizers.of[CHROMA];
    trellis.type = CHROMA;
    assert_int_equal(xc_quantize_trellis(&trellis, coefficient, level, dequantized).end, 4);
    assert_int_equal(level[0], -10);
    assert_int_equal(dequantized[0], -500);
}

/* ---- The trellis --------------------------------------------------------------------------- */

/* A block and what it is coded with. */
struct block {
    struct xc_quantizers quantizers;
    struct xc_token_costs costs;
    struct xc_trellis trellis;
    int16_t coefficient[16];
};

static void random_probabilities(coefficient_probabilities probabilities)
{
    uint8_t *p = &probabilities[0][0][0][0];
    for (size_t i = 0; i < sizeof(coefficient_probabilities); i++)
        p[i] = (uint8_t)(1 + random_below(255));
}

/* `most` coefficients at most are large enough for levels that are not 0. */
static void random_block(struct block *block, int most)
{
    static coefficient_probabilities probabilities;
    int dc = 4 + (int)random_below(150), ac = 4 + (int)random_below(437);
    if (random_below(2))
        memcpy(probabilities, xc_default_coefficient_probabilities, sizeof(probabilities));
    else
        random_probabilities(probabilities);
    block->quantizers = make_quantizers(dc, ac);
    xc_token_costs_init(&block->costs, probabilities);
    enum block_type type = random_below(BLOCK_TYPES);
    block->trellis = (struct xc_trellis){
        .quantizer = &block->quantizers.of[type],
        .costs = &block->costs,
        .lambda = random_below(4) ? (uint32_t)(ac * ac) * (1 + random_below(100)) / 2
                                  : random_below(1000),
        .type = type,
        .context = (int)random_below(3),
    };
    for (int i = 0; i < 16; i++) {
        int step = i ? ac : dc, least = step - step / 2;
        block->coefficient[i] = (int16_t)((int)random_below(2 * (uint32_t)least - 1) - least + 1);
    }
    while (most--) {
        int i = (int)random_below(16),
            reach = smaller((i ? ac : dc) * (1 + random_below(6)), 16383);
        block->coefficient[i] = (int16_t)((int)random_below(2 * (uint32_t)reach + 1) - reach);
    }
}

/* One token's decisions along the tree of section 13.2, in the words of the writer. */
static int token_decisions(const uint8_t *p, bool may_end, int magnitude)
{
    static const int bases[] = {5, 7, 11, 19, 35, 67};
    int cost = may_end ? xc_bit_cost(p[0], 1) : 0, category = 0;
    cost += xc_bit_cost(p[1], magnitude > 0);
    if (magnitude > 0)
        cost += xc_bit_cost(p[2], magnitude > 1);
    if (magnitude > 1)
        cost += xc_bit_cost(p[3], magnitude > 4);
    if (magnitude > 1 && magnitude < 5)
        cost += xc_bit_cost(p[4], magnitude > 2);
    if (magnitude == 3 || magnitude == 4)
        cost += xc_bit_cost(p[5], magnitude > 3);
    if (magnitude < 5)
        return cost;
    while (category < 5 && magnitude >= bases[category + 1])
        category++;
    cost += xc_bit_cost(p[6], category > 1);
    if (category < 2)
        return cost + xc_bit_cost(p[7], category);
    return cost + xc_bit_cost(p[8], category > 3) +
           xc_bit_cost(p[9 + (category > 3)], category & 1);
}

static int decided_rate(const coefficient_probabilities probabilities, enum block_type type,
                        int context, const int16_t level[16], int end)
{
    bool may_end = true;
    int rate = 0, position = type == Y_AFTER_Y2;
    for (; position < end; position++) {
        const uint8_t *p = probabilities[type][xc_coefficient_bands[position]][context];
        int magnitude = abs(level[xc_zigzag[position]]);
        rate += token_decisions(p, may_end, magnitude) + xc_value_cost(magnitude);
        may_end = magnitude > 0;
        context = magnitude > 1 ? 2 : magnitude;
    }
    if (position < 16)
        rate += xc_bit_cost(probabilities[type][xc_coefficient_bands[position]][context][0], 0);
    return rate;
}

static void test_block_rate(void **state)
{
    static coefficient_probabilities probabilities;
    static struct xc_token_costs costs;
    for (int round = 0; round < 5000; round++) {
        int16_t level[16];
        if (round % 100 == 0) {
            random_probabilities(probabilities);
            xc_token_costs_init(&costs, probabilities);
        }
        enum block_type type = random_below(BLOCK_TYPES);
        int context = (int)random_below(3), end = 0;
        for (int position = 0; position < 16; position++) {
            static const uint32_t limits[] = {1, 2, 3, 10, XC_MAX_LEVEL + 1};
            int magnitude = (int)random_below(limits[random_below(5)]);
            if (position == 0 && type == Y_AFTER_Y2)
                magnitude = 0;
            level[xc_zigzag[position]] = (int16_t)(random_below(2) ? -magnitude : magnitude);
            end = magnitude ? position + 1 : end;
        }
        assert_int_equal(xc_block_rate(&costs, type, context, level, end),
                         decided_rate(probabilities, type, context, level, end));
    }
}

static int block_end(const int16_t level[16], int first)
{
    int end = 16;
    while (end > first && level[xc_zigzag[end - 1]] == 0)
        end--;
    return end > first ? end : 0;
}

/* The nearest level's magnitude. */
static int nearest(const struct block *block, int place)
{
    int step = block->trellis.quantizer->step[place > 0];
    return smaller((abs(block->coefficient[place]) + step / 2) / step, XC_MAX_LEVEL);
}

static int64_t cost_of_levels(const struct block *block, const int16_t level[16])
{
    const struct xc_trellis *trellis = &block->trellis;
    int first = xc_first_position(trellis->type);
    int64_t distortion = 0;
    for (int i = first; i < 16; i++) {
        int64_t difference = block->coefficient[i] - level[i] * trellis->quantizer->step[i > 0];
        distortion += difference * difference;
    }
    int rate = xc_block_rate(trellis->costs, trellis->type, trellis->context, level,
                             block_end(level, first));
    return distortion * 65536 + (int64_t)trellis->lambda * rate;
}

/* The least cost over all candidates of the places from `place` on. */
static int64_t try_all(const struct block *block, int16_t level[16], int place)
{
    if (place == 16)
        return cost_of_levels(block, level);
    int most = nearest(block, place), sign = block->coefficient[place] < 0 ? -1 : 1;
    level[place] = 0;
    int64_t best = try_all(block, level, place + 1);
    for (int magnitude = most; magnitude > 0 && magnitude >= most - 1; magnitude--) {
        level[place] = (int16_t)(sign * magnitude);
        int64_t cost = try_all(block, level, place + 1);
        best = cost < best ? cost : best;
    }
    return best;
}

static void check_result(const struct block *block, const struct xc_block_result *result,
                         const int16_t level[16], const int16_t dequantized[16])
{
    int first = xc_first_position(block->trellis.type);
    for (int i = 0; i < 16; i++) {
        if (i >= first)
            assert_int_equal(dequantized[i], level[i] * block->trellis.quantizer->step[i > 0]);
        else
            assert_int_equal(level[i], 0);
        if (level[i])
            assert_true((level[i] > 0) == (block->coefficient[i] > 0));
    }
    assert_int_equal(result->end, block_end(level, first));
    assert_true(xc_rd_cost(result->distortion, result->rate, block->trellis.lambda) ==
                cost_of_levels(block, level));
}

static void test_trellis_finds_the_least_cost(void **state)
{
    static struct block block;
    int lower_than_nearest = 0;
    for (int round = 0; round < 3000; round++) {
        int16_t level[16], dequantized[16], tried[16] = {0};
        random_block(&block, (int)random_below(8));
        struct xc_block_result result =
            xc_quantize_trellis(&block.trellis, block.coefficient, level, dequantized);
        check_result(&block, &result, level, dequantized);
        int first = xc_first_position(block.trellis.type);
        assert_true(cost_of_levels(&block, level) == try_all(&block, tried, first));
        for (int i = first; i < 16; i++)
            lower_than_nearest += abs(level[i]) < nearest(&block, i);
    }
    assert_true(lower_than_nearest > 1000); /* rate did count */
}

/* ---- Plain quantization -------------------------------------------------------------------- */

/* Its levels are among those that the trellis chooses from: it never comes to less. */
static void test_plain_is_no_better_than_the_trellis(void **state)
{
    int equal = 0;
    for (int round = 0; round < 20000; round++) {
        static struct block block;
        struct xc_plain_quantizers plain;
        int16_t level[16], dequantized[16] = {-7}, best[16];
        random_block(&block, (int)random_below(17));
        const struct xc_trellis *trellis = &block.trellis;
        xc_plain_quantizers_init(&plain, &block.quantizers);
        struct xc_block_result made = xc_quantize_plain(
            &plain, &block.costs, trellis->type, trellis->context, block.coefficient, dequantized);
        struct xc_block_result least = xc_quantize_trellis(trellis, block.coefficient, level, best);
        int64_t cost = xc_rd_cost(made.distortion, made.rate, trellis->lambda);
        int64_t least_cost = xc_rd_cost(least.distortion, least.rate, trellis->lambda);
        int first = xc_first_position(trellis->type);
        assert_true(least_cost <= cost);
        equal += least_cost == cost;
        assert_int_equal(made.distortion,
                         xc_block_distortion(block.coefficient, dequantized, first));
        if (first > 0)
            assert_int_equal(dequantized[0], -7);
        for (int i = first; i < 16; i++) {
            int step = trellis->quantizer->step[i > 0];
            assert_int_equal(dequantized[i] % step, 0);
            /* Toward zero by at most three quarters of a step, away from it by half of one. */
            int lost = abs(block.coefficient[i]) - abs(dequantized[i]);
            assert_in_range(lost + step / 2, 0, step + step / 4);
        }
    }
    assert_true(equal > 1000);
}

/* All sixteen large, the largest values included: too many to try, but checked for coherence and
 * against the nearest levels, which the trellis can only better. */
static void test_trellis_of_large_blocks(void **state)
{
    static struct block block;
    for (int round = 0; round < 3000; round++) {
        int16_t level[16], dequantized[16];
        random_block(&block, 30);
        for (int i = 0; i < 16; i++)
            if (round % 2)
                block.coefficient[i] = (int16_t)((int)random_below(32767) - 16383);
        struct xc_block_result result =
            xc_quantize_trellis(&block.trellis, block.coefficient, level, dequantized);
        check_result(&block, &result, level, dequantized);
        int64_t cost = cost_of_levels(&block, level);
        for (int i = xc_first_position(block.trellis.type); i < 16; i++)
            level[i] =
                (int16_t)(block.coefficient[i] < 0 ? -nearest(&block, i) : nearest(&block, i));
        assert_true(cost <= cost_of_levels(&block, level));
    }
}

/* Without a price on rate the nearest levels are the best; with a great one there are none. */
static void test_trellis_at_the_ends_of_lambda(void **state)
{
    static struct block block;
    for (int round = 0; round < 1000; round++) {
        int16_t level[16], dequantized[16];
        random_block(&block, 10);
        block.trellis.lambda = 0;
        xc_quantize_trellis(&block.trellis, block.coefficient, level, dequantized);
        for (int i = xc_first_position(block.trellis.type); i < 16; i++) {
            int step = block.trellis.quantizer->step[i > 0],
                rest = abs(block.coefficient[i]) % step;
            assert_true(abs(level[i]) == nearest(&block, i) || 2 * rest == step);
        }
        block.trellis.lambda = UINT32_MAX;
        xc_token_costs_init(&block.costs, xc_default_coefficient_probabilities);
        struct xc_block_result result =
            xc_quantize_trellis(&block.trellis, block.coefficient, level, dequantized);
        check_result(&block, &result, level, dequantized);
    }
}

/* ---- Speed --------------------------------------------------------------------------------- */

static double seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void bench_trellis(int large)
{
    enum { BLOCKS = 64, ROUNDS = 2000 };
    static struct block blocks[BLOCKS];
    int16_t level[16], dequantized[16];
    int64_t levels = 0;
    for (int i = 0; i < BLOCKS; i++)
        do {
            random_block(&blocks[i], 0);
            for (int k = 0; k < large; k++) {
                int place = xc_zigzag[k + 1];
                blocks[i].coefficient[place] = (int16_t)(blocks[i].trellis.quantizer->step[1] * 2);
            }
        } while (blocks[i].trellis.lambda < 1000);
    double start = seconds();
    for (int round = 0; round < ROUNDS; round++)
        for (int i = 0; i < BLOCKS; i++)
            levels +=
                xc_quantize_trellis(&blocks[i].trellis, blocks[i].coefficient, level, dequantized)
                    .end;
    double each = (seconds() - start) / ROUNDS / BLOCKS * 1e9;
    printf("trellis, %2d large coefficients: %6.1f ns per block, mean end %.1f\n", large, each,
           (double)levels / ROUNDS / BLOCKS);
}

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "--bench")) {
        for (int large = 0; large < 16; large += large < 4 ? 1 : 4)
            bench_trellis(large);
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantizers_take_their_steps),
        cmocka_unit_test(test_free_bits_give_the_nearest_level),
        cmocka_unit_test(test_quantize_block),
        cmocka_unit_test(test_block_rate),
        cmocka_unit_test(test_trellis_finds_the_least_cost),
        cmocka_unit_test(test_trellis_of_large_blocks),
        cmocka_unit_test(test_plain_is_no_better_than_the_trellis),
        cmocka_unit_test(test_trellis_at_the_ends_of_lambda),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
