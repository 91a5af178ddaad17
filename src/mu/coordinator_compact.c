/*
 * Makes a job's journal short again when it has grown: what was received by actors that are done, and what
 * was said again later, is left out. Two passes over the file: who is done, and since which record; then what
 * counts.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <jansson.h>

#include "mu/coordinator_private.h"

/* Below that nothing is to be won. */
enum { LEAST_BYTES = 256 * 1024 };

/* The number of the last record of a kind about an actor. */
struct mark {
    struct hash_link hash;
    uint32_t type;
    uint64_t record;
    char actor[];
};

struct compaction {
    struct hash_table marks;
    uint64_t record; /* the one at hand; from 1 */
    struct journal_snapshot *snapshot;
};

/* ---- Marks --------------------------------------------------------------------------------- */

static uint64_t hash_of(uint32_t type, const char *actor)
{
    return hash_text(hash_number(type), actor);
}

static struct mark *find_mark(struct compaction *compaction, uint32_t type, const char *actor)
{
    struct hash_link *link = hash_first(&compaction->marks, hash_of(type, actor));
    for (; link != NULL; link = hash_next(link)) {
        struct mark *mark = HASH_ENTRY(link, struct mark, hash);
        if (mark->type == type && strcmp(mark->actor, actor) == 0)
            return mark;
    }
    return NULL;
}

/* Whether the record at hand comes before the last one of `type` about the actor. */
static bool is_before(struct compaction *compaction, uint32_t type, const char *actor)
{
    const struct mark *mark = find_mark(compaction, type, actor);
    return mark != NULL && compaction->record < mark->record;
}

static int set_mark(struct compaction *compaction, uint32_t type, const char *actor)
{
    struct mark *mark = find_mark(compaction, type, actor);
    if (mark == NULL) {
        mark = calloc(1, sizeof *mark + strlen(actor) + 1);
        if (mark == NULL)
            return -ENOMEM;
        mark->type = type;
        strcpy(mark->actor, actor);
        if (hash_insert(&compaction->marks, &mark->hash, hash_of(type, actor)) < 0) {
            free(mark);
            return -ENOMEM;
        }
    }
    mark->record = compaction->record;
    return 0;
}

static void free_mark(void *opaque, struct hash_link *link)
{
    struct hash_table *marks = opaque;
    hash_remove(marks, link);
    free(HASH_ENTRY(link, struct mark, hash));
}

/* ---- Passes -------------------------------------------------------------------------------- */

static const char *text_of(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));
    return text != NULL ? text : "";
}

static int mark_record(void *opaque, uint32_t type, const void *data, size_t size,
                       struct error *error)
{
    struct compaction *compaction = opaque;
    int code = 0;
    compaction->record++;
    if (type != RECORD_DONE && type != RECORD_PARKED && type != RECORD_SPENT)
        return 0;
    json_t *record = json_loadb(data, size, 0, NULL);
    code = record != NULL ? set_mark(compaction, type, text_of(record, "actor")) : -ENOMEM;
    json_decref(record);
    return code < 0 ? error_set(error, code, "out of memory") : 0;
}

static bool counts(struct compaction *compaction, uint32_t type, const json_t *record)
{
    const char *actor = text_of(record, "actor");
    switch (type) {
    case RECORD_MESSAGE:
        return !is_before(compaction, RECORD_DONE, text_of(record, "to"));
    case RECORD_OBJECT:
        return !is_before(compaction, RECORD_DONE, text_of(record, "for"));
    case RECORD_PARKED:
        return !is_before(compaction, RECORD_DONE, actor) &&
               !is_before(compaction, RECORD_PARKED, actor);
    case RECORD_DONE:
    case RECORD_SPENT:
        return !is_before(compaction, type, actor);
    default:
        return true;
    }
}

static int add_record(void *opaque, uint32_t type, const void *data, size_t size,
                      struct error *error)
{
    struct compaction *compaction = opaque;
    compaction->record++;
    if (type >= JOURNAL_EPOCH)
        return 0; /* the journal's own */
    json_t *record = json_loadb(data, size, 0, NULL);
    if (record == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    bool kept = counts(compaction, type, record);
    json_decref(record);
    return kept ? journal_snapshot_add(compaction->snapshot, type, data, size, error) : 0;
}

static ssize_t read_journal(void *opaque, uint64_t offset, void *to, size_t size)
{
    ssize_t got = pread(*(int *)opaque, to, size, (off_t)offset);
    return got < 0 ? -errno : got;
}

static int fill(void *opaque, struct journal_snapshot *snapshot, struct error *error)
{
    const struct coordinator_job *job = opaque;
    struct compaction compaction = {.snapshot = snapshot};
    int file = open(job->options.journal, O_RDONLY | O_CLOEXEC);
    struct journal_source source = {read_journal, &file, journal_size(job->journal)};
    uint64_t end;
    if (file < 0)
        return error_set(error, -errno, "%s: %s", job->options.journal, error_reason(-errno));
    int code = journal_scan(&source, mark_record, &compaction, &end, error);
    compaction.record = 0;
    if (code == 0)
        code = journal_scan(&source, add_record, &compaction, &end, error);
    close(file);
    hash_each(&compaction.marks, free_mark, &compaction.marks);
    hash_release(&compaction.marks);
    return code;
}

/* ---- When it has grown --------------------------------------------------------------------- */

/* A failure leaves the journal as it was: it is only longer than it might be. */
static void on_compacted(void *opaque, const struct error *failure)
{
    struct coordinator_job *job = opaque;
    job->compacted = journal_size(job->journal);
    coordinator_job_operation_ended(job);
}

void coordinator_compact(struct coordinator_job *job)
{
    struct error error;
    uint64_t size = journal_size(job->journal);
    if (job->unsafe || job->ending || journal_pending(job->journal) > 0 || size < LEAST_BYTES ||
        size / 2 < job->compacted)
        return;
    job->compacted = size;
    if (journal_compact(job->journal, fill, job, on_compacted, job, &error) == 0)
        job->operations++;
}
