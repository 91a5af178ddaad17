/* Walking a stream with two chains of states side by side: the one it was made in, and a new one onto
 * which its inter frames are rebased. */
#ifndef SUPPORT_CHAIN_H
#define SUPPORT_CHAIN_H

#include "support/film.h"
#include "support/stream.h"

/* An inter frame and what became of it; all is the walk's. */
struct chain_step {
    int index; /* of the frame in its stream */
    const struct xc_buffer *original;
    const struct xc_state *made_for, *made_after; /* before and after the original */
    const struct xc_picture *target;              /* what it was to look like */
    const struct xc_picture *original_shown;      /* NULL for a hidden frame */
    const struct xc_rebase_parameters *parameters;
    const struct xc_state *onto, *after; /* before and after the frame that was made */
    const struct xc_buffer *frame;
};

struct chain_options {
    /* What the inter frames behind the first key frame go onto; NULL for its own state. */
    const struct xc_state *start;
    /* Each frame goes onto the state that it was made for, not onto the one before it in the chain. */
    bool onto_own;
    struct xc_rebase_parameters parameters;
};

/* Rebases each inter frame of a stream and shows it to `visit`. Shown frames code the film's pictures,
 * one after the other; hidden ones their own. A later key frame brings both chains together. */
void chain_walk(const struct stream *stream, const struct film *film,
                const struct chain_options *options,
                void (*visit)(const struct chain_step *step, void *data), void *data);

#endif
