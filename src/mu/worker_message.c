/* Messages between actors, as the worker at either end has to do with them. What was sent is copied at once,
 * so that commands may do with their files what they want. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/label.h"
#include "mu/messenger.h"
#include "mu/worker_private.h"
#include "util/beneath.h"

/* ---- Made durable -------------------------------------------------------------------------- */

static void settle(struct attempt *attempt);

static void pack_stored(struct outgoing *outgoing)
{
    struct attempt *attempt = outgoing->attempt;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Stored stored = MU__STORED__INIT;
    Mu__Label label = MU__LABEL__INIT;
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Call call;
    worker_attempt_call(attempt, outgoing->request, &call);
    label.from = attempt->actor;
    label.to = outgoing->to;
    label.name = outgoing->name;
    identity.size = outgoing->identity.size;
    identity.sha256.data = outgoing->identity.sha256;
    identity.sha256.len = SHA256_SIZE;
    stored.call = &call;
    stored.label = &label;
    stored.identity = &identity;
    envelope.body_case = MU__ENVELOPE__BODY_STORED;
    envelope.stored = &stored;
    if (worker_session_pack(attempt->worker, &envelope, &outgoing->stored))
        worker_session_transmit(attempt->worker, &outgoing->stored);
}

static void put_failed(struct outgoing *outgoing, const struct error *error)
{
    if (++outgoing->tries >= WORKER_PUT_TRIES)
        outgoing->failure = *error;
    else
        outgoing->retry_at =
            uv_now(outgoing->attempt->worker->loop) + (WORKER_RETRY_MS << (outgoing->tries - 1));
}

static void on_put(void *opaque, const struct store_result *result)
{
    struct outgoing *outgoing = opaque;
    struct attempt *attempt = outgoing->attempt;
    outgoing->put = NULL;
    if (!attempt->over && result->error.code < 0)
        put_failed(outgoing, &result->error);
    else if (!attempt->over)
        pack_stored(outgoing);
    settle(attempt);
    worker_attempt_release(attempt);
}

/* The key is longer than none that the store takes, for names are short. */
static void start_put(struct outgoing *outgoing)
{
    struct attempt *attempt = outgoing->attempt;
    char key[STORE_KEY_SIZE];
    struct error error;
    snprintf(key, sizeof key, "messages/%s/%s/%s", outgoing->to, attempt->actor, outgoing->name);
    const struct store_put put = {
        .from = {.folder = attempt->own, .path = outgoing->file},
        .key = key,
        .attempt = attempt->number,
        .link = true,
        .known = &outgoing->identity,
    };
    outgoing->retry_at = 0;
    if (store_put(attempt->worker->store, &put, on_put, outgoing, &outgoing->put, &error) < 0)
        put_failed(outgoing, &error);
    else
        worker_attempt_hold(attempt);
}

void worker_message_tick(struct attempt *attempt, uint64_t now)
{
    for (struct list_link *link = attempt->sends.next; link != &attempt->sends; link = link->next) {
        struct outgoing *outgoing = LIST_ENTRY(link, struct outgoing, link);
        if (outgoing->retry_at != 0 && now >= outgoing->retry_at)
            start_put(outgoing);
    }
}

/* What failed for good is tried again. */
static void retry_failed(struct attempt *attempt)
{
    for (struct list_link *link = attempt->sends.next; link != &attempt->sends; link = link->next) {
        struct outgoing *outgoing = LIST_ENTRY(link, struct outgoing, link);
        if (!outgoing->known || outgoing->failure.code == 0 || outgoing->clashed)
            continue;
        outgoing->failure.code = 0;
        outgoing->tries = 0;
        start_put(outgoing);
    }
}

/* Ends a "quit" that waits, where there is nothing more to wait for. */
static void settle(struct attempt *attempt)
{
    struct activity *quit = worker_activity_current(attempt);
    if (quit == NULL || !quit->quit || !quit->waiting)
        return;
    for (struct list_link *link = attempt->sends.next; link != &attempt->sends; link = link->next) {
        struct outgoing *outgoing = LIST_ENTRY(link, struct outgoing, link);
        if (outgoing->failure.code < 0) {
            quit->waiting = false;
            worker_activity_fail(quit, outgoing->failure.message);
            return;
        }
        if (outgoing->known && outgoing->stored.bytes == NULL)
            return;
    }
    quit->waiting = false;
    worker_keep(quit);
}

void worker_message_settle(struct activity *activity)
{
    activity->waiting = true;
    retry_failed(activity->attempt);
    settle(activity->attempt);
}

/* ---- Sending ------------------------------------------------------------------------------- */

static struct label label_from(const struct outgoing *outgoing)
{
    return (struct label){
        .from = outgoing->attempt->actor, .to = outgoing->to, .name = outgoing->name};
}

static struct outgoing *find_sent(struct attempt *attempt, const struct label *label)
{
    for (struct list_link *link = attempt->sends.next; link != &attempt->sends; link = link->next) {
        struct outgoing *outgoing = LIST_ENTRY(link, struct outgoing, link);
        struct label its = label_from(outgoing);
        if (outgoing->known && label_equal(&its, label))
            return outgoing;
    }
    return NULL;
}

static void outgoing_free(struct outgoing *outgoing)
{
    list_remove(&outgoing->link);
    if (outgoing->send != NULL)
        messenger_withdraw(outgoing->send);
    worker_packed_free(&outgoing->stored);
    free(outgoing);
}

/* Says what has been said before once more: the same message may be sent again, but no other. */
static void send_again(struct activity *activity, struct outgoing *before,
                       struct outgoing *outgoing)
{
    bool same = store_identity_agrees(&before->identity, &outgoing->identity);
    unlinkat(activity->attempt->own, outgoing->file, 0);
    outgoing_free(outgoing);
    if (same)
        worker_activity_ok(activity, &before->identity);
    else
        worker_activity_fail(activity,
                             "task not deterministic: the same message was sent before with "
                             "other content");
}

static bool is_here(const struct worker *worker, const char *actor)
{
    const struct list_link *head = &worker->attempts;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct attempt *attempt = LIST_ENTRY(link, const struct attempt, link);
        if (!attempt->over && strcmp(attempt->actor, actor) == 0)
            return true;
    }
    return false;
}

/* Offers it to whoever waits for it. Where that fails, the coordinator names them the copy. */
static void offer(struct outgoing *outgoing)
{
    struct attempt *attempt = outgoing->attempt;
    struct label label = label_from(outgoing);
    struct error error;
    struct messenger_base base;
    int file = beneath_open(attempt->own, outgoing->file, O_RDONLY, 0);
    if (file < 0)
        return;
    base.file = worker_base_find(outgoing, &base.identity);
    messenger_send(attempt->worker->messenger, &label, file, &outgoing->identity,
                   base.file >= 0 ? &base : NULL, is_here(attempt->worker, outgoing->to),
                   &outgoing->send, &error);
    if (base.file >= 0)
        close(base.file);
}

/* What is large begins to go while it is being copied and summed, which takes as long as much of its way. */
static void on_copying(void *opaque, uint64_t copied, uint64_t size)
{
    struct activity *activity = opaque;
    struct attempt *attempt = activity->attempt;
    struct outgoing *outgoing = activity->outgoing;
    struct label label = label_from(outgoing);
    struct error error;
    if (outgoing->send != NULL) {
        messenger_grow(outgoing->send, copied < size ? copied : size);
        return;
    }
    if (size < WORKER_EARLY_LEAST || attempt->over || outgoing->whole ||
        find_sent(attempt, &label) != NULL || is_here(attempt->worker, outgoing->to))
        return;
    int file = beneath_open(attempt->own, outgoing->file, O_RDONLY, 0);
    outgoing->whole = file < 0 || messenger_begin(attempt->worker->messenger, &label, file, size,
                                                  &outgoing->send, &error) < 0;
    if (!outgoing->whole)
        messenger_grow(outgoing->send, copied < size ? copied : size);
    outgoing->begun = size;
}

/* Ends what on_copying() has begun. False where it is to be offered as a whole: not begun, or of a file that
 * was written to meanwhile. */
static bool complete(struct outgoing *outgoing)
{
    if (outgoing->send != NULL && outgoing->begun == outgoing->identity.size) {
        messenger_complete(outgoing->send, &outgoing->identity);
        return true;
    }
    if (outgoing->send != NULL)
        messenger_withdraw(outgoing->send);
    outgoing->send = NULL;
    return false;
}

static void on_copied(void *opaque, const struct files_result *result)
{
    struct activity *activity = opaque;
    struct attempt *attempt = activity->attempt;
    struct outgoing *outgoing = activity->outgoing;
    struct label label = label_from(outgoing);
    activity->outgoing = NULL;
    if (result->error.code < 0 || attempt->over) {
        outgoing_free(outgoing);
        worker_activity_fail(activity, result->error.message);
        return;
    }
    outgoing->identity = result->identity;
    struct outgoing *before = find_sent(attempt, &label);
    if (before != NULL) {
        send_again(activity, before, outgoing);
        return;
    }
    worker_attempt_hold(attempt);
    outgoing->known = true;
    worker_activity_ok(activity, &outgoing->identity);
    if (!complete(outgoing))
        offer(outgoing);
    start_put(outgoing);
    worker_attempt_release(attempt);
}

static struct outgoing *outgoing_new(struct activity *activity, const struct label *label)
{
    struct outgoing *outgoing = calloc(1, sizeof *outgoing);
    if (outgoing == NULL)
        return NULL;
    outgoing->attempt = activity->attempt;
    outgoing->request = activity->request;
    snprintf(outgoing->to, sizeof outgoing->to, "%s", label->to);
    snprintf(outgoing->name, sizeof outgoing->name, "%s", label->name);
    worker_attempt_draft(activity->attempt, outgoing->file);
    list_append(&activity->attempt->sends, &outgoing->link);
    return outgoing;
}

/* Whether a label is one; its parts become part of a key. */
static bool take_label(const Mu__Label *message, struct label *label)
{
    char key[STORE_KEY_SIZE];
    if (!label_of(label, message))
        return false;
    snprintf(key, sizeof key, "%s/%s/%s", label->from, label->to, label->name);
    return store_is_final_key(key) && strchr(label->from, '/') == NULL &&
           strchr(label->to, '/') == NULL && strchr(label->name, '/') == NULL;
}

void worker_message_send(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    const Mu__Send *send = activity->send;
    struct label label;
    if (!take_label(send->label, &label) || strcmp(label.from, attempt->actor) != 0) {
        worker_activity_fail(activity, "a message with a name that is not allowed");
        return;
    }
    const struct files_source source = {
        .folder = attempt->files,
        .path = send->file[0] != '\0' ? send->file : NULL,
        .bytes = send->text.data,
        .size = send->text.len,
    };
    struct outgoing *outgoing = activity->outgoing = outgoing_new(activity, &label);
    if (outgoing != NULL &&
        worker_files_copy(attempt->worker->loop, &source, attempt->own, outgoing->file, -1, NULL,
                          on_copying, on_copied, activity) == 0)
        return;
    if (outgoing != NULL)
        outgoing_free(outgoing);
    worker_activity_fail(activity, "out of memory");
}

/* ---- Clashes ------------------------------------------------------------------------------- */

void worker_message_clash(void *opaque, const struct label *label,
                          const struct store_identity *sent, const struct store_identity *known)
{
    struct worker *worker = opaque;
    char is[SHA256_HEX_SIZE], was[SHA256_HEX_SIZE];
    sha256_hex(sent->sha256, is);
    sha256_hex(known->sha256, was);
    for (struct list_link *link = worker->attempts.next; link != &worker->attempts;
         link = link->next) {
        struct attempt *attempt = LIST_ENTRY(link, struct attempt, link);
        struct outgoing *outgoing = attempt->over ? NULL : find_sent(attempt, label);
        if (outgoing == NULL)
            continue;
        outgoing->clashed = true;
        error_set(&outgoing->failure, -EBADMSG,
                  "task not deterministic: the message %s from %s to %s has SHA-256 %s, and had %s",
                  label->name, label->from, label->to, is, was);
        settle(attempt);
    }
}

/* ---- Receiving ----------------------------------------------------------------------------- */

static void on_received(void *opaque, const struct store_identity *identity,
                        const struct error *error)
{
    struct activity *activity = opaque;
    activity->receiving = NULL;
    activity->waiting = false;
    if (error->code == 0)
        worker_base_keep(activity, identity);
    worker_activity_finish_with(activity, error, identity);
}

void worker_message_receive(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    const struct store_file to = {.folder = attempt->files, .path = activity->receive->file};
    struct label label;
    struct error error;
    if (!take_label(activity->receive->label, &label) || strcmp(label.to, attempt->actor) != 0) {
        worker_activity_fail(activity, "a message with a name that is not allowed");
        return;
    }
    int code = worker_attempt_make_way(attempt, to.path, &error);
    if (code == 0)
        code = messenger_receive(attempt->worker->messenger, &label, &to, on_received, activity,
                                 &activity->receiving, &error);
    if (code < 0)
        worker_activity_fail(activity, error.message);
    else
        activity->waiting = true;
}

void worker_message_stop_receiving(struct activity *activity)
{
    if (activity->receiving != NULL)
        messenger_cancel(activity->receiving);
    activity->receiving = NULL;
    activity->waiting = false;
}

/* The receiver of this message that waits, or NULL. */
static struct activity *find_waiting(struct attempt *attempt, const struct label *label)
{
    for (struct list_link *link = attempt->activities.next; link != &attempt->activities;
         link = link->next) {
        struct activity *activity = LIST_ENTRY(link, struct activity, link);
        struct label its;
        if (activity->receiving != NULL && label_of(&its, activity->receive->label) &&
            label_equal(&its, label))
            return activity;
    }
    return NULL;
}

/* ---- From the store ------------------------------------------------------------------------ */

static void on_fetched(void *opaque, const struct store_result *result)
{
    if (result->error.code == 0)
        worker_base_keep(opaque, &result->identity);
    worker_activity_finish_with(opaque, &result->error, &result->identity);
}

static void take_copy(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    struct error error;
    const struct store_get get = {
        .key = activity->copy->key,
        .to = {.folder = attempt->files, .path = activity->receive->file},
        .length = STORE_TO_END,
        .expected = &activity->copy->identity,
        .link = true,
    };
    worker_message_stop_receiving(activity);
    if (store_get(attempt->worker->store, &get, on_fetched, activity, &activity->operation,
                  &error) < 0)
        worker_activity_fail(activity, error.message);
}

void worker_message_look(struct activity *activity, uint64_t now)
{
    struct copy *copy = activity->copy;
    if (activity->receiving == NULL)
        return; /* it is being taken */
    uint64_t here = messenger_received_so_far(activity->receiving);
    if (here != copy->seen) {
        copy->seen = here;
        copy->since = now;
    } else if (here == 0 || now - copy->since >= WORKER_STALL_MS) {
        take_copy(activity);
    }
}

/* What is on its way, over a slow connection perhaps, need not begin again from the store. */
static void fetch_for(struct activity *activity, const Mu__Fetch *fetch)
{
    struct copy *copy = calloc(1, sizeof *copy + strlen(fetch->key) + 1);
    if (copy == NULL) {
        worker_message_stop_receiving(activity);
        worker_activity_fail(activity, "out of memory");
        return;
    }
    copy->identity.size = fetch->identity->size;
    memcpy(copy->identity.sha256, fetch->identity->sha256.data, SHA256_SIZE);
    strcpy(copy->key, fetch->key);
    free(activity->copy);
    activity->copy = copy;
    worker_message_look(activity, uv_now(activity->attempt->worker->loop));
}

void worker_message_fetch(struct worker *worker, const struct label *label, const Mu__Fetch *fetch)
{
    for (struct list_link *link = worker->attempts.next, *next; link != &worker->attempts;
         link = next) {
        struct attempt *attempt = LIST_ENTRY(link, struct attempt, link);
        next = link->next;
        struct activity *activity = find_waiting(attempt, label);
        if (activity != NULL)
            fetch_for(activity, fetch);
    }
}

/* ---- The attempt's end --------------------------------------------------------------------- */

void worker_message_cancel(struct attempt *attempt)
{
    for (struct list_link *link = attempt->sends.next; link != &attempt->sends; link = link->next) {
        struct outgoing *outgoing = LIST_ENTRY(link, struct outgoing, link);
        outgoing->retry_at = 0;
        if (outgoing->put != NULL)
            store_cancel(outgoing->put);
    }
}

void worker_message_free_all(struct attempt *attempt)
{
    while (!list_empty(&attempt->sends))
        outgoing_free(LIST_ENTRY(attempt->sends.next, struct outgoing, link));
}
