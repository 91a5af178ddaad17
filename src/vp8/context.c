#include "vp8/context.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/encoder.h"

struct xc_context *xc_context_new(void)
{
    struct xc_context *context = calloc(1, sizeof *context);
    if (!context)
        return NULL;
    context->spare = xc_picture_spare_new();
    if (!context->spare) {
        free(context);
        return NULL;
    }
    xc_dsp_init(&context->dsp);
    context->thread_count = 1;
    return context;
}

int xc_context_set_cpu(struct xc_context *context, const char *level)
{
    for (enum xc_cpu i = XC_CPU_C; i < XC_CPU_LEVELS; i++) {
        if (strcmp(level, xc_cpu_name(i)) != 0 || !xc_cpu_has(i))
            continue;
        xc_dsp_init_level(&context->dsp, i);
        return XC_OK;
    }
    return XC_ERROR_ARGUMENT;
}

int xc_context_set_threads(struct xc_context *context, int threads)
{
    if (threads < 1 || threads > XC_MAX_THREADS)
        return XC_ERROR_ARGUMENT;
    xc_threads_free(context->threads);
    context->threads = NULL;
    context->thread_count = 1;
    if (threads == 1)
        return XC_OK;
    context->threads = xc_threads_new(threads);
    if (!context->threads)
        return XC_ERROR_NO_MEMORY;
    context->thread_count = threads;
    return XC_OK;
}

void xc_context_free(struct xc_context *context)
{
    if (!context)
        return;
    xc_threads_free(context->threads);
    xc_encoder_free(context->encoder);
    xc_picture_spare_close(context->spare);
    free(context->map.info);
    free(context->above);
    free(context->line_memory);
    free(context);
}

static int grow_map(struct xc_context *context, size_t size)
{
    if (size <= context->map_capacity)
        return XC_OK;
    free(context->map.info);
    context->map_capacity = 0;
    context->map.info = malloc(size * sizeof *context->map.info);
    if (!context->map.info)
        return XC_ERROR_NO_MEMORY;
    context->map_capacity = size;
    return XC_OK;
}

static int grow_columns(struct xc_context *context, size_t columns)
{
    if (columns <= context->column_capacity)
        return XC_OK;
    free(context->above);
    free(context->line_memory);
    context->column_capacity = 0;
    context->above = malloc(columns * sizeof *context->above);
    context->line_memory = malloc(3 * (16 + columns * 16 + 16));
    if (!context->above || !context->line_memory)
        return XC_ERROR_NO_MEMORY;
    for (size_t i = 0; i < 3; i++)
        context->line[i] = context->line_memory + i * (16 + columns * 16 + 16) + 16;
    context->column_capacity = columns;
    return XC_OK;
}

int xc_context_resize(struct xc_context *context, int width, int height)
{
    struct mb_map *map = &context->map;
    int rows = macroblocks(height), columns = macroblocks(width);
    size_t size = (size_t)(rows + 1) * (size_t)(columns + 1);
    if (grow_map(context, size) < 0 || grow_columns(context, (size_t)columns) < 0)
        return XC_ERROR_NO_MEMORY;
    map->rows = rows;
    map->columns = columns;
    map->stride = columns + 1;
    /* All-zero information is an intra macroblock with DC_PRED, B_DC_PRED and zero vectors. */
    memset(map->info, 0, (size_t)map->stride * sizeof *map->info);
    for (int row = 0; row < rows; row++)
        memset(mb_at(map, row, -1), 0, sizeof *map->info);
    return XC_OK;
}

void xc_context_yield_map(struct xc_context *context)
{
    context->map.info = NULL;
    context->map_capacity = 0;
}
