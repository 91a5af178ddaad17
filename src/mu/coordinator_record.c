/* What is remembered of a job: records of its journal, as JSON. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mu/coordinator_private.h"

/* ---- Reading ------------------------------------------------------------------------------- */

static bool read_identity(const json_t *record, struct ledger_identity *identity)
{
    const char *sum = json_string_value(json_object_get(record, "sha256"));
    identity->size = (uint64_t)json_integer_value(json_object_get(record, "size"));
    identity->unsummed = sum == NULL;
    if (sum == NULL)
        return true;
    if (strlen(sum) != 2 * SHA256_SIZE)
        return false;
    for (int i = 0; i < SHA256_SIZE; i++) {
        unsigned byte;
        if (sscanf(sum + 2 * i, "%2x", &byte) != 1)
            return false;
        identity->sha256[i] = (uint8_t)byte;
    }
    return true;
}

static const char *text_of(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));
    return text ? text : "";
}

static int replay_job(struct coordinator_job *job, const json_t *record, struct error *error)
{
    if (strcmp(text_of(record, "build"), job->coordinator->options.build) != 0)
        return error_set(error, -EINVAL,
                         "the job was begun by another build of the program; "
                         "remove its store to begin anew");
    if (strcmp(text_of(record, "digest"), job->options.digest) != 0)
        return error_set(error, -EINVAL,
                         "another job, or the same with other options, was begun "
                         "here; remove its store to begin anew");
    snprintf(job->name, sizeof job->name, "%s", text_of(record, "job"));
    job->known = true;
    return 0;
}

static int replay_one(struct coordinator_job *job, uint32_t type, const json_t *record,
                      struct error *error)
{
    struct ledger *ledger = job->ledger;
    struct ledger_identity identity;
    const struct ledger_label label = {text_of(record, "from"), text_of(record, "to"),
                                       text_of(record, "name")};
    bool identified = type == RECORD_MESSAGE || type == RECORD_OBJECT || type == RECORD_PARKED;
    if (identified && !read_identity(record, &identity))
        return -EBADMSG;
    switch (type) {
    case RECORD_JOB:
        return replay_job(job, record, error);
    case RECORD_MESSAGE:
        return ledger_replay_message(ledger, &label, &identity);
    case RECORD_OBJECT:
        return ledger_replay_object(ledger, text_of(record, "key"), text_of(record, "maker"),
                                    json_string_value(json_object_get(record, "for")), &identity);
    case RECORD_CLOSE:
        return ledger_replay_close(ledger, text_of(record, "family"),
                                   json_integer_value(json_object_get(record, "count")));
    case RECORD_DONE:
        return ledger_replay_done(ledger, text_of(record, "actor"),
                                  json_integer_value(json_object_get(record, "amount")));
    case RECORD_PARKED:
        return ledger_replay_parked(
            ledger, text_of(record, "actor"),
            (uint32_t)json_integer_value(json_object_get(record, "attempt")), text_of(record, "at"),
            json_string_value(json_object_get(record, "from")),
            json_string_value(json_object_get(record, "name")), &identity);
    case RECORD_END:
        return 0;
    case RECORD_SPENT:
        job->ran_ms = (uint64_t)json_integer_value(json_object_get(record, "ran_ms"));
        job->worker_ms = (uint64_t)json_integer_value(json_object_get(record, "worker_ms"));
        job->starts = (uint64_t)json_integer_value(json_object_get(record, "starts"));
        job->counted_ms = job->ran_ms;
        return 0;
    default:
        return -EBADMSG;
    }
}

static int replay(void *opaque, uint32_t type, const void *data, size_t size, struct error *error)
{
    struct coordinator_job *job = opaque;
    json_t *record = json_loadb(data, size, 0, NULL);
    error->message[0] = '\0';
    int code = record == NULL || (type != RECORD_JOB && !job->known)
                   ? -EBADMSG
                   : replay_one(job, type, record, error);
    json_decref(record);
    if (code < 0 && error->message[0] == '\0')
        error_set(error, code, "the journal does not fit the job");
    return code;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int append(struct coordinator_job *job, enum coordinator_record type, json_t *record,
                  struct error *error)
{
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    int code = text != NULL ? journal_append(job->journal, type, text, strlen(text), error)
                            : error_set(error, -ENOMEM, "out of memory");
    free(text);
    json_decref(record);
    job->unsafe = true;
    return code;
}

static json_t *with_identity(json_t *record, const struct ledger_identity *identity)
{
    char sum[SHA256_HEX_SIZE];
    sha256_hex(identity->sha256, sum);
    if (record != NULL)
        json_object_set_new(record, "size", json_integer((json_int_t)identity->size));
    if (record != NULL && !identity->unsummed)
        json_object_set_new(record, "sha256", json_string(sum));
    return record;
}

void coordinator_record_order(struct coordinator_job *job, const struct ledger_order *order)
{
    struct error error;
    int code = 0;
    if (order->kind == LEDGER_MESSAGE)
        code = append(job, RECORD_MESSAGE,
                      with_identity(json_pack("{s:s, s:s, s:s}", "from", order->peer, "to",
                                              order->actor, "name", order->name),
                                    &order->identity),
                      &error);
    else if (order->kind == LEDGER_OBJECT)
        code = append(job, RECORD_OBJECT,
                      with_identity(json_pack("{s:s, s:s, s:s?}", "key", order->key, "maker",
                                              order->actor, "for", order->peer),
                                    &order->identity),
                      &error);
    else if (order->kind == LEDGER_PARKED)
        code =
            append(job, RECORD_PARKED,
                   with_identity(json_pack("{s:s, s:I, s:s, s:s*, s:s*}", "actor", order->actor,
                                           "attempt", (json_int_t)order->attempt, "at", order->text,
                                           "from", order->peer, "name", order->name),
                                 &order->identity),
                   &error);
    else if (order->kind == LEDGER_CLOSE)
        code = append(
            job, RECORD_CLOSE,
            json_pack("{s:s, s:I}", "family", order->actor, "count", (json_int_t)order->number),
            &error);
    else
        code = append(
            job, RECORD_DONE,
            json_pack("{s:s, s:I}", "actor", order->actor, "amount", (json_int_t)order->number),
            &error);
    if (code < 0)
        coordinator_job_fail(job, &error);
}

void coordinator_record_spent(struct coordinator_job *job)
{
    struct error error;
    job->counted_ms = job->ran_ms;
    if (append(job, RECORD_SPENT,
               json_pack("{s:I, s:I, s:I}", "ran_ms", (json_int_t)job->ran_ms, "worker_ms",
                         (json_int_t)job->worker_ms, "starts", (json_int_t)job->starts),
               &error) < 0)
        coordinator_job_fail(job, &error);
}

static int begin(struct coordinator_job *job, struct error *error)
{
    uint8_t random[16];
    if (job->options.name != NULL)
        snprintf(job->name, sizeof job->name, "%s", job->options.name);
    else if (RAND_bytes(random, sizeof random) != 1)
        return error_set(error, -EIO, "no random numbers");
    for (size_t i = 0; i < sizeof random && job->options.name == NULL; i++)
        snprintf(job->name + 2 * i, 3, "%02x", random[i]);
    return append(job, RECORD_JOB,
                  json_pack("{s:s, s:s, s:s}", "job", job->name, "build",
                            job->coordinator->options.build, "digest", job->options.digest),
                  error);
}

int coordinator_record_open(struct coordinator_job *job, struct error *error)
{
    int code = journal_open(job->coordinator->loop, job->options.journal, replay, job,
                            &job->journal, error);
    if (code < 0)
        return code;
    job->epoch = journal_epoch(job->journal);
    return job->known ? 0 : begin(job, error);
}

/* ---- Made safe ----------------------------------------------------------------------------- */

static void cleanup_free(struct cleanup *cleanup)
{
    list_remove(&cleanup->link);
    free(cleanup);
}

static void on_removed(void *opaque, const struct store_result *result)
{
    struct cleanup *cleanup = opaque;
    struct coordinator_job *job = cleanup->job;
    cleanup_free(cleanup); /* what stays is of no harm */
    coordinator_job_operation_ended(job);
}

static bool is_prefix(const char *key)
{
    return key[strlen(key) - 1] == '/';
}

static void clean(struct cleanup *cleanup)
{
    struct coordinator_job *job = cleanup->job;
    const char *key = cleanup->key;
    struct error error;
    list_remove(&cleanup->link);
    list_append(&job->removals, &cleanup->link);
    int code = is_prefix(key)
                   ? store_delete_prefix(job->store, key, on_removed, cleanup, NULL, &error)
                   : store_delete(job->store, key, on_removed, cleanup, NULL, &error);
    if (code == 0)
        job->operations++;
    else
        cleanup_free(cleanup);
}

static void on_synced(void *opaque, const struct error *failure)
{
    struct coordinator_job *job = opaque;
    job->syncing = false;
    while (!list_empty(&job->safe_cleanups)) {
        struct cleanup *cleanup = LIST_ENTRY(job->safe_cleanups.next, struct cleanup, link);
        if (failure == NULL && !job->ending)
            clean(cleanup);
        else
            cleanup_free(cleanup);
    }
    if (failure != NULL)
        coordinator_job_fail(job, failure);
    else
        coordinator_compact(job);
    coordinator_job_operation_ended(job);
}

void coordinator_record_cleanup(struct coordinator_job *job, const char *key)
{
    struct cleanup *cleanup = calloc(1, sizeof *cleanup);
    if (cleanup == NULL)
        return; /* it stays there: of no harm */
    cleanup->job = job;
    snprintf(cleanup->key, sizeof cleanup->key, "%s", key);
    list_append(&job->cleanups, &cleanup->link);
}

static bool has_cleanup(const struct list_link *list, const char *key)
{
    for (const struct list_link *link = list->next; link != list; link = link->next) {
        const struct cleanup *cleanup = LIST_ENTRY(link, const struct cleanup, link);
        if (is_prefix(cleanup->key) ? strncmp(cleanup->key, key, strlen(cleanup->key)) == 0
                                    : strcmp(cleanup->key, key) == 0)
            return true;
    }
    return false;
}

bool coordinator_record_cleans(const struct coordinator_job *job, const char *key)
{
    return has_cleanup(&job->cleanups, key) || has_cleanup(&job->safe_cleanups, key) ||
           has_cleanup(&job->removals, key);
}

void coordinator_record_sync(struct coordinator_job *job)
{
    struct error error;
    if (job->syncing || job->ending || (!job->unsafe && list_empty(&job->cleanups)))
        return;
    list_take(&job->safe_cleanups, &job->cleanups);
    job->unsafe = false;
    if (journal_sync(job->journal, on_synced, job, &error) < 0) {
        coordinator_job_fail(job, &error);
        return;
    }
    job->syncing = true;
    job->operations++;
}

void coordinator_record_finished(struct coordinator_job *job)
{
    struct error error;
    job->recorded = true;
    if (append(job, RECORD_END, json_object(), &error) < 0)
        coordinator_job_fail(job, &error);
}
