#include "mu/ledger.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/ledger_private.h"

enum { PATIENCE_MS = 250, ACTORS_EACH = 64, PARK_MS = 1000 };

/* ---- Life ---------------------------------------------------------------------------------- */

struct ledger *ledger_new(const struct job *job, const struct ledger_limits *limits)
{
    struct ledger *ledger = calloc(1, sizeof *ledger);
    if (ledger == NULL)
        return NULL;
    ledger->job = job;
    ledger->limits = *limits;
    if (ledger->limits.patience_ms == 0)
        ledger->limits.patience_ms = PATIENCE_MS;
    if (ledger->limits.actors == 0)
        ledger->limits.actors = ACTORS_EACH;
    if (ledger->limits.park_ms == 0)
        ledger->limits.park_ms = PARK_MS;
    ledger->last = &ledger->first;
    list_init(&ledger->seats);
    list_init(&ledger->ready);
    list_init(&ledger->live);
    list_init(&ledger->parked);
    ledger->count = calloc((size_t)job->groups + 1, sizeof *ledger->count);
    ledger->durations = calloc((size_t)job->states + 1, sizeof *ledger->durations);
    if (ledger->count == NULL || ledger->durations == NULL) {
        ledger_free(ledger);
        return NULL;
    }
    for (int i = 0; i < job->groups; i++)
        ledger->count[i] = job->group[i].is_open ? -1 : job->group[i].count;
    return ledger;
}

static void free_attempt(struct attempt *attempt)
{
    if (attempt == NULL)
        return;
    actor_state_free(&attempt->state);
    machine_request_free(&attempt->point_what);
    machine_request_free(&attempt->what);
    free(attempt->point_failure);
    free(attempt);
}

static void forget_item(void *opaque, struct hash_link *link)
{
    ledger_item_forget(opaque, HASH_ENTRY(link, struct item, hash));
}

static void free_entry(void *opaque, struct hash_link *link)
{
    struct ledger *ledger = opaque;
    struct entry *entry = HASH_ENTRY(link, struct entry, hash);
    hash_remove(&ledger->entries, link);
    for (int i = 0; i < ATTEMPTS; i++)
        free_attempt(entry->attempt[i]);
    ledger_park_free(entry);
    free(entry);
}

void ledger_free(struct ledger *ledger)
{
    if (ledger == NULL)
        return;
    hash_each(&ledger->items, forget_item, ledger);
    hash_each(&ledger->entries, free_entry, ledger);
    while (!list_empty(&ledger->seats)) {
        struct seat *seat = LIST_ENTRY(ledger->seats.next, struct seat, link);
        list_remove(&seat->link);
        free(seat);
    }
    ledger_orders_free(ledger);
    hash_release(&ledger->items);
    hash_release(&ledger->entries);
    free(ledger->count);
    free(ledger->durations);
    free(ledger);
}

void ledger_number_attempts(struct ledger *ledger, uint32_t behind)
{
    ledger->attempts_before = behind;
}

/* ---- How it stands ------------------------------------------------------------------------- */

enum ledger_result ledger_result(const struct ledger *ledger, struct error *failure)
{
    if (ledger->result == LEDGER_FAILED)
        *failure = ledger->failure;
    return ledger->result;
}

void ledger_fail(struct ledger *ledger, const struct error *failure)
{
    if (ledger->result != LEDGER_RUNNING)
        return;
    ledger->result = LEDGER_FAILED;
    ledger->failure = *failure;
}

void ledger_progress(const struct ledger *ledger, struct ledger_progress *progress)
{
    *progress = (struct ledger_progress){.done = ledger->done,
                                         .amount = ledger->amount,
                                         .live = ledger->admitted,
                                         .waiting = ledger->waiting + ledger->parked_count,
                                         .workers = ledger->workers};
    for (int i = 0; i < ledger->job->groups && progress->actors >= 0; i++)
        progress->actors = ledger->count[i] < 0 ? -1 : progress->actors + ledger->count[i];
}

void ledger_states(const struct ledger *ledger, uint32_t *actors)
{
    memset(actors, 0, (size_t)ledger->job->states * sizeof *actors);
    for (struct list_link *link = ledger->live.next; link != &ledger->live; link = link->next) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        actors[(entry->attempt[0] ? entry->attempt[0] : entry->attempt[1])->state.state]++;
    }
    const struct list_link *head = &ledger->parked;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        actors[LIST_ENTRY(link, struct entry, link)->parked->state.state]++;
}

bool ledger_look(const struct ledger *ledger, const struct ledger_call *call,
                 struct ledger_view *view)
{
    struct attempt *attempt = ledger_attempt_at((struct ledger *)ledger, call);
    if (attempt == NULL || attempt->seat == NULL)
        return false;
    *view = (struct ledger_view){.state = ledger->job->state[attempt->state.state].name,
                                 .kind = attempt->what.kind,
                                 .since = attempt->since,
                                 .worker = attempt->seat->worker};
    return true;
}

static struct attempt *held_attempt(const struct ledger *ledger, uint32_t worker, const char *actor,
                                    uint32_t number)
{
    struct entry *entry = ledger_entry_named((struct ledger *)ledger, actor);
    for (int i = 0; entry != NULL && i < ATTEMPTS; i++) {
        struct attempt *attempt = entry->attempt[i];
        if (attempt && attempt->number == number && attempt->seat &&
            attempt->seat->worker == worker)
            return attempt;
    }
    return NULL;
}

bool ledger_holds(const struct ledger *ledger, uint32_t worker, const char *actor, uint32_t attempt)
{
    return held_attempt(ledger, worker, actor, attempt) != NULL;
}

/* ---- What was remembered ------------------------------------------------------------------- */

static int unknown(const struct ledger *ledger)
{
    return ledger->result == LEDGER_FAILED ? ledger->failure.code : -EBADMSG;
}

int ledger_replay_message(struct ledger *ledger, const struct ledger_label *label,
                          const struct ledger_identity *identity)
{
    struct entry *from = ledger_entry_named(ledger, label->from),
                 *to = ledger_entry_named(ledger, label->to);
    struct item *item = from && to ? ledger_message_item(ledger, from, to, label->name) : NULL;
    if (item == NULL)
        return unknown(ledger);
    item->identity = *identity;
    item->known = true;
    ledger_item_set(ledger, item, ITEM_DURABLE);
    return 0;
}

int ledger_replay_object(struct ledger *ledger, const char *key, const char *maker,
                         const char *peer, const struct ledger_identity *identity)
{
    struct entry *from = ledger_entry_named(ledger, maker),
                 *to = peer ? ledger_entry_named(ledger, peer) : NULL;
    bool good = from && (to || !peer) && !job_key_reserved(key);
    struct item *item = good ? ledger_object_item(ledger, key, from, to) : NULL;
    if (item == NULL)
        return unknown(ledger);
    item->identity = *identity;
    item->known = true;
    ledger_item_set(ledger, item, ITEM_DURABLE);
    return 0;
}

int ledger_replay_close(struct ledger *ledger, const char *family, int64_t count)
{
    for (int i = 0; i < ledger->job->groups; i++) {
        if (strcmp(ledger->job->group[i].name, family) != 0 || !ledger->job->group[i].is_open)
            continue;
        ledger_close(ledger, i, count);
        return ledger->result == LEDGER_FAILED ? -EBADMSG : 0;
    }
    return -EBADMSG;
}

int ledger_replay_done(struct ledger *ledger, const char *actor, int64_t amount)
{
    struct entry *entry = ledger_entry_named(ledger, actor);
    if (entry == NULL)
        return unknown(ledger);
    ledger->admitted -= entry->status == ENTRY_PARKED;
    ledger->parked_count -= entry->status == ENTRY_PARKED;
    list_remove(&entry->link);
    ledger_park_free(entry);
    ledger_entry_uncount(ledger, entry);
    ledger_entry_count(ledger, entry, amount);
    while (!list_empty(&entry->inbox))
        ledger_item_forget(ledger, LIST_ENTRY(entry->inbox.next, struct item, link));
    struct list_link *head = &entry->kept;
    for (struct list_link *link = head->next; link != head; link = link->next)
        ledger_item_set(ledger, LIST_ENTRY(link, struct item, link), ITEM_MISSING);
    return 0;
}

/* ---- Workers ------------------------------------------------------------------------------- */

void ledger_joined(struct ledger *ledger, uint32_t worker, int slots, int64_t until, int64_t now)
{
    struct seat *seat = calloc(1, sizeof *seat);
    struct error error;
    ledger->now = now;
    if (seat == NULL) {
        error_set(&error, -ENOMEM, "out of memory");
        ledger_fail(ledger, &error);
        return;
    }
    seat->worker = worker;
    seat->slots = slots < 1 ? 1 : slots;
    seat->until = until;
    seat->life = until > now ? until - now : 0;
    list_init(&seat->attempts);
    list_append(&ledger->seats, &seat->link);
    ledger->slots += seat->slots;
    ledger->workers++;
    ledger_schedule(ledger);
}

void ledger_lost(struct ledger *ledger, uint32_t worker, int64_t now)
{
    struct seat *seat = ledger_seat(ledger, worker);
    ledger->now = now;
    if (seat == NULL)
        return;
    while (!list_empty(&seat->attempts)) {
        struct attempt *attempt = LIST_ENTRY(seat->attempts.next, struct attempt, of_seat);
        ledger_life_cut(ledger, attempt);
        ledger_attempt_end(ledger, attempt, false);
    }
    list_remove(&seat->link);
    ledger->slots -= seat->slots;
    ledger->workers--;
    ledger->retiring -= seat->retiring;
    free(seat);
    ledger_schedule(ledger);
}

void ledger_expect(struct ledger *ledger, int slots)
{
    ledger->expected = slots;
}

/* Those that were not named get their requests again: what was said to the lost connection is lost. */
void ledger_held(struct ledger *ledger, uint32_t worker, const struct ledger_call *held)
{
    if (held != NULL) {
        struct attempt *attempt = held_attempt(ledger, worker, held->actor, held->attempt);
        if (attempt != NULL && attempt->request == held->request)
            attempt->reached = true;
        return;
    }
    struct seat *seat = ledger_seat(ledger, worker);
    for (struct list_link *link = seat ? seat->attempts.next : NULL;
         seat != NULL && link != &seat->attempts; link = link->next) {
        struct attempt *attempt = LIST_ENTRY(link, struct attempt, of_seat);
        attempt->wait[WAIT_REQUEST].fetched = attempt->wait[WAIT_POINT].fetched = false;
        if (!attempt->reached && attempt->wait[WAIT_REQUEST].ordered)
            ledger_order_request(ledger, attempt);
        ledger_park_repeat(ledger, attempt);
        attempt->reached = false;
    }
}

/* ---- What was stored ----------------------------------------------------------------------- */

void ledger_stored(struct ledger *ledger, const struct ledger_call *call,
                   const struct ledger_label *label, const struct ledger_identity *identity,
                   int64_t now)
{
    struct entry *from = ledger_entry_named(ledger, label->from),
                 *to = ledger_entry_named(ledger, label->to);
    struct actor actor;
    ledger->now = now;
    if (ledger->result != LEDGER_RUNNING || !job_name_valid(label->name) ||
        !actor_find(ledger->job, label->from, &actor) ||
        !actor_find(ledger->job, label->to, &actor))
        return;
    if (from == NULL || to == NULL || to->status == ENTRY_DONE) {
        char key[JOB_MOST_PATH + 1];
        ledger_message_key(label, key);
        ledger_order_delete(ledger, key, call->attempt);
        return;
    }
    struct item *item = ledger_message_item(ledger, from, to, label->name);
    if (item == NULL || !ledger_item_made(ledger, item, identity, from))
        return;
    ledger_item_adopt(ledger, item, call->attempt);
}

static void adopted(struct ledger *ledger, struct item *item)
{
    struct ledger_order *order =
        ledger_order_new(ledger, item->is_message ? LEDGER_MESSAGE : LEDGER_OBJECT);
    if (order != NULL)
        ledger_order_item(ledger, order, item);
    ledger_item_set(ledger, item, ITEM_DURABLE);
    ledger_entry_settle(ledger, item->from);
}

/* What was put is gone, or is something else: its maker has to make it again. */
static void not_adopted(struct ledger *ledger, struct item *item, int code)
{
    struct error error;
    if (code == -EEXIST) {
        error_set(&error, code,
                  "task not deterministic: '%s' was made before, and is different now "
                  "that '%s' makes it again",
                  item->key, item->from->name);
        ledger_fail(ledger, &error);
        return;
    }
    struct entry *from = item->from;
    ledger_item_set(ledger, item, ITEM_MISSING);
    if (++item->losses > LOSSES) {
        error_set(&error, code, "'%s' of '%s' cannot be kept in the store: %s", item->key,
                  from->name, error_reason(code));
        ledger_fail(ledger, &error);
    }
    for (int i = 0; i < ATTEMPTS; i++)
        if (from->attempt[i] != NULL && from->status == ENTRY_LIVE)
            ledger_attempt_end(ledger, from->attempt[i], true);
}

void ledger_adopted(struct ledger *ledger, const char *key, uint32_t attempt, int code, int64_t now)
{
    struct item *item = ledger_item(ledger, key);
    ledger->now = now;
    if (ledger->result != LEDGER_RUNNING)
        return;
    if (item != NULL && item->adopting > 0)
        item->adopting--;
    if (item == NULL || (item->to != NULL && item->to->status == ENTRY_DONE) ||
        !ledger_has_actor(ledger, item->from->actor))
        ledger_order_delete(ledger, key, code == 0 ? 0 : attempt);
    else if (item->status != ITEM_DURABLE && code == 0)
        adopted(ledger, item);
    else if (item->status != ITEM_DURABLE || code == -EEXIST)
        not_adopted(ledger, item, code);
    ledger_schedule(ledger);
}

/* ---- Time ---------------------------------------------------------------------------------- */

static void fetch(struct ledger *ledger, struct attempt *attempt, struct wait *wait)
{
    struct item *item = wait->item;
    if (item == NULL || !item->is_message || wait->fetched || item->status != ITEM_DURABLE)
        return;
    /* What has been durable for long may lie nowhere else any more. */
    bool old = wait->since - item->durable_at > ledger->limits.patience_ms;
    int64_t since = wait->since > item->durable_at ? wait->since : item->durable_at;
    if ((!old && ledger->now - since < ledger->limits.patience_ms) || attempt->seat == NULL)
        return;
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_FETCH);
    if (order == NULL)
        return;
    wait->fetched = true;
    ledger_order_item(ledger, order, item);
    order->worker = attempt->seat->worker;
}

void ledger_tick(struct ledger *ledger, int64_t now)
{
    ledger->now = now;
    if (ledger->result != LEDGER_RUNNING)
        return;
    struct list_link *next;
    for (struct list_link *link = ledger->live.next; link != &ledger->live; link = next) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        next = link->next;
        for (int i = 0; i < ATTEMPTS * WAITS; i++)
            if (entry->attempt[i / WAITS] != NULL)
                fetch(ledger, entry->attempt[i / WAITS],
                      &entry->attempt[i / WAITS]->wait[i % WAITS]);
        for (int i = 0; i < ATTEMPTS; i++)
            if (entry->attempt[i] != NULL)
                ledger_attempt_get_again(ledger, entry->attempt[i]);
    }
    ledger_life_tick(ledger);
    ledger_stragglers(ledger);
    ledger_schedule(ledger);
}
