#include "vp8/modes.h"

#include <string.h>

#include "vp8/tables.h"

/* ---- Candidates (RFC 6386 section 16.3) ---------------------------------------------------- */

static int clamp(int value, int low, int high)
{
    return value < low ? low : value > high ? high : value;
}

/* In quarter pixels: a macroblock is 64 of them wide. */
static struct motion_vector clamp_mv(struct motion_vector mv, const struct mb_map *map, int row,
                                     int column)
{
    return (struct motion_vector){
        .row = (int16_t)clamp(mv.row, -(row + 1) * 64, (map->rows - row) * 64),
        .column = (int16_t)clamp(mv.column, -(column + 1) * 64, (map->columns - column) * 64),
    };
}

/* The votes: [0] counts zero vectors, [1..3] the distinct ones in order of appearance. */
struct votes {
    struct motion_vector mv[4];
    int count[4];
    int last; /* index of the last distinct vector */
};

static inline void vote(struct votes *votes, const struct mb_info *neighbour, int weight,
                        int reference, const bool sign_bias[4])
{
    if (neighbour->reference == REF_INTRA)
        return;
    struct motion_vector mv = neighbour->mv;
    if (mv_is_zero(mv)) {
        votes->count[0] += weight;
        return;
    }
    if (sign_bias[neighbour->reference] != sign_bias[reference]) {
        mv.row = (int16_t)-mv.row;
        mv.column = (int16_t)-mv.column;
    }
    if (votes->last == 0 || !mv_equal(mv, votes->mv[votes->last]))
        votes->mv[++votes->last] = mv;
    votes->count[votes->last] += weight;
}

static void swap_first_two(struct votes *votes)
{
    struct motion_vector mv = votes->mv[1];
    int count = votes->count[1];
    votes->mv[1] = votes->mv[2];
    votes->count[1] = votes->count[2];
    votes->mv[2] = mv;
    votes->count[2] = count;
}

/* The neighbours whose vectors are candidates. */
struct neighbours {
    const struct mb_info *above, *left, *corner;
};

static inline struct neighbours neighbours_of(const struct mb_map *map, int row, int column)
{
    return (struct neighbours){mb_at(map, row - 1, column), mb_at(map, row, column - 1),
                               mb_at(map, row - 1, column - 1)};
}

static inline void collect_votes(const struct neighbours *neighbours, int reference,
                                 const bool sign_bias[4], struct votes *votes)
{
    *votes = (struct votes){0};
    vote(votes, neighbours->above, 2, reference, sign_bias);
    vote(votes, neighbours->left, 2, reference, sign_bias);
    vote(votes, neighbours->corner, 1, reference, sign_bias);
}

/* From the votes as collected to those that the nodes behind the first one go by; count[0] stays. */
static inline void settle_votes(const struct neighbours *neighbours, struct votes *votes)
{
    /* Three distinct vectors, and the last is the first again. */
    if (votes->count[3] && mv_equal(votes->mv[3], votes->mv[1]))
        votes->count[1]++;
    votes->count[3] =
        2 * ((neighbours->above->y_mode == MV_SPLIT) + (neighbours->left->y_mode == MV_SPLIT)) +
        (neighbours->corner->y_mode == MV_SPLIT);
    if (votes->count[2] > votes->count[1])
        swap_first_two(votes);
    if (votes->count[1] >= votes->count[0])
        votes->mv[0] = votes->mv[1];
}

void xc_find_candidates(const struct mb_map *map, int row, int column, int reference,
                        const bool sign_bias[4], struct mv_candidates *candidates)
{
    struct neighbours neighbours = neighbours_of(map, row, column);
    struct votes votes;
    collect_votes(&neighbours, reference, sign_bias, &votes);
    settle_votes(&neighbours, &votes);
    candidates->best = clamp_mv(votes.mv[0], map, row, column);
    candidates->nearest = clamp_mv(votes.mv[1], map, row, column);
    candidates->near = clamp_mv(votes.mv[2], map, row, column);
    for (int i = 0; i < 4; i++)
        candidates->probability[i] = xc_mode_contexts[votes.count[i]];
}

int xc_split_mv_context(struct motion_vector left, struct motion_vector above)
{
    if (mv_equal(left, above))
        return mv_is_zero(above) ? 4 : 3;
    if (mv_is_zero(above))
        return 2;
    return mv_is_zero(left) ? 1 : 0;
}

struct motion_vector xc_subblock_mv(const struct mb_info *info, int block)
{
    return info->y_mode == MV_SPLIT ? info->mvs[block] : info->mv;
}

enum intra_b_mode xc_implied_b_mode(int y_mode)
{
    static const uint8_t implied[] = {
        [DC_PRED] = B_DC_PRED, [V_PRED] = B_VE_PRED, [H_PRED] = B_HE_PRED, [TM_PRED] = B_TM_PRED};
    return implied[y_mode];
}

/* ---- Parsing ------------------------------------------------------------------------------- */

/* One component in quarter pixels (RFC 6386 section 17.2). */
static int parse_mv_component(struct bool_reader *reader, const uint8_t *probability)
{
    int value = 0;
    if (read_bool(reader, probability[MV_IS_SHORT])) {
        const uint8_t *bits = probability + MV_LONG_BITS;
        for (int i = 0; i < 3; i++)
            value += read_bool(reader, bits[i]) << i;
        for (int i = MV_LONG_WIDTH - 1; i > 3; i--)
            value += read_bool(reader, bits[i]) << i;
        /* A long value has a bit above the third, or else this one. */
        if (!(value & 0xfff0) || read_bool(reader, bits[3]))
            value += 8;
    } else {
        value = read_tree(reader, xc_mv_short_tree, probability + MV_SHORT_TREE);
    }
    return value && read_bool(reader, probability[MV_SIGN]) ? -value : value;
}

static struct motion_vector parse_mv(struct bool_reader *reader, const struct frame_header *header,
                                     struct motion_vector best)
{
    int row = parse_mv_component(reader, header->now.probabilities.mv[0]);
    int column = parse_mv_component(reader, header->now.probabilities.mv[1]);
    return (struct motion_vector){(int16_t)(best.row + row), (int16_t)(best.column + column)};
}

static void parse_split(struct bool_reader *reader, const struct frame_header *header,
                        struct motion_vector best, const struct mb_info *above,
                        const struct mb_info *left, struct mb_info *info)
{
    info->partitioning =
        (uint8_t)read_tree(reader, xc_partitioning_tree, xc_partitioning_probabilities);
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
        int mode = read_tree(reader, xc_split_mv_tree, xc_split_mv_probabilities[context]);
        struct motion_vector mv = {0};
        if (mode == LEFT_4X4)
            mv = left_mv;
        else if (mode == ABOVE_4X4)
            mv = above_mv;
        else if (mode == NEW_4X4)
            mv = parse_mv(reader, header, best);
        for (int i = block; i < 16; i++)
            if (part_of[i] == next) {
                info->mvs[i] = mv;
                info->b_mode[i] = (uint8_t)mode;
            }
        next++;
    }
    info->mv = info->mvs[15];
}

/* The tree of RFC 6386 section 16.3, of whose candidates only the one that is wanted is worked out. */
static inline void parse_mv_mode(struct bool_reader *reader, const struct frame_header *header,
                                 const struct mb_map *map, int row, int column,
                                 struct mb_info *info)
{
    struct neighbours neighbours = neighbours_of(map, row, column);
    struct votes votes;
    collect_votes(&neighbours, info->reference, header->sign_bias, &votes);
    info->y_mode = MV_ZERO;
    info->mv = (struct motion_vector){0};
    if (!read_bool(reader, xc_mode_contexts[votes.count[0]][0]))
        return;
    settle_votes(&neighbours, &votes);
    if (!read_bool(reader, xc_mode_contexts[votes.count[1]][1])) {
        info->y_mode = MV_NEAREST;
        info->mv = clamp_mv(votes.mv[1], map, row, column);
    } else if (!read_bool(reader, xc_mode_contexts[votes.count[2]][2])) {
        info->y_mode = MV_NEAR;
        info->mv = clamp_mv(votes.mv[2], map, row, column);
    } else {
        struct motion_vector best = clamp_mv(votes.mv[0], map, row, column);
        info->y_mode = MV_NEW;
        if (read_bool(reader, xc_mode_contexts[votes.count[3]][3])) {
            info->y_mode = MV_SPLIT;
            parse_split(reader, header, best, neighbours.above, neighbours.left, info);
        } else {
            info->mv = parse_mv(reader, header, best);
        }
    }
}

static inline void parse_inter_modes(struct bool_reader *reader, const struct frame_header *header,
                                     const struct mb_map *map, int row, int column,
                                     struct mb_info *info)
{
    info->reference = REF_LAST;
    if (read_bool(reader, header->last_probability))
        info->reference =
            (uint8_t)(read_bool(reader, header->golden_probability) ? REF_ALTREF : REF_GOLDEN);
    parse_mv_mode(reader, header, map, row, column, info);
}

static void parse_intra_modes(struct bool_reader *reader, const struct frame_header *header,
                              struct mb_info *info)
{
    const struct probabilities *now = &header->now.probabilities;
    info->reference = REF_INTRA;
    info->mv = (struct motion_vector){0};
    info->y_mode = (uint8_t)read_tree(reader, xc_y_mode_tree, now->y_mode);
    if (info->y_mode == B_PRED)
        for (int i = 0; i < 16; i++)
            info->b_mode[i] = (uint8_t)read_tree(reader, xc_b_mode_tree, xc_b_mode_probabilities);
    info->uv_mode = (uint8_t)read_tree(reader, xc_uv_mode_tree, now->uv_mode);
}

/* RFC 6386 section 11: subblock modes in the context of those above and to the left. */
static void parse_key_modes(struct bool_reader *reader, const struct mb_info *above,
                            const struct mb_info *left, struct mb_info *info)
{
    info->reference = REF_INTRA;
    info->mv = (struct motion_vector){0};
    info->y_mode = (uint8_t)read_tree(reader, xc_key_y_mode_tree, xc_key_y_mode_probabilities);
    if (info->y_mode == B_PRED) {
        for (int i = 0; i < 16; i++) {
            int a = i > 3 ? info->b_mode[i - 4] : above->b_mode[i + 12];
            int l = i & 3 ? info->b_mode[i - 1] : left->b_mode[i + 3];
            info->b_mode[i] =
                (uint8_t)read_tree(reader, xc_b_mode_tree, xc_key_b_mode_probabilities[a][l]);
        }
    } else {
        memset(info->b_mode, xc_implied_b_mode(info->y_mode), sizeof info->b_mode);
    }
    info->uv_mode = (uint8_t)read_tree(reader, xc_uv_mode_tree, xc_key_uv_mode_probabilities);
}

void xc_inherit_segments(const struct frame_header *header, const uint8_t *segment_map,
                         struct mb_map *map)
{
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++)
            mb_at(map, row, column)->segment =
                header->key_frame ? 0 : segment_map[row * map->columns + column];
}

void xc_parse_mode_row(struct bool_reader *reader, const struct frame_header *header,
                       const uint8_t *segment_map, struct mb_map *map, int row)
{
    const struct segmentation_update *update = &header->segmentation_update;
    for (int column = 0; column < map->columns; column++) {
        struct mb_info *info = mb_at(map, row, column);
        if (update->map)
            info->segment = (uint8_t)read_tree(reader, xc_segment_tree, update->tree);
        else
            info->segment = header->key_frame ? 0 : segment_map[row * map->columns + column];
        info->skip = header->skip_enabled && read_bool(reader, header->skip_probability);
        if (header->key_frame)
            parse_key_modes(reader, mb_at(map, row - 1, column), mb_at(map, row, column - 1), info);
        else if (read_bool(reader, header->intra_probability))
            parse_inter_modes(reader, header, map, row, column, info);
        else
            parse_intra_modes(reader, header, info);
    }
}

void xc_parse_modes(struct bool_reader *reader, const struct frame_header *header,
                    const uint8_t *segment_map, struct mb_map *map)
{
    for (int row = 0; row < map->rows; row++)
        xc_parse_mode_row(reader, header, segment_map, map, row);
}
