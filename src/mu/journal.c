#include "mu/journal.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/journal_file.h"

enum { KEPT = 1 << 20 }; /* bytes of an empty buffer that are not given back */

/* Prepared records, one after the other. */
struct records {
    uint8_t *data;
    size_t size, capacity;
};

struct journal_snapshot {
    struct records records;
};

/* One who wants to be told. */
struct waiter {
    struct waiter *next;
    journal_done *done;
    void *opaque;
};

struct waiters {
    struct waiter *first, **last;
};

struct journal {
    uv_loop_t *loop;
    uint64_t size;            /* of the file, as of the last work */
    struct records pending;   /* not yet in work */
    struct waiters waiters;   /* for what is pending */
    struct waiter *compactor; /* asked for a compaction that is not yet in work */
    struct journal_snapshot snapshot;
    size_t covered;       /* how much of `pending` the snapshot says too */
    struct error failure; /* for good; code 0 for none */
    bool working;

    /* In work: the pool's while `working`. */
    struct journal_file file;
    struct records batch, new_records;
    struct waiters batch_waiters;
    struct waiter *batch_compactor;
    size_t batch_covered;
    struct error batch_failure, compact_failure;
    uv_work_t work;
};

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

static int grow(struct records *records, size_t size)
{
    size_t capacity = records->capacity > 0 ? records->capacity : 4096;
    while (capacity < size)
        capacity *= 2;
    if (capacity == records->capacity)
        return 0;
    uint8_t *data = realloc(records->data, capacity);
    if (data == NULL)
        return -ENOMEM;
    records->data = data;
    records->capacity = capacity;
    return 0;
}

static void empty(struct records *records)
{
    records->size = 0;
    if (records->capacity <= KEPT)
        return;
    free(records->data);
    *records = (struct records){0};
}

static int add_record(struct records *records, uint32_t type, const void *data, size_t size,
                      struct error *error)
{
    if (type >= JOURNAL_EPOCH)
        return error_set(error, -EINVAL, "no type of a journal's record: %u", type);
    if (size > JOURNAL_RECORD_MAX)
        return error_set(error, -EMSGSIZE, "a journal's record has at most %d bytes, not %zu",
                         JOURNAL_RECORD_MAX, size);
    size_t end = records->size + JOURNAL_RECORD_HEADER + size;
    if (end > JOURNAL_PENDING_MAX)
        return error_set(error, -ENOBUFS,
                         "too much is waiting to be written to the journal: its disk is too slow");
    if (grow(records, end) < 0)
        return out_of_memory(error);
    uint8_t *record = records->data + records->size;
    journal_prepare(record, type, (uint32_t)size);
    if (size > 0)
        memcpy(record + JOURNAL_RECORD_HEADER, data, size);
    records->size = end;
    return 0;
}

static struct waiter *waiter_new(journal_done *done, void *opaque)
{
    struct waiter *waiter = malloc(sizeof *waiter);
    if (waiter != NULL)
        *waiter = (struct waiter){.done = done, .opaque = opaque};
    return waiter;
}

/* Tells one and frees it; NULL is allowed. */
static void tell(struct waiter *waiter, const struct error *failure)
{
    if (waiter == NULL)
        return;
    waiter->done(waiter->opaque, failure->code < 0 ? failure : NULL);
    free(waiter);
}

static void waiters_init(struct waiters *waiters)
{
    waiters->first = NULL;
    waiters->last = &waiters->first;
}

static void waiters_move(struct waiters *to, struct waiters *from)
{
    waiters_init(to);
    if (from->first == NULL)
        return;
    *to = *from;
    waiters_init(from);
}

int journal_open(uv_loop_t *loop, const char *path,
                 int (*replay)(void *opaque, uint32_t type, const void *data, size_t size,
                               struct error *error),
                 void *opaque, struct journal **result, struct error *error)
{
    *result = NULL;
    struct journal *journal = calloc(1, sizeof *journal);
    if (journal == NULL)
        return out_of_memory(error);
    int code = journal_file_open(&journal->file, path, replay, opaque, error);
    if (code < 0) {
        free(journal);
        return code;
    }
    journal->loop = loop;
    journal->size = journal->file.size;
    journal->work.data = journal;
    waiters_init(&journal->waiters);
    waiters_init(&journal->batch_waiters);
    *result = journal;
    return 0;
}

void journal_close(struct journal *journal)
{
    if (journal == NULL)
        return;
    assert(!journal->working);
    journal_file_close(&journal->file);
    free(journal->pending.data);
    free(journal->batch.data);
    free(journal);
}

uint64_t journal_epoch(const struct journal *journal)
{
    return journal->file.epoch;
}

uint64_t journal_size(const struct journal *journal)
{
    return journal->size;
}

size_t journal_pending(const struct journal *journal)
{
    return journal->pending.size;
}

int journal_append(struct journal *journal, uint32_t type, const void *data, size_t size,
                   struct error *error)
{
    if (journal->failure.code < 0) {
        *error = journal->failure;
        return error->code;
    }
    return add_record(&journal->pending, type, data, size, error);
}

/* In the pool: replaces the file where that was asked for, then adds what it does not say yet. */
static void work(uv_work_t *work)
{
    struct journal *journal = work->data;
    size_t said = 0;
    bool lost = false;
    if (journal->batch_failure.code < 0)
        return;
    if (journal->batch_compactor != NULL) {
        int code =
            journal_file_replace(&journal->file, journal->new_records.data,
                                 journal->new_records.size, &lost, &journal->compact_failure);
        if (code == 0)
            said = journal->batch_covered;
    }
    if (lost)
        journal->batch_failure = journal->compact_failure;
    else if (said < journal->batch.size)
        journal_file_add(&journal->file, journal->batch.data + said, journal->batch.size - said,
                         &journal->batch_failure);
}

/* Hands all that waits to the pool, unless that is at work. */
static void start_work(struct journal *journal);

/* Takes what the work has left; callbacks may append and ask for more. */
static void after_work(uv_work_t *work, int status)
{
    struct journal *journal = work->data;
    struct waiter *compactor = journal->batch_compactor;
    struct error compact_failure = journal->compact_failure, failure = journal->batch_failure;
    struct waiters waiters;
    waiters_move(&waiters, &journal->batch_waiters);
    journal->failure = failure;
    journal->size = journal->file.size;
    journal->batch_compactor = NULL;
    empty(&journal->batch);
    free(journal->new_records.data);
    journal->new_records = (struct records){0};
    journal->working = false;
    start_work(journal);
    tell(compactor, compact_failure.code < 0 ? &compact_failure : &failure);
    for (struct waiter *waiter = waiters.first, *next; waiter != NULL; waiter = next) {
        next = waiter->next;
        tell(waiter, &failure);
    }
}

static void start_work(struct journal *journal)
{
    if (journal->working || (journal->waiters.first == NULL && journal->compactor == NULL))
        return;
    struct records emptied = journal->batch;
    journal->batch = journal->pending;
    journal->pending = emptied;
    waiters_move(&journal->batch_waiters, &journal->waiters);
    journal->new_records = journal->snapshot.records;
    journal->snapshot.records = (struct records){0};
    journal->batch_compactor = journal->compactor;
    journal->compactor = NULL;
    journal->batch_covered = journal->covered;
    journal->compact_failure.code = 0;
    journal->batch_failure = journal->failure;
    journal->working = true;
    uv_queue_work(journal->loop, &journal->work, work, after_work);
}

int journal_sync(struct journal *journal, journal_done *done, void *opaque, struct error *error)
{
    struct waiter *waiter = waiter_new(done, opaque);
    if (waiter == NULL)
        return out_of_memory(error);
    *journal->waiters.last = waiter;
    journal->waiters.last = &waiter->next;
    start_work(journal);
    return 0;
}

int journal_snapshot_add(struct journal_snapshot *snapshot, uint32_t type, const void *data,
                         size_t size, struct error *error)
{
    return add_record(&snapshot->records, type, data, size, error);
}

int journal_compact(struct journal *journal,
                    int (*fill)(void *opaque, struct journal_snapshot *snapshot,
                                struct error *error),
                    void *fill_opaque, journal_done *done, void *opaque, struct error *error)
{
    struct journal_snapshot snapshot = {0};
    if (journal->compactor != NULL || journal->batch_compactor != NULL)
        return error_set(error, -EBUSY, "the journal is being compacted already");
    struct waiter *waiter = waiter_new(done, opaque);
    int code = waiter != NULL ? fill(fill_opaque, &snapshot, error) : out_of_memory(error);
    if (code < 0) {
        free(waiter);
        free(snapshot.records.data);
        return code;
    }
    journal->snapshot = snapshot;
    journal->covered = journal->pending.size;
    journal->compactor = waiter;
    start_work(journal);
    return 0;
}
