#include "vp8/finish.h"

#include "vp8/frame_write.h"
#include "vp8/succession.h"

int xc_finish_frame(struct encoder *encoder, const struct xc_state *before, struct xc_buffer *frame,
                    struct xc_state **after)
{
    struct xc_picture *picture = encoder->canvas.picture;
    xc_choose_filter(encoder);
    xc_fit_probabilities(encoder);
    int result =
        xc_write_frame(encoder->header, encoder->map, encoder->modes, &encoder->tokens, frame);
    if (result >= 0) {
        *after = xc_state_after(before, encoder->header, encoder->map, picture);
        if (!*after)
            result = XC_ERROR_NO_MEMORY;
    }
    xc_picture_unref(picture);
    return result;
}
