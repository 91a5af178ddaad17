/* Macroblocks with several motion vectors (RFC 6386 section 16.3). */
#include <string.h>

#include "vp8/mb_search.h"
#include "vp8/modes.h"
#include "vp8/tables.h"

enum { PARTITIONINGS = 4 };

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
    struct motion_vector left, above;
    const int *mode_costs; /* by enum split_mv_mode */
    struct xc_motion motion;
};

/* What was chosen for a part. */
struct part_choice {
    int mode; /* enum split_mv_mode */
    struct motion_vector mv;
    uint32_t rate;
    uint32_t satd;
    uint32_t estimate; /* of SATD and rate, in absolute differences */
};

static void consider(const struct part *part, int mode, struct motion_vector mv, uint32_t rate,
                     uint32_t satd, struct part_choice *best)
{
    uint32_t estimate = satd + xc_motion_rate(part->motion.lambda, (int)rate);
    if (estimate < best->estimate)
        *best = (struct part_choice){mode, mv, rate, satd, estimate};
}

static void consider_given(const struct part *part, int mode, struct motion_vector mv,
                           struct part_choice *best)
{
    consider(part, mode, mv, (uint32_t)part->mode_costs[mode], xc_motion_satd(&part->motion, mv),
             best);
}

/* `hint`: the vector that a coarser partitioning has here. */
static struct part_choice choose_vector(const struct mb_search *mb, const struct part *part,
                                        struct motion_vector hint)
{
    struct part_choice best = {.estimate = UINT32_MAX};
    consider_given(part, LEFT_4X4, part->left, &best);
    if (!mv_equal(part->above, part->left))
        consider_given(part, ABOVE_4X4, part->above, &best);
    if (!mv_is_zero(part->left) && !mv_is_zero(part->above))
        consider_given(part, ZERO_4X4, (struct motion_vector){0}, &best);
    const struct xc_motion_start starts[] = {{best.mv, best.satd}, {hint, XC_UNKNOWN_SATD}};
    int count = mv_equal(hint, best.mv) ? 1 : 2;
    /* Quarters of a macroblock have been searched for when it comes to sixteenths. */
    int reach = part->motion.size == BLOCK_4X4 ? XC_GUESSES_ONLY : mb->search->effort->part_reach;
    struct xc_motion_result found = xc_motion_search(&part->motion, starts, count, reach);
    if (mv_equal(found.mv, part->left) || mv_equal(found.mv, part->above) || mv_is_zero(found.mv))
        return best;
    int rate = part->mode_costs[NEW_4X4] +
               xc_mv_cost(&mb->encoder->mv_costs, found.mv, part->motion.predicted);
    consider(part, NEW_4X4, found.mv, (uint32_t)rate, found.satd, &best);
    return best;
}

static void start_part(const struct mb_search *mb, const struct mb_info *info, int block,
                       struct part *part)
{
    const struct mb_map *map = mb->encoder->map;
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
        struct part_choice choice = choose_vector(mb, &part, xc_subblock_mv(coarser, block));
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

/* Estimates are not exact: a little more than that of one vector can turn out to be less. */
static uint32_t worst_promising(const struct mb_search *mb)
{
    return mb->best_estimate + mb->best_estimate / 20;
}

/* One macroblock's search. */
struct split_search {
    struct xc_motion motion;           /* what all parts have in common */
    uint32_t rate;                     /* of the header up to the partitioning */
    struct split found[PARTITIONINGS]; /* in order of their estimates */
    int count;
};

static void start_search(const struct mb_search *mb, int reference, struct split_search *search)
{
    const struct encoder *encoder = mb->encoder;
    struct mv_candidates neighbours;
    int mode_costs[MV_MODES];
    xc_find_candidates(encoder->map, mb->row, mb->column, reference, encoder->header->sign_bias,
                       &neighbours);
    xc_mv_mode_costs(&neighbours, mode_costs);
    search->motion = (struct xc_motion){
        .encoder = encoder,
        .reference = reference,
        .predicted = neighbours.best,
        .range = xc_mv_range(encoder->map, mb->row, mb->column, neighbours.best),
        .lambda = mb->sad_lambda,
    };
    search->rate =
        (uint32_t)(mb->search->costs.reference[reference] + mode_costs[MV_SPLIT - MV_NEAREST]);
    search->count = 0;
}

/* Adds a partitioning. Each part is searched from the vector that `coarser` has there. */
static void add_partitioning(const struct mb_search *mb, enum partitioning partitioning,
                             const struct mb_info *coarser, struct split_search *search)
{
    struct split split = {.info = {.y_mode = MV_SPLIT,
                                   .reference = (uint8_t)search->motion.reference,
                                   .partitioning = (uint8_t)partitioning}};
    search_partitioning(mb, &search->motion, coarser, search->rate, &split);
    int i = search->count++;
    for (; i > 0 && search->found[i - 1].estimate > split.estimate; i--)
        search->found[i] = search->found[i - 1];
    search->found[i] = split;
}

/* Quarters first: where they are no good, nothing is; and only where they are the best so far, finer
 * parts are better still. */
static void search_partitionings(const struct mb_search *mb, const struct mb_info *whole,
                                 struct split_search *search)
{
    add_partitioning(mb, SPLIT_8X8, whole, search);
    if (search->found[0].estimate > worst_promising(mb))
        return;
    const struct mb_info quarters = search->found[0].info;
    add_partitioning(mb, SPLIT_16X8, &quarters, search);
    add_partitioning(mb, SPLIT_8X16, &quarters, search);
    if (search->found[0].info.partitioning == SPLIT_8X8)
        add_partitioning(mb, SPLIT_4X4, &quarters, search);
}

void xc_search_split(struct mb_search *mb)
{
    const struct search_effort *effort = mb->search->effort;
    const struct mb_info whole = mb->best;
    struct split_search search;
    start_search(mb, whole.reference, &search);
    uint32_t least = search.rate + (uint32_t)effort->least_for_split * COST_OF_BIT;
    if (mb->best_cost <= xc_trial_cost(mb->lambda, least, 0))
        return;
    search_partitionings(mb, &whole, &search);
    for (int i = 0; i < search.count && i < effort->split_trials; i++) {
        const struct split *split = &search.found[i];
        if (split->estimate <= worst_promising(mb) && !one_vector(&split->info))
            xc_search_try_inter(mb, &split->info, split->rate);
    }
}
