#include "media/buffer.h"

#include <errno.h>
#include <stdlib.h>

int buffer_reserve(struct xc_buffer *buffer, size_t capacity, struct error *error)
{
    if (capacity <= buffer->capacity)
        return 0;
    uint8_t *data = realloc(buffer->data, capacity);
    if (!data)
        return error_set(error, -ENOMEM, "out of memory");
    buffer->data = data;
    buffer->capacity = capacity;
    return 0;
}
