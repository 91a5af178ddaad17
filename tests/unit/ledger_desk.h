/* A desk on which all orders of a ledger lie, for the tests of its rules. */
#ifndef LEDGER_DESK_H
#define LEDGER_DESK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mu/job_file.h"
#include "mu/ledger.h"

enum { MOST_ORDERS = 512 };

struct desk {
    struct job *job;
    struct ledger *ledger;
    struct ledger_order order[MOST_ORDERS];
    int count;
    int64_t now;
};

/* The ledger of a job, given as its file's text. `limits` may be NULL. */
struct desk *desk_new(const char *text, const struct ledger_limits *limits);
void desk_free(struct desk *desk);

/* Lays all orders that there are on it. */
void desk_take_orders(struct desk *desk);
/* The first order of this kind for this actor that was not looked at before; NULL where there is none. */
struct ledger_order *desk_find(struct desk *desk, enum ledger_kind kind, const char *actor);
/* The same, which must be there; it is done with. The strings in it stay. */
struct ledger_order desk_take(struct desk *desk, enum ledger_kind kind, const char *actor);
void desk_assert_none(struct desk *desk, enum ledger_kind kind, const char *actor);
struct ledger_call desk_call(const struct ledger_order *order);
struct ledger_identity desk_identity(const char *text);

/* The actor's request at hand, of this kind, ends so. */
struct ledger_order desk_end(struct desk *desk, const char *actor, enum job_kind kind,
                             enum job_outcome how);
/* A worker with one slot comes. */
void desk_join(struct desk *desk, uint32_t worker);
/* The copy of a message becomes durable. */
void desk_store(struct desk *desk, const struct ledger_order *sent);

void desk_assert_failed(struct desk *desk, const char *with);
void desk_assert_running(struct desk *desk);

#define JOB(actors, start, states)                                                                 \
    "{\"format\": 1, \"job\": \"rules\", \"actors\": [" actors                                     \
    "], \"machine\": {\"start\": [" start "], \"states\": {" states                                \
    ", \"done\": {\"quit\": {}}}}}"
#define WHERE(variable, value, to)                                                                 \
    "{\"if\": {\"variable\": \"" variable "\", \"is\": \"" value "\"}, \"to\": \"" to "\"}, "

#endif
