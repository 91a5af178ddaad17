/* What a video stream is, apart from its pictures. */
#ifndef MEDIA_FORMAT_H
#define MEDIA_FORMAT_H

#include <stdbool.h>
#include <stdint.h>

struct ratio {
    int numerator, denominator;
};

/* Colour description: code points of ITU-T H.273; 2 is "unspecified". */
struct colour {
    int primaries, transfer, matrix;
    bool full_range; /* of the pictures handed on; the reader converts to limited range */
};

struct video_format {
    int width, height;         /* in luma pixels */
    struct ratio frame_rate;   /* frames per second; a nominal one where the rate is variable */
    struct ratio pixel_aspect; /* width:height of a pixel; 1:1 where unknown */
    struct colour colour;
};

#endif
