/*
 * State files. What is read can be written, and that reads as an equal state and is written as the
 * same bytes; and a state with pictures can be coded against, with a decoder agreeing.
 */
#include <string.h>

#include "excamera/vp8.h"
#include "fuzz.h"

/* States with larger pictures are not coded against: it would only make the run slower. */
enum { MAX_PIXELS = 64 * 64 };

static void check_round_trip(const struct xc_state *state)
{
    struct xc_buffer once = {0}, twice = {0};
    struct xc_state *again;
    CLAIM(xc_state_write(state, &once) == XC_OK);
    CLAIM(xc_state_read(once.data, once.size, &again) == XC_OK);
    CLAIM(xc_state_equal(state, again));
    struct xc_hash hash = xc_state_hash(state), hash_again = xc_state_hash(again);
    CLAIM(memcmp(hash.bytes, hash_again.bytes, sizeof hash.bytes) == 0);
    CLAIM(xc_state_write(again, &twice) == XC_OK);
    CLAIM(once.size == twice.size && memcmp(once.data, twice.data, once.size) == 0);
    xc_state_unref(again);
    xc_buffer_free(&once);
    xc_buffer_free(&twice);
}

static void check_coding(const struct xc_state *state)
{
    const struct xc_encode_parameters parameters = {
        .quantizer = 40, .refresh = XC_REFERENCE_BIT(XC_LAST), .effort = 2};
    struct xc_context *context = xc_context_new();
    CLAIM(context != NULL);
    struct xc_buffer frame = {0};
    struct xc_state *after, *decoded;
    CLAIM(xc_encode(context, state, xc_state_reference(state, XC_GOLDEN), &parameters, &frame,
                    &after) == XC_OK);
    CLAIM(xc_decode(context, state, frame.data, frame.size, &decoded, NULL) == XC_OK);
    CLAIM(xc_state_equal(after, decoded));
    xc_state_unref(after);
    xc_state_unref(decoded);
    xc_buffer_free(&frame);
    xc_context_free(context);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct xc_state *state;
    if (xc_state_read(data, size, &state) != XC_OK) {
        CLAIM(state == NULL);
        return 0;
    }
    check_round_trip(state);
    if (xc_state_has_pictures(state) &&
        xc_state_width(state) * xc_state_height(state) <= MAX_PIXELS)
        check_coding(state);
    xc_state_unref(state);
    return 0;
}
