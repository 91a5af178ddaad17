#include "mu/tail.h"

#include <string.h>

void tail_add(struct tail *tail, const char *data, size_t size)
{
    if (size > tail->capacity) {
        data += size - tail->capacity;
        tail->total += size - tail->capacity;
        size = tail->capacity;
    }
    size_t at = (size_t)(tail->total % tail->capacity), first = tail->capacity - at;
    if (first > size)
        first = size;
    memcpy(tail->data + at, data, first);
    memcpy(tail->data, data + first, size - first);
    tail->total += size;
}

size_t tail_size(const struct tail *tail)
{
    return tail->total < tail->capacity ? (size_t)tail->total : tail->capacity;
}

void tail_copy(const struct tail *tail, char *to)
{
    size_t size = tail_size(tail), at = (size_t)((tail->total - size) % tail->capacity);
    size_t first = size < tail->capacity - at ? size : tail->capacity - at;
    memcpy(to, tail->data + at, first);
    memcpy(to + first, tail->data, size - first);
}
