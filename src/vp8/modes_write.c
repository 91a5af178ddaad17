#include "vp8/modes_write.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/modes.h"
#include "vp8/tables.h"

/* Where the decisions go: always into the counters, and to a writer where there is one. */
struct mode_sink {
    struct bool_writer *writer;
    const struct frame_header *header;
    struct mode_counts *counts;
};

/* `counter` is NULL for decisions whose probability is fixed. */
static void put(const struct mode_sink *sink, int probability, uint32_t counter[2], int bit)
{
    if (counter)
        counter[bit]++;
    if (sink->writer)
        write_bool(sink->writer, probability, bit);
}

/* Whether `leaf` lies below `entry` of the tree. */
static bool reaches(const int8_t *tree, int entry, int leaf)
{
    if (entry <= 0)
        return -entry == leaf;
    return reaches(tree, tree[entry], leaf) || reaches(tree, tree[entry + 1], leaf);
}

static void put_tree(const struct mode_sink *sink, const int8_t *tree, const uint8_t *probability,
                     uint32_t (*counter)[2], int leaf)
{
    int node = 0;
    do {
        int bit = reaches(tree, tree[node + 1], leaf);
        put(sink, probability[node >> 1], counter ? counter[node >> 1] : NULL, bit);
        node = tree[node + bit];
    } while (node > 0);
}

/* RFC 6386 section 17.2; `axis` is 0 for rows, 1 for columns. */
static void put_mv_component(const struct mode_sink *sink, int axis, int value)
{
    const uint8_t *probability = sink->header->now.probabilities.mv[axis];
    uint32_t(*counter)[2] = sink->counts->mv[axis];
    int magnitude = abs(value);
    put(sink, probability[MV_IS_SHORT], counter[MV_IS_SHORT], magnitude >= 8);
    if (magnitude < 8) {
        put_tree(sink, xc_mv_short_tree, probability + MV_SHORT_TREE, counter + MV_SHORT_TREE,
                 magnitude);
    } else {
        const uint8_t *bits = probability + MV_LONG_BITS;
        for (int i = 0; i < 3; i++)
            put(sink, bits[i], counter[MV_LONG_BITS + i], magnitude >> i & 1);
        for (int i = MV_LONG_WIDTH - 1; i > 3; i--)
            put(sink, bits[i], counter[MV_LONG_BITS + i], magnitude >> i & 1);
        if (magnitude > 15)
            put(sink, bits[3], counter[MV_LONG_BITS + 3], magnitude >> 3 & 1);
    }
    if (magnitude)
        put(sink, probability[MV_SIGN], counter[MV_SIGN], value < 0);
}

static void put_mv(const struct mode_sink *sink, struct motion_vector best, struct motion_vector mv)
{
    put_mv_component(sink, 0, mv.row - best.row);
    put_mv_component(sink, 1, mv.column - best.column);
}

static void put_split(const struct mode_sink *sink, struct motion_vector best,
                      const struct mb_info *above, const struct mb_info *left,
                      const struct mb_info *info)
{
    put_tree(sink, xc_partitioning_tree, xc_partitioning_probabilities, NULL, info->partitioning);
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
        put_tree(sink, xc_split_mv_tree, xc_split_mv_probabilities[context], NULL,
                 info->b_mode[block]);
        if (info->b_mode[block] == NEW_4X4)
            put_mv(sink, best, info->mvs[block]);
        next++;
    }
}

static void put_inter_modes(const struct mode_sink *sink, const struct mb_map *map, int row,
                            int column, const struct mb_info *info)
{
    const struct frame_header *header = sink->header;
    put(sink, header->last_probability, sink->counts->last, info->reference != REF_LAST);
    if (info->reference != REF_LAST)
        put(sink, header->golden_probability, sink->counts->golden, info->reference == REF_ALTREF);
    struct mv_candidates candidates;
    xc_find_candidates(map, row, column, info->reference, header->sign_bias, &candidates);
    uint8_t probability[4];
    for (int i = 0; i < 4; i++)
        probability[i] = candidates.probability[i][i];
    put_tree(sink, xc_mv_mode_tree, probability, NULL, info->y_mode);
    if (info->y_mode == MV_NEW)
        put_mv(sink, candidates.best, info->mv);
    else if (info->y_mode == MV_SPLIT)
        put_split(sink, candidates.best, mb_at(map, row - 1, column), mb_at(map, row, column - 1),
                  info);
}

static void put_intra_modes(const struct mode_sink *sink, const struct mb_info *info)
{
    const struct probabilities *now = &sink->header->now.probabilities;
    put_tree(sink, xc_y_mode_tree, now->y_mode, sink->counts->y_mode, info->y_mode);
    for (int i = 0; info->y_mode == B_PRED && i < 16; i++)
        put_tree(sink, xc_b_mode_tree, xc_b_mode_probabilities, NULL, info->b_mode[i]);
    put_tree(sink, xc_uv_mode_tree, now->uv_mode, sink->counts->uv_mode, info->uv_mode);
}

/* RFC 6386 section 11 */
static void put_key_modes(const struct mode_sink *sink, const struct mb_info *above,
                          const struct mb_info *left, const struct mb_info *info)
{
    put_tree(sink, xc_key_y_mode_tree, xc_key_y_mode_probabilities, NULL, info->y_mode);
    for (int i = 0; info->y_mode == B_PRED && i < 16; i++) {
        int a = i > 3 ? info->b_mode[i - 4] : above->b_mode[i + 12];
        int l = i & 3 ? info->b_mode[i - 1] : left->b_mode[i + 3];
        put_tree(sink, xc_b_mode_tree, xc_key_b_mode_probabilities[a][l], NULL, info->b_mode[i]);
    }
    put_tree(sink, xc_uv_mode_tree, xc_key_uv_mode_probabilities, NULL, info->uv_mode);
}

static void put_macroblock(const struct mode_sink *sink, const struct mb_map *map, int row,
                           int column)
{
    const struct frame_header *header = sink->header;
    const struct mb_info *info = mb_at(map, row, column);
    if (header->segmentation_update.map)
        put_tree(sink, xc_segment_tree, header->segmentation_update.tree, sink->counts->segment,
                 info->segment);
    if (header->skip_enabled)
        put(sink, header->skip_probability, sink->counts->skip, info->skip);
    if (header->key_frame) {
        put_key_modes(sink, mb_at(map, row - 1, column), mb_at(map, row, column - 1), info);
        return;
    }
    put(sink, header->intra_probability, sink->counts->intra, info->reference != REF_INTRA);
    if (info->reference != REF_INTRA)
        put_inter_modes(sink, map, row, column, info);
    else
        put_intra_modes(sink, info);
}

static void put_modes(const struct mode_sink *sink, const struct mb_map *map)
{
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++)
            put_macroblock(sink, map, row, column);
}

void xc_write_modes(struct bool_writer *writer, const struct frame_header *header,
                    const struct mb_map *map)
{
    struct mode_counts counts = {0};
    put_modes(&(struct mode_sink){.writer = writer, .header = header, .counts = &counts}, map);
}

void xc_count_modes(const struct frame_header *header, const struct mb_map *map,
                    struct mode_counts *counts)
{
    memset(counts, 0, sizeof *counts);
    put_modes(&(struct mode_sink){.header = header, .counts = counts}, map);
}
