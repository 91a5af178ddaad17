/* Compressed streams for tests, held in memory. */
#ifndef SUPPORT_STREAM_H
#define SUPPORT_STREAM_H

#include "excamera/vp8.h"
#include "support/film.h"

struct stream {
    struct xc_buffer *frame;
    int frames;
};

/* Adds a copy of a frame. */
void stream_add(struct stream *stream, const uint8_t *data, size_t size);
/* Reads IVF; a file that cannot be read fails the test. */
void stream_read(struct stream *stream, const char *path);
/* Writes IVF; the header gives the size of the first frame. */
void stream_write(const struct stream *stream, const char *path);
/* What vpxenc with one thread makes of a film; `options` ends with NULL. */
void stream_encode(struct stream *stream, const struct film *film, const char *const options[]);
size_t stream_size(const struct stream *stream);
void stream_free(struct stream *stream);

#endif
