#include "support/rewrite.h"

#include <stdlib.h>

#include "support/claim.h"
#include "vp8/frame_write.h"
#include "vp8/modes_write.h"
#include "vp8/tokens.h"

static void list_tokens(const struct frame_header *header, const struct mb_map *map,
                        const struct mb_coefficients *coefficients, struct token_list *tokens)
{
    struct token_context *above = calloc((size_t)map->columns, sizeof *above);
    CLAIM(above);
    for (int row = 0; row < map->rows; row++) {
        struct token_context left = {0};
        xc_token_list_begin_row(tokens, row, 0);
        for (int column = 0; column < map->columns; column++, coefficients++) {
            const struct mb_info *info = mb_at(map, row, column);
            if (header->skip_enabled && info->skip)
                xc_clear_token_context(has_y2(info), &above[column], &left);
            else
                xc_list_coefficients(&tokens->part[0], has_y2(info), &above[column], &left,
                                     coefficients);
        }
        xc_token_list_end_row(tokens, row);
    }
    free(above);
}

int rewrite_frame(const struct frame_header *header, const struct mb_map *map,
                  const struct mb_coefficients *coefficients, struct xc_buffer *frame)
{
    struct decision_list modes = {0};
    struct token_list tokens = {0};
    CLAIM(xc_token_list_start(&tokens, map->rows, 1));
    xc_list_modes(header, map, &modes);
    list_tokens(header, map, coefficients, &tokens);
    int result = xc_write_frame(header, map, &modes, &tokens, frame);
    xc_decisions_free(&modes);
    xc_token_list_free(&tokens);
    return result;
}
