#include "vp8/loopfilter.h"

#include "vp8/tokens.h"

static int clamp_level(int level)
{
    return level < 0 ? 0 : level > 63 ? 63 : level;
}

/* Which of the four mode deltas a macroblock mode takes. */
static int mode_delta_index(int y_mode)
{
    switch (y_mode) {
    case B_PRED:
        return 0;
    case MV_ZERO:
        return 1;
    case MV_SPLIT:
        return 3;
    case MV_NEAREST:
    case MV_NEAR:
    case MV_NEW:
        return 2;
    default:
        return 1; /* other intra modes, which have no delta of their own */
    }
}

static int segment_level(const struct frame_header *header, int segment)
{
    const struct segmentation *segmentation = &header->now.segmentation;
    if (!header->segmentation_enabled)
        return header->filter_level;
    int level = segmentation->filter_level[segment];
    return clamp_level(segmentation->absolute ? level : header->filter_level + level);
}

/* RFC 6386 section 15.2 */
static int interior_limit(int level, int sharpness)
{
    int limit = level;
    if (sharpness > 0) {
        limit >>= sharpness > 4 ? 2 : 1;
        if (limit > 9 - sharpness)
            limit = 9 - sharpness;
    }
    return limit > 0 ? limit : 1;
}

static int high_variance_threshold(int level, bool key_frame)
{
    if (key_frame)
        return level >= 40 ? 2 : level >= 15 ? 1 : 0;
    return level >= 40 ? 3 : level >= 20 ? 2 : level >= 15 ? 1 : 0;
}

static struct filter_limits limits_of(const struct frame_header *header, int level)
{
    int interior = interior_limit(level, header->filter_sharpness);
    return (struct filter_limits){
        .macroblock_edge = (uint8_t)((level + 2) * 2 + interior),
        .subblock_edge = (uint8_t)(level * 2 + interior),
        .interior = (uint8_t)interior,
        .high_variance = (uint8_t)high_variance_threshold(level, header->key_frame),
    };
}

void xc_filter_plan(const struct frame_header *header, struct filter_plan *plan)
{
    const struct filter_deltas *deltas = &header->now.filter_deltas;
    *plan = (struct filter_plan){
        .enabled = header->filter_level > 0,
        .simple = header->simple_filter,
    };
    for (int level = 0; level < FILTER_LEVELS; level++)
        plan->limits[level] = limits_of(header, level);
    for (int segment = 0; segment < SEGMENTS; segment++) {
        int base = segment_level(header, segment);
        for (int reference = 0; reference < 4; reference++)
            for (int mode = 0; mode < 4; mode++) {
                int level = base;
                if (header->filter_deltas_enabled) {
                    level += deltas->reference[reference];
                    if (reference != REF_INTRA || mode == 0)
                        level += deltas->mode[mode];
                }
                plan->level[segment][reference][mode] = (uint8_t)clamp_level(level);
            }
    }
}

static void filter_columns(const struct xc_dsp *dsp, const struct filter_plan *plan,
                           const struct mb_map *map, int row, int begin, int end, bool chroma,
                           struct xc_picture *picture)
{
    if (!plan->enabled)
        return;
    for (int column = begin; column < end; column++) {
        const struct mb_info *info = mb_at(map, row, column);
        int level = plan->level[info->segment][info->reference][mode_delta_index(info->y_mode)];
        if (level == 0)
            continue;
        unsigned edges = (column > 0 ? FILTER_LEFT : 0) | (row > 0 ? FILTER_ABOVE : 0) |
                         (info->skip && has_y2(info) ? 0 : FILTER_INNER);
        const struct filter_limits *limits = &plan->limits[level];
        const ptrdiff_t *stride = picture->stride;
        uint8_t *luma = picture->plane[0] + 16 * (row * stride[0] + column);
        if (plan->simple) {
            dsp->filter_simple(luma, stride[0], limits, edges);
            continue;
        }
        if (chroma)
            dsp->filter_macroblock(
                luma, stride[0], picture->plane[1] + 8 * (row * stride[1] + column),
                picture->plane[2] + 8 * (row * stride[2] + column), stride[1], limits, edges);
        else
            dsp->filter_luma(luma, stride[0], limits, edges);
    }
}

void xc_filter_row(const struct xc_dsp *dsp, const struct filter_plan *plan,
                   const struct mb_map *map, int row, struct xc_picture *picture)
{
    filter_columns(dsp, plan, map, row, 0, map->columns, true, picture);
}

void xc_filter_columns(const struct xc_dsp *dsp, const struct filter_plan *plan,
                       const struct mb_map *map, int row, int begin, int end,
                       struct xc_picture *picture)
{
    filter_columns(dsp, plan, map, row, begin, end, true, picture);
}

void xc_filter_luma_row(const struct xc_dsp *dsp, const struct filter_plan *plan,
                        const struct mb_map *map, int row, struct xc_picture *picture)
{
    filter_columns(dsp, plan, map, row, 0, map->columns, false, picture);
}
