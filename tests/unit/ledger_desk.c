#include "ledger_desk.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct desk *desk_new(const char *text, const struct ledger_limits *limits)
{
    static const struct ledger_limits usual;
    struct desk *desk = calloc(1, sizeof *desk);
    struct error error = {0};
    if (job_file_parse("job", text, strlen(text), NULL, 0, &desk->job, &error) < 0)
        fail_msg("%s", error.message);
    desk->ledger = ledger_new(desk->job, limits ? limits : &usual);
    assert_non_null(desk->ledger);
    return desk;
}

void desk_free(struct desk *desk)
{
    for (int i = 0; i < desk->count; i++)
        ledger_order_free(&desk->order[i]);
    ledger_free(desk->ledger);
    job_free(desk->job);
    free(desk);
}

void desk_take_orders(struct desk *desk)
{
    while (desk->count < MOST_ORDERS && ledger_order(desk->ledger, &desk->order[desk->count]))
        desk->count++;
    assert_true(desk->count < MOST_ORDERS);
}

struct ledger_order *desk_find(struct desk *desk, enum ledger_kind kind, const char *actor)
{
    desk_take_orders(desk);
    for (int i = 0; i < desk->count; i++) {
        struct ledger_order *order = &desk->order[i];
        if (order->kind == kind && order->actor != NULL && strcmp(order->actor, actor) == 0)
            return order;
    }
    return NULL;
}

struct ledger_order desk_take(struct desk *desk, enum ledger_kind kind, const char *actor)
{
    struct ledger_order *order = desk_find(desk, kind, actor);
    if (order == NULL)
        fail_msg("no order of kind %d for %s", (int)kind, actor);
    struct ledger_order taken = *order;
    order->kind = (enum ledger_kind) - 1;
    return taken;
}

void desk_assert_none(struct desk *desk, enum ledger_kind kind, const char *actor)
{
    assert_null(desk_find(desk, kind, actor));
}

struct ledger_call desk_call(const struct ledger_order *order)
{
    return (struct ledger_call){order->actor, order->attempt, order->request};
}

struct ledger_identity desk_identity(const char *text)
{
    struct ledger_identity identity = {.size = strlen(text)};
    memcpy(identity.sha256, text, identity.size < 32 ? identity.size : 32);
    return identity;
}

struct ledger_order desk_end(struct desk *desk, const char *actor, enum job_kind kind,
                             enum job_outcome how)
{
    struct ledger_order order = desk_take(desk, LEDGER_REQUEST, actor);
    const struct ledger_identity identity = desk_identity(order.what.name ? order.what.name : "x");
    const struct ledger_call call = desk_call(&order);
    const struct ledger_outcome outcome = {
        .outcome = how, .identity = &identity, .reason = "bad luck"};
    assert_int_equal(order.what.kind, kind);
    ledger_outcome(desk->ledger, &call, &outcome, desk->now);
    return order;
}

void desk_join(struct desk *desk, uint32_t worker)
{
    ledger_joined(desk->ledger, worker, 1, 0, desk->now);
}

void desk_store(struct desk *desk, const struct ledger_order *sent)
{
    const struct ledger_label label = {sent->actor, sent->what.peer, sent->what.name};
    const struct ledger_identity identity = desk_identity(sent->what.name);
    const struct ledger_call call = desk_call(sent);
    char key[JOB_MOST_PATH + 1];
    ledger_stored(desk->ledger, &call, &label, &identity, desk->now);
    ledger_message_key(&label, key);
    ledger_adopted(desk->ledger, key, sent->attempt, 0, desk->now);
}

void desk_assert_failed(struct desk *desk, const char *with)
{
    struct error error = {0};
    assert_int_equal(ledger_result(desk->ledger, &error), LEDGER_FAILED);
    if (strstr(error.message, with) == NULL)
        fail_msg("'%s' without '%s'", error.message, with);
}

void desk_assert_running(struct desk *desk)
{
    struct error error = {.message = "finished"};
    if (ledger_result(desk->ledger, &error) != LEDGER_RUNNING)
        fail_msg("%s", error.message);
}
