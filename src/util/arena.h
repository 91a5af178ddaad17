/* Memory that is freed all at once: for values made of many small parts. */
#ifndef UTIL_ARENA_H
#define UTIL_ARENA_H

#include <stddef.h>

struct arena_block;

/* Zero-initialise; free in any case. */
struct arena {
    struct arena_block *last;
};

/* Room for `count` things of `size` bytes each, zeroed, aligned for anything, valid until the arena
 * is freed; not NULL where either is 0. NULL where there is no memory. */
void *arena_alloc(struct arena *arena, size_t count, size_t size);

/* A copy of the `length` bytes at `text`, with a zero behind them. NULL where there is no memory. */
char *arena_copy(struct arena *arena, const char *text, size_t length);

/* Frees all of it; the arena is empty then and may be used again. */
void arena_free(struct arena *arena);

#endif
