/* Workers that are to end: those whose time is over, or is too short for what there is to do, and those whose
 * actors only wait. */
#include <errno.h>

#include "mu/ledger_private.h"

/* Of commands of a kind, until it is said how long they take; and how much longer one may take than most. */
enum { KNOWN = 3, LONGER_PERCENT = 150 };

/* Of a worker's time: no command is expected to find more than the first, and one that had the second before its
 * worker ended would find no worker that lives long enough. */
enum { FOR_COMMAND_PERCENT = 80, HAD_PERCENT = 70 };

/* ---- Whether there is time ----------------------------------------------------------------- */

/* 0 where nothing is known. */
static int64_t expected_ms(const struct ledger *ledger, const struct entry *entry, int state)
{
    int64_t ms = ledger_median(&ledger->durations[state], KNOWN) * LONGER_PERCENT / 100;
    return entry->cut_state == state && entry->cut_ms > ms ? entry->cut_ms : ms;
}

bool ledger_life_fits(const struct ledger *ledger, const struct seat *seat,
                      const struct entry *entry, const struct actor_state *state)
{
    if (seat->until == 0 || ledger->job->state[state->state].request.kind != JOB_RUN)
        return true;
    int64_t ms = expected_ms(ledger, entry, state->state);
    int64_t most = seat->life * FOR_COMMAND_PERCENT / 100;
    return ledger->now + (ms < most ? ms : most) <= seat->until;
}

/* ---- When there was not -------------------------------------------------------------------- */

static void fail_cut(struct ledger *ledger, const struct attempt *attempt, int64_t ms)
{
    struct error error;
    error_set(&error, -ETIME,
              "actor '%s', state '%s': its command had run for %lld s when its worker's time was "
              "over, the "
              "%dth time in a row; of a worker's time it has %lld s: make the job's pieces "
              "smaller, or give "
              "workers more time",
              attempt->entry->name, ledger->job->state[attempt->state.state].name,
              (long long)(ms / 1000), attempt->entry->cuts,
              (long long)(attempt->seat->life / 1000));
    ledger_fail(ledger, &error);
}

void ledger_life_cut(struct ledger *ledger, const struct attempt *attempt)
{
    struct entry *entry = attempt->entry;
    const struct seat *seat = attempt->seat;
    int64_t ms = ledger->now - attempt->since - attempt->waited;
    if (seat->until == 0 || ledger->now < seat->until || attempt->what.kind != JOB_RUN ||
        attempt->stowing || attempt->unparking || !attempt->at_once)
        return;
    if (entry->cut_state != attempt->state.state)
        ledger_life_forget_cuts(entry);
    entry->cut_state = attempt->state.state;
    entry->cut_ms = ms > entry->cut_ms ? ms : entry->cut_ms;
    entry->cuts++;
    entry->long_cuts += ms >= seat->life * HAD_PERCENT / 100;
    if (entry->long_cuts >= LONG_CUTS || entry->cuts >= CUTS)
        fail_cut(ledger, attempt, ms);
}

void ledger_life_forget_cuts(struct entry *entry)
{
    entry->cuts = entry->long_cuts = 0;
    entry->cut_ms = 0;
}

/* ---- Who is to end ------------------------------------------------------------------------- */

void ledger_life_retire(struct ledger *ledger, struct seat *seat)
{
    ledger->retiring += !seat->retiring;
    seat->retiring = true;
}

/* Whether somebody waits for a worker that has more time than this one, which has nothing else to do. */
static bool is_spent(const struct ledger *ledger, const struct seat *seat)
{
    const struct list_link *head = &ledger->ready;
    if (seat->until == 0 || seat->load > 0)
        return false;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct entry *entry = LIST_ENTRY(link, struct entry, link);
        if (entry->parked != NULL && !ledger_life_fits(ledger, seat, entry, &entry->parked->state))
            return true;
    }
    return false;
}

static bool all_wait(const struct seat *seat)
{
    const struct list_link *head = &seat->attempts;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        if (!LIST_ENTRY(link, struct attempt, of_seat)->counted)
            return false;
    return true;
}

static bool is_idle(const struct ledger *ledger, struct seat *seat)
{
    if (ledger->limits.idle_ms == 0 || !all_wait(seat)) {
        seat->idle_since = 0;
        return false;
    }
    if (seat->idle_since == 0)
        seat->idle_since = ledger->now;
    return ledger->now - seat->idle_since >= ledger->limits.idle_ms;
}

static void order_retire(struct ledger *ledger, struct seat *seat, const char *why)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_RETIRE);
    if (order == NULL)
        return;
    order->worker = seat->worker;
    order->text = ledger_order_text(ledger, order, why);
    ledger_life_retire(ledger, seat);
}

void ledger_life_tick(struct ledger *ledger)
{
    const struct list_link *head = &ledger->seats;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        struct seat *seat = LIST_ENTRY(link, struct seat, link);
        const char *why = seat->until > 0 && ledger->now >= seat->until ? "its time is nearly over"
                          : is_idle(ledger, seat)  ? "it has only waited for a while"
                          : is_spent(ledger, seat) ? "what is to be done takes longer than its time"
                                                   : NULL;
        if (!seat->retiring && why != NULL)
            order_retire(ledger, seat, why);
    }
}

/* ---- How many are of use ------------------------------------------------------------------- */

int ledger_runnable(struct ledger *ledger, int most)
{
    struct entry *entry;
    int64_t count = ledger->attempts - ledger->waiting,
            room = ledger_window(ledger) - ledger->admitted;
    const struct list_link *head = &ledger->ready;
    for (const struct list_link *link = head->next; link != head && count < most; link = link->next)
        count++;
    if (room > 0 && ledger_find_next(ledger, &entry))
        count += room;
    return count < most ? (int)count : most;
}
