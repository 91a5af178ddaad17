#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/ledger_private.h"
#include "mu/scope.h"

static void fail_missing(struct ledger *ledger, const struct attempt *attempt, const char *peer)
{
    struct error error;
    error_set(&error, -EINVAL, "actor '%s', state '%s': there is no actor '%s'",
              attempt->entry->name, ledger->job->state[attempt->state.state].name, peer);
    ledger_fail(ledger, &error);
}

/* ---- Actors that are done ------------------------------------------------------------------ */

static void empty_inbox(struct ledger *ledger, struct entry *entry)
{
    while (!list_empty(&entry->inbox)) {
        struct item *item = LIST_ENTRY(entry->inbox.next, struct item, link);
        struct entry *from = item->from;
        ledger_item_set(ledger, item, ITEM_MISSING);
        ledger_item_forget(ledger, item);
        ledger_entry_settle(ledger, from);
    }
}

static void delete_kept(struct ledger *ledger, struct entry *entry)
{
    struct list_link *head = &entry->kept;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct item *item = LIST_ENTRY(link, struct item, link);
        if (item->status == ITEM_MISSING)
            continue;
        ledger_order_delete(ledger, item->key, 0);
        ledger_item_set(ledger, item, ITEM_MISSING);
        ledger_entry_settle(ledger, item->from);
    }
}

void ledger_entry_count(struct ledger *ledger, struct entry *entry, int64_t amount)
{
    entry->status = ENTRY_DONE;
    entry->amount = amount;
    ledger->done++;
    ledger->amount = (int64_t)((uint64_t)ledger->amount + (uint64_t)amount);
}

void ledger_entry_uncount(struct ledger *ledger, struct entry *entry)
{
    if (entry->status != ENTRY_DONE)
        return;
    ledger->done--;
    ledger->amount = (int64_t)((uint64_t)ledger->amount - (uint64_t)entry->amount);
}

static int64_t amount_of(const struct ledger *ledger, const struct attempt *attempt)
{
    const struct scope scope = {
        .job = ledger->job, .actor = attempt->entry->actor, .state = &attempt->state};
    struct job_value value;
    char name[JOB_ACTOR_SIZE];
    if (!ledger->job->has_progress || !scope_value(&scope, ledger->job->progress, &value, name))
        return 0;
    return value.integer;
}

void ledger_entry_clear(struct ledger *ledger, struct entry *entry)
{
    empty_inbox(ledger, entry);
    delete_kept(ledger, entry);
}

/* By the attempt that has come to its end. */
static void entry_done(struct ledger *ledger, struct entry *entry, const struct attempt *ending)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_DONE);
    if (order == NULL)
        return;
    order->actor = ledger_order_text(ledger, order, entry->name);
    order->number = amount_of(ledger, ending);
    ledger_entry_count(ledger, entry, order->number);
    entry->failures = 0;
    list_remove(&entry->link);
    ledger->admitted--;
    for (int i = 0; i < ATTEMPTS; i++)
        if (entry->attempt[i] != NULL)
            ledger_attempt_end(ledger, entry->attempt[i], true);
    ledger_park_forget(ledger, entry);
    ledger_entry_clear(ledger, entry);
    ledger_items_demand(ledger, entry);
}

void ledger_entry_settle(struct ledger *ledger, struct entry *entry)
{
    const struct attempt *ending = NULL;
    if (ledger_park_settle(ledger, entry))
        return;
    for (int i = 0; i < ATTEMPTS; i++)
        if (entry->attempt[i] != NULL && entry->attempt[i]->ending)
            ending = entry->attempt[i];
    if (ending != NULL && entry->pending == 0 && entry->status == ENTRY_LIVE)
        entry_done(ledger, entry, ending);
}

/* ---- Requests ------------------------------------------------------------------------------ */

enum ordered { ORDERED, SKIPPED, IMPOSSIBLE };

static enum ordered order_receive(struct ledger *ledger, struct attempt *attempt)
{
    struct entry *from = ledger_entry_named(ledger, attempt->what.peer);
    struct item *item =
        from ? ledger_message_item(ledger, from, attempt->entry, attempt->what.name) : NULL;
    if (item == NULL)
        return IMPOSSIBLE;
    ledger_item_await(ledger, attempt, WAIT_REQUEST, item);
    ledger_order_request(ledger, attempt);
    return ORDERED;
}

static enum ordered order_get(struct ledger *ledger, struct attempt *attempt)
{
    struct item *item = ledger_item(ledger, attempt->what.key);
    if (item != NULL)
        ledger_item_await(ledger, attempt, WAIT_REQUEST, item);
    if (item == NULL || item->status == ITEM_DURABLE)
        ledger_order_request(ledger, attempt);
    return ORDERED;
}

/* What is meant for an actor that is done is not needed. */
static enum ordered order_for_peer(struct ledger *ledger, struct attempt *attempt)
{
    const char *peer = attempt->what.peer;
    struct entry *entry = peer ? ledger_entry_named(ledger, peer) : NULL;
    if (peer != NULL && entry == NULL)
        return IMPOSSIBLE;
    if (entry != NULL && entry->status == ENTRY_DONE)
        return SKIPPED;
    ledger_order_request(ledger, attempt);
    return ORDERED;
}

static enum ordered order_next(struct ledger *ledger, struct attempt *attempt)
{
    switch (attempt->what.kind) {
    case JOB_RECEIVE:
        return order_receive(ledger, attempt);
    case JOB_GET:
        return order_get(ledger, attempt);
    case JOB_SEND:
    case JOB_PUT:
        return order_for_peer(ledger, attempt);
    case JOB_RUN:
        if (ledger_park_move(ledger, attempt))
            return ORDERED;
        ledger_order_request(ledger, attempt);
        return ORDERED;
    default:
        ledger_order_request(ledger, attempt);
        return ORDERED;
    }
}

static int step(struct ledger *ledger, struct attempt *attempt,
                const struct machine_outcome *outcome, struct error *error)
{
    struct actor_state after;
    int result =
        machine_step(ledger->job, attempt->entry->actor, &attempt->state, outcome, &after, error);
    if (result == MACHINE_UNHANDLED)
        actor_state_free(&after);
    if (result < 0 || result == MACHINE_UNHANDLED)
        return result;
    actor_state_free(&attempt->state);
    attempt->state = after;
    return result;
}

static void clear_request(struct ledger *ledger, struct attempt *attempt)
{
    machine_request_free(&attempt->point_what);
    machine_request_free(&attempt->what);
    free(attempt->point_failure);
    attempt->point_failure = NULL;
    attempt->point_lost = false;
    memset(attempt->wait, 0, sizeof attempt->wait);
    attempt->point = 0;
    attempt->asked_at = attempt->waited = attempt->get_again_at = 0;
    ledger_park_called_off(ledger, attempt);
    attempt->request++;
    attempt->since = ledger->now;
    ledger_attempt_recount(ledger, attempt);
}

void ledger_attempt_advance(struct ledger *ledger, struct attempt *attempt, int result,
                            const struct error *error)
{
    const struct machine_outcome ok = {.outcome = JOB_OK};
    struct error failure = *error;
    while (result >= 0 && ledger->result == LEDGER_RUNNING) {
        clear_request(ledger, attempt);
        result = machine_request(ledger->job, attempt->entry->actor, &attempt->state,
                                 &attempt->what, &failure);
        if (result < 0)
            break;
        enum ordered ordered = order_next(ledger, attempt);
        if (ordered == IMPOSSIBLE)
            fail_missing(ledger, attempt, attempt->what.peer);
        if (ordered != SKIPPED)
            return;
        result = step(ledger, attempt, &ok, &failure);
    }
    if (result < 0)
        ledger_fail(ledger, &failure);
}

void ledger_attempt_go_on(struct ledger *ledger, struct attempt *attempt)
{
    const struct wait *wait = attempt->wait;
    for (int i = 0; i < WAITS; i++) {
        if (wait[i].item == NULL || wait[i].ordered || wait[i].item->status != ITEM_DURABLE)
            continue;
        if (i == WAIT_REQUEST)
            ledger_order_request(ledger, attempt);
        else
            ledger_order_point(ledger, attempt, false);
    }
}

/* ---- Outcomes ------------------------------------------------------------------------------ */

/* Enters what a request has made or got into the books; false where the job has failed. */
static bool enter_result(struct ledger *ledger, struct attempt *attempt,
                         const struct machine_request *what, const struct ledger_identity *identity)
{
    bool put = what->kind == JOB_PUT, sent = what->kind == JOB_SEND;
    if (!put && !sent && what->kind != JOB_RECEIVE)
        return true;
    struct entry *peer = what->peer ? ledger_entry_named(ledger, what->peer) : NULL;
    if ((put || sent) && peer != NULL && peer->status == ENTRY_DONE) {
        if (put)
            ledger_order_delete(ledger, what->key, attempt->number);
        return true;
    }
    if (!put && peer == NULL)
        return true;
    struct item *item = put    ? ledger_object_item(ledger, what->key, attempt->entry, peer)
                        : sent ? ledger_message_item(ledger, attempt->entry, peer, what->name)
                               : ledger_message_item(ledger, peer, attempt->entry, what->name);
    if (item == NULL || !ledger_item_made(ledger, item, identity, item->from))
        return false;
    if (put)
        ledger_item_adopt(ledger, item, attempt->number);
    else if (sent && item->status == ITEM_MISSING)
        ledger_item_set(ledger, item, ITEM_COMING);
    item->used |= !put && !sent;
    return true;
}

/* Only the time in which it had a core. */
static void remember_duration(struct ledger *ledger, const struct attempt *attempt,
                              const struct ledger_outcome *outcome)
{
    struct durations *durations = &ledger->durations[attempt->state.state];
    int64_t since_ordered = ledger->now - attempt->since;
    int64_t took = outcome->took_ms > 0 ? outcome->took_ms : since_ordered;
    if (took > since_ordered)
        took = since_ordered;
    took = took > attempt->waited ? took - attempt->waited : 0;
    durations->ms[durations->next] = took > INT32_MAX ? INT32_MAX : (int32_t)took;
    durations->next = (durations->next + 1) % DURATIONS;
    durations->count += durations->count < DURATIONS;
}

static void give_up(struct ledger *ledger, const struct attempt *attempt,
                    const struct ledger_outcome *outcome, const struct error *machine)
{
    const struct job_state *state = &ledger->job->state[attempt->state.state];
    const char *reason = machine->message[0] ? machine->message : outcome->reason;
    const char *printed = outcome->printed ? outcome->printed : "";
    size_t length = strlen(printed), most = 700; /* its end says most */
    struct error error;
    const char *point = attempt->point_failure;
    error_set(&error, -EIO, "actor '%s', state '%s': %s %s%s%s%s%s%s%s", attempt->entry->name,
              state->name, job_kind_name(state->request.kind), job_outcome_name(outcome->outcome),
              point ? ": " : "", point ? point : "", reason && *reason ? ": " : "",
              reason ? reason : "", *printed ? "; it printed:\n" : "",
              length > most ? printed + length - most : printed);
    ledger_fail(ledger, &error);
}

/* The attempt is over: the actor begins again elsewhere, unless that has happened too often. */
static void attempt_failed(struct ledger *ledger, struct attempt *attempt,
                           const struct ledger_outcome *outcome, const struct error *machine)
{
    struct entry *entry = attempt->entry;
    int most = ledger->limits.failures > 0 ? ledger->limits.failures : 3;
    bool same =
        entry->failed_state == attempt->state.state && entry->failed_outcome == outcome->outcome;
    entry->failures = same ? entry->failures : 0;
    entry->failed_on[entry->failures++ % FAILED_ON] = attempt->seat ? attempt->seat->worker : 0;
    entry->failed_state = attempt->state.state;
    entry->failed_outcome = outcome->outcome;
    if (entry->failures >= most)
        give_up(ledger, attempt, outcome, machine);
    ledger_park_forget(ledger, entry);
    ledger_attempt_end(ledger, attempt, true);
}

/* What was to be there is not: it is made again. */
static bool is_lost(struct ledger *ledger, struct item *item)
{
    if (item == NULL || item->status != ITEM_DURABLE || item->losses >= LOSSES)
        return false;
    ledger_item_lost(ledger, item);
    return true;
}

/* And asked for again, also where a command had done so at a point, which it has not survived. */
static bool ask_again(struct ledger *ledger, struct attempt *attempt)
{
    struct error error = {0};
    if (!attempt->point_lost && !is_lost(ledger, attempt->wait[WAIT_REQUEST].item))
        return false;
    ledger_attempt_advance(ledger, attempt, MACHINE_REQUEST, &error);
    return true;
}

/* After a restart it may be that a message was remembered, and an object that it speaks of was not: who makes
 * that does so again, and until then nothing is known of it. */
static bool put_off(struct ledger *ledger, struct attempt *attempt)
{
    if (attempt->what.kind != JOB_GET || ledger->attempts_before == 0 ||
        attempt->wait[WAIT_REQUEST].item != NULL)
        return false;
    if (attempt->unknown_since == 0)
        attempt->unknown_since = ledger->now;
    if (ledger->now - attempt->unknown_since > UNKNOWN_MS)
        return false;
    attempt->get_again_at = ledger->now + GET_AGAIN_MS;
    return true;
}

void ledger_attempt_get_again(struct ledger *ledger, struct attempt *attempt)
{
    struct error error = {0};
    if (attempt->get_again_at == 0 || ledger->now < attempt->get_again_at)
        return;
    attempt->get_again_at = 0;
    ledger_attempt_advance(ledger, attempt, MACHINE_REQUEST, &error);
}

static void request_ended(struct ledger *ledger, struct attempt *attempt,
                          const struct ledger_outcome *outcome)
{
    struct error error = {0};
    bool ok = outcome->outcome == JOB_OK;
    if (ok && !enter_result(ledger, attempt, &attempt->what, outcome->identity))
        return;
    if (attempt->what.kind == JOB_RUN && ok) {
        remember_duration(ledger, attempt, outcome);
        ledger_life_forget_cuts(attempt->entry);
    }
    if (attempt->what.kind == JOB_QUIT && ok) {
        attempt->ending = true;
        ledger_attempt_leave(attempt);
        return;
    }
    if (outcome->outcome == JOB_FAILED && (ask_again(ledger, attempt) || put_off(ledger, attempt)))
        return;
    attempt->unknown_since = 0;
    if (attempt->what.kind == JOB_QUIT) {
        attempt_failed(ledger, attempt, outcome, &error);
        return;
    }
    const struct machine_outcome what = {outcome->outcome, outcome->content, outcome->length};
    int result = step(ledger, attempt, &what, &error);
    if (result == MACHINE_UNHANDLED)
        attempt_failed(ledger, attempt, outcome, &error);
    else
        ledger_attempt_advance(ledger, attempt, result, &error);
}

static bool lacks_identity(const struct machine_request *what, const struct ledger_outcome *outcome)
{
    return outcome->outcome == JOB_OK && outcome->identity == NULL &&
           (what->kind == JOB_PUT || what->kind == JOB_SEND || what->kind == JOB_RECEIVE);
}

static const struct ledger_outcome nameless = {
    .outcome = JOB_FAILED, .reason = "the worker does not say what the bytes are"};

void ledger_outcome(struct ledger *ledger, const struct ledger_call *call,
                    const struct ledger_outcome *outcome, int64_t now)
{
    struct attempt *attempt = ledger_attempt_at(ledger, call);
    ledger->now = now;
    if (attempt == NULL || attempt->ending || attempt->packed || ledger->result != LEDGER_RUNNING)
        return;
    if (attempt->unparking || attempt->stowing) {
        if (attempt->unparking)
            ledger_park_resumed(ledger, attempt, outcome->outcome == JOB_OK);
        else
            ledger_park_stays(ledger, attempt);
        ledger_schedule(ledger);
        return;
    }
    struct entry *entry = attempt->entry;
    request_ended(ledger, attempt, lacks_identity(&attempt->what, outcome) ? &nameless : outcome);
    ledger_entry_settle(ledger, entry);
    ledger_schedule(ledger);
}

/* ---- Points -------------------------------------------------------------------------------- */

static void end_point(struct ledger *ledger, struct attempt *attempt)
{
    if (attempt->point != 0)
        attempt->waited += ledger->now - attempt->asked_at;
    ledger_park_called_off(ledger, attempt);
    machine_request_free(&attempt->point_what);
    attempt->wait[WAIT_POINT] = (struct wait){0};
    attempt->point = 0;
    ledger_attempt_recount(ledger, attempt);
}

static void refuse(struct ledger *ledger, struct attempt *attempt, const char *why)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_REFUSE);
    if (order == NULL)
        return;
    ledger_order_to(ledger, order, attempt);
    order->text = ledger_order_text(ledger, order, why);
    end_point(ledger, attempt);
}

static int fill_point(struct attempt *attempt, const char *name, int64_t number,
                      struct error *error)
{
    const struct machine_request *run = &attempt->what;
    for (int i = 0; i < run->points; i++) {
        const struct machine_point *point = &run->point[i];
        if (strcmp(point->name, name) != 0)
            continue;
        if (point->numbered != (number >= 0))
            return error_set(error, -EINVAL, "point '%s' comes %s a number", name,
                             point->numbered ? "with" : "without");
        if (point->numbered && number >= JOB_MOST_ACTORS)
            return error_set(error, -EINVAL, "point '%s': the number is too large", name);
        if (point->numbered)
            return machine_number(point, number, &attempt->point_what, error);
        attempt->point_what = point->request;
        attempt->point_what.arena = (struct arena){0};
        return 0;
    }
    return error_set(error, -EINVAL, "there is no point '%s'", name);
}

static void point_close(struct ledger *ledger, struct attempt *attempt, int64_t number)
{
    const char *family = attempt->point_what.family;
    for (int group = 0; group < ledger->job->groups; group++) {
        if (strcmp(ledger->job->group[group].name, family) != 0)
            continue;
        struct ledger_order *order = ledger_order_new(ledger, LEDGER_CLOSE);
        if (order == NULL)
            return;
        order->actor = ledger_order_text(ledger, order, family);
        order->number = number;
        ledger_order_point(ledger, attempt, true);
        ledger_close(ledger, group, number);
        return;
    }
}

static void point_take(struct ledger *ledger, struct attempt *attempt)
{
    const struct machine_request *what = &attempt->point_what;
    struct item *item = NULL;
    if (what->kind == JOB_RECEIVE) {
        struct entry *from = ledger_entry_named(ledger, what->peer);
        if (from == NULL) {
            refuse(ledger, attempt, "there is no actor of that name");
            return;
        }
        item = ledger_message_item(ledger, from, attempt->entry, what->name);
        if (item == NULL)
            return;
    } else {
        item = ledger_item(ledger, what->key);
    }
    if (item != NULL)
        ledger_item_await(ledger, attempt, WAIT_POINT, item);
    if (item == NULL || item->is_message || item->status == ITEM_DURABLE)
        ledger_order_point(ledger, attempt, false);
}

static void point_give(struct ledger *ledger, struct attempt *attempt)
{
    const char *peer = attempt->point_what.peer;
    struct entry *entry = peer ? ledger_entry_named(ledger, peer) : NULL;
    if (peer != NULL && entry == NULL)
        refuse(ledger, attempt, "there is no actor of that name");
    else
        ledger_order_point(ledger, attempt, entry != NULL && entry->status == ENTRY_DONE);
}

static void point_needed(struct ledger *ledger, struct attempt *attempt)
{
    const struct entry *entry = ledger_entry_named(ledger, attempt->point_what.peer);
    if (entry == NULL)
        refuse(ledger, attempt, "there is no actor of that name");
    else
        ledger_order_point(ledger, attempt, false);
}

static void repeat_point(struct ledger *ledger, struct attempt *attempt)
{
    if (attempt->wait[WAIT_POINT].ordered)
        ledger_order_point(ledger, attempt, attempt->point_what.kind == JOB_CLOSE);
}

void ledger_point(struct ledger *ledger, const struct ledger_call *call, uint32_t point,
                  const char *name, int64_t number, int64_t now)
{
    struct attempt *attempt = ledger_attempt_at(ledger, call);
    struct error error;
    ledger->now = now;
    if (attempt == NULL || attempt->what.kind != JOB_RUN || ledger->result != LEDGER_RUNNING)
        return;
    if (attempt->point == point) {
        repeat_point(ledger, attempt);
        return;
    }
    end_point(ledger, attempt);
    attempt->point = point;
    attempt->asked_at = now;
    if (fill_point(attempt, name, number, &error) < 0)
        refuse(ledger, attempt, error.message);
    else if (attempt->point_what.kind == JOB_CLOSE)
        point_close(ledger, attempt, number);
    else if (attempt->point_what.kind == JOB_NEEDED)
        point_needed(ledger, attempt);
    else if (attempt->point_what.kind == JOB_RECEIVE || attempt->point_what.kind == JOB_GET)
        point_take(ledger, attempt);
    else
        point_give(ledger, attempt);
    ledger_schedule(ledger);
}

/* Its process only learns that it does not get what it asked for; people want to know why. */
static void remember_point_failure(struct attempt *attempt, const struct ledger_outcome *outcome)
{
    const char *reason = outcome->reason ? outcome->reason : "";
    free(attempt->point_failure);
    if (asprintf(&attempt->point_failure, "%s at a point %s%s%s",
                 job_kind_name(attempt->point_what.kind), job_outcome_name(outcome->outcome),
                 *reason ? ": " : "", reason) < 0)
        attempt->point_failure = NULL;
}

void ledger_point_outcome(struct ledger *ledger, const struct ledger_call *call, uint32_t point,
                          const struct ledger_outcome *outcome, int64_t now)
{
    struct attempt *attempt = ledger_attempt_at(ledger, call);
    ledger->now = now;
    if (attempt == NULL || attempt->point != point || ledger->result != LEDGER_RUNNING)
        return;
    struct item *item = attempt->wait[WAIT_POINT].item;
    if (outcome->outcome == JOB_OK && !lacks_identity(&attempt->point_what, outcome))
        enter_result(ledger, attempt, &attempt->point_what, outcome->identity);
    else if (!outcome->cancelled)
        attempt->point_lost = is_lost(ledger, item);
    if (outcome->outcome != JOB_OK && !outcome->cancelled)
        remember_point_failure(attempt, outcome);
    end_point(ledger, attempt);
    ledger_schedule(ledger);
}
