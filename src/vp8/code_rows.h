/* Coding all macroblocks of a frame, on as many threads as the context has. */
#ifndef VP8_CODE_ROWS_H
#define VP8_CODE_ROWS_H

#include "vp8/encoder.h"
#include "vp8/search.h"

/* Searches each macroblock's modes, codes its residue, and lists its tokens, in a frame that is started. `search` is
 * NULL where the modes are there already. */
void xc_code_rows(struct encoder *encoder, const struct search *search);

#endif
