/* IVF: the plain container for VP8 frames (a 32-byte header, then 12 bytes before each frame). */
#ifndef MEDIA_IVF_H
#define MEDIA_IVF_H

#include <stdint.h>
#include <stdio.h>

#include "excamera/vp8.h"
#include "media/format.h"
#include "util/error.h"

struct ivf_header {
    int width, height;      /* in pixels, [0, 65535]; frames have their own */
    struct ratio time_base; /* seconds per tick of a frame's time stamp: numerator / denominator */
    uint32_t frames;        /* as the header says; 0 where unknown */
};

struct ivf_reader;

/* Fails on anything but IVF with fourcc VP80. */
int ivf_open(const char *path, struct ivf_reader **reader, struct error *error);
/* The same from a stream, read from where it stands. It is the reader's from then on, and closed with it or
 * when the call fails; `name` is what error sentences call it. */
int ivf_open_stream(FILE *stream, const char *name, struct ivf_reader **reader,
                    struct error *error);
const struct ivf_header *ivf_header(const struct ivf_reader *reader);
/* 1 and a frame (in `frame`, overwritten by the next call's), 0 at the end, or a negative errno.
 * A frame may have no bytes. */
int ivf_read(struct ivf_reader *reader, struct xc_buffer *frame, uint64_t *time_stamp,
             struct error *error);
void ivf_close(struct ivf_reader *reader); /* NULL is allowed */

/* Writers append to a stream that stays the caller's; the header says how many frames follow. */
int ivf_write_header(FILE *stream, const struct ivf_header *header, struct error *error);
int ivf_write(FILE *stream, const uint8_t *frame, size_t size, uint64_t time_stamp,
              struct error *error);

#endif
