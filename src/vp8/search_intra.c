/* Intra modes: whole blocks of luma, 4x4 subblocks, chroma. */
#include <string.h>

#include "vp8/mb_search.h"

enum { WHOLE_MODES = TM_PRED + 1 };

/* Modes, their rate, and what the residue comes to. */
struct choice {
    struct mb_info info;
    uint32_t rate;
    struct xc_trial_result residue;
    uint64_t cost; /* of all luma */
};

/* Moves the `count` candidates of least estimate to the front, best first. */
static void sort_front(int *mode, uint32_t *estimate, int candidates, int count)
{
    for (int i = 0; i < count; i++)
        for (int j = i + 1; j < candidates; j++)
            if (estimate[j] < estimate[i]) {
                uint32_t swapped = estimate[i];
                int swapped_mode = mode[i];
                estimate[i] = estimate[j];
                mode[i] = mode[j];
                estimate[j] = swapped;
                mode[j] = swapped_mode;
            }
}

static void add_residue(struct xc_trial_result *to, const struct xc_trial_result *residue)
{
    to->rate += residue->rate;
    to->distortion += residue->distortion;
    to->coded |= residue->coded;
}

/* ---- 16x16 --------------------------------------------------------------------------------- */

static void try_luma16(const struct mb_search *mb, int mode, const uint8_t *prediction,
                       struct choice *choice)
{
    struct xc_trial_result residue;
    uint32_t rate = (uint32_t)mb->search->costs.y_mode[mode];
    xc_trial_luma(&mb->trial, mb->source[0], mb->stride[0], prediction, 16, true, rate,
                  choice->cost, &residue);
    uint64_t cost = xc_trial_cost(mb->lambda, rate + residue.rate, residue.distortion);
    if (cost >= choice->cost)
        return;
    choice->cost = cost;
    choice->rate = rate;
    choice->residue = residue;
    choice->info.y_mode = (uint8_t)mode;
    memset(choice->info.b_mode, xc_implied_b_mode(mode), sizeof(choice->info.b_mode));
}

static void search_luma16(struct mb_search *mb, struct choice *choice)
{
    const struct canvas *canvas = &mb->encoder->canvas;
    uint8_t prediction[WHOLE_MODES][16 * 16];
    int mode[WHOLE_MODES];
    uint32_t estimate[WHOLE_MODES];
    for (int i = 0; i < WHOLE_MODES; i++) {
        xc_predict_intra(canvas, 0, i, mb->row, mb->column, prediction[i], 16);
        mode[i] = i;
        estimate[i] =
            mb->trial.dsp->satd[BLOCK_16X16](mb->source[0], mb->stride[0], prediction[i], 16) +
            xc_motion_rate(mb->sad_lambda, mb->search->costs.y_mode[i]);
    }
    int trials = mb->search->effort->intra16_trials;
    sort_front(mode, estimate, WHOLE_MODES, trials);
    for (int i = 0; i < trials; i++)
        try_luma16(mb, mode[i], prediction[mode[i]], choice);
}

/* ---- 4x4 ----------------------------------------------------------------------------------- */

/* A subblock in work. */
struct subblock {
    const uint8_t *source;
    const int *mode_costs;
    int context;                              /* of its first token */
    uint8_t prediction[INTRA_B_MODES][4 * 4]; /* by enum intra_b_mode */
};

/* What was chosen for a subblock. */
struct subblock_choice {
    int mode, end;
    uint64_t cost;
    struct xc_trial_result residue;
    int16_t dequantized[16];
};

static void try_subblock(const struct mb_search *mb, const struct subblock *block, int mode,
                         struct subblock_choice *choice)
{
    struct subblock_choice tried = {.mode = mode};
    tried.end = xc_trial_block(&mb->trial, block->source, mb->stride[0], block->prediction[mode], 4,
                               block->context, tried.dequantized, &tried.residue);
    tried.cost = xc_trial_cost(mb->lambda, (uint32_t)block->mode_costs[mode] + tried.residue.rate,
                               tried.residue.distortion);
    if (tried.cost < choice->cost)
        *choice = tried;
}

static void search_subblock(const struct mb_search *mb, struct subblock *block,
                            const uint8_t edge[13], struct subblock_choice *choice)
{
    const struct xc_dsp *dsp = mb->trial.dsp;
    int mode[INTRA_B_MODES];
    uint32_t estimate[INTRA_B_MODES];
    for (int i = 0; i < INTRA_B_MODES; i++) {
        dsp->intra4x4[i](block->prediction[i], 4, edge);
        mode[i] = i;
        estimate[i] = dsp->satd[BLOCK_4X4](block->source, mb->stride[0], block->prediction[i], 4) +
                      xc_motion_rate(mb->sad_lambda, block->mode_costs[i]);
    }
    int trials = mb->search->effort->subblock_trials;
    sort_front(mode, estimate, INTRA_B_MODES, trials);
    choice->cost = UINT64_MAX;
    for (int i = 0; i < trials; i++)
        try_subblock(mb, block, mode[i], choice);
}

/* The ones to come are predicted from it. */
static void reconstruct_subblock(const struct mb_search *mb, const struct subblock *block,
                                 const struct subblock_choice *choice, uint8_t *to,
                                 ptrdiff_t stride)
{
    const uint8_t *prediction = block->prediction[choice->mode];
    for (int y = 0; y < 4; y++)
        memcpy(to + y * stride, prediction + 4 * y, 4);
    if (choice->end)
        mb->trial.dsp->inverse_dct_add(choice->dequantized, to, stride);
}

static const int *subblock_mode_costs(const struct mb_search *mb, const struct mb_info *info, int i)
{
    const struct mb_map *map = mb->encoder->map;
    int above = i > 3 ? info->b_mode[i - 4] : mb_at(map, mb->row - 1, mb->column)->b_mode[i + 12];
    int left = i & 3 ? info->b_mode[i - 1] : mb_at(map, mb->row, mb->column - 1)->b_mode[i + 3];
    return xc_b_mode_costs(&mb->search->costs, above, left);
}

/* Replaces `choice` if subblocks are better. */
static void search_luma4(struct mb_search *mb, struct choice *choice)
{
    const struct canvas *canvas = &mb->encoder->canvas;
    struct mb_target to = xc_picture_target(canvas->picture, mb->row, mb->column);
    struct choice tried = {.info = {.y_mode = B_PRED},
                           .rate = (uint32_t)mb->search->costs.y_mode[B_PRED]};
    struct token_context above = *mb->trial.above, left = *mb->trial.left;
    for (int i = 0; i < 16; i++) {
        int x = i & 3, y = i >> 2;
        struct subblock block = {.source = mb->source[0] + 4 * y * mb->stride[0] + 4 * x,
                                 .mode_costs = subblock_mode_costs(mb, &tried.info, i),
                                 .context = above.y[x] + left.y[y]};
        struct subblock_choice best;
        uint8_t edge[13];
        xc_intra4x4_edge(canvas, mb->row, mb->column, i, edge);
        search_subblock(mb, &block, edge, &best);
        reconstruct_subblock(mb, &block, &best, to.plane[0] + 4 * y * to.stride[0] + 4 * x,
                             to.stride[0]);
        above.y[x] = left.y[y] = best.end > 0;
        tried.info.b_mode[i] = (uint8_t)best.mode;
        tried.rate += (uint32_t)block.mode_costs[best.mode];
        add_residue(&tried.residue, &best.residue);
        tried.cost =
            xc_trial_cost(mb->lambda, tried.rate + tried.residue.rate, tried.residue.distortion);
        if (tried.cost >= choice->cost)
            return;
    }
    *choice = tried;
}

/* ---- Chroma -------------------------------------------------------------------------------- */

/* The chroma modes' predictions. */
struct chroma {
    uint8_t prediction[WHOLE_MODES][2][8 * 8]; /* [enum mb_mode][plane - 1] */
};

static uint32_t chroma_estimate(const struct mb_search *mb, int mode, struct chroma *chroma)
{
    uint32_t estimate = xc_motion_rate(mb->sad_lambda, mb->search->costs.uv_mode[mode]);
    for (int plane = 1; plane < 3; plane++) {
        uint8_t *prediction = chroma->prediction[mode][plane - 1];
        xc_predict_intra(&mb->encoder->canvas, plane, mode, mb->row, mb->column, prediction, 8);
        estimate +=
            mb->trial.dsp->satd[BLOCK_8X8](mb->source[plane], mb->stride[plane], prediction, 8);
    }
    return estimate;
}

static uint64_t try_chroma(const struct mb_search *mb, int mode, const struct chroma *chroma,
                           struct xc_trial_result *residue)
{
    *residue = (struct xc_trial_result){0};
    for (int plane = 1; plane < 3; plane++)
        xc_trial_chroma(&mb->trial, plane, mb->source[plane], mb->stride[plane],
                        chroma->prediction[mode][plane - 1], 8, residue);
    return xc_trial_cost(mb->lambda, (uint32_t)mb->search->costs.uv_mode[mode] + residue->rate,
                         residue->distortion);
}

/* Chooses the chroma mode and adds its residue and rate to the luma's. */
static void search_chroma(struct mb_search *mb, struct choice *choice)
{
    struct chroma chroma;
    int mode[WHOLE_MODES];
    uint32_t estimate[WHOLE_MODES];
    for (int i = 0; i < WHOLE_MODES; i++) {
        mode[i] = i;
        estimate[i] = chroma_estimate(mb, i, &chroma);
    }
    int trials = mb->search->effort->chroma_trials;
    sort_front(mode, estimate, WHOLE_MODES, trials);
    struct xc_trial_result best = {0};
    uint64_t best_cost = UINT64_MAX;
    for (int i = 0; i < trials; i++) {
        struct xc_trial_result residue;
        uint64_t cost = try_chroma(mb, mode[i], &chroma, &residue);
        if (cost < best_cost) {
            best_cost = cost;
            best = residue;
            choice->info.uv_mode = (uint8_t)mode[i];
        }
    }
    choice->rate += (uint32_t)mb->search->costs.uv_mode[choice->info.uv_mode];
    add_residue(&choice->residue, &best);
}

void xc_search_intra(struct mb_search *mb)
{
    struct choice choice = {.cost = mb->best_cost};
    search_luma16(mb, &choice);
    uint32_t least = (uint32_t)mb->search->effort->least_for_subblocks * COST_OF_BIT;
    if (choice.cost > xc_trial_cost(mb->lambda, least, 0))
        search_luma4(mb, &choice);
    if (choice.cost >= mb->best_cost)
        return;
    search_chroma(mb, &choice);
    xc_mb_propose(mb, &choice.info, choice.rate + (uint32_t)mb->search->costs.reference[REF_INTRA],
                  &choice.residue);
}
