/* Pictures: planes padded to whole macroblocks, with a border of replicated samples around them. */
#ifndef VP8_PICTURE_H
#define VP8_PICTURE_H

#include <stdatomic.h>

#include "excamera/vp8.h"

/* Samples around each plane. Prediction reads at most 24 samples outside (see predict.c). */
#define PICTURE_BORDER 32

struct xc_picture {
    atomic_int references;
    int width, height; /* display size */
    /* Whole macroblocks of each plane in samples. */
    int plane_width[3], plane_height[3];
    uint8_t *plane[3]; /* sample (0, 0) */
    ptrdiff_t stride[3];
    uint8_t *memory; /* what the planes and their borders lie in */
};

/* A picture that its maker may still write; its samples are undefined. NULL when out of memory. */
struct xc_picture *xc_picture_alloc(int width, int height);
/* The last step of making a picture: fills the borders. From then on it is immutable. */
void xc_picture_extend_borders(struct xc_picture *picture);
/* Equality over the whole macroblocks. */
bool xc_picture_equal(const struct xc_picture *a, const struct xc_picture *b);

#endif
