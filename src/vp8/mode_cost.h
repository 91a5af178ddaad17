/* Rates of macroblock headers, in 1/256 bit (cost.h), by the probabilities they are coded with. */
#ifndef VP8_MODE_COST_H
#define VP8_MODE_COST_H

#include "vp8/cost.h"
#include "vp8/frame.h"
#include "vp8/modes.h"

struct xc_mode_costs {
    bool key_frame;
    int y_mode[B_PRED + 1]; /* by enum mb_mode */
    int uv_mode[TM_PRED + 1];
    int b_mode[INTRA_B_MODES];                                   /* inter frames */
    int key_b_mode[INTRA_B_MODES][INTRA_B_MODES][INTRA_B_MODES]; /* key frames: [above][left] */
    int reference[4];    /* by enum mb_reference, with the choice between intra and inter */
    int partitioning[4]; /* by enum partitioning */
    int split_mv[5][4];  /* [xc_split_mv_context][enum split_mv_mode] */
    int skip[2];         /* by mb_skip_coeff */
};

/* `header` tells the kind of frame and the probabilities of references and skipping, `expected` those
 * of intra modes. */
void xc_mode_costs_init(struct xc_mode_costs *costs, const struct frame_header *header,
                        const struct probabilities *expected);

/* The cost of a macroblock's enum mb_mode from MV_NEAREST on: costs[mode - MV_NEAREST]. */
enum { MV_MODES = MV_SPLIT - MV_NEAREST + 1 };
void xc_mv_mode_costs(const struct mv_candidates *candidates, int costs[MV_MODES]);

/* The costs of a subblock's ten modes: `above` and `left` are its neighbours' modes. */
static inline const int *xc_b_mode_costs(const struct xc_mode_costs *costs, int above, int left)
{
    return costs->key_frame ? costs->key_b_mode[above][left] : costs->b_mode;
}

#endif
