/* A worker's work on files, in the threads of the loop's pool. */
#ifndef MU_WORKER_FILES_H
#define MU_WORKER_FILES_H

#include <stdint.h>
#include <uv.h>

#include "store/store.h"
#include "util/error.h"

struct files_result {
    struct error error;             /* code 0 for success */
    struct store_identity identity; /* of what was copied */
    uint8_t *content;               /* what was read; freed when the callback returns */
    size_t size;
};

typedef void files_done(void *opaque, const struct files_result *result);

/* Bytes of a file that have been copied, of those that it has; now and then before `done`. */
typedef void files_progress(void *opaque, uint64_t copied, uint64_t size);

/* What is copied: a plain file beneath a folder, or bytes. */
struct files_source {
    int folder;
    const char *path; /* NULL: bytes */
    const uint8_t *bytes;
    size_t size;
};

/* Folders stay the caller's and must be open until `done`; all else is copied. A negative errno where out
 * of memory, and then `done` is not called. */

/* Copies into a new file `draft` in the folder `own`, then moves it to `path` beneath `to` (folders on the
 * way are made), unless `path` is NULL. `progress` may be NULL. */
int worker_files_copy(uv_loop_t *loop, const struct files_source *from, int own, const char *draft,
                      int to, const char *path, files_progress *progress, files_done *done,
                      void *opaque);
/* Reads a file of at most `most` bytes. */
int worker_files_read(uv_loop_t *loop, int folder, const char *path, size_t most, files_done *done,
                      void *opaque);
/* Removes the folder `name` in `parent` and all that is in it. */
int worker_files_remove(uv_loop_t *loop, int parent, const char *name, files_done *done,
                        void *opaque);
/* The same while the caller waits. */
int worker_files_remove_now(int parent, const char *name);

#endif
