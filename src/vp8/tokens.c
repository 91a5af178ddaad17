#include "vp8/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/tables.h"

/* Extra bits of the token categories 1 to 6, most significant first, and their smallest values (RFC
 * 6386 section 13.2). */
static const uint8_t category_bits[6][12] = {
    {159},
    {165, 145},
    {173, 148, 140},
    {176, 155, 140, 135},
    {180, 157, 141, 134, 130},
    {254, 254, 243, 230, 196, 177, 153, 140, 133, 130, 129}};
static const uint8_t category_width[6] = {1, 2, 3, 4, 5, 11};
static const uint8_t category_base[6] = {5, 7, 11, 19, 35, 67};

/* Blocks in coding order, Y2 first, and the places of their contexts in struct token_context. */
static const struct block_place {
    uint8_t block, above, left;
} block_places[25] = {
    {Y2_BLOCK, 8, 8},                                     /* Y2 */
    {0, 0, 0},        {1, 1, 0},  {2, 2, 0},  {3, 3, 0},  /* luma, row by row */
    {4, 0, 1},        {5, 1, 1},  {6, 2, 1},  {7, 3, 1},  /* */
    {8, 0, 2},        {9, 1, 2},  {10, 2, 2}, {11, 3, 2}, /* */
    {12, 0, 3},       {13, 1, 3}, {14, 2, 3}, {15, 3, 3}, /* */
    {16, 4, 4},       {17, 5, 4}, {18, 4, 5}, {19, 5, 5}, /* U */
    {20, 6, 6},       {21, 7, 6}, {22, 6, 7}, {23, 7, 7}, /* V */
};

static inline enum block_type type_of(int block, bool y2)
{
    if (block == Y2_BLOCK)
        return Y2;
    return block > 15 ? CHROMA : y2 ? Y_AFTER_Y2 : Y_WITH_DC;
}

void xc_clear_token_context(bool y2, struct token_context *above, struct token_context *left)
{
    uint8_t above_y2 = above->y2, left_y2 = left->y2;
    memset(above, 0, sizeof *above);
    memset(left, 0, sizeof *left);
    if (!y2) {
        above->y2 = above_y2;
        left->y2 = left_y2;
    }
}

/* ---- Parsing ------------------------------------------------------------------------------- */

static inline int parse_category(struct bool_reader *reader, int category)
{
    int extra = 0;
    for (int i = 0; i < category_width[category]; i++)
        extra = extra << 1 | read_bool(reader, category_bits[category][i]);
    return category_base[category] + extra;
}

/* A magnitude above 1; `p` are the probabilities of the token tree's nodes. */
XC_INLINE int parse_large(struct bool_reader *reader, const uint8_t *p)
{
    if (!read_bool(reader, p[3])) {
        if (!read_bool(reader, p[4]))
            return 2;
        return 3 + read_bool(reader, p[5]);
    }
    if (!read_bool(reader, p[6]))
        return parse_category(reader, read_bool(reader, p[7]));
    int high = read_bool(reader, p[8]);
    return parse_category(reader, 2 + 2 * high + read_bool(reader, p[9 + high]));
}

/* Returns the end of the block (struct mb_coefficients). */
XC_INLINE int parse_block(struct bool_reader *reader,
                          const uint8_t (*bands)[COEFFICIENT_CONTEXTS][ENTROPY_NODES], int context,
                          int position, int16_t value[16])
{
    const uint8_t *p = bands[xc_coefficient_bands[position]][context];
    if (!read_bool(reader, p[0]))
        return 0;
    memset(value, 0, 16 * sizeof value[0]);
    for (;;) {
        const uint8_t(*next)[ENTROPY_NODES] = bands[xc_coefficient_bands[position + 1]];
        if (!read_bool(reader, p[1])) {
            /* Behind a zero there is no end of block. */
            if (++position == 16)
                return 16;
            p = next[0];
            continue;
        }
        int magnitude = 1;
        const uint8_t *after = next[1];
        if (read_bool(reader, p[2])) {
            magnitude = parse_large(reader, p);
            after = next[2];
        }
        value[xc_zigzag[position]] = (int16_t)(read_bit(reader) ? -magnitude : magnitude);
        if (++position == 16 || !read_bool(reader, after[0]))
            return position;
        p = after;
    }
}

bool xc_parse_coefficients(struct bool_reader *reader,
                           const coefficient_probabilities probabilities, bool y2,
                           struct token_context *above, struct token_context *left,
                           struct mb_coefficients *coefficients)
{
    struct bool_reader local = *reader; /* lets the compiler keep it in registers */
    uint8_t *a = (uint8_t *)above, *l = (uint8_t *)left;
    int any = 0;
    coefficients->end[Y2_BLOCK] = 0;
    /* One copy of the parser for all kinds of blocks: it is large. */
    for (int i = y2 ? 0 : 1; i < 25; i++) {
        const struct block_place *place = &block_places[i];
        enum block_type type = type_of(place->block, y2);
        int end = parse_block(&local, probabilities[type], a[place->above] + l[place->left],
                              type == Y_AFTER_Y2, coefficients->value[place->block]);
        coefficients->end[place->block] = (uint8_t)end;
        a[place->above] = l[place->left] = end > 0;
        any |= end;
    }
    *reader = local;
    return any != 0;
}

/* ---- Writing and counting ------------------------------------------------------------------ */

/* Where the decisions of a block's tokens go: to a writer, or to counters. */
struct token_sink {
    struct bool_writer *writer; /* NULL when counting */
    const uint8_t (*probability)[COEFFICIENT_CONTEXTS][ENTROPY_NODES];
    uint32_t (*count)[COEFFICIENT_CONTEXTS][ENTROPY_NODES][2];
};

XC_INLINE void decide(const struct token_sink *sink, int band, int context, int node, int bit)
{
    if (sink->writer)
        write_bool(sink->writer, sink->probability[band][context][node], bit);
    else
        sink->count[band][context][node][bit]++;
}

XC_INLINE void put_category(const struct token_sink *sink, int category, int magnitude)
{
    int extra = magnitude - category_base[category];
    if (!sink->writer)
        return; /* extra bits have fixed probabilities */
    for (int i = 0, width = category_width[category]; i < width; i++)
        write_bool(sink->writer, category_bits[category][i], extra >> (width - 1 - i) & 1);
}

/* A magnitude above 1. */
XC_INLINE void put_large(const struct token_sink *sink, int band, int context, int magnitude)
{
    bool category = magnitude > 4;
    decide(sink, band, context, 3, category);
    if (!category) {
        decide(sink, band, context, 4, magnitude > 2);
        if (magnitude > 2)
            decide(sink, band, context, 5, magnitude > 3);
        return;
    }
    bool high = magnitude >= category_base[2];
    decide(sink, band, context, 6, high);
    if (!high) {
        bool second = magnitude >= category_base[1];
        decide(sink, band, context, 7, second);
        put_category(sink, second, magnitude);
        return;
    }
    bool highest = magnitude >= category_base[4];
    bool upper = magnitude >= category_base[highest ? 5 : 3];
    decide(sink, band, context, 8, highest);
    decide(sink, band, context, 9 + highest, upper);
    put_category(sink, 2 + 2 * highest + upper, magnitude);
}

XC_INLINE void put_block(const struct token_sink *sink, int context, int position, int end,
                         const int16_t *value)
{
    bool may_end = true; /* an end of block cannot follow a zero */
    for (; position < end; position++) {
        int band = xc_coefficient_bands[position];
        int level = value[xc_zigzag[position]], magnitude = abs(level);
        if (may_end)
            decide(sink, band, context, 0, 1);
        decide(sink, band, context, 1, magnitude > 0);
        if (magnitude > 0) {
            decide(sink, band, context, 2, magnitude > 1);
            if (magnitude > 1)
                put_large(sink, band, context, magnitude);
            if (sink->writer)
                write_bool(sink->writer, 128, level < 0);
        }
        may_end = magnitude > 0;
        context = magnitude > 1 ? 2 : magnitude;
    }
    if (position < 16)
        decide(sink, xc_coefficient_bands[position], context, 0, 0);
}

/* All blocks of a macroblock. Each use is compiled by itself, with one copy of the code above. */
XC_INLINE void put_blocks(struct token_sink *sink, const coefficient_probabilities *probabilities,
                          token_counts *counts, bool y2, struct token_context *above,
                          struct token_context *left, const struct mb_coefficients *coefficients)
{
    uint8_t *a = (uint8_t *)above, *l = (uint8_t *)left;
    for (int i = y2 ? 0 : 1; i < 25; i++) {
        const struct block_place *place = &block_places[i];
        enum block_type type = type_of(place->block, y2);
        int end = coefficients->end[place->block];
        if (probabilities)
            sink->probability = (*probabilities)[type];
        else
            sink->count = (*counts)[type];
        put_block(sink, a[place->above] + l[place->left], type == Y_AFTER_Y2, end,
                  coefficients->value[place->block]);
        a[place->above] = l[place->left] = end > 0;
    }
}

void xc_write_coefficients(struct bool_writer *writer,
                           const coefficient_probabilities probabilities, bool y2,
                           struct token_context *above, struct token_context *left,
                           const struct mb_coefficients *coefficients)
{
    struct bool_writer local = *writer; /* lets the compiler keep it in registers */
    struct token_sink sink = {.writer = &local};
    put_blocks(&sink, (const coefficient_probabilities *)probabilities, NULL, y2, above, left,
               coefficients);
    *writer = local;
}

void xc_count_coefficients(token_counts counts, bool y2, struct token_context *above,
                           struct token_context *left, const struct mb_coefficients *coefficients)
{
    struct token_sink sink = {0};
    put_blocks(&sink, NULL, (token_counts *)counts, y2, above, left, coefficients);
}
