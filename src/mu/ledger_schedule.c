#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/ledger_private.h"

/* ---- Attempts ------------------------------------------------------------------------------ */

static bool waits(const struct attempt *attempt)
{
    for (int i = 0; i < WAITS; i++)
        if (attempt->wait[i].item != NULL && attempt->wait[i].item->status == ITEM_MISSING)
            return true;
    return false;
}

void ledger_attempt_recount(struct ledger *ledger, struct attempt *attempt)
{
    bool now = waits(attempt);
    ledger->waiting += now - attempt->counted;
    attempt->counted = now;
}

static int free_place(const struct entry *entry)
{
    for (int i = 0; i < ATTEMPTS; i++)
        if (entry->attempt[i] == NULL)
            return i;
    return -1;
}

void ledger_attempt_start(struct ledger *ledger, struct entry *entry, struct seat *seat)
{
    struct attempt *attempt = calloc(1, sizeof *attempt);
    struct error error;
    if (attempt == NULL) {
        error_set(&error, -ENOMEM, "out of memory");
        ledger_fail(ledger, &error);
        return;
    }
    attempt->entry = entry;
    attempt->seat = seat;
    attempt->number = ledger->attempts_before + ++entry->attempts_made;
    entry->attempt[free_place(entry)] = attempt;
    list_append(&seat->attempts, &attempt->of_seat);
    seat->load++;
    ledger->attempts++;
    if (entry->status != ENTRY_LIVE) {
        list_remove(&entry->link);
        list_append(&ledger->live, &entry->link);
        entry->status = ENTRY_LIVE;
    }
    if (entry->parked != NULL) {
        ledger_park_resume(ledger, attempt);
        return;
    }
    int result = machine_start(ledger->job, entry->actor, &attempt->state, &error);
    ledger_attempt_advance(ledger, attempt, result, &error);
}

void ledger_attempt_leave(struct attempt *attempt)
{
    if (attempt->seat != NULL)
        attempt->seat->load--;
    list_remove(&attempt->of_seat);
    attempt->seat = NULL;
}

static void order_drop(struct ledger *ledger, const struct attempt *attempt)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_DROP);
    if (order != NULL)
        ledger_order_to(ledger, order, attempt);
}

void ledger_attempt_end(struct ledger *ledger, struct attempt *attempt, bool drop)
{
    struct entry *entry = attempt->entry;
    if (drop && attempt->seat != NULL)
        order_drop(ledger, attempt);
    memset(attempt->wait, 0, sizeof attempt->wait);
    ledger_attempt_recount(ledger, attempt);
    ledger_park_called_off(ledger, attempt);
    ledger_attempt_leave(attempt);
    for (int i = 0; i < ATTEMPTS; i++)
        if (entry->attempt[i] == attempt)
            entry->attempt[i] = NULL;
    ledger->attempts--;
    actor_state_free(&attempt->state);
    machine_request_free(&attempt->point_what);
    machine_request_free(&attempt->what);
    free(attempt->point_failure);
    free(attempt);
    if (entry->attempt[0] != NULL || entry->attempt[1] != NULL || entry->status == ENTRY_DONE)
        return;
    ledger_items_revert(ledger, entry);
    if (entry->status == ENTRY_LIVE)
        ledger_entry_ready(ledger, entry);
}

bool ledger_comes_before(const struct entry *a, const struct entry *b)
{
    return a->actor.group != b->actor.group ? a->actor.group < b->actor.group
                                            : a->actor.index < b->actor.index;
}

void ledger_entry_ready(struct ledger *ledger, struct entry *entry)
{
    struct list_link *behind = ledger->ready.previous;
    ledger->admitted += entry->status == ENTRY_DONE || entry->status == ENTRY_IDLE;
    ledger->parked_count -= entry->status == ENTRY_PARKED;
    ledger_entry_uncount(ledger, entry);
    entry->status = ENTRY_READY;
    list_remove(&entry->link);
    while (behind != &ledger->ready &&
           ledger_comes_before(entry, LIST_ENTRY(behind, struct entry, link)))
        behind = behind->previous;
    list_append(behind->next, &entry->link);
}

/* ---- Placing ------------------------------------------------------------------------------- */

static bool failed_on(const struct entry *entry, uint32_t worker)
{
    for (int i = 0; i < entry->failures && i < FAILED_ON; i++)
        if (entry->failed_on[i] == worker)
            return true;
    return false;
}

/* The seat with the least to do for its slots; one that it has not failed on, if there is one. NULL where no
 * worker takes more, or with `full` where all are to end. */
static struct seat *choose_seat(const struct ledger *ledger, const struct entry *entry, bool full)
{
    const struct parked *parked = entry->parked;
    struct seat *best = NULL;
    bool best_avoided = false;
    for (struct list_link *link = ledger->seats.next; link != &ledger->seats; link = link->next) {
        struct seat *seat = LIST_ENTRY(link, struct seat, link);
        bool avoided = failed_on(entry, seat->worker);
        if (seat->retiring || (!full && !ledger_seat_has_room(ledger, seat)) ||
            (parked != NULL && !ledger_life_fits(ledger, seat, entry, &parked->state)))
            continue;
        if (best == NULL || avoided < best_avoided ||
            (avoided == best_avoided &&
             (int64_t)seat->load * best->slots < (int64_t)best->load * seat->slots)) {
            best = seat;
            best_avoided = avoided;
        }
    }
    return best;
}

bool ledger_find_next(struct ledger *ledger, struct entry **entry)
{
    struct actor *next = &ledger->next;
    while (next->group < ledger->job->groups) {
        if (!ledger_has_actor(ledger, *next)) {
            if (ledger->count[next->group] < 0)
                return false;
            *next = (struct actor){.group = next->group + 1};
            continue;
        }
        *entry = ledger_entry(ledger, *next);
        if (*entry == NULL)
            return false;
        if ((*entry)->status == ENTRY_IDLE)
            return true;
        next->index++;
    }
    return false;
}

int ledger_window_for(int slots)
{
    return 4 * slots + 2;
}

int64_t ledger_window(const struct ledger *ledger)
{
    return ledger->limits.window > 0 ? ledger->limits.window : ledger_window_for(ledger->slots);
}

/* The first that is ready and finds a seat; false where there is none. */
static bool place_ready(struct ledger *ledger)
{
    struct list_link *head = &ledger->ready;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        struct seat *seat = choose_seat(ledger, entry, false);
        if (seat == NULL && !ledger_any_room(ledger))
            return false;
        if (seat == NULL)
            continue; /* nobody has enough time for it */
        ledger_attempt_start(ledger, entry, seat);
        return true;
    }
    return false;
}

static bool admit_next(struct ledger *ledger)
{
    struct entry *entry;
    if (ledger->admitted >= ledger_window(ledger) || !ledger_find_next(ledger, &entry))
        return false;
    struct seat *seat = choose_seat(ledger, entry, false);
    if (seat == NULL)
        return false;
    ledger->admitted++;
    ledger_attempt_start(ledger, entry, seat);
    return true;
}

static void place_all(struct ledger *ledger)
{
    bool placed = true;
    while (placed && !list_empty(&ledger->seats) && ledger->result == LEDGER_RUNNING)
        placed = place_ready(ledger) || admit_next(ledger);
}

/* Where all wait, and nobody can be parked, somebody goes to a worker that is full. */
static bool place_one_more(struct ledger *ledger)
{
    if (list_empty(&ledger->ready) || ledger->waiting < ledger->attempts || ledger->coming > 0)
        return false;
    struct entry *entry = LIST_ENTRY(ledger->ready.next, struct entry, link);
    struct seat *seat = choose_seat(ledger, entry, true);
    if (seat != NULL)
        ledger_attempt_start(ledger, entry, seat);
    return seat != NULL;
}

/* ---- When all wait ------------------------------------------------------------------------- */

static void never_sent(struct ledger *ledger, const struct entry *entry, const struct item *item)
{
    struct error error;
    const char *waiting = entry->name;
    if (!item->is_message)
        error_set(&error, -EDEADLK, "'%s' waits for object '%s', which '%s' does not make again",
                  waiting, item->key, item->from->name);
    else if (item->from->status == ENTRY_DONE)
        error_set(&error, -EDEADLK, "'%s' waits for message '%s' of '%s', which ends without it",
                  waiting, item->name, item->from->name);
    else
        error_set(&error, -EDEADLK,
                  "all actors wait for one another: among them '%s' for message '%s' of '%s'",
                  waiting, item->name, item->from->name);
    ledger_fail(ledger, &error);
}

/* Whether somebody can be admitted, or run again, for this. One who is under way, and waits too, may have left
 * it behind: it was made and is lost or, which is tried last, was not needed at that time. */
static bool resolve(struct ledger *ledger, struct item *item, bool last)
{
    struct entry *maker = item->from;
    bool idle = maker->status == ENTRY_IDLE;
    bool live = maker->status == ENTRY_LIVE || maker->status == ENTRY_PARKED;
    if ((!idle && item->again) || maker->status == ENTRY_READY || (live && !item->known && !last))
        return false;
    if (!ledger_has_actor(ledger, maker->actor))
        return false;
    item->again |= !idle;
    if (!live)
        ledger_entry_ready(ledger, maker);
    else
        ledger_park_restart(ledger, maker);
    for (int i = 0; live && i < ATTEMPTS; i++)
        if (maker->attempt[i] != NULL)
            ledger_attempt_end(ledger, maker->attempt[i], true);
    return true;
}

/* What somebody waits for, and who does. */
struct lack {
    const struct entry *entry;
    const struct item *item;
};

static bool resolve_for(struct ledger *ledger, const struct entry *entry, struct item *item,
                        bool last, struct lack *lack)
{
    if (item == NULL || item->status != ITEM_MISSING)
        return false;
    if (resolve(ledger, item, last))
        return true;
    if (lack->item == NULL || item->from->status == ENTRY_DONE)
        *lack = (struct lack){entry, item};
    return false;
}

static bool resolve_any(struct ledger *ledger, bool last, struct lack *lack)
{
    for (struct list_link *link = ledger->live.next; link != &ledger->live; link = link->next) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        for (int i = 0; i < ATTEMPTS * WAITS; i++) {
            struct attempt *attempt = entry->attempt[i / WAITS];
            struct item *item = attempt ? attempt->wait[i % WAITS].item : NULL;
            if (resolve_for(ledger, entry, item, last, lack))
                return true;
        }
    }
    for (struct list_link *link = ledger->parked.next; link != &ledger->parked; link = link->next) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        if (resolve_for(ledger, entry, entry->parked->item, last, lack))
            return true;
    }
    return false;
}

static bool resolve_first(struct ledger *ledger)
{
    struct lack lack = {0};
    if (resolve_any(ledger, false, &lack) || resolve_any(ledger, true, &lack))
        return true;
    if (lack.item != NULL)
        never_sent(ledger, lack.entry, lack.item);
    return false;
}

/* Where waiting is paid for, workers come only when somebody is found who could do something. */
static bool all_wait(const struct ledger *ledger)
{
    return ledger->attempts + ledger->parked_count > 0 && ledger->waiting == ledger->attempts &&
           ledger->coming == 0 && list_empty(&ledger->ready) &&
           (!list_empty(&ledger->seats) || ledger->limits.idle_ms > 0);
}

static void finish_if_done(struct ledger *ledger)
{
    struct entry *entry;
    if (ledger->admitted == 0 && list_empty(&ledger->live) && !ledger_find_next(ledger, &entry) &&
        ledger->next.group >= ledger->job->groups && ledger->result == LEDGER_RUNNING)
        ledger->result = LEDGER_FINISHED;
}

void ledger_schedule(struct ledger *ledger)
{
    if (!ledger->looked)
        ledger_park_look(ledger);
    do {
        do {
            place_all(ledger);
        } while (ledger->result == LEDGER_RUNNING && all_wait(ledger) && resolve_first(ledger));
    } while (ledger->result == LEDGER_RUNNING && !ledger_park_some(ledger) &&
             place_one_more(ledger));
    finish_if_done(ledger);
}

/* ---- Stragglers ---------------------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

int64_t ledger_median(const struct durations *durations, int least)
{
    int32_t sorted[DURATIONS];
    if (durations->count < least)
        return 0;
    memcpy(sorted, durations->ms, (size_t)durations->count * sizeof sorted[0]);
    qsort(sorted, (size_t)durations->count, sizeof sorted[0], compare);
    return sorted[durations->count / 2];
}

static int64_t too_long(const struct durations *durations)
{
    int64_t limit = STRAGGLER_FACTOR * ledger_median(durations, STRAGGLER_KNOWN);
    if (durations->count < STRAGGLER_KNOWN)
        return INT64_MAX;
    return limit < STRAGGLER_LEAST_MS ? STRAGGLER_LEAST_MS : limit;
}

/* Actors alone have no others of their kind to be compared with. */
static bool straggles(const struct ledger *ledger, const struct attempt *attempt)
{
    const struct job_group *group = &ledger->job->group[attempt->entry->actor.group];
    int64_t at_point = attempt->point != 0 ? ledger->now - attempt->asked_at : 0;
    int64_t busy = ledger->now - attempt->since - attempt->waited - at_point;
    return group->is_family && !attempt->ending && !attempt->stowing &&
           attempt->what.kind == JOB_RUN &&
           busy > too_long(&ledger->durations[attempt->state.state]);
}

bool ledger_attempt_runs(const struct attempt *attempt)
{
    return attempt->what.kind == JOB_RUN && attempt->point == 0 && !attempt->stowing &&
           !attempt->unparking;
}

int ledger_commands_of(const struct seat *seat)
{
    int commands = 0;
    const struct list_link *head = &seat->attempts;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        commands += ledger_attempt_runs(LIST_ENTRY(link, struct attempt, of_seat));
    return commands;
}

static struct seat *idle_seat(const struct ledger *ledger, const struct seat *other)
{
    for (struct list_link *link = ledger->seats.next; link != &ledger->seats; link = link->next) {
        struct seat *seat = LIST_ENTRY(link, struct seat, link);
        if (seat != other && ledger_commands_of(seat) < seat->slots &&
            ledger_seat_has_room(ledger, seat))
            return seat;
    }
    return NULL;
}

void ledger_stragglers(struct ledger *ledger)
{
    struct list_link *last = ledger->live.previous;
    for (struct list_link *link = ledger->live.next; link != &ledger->live; link = link->next) {
        struct entry *entry = LIST_ENTRY(link, struct entry, link);
        struct attempt *attempt = entry->attempt[0] ? entry->attempt[0] : entry->attempt[1];
        if (free_place(entry) >= 0 && straggles(ledger, attempt)) {
            struct seat *seat = idle_seat(ledger, attempt->seat);
            if (seat == NULL)
                return;
            ledger_attempt_start(ledger, entry, seat);
        }
        if (link == last)
            return;
    }
}
