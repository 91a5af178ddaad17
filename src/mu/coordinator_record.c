/* What is remembered of a job: records of its journal, as JSON. */
#include <errno.h>
#include <openssl/rand.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "mu/coordinator_private.h"

enum record_type {
    RECORD_JOB = 1, /* {"job", "build", "digest"}: the first */
    RECORD_MESSAGE, /* {"from", "to", "name", "size", "sha256"} */
    RECORD_OBJECT,  /* {"key", "maker", "for" or null, "size", "sha256"} */
    RECORD_CLOSE,   /* {"family", "count"} */
    RECORD_DONE,    /* {"actor", "amount"} */
    RECORD_END,     /* {}: the outputs are there */
};

/* ---- Reading ------------------------------------------------------------------------------- */

static bool read_identity(const json_t *record, struct ledger_identity *identity)
{
    const char *sum = json_string_value(json_object_get(record, "sha256"));
    identity->size = (uint64_t)json_integer_value(json_object_get(record, "size"));
    if (sum == NULL || strlen(sum) != 2 * SHA256_SIZE)
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

static int replay_job(struct coordinator *coordinator, const json_t *record, struct error *error)
{
    if (strcmp(text_of(record, "build"), coordinator->build) != 0)
        return error_set(error, -EINVAL,
                         "the job was begun by another build of the program; "
                         "remove its store to begin anew");
    if (strcmp(text_of(record, "digest"), coordinator->digest) != 0)
        return error_set(error, -EINVAL,
                         "another job, or the same with other options, was begun "
                         "here; remove its store to begin anew");
    snprintf(coordinator->job, sizeof coordinator->job, "%s", text_of(record, "job"));
    coordinator->known = true;
    return 0;
}

static int replay_one(struct coordinator *coordinator, uint32_t type, const json_t *record,
                      struct error *error)
{
    struct ledger *ledger = coordinator->ledger;
    struct ledger_identity identity;
    const struct ledger_label label = {text_of(record, "from"), text_of(record, "to"),
                                       text_of(record, "name")};
    if ((type == RECORD_MESSAGE || type == RECORD_OBJECT) && !read_identity(record, &identity))
        return -EBADMSG;
    switch (type) {
    case RECORD_JOB:
        return replay_job(coordinator, record, error);
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
    case RECORD_END:
        return 0;
    default:
        return -EBADMSG;
    }
}

static int replay(void *opaque, uint32_t type, const void *data, size_t size, struct error *error)
{
    struct coordinator *coordinator = opaque;
    json_t *record = json_loadb(data, size, 0, NULL);
    error->message[0] = '\0';
    int code = record == NULL || (type != RECORD_JOB && !coordinator->known)
                   ? -EBADMSG
                   : replay_one(coordinator, type, record, error);
    json_decref(record);
    if (code < 0 && error->message[0] == '\0')
        error_set(error, code, "the journal does not fit the job");
    return code;
}

/* ---- Writing ------------------------------------------------------------------------------- */

static int append(struct coordinator *coordinator, enum record_type type, json_t *record,
                  struct error *error)
{
    char *text = record ? json_dumps(record, JSON_COMPACT) : NULL;
    int code = text != NULL ? journal_append(coordinator->journal, type, text, strlen(text), error)
                            : error_set(error, -ENOMEM, "out of memory");
    free(text);
    json_decref(record);
    coordinator->unsafe = true;
    return code;
}

static json_t *with_identity(json_t *record, const struct ledger_identity *identity)
{
    char sum[SHA256_HEX_SIZE];
    sha256_hex(identity->sha256, sum);
    if (record != NULL) {
        json_object_set_new(record, "size", json_integer((json_int_t)identity->size));
        json_object_set_new(record, "sha256", json_string(sum));
    }
    return record;
}

void record_order(struct coordinator *coordinator, const struct ledger_order *order)
{
    struct error error;
    int code = 0;
    if (order->kind == LEDGER_MESSAGE)
        code = append(coordinator, RECORD_MESSAGE,
                      with_identity(json_pack("{s:s, s:s, s:s}", "from", order->peer, "to",
                                              order->actor, "name", order->name),
                                    &order->identity),
                      &error);
    else if (order->kind == LEDGER_OBJECT)
        code = append(coordinator, RECORD_OBJECT,
                      with_identity(json_pack("{s:s, s:s, s:s?}", "key", order->key, "maker",
                                              order->actor, "for", order->peer),
                                    &order->identity),
                      &error);
    else if (order->kind == LEDGER_CLOSE)
        code = append(
            coordinator, RECORD_CLOSE,
            json_pack("{s:s, s:I}", "family", order->actor, "count", (json_int_t)order->number),
            &error);
    else
        code = append(
            coordinator, RECORD_DONE,
            json_pack("{s:s, s:I}", "actor", order->actor, "amount", (json_int_t)order->number),
            &error);
    if (code < 0)
        coordinator_fail(coordinator, &error);
}

static int begin(struct coordinator *coordinator, struct error *error)
{
    uint8_t random[16];
    if (RAND_bytes(random, sizeof random) != 1)
        return error_set(error, -EIO, "no random numbers");
    for (size_t i = 0; i < sizeof random; i++)
        snprintf(coordinator->job + 2 * i, 3, "%02x", random[i]);
    return append(coordinator, RECORD_JOB,
                  json_pack("{s:s, s:s, s:s}", "job", coordinator->job, "build", coordinator->build,
                            "digest", coordinator->digest),
                  error);
}

int record_open(struct coordinator *coordinator, struct error *error)
{
    int code = journal_open(coordinator->loop, coordinator->options.journal, replay, coordinator,
                            &coordinator->journal, error);
    if (code < 0)
        return code;
    coordinator->epoch = journal_epoch(coordinator->journal);
    return coordinator->known ? 0 : begin(coordinator, error);
}

/* ---- Made safe ----------------------------------------------------------------------------- */

static void on_removed(void *opaque, const struct store_result *result)
{
    coordinator_operation_ended(opaque); /* what stays is of no harm */
}

static void clean(struct coordinator *coordinator, const char *key)
{
    struct error error;
    bool prefix = key[strlen(key) - 1] == '/';
    int code =
        prefix ? store_delete_prefix(coordinator->store, key, on_removed, coordinator, NULL, &error)
               : store_delete(coordinator->store, key, on_removed, coordinator, NULL, &error);
    coordinator->operations += code == 0;
}

static void on_synced(void *opaque, const struct error *failure)
{
    struct coordinator *coordinator = opaque;
    coordinator->syncing = false;
    while (!list_empty(&coordinator->safe_cleanups)) {
        struct cleanup *cleanup = LIST_ENTRY(coordinator->safe_cleanups.next, struct cleanup, link);
        if (failure == NULL && !coordinator->ending)
            clean(coordinator, cleanup->key);
        list_remove(&cleanup->link);
        free(cleanup);
    }
    if (failure != NULL)
        coordinator_fail(coordinator, failure);
    coordinator_operation_ended(coordinator);
}

void record_cleanup(struct coordinator *coordinator, const char *key)
{
    struct cleanup *cleanup = calloc(1, sizeof *cleanup);
    if (cleanup == NULL)
        return; /* it stays there: of no harm */
    snprintf(cleanup->key, sizeof cleanup->key, "%s", key);
    list_append(&coordinator->cleanups, &cleanup->link);
}

void record_sync(struct coordinator *coordinator)
{
    struct error error;
    if (coordinator->syncing || coordinator->ending ||
        (!coordinator->unsafe && list_empty(&coordinator->cleanups)))
        return;
    list_take(&coordinator->safe_cleanups, &coordinator->cleanups);
    coordinator->unsafe = false;
    if (journal_sync(coordinator->journal, on_synced, coordinator, &error) < 0) {
        coordinator_fail(coordinator, &error);
        return;
    }
    coordinator->syncing = true;
    coordinator->operations++;
}

void record_finished(struct coordinator *coordinator)
{
    struct error error;
    coordinator->recorded = true;
    if (append(coordinator, RECORD_END, json_object(), &error) < 0)
        coordinator_fail(coordinator, &error);
}
