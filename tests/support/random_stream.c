#include "support/random_stream.h"

#include <stdlib.h>
#include <string.h>

#include "support/claim.h"
#include "support/rewrite.h"
#include "vp8/modes.h"
#include "vp8/steps.h"
#include "vp8/tables.h"
#include "vp8/tokens.h"

/* What a difference between vectors can be at most, in quarter pixels: ten bits. */
#define MAX_MV_DIFFERENCE 1023
/* Dequantized coefficients of a block add up to no more, so that no transform overflows 16 bits. */
#define MAX_BLOCK_SUM 8192
/* The largest magnitude of a token. */
#define MAX_TOKEN 2114

/* A frame in the making. */
struct maker {
    const struct random_recipe *recipe;
    struct random *random;
    struct frame_header header;
    struct mb_map map;
    struct mb_coefficients *coefficients;
};

static bool uses(const struct maker *maker, unsigned feature)
{
    return maker->recipe->features & feature;
}

static bool chance(struct maker *maker, int percent)
{
    return random_chance(maker->random, percent);
}

static int between(struct maker *maker, int low, int high)
{
    return random_between(maker->random, low, high);
}

/* A value of a header's probability. */
static uint8_t probability(struct maker *maker)
{
    static const uint8_t extremes[] = {0, 1, 2, 254, 255};
    if (uses(maker, RANDOM_PROBABILITIES) && chance(maker, 50))
        return extremes[random_below(maker->random, 5)];
    return (uint8_t)between(maker, 20, 235);
}

/* ---- Headers ----------------------------------------------------------------------------------- */

static void make_segment_data(struct maker *maker)
{
    struct segmentation *now = &maker->header.now.segmentation;
    struct segmentation_update *update = &maker->header.segmentation_update;
    update->data = true;
    now->absolute = chance(maker, 50);
    for (int i = 0; i < SEGMENTS; i++) {
        update->has_quantizer[i] = chance(maker, 70);
        now->quantizer[i] = (int8_t)(update->has_quantizer[i] ? between(maker, -127, 127) : 0);
        update->has_filter_level[i] = chance(maker, 70);
        now->filter_level[i] = (int8_t)(update->has_filter_level[i] ? between(maker, -63, 63) : 0);
    }
}

static void make_segmentation(struct maker *maker)
{
    struct frame_header *header = &maker->header;
    struct segmentation_update *update = &header->segmentation_update;
    bool switched = uses(maker, RANDOM_SEGMENT_SWITCH);
    memset(update->tree, 255, sizeof update->tree);
    header->segmentation_enabled = switched ? chance(maker, 60) : uses(maker, RANDOM_SEGMENTS);
    if (!header->segmentation_enabled)
        return;
    update->map = (header->key_frame && !switched) || chance(maker, 40);
    for (int i = 0; update->map && i < 3; i++) {
        update->has_tree[i] = chance(maker, 80);
        if (update->has_tree[i])
            update->tree[i] = probability(maker);
    }
    if (header->key_frame || chance(maker, 40))
        make_segment_data(maker);
}

static void make_deltas(struct maker *maker, int8_t values[4], bool has[4])
{
    for (int i = 0; i < 4; i++) {
        has[i] = chance(maker, 50);
        if (has[i])
            values[i] = (int8_t)between(maker, -63, 63);
    }
}

static void make_filter(struct maker *maker)
{
    struct frame_header *header = &maker->header;
    header->simple_filter = chance(maker, 40);
    header->filter_level = (uint8_t)(chance(maker, 20) ? 0 : between(maker, 1, 63));
    header->filter_sharpness = (uint8_t)(chance(maker, 50) ? 0 : between(maker, 1, 7));
    header->filter_deltas_enabled = uses(maker, RANDOM_DELTAS) && chance(maker, 70);
    header->filter_deltas_update = header->filter_deltas_enabled && chance(maker, 60);
    if (!header->filter_deltas_update)
        return;
    make_deltas(maker, header->now.filter_deltas.reference, header->has_reference_delta);
    make_deltas(maker, header->now.filter_deltas.mode, header->has_mode_delta);
}

static void make_quantizer(struct maker *maker)
{
    struct quantizer_indices *quantizer = &maker->header.quantizer;
    int8_t *delta[] = {&quantizer->y_dc, &quantizer->y2_dc, &quantizer->y2_ac, &quantizer->uv_dc,
                       &quantizer->uv_ac};
    quantizer->y_ac =
        (uint8_t)(chance(maker, 10) ? 127 * between(maker, 0, 1) : between(maker, 0, 127));
    for (int i = 0; i < 5; i++)
        if (uses(maker, RANDOM_QUANTIZERS) && chance(maker, 40))
            *delta[i] = (int8_t)between(maker, -15, 15);
}

static void make_references(struct maker *maker)
{
    struct frame_header *header = &maker->header;
    header->refresh_entropy = !uses(maker, RANDOM_ENTROPY) || chance(maker, 60);
    header->refresh = (1u << XC_REFERENCES) - 1;
    if (header->key_frame)
        return;
    header->refresh = XC_REFERENCE_BIT(XC_LAST);
    if (uses(maker, RANDOM_REFERENCES)) {
        header->refresh = (unsigned)random_below(maker->random, 8);
        if (!(header->refresh & XC_REFERENCE_BIT(XC_GOLDEN)))
            header->copy_to_golden = (uint8_t)between(maker, 0, 2);
        if (!(header->refresh & XC_REFERENCE_BIT(XC_ALTREF)))
            header->copy_to_altref = (uint8_t)between(maker, 0, 2);
        if (!uses(maker, RANDOM_COPY_BOTH) && header->copy_to_golden == 2)
            header->copy_to_altref = 0;
    }
    for (int i = REF_GOLDEN; i <= REF_ALTREF; i++)
        header->sign_bias[i] = uses(maker, RANDOM_SIGN_BIAS) && chance(maker, 50);
}

static void make_mv_probabilities(struct maker *maker)
{
    struct frame_header *header = &maker->header;
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < MV_PROBABILITIES; j++) {
            header->mv_update[i][j] = chance(maker, 10);
            if (header->mv_update[i][j]) {
                uint8_t value = probability(maker) & 0xfe;
                header->now.probabilities.mv[i][j] = value ? value : 1;
            }
        }
}

static void make_probabilities(struct maker *maker)
{
    struct frame_header *header = &maker->header;
    struct probabilities *now = &header->now.probabilities;
    uint8_t *coefficient = &now->coefficient[0][0][0][0];
    bool *update = &header->coefficient_update[0][0][0][0];
    int percent = chance(maker, 30) ? 0 : between(maker, 1, 10);
    for (size_t i = 0; i < sizeof now->coefficient; i++) {
        update[i] = chance(maker, percent);
        if (update[i])
            coefficient[i] = probability(maker);
    }
    header->skip_enabled = chance(maker, 80);
    if (header->skip_enabled)
        header->skip_probability = probability(maker);
    if (header->key_frame)
        return;
    header->intra_probability = probability(maker);
    header->last_probability = probability(maker);
    header->golden_probability = probability(maker);
    header->y_mode_update = chance(maker, 30);
    for (int i = 0; header->y_mode_update && i < 4; i++)
        now->y_mode[i] = probability(maker);
    header->uv_mode_update = chance(maker, 30);
    for (int i = 0; header->uv_mode_update && i < 3; i++)
        now->uv_mode[i] = probability(maker);
    make_mv_probabilities(maker);
}

/* What a key frame alone decides. */
static void make_key(struct maker *maker, bool first)
{
    struct persistent *now = &maker->header.now;
    xc_persistent_reset(now);
    now->width = maker->recipe->width;
    now->height = maker->recipe->height;
    if (!first && uses(maker, RANDOM_RESIZE) && chance(maker, 70)) {
        now->width = between(maker, 1, 2 * now->width);
        now->height = between(maker, 1, 2 * now->height);
    }
    if (uses(maker, RANDOM_SCALING)) {
        now->horizontal_scale = (uint8_t)between(maker, 0, 3);
        now->vertical_scale = (uint8_t)between(maker, 0, 3);
    }
    if (uses(maker, RANDOM_COLOUR)) {
        now->colour_space = (uint8_t)between(maker, 0, 1);
        now->clamping_type = (uint8_t)between(maker, 0, 1);
    }
}

static void make_header(struct maker *maker, const struct xc_state *before)
{
    struct frame_header *header = &maker->header;
    memset(header, 0, sizeof *header);
    header->key_frame = !before || (uses(maker, RANDOM_KEYS) && chance(maker, 15));
    header->version =
        (uint8_t)(uses(maker, RANDOM_VERSIONS) ? between(maker, 0, 3) : maker->recipe->version);
    header->shown = !before || !uses(maker, RANDOM_HIDDEN) || chance(maker, 70);
    if (header->key_frame)
        make_key(maker, !before);
    else
        header->now = before->persistent;
    make_segmentation(maker);
    make_filter(maker);
    if (uses(maker, RANDOM_PARTITIONS))
        header->log2_partitions = (uint8_t)between(maker, 0, 3);
    make_quantizer(maker);
    make_references(maker);
    make_probabilities(maker);
}

/* ---- Modes --------------------------------------------------------------------------------------- */

static void make_intra(struct maker *maker, struct mb_info *info)
{
    info->y_mode = (uint8_t)between(maker, DC_PRED, B_PRED);
    info->uv_mode = (uint8_t)between(maker, DC_PRED, TM_PRED);
    if (info->y_mode == B_PRED)
        for (int i = 0; i < 16; i++)
            info->b_mode[i] = (uint8_t)random_below(maker->random, INTRA_B_MODES);
    else if (maker->header.key_frame)
        memset(info->b_mode, xc_implied_b_mode(info->y_mode), sizeof info->b_mode);
}

static struct motion_vector new_vector(struct maker *maker, struct motion_vector best)
{
    static const int reaches[] = {3, 8, 40, 300};
    int reach = reaches[random_below(maker->random, 4)];
    if (uses(maker, RANDOM_FAR) && chance(maker, 40))
        reach = MAX_MV_DIFFERENCE;
    return (struct motion_vector){
        .row = (int16_t)(best.row + between(maker, -reach, reach)),
        .column = (int16_t)(best.column + between(maker, -reach, reach)),
    };
}

static void make_part(struct maker *maker, struct motion_vector best, const struct mb_info *above,
                      const struct mb_info *left, struct mb_info *info, int block)
{
    const uint8_t *part_of = xc_partition_of_subblock[info->partitioning];
    enum split_mv_mode mode = (enum split_mv_mode)random_below(maker->random, 4);
    struct motion_vector mv = {0};
    if (mode == LEFT_4X4)
        mv = block & 3 ? info->mvs[block - 1] : xc_subblock_mv(left, block + 3);
    else if (mode == ABOVE_4X4)
        mv = block > 3 ? info->mvs[block - 4] : xc_subblock_mv(above, block + 12);
    else if (mode == NEW_4X4)
        mv = new_vector(maker, best);
    for (int i = block; i < 16; i++)
        if (part_of[i] == part_of[block]) {
            info->b_mode[i] = (uint8_t)mode;
            info->mvs[i] = mv;
        }
}

static void make_split(struct maker *maker, struct motion_vector best, int row, int column,
                       struct mb_info *info)
{
    int next = 0;
    info->partitioning = (uint8_t)between(maker, SPLIT_16X8, SPLIT_4X4);
    for (int block = 0; block < 16; block++)
        if (xc_partition_of_subblock[info->partitioning][block] == next) {
            make_part(maker, best, mb_at(&maker->map, row - 1, column),
                      mb_at(&maker->map, row, column - 1), info, block);
            next++;
        }
    info->mv = info->mvs[15];
}

/* With full-pixel chroma libvpx (1.12) leaves the chroma of a macroblock unpredicted where rounding
 * down takes its vector across the line, 19 pixels outside, behind which vectors count as far. */
static bool in_full_pixel_gap(struct motion_vector mv, int row, int column)
{
    int y = mv.row + 64 * row, x = mv.column + 64 * column;
    return (y >= -76 && y < -72) || (x >= -76 && x < -72);
}

static void make_inter(struct maker *maker, int row, int column, struct mb_info *info)
{
    struct mv_candidates candidates;
    info->reference = (uint8_t)between(maker, REF_LAST, REF_ALTREF);
    xc_find_candidates(&maker->map, row, column, info->reference, maker->header.sign_bias,
                       &candidates);
    info->y_mode = (uint8_t)between(maker, MV_NEAREST, MV_SPLIT);
    if (info->y_mode == MV_NEAREST)
        info->mv = candidates.nearest;
    else if (info->y_mode == MV_NEAR)
        info->mv = candidates.near;
    else if (info->y_mode == MV_NEW)
        info->mv = new_vector(maker, candidates.best);
    else if (info->y_mode == MV_SPLIT)
        make_split(maker, candidates.best, row, column, info);
    if (maker->header.version == 3 && info->y_mode != MV_SPLIT &&
        in_full_pixel_gap(info->mv, row, column)) {
        info->y_mode = MV_ZERO;
        info->mv = (struct motion_vector){0};
    }
}

/* ---- Coefficients -------------------------------------------------------------------------------- */

/* Returns what the coefficient is worth. */
static int make_coefficient(struct maker *maker, int step, int most, int16_t *level)
{
    static const int reaches[] = {1, 2, 4, 12, 70};
    int reach = reaches[random_below(maker->random, 5)];
    if (uses(maker, RANDOM_LARGE) && chance(maker, 10))
        reach = MAX_TOKEN;
    int magnitude = between(maker, 0, reach);
    if (magnitude * step > most)
        magnitude = most / step;
    *level = (int16_t)(chance(maker, 50) ? magnitude : -magnitude);
    return magnitude * step;
}

/* Tokens end behind a coefficient that is not zero, or at the last place. */
static void make_block(struct maker *maker, const struct block_steps *steps, int first,
                       int16_t value[16], uint8_t *end)
{
    int left = uses(maker, RANDOM_LARGE) ? MAX_BLOCK_SUM : MAX_BLOCK_SUM / 8;
    int wanted = chance(maker, 50) ? between(maker, first, 3) : between(maker, first, 16);
    int position = first;
    *end = 0;
    for (; position < wanted; position++) {
        int16_t *level = &value[xc_zigzag[position]];
        left -= make_coefficient(maker, position ? steps->ac : steps->dc, left, level);
        if (*level)
            *end = (uint8_t)(position + 1);
    }
    if (chance(maker, 5))
        *end = 16;
}

static void make_coefficients(struct maker *maker, const struct mb_info *info,
                              struct mb_coefficients *coefficients)
{
    struct xc_steps steps;
    int percent = chance(maker, 30) ? 0 : between(maker, 1, 40);
    xc_steps_init(&steps, &maker->header, info->segment);
    if (has_y2(info) && chance(maker, percent))
        make_block(maker, &steps.y2, 0, coefficients->value[Y2_BLOCK],
                   &coefficients->end[Y2_BLOCK]);
    for (int i = 0; i < 24; i++)
        if (chance(maker, percent))
            make_block(maker, i < 16 ? &steps.y : &steps.chroma, i < 16 && has_y2(info),
                       coefficients->value[i], &coefficients->end[i]);
}

/* ---- Frames -------------------------------------------------------------------------------------- */

static void make_macroblock(struct maker *maker, const struct xc_state *before, int row, int column)
{
    struct mb_info *info = mb_at(&maker->map, row, column);
    int index = row * maker->map.columns + column;
    if (maker->header.segmentation_update.map)
        info->segment = (uint8_t)random_below(maker->random, SEGMENTS);
    else
        info->segment = maker->header.key_frame ? 0 : before->segment_map[index];
    if (maker->header.key_frame || chance(maker, 25))
        make_intra(maker, info);
    else
        make_inter(maker, row, column, info);
    info->skip = maker->header.skip_enabled && chance(maker, 40);
    if (!info->skip)
        make_coefficients(maker, info, &maker->coefficients[index]);
}

static void make_map(struct maker *maker, const struct xc_state *before)
{
    struct mb_map *map = &maker->map;
    map->rows = macroblocks(maker->header.now.height);
    map->columns = macroblocks(maker->header.now.width);
    map->stride = map->columns + 1;
    size_t size = (size_t)map->rows * (size_t)map->columns;
    map->info = calloc((size_t)(map->rows + 1) * (size_t)map->stride, sizeof *map->info);
    maker->coefficients = calloc(size, sizeof *maker->coefficients);
    CLAIM(map->info && maker->coefficients);
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++)
            make_macroblock(maker, before, row, column);
}

void random_frame(const struct random_recipe *recipe, struct random *random,
                  const struct xc_state *before, struct xc_buffer *frame)
{
    struct maker maker = {.recipe = recipe, .random = random};
    make_header(&maker, before);
    make_map(&maker, before);
    CLAIM(rewrite_frame(&maker.header, &maker.map, maker.coefficients, frame) == XC_OK);
    free(maker.map.info);
    free(maker.coefficients);
}

void random_stream(struct stream *stream, const struct random_recipe *recipe)
{
    struct random random = {recipe->seed};
    struct xc_context *context = xc_context_new();
    struct xc_state *state = NULL, *after;
    struct xc_buffer frame = {0};
    CLAIM(context);
    *stream = (struct stream){0};
    for (int i = 0; i < recipe->frames; i++) {
        random_frame(recipe, &random, state, &frame);
        stream_add(stream, frame.data, frame.size);
        CLAIM(xc_parse(context, state, frame.data, frame.size, &after) == XC_OK);
        xc_state_unref(state);
        state = after;
    }
    xc_buffer_free(&frame);
    xc_state_unref(state);
    xc_context_free(context);
}

const char *random_feature_name(int feature)
{
    static const char *const names[RANDOM_FEATURES] = {
        "segments", "segment_switch", "deltas",   "references", "copy_both", "sign_bias",
        "scaling",  "partitions",     "entropy",  "hidden",     "resize",    "probabilities",
        "far",      "colour",         "versions", "quantizers", "large",     "keys"};
    return names[feature];
}
