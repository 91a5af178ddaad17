#include "vp8/finish.h"

#include "vp8/frame_write.h"
#include "vp8/succession.h"

int xc_finish_frame(struct encoder *encoder, const struct xc_state *before, struct xc_state **after)
{
    struct xc_picture *picture = encoder->canvas.picture;
    xc_choose_filter(encoder);
    xc_fit_probabilities(encoder);
    *after = xc_state_after(before, encoder->header, encoder->map, picture);
    xc_picture_unref(picture);
    return *after ? XC_OK : XC_ERROR_NO_MEMORY;
}

int xc_write_finished(const struct encoder *encoder, struct xc_buffer *frame,
                      struct xc_state **after)
{
    int result =
        xc_write_frame(encoder->header, encoder->map, encoder->modes, encoder->tokens, frame);
    if (result < 0) {
        xc_state_unref(*after);
        *after = NULL;
    }
    return result;
}
