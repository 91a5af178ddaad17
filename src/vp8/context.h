/* The working memory of one call, and what decode, encode and rebase have in common. */
#ifndef VP8_CONTEXT_H
#define VP8_CONTEXT_H

#include "vp8/dsp/dsp.h"
#include "vp8/frame.h"
#include "vp8/state.h"
#include "vp8/threads.h"

/* Whether the blocks above (or to the left) of a macroblock had coefficients, as 0 or 1: four
 * columns (rows) of luma, two of U, two of V, and the last Y2 (RFC 6386 section 13.3). */
struct token_context {
    uint8_t y[4], u[2], v[2], y2;
};

struct encoder; /* encoder.h: what only encode and rebase need */

struct xc_context {
    struct xc_dsp dsp;
    struct frame_header header;
    struct mb_map map;
    struct token_context *above; /* [map.columns] */
    /* The unfiltered last row of samples of the macroblock row above, for intra prediction: sample
     * x of plane i is line[i][x]; x from -1 to 4 behind the plane's width. For decoding, which filters a row before
     * it goes on to the next one. */
    uint8_t *line[3];
    uint8_t *line_memory;
    size_t map_capacity, column_capacity; /* allocated sizes, in macroblocks and columns */
    struct encoder *encoder;              /* made when first needed */
    int thread_count;                     /* that a call may use */
    struct thread_pool *threads;          /* NULL where it is one */
    struct picture_spare *spare;          /* of the pictures that this context has made */
};

/* Makes room for a picture of the given size and clears the map's border. XC_OK or
 * XC_ERROR_NO_MEMORY. */
int xc_context_resize(struct xc_context *context, int width, int height);

/* Leaves the map's memory to whoever has a copy of context->map. */
void xc_context_yield_map(struct xc_context *context);

#endif
