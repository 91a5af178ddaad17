/*
 * Bytes that a server holds for others: in memory up to a limit, behind that in a file without a name,
 * which goes when the process does, up to another limit.
 */
#ifndef MU_SPILL_H
#define MU_SPILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

enum { SPILL_BLOCK = 65536 }; /* bytes that lie together, in memory or in the file */

struct spill;

struct spill_counters {
    size_t memory, memory_peak; /* bytes of blocks in memory */
    uint64_t file, file_peak;   /* bytes of blocks in the file */
};

/* `folder` is where the file is made once it is needed; copied. `memory` and `file` are limits, in bytes.
 * -ENOMEM. */
int spill_new(size_t memory, uint64_t file, const char *folder, struct spill **spill,
              struct error *error);
/* NULL is allowed. All of its bodies must have been released. */
void spill_free(struct spill *spill);
const struct spill_counters *spill_counters(const struct spill *spill);

struct spill_block {
    uint8_t *memory; /* NULL: it is in the file */
    uint32_t slot;   /* the place there, in blocks */
};

/* Bytes that come one after the other. All zero but for `total` is an empty one. */
struct spill_body {
    uint64_t total;                  /* bytes that it will have */
    uint64_t size;                   /* bytes that it has */
    struct spill_block first, *more; /* blocks: the first, and those behind it */
    size_t capacity;                 /* of `more` */
};

/* Whether the next block would not lie in memory. */
bool spill_memory_full(const struct spill *spill);
/* At most total - size bytes. On an error (-ENOMEM, or of the file, such as -ENOSPC, also where it would
 * become longer than it may) some of the bytes may have been added. */
int spill_append(struct spill *spill, struct spill_body *body, const uint8_t *bytes, size_t size,
                 struct error *error);
/* Up to `most` bytes from `offset`, below body->size, on: `*bytes` points to them, either where they lie or
 * in `buffer`, which has room for `most`. Returns how many, at least 1. */
ssize_t spill_read(struct spill *spill, const struct spill_body *body, uint64_t offset,
                   uint8_t *buffer, size_t most, const uint8_t **bytes, struct error *error);
/* Forgets the bytes. */
void spill_release(struct spill *spill, struct spill_body *body);

#endif
