/* xc_encode: a raw picture becomes a frame for a given state. */
#include <string.h>

#include "vp8/activity.h"
#include "vp8/code_rows.h"
#include "vp8/finish.h"
#include "vp8/modes.h"
#include "vp8/modes_write.h"

#define ALL_REFERENCES ((1u << XC_REFERENCES) - 1)

/* Loop-filter adjustments that key frames set: intra macroblocks and split ones blend less well than
 * those that copy a whole macroblock. By enum mb_reference, and by kind of mode. */
static const struct filter_deltas key_frame_deltas = {
    .reference = {2, 0, -2, -2},
    .mode = {4, -2, 2, 4},
};

static int check_arguments(const struct xc_state *given, const struct xc_picture *picture,
                           const struct xc_encode_parameters *parameters)
{
    if (parameters->quantizer < 0 || parameters->quantizer > 127 || parameters->effort < 0 ||
        parameters->effort > 2 || !rate_weight_valid(parameters->rate_weight) ||
        parameters->references > ALL_REFERENCES || parameters->refresh > ALL_REFERENCES)
        return XC_ERROR_ARGUMENT;
    if (!given || parameters->key_frame)
        return XC_OK;
    if (!xc_state_has_pictures(given))
        return XC_ERROR_NO_STATE;
    if (given->persistent.width != picture->width || given->persistent.height != picture->height)
        return XC_ERROR_SIZE;
    return XC_OK;
}

static void start_key_frame(const struct xc_picture *picture, struct frame_header *header)
{
    header->key_frame = true;
    header->refresh = ALL_REFERENCES;
    xc_persistent_reset(&header->now);
    header->now.width = picture->width;
    header->now.height = picture->height;
    header->now.filter_deltas = key_frame_deltas;
    header->filter_deltas_enabled = header->filter_deltas_update = true;
    for (int i = 0; i < 4; i++) {
        header->has_reference_delta[i] = key_frame_deltas.reference[i] != 0;
        header->has_mode_delta[i] = key_frame_deltas.mode[i] != 0;
    }
}

static void start_inter_frame(const struct xc_state *given,
                              const struct xc_encode_parameters *parameters,
                              struct frame_header *header)
{
    static const struct filter_deltas none;
    header->refresh = parameters->refresh;
    header->now = given->persistent;
    header->filter_deltas_enabled = memcmp(&header->now.filter_deltas, &none, sizeof none) != 0;
    /* What rates are reckoned with until the frame's own decisions are counted: most macroblocks are
     * predicted from the last picture. */
    header->intra_probability = 32;
    header->last_probability = 240;
    header->golden_probability = 128;
}

/* The level at which the loop filter's search starts: proportional to the quantizer index, about
 * where it ends for most pictures. */
static uint8_t guess_filter_level(int quantizer)
{
    return (uint8_t)(quantizer * 3 / 8);
}

static void start_header(const struct xc_state *given, const struct xc_picture *picture,
                         const struct xc_encode_parameters *parameters, struct frame_header *header)
{
    memset(header, 0, sizeof *header);
    header->shown = true;
    header->refresh_entropy = true;
    header->quantizer.y_ac = (uint8_t)parameters->quantizer;
    header->filter_level = guess_filter_level(parameters->quantizer);
    header->skip_probability = 200;
    if (!given || parameters->key_frame)
        start_key_frame(picture, header);
    else
        start_inter_frame(given, parameters, header);
}

int xc_encode(struct xc_context *context, const struct xc_state *given,
              const struct xc_picture *picture, const struct xc_encode_parameters *parameters,
              struct xc_buffer *frame, struct xc_state **after)
{
    *after = NULL;
    int result = check_arguments(given, picture, parameters);
    if (result < 0)
        return result;
    struct frame_header *header = &context->header;
    start_header(given, picture, parameters, header);
    result = xc_context_resize(context, picture->width, picture->height);
    if (result < 0)
        return result;
    /* Segments are not used here; the map stays for frames that do. */
    xc_inherit_segments(header, given ? given->segment_map : NULL, &context->map);
    struct encoder *encoder = xc_encoder_get(context);
    struct xc_picture *made = xc_picture_take(context->spare, picture->width, picture->height);
    if (!encoder || !made || !xc_encoder_clear_tokens(context, &encoder->tokens_memory)) {
        xc_picture_unref(made);
        return XC_ERROR_NO_MEMORY;
    }
    const struct probabilities expected = header->now.probabilities;
    unsigned references = parameters->references ? parameters->references : ALL_REFERENCES;
    struct search search;
    xc_set_lambdas(&context->dsp, header, &context->map, picture,
                   rate_weight(parameters->rate_weight), encoder->lambda_memory);
    xc_encoder_start(encoder, context,
                     &(struct coding){.before = given,
                                      .source = picture,
                                      .map = &context->map,
                                      .lambda = encoder->lambda_memory,
                                      .modes = &encoder->modes_memory,
                                      .tokens = &encoder->tokens_memory,
                                      .expected = &expected,
                                      .picture = made});
    xc_search_start(&search, encoder, &expected, header->key_frame ? 0 : references,
                    parameters->effort);
    xc_code_rows(encoder, &search);
    xc_list_modes(header, &context->map, &encoder->modes_memory);
    result = xc_finish_frame(encoder, given, after);
    return result < 0 ? result : xc_write_finished(encoder, frame, after);
}
