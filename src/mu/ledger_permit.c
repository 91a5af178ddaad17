/* What a worker may get from the store, and put there. */
#include <stdio.h>
#include <string.h>

#include "mu/ledger_private.h"

/* Whether `key` begins with `folder` and this actor's name, and more comes after that. */
static bool is_below(const char *key, const char *folder, const char *actor, char end)
{
    size_t length = strlen(folder), name = strlen(actor);
    return strncmp(key, folder, length) == 0 && strncmp(key + length, actor, name) == 0 &&
           key[length + name] == end;
}

/* Whether it is at this with this key, itself or at a point of its command. */
static bool is_at(const struct attempt *attempt, enum job_kind kind, const char *key)
{
    const struct machine_request *what = &attempt->what, *point = &attempt->point_what;
    bool request = what->kind == kind && what->key != NULL && strcmp(what->key, key) == 0;
    return !attempt->ending && (request || (attempt->point > 0 && point->kind == kind &&
                                            point->key != NULL && strcmp(point->key, key) == 0));
}

bool ledger_may_get(const struct ledger *ledger, uint32_t worker, const char *key)
{
    const struct seat *seat = ledger_seat((struct ledger *)ledger, worker);
    const struct list_link *head = seat != NULL ? &seat->attempts : NULL;
    for (const struct list_link *link = head ? head->next : NULL; link != head; link = link->next) {
        const struct attempt *attempt = LIST_ENTRY(link, struct attempt, of_seat);
        if (is_at(attempt, JOB_GET, key) || is_below(key, "messages/", attempt->entry->name, '/') ||
            is_below(key, "parked/", attempt->entry->name, '.'))
            return true;
    }
    return false;
}

/* Whether it is the key of a message from this actor: messages/<to>/<from>/<name>. */
static bool is_message_from(const char *key, const char *actor)
{
    static const char folder[] = "messages/";
    const char *from =
        strncmp(key, folder, strlen(folder)) == 0 ? strchr(key + strlen(folder), '/') : NULL;
    return from != NULL && is_below(from, "/", actor, '/');
}

static bool is_parked(const char *key, const struct attempt *attempt)
{
    return attempt->parking != 0 && is_below(key, "parked/", attempt->entry->name, '\0');
}

bool ledger_may_put(const struct ledger *ledger, uint32_t worker, const char *key, uint32_t number)
{
    const struct seat *seat = ledger_seat((struct ledger *)ledger, worker);
    const struct list_link *head = seat != NULL ? &seat->attempts : NULL;
    for (const struct list_link *link = head ? head->next : NULL; link != head; link = link->next) {
        const struct attempt *attempt = LIST_ENTRY(link, struct attempt, of_seat);
        if (attempt->number == number &&
            (is_at(attempt, JOB_PUT, key) || is_message_from(key, attempt->entry->name) ||
             is_parked(key, attempt)))
            return true;
    }
    return false;
}
