/* xc_decode and xc_parse. */
#include <string.h>

#include "vp8/context.h"
#include "vp8/header.h"
#include "vp8/loopfilter.h"
#include "vp8/modes.h"
#include "vp8/parse.h"
#include "vp8/reconstruct.h"
#include "vp8/succession.h"
#include "vp8/tokens.h"

/* Up to the modes. */
static int open_frame(struct xc_context *context, const struct xc_state *before,
                      const uint8_t *frame, size_t size, struct partitions *partitions)
{
    struct frame_header *header = &context->header;
    int result = xc_parse_header(before, frame, size, header, partitions);
    return result < 0 ? result : xc_context_resize(context, header->now.width, header->now.height);
}

static const uint8_t *segments_of(const struct xc_state *state)
{
    return state ? state->segment_map : NULL;
}

int xc_parse_frame(struct xc_context *context, const struct xc_state *before, const uint8_t *frame,
                   size_t size, struct partitions *partitions)
{
    int result = open_frame(context, before, frame, size, partitions);
    if (result < 0)
        return result;
    xc_parse_modes(&partitions->first, &context->header, segments_of(before), &context->map);
    return XC_OK;
}

bool xc_parse_macroblock(const struct frame_header *header, struct bool_reader *reader,
                         struct mb_info *info, struct token_context *above,
                         struct token_context *left, struct mb_coefficients *coefficients)
{
    if (info->skip) {
        xc_clear_token_context(has_y2(info), above, left);
        return false;
    }
    return xc_parse_coefficients(reader, header->now.probabilities.coefficient, has_y2(info), above,
                                 left, coefficients);
}

static void decode_rows(struct xc_context *context, const struct xc_state *before,
                        const struct canvas *canvas, struct partitions *partitions)
{
    const struct frame_header *header = &context->header;
    struct mb_coefficients coefficients = {0};
    struct xc_steps steps[SEGMENTS];
    struct filter_plan filter;
    for (int i = 0; i < SEGMENTS; i++)
        xc_steps_init(&steps[i], header, i);
    xc_filter_plan(header, &filter);
    memset(context->above, 0, (size_t)context->map.columns * sizeof *context->above);
    for (int row = 0; row < context->map.rows; row++) {
        struct token_context left = {0};
        struct bool_reader *reader =
            &partitions->tokens[row & ((1 << header->log2_partitions) - 1)];
        xc_parse_mode_row(&partitions->first, header, segments_of(before), &context->map, row);
        for (int column = 0; column < context->map.columns; column++) {
            struct mb_info *info = mb_at(&context->map, row, column);
            /* From here on `skip` says whether there are coefficients, sent or not. */
            info->skip = !xc_parse_macroblock(header, reader, info, &context->above[column], &left,
                                              &coefficients);
            xc_reconstruct_macroblock(canvas, info, &coefficients, &steps[info->segment], row,
                                      column);
        }
        xc_canvas_keep_line(canvas, row);
        xc_filter_row(canvas->dsp, &filter, &context->map, row, canvas->picture);
    }
    xc_picture_extend_borders(canvas->picture);
}

/* A frame of no bytes leaves everything as it was. */
static int empty_frame(const struct xc_state *before, struct xc_state **after)
{
    if (!before)
        return XC_ERROR_NO_STATE;
    *after = xc_state_ref(before);
    return XC_EMPTY_FRAME;
}

int xc_decode(struct xc_context *context, const struct xc_state *before, const uint8_t *frame,
              size_t size, struct xc_state **after, struct xc_picture **shown)
{
    struct partitions partitions;
    *after = NULL;
    if (shown)
        *shown = NULL;
    if (size == 0)
        return empty_frame(before, after);
    int result = open_frame(context, before, frame, size, &partitions);
    if (result < 0)
        return result;
    const struct frame_header *header = &context->header;
    if (!header->key_frame && !xc_state_has_pictures(before))
        return XC_ERROR_NO_STATE;
    struct xc_picture *picture =
        xc_picture_take(context->spare, header->now.width, header->now.height);
    if (!picture)
        return XC_ERROR_NO_MEMORY;
    struct canvas canvas;
    xc_canvas_init(&canvas, &context->dsp, before, header->version, picture, context->line);
    decode_rows(context, before, &canvas, &partitions);
    *after = xc_state_after(before, header, &context->map, picture);
    if (!*after) {
        xc_picture_unref(picture);
        return XC_ERROR_NO_MEMORY;
    }
    if (shown && header->shown)
        *shown = picture;
    else
        xc_picture_unref(picture);
    return XC_OK;
}

int xc_parse(struct xc_context *context, const struct xc_state *before, const uint8_t *frame,
             size_t size, struct xc_state **after)
{
    struct partitions partitions;
    *after = NULL;
    if (size == 0)
        return empty_frame(before, after);
    int result = open_frame(context, before, frame, size, &partitions);
    if (result < 0)
        return result;
    const struct frame_header *header = &context->header;
    if (header->segmentation_update.map)
        xc_parse_modes(&partitions.first, header, segments_of(before), &context->map);
    *after = xc_state_after(before, header, &context->map, NULL);
    return *after ? XC_OK : XC_ERROR_NO_MEMORY;
}
