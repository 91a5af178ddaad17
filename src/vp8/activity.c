#include "vp8/activity.h"

/* lambda = 0.022 * step^2 of squared error per bit, in 1/256, at a weight of 100 %. With that a rebased
 * frame is as like its source as libvpx's own was (tests/unit/test_vp8_rebase_cost.c). */
#define LAMBDA_NUMERATOR 22
#define LAMBDA_DENOMINATOR (1000 * 100)

/* Keeps flat macroblocks from counting without bounds: a variance per sample of 4. */
#define LEAST_ACTIVITY (256 * 4)

/* 256 times the variance of the macroblock's samples, summed: 256 * sum of (sample - mean)^2 / 256. */
static uint64_t activity_of(const struct xc_dsp *dsp, const struct xc_picture *source, int row,
                            int column)
{
    uint32_t sum, squares;
    dsp->moments16x16(source->plane[0] + 16 * row * source->stride[0] + 16 * column,
                      source->stride[0], &sum, &squares);
    uint64_t activity = squares - (uint64_t)sum * sum / 256;
    return activity < LEAST_ACTIVITY ? LEAST_ACTIVITY : activity;
}

void xc_set_lambdas(struct encoder *encoder, int rate_weight)
{
    const struct mb_map *map = encoder->map;
    uint32_t *lambda = encoder->lambda;
    uint64_t total = 0, count = (uint64_t)map->rows * (uint64_t)map->columns;
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++) {
            uint64_t activity = activity_of(encoder->canvas.dsp, encoder->source, row, column);
            *lambda++ = (uint32_t)activity;
            total += activity;
        }
    uint64_t average = total / count;
    lambda = encoder->lambda;
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++, lambda++) {
            uint64_t step = (uint64_t)encoder->steps[mb_at(map, row, column)->segment].y.dc;
            uint64_t base =
                256 * step * step * LAMBDA_NUMERATOR * (uint64_t)rate_weight / LAMBDA_DENOMINATOR;
            uint64_t activity = *lambda;
            /* From half the base where it is flat to twice the base where it is busy. */
            *lambda = (uint32_t)(base * (2 * activity + average) / (activity + 2 * average));
        }
}
