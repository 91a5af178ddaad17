/* The search of one macroblock: what its parts share. */
#ifndef VP8_MB_SEARCH_H
#define VP8_MB_SEARCH_H

#include "vp8/motion.h"
#include "vp8/search.h"
#include "vp8/trial.h"

/* How much work goes into a frame's macroblocks. */
struct search_effort {
    int part_reach; /* of motion search for parts of split macroblocks, see xc_motion_search */
    /* How many of the candidates that look best get a trial. */
    int vector_trials, intra16_trials, chroma_trials, subblock_trials, split_trials;
    /* What is tried only where the best so far costs more than this many bits: finer ways to predict
     * cannot win back more than that. */
    int least_for_subblocks, least_for_split, least_for_refinement;
    int refinements; /* how often the vectors around the best whole one get trials, at most */
};

struct mb_search {
    const struct search *search;
    const struct encoder *encoder;
    int row, column;
    const uint8_t *source[3]; /* the macroblock in the source */
    ptrdiff_t stride[3];
    struct xc_trial trial;
    uint32_t lambda;     /* of squared errors, as in struct encoder */
    uint32_t sad_lambda; /* of absolute differences, as in struct xc_motion */

    /* The best so far: what is written to the map, and its cost (xc_trial_cost). */
    struct mb_info best;
    uint64_t best_cost;
    /* SATD of luma and rate of the best whole vector, in absolute differences: tells what is not
     * worth a trial. */
    uint32_t best_estimate;
};

/* Makes `info` the best if it is, and tells so, by what its modes (`rate`, without skip flag) and residue come to. */
bool xc_mb_propose(struct mb_search *mb, const struct mb_info *info, uint32_t rate,
                   const struct xc_trial_result *residue);

/* search_intra.c: proposes the best intra modes. */
void xc_search_intra(struct mb_search *mb);

/* search_inter.c: proposes the best whole vectors, and the best split (search_split.c). */
void xc_search_inter(struct mb_search *mb);

/* Predicts an inter macroblock, tries its residue and proposes it; true if it is the best. `rate` is that of its header without
 * skip flag. */
bool xc_search_try_inter(struct mb_search *mb, const struct mb_info *info, uint32_t rate);

/* search_split.c: proposes macroblocks cut into parts. The best so far has one vector. */
void xc_search_split(struct mb_search *mb);

#endif
