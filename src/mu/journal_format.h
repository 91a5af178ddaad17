/*
 * The journal's bytes. All numbers are little-endian.
 *
 *   header   16 bytes "excamera-journal", 4 version (1), 4 CRC-32C of these 20
 *   records  to the file's end, each:
 *     0  4   mark, "XCRJ"
 *     4  4   length of the data, at most JOURNAL_RECORD_MAX
 *     8  8   offset of this record in the file
 *    16  8   how much of the file was durable when this was written, at most the offset
 *    24  4   type
 *    28  4   CRC-32C of the data
 *    32  4   CRC-32C of the 32 bytes before
 *    36      the data
 *
 * A record that is broken or cut off is the end of the journal if it may never have become durable, and
 * damage if it had: then some record after it says so.
 */
#ifndef MU_JOURNAL_FORMAT_H
#define MU_JOURNAL_FORMAT_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "util/error.h"

enum {
    JOURNAL_HEADER = 24,        /* bytes */
    JOURNAL_RECORD_HEADER = 36, /* bytes */
    JOURNAL_RECORD_MAX = 1 << 20,
};

/* The type of the records that raise the epoch; their data is its number, 8 bytes. */
#define JOURNAL_EPOCH UINT32_MAX

void journal_write_header(uint8_t header[JOURNAL_HEADER]);

/* A record is made in two steps: prepared when its place in the file is not known yet, then, with its data
 * behind the header, sealed. The latter returns its size, header and all. */
void journal_prepare(uint8_t header[JOURNAL_RECORD_HEADER], uint32_t type, uint32_t length);
size_t journal_seal(uint8_t *record, uint64_t offset, uint64_t durable);

/* Where a scan gets its bytes. */
struct journal_source {
    /* Reads up to `size` bytes, 0 at the end; or a negative errno. */
    ssize_t (*read)(void *opaque, uint64_t offset, void *to, size_t size);
    void *opaque;
    uint64_t size; /* of the whole */
};

/* Calls `record` for each, in order; one that returns a negative errno, having set its error, ends the
 * scan. `*end` is where the next record belongs: what lies behind it was never durable. Fails with
 * -EBADMSG where the header is none or durable bytes are damaged. */
int journal_scan(const struct journal_source *source,
                 int (*record)(void *opaque, uint32_t type, const void *data, size_t size,
                               struct error *error),
                 void *opaque, uint64_t *end, struct error *error);

#endif
