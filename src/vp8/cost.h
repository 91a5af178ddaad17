/*
 * Rates: what decisions cost in the bitstream, in 1/256 bit, by the probabilities they are coded
 * with. Everything is integers from tables, so that choices made by rate are the same on every
 * machine.
 */
#ifndef VP8_COST_H
#define VP8_COST_H

#include <stdint.h>
#include <stdlib.h>

#include "vp8/frame.h"

enum { COST_OF_BIT = 256 }; /* of one at even odds */

/* By the probability of a 0 and the bit. Not quite -log2(probability / 256): the coder splits a
 * range r in [128, 255] into 1 + (r - 1) * probability / 256, rounded down, and the rest, and with
 * extreme probabilities that differs by up to half a bit. These are the means over r, each r
 * weighted by 1/r, as often as it occurs. */
extern const uint16_t xc_bit_costs[256][2];

static inline int xc_bit_cost(int probability, int bit)
{
    return xc_bit_costs[probability][bit];
}

/* The cost of every leaf of a tree of tables.h: costs[value of the leaf]. */
void xc_tree_costs(const int8_t *tree, const uint8_t *probabilities, int *costs);

/* ---- Coefficients (RFC 6386 section 13) ---------------------------------------------------- */

enum token {
    TOKEN_EOB, /* end of block */
    TOKEN_ZERO,
    TOKEN_ONE,
    TOKEN_TWO,
    TOKEN_THREE,
    TOKEN_FOUR,
    TOKEN_CATEGORY1, /* 5 to 6, with extra bits */
    TOKEN_CATEGORY2, /* 7 to 10 */
    TOKEN_CATEGORY3, /* 11 to 18 */
    TOKEN_CATEGORY4, /* 19 to 34 */
    TOKEN_CATEGORY5, /* 35 to 66 */
    TOKEN_CATEGORY6, /* 67 and more */
    TOKENS
};

enum { XC_MAX_LEVEL = 2048 }; /* the largest magnitude that this encoder writes */

enum { CATEGORY6_BASE = 67, CATEGORY6_LOW_BITS = 6 };
extern const uint8_t xc_value_tokens[CATEGORY6_BASE]; /* by magnitude */
extern const uint16_t xc_value_costs[CATEGORY6_BASE]; /* by magnitude: extra bits and sign */
extern const uint16_t xc_category6_high_costs[32];    /* by the upper 5 extra bits, with sign */
extern const uint16_t xc_category6_low_costs[64];     /* by the lower 6 */

static inline enum token xc_value_token(int magnitude)
{
    return magnitude < CATEGORY6_BASE ? (enum token)xc_value_tokens[magnitude] : TOKEN_CATEGORY6;
}

/* What a value costs besides its token: extra bits and sign. `magnitude` in [0, XC_MAX_LEVEL]. */
static inline int xc_value_cost(int magnitude)
{
    if (magnitude < CATEGORY6_BASE)
        return xc_value_costs[magnitude];
    int extra = magnitude - CATEGORY6_BASE;
    return xc_category6_high_costs[extra >> CATEGORY6_LOW_BITS] +
           xc_category6_low_costs[extra & ((1 << CATEGORY6_LOW_BITS) - 1)];
}

/* The context that a value makes for the token after it: 0, 1 or 2 for more. */
static inline int xc_value_context(int magnitude)
{
    return magnitude < 2 ? magnitude : 2;
}

struct xc_token_costs {
    /* At a block's beginning or after a value that is not 0. */
    uint16_t token[BLOCK_TYPES][COEFFICIENT_BANDS][COEFFICIENT_CONTEXTS][TOKENS];
    /* After a ZERO, where the end of block cannot stand; the context is 0, TOKEN_EOB unused. */
    uint16_t after_zero[BLOCK_TYPES][COEFFICIENT_BANDS][TOKENS];
};

void xc_token_costs_init(struct xc_token_costs *costs,
                         const coefficient_probabilities probabilities);

/* The position in zigzag order at which blocks of a type start. */
static inline int xc_first_position(enum block_type type)
{
    return type == Y_AFTER_Y2;
}

/* What a block's tokens cost. `context` is that of its first token, [0, 2]; `level` in raster
 * order; `end` as in struct mb_coefficients. */
int xc_block_rate(const struct xc_token_costs *costs, enum block_type type, int context,
                  const int16_t level[16], int end);

/* ---- Motion vectors (RFC 6386 section 17) -------------------------------------------------- */

enum { MV_DELTA_LIMIT = 1023 }; /* in quarter pixels: the largest component that can be written */

/* By the component's difference to its prediction plus MV_DELTA_LIMIT. */
struct xc_mv_costs {
    uint16_t row[2 * MV_DELTA_LIMIT + 1];
    uint16_t column[2 * MV_DELTA_LIMIT + 1];
};

/* `probabilities`: those of rows, then of columns. */
void xc_mv_costs_init(struct xc_mv_costs *costs, const uint8_t probabilities[2][MV_PROBABILITIES]);

/* The cost of writing `mv` when `best` is predicted. A difference that cannot be written costs more
 * than any that can. */
static inline int xc_mv_cost(const struct xc_mv_costs *costs, struct motion_vector mv,
                             struct motion_vector best)
{
    int row = mv.row - best.row, column = mv.column - best.column;
    if (abs(row) > MV_DELTA_LIMIT || abs(column) > MV_DELTA_LIMIT)
        return 1 << 20;
    return costs->row[row + MV_DELTA_LIMIT] + costs->column[column + MV_DELTA_LIMIT];
}

#endif
