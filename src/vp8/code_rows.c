#include "vp8/code_rows.h"

#include <string.h>

#include "vp8/residue.h"
#include "vp8/wavefront.h"

struct rows {
    struct encoder *encoder;
    const struct search *search;
    struct token_context
        left[XC_MAX_THREADS]; /* of the macroblock that each thread comes to next */
};

static void code_stretch(void *data, int thread, int row, int begin, int end)
{
    struct rows *rows = data;
    struct encoder *encoder = rows->encoder;
    struct token_context *above = encoder->context->above, left = {0};
    if (begin > 0) {
        left = rows->left[thread];
    } else {
        xc_token_list_begin_row(encoder->tokens, row, thread);
        xc_canvas_begin_row(&encoder->canvas, row);
    }
    for (int column = begin; column < end; column++) {
        if (rows->search)
            xc_search_macroblock(rows->search, encoder, row, column, &above[column], &left);
        xc_code_residue(encoder, row, column, &above[column], &left,
                        &encoder->tokens->part[thread]);
    }
    rows->left[thread] = left;
    if (end == encoder->map->columns) {
        xc_token_list_end_row(encoder->tokens, row);
        xc_canvas_end_row(&encoder->canvas, row);
    }
}

void xc_code_rows(struct encoder *encoder, const struct search *search)
{
    struct rows rows = {.encoder = encoder, .search = search};
    const struct mb_map *map = encoder->map;
    memset(encoder->context->above, 0, (size_t)map->columns * sizeof *encoder->context->above);
    xc_wavefront(encoder->context->threads, encoder->tokens->parts, map->rows, map->columns,
                 code_stretch, &rows);
}
