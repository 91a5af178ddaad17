/* From modes and coefficients to samples: shared by decode, encode and rebase. */
#ifndef VP8_RECONSTRUCT_H
#define VP8_RECONSTRUCT_H

#include "vp8/predict.h"
#include "vp8/steps.h"

/* Predicts a macroblock in place and adds its residue. `coefficients` is not read where info->skip.
 */
void xc_reconstruct_macroblock(const struct canvas *canvas, const struct mb_info *info,
                               const struct mb_coefficients *coefficients,
                               const struct xc_steps *steps, int row, int column);

/* Adds the residue of a predicted macroblock's luma (all modes but B_PRED) or chroma. */
void xc_add_luma_residue(const struct canvas *canvas, bool y2,
                         const struct mb_coefficients *coefficients, const struct xc_steps *steps,
                         const struct mb_target *to);
/* The same of one luma subblock under B_PRED. */
void xc_add_subblock_residue(const struct canvas *canvas,
                             const struct mb_coefficients *coefficients, int block,
                             const struct xc_steps *steps, const struct mb_target *to);
void xc_add_chroma_residue(const struct canvas *canvas, const struct mb_coefficients *coefficients,
                           const struct xc_steps *steps, const struct mb_target *to);

#endif
