/*
 * A sequence of frames, each decoded against the state that the one before left. The input is a row
 * of records: two bytes of length (little-endian), then the frame; what is left over is the last
 * frame.
 *
 * Besides not crashing: parsing and inspecting accept what decoding accepts and leave the same
 * state but for pictures; a frame that decodes can be rebased onto its own before-state, and what
 * comes out decodes to the state that the rebase said.
 */
#include "excamera/vp8.h"
#include "fuzz.h"

/* Larger pictures only make the run slower. */
enum { MAX_PIXELS = 160 * 160 };

struct sequence {
    struct xc_context *context;
    struct xc_state *state;  /* after the frames so far */
    struct xc_state *parsed; /* the same by xc_parse */
};

static void check_rebase(const struct sequence *sequence, const uint8_t *frame, size_t size,
                         const struct xc_picture *shown)
{
    const struct xc_rebase_parameters parameters = {.quantizer = -1, .refresh_all = size % 2};
    struct xc_buffer rebased = {0};
    struct xc_state *after, *decoded;
    CLAIM(xc_rebase(sequence->context, sequence->state, shown, frame, size, sequence->parsed,
                    &parameters, &rebased, &after) == XC_OK);
    CLAIM(xc_decode(sequence->context, sequence->state, rebased.data, rebased.size, &decoded,
                    NULL) == XC_OK);
    CLAIM(xc_state_equal(after, decoded));
    xc_state_unref(after);
    xc_state_unref(decoded);
    xc_buffer_free(&rebased);
}

static void decode_one(struct sequence *sequence, const uint8_t *frame, size_t size)
{
    struct xc_frame_tag tag;
    bool tagged = xc_frame_tag(frame, size, &tag) == XC_OK;
    if (tagged && tag.key_frame && tag.width * tag.height > MAX_PIXELS)
        return;
    struct xc_state *after, *parsed = NULL;
    struct xc_picture *shown;
    int result = xc_decode(sequence->context, sequence->state, frame, size, &after, &shown);
    if (result < 0) {
        CLAIM(after == NULL && shown == NULL);
        return;
    }
    CLAIM(xc_parse(sequence->context, sequence->parsed, frame, size, &parsed) == result);
    if (result == XC_OK) {
        struct xc_frame_info info;
        CLAIM(xc_inspect(sequence->context, sequence->parsed, frame, size, &info) == XC_OK);
        if (shown && !info.tag.key_frame)
            check_rebase(sequence, frame, size, shown);
    }
    xc_picture_unref(shown);
    xc_state_unref(sequence->state);
    xc_state_unref(sequence->parsed);
    sequence->state = after;
    sequence->parsed = parsed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sequence sequence = {.context = xc_context_new()};
    CLAIM(sequence.context != NULL);
    while (size > 2) {
        size_t length = data[0] | (size_t)data[1] << 8;
        data += 2;
        size -= 2;
        length = length < size ? length : size;
        decode_one(&sequence, data, length);
        data += length;
        size -= length;
    }
    xc_state_unref(sequence.state);
    xc_state_unref(sequence.parsed);
    xc_context_free(sequence.context);
    return 0;
}
