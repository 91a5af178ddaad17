/*
 * The coordinator's journal: what must be known again after a crash or a power cut, as records in the
 * order in which they were appended. Used from the thread of its loop alone; writing and syncing are done
 * by libuv's pool, for all that was appended meanwhile at once.
 *
 * A record is safe when a sync that was asked for after it has called back without a failure. After a crash
 * the records that were safe are there, and then perhaps some that followed them, without gaps.
 *
 * A failure to write is for good: from then on all that is appended and synced fails with it. Opened
 * again, the journal has what was safe.
 */
#ifndef MU_JOURNAL_H
#define MU_JOURNAL_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "mu/journal_format.h"
#include "util/error.h"

enum { JOURNAL_PENDING_MAX = 64 << 20 }; /* bytes that wait to be written */

struct journal;

/* Called when a sync or compaction is over, from the loop; NULL for success. */
typedef void journal_done(void *opaque, const struct error *failure);

/* Opens the journal at `path`, makes it where there is none, locks it against other processes (by way of
 * `path`.lock, which stays), calls `replay` for each record (one that returns a negative errno, having set
 * its error, ends that), cuts off what a crash has left half written, and raises the epoch, durably. Blocks
 * meanwhile. Fails with -EBUSY where another process has it open, -EBADMSG where it is damaged. */
int journal_open(uv_loop_t *loop, const char *path,
                 int (*replay)(void *opaque, uint32_t type, const void *data, size_t size,
                               struct error *error),
                 void *opaque, struct journal **journal, struct error *error);

/* Only when all that was asked for has called back. What was not synced may be lost. NULL is allowed. */
void journal_close(struct journal *journal);

/* How often the journal was opened, this time included: 1 for a new one. */
uint64_t journal_epoch(const struct journal *journal);
/* Bytes of the file; of the records that are not written yet. */
uint64_t journal_size(const struct journal *journal);
size_t journal_pending(const struct journal *journal);

/* Adds a record of `size` bytes, at most JOURNAL_RECORD_MAX; types from JOURNAL_EPOCH on are the journal's
 * own. Never blocks. Fails with -ENOBUFS where more than JOURNAL_PENDING_MAX would wait: sync, and go on
 * when that has called back. */
int journal_append(struct journal *journal, uint32_t type, const void *data, size_t size,
                   struct error *error);

/* Makes all that was appended so far safe, then calls back. */
int journal_sync(struct journal *journal, journal_done *done, void *opaque, struct error *error);

struct journal_snapshot;
/* As journal_append(), to a snapshot. */
int journal_snapshot_add(struct journal_snapshot *snapshot, uint32_t type, const void *data,
                         size_t size, struct error *error);

/* Replaces all records so far by those that `fill` adds before this function returns; they must say the
 * same as all that was appended. The new file takes the old one's place when it is complete. A failure that
 * `done` is told of leaves the journal as it was, and working. Fails with -EBUSY while another compaction
 * is under way, and where `fill` does. */
int journal_compact(struct journal *journal,
                    int (*fill)(void *opaque, struct journal_snapshot *snapshot,
                                struct error *error),
                    void *fill_opaque, journal_done *done, void *opaque, struct error *error);

#endif
