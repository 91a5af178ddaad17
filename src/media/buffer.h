/* Growing the byte strings of the codec's public header from outside the codec. */
#ifndef MEDIA_BUFFER_H
#define MEDIA_BUFFER_H

#include "excamera/vp8.h"
#include "util/error.h"

/* Makes room for `capacity` bytes, keeping what is there; -ENOMEM where there is none. */
int buffer_reserve(struct xc_buffer *buffer, size_t capacity, struct error *error);

#endif
