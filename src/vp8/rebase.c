/*
 * xc_rebase: an inter frame made for one state becomes one for another. A plan holds what that takes of the
 * frame and of its raw picture, apart from the states.
 */
#include <stdlib.h>
#include <string.h>

#include "vp8/activity.h"
#include "vp8/code_rows.h"
#include "vp8/finish.h"
#include "vp8/frame_write.h"
#include "vp8/modes.h"
#include "vp8/modes_write.h"
#include "vp8/parse.h"

struct xc_plan {
    /* The original's, with the quantizer of the new frame. Its probabilities tell best what tokens will cost. */
    struct frame_header header;
    struct mb_map map;
    const uint32_t *lambda; /* these two as struct encoder's */
    const struct decision_list *modes;
    const struct xc_picture *picture;
    bool refresh_all;
    /* Of the frame that was made. */
    struct frame_header made;
    struct token_list *tokens;
};

/* ---- Planning ------------------------------------------------------------------------------ */

static int check_original(const struct xc_picture *picture, const uint8_t *original, size_t size,
                          const struct xc_state *made_for,
                          const struct xc_rebase_parameters *parameters)
{
    struct xc_frame_tag tag;
    int result = xc_frame_tag(original, size, &tag);
    if (result < 0)
        return result;
    if (tag.key_frame || parameters->quantizer < -1 || parameters->quantizer > 127 ||
        !rate_weight_valid(parameters->rate_weight))
        return XC_ERROR_ARGUMENT;
    const struct persistent *given = &made_for->persistent;
    return given->width == picture->width && given->height == picture->height ? XC_OK
                                                                              : XC_ERROR_SIZE;
}

/* Sets all of the plan but the multipliers and the modes' decisions. Its map is the context's. */
static int parse_original(struct xc_context *context, const struct xc_picture *picture,
                          const uint8_t *original, size_t size, const struct xc_state *made_for,
                          const struct xc_rebase_parameters *parameters, struct xc_plan *plan)
{
    struct partitions partitions;
    int result = check_original(picture, original, size, made_for, parameters);
    if (result >= 0)
        result = xc_parse_frame(context, made_for, original, size, &partitions);
    if (result < 0)
        return result;
    *plan = (struct xc_plan){
        .header = context->header,
        .map = context->map,
        .picture = picture,
        .refresh_all = parameters->refresh_all,
    };
    if (parameters->quantizer >= 0)
        plan->header.quantizer.y_ac = (uint8_t)parameters->quantizer;
    return XC_OK;
}

/* Sets the rest, in memory that is given. */
static void complete_plan(const struct xc_context *context,
                          const struct xc_rebase_parameters *parameters, struct xc_plan *plan,
                          uint32_t *lambda, struct decision_list *modes, struct token_list *tokens)
{
    xc_set_lambdas(&context->dsp, &plan->header, &plan->map, plan->picture,
                   rate_weight(parameters->rate_weight), lambda);
    xc_list_modes(&plan->header, &plan->map, modes);
    plan->lambda = lambda;
    plan->modes = modes;
    plan->tokens = tokens;
}

/* A plan that can be kept: with memory of its own, and with the context's map. */
struct kept_plan {
    struct xc_plan plan; /* the first member */
    struct decision_list modes;
    struct token_list tokens;
    uint32_t lambda[]; /* [macroblocks] */
};

int xc_plan_rebase(struct xc_context *context, const struct xc_picture *picture,
                   const uint8_t *original, size_t size, const struct xc_state *made_for,
                   const struct xc_rebase_parameters *parameters, struct xc_plan **plan)
{
    struct xc_plan parsed;
    *plan = NULL;
    int result = parse_original(context, picture, original, size, made_for, parameters, &parsed);
    if (result < 0)
        return result;
    size_t macroblocks = (size_t)parsed.map.rows * (size_t)parsed.map.columns;
    struct kept_plan *kept = calloc(1, sizeof *kept + macroblocks * sizeof kept->lambda[0]);
    if (!kept)
        return XC_ERROR_NO_MEMORY;
    kept->plan = parsed;
    complete_plan(context, parameters, &kept->plan, kept->lambda, &kept->modes, &kept->tokens);
    xc_picture_ref(picture);
    xc_context_yield_map(context);
    *plan = &kept->plan;
    return XC_OK;
}

void xc_plan_free(struct xc_plan *plan)
{
    struct kept_plan *kept = (struct kept_plan *)plan;
    if (!kept)
        return;
    xc_picture_unref((struct xc_picture *)plan->picture);
    xc_decisions_free(&kept->modes);
    xc_token_list_free(&kept->tokens);
    free(plan->map.info);
    free(kept);
}

/* ---- The header ---------------------------------------------------------------------------- */

static bool same_map(const struct mb_map *map, const uint8_t *segment_map)
{
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++)
            if (mb_at(map, row, column)->segment != segment_map[row * map->columns + column])
                return false;
    return true;
}

/* Segments stay what they were for the original: sent where `onto` has others. */
static void carry_segmentation(const struct xc_state *onto, const struct segmentation *original,
                               struct frame_header *header, struct mb_map *map)
{
    struct segmentation_update *update = &header->segmentation_update;
    const struct segmentation *have = &onto->persistent.segmentation;
    memset(update, 0, sizeof *update);
    if (!header->segmentation_enabled)
        return; /* the macroblocks' segments mean nothing, and the state keeps its map */
    header->now.segmentation = *original;
    update->map = !same_map(map, onto->segment_map);
    update->data = have->absolute != original->absolute ||
                   memcmp(have->quantizer, original->quantizer, SEGMENTS) != 0 ||
                   memcmp(have->filter_level, original->filter_level, SEGMENTS) != 0;
    for (int i = 0; i < SEGMENTS; i++) {
        update->has_quantizer[i] = update->data && original->quantizer[i] != 0;
        update->has_filter_level[i] = update->data && original->filter_level[i] != 0;
    }
}

static bool carry_deltas(const int8_t have[4], const int8_t original[4], bool has[4])
{
    bool any = false;
    for (int i = 0; i < 4; i++) {
        has[i] = have[i] != original[i];
        any |= has[i];
    }
    return any;
}

static void carry_filter_deltas(const struct xc_state *onto, const struct filter_deltas *original,
                                struct frame_header *header)
{
    const struct filter_deltas *have = &onto->persistent.filter_deltas;
    header->filter_deltas_update = false;
    if (!header->filter_deltas_enabled)
        return;
    header->now.filter_deltas = *original;
    bool reference =
        carry_deltas(have->reference, original->reference, header->has_reference_delta);
    bool mode = carry_deltas(have->mode, original->mode, header->has_mode_delta);
    header->filter_deltas_update = reference || mode;
}

static void choose_references(bool refresh_all, struct frame_header *header)
{
    if (refresh_all) {
        header->refresh = (1u << XC_REFERENCES) - 1;
        header->copy_to_golden = header->copy_to_altref = 0;
    }
    /* Decoders disagree on which copy comes first when golden takes altref and altref changes too. For
     * libvpx golden then takes what has just become altref: last, or itself. Said so, all agree. */
    if (header->copy_to_golden == 2 && header->copy_to_altref)
        header->copy_to_golden = header->copy_to_altref == 1 ? 1 : 0;
}

/* Turns the original's header into one for `onto`; its probabilities in force are now those of `onto`,
 * updates are still to be chosen. */
static void adapt_header(const struct xc_state *onto, bool refresh_all, struct frame_header *header,
                         struct mb_map *map)
{
    struct segmentation segmentation = header->now.segmentation;
    struct filter_deltas deltas = header->now.filter_deltas;
    header->now = onto->persistent;
    carry_segmentation(onto, &segmentation, header, map);
    carry_filter_deltas(onto, &deltas, header);
    choose_references(refresh_all, header);
    header->refresh_entropy = true;
    if (!header->skip_enabled)
        header->skip_probability = 128;
}

/* ---- The frame ----------------------------------------------------------------------------- */

static int check_state(const struct xc_state *onto, const struct xc_picture *picture)
{
    if (!xc_state_has_pictures(onto))
        return XC_ERROR_NO_STATE;
    return onto->persistent.width == picture->width && onto->persistent.height == picture->height
               ? XC_OK
               : XC_ERROR_SIZE;
}

int xc_rebase_planned(struct xc_context *context, const struct xc_state *onto, struct xc_plan *plan,
                      struct xc_state **after)
{
    const struct xc_picture *picture = plan->picture;
    *after = NULL;
    int result = check_state(onto, picture);
    if (result >= 0)
        result = xc_context_resize(context, picture->width, picture->height);
    if (result < 0)
        return result;
    context->header = plan->header;
    adapt_header(onto, plan->refresh_all, &context->header, &plan->map);
    struct encoder *encoder = xc_encoder_get(context);
    struct xc_picture *made = xc_picture_take(context->spare, picture->width, picture->height);
    if (!encoder || !made || !xc_encoder_clear_tokens(context, plan->tokens)) {
        xc_picture_unref(made);
        return XC_ERROR_NO_MEMORY;
    }
    xc_encoder_start(encoder, context,
                     &(struct coding){.before = onto,
                                      .source = picture,
                                      .map = &plan->map,
                                      .lambda = plan->lambda,
                                      .modes = plan->modes,
                                      .tokens = plan->tokens,
                                      .expected = &plan->header.now.probabilities,
                                      .picture = made});
    xc_code_rows(encoder, NULL);
    result = xc_finish_frame(encoder, onto, after);
    plan->made = context->header;
    return result;
}

int xc_plan_write(const struct xc_plan *plan, struct xc_buffer *frame)
{
    return xc_write_frame(&plan->made, &plan->map, plan->modes, plan->tokens, frame);
}

int xc_rebase(struct xc_context *context, const struct xc_state *onto,
              const struct xc_picture *picture, const uint8_t *original, size_t size,
              const struct xc_state *made_for, const struct xc_rebase_parameters *parameters,
              struct xc_buffer *frame, struct xc_state **after)
{
    struct xc_plan plan;
    *after = NULL;
    int result = parse_original(context, picture, original, size, made_for, parameters, &plan);
    if (result < 0)
        return result;
    struct encoder *encoder = xc_encoder_get(context);
    if (!encoder)
        return XC_ERROR_NO_MEMORY;
    complete_plan(context, parameters, &plan, encoder->lambda_memory, &encoder->modes_memory,
                  &encoder->tokens_memory);
    result = xc_rebase_planned(context, onto, &plan, after);
    return result < 0 ? result : xc_write_finished(encoder, frame, after);
}
