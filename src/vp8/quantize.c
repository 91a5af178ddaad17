#include "vp8/quantize.h"

#include <stdbool.h>
#include <string.h>

#include "vp8/tables.h"

enum { RECIPROCAL_BITS = 25 };

static struct xc_quantizer make_quantizer(enum block_type type, struct block_steps steps)
{
    struct xc_quantizer quantizer = {.step = {(uint16_t)steps.dc, (uint16_t)steps.ac}};
    for (int i = 0; i < 2; i++) {
        uint32_t step = quantizer.step[i];
        quantizer.reciprocal[i] = ((1u << RECIPROCAL_BITS) + step - 1) / step;
    }
    for (int i = 0; i < 16; i++) {
        int step = quantizer.step[i > 0];
        quantizer.least[i] =
            i < xc_first_position(type) ? INT16_MAX : (int16_t)(step - (step >> 1));
    }
    return quantizer;
}

void xc_quantizers_init(struct xc_quantizers *quantizers, const struct xc_steps *steps)
{
    quantizers->of[Y_AFTER_Y2] = make_quantizer(Y_AFTER_Y2, steps->y);
    quantizers->of[Y_WITH_DC] = make_quantizer(Y_WITH_DC, steps->y);
    quantizers->of[Y2] = make_quantizer(Y2, steps->y2);
    quantizers->of[CHROMA] = make_quantizer(CHROMA, steps->chroma);
}

/* Eight squares of 14 bits fit an int. */
static inline int sum_of_squares(const int16_t value[8])
{
    int sum = 0;
    for (int i = 0; i < 8; i++)
        sum += value[i] * value[i];
    return sum;
}

int64_t xc_block_distortion(const int16_t coefficient[16], const int16_t dequantized[16], int first)
{
    int16_t difference[16];
    for (int i = 0; i < 16; i++)
        difference[i] = (int16_t)(coefficient[i] - dequantized[i]);
    if (first > 0)
        difference[0] = 0;
    return (int64_t)sum_of_squares(difference) + sum_of_squares(difference + 8);
}

/* (magnitude + step / 2) / step */
static inline int nearest_level(const struct xc_quantizer *quantizer, bool ac, int magnitude)
{
    uint64_t numerator = (uint64_t)(magnitude + (quantizer->step[ac] >> 1));
    int level = (int)(numerator * quantizer->reciprocal[ac] >> RECIPROCAL_BITS);
    return level < XC_MAX_LEVEL ? level : XC_MAX_LEVEL;
}

/* Sets a level and what it dequantizes to, at a place in raster order. */
static inline void put_level(const struct xc_quantizer *quantizer, int place, int value,
                             int16_t level[16], int16_t dequantized[16])
{
    level[place] = (int16_t)value;
    dequantized[place] = (int16_t)(value * quantizer->step[place > 0]);
}

static void clear_block(int first, int16_t level[16], int16_t dequantized[16])
{
    memset(level, 0, 16 * sizeof(level[0]));
    memset(dequantized + first, 0, (16 - (size_t)first) * sizeof(dequantized[0]));
}

/* ---- The trellis --------------------------------------------------------------------------- */

/*
 * Viterbi's algorithm over the positions in zigzag order. What is known of the past of a position
 * is the context that the token before it left: three states. Costs are relative to a block of
 * zeros.
 */
enum { UNREACHABLE_SHIFT = 60 };
static const int64_t unreachable = (int64_t)1 << UNREACHABLE_SHIFT;

/* The best way into each state behind a position. */
struct arrivals {
    int64_t cost[COEFFICIENT_CONTEXTS];
    uint16_t magnitude[COEFFICIENT_CONTEXTS]; /* at that position */
    uint8_t from[COEFFICIENT_CONTEXTS];       /* state before it */
};

/* Where the best block found so far ends. */
struct ending {
    int64_t cost;
    int end;
    int state;
};

/* Costs of the tokens at a position, by the state before it. */
typedef const uint16_t *token_rows[COEFFICIENT_CONTEXTS];

/* The cheapest way to write a token behind `before`: its cost, and the state that it starts from. `only` is
 * the one state that can be reached there, or -1 where there are several. */
static inline int64_t best_way(const struct xc_trellis *trellis, const struct arrivals *before,
                               int only, const token_rows rows, int token, int *from)
{
    int64_t lambda = trellis->lambda, best = unreachable;
    if (only >= 0) {
        *from = only;
        return before->cost[only] + lambda * rows[only][token];
    }
    *from = 0;
    for (int i = 0; i < COEFFICIENT_CONTEXTS; i++) {
        int64_t cost = before->cost[i] + lambda * rows[i][token];
        *from = cost < best ? i : *from;
        best = cost < best ? cost : best;
    }
    return best;
}

/* Takes `magnitude` at a position into account, whose `base` cost does not depend on the state. */
static inline void arrive(const struct xc_trellis *trellis, const struct arrivals *before, int only,
                          const token_rows rows, int magnitude, int64_t base,
                          struct arrivals *after)
{
    int state = xc_value_context(magnitude), from;
    int64_t best = base + best_way(trellis, before, only, rows, xc_value_token(magnitude), &from);
    if (best < after->cost[state]) {
        after->cost[state] = best;
        after->magnitude[state] = (uint16_t)magnitude;
        after->from[state] = (uint8_t)from;
    }
}

/* What a level changes in the cost whatever stands before it: distortion, extra bits and sign. */
static inline int64_t level_cost(const struct xc_trellis *trellis, int step, int magnitude,
                                 int level)
{
    int64_t value = (int64_t)level * step;
    return xc_rd_cost(value * (value - 2 * magnitude), xc_value_cost(level), trellis->lambda);
}

/* All candidates of a coefficient whose nearest level is not 0. */
static inline void advance(const struct xc_trellis *trellis, const struct arrivals *before,
                           int only, const token_rows rows, int place, int magnitude,
                           struct arrivals *after)
{
    int step = trellis->quantizer->step[place > 0];
    int nearest = nearest_level(trellis->quantizer, place > 0, magnitude);
    for (int i = 0; i < COEFFICIENT_CONTEXTS; i++)
        after->cost[i] = unreachable;
    arrive(trellis, before, only, rows, 0, 0, after);
    if (nearest > 1)
        arrive(trellis, before, only, rows, nearest - 1,
               level_cost(trellis, step, magnitude, nearest - 1), after);
    arrive(trellis, before, only, rows, nearest, level_cost(trellis, step, magnitude, nearest),
           after);
}

/* The same of one that can only be 0: state 0 is left. */
static inline void advance_by_zero(const struct xc_trellis *trellis, const struct arrivals *before,
                                   int only, const token_rows rows, struct arrivals *after)
{
    int from;
    after->cost[0] = best_way(trellis, before, only, rows, TOKEN_ZERO, &from);
    after->cost[1] = after->cost[2] = unreachable;
    after->magnitude[0] = 0;
    after->from[0] = (uint8_t)from;
}

/* Considers to end the block before `position`, behind a value that is not 0. */
static inline void consider_end(const struct xc_trellis *trellis, const struct arrivals *arrivals,
                                int position, struct ending *best)
{
    for (int state = 1; state < COEFFICIENT_CONTEXTS; state++) {
        int64_t cost = arrivals->cost[state];
        if (position < 16)
            cost += (int64_t)trellis->lambda *
                    trellis->costs
                        ->token[trellis->type][xc_coefficient_bands[position]][state][TOKEN_EOB];
        if (cost < best->cost)
            *best = (struct ending){.cost = cost, .end = position, .state = state};
    }
}

/* Walks the best path back from where it ends. `arrivals[i]` are those behind position i. */
static void write_path(const struct xc_quantizer *quantizer, const struct arrivals *arrivals,
                       const struct ending *best, int first, const int16_t coefficient[16],
                       int16_t level[16], int16_t dequantized[16])
{
    int state = best->state;
    for (int position = best->end - 1; position >= first; position--) {
        int place = xc_zigzag[position], magnitude = arrivals[position].magnitude[state];
        put_level(quantizer, place, coefficient[place] < 0 ? -magnitude : magnitude, level,
                  dequantized);
        state = arrivals[position].from[state];
    }
}

/* The paths of all positions up to `last`; fills `arrivals` and returns the best end. */
static struct ending search(const struct xc_trellis *trellis, const int16_t coefficient[16],
                            int last, struct arrivals arrivals[16])
{
    const struct xc_token_costs *costs = trellis->costs;
    enum block_type type = trellis->type;
    int first = xc_first_position(type);
    struct arrivals start = {.cost = {unreachable, unreachable, unreachable}};
    const struct arrivals *before = &start;
    const uint16_t(*tokens)[TOKENS] = costs->token[type][xc_coefficient_bands[first]];
    token_rows rows = {tokens[0], tokens[1], tokens[2]};
    struct ending best = {(int64_t)trellis->lambda * tokens[trellis->context][TOKEN_EOB], 0, 0};

    int only = trellis->context;
    start.cost[only] = 0;
    for (int position = first; position <= last; position++) {
        int place = xc_zigzag[position], magnitude = abs(coefficient[place]);
        if (magnitude < trellis->quantizer->least[place]) {
            advance_by_zero(trellis, before, only, rows, &arrivals[position]);
            before = &arrivals[position];
            only = 0;
        } else {
            advance(trellis, before, only, rows, place, magnitude, &arrivals[position]);
            before = &arrivals[position];
            only = -1;
            consider_end(trellis, before, position + 1, &best);
        }
        if (position < last) {
            int band = xc_coefficient_bands[position + 1];
            rows[0] = costs->after_zero[type][band];
            rows[1] = costs->token[type][band][1];
            rows[2] = costs->token[type][band][2];
        }
    }
    return best;
}

/* Whether 0 is the nearest level of all coefficients. */
static bool is_empty(const struct xc_quantizer *quantizer, const int16_t coefficient[16])
{
    int16_t any = 0;
    for (int i = 0; i < 16; i++) {
        int16_t value = coefficient[i], opposite = (int16_t)-value;
        int16_t magnitude = value > opposite ? value : opposite;
        any |= magnitude >= quantizer->least[i] ? -1 : 0;
    }
    return any == 0;
}

/* The last position in zigzag order whose nearest level is not 0; there is one. */
static int last_candidate(const struct xc_quantizer *quantizer, const int16_t coefficient[16])
{
    int position = 15;
    while (abs(coefficient[xc_zigzag[position]]) < quantizer->least[xc_zigzag[position]])
        position--;
    return position;
}

struct xc_block_result xc_quantize_trellis(const struct xc_trellis *trellis,
                                           const int16_t coefficient[16], int16_t level[16],
                                           int16_t dequantized[16])
{
    int first = xc_first_position(trellis->type);
    struct xc_block_result result = {0};
    clear_block(first, level, dequantized);
    if (!is_empty(trellis->quantizer, coefficient)) {
        int last = last_candidate(trellis->quantizer, coefficient);
        struct arrivals arrivals[16];
        struct ending best = search(trellis, coefficient, last, arrivals);
        write_path(trellis->quantizer, arrivals, &best, first, coefficient, level, dequantized);
        result.end = best.end;
    }
    result.rate = xc_block_rate(trellis->costs, trellis->type, trellis->context, level, result.end);
    result.distortion = xc_block_distortion(coefficient, dequantized, first);
    return result;
}
