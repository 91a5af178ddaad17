/*
 * The search of a macroblock's modes and motion vectors by rate and distortion.
 *
 * Cheap figures (SATD, and rate by a multiplier to match) rank the candidates; the best few are
 * transformed, quantized and priced (trial.h), and the least cost wins.
 */
#ifndef VP8_SEARCH_H
#define VP8_SEARCH_H

#include "vp8/encoder.h"
#include "vp8/mode_cost.h"
#include "vp8/quantize_plain.h"

/* One frame's search. */
struct search {
    struct xc_mode_costs costs;
    struct xc_plain_quantizers plain[SEGMENTS];
    bool allowed[4]; /* by enum mb_reference; of references to the same picture only the first */
    const struct search_effort *effort;
};

/*
 * Prepares for a frame whose encoder is started (xc_encoder_start).
 *   expected    what rates are taken from, as given to xc_encoder_start
 *   references  mask of XC_REFERENCE_BIT: what prediction may use; 0 in key frames
 *   effort      [0, 2], 0 is the most thorough
 */
void xc_search_start(struct search *search, const struct encoder *encoder,
                     const struct probabilities *expected, unsigned references, int effort);

/*
 * Chooses the modes of a macroblock and writes them to the encoder's map; `segment` stays, `skip` is
 * 0. The macroblocks above and to the left must be in the map and, unfiltered, in the encoder's
 * canvas, `above` and `left` are their token contexts. The macroblock's own samples in the canvas
 * are overwritten with something.
 */
void xc_search_macroblock(const struct search *search, const struct encoder *encoder, int row,
                          int column, const struct token_context *above,
                          const struct token_context *left);

#endif
