/* Fitting the probabilities of a frame to its decisions (RFC 6386 sections 9.9-9.11, 13.4, 17.2). */
#include <string.h>

#include "vp8/finish.h"
#include "vp8/tables.h"

/* The probability that suits the counts best, [1, 255]. */
static uint8_t fitted(const uint32_t count[2])
{
    uint64_t total = (uint64_t)count[0] + count[1];
    if (total == 0)
        return 128;
    uint64_t probability = (256 * (uint64_t)count[0] + total / 2) / total;
    return (uint8_t)(probability < 1 ? 1 : probability > 255 ? 255 : probability);
}

/* What the counted decisions cost under a probability, in 1/256 bit. */
static int64_t rate_of(const uint32_t count[2], int probability)
{
    return (int64_t)count[0] * xc_bit_cost(probability, 0) +
           (int64_t)count[1] * xc_bit_cost(probability, 1);
}

/* Takes `candidate` for `*now` where what it saves exceeds what sending it costs: `width` bits, and the
 * update flag, whose own probability is `likely`. */
static bool update_if_worth(const uint32_t count[2], uint8_t candidate, int width, int likely,
                            uint8_t *now)
{
    int64_t saved = rate_of(count, *now) - rate_of(count, candidate);
    int64_t spent = xc_bit_cost(likely, 1) - xc_bit_cost(likely, 0) + width * COST_OF_BIT;
    if (saved <= spent)
        return false;
    *now = candidate;
    return true;
}

static void fit_coefficients(struct encoder *encoder)
{
    struct frame_header *header = encoder->header;
    const uint8_t *likely = &xc_coefficient_update_probabilities[0][0][0][0];
    uint8_t *now = &header->now.probabilities.coefficient[0][0][0][0];
    bool *update = &header->coefficient_update[0][0][0][0];
    for (size_t i = 0; i < sizeof(coefficient_probabilities); i++) {
        uint32_t count[2];
        xc_token_list_count(encoder->tokens, SLOT_COEFFICIENT + (int)i, count);
        update[i] = update_if_worth(count, fitted(count), 8, likely[i], &now[i]);
    }
}

/* Modes' probabilities are sent all together or not at all. */
static bool fit_modes(const uint32_t (*count)[2], int nodes, uint8_t *now)
{
    uint8_t candidate[4];
    int64_t saved = 0;
    for (int i = 0; i < nodes; i++) {
        candidate[i] = fitted(count[i]);
        saved += rate_of(count[i], now[i]) - rate_of(count[i], candidate[i]);
    }
    if (saved <= (int64_t)nodes * 8 * COST_OF_BIT)
        return false;
    memcpy(now, candidate, (size_t)nodes);
    return true;
}

/* Seven bits are sent: even numbers, and 1 for 0. */
static void fit_vectors(const uint32_t (*count)[2], struct frame_header *header)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < MV_PROBABILITIES; j++, count++) {
            uint8_t candidate = fitted(*count) & 0xfe;
            header->mv_update[i][j] = update_if_worth(*count, candidate ? candidate : 1, 7,
                                                      xc_mv_update_probabilities[i][j],
                                                      &header->now.probabilities.mv[i][j]);
        }
}

/* What of the macroblocks' headers is in no list. */
struct map_counts {
    uint32_t skip[2];
    uint32_t segment[3][2]; /* nodes of the tree of segments */
};

static void count_map(const struct mb_map *map, struct map_counts *counts)
{
    memset(counts, 0, sizeof *counts);
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++) {
            const struct mb_info *info = mb_at(map, row, column);
            counts->skip[info->skip]++;
            counts->segment[0][info->segment >> 1]++;
            counts->segment[1 + (info->segment >> 1)][info->segment & 1]++;
        }
}

static void fit_segments(const struct map_counts *counts, struct segmentation_update *update)
{
    for (int i = 0; i < 3; i++) {
        uint8_t always = 255;
        update->has_tree[i] =
            update->map &&
            update_if_worth(counts->segment[i], fitted(counts->segment[i]), 8, 128, &always);
        update->tree[i] = always;
    }
}

void xc_fit_probabilities(struct encoder *encoder)
{
    struct frame_header *header = encoder->header;
    struct probabilities *now = &header->now.probabilities;
    const uint32_t(*count)[2] = encoder->modes->count;
    struct map_counts map;
    count_map(encoder->map, &map);
    header->skip_enabled = map.skip[1] > 0;
    header->skip_probability = fitted(map.skip);
    header->intra_probability = fitted(count[SLOT_INTRA]);
    header->last_probability = fitted(count[SLOT_LAST]);
    header->golden_probability = fitted(count[SLOT_GOLDEN]);
    fit_segments(&map, &header->segmentation_update);
    if (!header->key_frame) {
        header->y_mode_update = fit_modes(count + SLOT_Y_MODE, 4, now->y_mode);
        header->uv_mode_update = fit_modes(count + SLOT_UV_MODE, 3, now->uv_mode);
        fit_vectors(count + SLOT_MV, header);
    }
    fit_coefficients(encoder);
}
