/* Rates against the writer and against what every prefix code must satisfy. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "vp8/cost.h"
#include "vp8/tables.h"
#include "vp8/tokens.h"

static uint64_t random_state = 1;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)((random_state >> 33) % limit);
}

static void random_probabilities(uint8_t *probabilities, size_t count)
{
    for (size_t i = 0; i < count; i++)
        probabilities[i] = (uint8_t)(1 + random_below(255));
}

/* The share of a code space that a word of this cost takes. */
static double share(int cost)
{
    return exp2(-cost / 256.0);
}

static void assert_near(double actual, double expected, double tolerance)
{
    if (fabs(actual - expected) > tolerance)
        fail_msg("%f is not %f to within %f", actual, expected, tolerance);
}

/* The mean of the cost over the ranges that the coder (section 7.3) may be in. */
static double expected_bit_cost(int probability, int bit)
{
    double sum = 0, weights = 0;
    for (int range = 128; range < 256; range++) {
        int split = 1 + ((range - 1) * probability >> 8);
        int part = bit ? range - split : split;
        sum += -256 * log2((double)part / range) / range;
        weights += 1.0 / range;
    }
    return sum / weights;
}

static void test_bits(void **state)
{
    for (int probability = 0; probability < 256; probability++)
        for (int bit = 0; bit < 2; bit++)
            assert_near(xc_bit_cost(probability, bit), expected_bit_cost(probability, bit), 0.51);
    /* Where probabilities are not extreme, that is the logarithm. */
    for (int probability = 64; probability <= 192; probability++)
        assert_near(xc_bit_cost(probability, 0), -256 * log2(probability / 256.0), 6);
}

static void test_tree(void **state)
{
    /* Section 8.1's trees: B_DC_PRED is the first leaf of the subblock modes. */
    int costs[INTRA_B_MODES];
    xc_tree_costs(xc_b_mode_tree, xc_b_mode_probabilities, costs);
    assert_int_equal(costs[B_DC_PRED], xc_bit_cost(xc_b_mode_probabilities[0], 0));
    double sum = 0;
    for (int mode = 0; mode < INTRA_B_MODES; mode++)
        sum += share(costs[mode]);
    assert_near(sum, 1, 0.01);
}

/* The words of a complete code fill its space. */
static void test_tokens_fill_code_space(void **state)
{
    static coefficient_probabilities probabilities;
    static struct xc_token_costs costs;
    random_probabilities(&probabilities[0][0][0][0], sizeof(probabilities));
    xc_token_costs_init(&costs, probabilities);
    for (int i = 0; i < BLOCK_TYPES * COEFFICIENT_BANDS; i++) {
        int type = i / COEFFICIENT_BANDS, band = i % COEFFICIENT_BANDS;
        double after_zero = 0;
        for (int token = TOKEN_ZERO; token < TOKENS; token++)
            after_zero += share(costs.after_zero[type][band][token]);
        assert_near(after_zero, 1, 0.01);
        for (int context = 0; context < COEFFICIENT_CONTEXTS; context++) {
            double sum = 0;
            for (int token = 0; token < TOKENS; token++)
                sum += share(costs.token[type][band][context][token]);
            assert_near(sum, 1, 0.01);
        }
    }
}

static void test_values_fill_code_space(void **state)
{
    double sum[TOKENS] = {0};
    for (int magnitude = 1; magnitude < CATEGORY6_BASE + 2048; magnitude++)
        sum[xc_value_token(magnitude)] += 2 * share(xc_value_cost(magnitude)); /* both signs */
    assert_int_equal(xc_value_token(0), TOKEN_ZERO);
    assert_int_equal(xc_value_cost(0), 0);
    for (int token = TOKEN_ONE; token < TOKENS; token++)
        assert_near(sum[token], 1, 0.01);
}

static void test_token_ranges(void **state)
{
    static const int bases[] = {0, 1, 2, 3, 4, 5, 7, 11, 19, 35, 67};
    for (int i = 1; i < 11; i++) {
        assert_int_equal(xc_value_token(bases[i]), TOKEN_ZERO + i);
        assert_int_equal(xc_value_token(bases[i] - 1), TOKEN_ZERO + i - 1);
    }
}

static int random_level(void)
{
    static const uint32_t limits[] = {1, 1, 2, 4, 12, 70, 2049};
    int magnitude = (int)random_below(limits[random_below(7)]);
    return random_below(2) ? -magnitude : magnitude;
}

static void random_macroblock(struct mb_coefficients *coefficients, bool y2)
{
    memset(coefficients, 0, sizeof(*coefficients));
    for (int block = 0; block < (y2 ? 25 : 24); block++) {
        int end = (int)random_below(17);
        for (int position = y2 && block < 16; position < end; position++) {
            int level = random_level();
            coefficients->value[block][xc_zigzag[position]] = (int16_t)level;
            if (level)
                coefficients->end[block] = (uint8_t)(position + 1);
        }
    }
}

/* Contexts as the writer keeps them: whether the blocks above and to the left had tokens. */
static int macroblock_rate(const struct xc_token_costs *costs, bool y2,
                           const struct mb_coefficients *coefficients)
{
    const uint8_t *end = coefficients->end;
    int rate = 0;
    if (y2)
        rate += xc_block_rate(costs, Y2, 0, coefficients->value[Y2_BLOCK], end[Y2_BLOCK]);
    for (int i = 0; i < 16; i++) {
        int context = (i > 3 && end[i - 4] > 0) + ((i & 3) > 0 && end[i - 1] > 0);
        rate += xc_block_rate(costs, y2 ? Y_AFTER_Y2 : Y_WITH_DC, context, coefficients->value[i],
                              end[i]);
    }
    for (int i = 16; i < 24; i++) {
        int context = ((i & 3) > 1 && end[i - 2] > 0) + ((i & 1) && end[i - 1] > 0);
        rate += xc_block_rate(costs, CHROMA, context, coefficients->value[i], end[i]);
    }
    return rate;
}

/* The writer's bytes are as many as the rates say. */
static void test_rates_are_what_the_writer_writes(void **state)
{
    static coefficient_probabilities probabilities;
    static struct xc_token_costs costs;
    static struct frame_header header;
    static struct decision_list list;
    uint8_t slots[SLOTS];
    for (int round = 0; round < 4; round++) {
        struct xc_buffer buffer = {0};
        struct bool_writer writer;
        double rate = 0;
        if (round == 0)
            memcpy(probabilities, xc_default_coefficient_probabilities, sizeof(probabilities));
        else
            random_probabilities(&probabilities[0][0][0][0], sizeof(probabilities));
        xc_token_costs_init(&costs, probabilities);
        memcpy(header.now.probabilities.coefficient, probabilities, sizeof(probabilities));
        xc_slot_probabilities(&header, slots);
        xc_decisions_clear(&list);
        for (int i = 0; i < 300; i++) {
            struct token_context above = {0}, left = {0};
            struct mb_coefficients coefficients;
            random_macroblock(&coefficients, i & 1);
            xc_list_coefficients(&list, i & 1, &above, &left, &coefficients);
            rate += macroblock_rate(&costs, i & 1, &coefficients);
        }
        xc_bool_writer_init(&writer, &buffer);
        xc_write_decisions(&writer, slots, list.entry, list.size);
        assert_true(xc_bool_writer_finish(&writer));
        /* The writer ends with four bytes more than it needs. */
        assert_near((double)buffer.size, rate / 256 / 8 + 4, 0.004 * (double)buffer.size);
        xc_buffer_free(&buffer);
    }
    xc_decisions_free(&list);
}

static void test_vectors_fill_code_space(void **state)
{
    uint8_t probabilities[2][MV_PROBABILITIES];
    struct xc_mv_costs costs;
    memcpy(probabilities, xc_default_mv_probabilities, sizeof(probabilities));
    for (int round = 0; round < 5; round++) {
        double row = 0, column = 0;
        xc_mv_costs_init(&costs, probabilities);
        for (int delta = -MV_DELTA_LIMIT; delta <= MV_DELTA_LIMIT; delta++) {
            row += share(costs.row[delta + MV_DELTA_LIMIT]);
            column += share(costs.column[delta + MV_DELTA_LIMIT]);
        }
        assert_near(row, 1, 0.02);
        assert_near(column, 1, 0.02);
        random_probabilities(&probabilities[0][0], sizeof(probabilities));
    }
}

static void test_vector_examples(void **state)
{
    const uint8_t *p = xc_default_mv_probabilities[0], *bits = p + MV_LONG_BITS;
    struct xc_mv_costs costs;
    xc_mv_costs_init(&costs, xc_default_mv_probabilities);
    /* 0: short, and three times left in its tree; no sign. */
    assert_int_equal(costs.row[MV_DELTA_LIMIT], xc_bit_cost(p[0], 0) + xc_bit_cost(p[2], 0) +
                                                    xc_bit_cost(p[3], 0) + xc_bit_cost(p[4], 0));
    /* -24: long, bits 3 and 4 set. */
    int expected = xc_bit_cost(p[0], 1) + xc_bit_cost(p[1], 1);
    for (int i = 0; i < MV_LONG_WIDTH; i++)
        expected += xc_bit_cost(bits[i], i == 3 || i == 4);
    assert_int_equal(costs.row[MV_DELTA_LIMIT - 24], expected);

    struct motion_vector best = {-10, 7}, mv = {-34, 8}, far = {1014, 7};
    assert_int_equal(xc_mv_cost(&costs, mv, best), expected + costs.column[MV_DELTA_LIMIT + 1]);
    assert_true(xc_mv_cost(&costs, far, best) > UINT16_MAX * 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bits),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_tokens_fill_code_space),
        cmocka_unit_test(test_values_fill_code_space),
        cmocka_unit_test(test_token_ranges),
        cmocka_unit_test(test_rates_are_what_the_writer_writes),
        cmocka_unit_test(test_vectors_fill_code_space),
        cmocka_unit_test(test_vector_examples),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
