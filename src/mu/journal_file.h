/* The journal's files: the lock, the records at the end of the file, a new file in its place. Blocks. */
#ifndef MU_JOURNAL_FILE_H
#define MU_JOURNAL_FILE_H

#include <stdbool.h>

#include "mu/journal_format.h"

struct journal_file {
    char *path, *folder; /* folder: the one that `path` is in */
    int lock, fd;        /* -1 while not open */
    uint64_t size;       /* what follows is not the journal's */
    uint64_t epoch;
};

/* Each returns 0 or a negative errno with its error set. */

/* See journal_open(). On failure there is nothing to close. */
int journal_file_open(struct journal_file *file, const char *path,
                      int (*replay)(void *opaque, uint32_t type, const void *data, size_t size,
                                    struct error *error),
                      void *opaque, struct error *error);
void journal_file_close(struct journal_file *file);

/* Seals the prepared records in `records`, adds them to the file and syncs it. */
int journal_file_add(struct journal_file *file, uint8_t *records, size_t size, struct error *error);

/* Makes a file of the epoch and the prepared records, and puts it in the journal's place. `*lost` is
 * true for a failure after which it is not known which of the two files is there. */
int journal_file_replace(struct journal_file *file, uint8_t *records, size_t size, bool *lost,
                         struct error *error);

#endif
