#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/ledger_private.h"

static void no_memory(struct ledger *ledger)
{
    struct error error;
    error_set(&error, -ENOMEM, "out of memory");
    ledger_fail(ledger, &error);
}

struct ledger_order *ledger_order_new(struct ledger *ledger, enum ledger_kind kind)
{
    struct queued_order *queued = calloc(1, sizeof *queued);
    if (queued == NULL) {
        no_memory(ledger);
        return NULL;
    }
    queued->order.kind = kind;
    *ledger->last = queued;
    ledger->last = &queued->next;
    return &queued->order;
}

const char *ledger_order_text(struct ledger *ledger, struct ledger_order *order, const char *text)
{
    if (text == NULL)
        return NULL;
    const char *copy = arena_copy(&order->arena, text, strlen(text));
    if (copy == NULL)
        no_memory(ledger);
    return copy == NULL ? "" : copy;
}

void ledger_order_to(struct ledger *ledger, struct ledger_order *order,
                     const struct attempt *attempt)
{
    order->worker = attempt->seat->worker;
    order->actor = ledger_order_text(ledger, order, attempt->entry->name);
    order->attempt = attempt->number;
    order->request = attempt->request;
    order->point = attempt->point;
}

void ledger_order_item(struct ledger *ledger, struct ledger_order *order, const struct item *item)
{
    order->key = ledger_order_text(ledger, order, item->key);
    order->identity = item->identity;
    if (item->is_message) {
        order->peer = ledger_order_text(ledger, order, item->from->name);
        order->name = ledger_order_text(ledger, order, item->name);
        order->actor = ledger_order_text(ledger, order, item->to->name);
    } else {
        order->actor = ledger_order_text(ledger, order, item->from->name);
        order->peer = item->to ? ledger_order_text(ledger, order, item->to->name) : NULL;
    }
}

void ledger_order_delete(struct ledger *ledger, const char *key, uint32_t attempt)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_DELETE);
    if (order == NULL)
        return;
    order->key = ledger_order_text(ledger, order, key);
    order->attempt = attempt;
}

/* What is to be got is checked against what was put. */
static void identify(struct ledger *ledger, struct ledger_order *order)
{
    const struct item *item =
        order->what.kind == JOB_GET ? ledger_item(ledger, order->what.key) : NULL;
    if (item == NULL || !item->known)
        return;
    order->identified = true;
    order->identity = item->identity;
}

void ledger_order_request(struct ledger *ledger, struct attempt *attempt)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_REQUEST);
    struct error error = {0};
    if (order == NULL)
        return;
    ledger_order_to(ledger, order, attempt);
    attempt->wait[WAIT_REQUEST].ordered = true;
    attempt->at_once = ledger_commands_of(attempt->seat) <= attempt->seat->slots;
    if (machine_request(ledger->job, attempt->entry->actor, &attempt->state, &order->what, &error) <
        0)
        ledger_fail(ledger, &error);
    else
        identify(ledger, order);
}

static enum ledger_need need_of(const struct entry *entry)
{
    return entry == NULL || entry->status == ENTRY_DONE ? LEDGER_NEED_NONE
           : entry->status == ENTRY_IDLE                ? LEDGER_NEED_LATER
                                                        : LEDGER_NEED_NOW;
}

void ledger_order_point(struct ledger *ledger, struct attempt *attempt, bool nothing)
{
    struct ledger_order *order = ledger_order_new(ledger, LEDGER_POINT);
    if (order == NULL)
        return;
    ledger_order_to(ledger, order, attempt);
    attempt->wait[WAIT_POINT].ordered = true;
    const struct machine_request *what = &attempt->point_what;
    if (what->kind == JOB_NEEDED)
        order->number = need_of(ledger_entry_named(ledger, what->peer));
    order->what = (struct machine_request){
        .kind = nothing ? JOB_CLOSE : what->kind,
        .key = ledger_order_text(ledger, order, what->key),
        .file = ledger_order_text(ledger, order, what->file),
        .text = ledger_order_text(ledger, order, what->text),
        .peer = ledger_order_text(ledger, order, what->peer),
        .name = ledger_order_text(ledger, order, what->name),
        .move = what->move,
        .by_url = what->by_url,
        .priority = attempt->what.priority,
    };
    if (!nothing)
        identify(ledger, order);
}

bool ledger_order(struct ledger *ledger, struct ledger_order *order)
{
    struct queued_order *queued = ledger->first;
    if (queued == NULL)
        return false;
    *order = queued->order;
    ledger->first = queued->next;
    if (ledger->first == NULL)
        ledger->last = &ledger->first;
    free(queued);
    return true;
}

void ledger_order_free(struct ledger_order *order)
{
    machine_request_free(&order->what);
    arena_free(&order->arena);
}

void ledger_orders_free(struct ledger *ledger)
{
    struct ledger_order order;
    while (ledger_order(ledger, &order))
        ledger_order_free(&order);
}
