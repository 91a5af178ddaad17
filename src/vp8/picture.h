/* Pictures: planes padded to whole macroblocks, with a border of replicated samples around them. */
#ifndef VP8_PICTURE_H
#define VP8_PICTURE_H

#include <stdatomic.h>

#include "excamera/vp8.h"

/* Samples around each plane. Prediction reads at most 24 samples outside (see predict.c). */
#define PICTURE_BORDER 32

/* The memory of the last picture that nobody refers to any more, kept for the next one of its size: asking
 * the system for it anew, and having it cleared, would take a tenth of the time of decoding. It belongs to
 * a context and to the pictures made for that context, which may be freed by any thread. */
struct picture_spare {
    atomic_int users;                     /* the context, unless it is gone, and each picture */
    atomic_bool closed;                   /* the context is gone: nothing is kept any more */
    _Atomic(struct xc_picture *) picture; /* NULL for none */
};

struct xc_picture {
    atomic_int references;
    struct picture_spare *spare; /* where its memory goes; NULL to the system */
    int width, height;           /* display size */
    /* Whole macroblocks of each plane in samples. */
    int plane_width[3], plane_height[3];
    uint8_t *plane[3]; /* sample (0, 0) */
    ptrdiff_t stride[3];
    uint8_t *memory; /* what the planes and their borders lie in */
};

/* A picture that its maker may still write; its samples are undefined. NULL when out of memory. */
struct xc_picture *xc_picture_alloc(int width, int height);
/* The same from a context's spare memory. */
struct xc_picture *xc_picture_take(struct picture_spare *spare, int width, int height);
/* NULL when out of memory; `close` gives up the context's part in it, NULL is allowed. */
struct picture_spare *xc_picture_spare_new(void);
void xc_picture_spare_close(struct picture_spare *spare);
/* The last step of making a picture: fills the borders. From then on it is immutable. */
void xc_picture_extend_borders(struct xc_picture *picture);
/* Equality over the whole macroblocks. */
bool xc_picture_equal(const struct xc_picture *a, const struct xc_picture *b);

#endif
