#include "vp8/motion.h"

#include "vp8/modes.h"

/* MAX_VECTOR, in quarter pixels, keeps sums of vectors within 16 bits in the widest pictures. */
enum { LARGEST_BLOCK = 16, MAX_DESCENT = 64, MAX_VECTOR = 1 << 14 };

/* What costs less than this rate is not searched for farther away; in 1/256 bit. */
enum { LEAST_FOR_EXPANSION = 100 * COST_OF_BIT };

static int larger(int a, int b)
{
    return a > b ? a : b;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

/* The ends of a component's range: `outside` is where the block has left the picture. */
static int16_t lowest(int outside, int best)
{
    return (int16_t)larger(larger(outside, best - MV_DELTA_LIMIT), -MAX_VECTOR);
}

static int16_t highest(int outside, int best)
{
    return (int16_t)smaller(smaller(outside, best + MV_DELTA_LIMIT), MAX_VECTOR);
}

struct mv_range xc_mv_range(const struct mb_map *map, int row, int column,
                            struct motion_vector best)
{
    return (struct mv_range){
        .low = {.row = lowest(-(row + 1) * 64, best.row),
                .column = lowest(-(column + 1) * 64, best.column)},
        .high = {.row = highest((map->rows - row) * 64, best.row),
                 .column = highest((map->columns - column) * 64, best.column)},
    };
}

static bool in_range(const struct mv_range *range, int row, int column)
{
    return row >= range->low.row && row <= range->high.row && column >= range->low.column &&
           column <= range->high.column;
}

static uint32_t vector_rate(const struct xc_motion *motion, struct motion_vector mv)
{
    return xc_motion_rate(motion->lambda,
                          xc_mv_cost(&motion->encoder->mv_costs, mv, motion->predicted));
}

static const uint8_t *source_block(const struct xc_motion *motion, ptrdiff_t *stride)
{
    const struct xc_picture *source = motion->encoder->source;
    *stride = source->stride[0];
    return source->plane[0] + motion->y * source->stride[0] + motion->x;
}

/* ---- Whole pixels: SAD --------------------------------------------------------------------- */

/* A vector in whole pixels, and SAD and rate. */
struct whole {
    int row, column;
    uint32_t cost;
};

/* The block in the reference; within the border as the range is. */
static const uint8_t *reference_block(const struct xc_motion *motion, int row, int column)
{
    const struct xc_picture *reference = motion->encoder->canvas.reference[motion->reference];
    return reference->plane[0] + (motion->y + row) * reference->stride[0] + motion->x + column;
}

static void take_if_better(const struct xc_motion *motion, int row, int column, uint32_t sad,
                           struct whole *best)
{
    if (sad >= best->cost)
        return;
    struct motion_vector mv = {(int16_t)(4 * row), (int16_t)(4 * column)};
    uint32_t cost = sad + vector_rate(motion, mv);
    if (cost < best->cost)
        *best = (struct whole){row, column, cost};
}

static void try_one(const struct xc_motion *motion, int row, int column, struct whole *best)
{
    const struct xc_dsp *dsp = &motion->encoder->context->dsp;
    ptrdiff_t stride;
    const uint8_t *source = source_block(motion, &stride);
    take_if_better(
        motion, row, column,
        dsp->sad[motion->size](source, stride, reference_block(motion, row, column),
                               motion->encoder->canvas.reference[motion->reference]->stride[0]),
        best);
}

/* Tries four positions around `center`, which is in range. */
static void try_four(const struct xc_motion *motion, struct whole center, const int8_t offset[4][2],
                     int scale, struct whole *best)
{
    const struct xc_dsp *dsp = &motion->encoder->context->dsp;
    const uint8_t *at[4];
    struct whole to[4];
    uint32_t sads[4];
    ptrdiff_t stride;
    const uint8_t *source = source_block(motion, &stride);
    for (int i = 0; i < 4; i++) {
        to[i].row = center.row + scale * offset[i][0];
        to[i].column = center.column + scale * offset[i][1];
        if (!in_range(&motion->range, 4 * to[i].row, 4 * to[i].column))
            to[i] = center;
        at[i] = reference_block(motion, to[i].row, to[i].column);
    }
    dsp->sad_x4[motion->size](
        source, stride, at, motion->encoder->canvas.reference[motion->reference]->stride[0], sads);
    for (int i = 0; i < 4; i++)
        take_if_better(motion, to[i].row, to[i].column, sads[i], best);
}

/* The last four are the small diamond. */
static const int8_t diamond[3][4][2] = {
    {{-2, 0}, {2, 0}, {0, -2}, {0, 2}},
    {{-1, -1}, {-1, 1}, {1, -1}, {1, 1}},
    {{-1, 0}, {1, 0}, {0, -1}, {0, 1}},
};

/* Diamond search (Zhu and Ma, IEEE Transactions on Image Processing 9(2), 2000). */
static void descend(const struct xc_motion *motion, struct whole *best)
{
    for (int i = 0; i < MAX_DESCENT; i++) {
        struct whole center = *best;
        try_four(motion, center, diamond[0], 1, best);
        try_four(motion, center, diamond[1], 1, best);
        if (best->row == center.row && best->column == center.column)
            break;
    }
    try_four(motion, *best, diamond[2], 1, best);
}

/* Eight neighbours at distances that halve. */
static void expand(const struct xc_motion *motion, int reach, struct whole *best)
{
    for (int step = reach; step > 1; step /= 2) {
        struct whole center = *best;
        try_four(motion, center, diamond[1], step, best);
        try_four(motion, center, diamond[2], step, best);
    }
}

static int round_to_whole(int quarters, int low, int high)
{
    int whole = (quarters + 2) >> 2;
    return larger((low + 3) >> 2, smaller(whole, high >> 2));
}

static struct whole search_whole(const struct xc_motion *motion,
                                 const struct xc_motion_start *starts, int count, int reach)
{
    const struct mv_range *range = &motion->range;
    struct whole best = {.cost = UINT32_MAX}, last = {0};
    for (int i = 0; i < count; i++) {
        int row = round_to_whole(starts[i].mv.row, range->low.row, range->high.row);
        int column = round_to_whole(starts[i].mv.column, range->low.column, range->high.column);
        if (i == 0 || row != last.row || column != last.column)
            try_one(motion, row, column, &best);
        last = (struct whole){row, column, 0};
    }
    descend(motion, &best);
    if (reach > 0 && best.cost > xc_motion_rate(motion->lambda, LEAST_FOR_EXPANSION)) {
        struct whole before = best;
        expand(motion, reach, &best);
        if (best.row != before.row || best.column != before.column)
            descend(motion, &best);
    }
    return best;
}

/* ---- Fractions: SATD ----------------------------------------------------------------------- */

uint32_t xc_motion_satd(const struct xc_motion *motion, struct motion_vector mv)
{
    const struct encoder *encoder = motion->encoder;
    uint8_t prediction[LARGEST_BLOCK * LARGEST_BLOCK];
    ptrdiff_t stride;
    const uint8_t *source = source_block(motion, &stride);
    measure_block *satd = encoder->context->dsp.satd[motion->size];
    if (((mv.row | mv.column) & 3) == 0 && in_range(&motion->range, mv.row, mv.column))
        return satd(source, stride, reference_block(motion, mv.row >> 2, mv.column >> 2),
                    encoder->canvas.reference[motion->reference]->stride[0]);
    xc_predict_block(&encoder->canvas, motion->reference, 0, motion->size, motion->x, motion->y,
                     2 * mv.row, 2 * mv.column, prediction, LARGEST_BLOCK);
    return satd(source, stride, prediction, LARGEST_BLOCK);
}

/* What vectors near `origin` cost, as far as they were looked at. */
enum { SEEN_RADIUS = 7, SEEN_WIDTH = 2 * SEEN_RADIUS + 1, NOT_SEEN = 0, NOT_TAKEN = INT32_MAX };
struct seen {
    struct motion_vector origin;
    uint32_t cost[SEEN_WIDTH * SEEN_WIDTH];
};

/* Where the cost of a vector is kept, or NULL where it is too far away. */
static uint32_t *seen_cost(struct seen *seen, int mv_row, int mv_column)
{
    int row = mv_row - seen->origin.row + SEEN_RADIUS;
    int column = mv_column - seen->origin.column + SEEN_RADIUS;
    if (row < 0 || row >= SEEN_WIDTH || column < 0 || column >= SEEN_WIDTH)
        return NULL;
    return &seen->cost[row * SEEN_WIDTH + column];
}

/* The cost of a vector, or NOT_TAKEN where it is not allowed or its rate alone is too much; better than the best
 * so far, it takes its place. */
static uint32_t take_fraction(const struct xc_motion *motion, struct motion_vector mv,
                              uint32_t known_satd, struct xc_motion_result *best)
{
    if (!in_range(&motion->range, mv.row, mv.column))
        return NOT_TAKEN;
    uint32_t rate = vector_rate(motion, mv);
    if (rate >= best->cost)
        return NOT_TAKEN;
    uint32_t satd = known_satd != XC_UNKNOWN_SATD ? known_satd : xc_motion_satd(motion, mv);
    uint32_t cost = rate + satd;
    if (cost < best->cost)
        *best = (struct xc_motion_result){mv, satd, cost};
    return cost;
}

static uint32_t try_fraction(const struct xc_motion *motion, struct seen *seen, int row, int column,
                             struct xc_motion_result *best)
{
    uint32_t *cost = seen_cost(seen, row, column);
    if (!cost)
        return NOT_TAKEN;
    if (*cost == NOT_SEEN)
        *cost = take_fraction(motion, (struct motion_vector){(int16_t)row, (int16_t)column},
                              XC_UNKNOWN_SATD, best);
    return *cost;
}

/* The four neighbours at half a pixel, and the one between the better two; until none is better. */
static void refine_halves(const struct xc_motion *motion, struct seen *seen,
                          struct xc_motion_result *best)
{
    struct motion_vector center;
    do {
        center = best->mv;
        int row = center.row, column = center.column;
        uint32_t above = try_fraction(motion, seen, row - 2, column, best);
        uint32_t below = try_fraction(motion, seen, row + 2, column, best);
        uint32_t left = try_fraction(motion, seen, row, column - 2, best);
        uint32_t right = try_fraction(motion, seen, row, column + 2, best);
        try_fraction(motion, seen, above < below ? row - 2 : row + 2,
                     left < right ? column - 2 : column + 2, best);
    } while (!mv_equal(center, best->mv));
}

static uint32_t cost_seen(struct seen *seen, int row, int column)
{
    const uint32_t *cost = seen_cost(seen, row, column);
    return cost && *cost != NOT_SEEN ? *cost : NOT_TAKEN;
}

/* Quarters of a pixel, on the sides where half a pixel costs less. */
static void refine_quarters(const struct xc_motion *motion, struct seen *seen,
                            struct xc_motion_result *best)
{
    int row = best->mv.row, column = best->mv.column;
    bool above = cost_seen(seen, row - 2, column) < cost_seen(seen, row + 2, column);
    bool left = cost_seen(seen, row, column - 2) < cost_seen(seen, row, column + 2);
    int to_row = above ? row - 1 : row + 1, to_column = left ? column - 1 : column + 1;
    try_fraction(motion, seen, to_row, column, best);
    try_fraction(motion, seen, row, to_column, best);
    try_fraction(motion, seen, to_row, to_column, best);
}

struct xc_motion_result xc_motion_search(const struct xc_motion *motion,
                                         const struct xc_motion_start *starts, int count, int reach)
{
    struct xc_motion_result best = {.cost = NOT_TAKEN};
    if (reach != XC_GUESSES_ONLY) {
        struct whole whole = search_whole(motion, starts, count, reach);
        struct motion_vector origin = {(int16_t)(4 * whole.row), (int16_t)(4 * whole.column)};
        take_fraction(motion, origin, XC_UNKNOWN_SATD, &best);
    }
    for (int i = 0; i < count; i++)
        take_fraction(motion, starts[i].mv, starts[i].satd, &best);
    struct seen seen = {.origin = best.mv};
    *seen_cost(&seen, best.mv.row, best.mv.column) = best.cost;
    if (reach != XC_GUESSES_ONLY)
        refine_halves(motion, &seen, &best);
    refine_quarters(motion, &seen, &best);
    return best;
}
