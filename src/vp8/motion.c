#include "vp8/motion.h"

#include "vp8/modes.h"

/* MAX_VECTOR, in quarter pixels, keeps sums of vectors within 16 bits in the widest pictures. */
enum { LARGEST_BLOCK = 16, MAX_DESCENT = 64, MAX_VECTOR = 1 << 14 };

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

static struct whole search_whole(const struct xc_motion *motion, const struct motion_vector *starts,
                                 int count, int reach)
{
    const struct mv_range *range = &motion->range;
    struct whole best = {.cost = UINT32_MAX}, last = {0};
    for (int i = 0; i < count; i++) {
        int row = round_to_whole(starts[i].row, range->low.row, range->high.row);
        int column = round_to_whole(starts[i].column, range->low.column, range->high.column);
        if (i == 0 || row != last.row || column != last.column)
            try_one(motion, row, column, &best);
        last = (struct whole){row, column, 0};
    }
    descend(motion, &best);
    if (reach > 0) {
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

/* Which vectors near `origin` were looked at: a bit a column for each row. */
enum { SEEN_RADIUS = 7 };
struct seen {
    struct motion_vector origin;
    uint16_t row[2 * SEEN_RADIUS + 1];
};

/* True where `mv` is too far away, or was looked at before. */
static bool seen_before(struct seen *seen, int mv_row, int mv_column)
{
    int row = mv_row - seen->origin.row + SEEN_RADIUS;
    int column = mv_column - seen->origin.column + SEEN_RADIUS;
    if (row < 0 || row > 2 * SEEN_RADIUS || column < 0 || column > 2 * SEEN_RADIUS)
        return true;
    uint16_t bit = (uint16_t)(1u << column);
    bool before = seen->row[row] & bit;
    seen->row[row] |= bit;
    return before;
}

static uint32_t try_fraction(const struct xc_motion *motion, struct seen *seen, int row, int column,
                             struct xc_motion_result *best)
{
    if (!in_range(&motion->range, row, column) || seen_before(seen, row, column))
        return UINT32_MAX;
    struct motion_vector mv = {(int16_t)row, (int16_t)column};
    uint32_t rate = vector_rate(motion, mv);
    if (rate >= best->cost)
        return UINT32_MAX;
    uint32_t satd = xc_motion_satd(motion, mv), cost = rate + satd;
    if (cost < best->cost)
        *best = (struct xc_motion_result){mv, satd, cost};
    return cost;
}

/* The four neighbours at `step` quarter pixels, and the one between the better two; until none is
 * better. */
static void refine(const struct xc_motion *motion, struct seen *seen, int step,
                   struct xc_motion_result *best)
{
    struct motion_vector center;
    do {
        center = best->mv;
        int row = center.row, column = center.column;
        uint32_t above = try_fraction(motion, seen, row - step, column, best);
        uint32_t below = try_fraction(motion, seen, row + step, column, best);
        uint32_t left = try_fraction(motion, seen, row, column - step, best);
        uint32_t right = try_fraction(motion, seen, row, column + step, best);
        try_fraction(motion, seen, above < below ? row - step : row + step,
                     left < right ? column - step : column + step, best);
    } while (!mv_equal(center, best->mv));
}

struct xc_motion_result xc_motion_search(const struct xc_motion *motion,
                                         const struct motion_vector *starts, int count, int reach)
{
    struct whole whole = search_whole(motion, starts, count, reach);
    struct xc_motion_result best = {.cost = UINT32_MAX};
    struct seen seen = {.origin = {(int16_t)(4 * whole.row), (int16_t)(4 * whole.column)}};
    try_fraction(motion, &seen, seen.origin.row, seen.origin.column, &best);
    for (int i = 0; i < count; i++) {
        /* Those too far from the origin still are candidates. */
        struct seen none = {.origin = starts[i]};
        try_fraction(motion, &none, starts[i].row, starts[i].column, &best);
    }
    seen = (struct seen){.origin = best.mv};
    seen_before(&seen, best.mv.row, best.mv.column);
    refine(motion, &seen, 2, &best);
    refine(motion, &seen, 1, &best);
    return best;
}
