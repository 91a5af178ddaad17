/* Decoded frames of any kind as upright 8-bit 4:2:0 pictures of limited range and one size. */
#ifndef MEDIA_CONVERT_H
#define MEDIA_CONVERT_H

#include <libavutil/frame.h>

#include "excamera/vp8.h"
#include "media/format.h"
#include "util/error.h"

struct converter;

/* Where a decoded frame's top left corner comes to lie: the eight ways to lay a rectangle. First
 * rows and columns change places, then the result is mirrored. */
struct orientation {
    bool transpose, mirror_x, mirror_y;
};

/* From a display matrix (AV_PKT_DATA_DISPLAYMATRIX), nine numbers; angles in between go to the
 * nearest multiple of 90 degrees. NULL is upright. */
struct orientation convert_orientation(const int32_t *matrix);

/* Settles on what `first` is: later frames are brought to its size and colour. */
int convert_open(const AVFrame *first, struct orientation orientation, struct converter **converter,
                 struct error *error);
int convert_width(const struct converter *converter);
int convert_height(const struct converter *converter);
/* Of the pictures that come out. */
struct colour convert_colour(const struct converter *converter);
/* What is done to a frame like the first, in words; "" for nothing. */
void convert_describe(const struct converter *converter, char *text, size_t size);
/* The caller owns the picture. */
int convert_frame(struct converter *converter, const AVFrame *frame, struct xc_picture **picture,
                  struct error *error);
void convert_close(struct converter *converter); /* NULL is allowed */

#endif
