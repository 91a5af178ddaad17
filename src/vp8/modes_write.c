#include "vp8/modes_write.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/modes.h"
#include "vp8/tables.h"

/* No bool has probability 0: this stands where the decisions of a macroblock begin. */
#define MACROBLOCK ((decision)0)

/* More than a macroblock decides: sixteen vectors, each with a bool for the kind, the bits and the sign of two
 * components, behind a tree of three. */
#define MACROBLOCK_DECISIONS (32 + 16 * (3 + 2 * (2 + MV_LONG_WIDTH)))

/* Whether `leaf` lies below `entry` of the tree. */
static bool reaches(const int8_t *tree, int entry, int leaf)
{
    if (entry <= 0)
        return -entry == leaf;
    return reaches(tree, tree[entry], leaf) || reaches(tree, tree[entry + 1], leaf);
}

/* A tree whose nodes have the slots from `slot` on. */
static void put_tree(struct decision_list *list, const int8_t *tree, int slot, int leaf)
{
    int node = 0;
    do {
        int bit = reaches(tree, tree[node + 1], leaf);
        decide(list, slot + (node >> 1), bit);
        node = tree[node + bit];
    } while (node > 0);
}

static void put_fixed_tree(struct decision_list *list, const int8_t *tree,
                           const uint8_t *probability, int leaf)
{
    int node = 0;
    do {
        int bit = reaches(tree, tree[node + 1], leaf);
        decide(list, SLOT_FIXED + probability[node >> 1], bit);
        node = tree[node + bit];
    } while (node > 0);
}

/* RFC 6386 section 17.2; `axis` is 0 for rows, 1 for columns. */
static void put_mv_component(struct decision_list *list, int axis, int value)
{
    int slot = SLOT_MV + axis * MV_PROBABILITIES, bits = slot + MV_LONG_BITS;
    int magnitude = abs(value);
    decide(list, slot + MV_IS_SHORT, magnitude >= 8);
    if (magnitude < 8) {
        put_tree(list, xc_mv_short_tree, slot + MV_SHORT_TREE, magnitude);
    } else {
        for (int i = 0; i < 3; i++)
            decide(list, bits + i, magnitude >> i & 1);
        for (int i = MV_LONG_WIDTH - 1; i > 3; i--)
            decide(list, bits + i, magnitude >> i & 1);
        if (magnitude > 15)
            decide(list, bits + 3, magnitude >> 3 & 1);
    }
    if (magnitude)
        decide(list, slot + MV_SIGN, value < 0);
}

static void put_mv(struct decision_list *list, struct motion_vector best, struct motion_vector mv)
{
    put_mv_component(list, 0, mv.row - best.row);
    put_mv_component(list, 1, mv.column - best.column);
}

static void put_split(struct decision_list *list, struct motion_vector best,
                      const struct mb_info *above, const struct mb_info *left,
                      const struct mb_info *info)
{
    put_fixed_tree(list, xc_partitioning_tree, xc_partitioning_probabilities, info->partitioning);
    const uint8_t *part_of = xc_partition_of_subblock[info->partitioning];
    int next = 0; /* the part whose first subblock comes next */
    for (int block = 0; block < 16; block++) {
        if (part_of[block] != next)
            continue;
        struct motion_vector left_mv =
            block & 3 ? info->mvs[block - 1] : xc_subblock_mv(left, block + 3);
        struct motion_vector above_mv =
            block > 3 ? info->mvs[block - 4] : xc_subblock_mv(above, block + 12);
        int context = xc_split_mv_context(left_mv, above_mv);
        put_fixed_tree(list, xc_split_mv_tree, xc_split_mv_probabilities[context],
                       info->b_mode[block]);
        if (info->b_mode[block] == NEW_4X4)
            put_mv(list, best, info->mvs[block]);
        next++;
    }
}

/* The tree of RFC 6386 section 16.3. */
static void put_mv_mode(struct decision_list *list, const struct mv_candidates *candidates,
                        int mode)
{
    static const uint8_t order[] = {MV_ZERO, MV_NEAREST, MV_NEAR};
    for (int i = 0; i < 3; i++) {
        decide(list, SLOT_FIXED + candidates->probability[i][i], mode != order[i]);
        if (mode == order[i])
            return;
    }
    decide(list, SLOT_FIXED + candidates->probability[3][3], mode == MV_SPLIT);
}

static void put_inter_modes(struct decision_list *list, const struct frame_header *header,
                            const struct mb_map *map, int row, int column,
                            const struct mb_info *info)
{
    struct mv_candidates candidates;
    decide(list, SLOT_LAST, info->reference != REF_LAST);
    if (info->reference != REF_LAST)
        decide(list, SLOT_GOLDEN, info->reference == REF_ALTREF);
    xc_find_candidates(map, row, column, info->reference, header->sign_bias, &candidates);
    put_mv_mode(list, &candidates, info->y_mode);
    if (info->y_mode == MV_NEW)
        put_mv(list, candidates.best, info->mv);
    else if (info->y_mode == MV_SPLIT)
        put_split(list, candidates.best, mb_at(map, row - 1, column), mb_at(map, row, column - 1),
                  info);
}

static void put_intra_modes(struct decision_list *list, const struct mb_info *info)
{
    put_tree(list, xc_y_mode_tree, SLOT_Y_MODE, info->y_mode);
    for (int i = 0; info->y_mode == B_PRED && i < 16; i++)
        put_fixed_tree(list, xc_b_mode_tree, xc_b_mode_probabilities, info->b_mode[i]);
    put_tree(list, xc_uv_mode_tree, SLOT_UV_MODE, info->uv_mode);
}

/* RFC 6386 section 11 */
static void put_key_modes(struct decision_list *list, const struct mb_info *above,
                          const struct mb_info *left, const struct mb_info *info)
{
    put_fixed_tree(list, xc_key_y_mode_tree, xc_key_y_mode_probabilities, info->y_mode);
    for (int i = 0; info->y_mode == B_PRED && i < 16; i++) {
        int a = i > 3 ? info->b_mode[i - 4] : above->b_mode[i + 12];
        int l = i & 3 ? info->b_mode[i - 1] : left->b_mode[i + 3];
        put_fixed_tree(list, xc_b_mode_tree, xc_key_b_mode_probabilities[a][l], info->b_mode[i]);
    }
    put_fixed_tree(list, xc_uv_mode_tree, xc_key_uv_mode_probabilities, info->uv_mode);
}

static void put_macroblock(struct decision_list *list, const struct frame_header *header,
                           const struct mb_map *map, int row, int column)
{
    const struct mb_info *info = mb_at(map, row, column);
    list->entry[list->size++] = MACROBLOCK;
    if (header->key_frame) {
        put_key_modes(list, mb_at(map, row - 1, column), mb_at(map, row, column - 1), info);
        return;
    }
    decide(list, SLOT_INTRA, info->reference != REF_INTRA);
    if (info->reference != REF_INTRA)
        put_inter_modes(list, header, map, row, column, info);
    else
        put_intra_modes(list, info);
}

void xc_list_modes(const struct frame_header *header, const struct mb_map *map,
                   struct decision_list *modes)
{
    xc_decisions_clear(modes);
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++)
            if (xc_decisions_reserve(modes, MACROBLOCK_DECISIONS))
                put_macroblock(modes, header, map, row, column);
}

/* ---- Writing ------------------------------------------------------------------------------- */

/* The first bools of a macroblock: RFC 6386 section 10, and mb_skip_coeff. */
static inline void write_segment_and_skip(struct bool_writer *writer,
                                          const struct frame_header *header,
                                          const struct mb_info *info)
{
    const uint8_t *tree = header->segmentation_update.tree;
    if (header->segmentation_update.map) {
        write_bool(writer, tree[0], info->segment >> 1);
        write_bool(writer, tree[1 + (info->segment >> 1)], info->segment & 1);
    }
    if (header->skip_enabled)
        write_bool(writer, header->skip_probability, info->skip);
}

void xc_write_modes(struct bool_writer *writer, const struct frame_header *header,
                    const struct mb_map *map, const struct decision_list *modes,
                    const uint8_t probability[SLOTS])
{
    struct bool_writer local = *writer; /* lets the compiler keep it in registers */
    const decision *entry = modes->entry;
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++) {
            write_segment_and_skip(&local, header, mb_at(map, row, column));
            const decision *end = modes->entry + modes->size;
            for (entry++; entry < end && *entry != MACROBLOCK; entry++)
                write_bool(&local, probability[*entry >> 1], *entry & 1);
        }
    *writer = local;
}
