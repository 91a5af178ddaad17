/* What encode and rebase have in common. */
#ifndef VP8_ENCODER_H
#define VP8_ENCODER_H

struct encoder;

void xc_encoder_free(struct encoder *encoder); /* NULL is allowed */

#endif
