#include "vp8/encoder.h"

#include <stdlib.h>

void xc_encoder_free(struct encoder *encoder)
{
    free(encoder);
}
