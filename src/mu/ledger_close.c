/* Families whose number of members becomes known while the job runs. */
#include <errno.h>

#include "mu/ledger_private.h"

struct closing {
    struct ledger *ledger;
    int group;
    int64_t count;
};

static bool is_behind(const struct closing *closing, const struct entry *entry)
{
    return entry->actor.group == closing->group && entry->actor.index >= closing->count;
}

static void fail_close(const struct closing *closing, const struct entry *entry, const char *what)
{
    struct error error;
    error_set(&error, -EBADMSG, "family '%s' has only %lld members, but '%s' %s",
              closing->ledger->job->group[closing->group].name, (long long)closing->count,
              entry->name, what);
    ledger_fail(closing->ledger, &error);
}

/* Forgets what it has made; nobody may have used that. */
static void forget_made(const struct closing *closing, struct entry *entry)
{
    for (struct list_link *link = entry->made.next; link != &entry->made; link = link->next) {
        struct item *item = LIST_ENTRY(link, struct item, of_maker);
        if (!item->is_message && item->status != ITEM_MISSING)
            fail_close(closing, entry, "has put an object");
        else if (item->used)
            fail_close(closing, entry, "has sent a message that was received");
        ledger_item_set(closing->ledger, item, ITEM_MISSING);
    }
}

static void forget_entry(void *opaque, struct hash_link *link)
{
    const struct closing *closing = opaque;
    struct ledger *ledger = closing->ledger;
    struct entry *entry = HASH_ENTRY(link, struct entry, hash);
    if (!is_behind(closing, entry))
        return;
    if (entry->status == ENTRY_DONE) {
        fail_close(closing, entry, "is done");
        return;
    }
    forget_made(closing, entry);
    ledger_park_forget(ledger, entry);
    ledger->parked_count -= entry->status == ENTRY_PARKED;
    ledger->admitted -= entry->status != ENTRY_IDLE;
    entry->status = ENTRY_IDLE;
    list_remove(&entry->link);
    for (int i = 0; i < ATTEMPTS; i++)
        if (entry->attempt[i] != NULL)
            ledger_attempt_end(ledger, entry->attempt[i], true);
}

/* What was sent to it, in the belief that it would be there. */
static void forget_received(void *opaque, struct hash_link *link)
{
    const struct closing *closing = opaque;
    struct entry *entry = HASH_ENTRY(link, struct entry, hash);
    if (!is_behind(closing, entry))
        return;
    for (struct list_link *at = entry->inbox.next; at != &entry->inbox; at = at->next) {
        const struct item *item = LIST_ENTRY(at, struct item, link);
        if (item->status == ITEM_DURABLE)
            ledger_order_delete(closing->ledger, item->key, 0);
    }
    ledger_entry_clear(closing->ledger, entry);
}

/* Nobody may wait for those that are not there any more. */
static void check_waiting(const struct closing *closing)
{
    const struct list_link *live = &closing->ledger->live, *parked = &closing->ledger->parked;
    for (const struct list_link *link = live->next; link != live; link = link->next) {
        const struct entry *entry = LIST_ENTRY(link, struct entry, link);
        for (int i = 0; i < ATTEMPTS * WAITS; i++) {
            const struct attempt *attempt = entry->attempt[i / WAITS];
            const struct item *item = attempt ? attempt->wait[i % WAITS].item : NULL;
            if (item != NULL && is_behind(closing, item->from)) {
                fail_close(closing, item->from, "is waited for");
                return;
            }
        }
    }
    for (const struct list_link *link = parked->next; link != parked; link = link->next) {
        const struct item *item = LIST_ENTRY(link, struct entry, link)->parked->item;
        if (item != NULL && is_behind(closing, item->from)) {
            fail_close(closing, item->from, "is waited for");
            return;
        }
    }
}

void ledger_close(struct ledger *ledger, int group, int64_t count)
{
    struct closing closing = {ledger, group, count};
    struct error error;
    int64_t before = ledger->count[group];
    if (before >= 0 && before != count) {
        error_set(&error, -EBADMSG,
                  "task not deterministic: family '%s' had %lld members, and now has %lld",
                  ledger->job->group[group].name, (long long)before, (long long)count);
        ledger_fail(ledger, &error);
    }
    if (before >= 0)
        return;
    ledger->count[group] = count;
    hash_each(&ledger->entries, forget_entry, &closing);
    if (ledger->result == LEDGER_RUNNING)
        hash_each(&ledger->entries, forget_received, &closing);
    check_waiting(&closing);
}
