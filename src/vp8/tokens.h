/* Coefficient tokens (RFC 6386 section 13): parsing and listing the same sequence. */
#ifndef VP8_TOKENS_H
#define VP8_TOKENS_H

#include "vp8/bool_reader.h"
#include "vp8/context.h"
#include "vp8/decisions.h"
#include "vp8/frame.h"

/* Whether the DCs of a macroblock's luma blocks are coded in a block of their own. */
static inline bool has_y2(const struct mb_info *info)
{
    return info->y_mode != B_PRED && info->y_mode != MV_SPLIT;
}

/* Fills `coefficients` from a macroblock's tokens; true where there were any. */
bool xc_parse_coefficients(struct bool_reader *reader,
                           const coefficient_probabilities probabilities, bool y2,
                           struct token_context *above, struct token_context *left,
                           struct mb_coefficients *coefficients);

/* Appends the decisions of a macroblock's tokens. */
void xc_list_coefficients(struct decision_list *list, bool y2, struct token_context *above,
                          struct token_context *left, const struct mb_coefficients *coefficients);

/* What a macroblock without tokens leaves: no coefficients; without Y2, its Y2 context stays. */
void xc_clear_token_context(bool y2, struct token_context *above, struct token_context *left);

#endif
