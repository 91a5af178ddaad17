/* The loop filter over a frame (RFC 6386 sections 9.6 and 15). */
#ifndef VP8_LOOPFILTER_H
#define VP8_LOOPFILTER_H

#include "vp8/context.h"

#define FILTER_LEVELS 64

/* Levels of a frame's macroblocks by segment, reference and kind of mode, and what each level means,
 * worked out once. */
struct filter_plan {
    bool enabled, simple;
    struct filter_limits limits[FILTER_LEVELS];
    uint8_t level[SEGMENTS][4][4]; /* [segment][enum mb_reference][index of the mode's delta] */
};

void xc_filter_plan(const struct frame_header *header, struct filter_plan *plan);

/* Filters a row of macroblocks, and up to three rows of samples above it. Rows go from the top;
 * every macroblock's `skip` must say whether it really has no coefficients. */
void xc_filter_row(const struct xc_dsp *dsp, const struct filter_plan *plan,
                   const struct mb_map *map, int row, struct xc_picture *picture);
/* The same of the columns from `begin` on up to `end`. What lies before them is filtered, and of the row above one
 * macroblock more, if there is one. */
void xc_filter_columns(const struct xc_dsp *dsp, const struct filter_plan *plan,
                       const struct mb_map *map, int row, int begin, int end,
                       struct xc_picture *picture);
/* The same for luma alone. */
void xc_filter_luma_row(const struct xc_dsp *dsp, const struct filter_plan *plan,
                        const struct mb_map *map, int row, struct xc_picture *picture);

#endif
