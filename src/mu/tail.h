/* The last bytes of an output of any length. */
#ifndef MU_TAIL_H
#define MU_TAIL_H

#include <stddef.h>
#include <stdint.h>

struct tail {
    char *data; /* a ring of `capacity` bytes, owned by whoever has made it */
    size_t capacity;
    uint64_t total; /* bytes that came */
};

void tail_add(struct tail *tail, const char *data, size_t size);
/* How many bytes are kept. */
size_t tail_size(const struct tail *tail);
/* Writes them, in order. */
void tail_copy(const struct tail *tail, char *to);

#endif
