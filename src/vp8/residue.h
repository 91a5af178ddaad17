/* Coding the residue of a macroblock whose modes are known. */
#ifndef VP8_RESIDUE_H
#define VP8_RESIDUE_H

#include "vp8/encoder.h"

/*
 * Predicts the macroblock, codes what the prediction lacks of the source by rate and distortion, and
 * reconstructs it in encoder->canvas.picture. Sets its coefficients, and `skip` where there are none.
 * `above` and `left` are the contexts before the macroblock's tokens, and become those behind; the tokens are
 * appended to `tokens`.
 */
void xc_code_residue(const struct encoder *encoder, int row, int column,
                     struct token_context *above, struct token_context *left,
                     struct decision_list *tokens);

#endif
