#include "vp8/search.h"

#include "vp8/mb_search.h"

/* Tuned on film of 270 to 818 lines: what a step saves in time and costs in bits. */
static const struct search_effort efforts[] = {
    {.part_reach = 8,
     .vector_trials = 4,
     .intra16_trials = 2,
     .chroma_trials = 2,
     .subblock_trials = 3,
     .split_trials = 4,
     .least_for_subblocks = 64,
     .least_for_split = 60,
     .least_for_refinement = 60,
     .refinements = 1},
    {.part_reach = 0,
     .vector_trials = 3,
     .intra16_trials = 1,
     .chroma_trials = 1,
     .subblock_trials = 3,
     .split_trials = 2,
     .least_for_subblocks = 100,
     .least_for_split = 80},
    {.part_reach = 0,
     .vector_trials = 2,
     .intra16_trials = 1,
     .chroma_trials = 1,
     .subblock_trials = 1,
     .split_trials = 1,
     .least_for_subblocks = 100,
     .least_for_split = 160},
};

/* Where intra prediction is hardly better than a vector, the vector is worth more: neighbours' vectors
 * are predicted from it. In 1/256 bit. */
enum { INTRA_PENALTY = 2 * COST_OF_BIT };

void xc_search_start(struct search *search, const struct encoder *encoder,
                     const struct probabilities *expected, unsigned references, int effort)
{
    xc_mode_costs_init(&search->costs, encoder->header, expected);
    search->effort = &efforts[effort];
    for (int i = 0; i < SEGMENTS; i++)
        xc_plain_quantizers_init(&search->plain[i], &encoder->quantizers[i]);
    for (int i = 0; i < 4; i++) {
        search->allowed[i] = i != REF_INTRA && references & XC_REFERENCE_BIT(i - 1);
        for (int j = REF_LAST; j < i; j++)
            if (search->allowed[j] && encoder->canvas.reference[j] == encoder->canvas.reference[i])
                search->allowed[i] = false;
    }
}

bool xc_mb_propose(struct mb_search *mb, const struct mb_info *info, uint32_t rate,
                   const struct xc_trial_result *residue)
{
    const struct xc_mode_costs *costs = &mb->search->costs;
    rate += (uint32_t)costs->skip[!residue->coded];
    if (residue->coded)
        rate += residue->rate;
    if (info->reference == REF_INTRA)
        rate += INTRA_PENALTY;
    uint64_t cost = xc_trial_cost(mb->lambda, rate, residue->distortion);
    if (cost >= mb->best_cost)
        return false;
    mb->best_cost = cost;
    mb->best = *info;
    return true;
}

/* The square root, rounded down. */
static uint32_t square_root(uint64_t x)
{
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << 31; bit; bit >>= 1)
        if ((root + bit) * (root + bit) <= x)
            root += bit;
    return (uint32_t)root;
}

static void start_macroblock(struct mb_search *mb, const struct search *search,
                             const struct encoder *encoder, int row, int column)
{
    struct mb_target source = xc_picture_target(encoder->source, row, column);
    uint32_t lambda = encoder->lambda[row * encoder->map->columns + column];
    *mb = (struct mb_search){
        .search = search,
        .encoder = encoder,
        .row = row,
        .column = column,
        .lambda = lambda,
        /* A multiplier of squared errors is the square of that of absolute ones. */
        .sad_lambda = square_root((uint64_t)lambda << 8),
        .best_cost = UINT64_MAX,
        .best_estimate = UINT32_MAX,
    };
    for (int i = 0; i < 3; i++) {
        mb->source[i] = source.plane[i];
        mb->stride[i] = source.stride[i];
    }
}

void xc_search_macroblock(const struct search *search, const struct encoder *encoder, int row,
                          int column, const struct token_context *above,
                          const struct token_context *left)
{
    struct mb_info *info = mb_at(encoder->map, row, column);
    uint8_t segment = info->segment;
    struct mb_search mb;
    start_macroblock(&mb, search, encoder, row, column);
    mb.trial = (struct xc_trial){
        .dsp = &encoder->context->dsp,
        .plain = &search->plain[segment],
        .quantizers = &encoder->quantizers[segment],
        .costs = &encoder->token_costs,
        .above = above,
        .left = left,
        .lambda = mb.lambda,
    };
    if (!encoder->header->key_frame)
        xc_search_inter(&mb);
    xc_search_intra(&mb);
    *info = mb.best;
    info->segment = segment;
}
