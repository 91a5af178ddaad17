/*
 * Actors that wait without a worker: their scratch is in the store. They were parked at a "receive", at a point of
 * a "run", or before they began with one; that request is made again when they have a worker again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/ledger_private.h"

static void parked_key(const struct entry *entry, char key[JOB_MOST_PATH + 1])
{
    snprintf(key, JOB_MOST_PATH + 1, "parked/%s", entry->name);
}

bool ledger_seat_has_room(const struct ledger *ledger, const struct seat *seat)
{
    int64_t most = (int64_t)ledger->limits.actors * seat->slots;
    if (ledger->expected > 0 && most > seat->slots)
        most = seat->slots; /* so that those who come find something */
    return !seat->retiring && seat->load < most;
}

bool ledger_any_room(const struct ledger *ledger)
{
    const struct list_link *seats = &ledger->seats;
    for (const struct list_link *link = seats->next; link != seats; link = link->next)
        if (ledger_seat_has_room(ledger, LIST_ENTRY(link, struct seat, link)))
            return true;
    return false;
}

/* ---- Parking ------------------------------------------------------------------------------- */

static void delete_parked(struct ledger *ledger, const struct entry *entry, uint32_t attempt)
{
    char key[JOB_MOST_PATH + 1];
    parked_key(entry, key);
    ledger_order_delete(ledger, key, attempt);
}

void ledger_park_free(struct entry *entry)
{
    if (entry->parked == NULL)
        return;
    actor_state_free(&entry->parked->state);
    free(entry->parked->from);
    free(entry->parked->name);
    free(entry->parked);
    entry->parked = NULL;
}

void ledger_park_forget(struct ledger *ledger, struct entry *entry)
{
    if (entry->parked == NULL)
        return;
    delete_parked(ledger, entry, entry->parked->attempt);
    ledger_park_free(entry);
}

void ledger_park_restart(struct ledger *ledger, struct entry *entry)
{
    ledger_park_forget(ledger, entry);
    if (entry->status == ENTRY_PARKED)
        ledger_entry_ready(ledger, entry);
    for (int i = 0; i < ATTEMPTS; i++)
        if (entry->attempt[i] != NULL && entry->attempt[i]->unparking)
            ledger_attempt_end(ledger, entry->attempt[i], true);
}

void ledger_park_called_off(struct ledger *ledger, struct attempt *attempt)
{
    if (attempt->parking == 0 && !attempt->packed && !attempt->stowing)
        return;
    ledger->parking -= attempt->makes_room;
    attempt->parking = 0;
    attempt->makes_room = attempt->stowing = false;
    delete_parked(ledger, attempt->entry, attempt->number);
}

static void append(struct ledger *ledger, struct entry *entry)
{
    entry->status = ENTRY_PARKED;
    list_append(&ledger->parked, &entry->link);
    ledger->parked_count++;
}

/* Enters what was parked of an actor, instead of what was before. */
static struct parked *enter(struct ledger *ledger, struct entry *entry, uint32_t attempt,
                            const struct ledger_identity *identity)
{
    struct parked *parked = calloc(1, sizeof *parked);
    struct error error;
    if (parked == NULL) {
        error_set(&error, -ENOMEM, "out of memory");
        ledger_fail(ledger, &error);
        return NULL;
    }
    ledger_park_free(entry);
    parked->attempt = attempt;
    parked->identity = *identity;
    entry->parked = parked;
    return parked;
}

static void remember(struct ledger *ledger, struct entry *entry)
{
    char key[JOB_MOST_PATH + 1], *text;
    struct error error;
    const struct parked *parked = entry->parked;
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_PARKED);
    if (order == NULL)
        return;
    if (actor_state_write(ledger->job, &parked->state, &text, &error) < 0) {
        ledger_fail(ledger, &error);
        return;
    }
    parked_key(entry, key);
    order->actor = ledger_order_text(ledger, order, entry->name);
    order->key = ledger_order_text(ledger, order, key);
    order->text = ledger_order_text(ledger, order, text);
    if (parked->item != NULL) {
        order->peer = ledger_order_text(ledger, order, parked->item->from->name);
        order->name = ledger_order_text(ledger, order, parked->item->name);
    }
    order->attempt = parked->attempt;
    order->identity = parked->identity;
    free(text);
}

static void order_park(struct ledger *ledger, const struct attempt *attempt)
{
    char key[JOB_MOST_PATH + 1];
    struct ledger_order *order =
        ledger_order_new(ledger, attempt->stowing ? LEDGER_STOW : LEDGER_PARK);
    if (order == NULL)
        return;
    parked_key(attempt->entry, key);
    ledger_order_to(ledger, order, attempt);
    order->key = ledger_order_text(ledger, order, key);
}

/* What the attempt waits for, itself or at a point of its command; or NULL. */
static struct item *waited_for(const struct attempt *attempt)
{
    struct item *item = attempt->wait[WAIT_REQUEST].item;
    return item != NULL ? item : attempt->wait[WAIT_POINT].item;
}

void ledger_parked(struct ledger *ledger, const struct ledger_call *call,
                   const struct ledger_identity *identity, int64_t now)
{
    static const struct ledger_outcome wrong = {
        .outcome = JOB_FAILED, .reason = "the worker has parked what it was not told to"};
    struct attempt *attempt = ledger_attempt_at(ledger, call);
    ledger->now = now;
    if (attempt == NULL || attempt->ending || attempt->packed || ledger->result != LEDGER_RUNNING)
        return;
    if (attempt->parking == 0 && !attempt->stowing) {
        ledger_outcome(ledger, call, &wrong, now);
        return;
    }
    struct entry *entry = attempt->entry;
    ledger->parking -= attempt->makes_room;
    attempt->parking = 0;
    attempt->makes_room = attempt->stowing = false;
    attempt->packed = true;
    attempt->packed_identity = *identity;
    ledger_attempt_leave(attempt);
    ledger_entry_settle(ledger, entry);
    ledger_schedule(ledger);
}

bool ledger_park_settle(struct ledger *ledger, struct entry *entry)
{
    struct attempt *attempt = entry->attempt[0] ? entry->attempt[0] : entry->attempt[1];
    if (attempt == NULL || !attempt->packed || entry->pending > 0 || entry->status != ENTRY_LIVE)
        return false;
    uint32_t before = entry->parked ? entry->parked->attempt : 0;
    struct parked *parked = enter(ledger, entry, attempt->number, &attempt->packed_identity);
    if (parked == NULL)
        return false;
    attempt->packed = false;
    parked->state = attempt->state;
    attempt->state = (struct actor_state){0};
    parked->item = waited_for(attempt);
    remember(ledger, entry);
    if (before > 0)
        delete_parked(ledger, entry, before);
    list_remove(&entry->link);
    append(ledger, entry);
    ledger_attempt_end(ledger, attempt, false);
    if (parked->item == NULL || parked->item->status != ITEM_MISSING)
        ledger_entry_ready(ledger, entry);
    return true;
}

/* ---- Going on ------------------------------------------------------------------------------ */

static void order_unpark(struct ledger *ledger, const struct attempt *attempt)
{
    char key[JOB_MOST_PATH + 1];
    const struct parked *parked = attempt->entry->parked;
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_UNPARK);
    if (order == NULL)
        return;
    snprintf(key, sizeof key, "parked/%s.attempt-%u", attempt->entry->name, parked->attempt);
    ledger_order_to(ledger, order, attempt);
    order->key = ledger_order_text(ledger, order, key);
    order->identity = parked->identity;
}

void ledger_park_resume(struct ledger *ledger, struct attempt *attempt)
{
    struct error error;
    if (actor_state_copy(&attempt->entry->parked->state, &attempt->state, &error) < 0) {
        ledger_fail(ledger, &error);
        return;
    }
    attempt->unparking = true;
    attempt->request++;
    attempt->since = ledger->now;
    order_unpark(ledger, attempt);
}

void ledger_park_resumed(struct ledger *ledger, struct attempt *attempt, bool ok)
{
    struct error error = {0};
    attempt->unparking = false;
    attempt->resumed = true;
    if (ok) {
        ledger_attempt_advance(ledger, attempt, MACHINE_REQUEST, &error);
        return;
    }
    ledger_park_forget(ledger, attempt->entry);
    ledger_attempt_end(ledger, attempt, true);
}

void ledger_park_stays(struct ledger *ledger, struct attempt *attempt)
{
    struct error error = {0};
    attempt->stays = true;
    ledger_attempt_advance(ledger, attempt, MACHINE_REQUEST, &error);
}

void ledger_park_repeat(struct ledger *ledger, struct attempt *attempt)
{
    if (attempt->unparking && !attempt->reached)
        order_unpark(ledger, attempt);
    if (attempt->parking != 0 || (attempt->stowing && !attempt->reached))
        order_park(ledger, attempt);
}

void ledger_park_wake(struct ledger *ledger, struct entry *entry, const struct item *item)
{
    if (entry->status == ENTRY_PARKED && entry->parked->item == item)
        ledger_entry_ready(ledger, entry);
}

/* ---- What was remembered ------------------------------------------------------------------- */

int ledger_replay_parked(struct ledger *ledger, const char *actor, uint32_t attempt,
                         const char *text, const char *from, const char *name,
                         const struct ledger_identity *identity)
{
    struct entry *entry = ledger_entry_named(ledger, actor);
    struct error error;
    if (entry == NULL)
        return ledger->result == LEDGER_FAILED ? ledger->failure.code : -EBADMSG;
    if (entry->status == ENTRY_DONE) { /* it was run again, and will be if it has to */
        delete_parked(ledger, entry, attempt);
        return 0;
    }
    struct parked *parked = enter(ledger, entry, attempt, identity);
    if (parked == NULL)
        return -ENOMEM;
    int code = actor_state_read(ledger->job, text, strlen(text), &parked->state, &error);
    parked->from = from != NULL ? strdup(from) : NULL;
    parked->name = name != NULL ? strdup(name) : NULL;
    if (code == 0 && ((from != NULL && !parked->from) || (name != NULL && !parked->name)))
        code = -ENOMEM;
    if (code < 0) {
        ledger_park_free(entry);
        return code == -ENOMEM ? code : -EBADMSG;
    }
    if (entry->status == ENTRY_PARKED)
        return 0;
    append(ledger, entry);
    ledger->admitted++;
    return 0;
}

/* What the actor waits for, as remembered; NULL where that is nothing. */
static struct item *awaited(struct ledger *ledger, struct entry *entry)
{
    const struct parked *parked = entry->parked;
    bool known = parked->from != NULL && parked->name != NULL && job_name_valid(parked->name);
    struct entry *from = known ? ledger_entry_named(ledger, parked->from) : NULL;
    return from != NULL ? ledger_message_item(ledger, from, entry, parked->name) : NULL;
}

void ledger_park_look(struct ledger *ledger)
{
    struct list_link *head = &ledger->parked;
    for (struct list_link *link = head->next, *next; link != head && !ledger->looked; link = next) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        next = link->next;
        struct item *item = entry->parked->item = awaited(ledger, entry);
        if (item == NULL || item->status != ITEM_MISSING)
            ledger_entry_ready(ledger, entry);
        else
            ledger_item_demand(ledger, item);
    }
    ledger->looked = true;
}

/* ---- Whom ---------------------------------------------------------------------------------- */

static bool is_alone(const struct attempt *attempt)
{
    return attempt->entry->attempt[0] == NULL || attempt->entry->attempt[1] == NULL;
}

/* Whether it is at something, and was not told yet to be parked there. */
static bool may_be_told(const struct ledger *ledger, const struct attempt *attempt)
{
    bool told = attempt->parking != 0 && ledger->now - attempt->parking < PARK_EXPIRES_MS;
    return is_alone(attempt) && !told && attempt->seat != NULL && !attempt->unparking &&
           !attempt->stowing;
}

static bool waits_with(const struct wait *wait)
{
    return wait->ordered && wait->item != NULL && wait->item->is_message &&
           wait->item->status == ITEM_MISSING;
}

static bool waits_at_receive(const struct ledger *ledger, const struct attempt *attempt)
{
    return may_be_told(ledger, attempt) && waits_with(&attempt->wait[WAIT_REQUEST]);
}

static bool waits_at_point(const struct ledger *ledger, const struct attempt *attempt)
{
    return may_be_told(ledger, attempt) && waits_with(&attempt->wait[WAIT_POINT]);
}

/* A command that one message after the other comes for need not wait in vain to be parked while there is time. */
static bool is_at_point_too_late(const struct ledger *ledger, const struct attempt *attempt)
{
    const struct wait *wait = &attempt->wait[WAIT_POINT];
    return attempt->seat != NULL && attempt->seat->until > 0 &&
           ledger->now >= attempt->seat->until && may_be_told(ledger, attempt) && wait->ordered &&
           wait->item != NULL && wait->item->is_message;
}

static void park(struct ledger *ledger, struct attempt *attempt)
{
    order_park(ledger, attempt);
    attempt->parking = ledger->now > 0 ? ledger->now : 1;
}

/* A command that may still wait for a core is parked if that is so, which only its worker knows. */
static bool may_wait_for_core(const struct ledger *ledger, const struct attempt *attempt)
{
    return may_be_told(ledger, attempt) && attempt->parking == 0 && ledger_attempt_runs(attempt) &&
           !attempt->at_once;
}

static void empty_retiring(struct ledger *ledger)
{
    const struct list_link *seats = &ledger->seats;
    for (const struct list_link *link = seats->next; link != seats; link = link->next) {
        struct seat *seat = LIST_ENTRY(link, struct seat, link);
        struct list_link *head = &seat->attempts;
        for (struct list_link *at = head->next; seat->retiring && at != head; at = at->next) {
            struct attempt *attempt = LIST_ENTRY(at, struct attempt, of_seat);
            if (waits_at_receive(ledger, attempt) || waits_at_point(ledger, attempt) ||
                is_at_point_too_late(ledger, attempt) || may_wait_for_core(ledger, attempt))
                park(ledger, attempt);
        }
    }
}

bool ledger_park_move(struct ledger *ledger, struct attempt *attempt)
{
    const struct seat *seat = attempt->seat;
    bool fits = attempt->resumed || ledger_life_fits(ledger, seat, attempt->entry, &attempt->state);
    attempt->resumed = false;
    if (attempt->stays || !is_alone(attempt) || (fits && !seat->retiring))
        return false;
    attempt->stowing = true;
    order_park(ledger, attempt);
    return true;
}

static bool more_are_ready(const struct ledger *ledger, int than)
{
    const struct list_link *link = ledger->ready.next;
    while (than-- > 0 && link != &ledger->ready)
        link = link->next;
    return link != &ledger->ready;
}

/* The last actor among those that wait, for the others' messages come before its own. */
static struct attempt *choose(const struct ledger *ledger, bool *later)
{
    struct attempt *best = NULL;
    const struct list_link *head = &ledger->live;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct entry *entry = LIST_ENTRY(link, struct entry, link);
        struct attempt *attempt = entry->attempt[0] ? entry->attempt[0] : entry->attempt[1];
        if (!waits_at_receive(ledger, attempt) || attempt->seat->retiring ||
            ledger_commands_of(attempt->seat) >= attempt->seat->slots)
            continue;
        bool old = ledger->now - attempt->since >= ledger->limits.park_ms;
        *later |= !old;
        if (old && (best == NULL || ledger_comes_before(best->entry, attempt->entry)))
            best = attempt;
    }
    return best;
}

bool ledger_park_some(struct ledger *ledger)
{
    bool later = false;
    if (ledger->retiring > 0)
        empty_retiring(ledger);
    if (list_empty(&ledger->ready) || list_empty(&ledger->seats) || ledger_any_room(ledger))
        return true;
    if (!more_are_ready(ledger, ledger->parking))
        return true;
    struct attempt *attempt = choose(ledger, &later);
    if (attempt != NULL) {
        ledger->parking += !attempt->makes_room;
        attempt->makes_room = true;
        park(ledger, attempt);
    }
    return attempt != NULL || later || ledger->parking > 0;
}

/* ---- Workers that are to end --------------------------------------------------------------- */

void ledger_retire(struct ledger *ledger, uint32_t worker, int64_t now)
{
    struct seat *seat = ledger_seat(ledger, worker);
    ledger->now = now;
    if (seat == NULL || seat->retiring)
        return;
    ledger_life_retire(ledger, seat);
    ledger_schedule(ledger);
}
