/* Choosing the loop filter's level by the error that it leaves. */
#include <string.h>

#include "vp8/finish.h"
#include "vp8/loopfilter.h"
#include "vp8/wavefront.h"

#define MAX_LEVEL 63

/* Levels are tried on about so many rows of macroblocks, spread over the picture, with steps that are halved from
 * the first down to the last: what a level does to the error changes little from row to row, and near the best one
 * from level to level. */
#define SAMPLED_ROWS 8
#define FIRST_STEP 8
#define LAST_STEP 2

/* Copies the luma of macroblock row `row` and the samples above it that filtering may change. */
static void copy_row(const struct xc_picture *from, int row, struct xc_picture *to)
{
    int first = row > 0 ? 16 * row - 4 : 0;
    for (int y = first; y < 16 * (row + 1); y++)
        memcpy(to->plane[0] + y * to->stride[0], from->plane[0] + y * from->stride[0],
               (size_t)from->plane_width[0]);
}

static uint64_t row_error(const struct xc_dsp *dsp, const struct xc_picture *a,
                          const struct xc_picture *b, int row)
{
    uint64_t sum = 0;
    for (int x = 0; x < a->plane_width[0]; x += 16)
        sum += dsp->sse[BLOCK_16X16](a->plane[0] + 16 * row * a->stride[0] + x, a->stride[0],
                                     b->plane[0] + 16 * row * b->stride[0] + x, b->stride[0]);
    return sum;
}

/* A frame's filter, tried or for good. */
struct filtering {
    struct encoder *encoder;
    struct filter_plan plan;
    int step;                     /* between sampled rows */
    uint64_t error[SAMPLED_ROWS]; /* of each */
};

static void try_row(void *data, int index)
{
    struct filtering *filtering = data;
    const struct encoder *encoder = filtering->encoder;
    const struct xc_dsp *dsp = encoder->canvas.dsp;
    int row = filtering->step / 2 + index * filtering->step;
    copy_row(encoder->canvas.picture, row, encoder->trial);
    xc_filter_luma_row(dsp, &filtering->plan, encoder->map, row, encoder->trial);
    filtering->error[index] = row_error(dsp, encoder->source, encoder->trial, row);
}

/* The luma error that a level leaves on the sampled rows. */
static uint64_t error_at(struct encoder *encoder, int level)
{
    int rows = encoder->map->rows, step = (rows + SAMPLED_ROWS - 1) / SAMPLED_ROWS;
    int samples = (rows - step / 2 + step - 1) / step;
    struct filtering filtering = {.encoder = encoder, .step = step};
    uint64_t sum = 0;
    encoder->header->filter_level = (uint8_t)level;
    xc_filter_plan(encoder->header, &filtering.plan);
    /* What is tried on rows that touch overlaps. */
    xc_threads_each(step > 1 ? encoder->context->threads : NULL, samples, try_row, &filtering);
    for (int i = 0; i < samples; i++)
        sum += filtering.error[i];
    return sum;
}

/* Descends from the level that stands in the header, in steps that halve. */
static int best_level(struct encoder *encoder)
{
    int best = encoder->header->filter_level, direction = 0;
    uint64_t least = error_at(encoder, best);
    for (int step = FIRST_STEP; step >= LAST_STEP;) {
        bool moved = false;
        for (int sign = -1; sign <= 1 && !moved; sign += 2) {
            int level = best + sign * step;
            if (sign == -direction || level < 0 || level > MAX_LEVEL)
                continue;
            uint64_t error = error_at(encoder, level);
            if (error < least) {
                least = error;
                best = level;
                direction = sign;
                moved = true;
            }
        }
        if (!moved) {
            step /= 2;
            direction = 0;
        }
    }
    return best;
}

static void filter_stretch(void *data, int thread, int row, int begin, int end)
{
    const struct filtering *filtering = data;
    const struct canvas *canvas = &filtering->encoder->canvas;
    xc_filter_columns(canvas->dsp, &filtering->plan, filtering->encoder->map, row, begin, end,
                      canvas->picture);
}

void xc_choose_filter(struct encoder *encoder)
{
    const struct mb_map *map = encoder->map;
    struct filtering filtering = {.encoder = encoder};
    encoder->header->filter_level = (uint8_t)best_level(encoder);
    xc_filter_plan(encoder->header, &filtering.plan);
    xc_wavefront(encoder->context->threads, encoder->tokens->parts, map->rows, map->columns,
                 filter_stretch, &filtering);
    xc_picture_extend_borders(encoder->canvas.picture);
}
