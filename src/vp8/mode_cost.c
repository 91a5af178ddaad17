#include "vp8/mode_cost.h"

#include <string.h>

#include "vp8/tables.h"

static void key_frame_costs(struct xc_mode_costs *costs)
{
    xc_tree_costs(xc_key_y_mode_tree, xc_key_y_mode_probabilities, costs->y_mode);
    xc_tree_costs(xc_uv_mode_tree, xc_key_uv_mode_probabilities, costs->uv_mode);
    for (int above = 0; above < INTRA_B_MODES; above++)
        for (int left = 0; left < INTRA_B_MODES; left++)
            xc_tree_costs(xc_b_mode_tree, xc_key_b_mode_probabilities[above][left],
                          costs->key_b_mode[above][left]);
}

static void reference_costs(const struct frame_header *header, int *costs)
{
    int inter = xc_bit_cost(header->intra_probability, 1);
    int other = inter + xc_bit_cost(header->last_probability, 1);
    costs[REF_INTRA] = xc_bit_cost(header->intra_probability, 0);
    costs[REF_LAST] = inter + xc_bit_cost(header->last_probability, 0);
    costs[REF_GOLDEN] = other + xc_bit_cost(header->golden_probability, 0);
    costs[REF_ALTREF] = other + xc_bit_cost(header->golden_probability, 1);
}

static void inter_frame_costs(struct xc_mode_costs *costs, const struct frame_header *header,
                              const struct probabilities *expected)
{
    xc_tree_costs(xc_y_mode_tree, expected->y_mode, costs->y_mode);
    xc_tree_costs(xc_uv_mode_tree, expected->uv_mode, costs->uv_mode);
    xc_tree_costs(xc_b_mode_tree, xc_b_mode_probabilities, costs->b_mode);
    xc_tree_costs(xc_partitioning_tree, xc_partitioning_probabilities, costs->partitioning);
    for (int context = 0; context < 5; context++)
        xc_tree_costs(xc_split_mv_tree, xc_split_mv_probabilities[context],
                      costs->split_mv[context]);
    reference_costs(header, costs->reference);
}

void xc_mode_costs_init(struct xc_mode_costs *costs, const struct frame_header *header,
                        const struct probabilities *expected)
{
    memset(costs, 0, sizeof(*costs));
    costs->key_frame = header->key_frame;
    if (header->key_frame)
        key_frame_costs(costs);
    else
        inter_frame_costs(costs, header, expected);
    for (int bit = 0; bit < 2; bit++)
        costs->skip[bit] = xc_bit_cost(header->skip_probability, bit);
}

void xc_mv_mode_costs(const struct mv_candidates *candidates, int costs[MV_MODES])
{
    uint8_t probability[4];
    int by_mode[MV_SPLIT + 1];
    for (int i = 0; i < 4; i++)
        probability[i] = candidates->probability[i][i];
    xc_tree_costs(xc_mv_mode_tree, probability, by_mode);
    memcpy(costs, by_mode + MV_NEAREST, MV_MODES * sizeof(*costs));
}
