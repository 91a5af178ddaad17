#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/ledger_private.h"

static void no_memory(struct ledger *ledger)
{
    struct error error;
    error_set(&error, -ENOMEM, "out of memory");
    ledger_fail(ledger, &error);
}

/* ---- Actors -------------------------------------------------------------------------------- */

struct entry *ledger_entry(struct ledger *ledger, struct actor actor)
{
    uint64_t hash = hash_number((uint64_t)actor.group << 32 ^ (uint64_t)actor.index);
    for (struct hash_link *link = hash_first(&ledger->entries, hash); link;
         link = hash_next(link)) {
        struct entry *entry = HASH_ENTRY(link, struct entry, hash);
        if (entry->actor.group == actor.group && entry->actor.index == actor.index)
            return entry;
    }
    struct entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL || hash_insert(&ledger->entries, &entry->hash, hash) < 0) {
        free(entry);
        no_memory(ledger);
        return NULL;
    }
    entry->actor = actor;
    actor_name(ledger->job, actor, entry->name);
    list_init(&entry->link);
    list_init(&entry->made);
    list_init(&entry->inbox);
    list_init(&entry->kept);
    return entry;
}

bool ledger_has_actor(const struct ledger *ledger, struct actor actor)
{
    int64_t count = ledger->count[actor.group];
    return actor_exists(ledger->job, actor) && (count < 0 || actor.index < count);
}

struct entry *ledger_entry_named(struct ledger *ledger, const char *name)
{
    struct actor actor;
    if (!actor_find(ledger->job, name, &actor) || !ledger_has_actor(ledger, actor))
        return NULL;
    return ledger_entry(ledger, actor);
}

struct seat *ledger_seat(struct ledger *ledger, uint32_t worker)
{
    for (struct list_link *link = ledger->seats.next; link != &ledger->seats; link = link->next) {
        struct seat *seat = LIST_ENTRY(link, struct seat, link);
        if (seat->worker == worker)
            return seat;
    }
    return NULL;
}

int ledger_load(const struct ledger *ledger, uint32_t worker)
{
    const struct seat *seat = ledger_seat((struct ledger *)ledger, worker);
    return seat != NULL ? seat->load : 0;
}

struct attempt *ledger_attempt_at(struct ledger *ledger, const struct ledger_call *call)
{
    struct entry *entry = ledger_entry_named(ledger, call->actor);
    for (int i = 0; entry != NULL && i < ATTEMPTS; i++) {
        struct attempt *attempt = entry->attempt[i];
        if (attempt && attempt->number == call->attempt && attempt->request == call->request)
            return attempt;
    }
    return NULL;
}

/* ---- Messages and objects ------------------------------------------------------------------ */

struct item *ledger_item(struct ledger *ledger, const char *key)
{
    uint64_t hash = hash_text(HASH_BEGIN, key);
    for (struct hash_link *link = hash_first(&ledger->items, hash); link; link = hash_next(link)) {
        struct item *item = HASH_ENTRY(link, struct item, hash);
        if (strcmp(item->key, key) == 0)
            return item;
    }
    return NULL;
}

static struct item *item_new(struct ledger *ledger, const char *key, const char *name)
{
    struct item *item = calloc(1, sizeof *item);
    if (item != NULL) {
        list_init(&item->link);
        list_init(&item->of_maker);
        item->key = strdup(key);
        item->name = strdup(name);
    }
    if (item == NULL || item->key == NULL || item->name == NULL ||
        hash_insert(&ledger->items, &item->hash, hash_text(HASH_BEGIN, key)) < 0) {
        if (item != NULL) {
            free(item->key);
            free(item->name);
        }
        free(item);
        no_memory(ledger);
        return NULL;
    }
    return item;
}

struct item *ledger_message_item(struct ledger *ledger, struct entry *from, struct entry *to,
                                 const char *name)
{
    const struct ledger_label label = {from->name, to->name, name};
    char key[JOB_MOST_PATH + 1];
    ledger_message_key(&label, key);
    struct item *item = ledger_item(ledger, key);
    if (item == NULL && (item = item_new(ledger, key, name)) != NULL) {
        item->is_message = true;
        item->from = from;
        item->to = to;
        list_append(&to->inbox, &item->link);
        list_append(&from->made, &item->of_maker);
    }
    return item;
}

struct item *ledger_object_item(struct ledger *ledger, const char *key, struct entry *maker,
                                struct entry *kept)
{
    struct item *item = ledger_item(ledger, key);
    if (item != NULL && item->from != maker) {
        struct error error;
        error_set(&error, -EINVAL, "object '%s' is made by '%s' and by '%s'", key, item->from->name,
                  maker->name);
        ledger_fail(ledger, &error);
        return NULL;
    }
    if (item == NULL && (item = item_new(ledger, key, "")) != NULL) {
        item->from = maker;
        item->to = kept;
        list_append(&maker->made, &item->of_maker);
        if (kept != NULL)
            list_append(&kept->kept, &item->link);
    }
    return item;
}

void ledger_item_forget(struct ledger *ledger, struct item *item)
{
    list_remove(&item->link);
    list_remove(&item->of_maker);
    hash_remove(&ledger->items, &item->hash);
    free(item->key);
    free(item->name);
    free(item);
}

void ledger_message_key(const struct ledger_label *label, char *key)
{
    snprintf(key, JOB_MOST_PATH + 1, "messages/%s/%s/%s", label->to, label->from, label->name);
}
