#include "vp8/buffer.h"

#include <stdlib.h>
#include <string.h>

bool xc_buffer_reserve(struct xc_buffer *buffer, size_t more)
{
    if (more <= buffer->capacity - buffer->size)
        return true;
    if (more > SIZE_MAX / 2 - buffer->size)
        return false;
    size_t capacity = buffer->size + more;
    if (capacity < 2 * buffer->capacity)
        capacity = 2 * buffer->capacity;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return false;
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

bool xc_buffer_append(struct xc_buffer *buffer, const void *bytes, size_t size)
{
    if (!xc_buffer_reserve(buffer, size))
        return false;
    if (size)
        memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
    return true;
}

void xc_buffer_free(struct xc_buffer *buffer)
{
    free(buffer->data);
    *buffer = (struct xc_buffer){0};
}
