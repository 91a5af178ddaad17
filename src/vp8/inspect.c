/* xc_inspect. */
#include <string.h>

#include "vp8/parse.h"
#include "vp8/tokens.h"

static void count_macroblock(const struct mb_info *info, struct xc_frame_info *counts)
{
    counts->macroblocks++;
    if (info->reference != REF_INTRA)
        counts->inter[info->reference - 1]++;
    else if (info->y_mode == B_PRED)
        counts->intra4++;
    else
        counts->intra16++;
    counts->split += info->y_mode == MV_SPLIT;
}

/* Also macroblocks that say nothing of skipping may have no coefficients. */
static int count_skipped(struct xc_context *context, struct partitions *partitions)
{
    const struct frame_header *header = &context->header;
    struct mb_coefficients coefficients = {0};
    int skipped = 0;
    memset(context->above, 0, (size_t)context->map.columns * sizeof *context->above);
    for (int row = 0; row < context->map.rows; row++) {
        struct token_context left = {0};
        struct bool_reader *reader =
            &partitions->tokens[row & ((1 << header->log2_partitions) - 1)];
        for (int column = 0; column < context->map.columns; column++)
            skipped += !xc_parse_macroblock(header, reader, mb_at(&context->map, row, column),
                                            &context->above[column], &left, &coefficients);
    }
    return skipped;
}

int xc_inspect(struct xc_context *context, const struct xc_state *before, const uint8_t *frame,
               size_t size, struct xc_frame_info *info)
{
    struct partitions partitions;
    memset(info, 0, sizeof *info);
    int result = xc_frame_tag(frame, size, &info->tag);
    if (result >= 0)
        result = xc_parse_frame(context, before, frame, size, &partitions);
    if (result < 0)
        return result;
    const struct frame_header *header = &context->header;
    info->quantizer = header->quantizer.y_ac;
    info->filter_level = header->filter_level;
    info->filter_sharpness = header->filter_sharpness;
    info->simple_filter = header->simple_filter;
    info->segmented = header->segmentation_enabled;
    info->partitions = 1 << header->log2_partitions;
    info->refresh = header->refresh;
    info->copy_to_golden = header->copy_to_golden;
    info->copy_to_altref = header->copy_to_altref;
    info->refresh_entropy = header->refresh_entropy;
    for (int row = 0; row < context->map.rows; row++)
        for (int column = 0; column < context->map.columns; column++)
            count_macroblock(mb_at(&context->map, row, column), info);
    info->skipped = count_skipped(context, &partitions);
    return XC_OK;
}
