/* Moving and summing the bytes of files, a bounded piece at a time. For the threads of the pool. */
#ifndef STORE_TRANSFER_H
#define STORE_TRANSFER_H

#include <stdatomic.h>

#include "store/store.h"

struct transfer {
    int in;
    int out; /* -1 only to sum */
    uint64_t offset, length;
    bool sum;
    const atomic_bool *cancelled;
    void (*moved)(void *opaque, uint64_t size); /* after each piece: bytes so far. May be NULL */
    void *opaque;
    bool writing;                   /* after a failure: it was `out` that failed */
    struct store_identity identity; /* of what was moved; the sum only with `sum` */
};

/* Moves `length` bytes from `offset` on, or up to the file's end. Returns 0 or a negative errno, -ECANCELED
 * where it was stopped. */
int transfer_run(struct transfer *transfer);

/* Whether two files have the same bytes: 0, -EBADMSG where they differ, -ECANCELED, or another negative
 * errno. */
int transfer_compare(int a, int b, const atomic_bool *cancelled);

/* Makes `out` share the blocks of the whole of `in`, where the file system can. */
bool transfer_share(int in, int out);

#endif
