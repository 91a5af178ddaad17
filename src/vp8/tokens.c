#include "vp8/tokens.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/cost.h"
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

/* ---- Listing ------------------------------------------------------------------------------- */

/* More than a block's tokens decide: the tree's nodes, extra bits and a sign at each position. */
#define BLOCK_DECISIONS (16 * (8 + 11 + 1))

/* Where the decisions of tokens go: as struct decision_list, but in registers. */
struct token_sink {
    decision *next;
    uint32_t *count; /* [slot][bit] as one */
};

XC_INLINE void put_fixed(struct token_sink *sink, int probability, int bit)
{
    *sink->next++ = (decision)(2 * (SLOT_FIXED + probability) + bit);
}

/* `place` is node 0's entry for a 0, of the token's kind of block, band and context. */
XC_INLINE void put_node(struct token_sink *sink, unsigned place, unsigned node, unsigned bit)
{
    unsigned entry = place + 2 * node + bit;
    *sink->next++ = (decision)entry;
    sink->count[entry]++;
}

XC_INLINE void put_category(struct token_sink *sink, int category, int magnitude)
{
    int extra = magnitude - category_base[category];
    for (int i = 0, width = category_width[category]; i < width; i++)
        put_fixed(sink, category_bits[category][i], extra >> (width - 1 - i) & 1);
}

/* A magnitude above 1. */
XC_INLINE void put_large(struct token_sink *sink, unsigned place, int magnitude)
{
    bool category = magnitude > 4;
    put_node(sink, place, 3, category);
    if (!category) {
        put_node(sink, place, 4, magnitude > 2);
        if (magnitude > 2)
            put_node(sink, place, 5, magnitude > 3);
        return;
    }
    bool high = magnitude >= category_base[2];
    put_node(sink, place, 6, high);
    if (!high) {
        bool second = magnitude >= category_base[1];
        put_node(sink, place, 7, second);
        put_category(sink, second, magnitude);
        return;
    }
    bool highest = magnitude >= category_base[4];
    bool upper = magnitude >= category_base[highest ? 5 : 3];
    put_node(sink, place, 8, highest);
    put_node(sink, place, 9 + highest, upper);
    put_category(sink, 2 + 2 * highest + upper, magnitude);
}

/* The entry of node 0. */
XC_INLINE unsigned place_of(unsigned type, unsigned band, unsigned context)
{
    unsigned kind = (type * COEFFICIENT_BANDS + band) * COEFFICIENT_CONTEXTS + context;
    return 2 * (SLOT_COEFFICIENT + kind * ENTROPY_NODES);
}

XC_INLINE void put_block(struct token_sink *sink, enum block_type type, int context, int end,
                         const int16_t *value)
{
    bool may_end = true; /* an end of block cannot follow a zero */
    int position = xc_first_position(type);
    for (; position < end; position++) {
        unsigned place = place_of(type, xc_coefficient_bands[position], (unsigned)context);
        int level = value[xc_zigzag[position]], magnitude = abs(level);
        if (may_end)
            put_node(sink, place, 0, 1);
        put_node(sink, place, 1, magnitude > 0);
        if (magnitude > 0) {
            put_node(sink, place, 2, magnitude > 1);
            if (magnitude > 1)
                put_large(sink, place, magnitude);
            put_fixed(sink, 128, level < 0);
        }
        may_end = magnitude > 0;
        context = magnitude > 1 ? 2 : magnitude;
    }
    if (position < 16)
        put_node(sink, place_of(type, xc_coefficient_bands[position], (unsigned)context), 0, 0);
}

void xc_list_coefficients(struct decision_list *list, bool y2, struct token_context *above,
                          struct token_context *left, const struct mb_coefficients *coefficients)
{
    uint8_t *a = (uint8_t *)above, *l = (uint8_t *)left;
    if (!xc_decisions_reserve(list, 25 * BLOCK_DECISIONS))
        return;
    struct token_sink sink = {list->entry + list->size, &list->count[0][0]};
    for (int i = y2 ? 0 : 1; i < 25; i++) {
        const struct block_place *place = &block_places[i];
        int end = coefficients->end[place->block];
        put_block(&sink, type_of(place->block, y2), a[place->above] + l[place->left], end,
                  coefficients->value[place->block]);
        a[place->above] = l[place->left] = end > 0;
    }
    list->size = (size_t)(sink.next - list->entry);
}
