/* Motion vectors of whole macroblocks. */
#include <string.h>

#include "vp8/mb_search.h"
#include "vp8/modes.h"

/* Film moves by tens of pixels a frame; once one macroblock has found that, its neighbours know. */
enum { WHOLE_REACH = 64, MAX_CANDIDATES = 3 * 4, MAX_STARTS = 8 };

/* See worth_new: in 1/256 bit; one part in so many. */
enum { LEAST_GAIN = 32 * COST_OF_BIT, CLEARLY_WORSE = 20 };

/* Candidates get a trial whose estimates are at most one part in so many above the best. More trials choose by
 * squared error what is less like the source by SSIM. */
enum { PROMISING = 50 };

/* A way to predict the macroblock by one vector. */
struct candidate {
    struct mb_info info;
    uint32_t rate;     /* of its header without skip flag */
    uint32_t estimate; /* SATD of luma and rate, in absolute differences */
};

struct candidates {
    struct candidate of[MAX_CANDIDATES];
    int count;
};

/* One reference's view of the macroblock. */
struct view {
    struct mv_candidates neighbours;
    int mode_costs[MV_MODES];
    struct xc_motion motion;
};

static void start_view(const struct mb_search *mb, int reference, struct view *view)
{
    const struct encoder *encoder = mb->encoder;
    xc_find_candidates(encoder->map, mb->row, mb->column, reference, encoder->header->sign_bias,
                       &view->neighbours);
    xc_mv_mode_costs(&view->neighbours, view->mode_costs);
    view->motion = (struct xc_motion){
        .encoder = encoder,
        .reference = reference,
        .size = BLOCK_16X16,
        .x = 16 * mb->column,
        .y = 16 * mb->row,
        .predicted = view->neighbours.best,
        .range = xc_mv_range(encoder->map, mb->row, mb->column, view->neighbours.best),
        .lambda = mb->sad_lambda,
    };
}

static uint32_t mode_rate(const struct mb_search *mb, const struct view *view, int mode)
{
    return (uint32_t)(mb->search->costs.reference[view->motion.reference] +
                      view->mode_costs[mode - MV_NEAREST]);
}

/* Keeps the candidates in order of their estimates. */
static void insert(struct candidates *candidates, const struct candidate *candidate)
{
    int i = candidates->count++;
    for (; i > 0 && candidates->of[i - 1].estimate > candidate->estimate; i--)
        candidates->of[i] = candidates->of[i - 1];
    candidates->of[i] = *candidate;
}

/* Returns its estimate. */
static uint32_t add(const struct mb_search *mb, const struct view *view, int mode,
                    struct motion_vector mv, uint32_t rate, uint32_t satd,
                    struct candidates *candidates)
{
    struct candidate candidate = {
        .info = {.y_mode = (uint8_t)mode, .reference = (uint8_t)view->motion.reference, .mv = mv},
        .rate = rate,
        .estimate = satd + xc_motion_rate(mb->sad_lambda, (int)rate),
    };
    insert(candidates, &candidate);
    return candidate.estimate;
}

/* What neighbours suggest, and what was found in another reference; each vector once. */
struct starts {
    struct xc_motion_start of[MAX_STARTS];
    int count;
};

static void add_start(struct starts *starts, struct motion_vector mv, uint32_t satd)
{
    for (int i = 0; i < starts->count; i++)
        if (mv_equal(starts->of[i].mv, mv))
            return;
    starts->of[starts->count++] = (struct xc_motion_start){mv, satd};
}

static void add_neighbour_start(const struct mb_search *mb, int row, int column,
                                struct starts *starts)
{
    const struct mb_map *map = mb->encoder->map;
    if (row < 0 || column < 0 || column >= map->columns)
        return;
    const struct mb_info *info = mb_at(map, row, column);
    if (info->reference != REF_INTRA)
        add_start(starts, info->mv, XC_UNKNOWN_SATD);
}

/* `given`: the vectors that are to be had for less. */
static void collect_starts(const struct mb_search *mb, const struct view *view,
                           const struct candidates *candidates, const struct starts *given,
                           struct starts *starts)
{
    *starts = *given;
    add_start(starts, view->neighbours.best, XC_UNKNOWN_SATD);
    add_neighbour_start(mb, mb->row, mb->column - 1, starts);
    add_neighbour_start(mb, mb->row - 1, mb->column, starts);
    add_neighbour_start(mb, mb->row - 1, mb->column + 1, starts);
    if (candidates->count > 0)
        add_start(starts, candidates->of[0].info.mv, XC_UNKNOWN_SATD);
}

/* Whether a vector may be written as a new one: within reach, and not to be had for less. */
static bool allowed_new(const struct view *view, struct motion_vector mv)
{
    const struct mv_range *range = &view->motion.range;
    return mv.row >= range->low.row && mv.row <= range->high.row &&
           mv.column >= range->low.column && mv.column <= range->high.column && !mv_is_zero(mv) &&
           !mv_equal(mv, view->neighbours.nearest) && !mv_equal(mv, view->neighbours.near);
}

static void add_new(const struct mb_search *mb, const struct view *view, const struct starts *given,
                    struct candidates *candidates)
{
    struct starts starts;
    collect_starts(mb, view, candidates, given, &starts);
    struct xc_motion_result found =
        xc_motion_search(&view->motion, starts.of, starts.count, WHOLE_REACH);
    if (!allowed_new(view, found.mv))
        return;
    int vector = xc_mv_cost(&mb->encoder->mv_costs, found.mv, view->neighbours.best);
    add(mb, view, MV_NEW, found.mv, mode_rate(mb, view, MV_NEW) + (uint32_t)vector, found.satd,
        candidates);
}

/* Whether a vector of its own can pay: not where coding nothing but its mode and LEAST_GAIN bits already
 * costs as much as the best candidate, nor in a reference whose neighbours' vectors lead to something
 * clearly worse than another's. `given` is the least estimate of those. */
static bool worth_new(const struct mb_search *mb, const struct view *view, uint32_t given,
                      const struct candidates *candidates)
{
    uint32_t best = candidates->of[0].estimate;
    int least = (int)mode_rate(mb, view, MV_NEW) + LEAST_GAIN;
    return best >= xc_motion_rate(mb->sad_lambda, least) && given <= best + best / CLEARLY_WORSE;
}

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

/* A vector that needs not be written. Returns the candidate's estimate. */
static uint32_t add_given(const struct mb_search *mb, const struct view *view, int mode,
                          struct motion_vector mv, struct starts *given,
                          struct candidates *candidates)
{
    uint32_t satd = xc_motion_satd(&view->motion, mv);
    add_start(given, mv, satd);
    return add(mb, view, mode, mv, mode_rate(mb, view, mode), satd, candidates);
}

static void add_reference(const struct mb_search *mb, int reference, struct candidates *candidates)
{
    struct view view;
    struct starts given = {.count = 0};
    start_view(mb, reference, &view);
    struct motion_vector nearest = view.neighbours.nearest, near = view.neighbours.near;
    uint32_t least = add_given(mb, &view, MV_ZERO, (struct motion_vector){0}, &given, candidates);
    if (!mv_is_zero(nearest))
        least = smaller(least, add_given(mb, &view, MV_NEAREST, nearest, &given, candidates));
    if (!mv_is_zero(near) && !mv_equal(near, nearest))
        least = smaller(least, add_given(mb, &view, MV_NEAR, near, &given, candidates));
    if (worth_new(mb, &view, least, candidates))
        add_new(mb, &view, &given, candidates);
}

bool xc_search_try_inter(struct mb_search *mb, const struct mb_info *info, uint32_t rate)
{
    uint8_t luma[16 * 16], chroma[2][8 * 8];
    struct mb_target to = {.plane = {luma, chroma[0], chroma[1]}, .stride = {16, 8, 8}};
    struct xc_trial_result residue;
    xc_predict_inter(&mb->encoder->canvas, info, mb->row, mb->column, &to);
    xc_trial_luma(&mb->trial, mb->source[0], mb->stride[0], luma, 16, info->y_mode != MV_SPLIT,
                  rate, mb->best_cost, &residue);
    if (xc_trial_cost(mb->lambda, residue.coded ? rate + residue.rate : rate, residue.distortion) >
        mb->best_cost)
        return false;
    for (int plane = 1; plane < 3; plane++)
        xc_trial_chroma(&mb->trial, plane, mb->source[plane], mb->stride[plane], chroma[plane - 1],
                        8, &residue);
    return xc_mb_propose(mb, info, rate, &residue);
}

/* Tries the vectors a quarter pixel around the best one; true where one of them is better. */
static bool step_aside(struct mb_search *mb, const struct view *view)
{
    static const int8_t step[4][2] = {{-1, 0}, {1, 0}, {0, -1}, {0, 1}};
    const struct motion_vector center = mb->best.mv;
    bool better = false;
    for (int i = 0; i < 4; i++) {
        struct mb_info info = {.y_mode = MV_NEW, .reference = (uint8_t)view->motion.reference};
        info.mv.row = (int16_t)(center.row + step[i][0]);
        info.mv.column = (int16_t)(center.column + step[i][1]);
        if (!allowed_new(view, info.mv))
            continue;
        int vector = xc_mv_cost(&mb->encoder->mv_costs, info.mv, view->neighbours.best);
        better |= xc_search_try_inter(mb, &info, mode_rate(mb, view, MV_NEW) + (uint32_t)vector);
    }
    return better;
}

/* SATD does not tell exactly which vector is best. */
static void refine_by_trial(struct mb_search *mb)
{
    const struct search_effort *effort = mb->search->effort;
    struct view view;
    uint32_t least = (uint32_t)effort->least_for_refinement * COST_OF_BIT;
    if (mb->best_cost <= xc_trial_cost(mb->lambda, least, 0))
        return;
    start_view(mb, mb->best.reference, &view);
    for (int i = 0; i < effort->refinements && step_aside(mb, &view); i++)
        continue;
}

void xc_search_inter(struct mb_search *mb)
{
    const struct search *search = mb->search;
    struct candidates candidates = {.count = 0};
    for (int reference = REF_LAST; reference <= REF_ALTREF; reference++)
        if (search->allowed[reference])
            add_reference(mb, reference, &candidates);
    if (candidates.count == 0)
        return;
    mb->best_estimate = candidates.of[0].estimate;
    uint32_t worst = candidates.of[0].estimate + candidates.of[0].estimate / PROMISING;
    for (int i = 0; i < candidates.count && i < search->effort->vector_trials; i++)
        if (candidates.of[i].estimate <= worst &&
            xc_search_try_inter(mb, &candidates.of[i].info, candidates.of[i].rate))
            mb->best_estimate = candidates.of[i].estimate;
    refine_by_trial(mb);
    xc_search_split(mb);
}
