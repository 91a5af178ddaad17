/* Growing byte strings (struct xc_buffer). */
#ifndef VP8_BUFFER_H
#define VP8_BUFFER_H

#include <stdbool.h>

#include "excamera/vp8.h"

/* Makes room for `more` bytes behind the `size` in use; false when out of memory. */
bool xc_buffer_reserve(struct xc_buffer *buffer, size_t more);
/* Appends bytes; false when out of memory. */
bool xc_buffer_append(struct xc_buffer *buffer, const void *bytes, size_t size);

#endif
