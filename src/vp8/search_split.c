/* Macroblocks with several motion vectors (RFC 6386 section 16.3). */
#include <string.h>

#include "vp8/mb_search.h"
#include "vp8/modes.h"
#include "vp8/tables.h"

enum { PARTITIONINGS = 4, MAX_STARTS = 8 };

/* One way to cut the macroblock. */
struct split {
    struct mb_info info;
    uint32_t rate;     /* of its header without skip flag */
    uint32_t estimate; /* SATD of luma and rate, in absolute differences */
};

static const enum block_size size_of[PARTITIONINGS] = {
    [SPLIT_16X8] = BLOCK_16X8,
    [SPLIT_8X16] = BLOCK_8X16,
    [SPLIT_8X8] = BLOCK_8X8,
    [SPLIT_4X4] = BLOCK_4X4,
};

/* A part in work: what its vector may be written as. */
struct part {
    int number;
    int block; /* its first subblock */
    struct motion_vector left, above;
    const int *mode_costs; /* by enum split_mv_mode */
    struct xc_motion motion;
};

/* What was chosen for a part. */
struct part_choice {
    int mode; /* enum split_mv_mode */
    struct motion_vector mv;
    uint32_t rate;
    uint32_t estimate;
};

static void consider(const struct part *part, int mode, struct motion_vector mv, uint32_t rate,
                     uint32_t satd, struct part_choice *best)
{
    uint32_t estimate = satd + xc_motion_rate(part->motion.lambda, (int)rate);
    if (estimate < best->estimate)
        *best = (struct part_choice){mode, mv, rate, estimate};
}

static void consider_given(const struct part *part, int mode, struct motion_vector mv,
                           struct part_choice *best)
{
    consider(part, mode, mv, (uint32_t)part->mode_costs[mode], xc_motion_satd(&part->motion, mv),
             best);
}

/* `hints`: vectors that other partitionings found here. */
static struct part_choice choose_vector(const struct mb_search *mb, const struct part *part,
                                        const struct motion_vector *hints, int hint_count)
{
    struct motion_vector starts[MAX_STARTS];
    int count = 0;
    struct part_choice best = {.estimate = UINT32_MAX};
    consider_given(part, LEFT_4X4, part->left, &best);
    if (!mv_equal(part->above, part->left))
        consider_given(part, ABOVE_4X4, part->above, &best);
    if (!mv_is_zero(part->left) && !mv_is_zero(part->above))
        consider_given(part, ZERO_4X4, (struct motion_vector){0}, &best);
    for (int i = 0; i < hint_count; i++)
        starts[count++] = hints[i];
    starts[count++] = best.mv;
    struct xc_motion_result found =
        xc_motion_search(&part->motion, starts, count, &mb->search->effort->part);
    if (mv_equal(found.mv, part->left) || mv_equal(found.mv, part->above) || mv_is_zero(found.mv))
        return best;
    uint32_t rate =
        (uint32_t)(part->mode_costs[NEW_4X4] +
                   xc_mv_cost(&mb->encoder->mv_costs, found.mv, part->motion.predicted));
    consider(part, NEW_4X4, found.mv, rate, xc_motion_satd(&part->motion, found.mv), &best);
    return best;
}

static void start_part(const struct mb_search *mb, const struct mb_info *info, int block,
                       struct part *part)
{
    const struct mb_map *map = mb->encoder->map;
    part->block = block;
    part->number = xc_partition_of_subblock[info->partitioning][block];
    part->left = block & 3 ? info->mvs[block - 1]
                           : xc_subblock_mv(mb_at(map, mb->row, mb->column - 1), block + 3);
    part->above = block > 3 ? info->mvs[block - 4]
                            : xc_subblock_mv(mb_at(map, mb->row - 1, mb->column), block + 12);
    part->mode_costs = mb->search->costs.split_mv[xc_split_mv_context(part->left, part->above)];
    part->motion.x = 16 * mb->column + 4 * (block & 3);
    part->motion.y = 16 * mb->row + 4 * (block >> 2);
    part->motion.size = size_of[info->partitioning];
}

/* Searches the parts one after the other, as each is the context of the next. */
static void search_partitioning(const struct mb_search *mb, const struct xc_motion *whole,
                                const struct mb_info *coarser, uint32_t rate, struct split *split)
{
    const uint8_t *part_of = xc_partition_of_subblock[split->info.partitioning];
    struct part part = {.motion = *whole};
    int next = 0;
    split->rate = rate + (uint32_t)mb->search->costs.partitioning[split->info.partitioning];
    split->estimate = xc_motion_rate(mb->sad_lambda, (int)split->rate);
    for (int block = 0; block < 16; block++) {
        if (part_of[block] != next)
            continue;
        start_part(mb, &split->info, block, &part);
        struct motion_vector hint = xc_subblock_mv(coarser, block);
        struct part_choice choice = choose_vector(mb, &part, &hint, 1);
        for (int i = block; i < 16; i++)
            if (part_of[i] == next) {
                split->info.mvs[i] = choice.mv;
                split->info.b_mode[i] = (uint8_t)choice.mode;
            }
        split->rate += choice.rate;
        split->estimate += choice.estimate;
        next++;
    }
    split->info.mv = split->info.mvs[15];
}

static bool one_vector(const struct mb_info *info)
{
    for (int i = 1; i < 16; i++)
        if (!mv_equal(info->mvs[i], info->mvs[0]))
            return false;
    return true;
}

/* Keeps the splits in order of their estimates. */
static void insert(struct split *splits, int count, const struct split *split)
{
    int i = count;
    for (; i > 0 && splits[i - 1].estimate > split->estimate; i--)
        splits[i] = splits[i - 1];
    splits[i] = *split;
}

void xc_search_split(struct mb_search *mb, const struct mb_info *whole)
{
    /* Each begins from what the one before found. */
    static const uint8_t order[PARTITIONINGS] = {SPLIT_8X8, SPLIT_16X8, SPLIT_8X16, SPLIT_4X4};
    const struct encoder *encoder = mb->encoder;
    const struct mb_info start = *whole;
    struct mv_candidates neighbours;
    int mode_costs[MV_MODES];
    struct split splits[PARTITIONINGS];
    struct mb_info quarters = {0};
    xc_find_candidates(encoder->map, mb->row, mb->column, start.reference,
                       encoder->header->sign_bias, &neighbours);
    xc_mv_mode_costs(&neighbours, mode_costs);
    struct xc_motion motion = {
        .encoder = encoder,
        .reference = start.reference,
        .predicted = neighbours.best,
        .range = xc_mv_range(encoder->map, mb->row, mb->column, neighbours.best),
        .lambda = mb->sad_lambda,
    };
    uint32_t rate = (uint32_t)(mb->search->costs.reference[start.reference] +
                               mode_costs[MV_SPLIT - MV_NEAREST]);
    for (int i = 0; i < PARTITIONINGS; i++) {
        struct split split = {
            .info = {.y_mode = MV_SPLIT, .reference = start.reference, .partitioning = order[i]}};
        search_partitioning(mb, &motion, i > 0 ? &quarters : &start, rate, &split);
        if (i == 0)
            quarters = split.info;
        insert(splits, i, &split);
    }
    for (int i = 0; i < PARTITIONINGS && i < mb->search->effort->split_trials; i++)
        if (!one_vector(&splits[i].info))
            xc_search_try_inter(mb, &splits[i].info, splits[i].rate);
}
