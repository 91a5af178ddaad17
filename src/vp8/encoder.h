/*
 * What encode and rebase have in common. Both go over the macroblocks once: encode searches a
 * macroblock's modes (search.h), rebase has them already; then its residue is coded (residue.h). After
 * the last one the loop filter is chosen, probabilities are fitted, and the frame is written (finish.h).
 */
#ifndef VP8_ENCODER_H
#define VP8_ENCODER_H

#include "vp8/context.h"
#include "vp8/cost.h"
#include "vp8/predict.h"
#include "vp8/quantize.h"
#include "vp8/steps.h"
#include "vp8/token_list.h"

struct encoder {
    /* Allocated once a size. */
    size_t capacity; /* in macroblocks */
    uint32_t *lambda_memory;
    struct decision_list modes_memory;
    struct token_list tokens_memory;
    struct xc_picture *trial; /* luma rows on which loop-filter levels are tried */

    /* The frame in work. */
    struct xc_context *context;
    struct canvas canvas; /* canvas.picture: what a decoder will have, unfiltered */
    const struct xc_picture *source;
    struct frame_header *header;
    struct mb_map *map;
    /* Each macroblock's Lagrangian multiplier: 1/256 of squared sample error per bit, as xc_rd_cost of
     * quantize.h takes it with the distortion of samples. */
    const uint32_t *lambda;
    struct xc_steps steps[SEGMENTS];
    struct xc_quantizers quantizers[SEGMENTS];
    /* By the probabilities that are expected to hold for the frame. */
    struct xc_token_costs token_costs;
    struct xc_mv_costs mv_costs;
    const struct decision_list *modes; /* of all macroblocks, see modes_write.h */
    struct token_list *tokens;         /* of the macroblocks whose residue is coded */
};

/* The context's encoder, made when it is first needed, with room for context->map. NULL when out of
 * memory. */
struct encoder *xc_encoder_get(struct xc_context *context);
void xc_encoder_free(struct encoder *encoder); /* NULL is allowed */

/* Empties a list of tokens for a frame of context->map's size, with a part for each thread that will code it. False
 * when out of memory. */
bool xc_encoder_clear_tokens(const struct xc_context *context, struct token_list *tokens);

/* A frame to be coded. */
struct coding {
    const struct xc_state *before; /* NULL for none */
    const struct xc_picture *source;
    struct mb_map *map;
    const uint32_t *lambda;               /* see activity.h */
    const struct decision_list *modes;    /* to be complete when the frame is finished */
    struct token_list *tokens;            /* to be listed: xc_encoder_clear_tokens() */
    const struct probabilities *expected; /* that rates are taken from */
    struct xc_picture *picture;           /* to be made */
};

/* Prepares for a frame whose header stands in context->header: levels, references, segments, probabilities in
 * force before updates. */
void xc_encoder_start(struct encoder *encoder, struct xc_context *context,
                      const struct coding *coding);

#endif
