#include "vp8/activity.h"

#include "vp8/picture.h"
#include "vp8/steps.h"

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

void xc_set_lambdas(const struct xc_dsp *dsp, const struct frame_header *header,
                    const struct mb_map *map, const struct xc_picture *source, int rate_weight,
                    uint32_t *lambda)
{
    uint64_t total = 0, count = (uint64_t)map->rows * (uint64_t)map->columns;
    uint64_t base[SEGMENTS];
    uint32_t *activities = lambda;
    for (int i = 0; i < SEGMENTS; i++) {
        struct xc_steps steps;
        xc_steps_init(&steps, header, i);
        base[i] = 256 * (uint64_t)steps.y.dc * (uint64_t)steps.y.dc * LAMBDA_NUMERATOR *
                  (uint64_t)rate_weight / LAMBDA_DENOMINATOR;
    }
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++) {
            uint64_t activity = activity_of(dsp, source, row, column);
            *activities++ = (uint32_t)activity;
            total += activity;
        }
    uint64_t average = total / count;
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++, lambda++) {
            uint64_t activity = *lambda;
            /* From half the base where it is flat to twice the base where it is busy. */
            *lambda = (uint32_t)(base[mb_at(map, row, column)->segment] * (2 * activity + average) /
                                 (activity + 2 * average));
        }
}
