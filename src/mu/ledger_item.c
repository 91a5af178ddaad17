#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "mu/ledger_private.h"

/* Whether they may be of the same bytes. Without sums the store compares these, when it adopts them. */
static bool identity_agrees(const struct ledger_identity *a, const struct ledger_identity *b)
{
    return a->size == b->size &&
           (a->unsummed || b->unsummed || memcmp(a->sha256, b->sha256, sizeof a->sha256) == 0);
}

static void describe(const struct item *item, char *text, size_t size)
{
    if (item->is_message)
        snprintf(text, size, "message '%s' from '%s' to '%s'", item->name, item->from->name,
                 item->to->name);
    else
        snprintf(text, size, "object '%s' of '%s'", item->key, item->from->name);
}

static void write_identity(const struct ledger_identity *identity, char *text, size_t size)
{
    int length = snprintf(text, size, "%llu bytes%s", (unsigned long long)identity->size,
                          identity->unsummed ? "" : " with SHA-256 ");
    for (int i = 0; i < 8 && !identity->unsummed; i++, length += 2)
        snprintf(text + length, size - (size_t)length, "%02x", identity->sha256[i]);
}

bool ledger_item_made(struct ledger *ledger, struct item *item,
                      const struct ledger_identity *identity, const struct entry *maker)
{
    if (!item->known) {
        item->identity = *identity;
        item->known = true;
        return true;
    }
    if (identity_agrees(&item->identity, identity))
        return true;
    char what[JOB_MOST_PATH + 256], before[64], now[64];
    struct error error;
    describe(item, what, sizeof what);
    write_identity(&item->identity, before, sizeof before);
    write_identity(identity, now, sizeof now);
    error_set(&error, -EBADMSG,
              "task not deterministic: %s was %s, and is %s when '%s' makes it again", what, before,
              now, maker->name);
    ledger_fail(ledger, &error);
    return false;
}

static bool awaits(const struct attempt *attempt, const struct item *item)
{
    return attempt->wait[WAIT_REQUEST].item == item || attempt->wait[WAIT_POINT].item == item;
}

static void tell(struct ledger *ledger, struct entry *entry, const struct item *item)
{
    for (int i = 0; i < ATTEMPTS; i++) {
        struct attempt *attempt = entry->attempt[i];
        if (attempt == NULL || !awaits(attempt, item))
            continue;
        ledger_attempt_recount(ledger, attempt);
        ledger_attempt_go_on(ledger, attempt);
    }
    if (item->status != ITEM_MISSING)
        ledger_park_wake(ledger, entry, item);
}

void ledger_item_set(struct ledger *ledger, struct item *item, enum item_status status)
{
    if (item->status == status)
        return;
    int change = (status == ITEM_COMING) - (item->status == ITEM_COMING);
    item->from->pending += change;
    ledger->coming += change;
    item->status = status;
    if (status != ITEM_MISSING)
        item->again = false;
    if (status == ITEM_DURABLE)
        item->durable_at = ledger->now;
    if (item->is_message) {
        tell(ledger, item->to, item);
        return;
    }
    for (struct list_link *link = ledger->live.next, *next; link != &ledger->live; link = next) {
        next = link->next;
        tell(ledger, LIST_ENTRY(link, struct entry, link), item);
    }
}

void ledger_item_adopt(struct ledger *ledger, struct item *item, uint32_t attempt)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_ADOPT);
    if (item->status == ITEM_MISSING)
        ledger_item_set(ledger, item, ITEM_COMING);
    if (order == NULL)
        return;
    ledger_order_item(ledger, order, item);
    order->attempt = attempt;
    item->adopting++;
}

void ledger_items_revert(struct ledger *ledger, struct entry *maker)
{
    for (struct list_link *link = maker->made.next; link != &maker->made; link = link->next) {
        struct item *item = LIST_ENTRY(link, struct item, of_maker);
        if (item->status == ITEM_COMING && item->adopting == 0)
            ledger_item_set(ledger, item, ITEM_MISSING);
    }
}

static bool is_awaited(const struct item *item)
{
    const struct entry *to = item->to;
    for (int i = 0; to != NULL && i < ATTEMPTS; i++)
        if (to->attempt[i] != NULL && awaits(to->attempt[i], item))
            return true;
    return false;
}

void ledger_item_demand(struct ledger *ledger, struct item *item)
{
    if (item->status != ITEM_MISSING || item->from->status != ENTRY_DONE || item->again)
        return;
    item->again = true;
    ledger_entry_ready(ledger, item->from);
}

void ledger_items_demand(struct ledger *ledger, struct entry *maker)
{
    for (struct list_link *link = maker->made.next; link != &maker->made; link = link->next) {
        struct item *item = LIST_ENTRY(link, struct item, of_maker);
        if (is_awaited(item))
            ledger_item_demand(ledger, item);
    }
}

void ledger_item_lost(struct ledger *ledger, struct item *item)
{
    item->losses++;
    ledger_item_set(ledger, item, ITEM_MISSING);
    ledger_park_restart(ledger, item->from);
    ledger_item_demand(ledger, item);
}

void ledger_item_await(struct ledger *ledger, struct attempt *attempt, int wait, struct item *item)
{
    attempt->wait[wait] = (struct wait){.item = item, .since = ledger->now};
    ledger_item_demand(ledger, item);
    ledger_attempt_recount(ledger, attempt);
}
