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

void xc_filter_plan(const struct frame_header *header, struct filter_plan *plan)
{
    const struct filter_deltas *deltas = &header->now.filter_deltas;
    *plan = (struct filter_plan){
        .enabled = header->filter_level > 0,
        .simple = header->simple_filter,
        .key_frame = header->key_frame,
        .sharpness = header->filter_sharpness,
    };
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

static void filter_normal(const struct xc_dsp *dsp, const struct filter_limits *outer,
                          const struct filter_limits *inner, bool has_left, bool has_above,
                          const struct mb_info *info, int planes, uint8_t *const sample[3],
                          const ptrdiff_t stride[3])
{
    bool interior = !(info->skip && has_y2(info));
    for (int i = 0; i < planes; i++) {
        int size = i == 0 ? 16 : 8;
        if (has_left)
            dsp->filter_macroblock[VERTICAL_EDGE](sample[i], stride[i], size, outer);
        for (int x = 4; interior && x < size; x += 4)
            dsp->filter_subblock[VERTICAL_EDGE](sample[i] + x, stride[i], size, inner);
        if (has_above)
            dsp->filter_macroblock[HORIZONTAL_EDGE](sample[i], stride[i], size, outer);
        for (int y = 4; interior && y < size; y += 4)
            dsp->filter_subblock[HORIZONTAL_EDGE](sample[i] + y * stride[i], stride[i], size,
                                                  inner);
    }
}

static void filter_simple(const struct xc_dsp *dsp, int outer, int inner, bool has_left,
                          bool has_above, const struct mb_info *info, uint8_t *sample,
                          ptrdiff_t stride)
{
    bool interior = !(info->skip && has_y2(info));
    if (has_left)
        dsp->filter_simple[VERTICAL_EDGE](sample, stride, 16, outer);
    for (int x = 4; interior && x < 16; x += 4)
        dsp->filter_simple[VERTICAL_EDGE](sample + x, stride, 16, inner);
    if (has_above)
        dsp->filter_simple[HORIZONTAL_EDGE](sample, stride, 16, outer);
    for (int y = 4; interior && y < 16; y += 4)
        dsp->filter_simple[HORIZONTAL_EDGE](sample + y * stride, stride, 16, inner);
}

static void filter_row(const struct xc_dsp *dsp, const struct filter_plan *plan,
                       const struct mb_map *map, int row, int planes, struct xc_picture *picture)
{
    if (!plan->enabled)
        return;
    for (int column = 0; column < map->columns; column++) {
        const struct mb_info *info = mb_at(map, row, column);
        int level = plan->level[info->segment][info->reference][mode_delta_index(info->y_mode)];
        if (level == 0)
            continue;
        int interior = interior_limit(level, plan->sharpness);
        struct filter_limits outer = {
            .edge = (uint8_t)((level + 2) * 2 + interior),
            .interior = (uint8_t)interior,
            .high_variance = (uint8_t)high_variance_threshold(level, plan->key_frame),
        };
        struct filter_limits inner = outer;
        inner.edge = (uint8_t)(level * 2 + interior);
        uint8_t *sample[3];
        for (int i = 0; i < 3; i++) {
            int size = i == 0 ? 16 : 8;
            sample[i] = picture->plane[i] + row * size * picture->stride[i] + column * size;
        }
        if (plan->simple)
            filter_simple(dsp, outer.edge, inner.edge, column > 0, row > 0, info, sample[0],
                          picture->stride[0]);
        else
            filter_normal(dsp, &outer, &inner, column > 0, row > 0, info, planes, sample,
                          picture->stride);
    }
}

void xc_filter_row(const struct xc_dsp *dsp, const struct filter_plan *plan,
                   const struct mb_map *map, int row, struct xc_picture *picture)
{
    filter_row(dsp, plan, map, row, 3, picture);
}

void xc_filter_luma_row(const struct xc_dsp *dsp, const struct filter_plan *plan,
                        const struct mb_map *map, int row, struct xc_picture *picture)
{
    filter_row(dsp, plan, map, row, 1, picture);
}
