#include "vp8/modes_write.h"

#include <stdlib.h>

#include "vp8/modes.h"
#include "vp8/tables.h"

/* RFC 6386 section 17.2 */
static void write_mv_component(struct bool_writer *writer, const uint8_t *probability, int value)
{
    int magnitude = abs(value);
    if (magnitude < 8) {
        write_bool(writer, probability[MV_IS_SHORT], 0);
        xc_write_tree(writer, xc_mv_short_tree, probability + MV_SHORT_TREE, magnitude);
    } else {
        const uint8_t *bits = probability + MV_LONG_BITS;
        write_bool(writer, probability[MV_IS_SHORT], 1);
        for (int i = 0; i < 3; i++)
            write_bool(writer, bits[i], magnitude >> i & 1);
        for (int i = MV_LONG_WIDTH - 1; i > 3; i--)
            write_bool(writer, bits[i], magnitude >> i & 1);
        if (magnitude > 15)
            write_bool(writer, bits[3], magnitude >> 3 & 1);
    }
    if (magnitude)
        write_bool(writer, probability[MV_SIGN], value < 0);
}

static void write_mv(struct bool_writer *writer, const struct frame_header *header,
                     struct motion_vector best, struct motion_vector mv)
{
    write_mv_component(writer, header->now.probabilities.mv[0], mv.row - best.row);
    write_mv_component(writer, header->now.probabilities.mv[1], mv.column - best.column);
}

static void write_split(struct bool_writer *writer, const struct frame_header *header,
                        struct motion_vector best, const struct mb_info *above,
                        const struct mb_info *left, const struct mb_info *info)
{
    xc_write_tree(writer, xc_partitioning_tree, xc_partitioning_probabilities, info->partitioning);
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
        xc_write_tree(writer, xc_split_mv_tree, xc_split_mv_probabilities[context],
                      info->b_mode[block]);
        if (info->b_mode[block] == NEW_4X4)
            write_mv(writer, header, best, info->mvs[block]);
        next++;
    }
}

static void write_inter_modes(struct bool_writer *writer, const struct frame_header *header,
                              const struct mb_map *map, int row, int column,
                              const struct mb_info *info)
{
    write_bool(writer, header->last_probability, info->reference != REF_LAST);
    if (info->reference != REF_LAST)
        write_bool(writer, header->golden_probability, info->reference == REF_ALTREF);
    struct mv_candidates candidates;
    xc_find_candidates(map, row, column, info->reference, header->sign_bias, &candidates);
    uint8_t probability[4];
    for (int i = 0; i < 4; i++)
        probability[i] = candidates.probability[i][i];
    xc_write_tree(writer, xc_mv_mode_tree, probability, info->y_mode);
    if (info->y_mode == MV_NEW)
        write_mv(writer, header, candidates.best, info->mv);
    else if (info->y_mode == MV_SPLIT)
        write_split(writer, header, candidates.best, mb_at(map, row - 1, column),
                    mb_at(map, row, column - 1), info);
}

static void write_intra_modes(struct bool_writer *writer, const struct frame_header *header,
                              const struct mb_info *info)
{
    const struct probabilities *now = &header->now.probabilities;
    xc_write_tree(writer, xc_y_mode_tree, now->y_mode, info->y_mode);
    for (int i = 0; info->y_mode == B_PRED && i < 16; i++)
        xc_write_tree(writer, xc_b_mode_tree, xc_b_mode_probabilities, info->b_mode[i]);
    xc_write_tree(writer, xc_uv_mode_tree, now->uv_mode, info->uv_mode);
}

/* RFC 6386 section 11 */
static void write_key_modes(struct bool_writer *writer, const struct mb_info *above,
                            const struct mb_info *left, const struct mb_info *info)
{
    xc_write_tree(writer, xc_key_y_mode_tree, xc_key_y_mode_probabilities, info->y_mode);
    for (int i = 0; info->y_mode == B_PRED && i < 16; i++) {
        int a = i > 3 ? info->b_mode[i - 4] : above->b_mode[i + 12];
        int l = i & 3 ? info->b_mode[i - 1] : left->b_mode[i + 3];
        xc_write_tree(writer, xc_b_mode_tree, xc_key_b_mode_probabilities[a][l], info->b_mode[i]);
    }
    xc_write_tree(writer, xc_uv_mode_tree, xc_key_uv_mode_probabilities, info->uv_mode);
}

void xc_write_modes(struct bool_writer *writer, const struct frame_header *header,
                    const struct mb_map *map)
{
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++) {
            const struct mb_info *info = mb_at(map, row, column);
            if (header->segmentation_update.map)
                xc_write_tree(writer, xc_segment_tree, header->segmentation_update.tree,
                              info->segment);
            if (header->skip_enabled)
                write_bool(writer, header->skip_probability, info->skip);
            if (header->key_frame) {
                write_key_modes(writer, mb_at(map, row - 1, column), mb_at(map, row, column - 1),
                                info);
                continue;
            }
            write_bool(writer, header->intra_probability, info->reference != REF_INTRA);
            if (info->reference != REF_INTRA)
                write_inter_modes(writer, header, map, row, column, info);
            else
                write_intra_modes(writer, header, info);
        }
}
