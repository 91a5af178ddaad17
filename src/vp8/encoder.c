#include "vp8/encoder.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/wavefront.h"

void xc_encoder_free(struct encoder *encoder)
{
    if (!encoder)
        return;
    free(encoder->lambda_memory);
    xc_decisions_free(&encoder->modes_memory);
    xc_token_list_free(&encoder->tokens_memory);
    xc_picture_unref(encoder->trial);
    free(encoder);
}

static bool grow(struct encoder *encoder, size_t size)
{
    if (size <= encoder->capacity)
        return true;
    free(encoder->lambda_memory);
    encoder->capacity = 0;
    encoder->lambda_memory = malloc(size * sizeof *encoder->lambda_memory);
    if (!encoder->lambda_memory)
        return false;
    encoder->capacity = size;
    return true;
}

/* The picture on which loop-filter levels are tried has the size of the frame. */
static bool fit_trial(struct encoder *encoder, int width, int height)
{
    struct xc_picture *trial = encoder->trial;
    if (trial && trial->width == width && trial->height == height)
        return true;
    xc_picture_unref(trial);
    encoder->trial = xc_picture_alloc(width, height);
    return encoder->trial != NULL;
}

struct encoder *xc_encoder_get(struct xc_context *context)
{
    const struct mb_map *map = &context->map;
    const struct persistent *now = &context->header.now;
    if (!context->encoder)
        context->encoder = calloc(1, sizeof *context->encoder);
    if (!context->encoder || !grow(context->encoder, (size_t)map->rows * (size_t)map->columns) ||
        !fit_trial(context->encoder, now->width, now->height))
        return NULL;
    return context->encoder;
}

bool xc_encoder_clear_tokens(const struct xc_context *context, struct token_list *tokens)
{
    const struct mb_map *map = &context->map;
    int threads = xc_wavefront_threads(context->thread_count, map->rows, map->columns);
    return xc_token_list_start(tokens, map->rows, threads);
}

void xc_encoder_start(struct encoder *encoder, struct xc_context *context,
                      const struct coding *coding)
{
    encoder->context = context;
    encoder->source = coding->source;
    encoder->header = &context->header;
    encoder->map = coding->map;
    encoder->lambda = coding->lambda;
    xc_canvas_init(&encoder->canvas, &context->dsp, coding->before, context->header.version,
                   coding->picture, NULL);
    for (int i = 0; i < SEGMENTS; i++) {
        xc_steps_init(&encoder->steps[i], encoder->header, i);
        xc_quantizers_init(&encoder->quantizers[i], &encoder->steps[i]);
    }
    xc_token_costs_init(&encoder->token_costs, coding->expected->coefficient);
    xc_mv_costs_init(&encoder->mv_costs, coding->expected->mv);
    encoder->modes = coding->modes;
    encoder->tokens = coding->tokens;
}
