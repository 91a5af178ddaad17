/*
 * An actor's scratch folder as one file: a tar archive with zstd. Files, folders and symbolic links are
 * packed, with the files' times and modes; no link is followed, neither here nor there. Both functions block.
 */
#ifndef MU_SCRATCH_ARCHIVE_H
#define MU_SCRATCH_ARCHIVE_H

#include <stdint.h>

#include "util/error.h"

enum {
    SCRATCH_MOST_ENTRIES = 1000000, /* files, folders and links */
    SCRATCH_MOST_DEPTH = 100,       /* of folders */
};

#define SCRATCH_MOST_BYTES (INT64_C(1) << 40) /* of all files */

/* Packs all that is in `folder` into the empty file `file`; both stay the caller's. -EINVAL where there is
 * something that cannot be packed, such as a pipe; -E2BIG where it is too much. */
int scratch_pack(int folder, int file, struct error *error);

/* The reverse, into a folder that is empty. Whatever the file is, nothing outside the folder is touched and at most
 * `most` bytes are written into its files. -EBADMSG where it is no such archive. */
int scratch_unpack(int file, int folder, int64_t most, struct error *error);

#endif
