/* The last steps of encode and rebase, after all macroblocks are coded. */
#ifndef VP8_FINISH_H
#define VP8_FINISH_H

#include "vp8/encoder.h"

/* Sets the header's probabilities (skipping, references, modes, vectors, coefficients, segments) to
 * what the frame's decisions call for, where an update pays for itself. The header's probabilities in
 * force are those of the state before. */
void xc_fit_probabilities(struct encoder *encoder);

/* Chooses and applies the loop filter's level: from then on encoder->canvas.picture is what a decoder
 * has. The search starts from the header's level. */
void xc_choose_filter(struct encoder *encoder);

/* All of the above; makes the state after the frame, which is then ready to be written. Takes over the reference
 * to encoder->canvas.picture, in any case. XC_OK or XC_ERROR_NO_MEMORY. */
int xc_finish_frame(struct encoder *encoder, const struct xc_state *before,
                    struct xc_state **after);

/* Writes the finished frame; without one there is no state after it either. */
int xc_write_finished(const struct encoder *encoder, struct xc_buffer *frame,
                      struct xc_state **after);

#endif
