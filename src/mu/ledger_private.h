/* The parts of a ledger: actors with their attempts, workers, messages, objects, orders. */
#ifndef MU_LEDGER_PRIVATE_H
#define MU_LEDGER_PRIVATE_H

#include "mu/hash_table.h"
#include "mu/ledger.h"
#include "net/list.h"

enum {
    ATTEMPTS = 2,   /* of an actor at once: the second where the first is slow */
    DURATIONS = 64, /* of commands of a kind that are remembered, the latest */
    STRAGGLER_KNOWN = 5,
    STRAGGLER_FACTOR = 3,
    STRAGGLER_LEAST_MS = 2000,
    FAILED_ON = 8, /* workers that an actor failed on, the latest: it goes elsewhere if it can */
    PARK_EXPIRES_MS = 60000, /* until a worker that was to park an actor is asked once more */
    LOSSES = 3,              /* of one message or object, until what wants it fails */
    GET_AGAIN_MS = 250,      /* until an object that nobody has heard of is asked for again */
    UNKNOWN_MS = 60000,      /* ... until it is taken for one that nobody makes */
    CUTS = 10, /* of an actor's command by the ends of its workers, in a row, until the job fails */
    LONG_CUTS = 2, /* ... of workers that had had time for it */
};

/* A worker. */
struct seat {
    struct list_link link;
    uint32_t worker;
    int slots, load; /* load: attempts that it has */
    bool retiring;
    int64_t until;             /* its commands should have ended; 0: no limit */
    int64_t life;              /* what was left until then when it came */
    int64_t idle_since;        /* all of its actors wait; 0: not all do */
    struct list_link attempts; /* struct attempt.of_seat */
};

enum entry_status {
    ENTRY_IDLE,   /* not admitted yet */
    ENTRY_READY,  /* waits for a worker; in ledger->ready */
    ENTRY_LIVE,   /* has attempts; in ledger->live */
    ENTRY_PARKED, /* waits in the store; in ledger->parked */
    ENTRY_DONE,
};

/* What is left of an attempt that was parked. It is kept until the actor is done or parked again, for to begin
 * from it is better than from the start. */
struct parked {
    uint32_t attempt;
    struct ledger_identity identity;
    struct actor_state state;
    struct item *item; /* what it waits for; NULL where that is nothing, or not known yet */
    char *from, *name; /* the same in words, as remembered; or NULL */
};

/* An actor. */
struct entry {
    struct hash_link hash;
    struct list_link link;
    struct actor actor;
    char name[JOB_ACTOR_SIZE];
    enum entry_status status;
    uint32_t attempts_made;
    int64_t amount; /* when it is done */
    struct attempt *attempt[ATTEMPTS];
    struct parked *parked; /* NULL: it begins at the start */
    int pending;           /* messages and objects of its own that are not durable yet */
    int failures;          /* in a row at the same state with the same outcome */
    int failed_state;
    enum job_outcome failed_outcome;
    uint32_t failed_on[FAILED_ON]; /* [failures modulo FAILED_ON] is the next to be overwritten */
    /* Where its command was ended with its worker, how often in a row, and how often of these it had had time
     * for it; how long it had run then at least. */
    int cut_state, cuts, long_cuts;
    int64_t cut_ms;
    struct list_link made;  /* struct item.of_maker */
    struct list_link inbox; /* struct item.link of messages to it */
    struct list_link kept;  /* and of objects that are kept until it is done */
};

enum item_status {
    ITEM_MISSING, /* nobody has made it, or it is lost */
    ITEM_COMING,  /* it is there, and not yet durable */
    ITEM_DURABLE,
};

/* A message or an object. */
struct item {
    struct hash_link hash;
    struct list_link link; /* in the inbox of `to`, or what is kept for it */
    struct list_link of_maker;
    bool is_message;
    struct entry *from, *to; /* to: NULL of an object that is kept for ever */
    char *key;               /* the message's copy */
    char *name;              /* of the message */
    enum item_status status;
    bool known; /* its identity */
    struct ledger_identity identity;
    int64_t durable_at;
    int adopting; /* orders to do so that are under way */
    bool used;    /* its receiver has had it */
    bool again;   /* its maker was run again for it */
    int losses;
};

/* What an attempt, or a point of its command, waits for. */
struct wait {
    struct item *item; /* NULL: nothing */
    int64_t since;
    bool ordered; /* the request is out */
    bool fetched;
};

enum { WAIT_REQUEST, WAIT_POINT, WAITS };

struct attempt {
    struct list_link of_seat;
    struct entry *entry;
    struct seat *seat;
    uint32_t number;
    struct actor_state state;
    struct machine_request what; /* the request at hand; while not ending */
    uint64_t request;
    int64_t since;
    bool ending;     /* the worker has let it go; some of what it made is not durable yet */
    bool counted;    /* among ledger->waiting */
    bool reached;    /* the worker says, back again, that it has the request */
    bool unparking;  /* its first request is to take what was parked */
    bool resumed;    /* it goes on from where it was parked, and has not run a command since */
    int64_t parking; /* when the worker was told to park it; 0: it was not */
    bool makes_room; /* so that others find room there: among ledger->parking */
    bool stowing;    /* the worker was told to park it instead of its command */
    bool stays;      /* that did not go well */
    bool at_once;    /* of a command: there was a core for it when it was ordered */
    bool packed;     /* it has; some of what it made is not durable yet */
    struct ledger_identity packed_identity;
    uint32_t point;           /* asked for; 0: none */
    int64_t asked_at, waited; /* at points of the run at hand */
    struct machine_request point_what;
    int64_t unknown_since; /* what it is to get has not been heard of since; 0: it has */
    int64_t get_again_at;  /* 0: nothing is put off */
    char *point_failure;   /* why a point of the run at hand ended badly; NULL: none did */
    bool point_lost;       /* because what it was to bring is lost, and will be made again */
    struct wait wait[WAITS];
};

struct durations {
    int count, next;
    int32_t ms[DURATIONS];
};

struct queued_order {
    struct queued_order *next;
    struct ledger_order order;
};

struct ledger {
    const struct job *job;
    struct ledger_limits limits;
    uint32_t attempts_before;
    struct hash_table entries, items;
    struct list_link seats, ready, live, parked;
    int64_t *count;    /* [job->groups]: members; -1 while not known */
    struct actor next; /* to be admitted */
    int64_t admitted;  /* ready or live */
    int64_t done, amount, attempts, waiting, parked_count;
    int parking; /* attempts that were told to be parked so that others find room */
    bool looked; /* for what those that were remembered as parked wait for */
    int coming;  /* items that are being made durable */
    int slots, workers, retiring;
    int expected;                /* slots that are on their way */
    struct durations *durations; /* [job->states] */
    struct queued_order *first, **last;
    int64_t now;
    enum ledger_result result;
    struct error failure;
};

/* ledger_find.c */
struct entry *ledger_entry(struct ledger *ledger,
                           struct actor actor); /* makes it; NULL: no memory */
struct entry *ledger_entry_named(struct ledger *ledger,
                                 const char *name); /* NULL where the job has none */
struct seat *ledger_seat(struct ledger *ledger, uint32_t worker);
struct attempt *ledger_attempt_at(struct ledger *ledger, const struct ledger_call *call);
struct item *ledger_item(struct ledger *ledger, const char *key);
/* The item, made where it is not there; NULL when that failed the job. */
struct item *ledger_message_item(struct ledger *ledger, struct entry *from, struct entry *to,
                                 const char *name);
struct item *ledger_object_item(struct ledger *ledger, const char *key, struct entry *maker,
                                struct entry *kept);
void ledger_item_forget(struct ledger *ledger, struct item *item);
/* False where the family has ended before it. */
bool ledger_has_actor(const struct ledger *ledger, struct actor actor);

/* ledger_order.c: NULL, and the job has failed, where there is no memory. */
struct ledger_order *ledger_order_new(struct ledger *ledger, enum ledger_kind kind);
const char *ledger_order_text(struct ledger *ledger, struct ledger_order *order, const char *text);
void ledger_order_to(struct ledger *ledger, struct ledger_order *order,
                     const struct attempt *attempt);
void ledger_order_item(struct ledger *ledger, struct ledger_order *order, const struct item *item);
void ledger_order_delete(struct ledger *ledger, const char *key, uint32_t attempt);
void ledger_order_request(struct ledger *ledger, struct attempt *attempt);
void ledger_order_point(struct ledger *ledger, struct attempt *attempt, bool nothing);
void ledger_orders_free(struct ledger *ledger);

/* ledger_item.c */
/* It was made; fails the job where it is not what it was before. False then. */
bool ledger_item_made(struct ledger *ledger, struct item *item,
                      const struct ledger_identity *identity, const struct entry *maker);
void ledger_item_set(struct ledger *ledger, struct item *item, enum item_status status);
/* Orders that what this attempt has put is adopted. */
void ledger_item_adopt(struct ledger *ledger, struct item *item, uint32_t attempt);
/* The maker has ended without: what is not on its way into the store any more is to be made again. */
void ledger_items_revert(struct ledger *ledger, struct entry *maker);
/* The maker is done: it is run again where somebody waits for what is missing. */
void ledger_items_demand(struct ledger *ledger, struct entry *maker);
/* Its maker runs again if it is done, and this is missing. */
void ledger_item_demand(struct ledger *ledger, struct item *item);
/* Its copy is gone: it is to be made again. */
void ledger_item_lost(struct ledger *ledger, struct item *item);
/* Makes `attempt` wait for it; its maker runs again if nobody else would make it. */
void ledger_item_await(struct ledger *ledger, struct attempt *attempt, int wait, struct item *item);

/* ledger_step.c */
/* Asks again for an object that was not there, where the time for that has come. */
void ledger_attempt_get_again(struct ledger *ledger, struct attempt *attempt);
/* Does what the machine says next. */
void ledger_attempt_advance(struct ledger *ledger, struct attempt *attempt, int result,
                            const struct error *error);
/* It is done, and has done this much; or is so no more. */
void ledger_entry_count(struct ledger *ledger, struct entry *entry, int64_t amount);
void ledger_entry_uncount(struct ledger *ledger, struct entry *entry);
/* What was made for it goes: it needs nothing any more. The copies of messages are not its business. */
void ledger_entry_clear(struct ledger *ledger, struct entry *entry);
/* The actor is done if nothing is pending. */
void ledger_entry_settle(struct ledger *ledger, struct entry *entry);
/* Sends what was held back until its object was there. */
void ledger_attempt_go_on(struct ledger *ledger, struct attempt *attempt);

/* ledger_schedule.c */
void ledger_attempt_start(struct ledger *ledger, struct entry *entry, struct seat *seat);
/* Ends the attempt; the actor is run again if it has no other. `drop`: the worker is told. */
void ledger_attempt_end(struct ledger *ledger, struct attempt *attempt, bool drop);
/* It has no worker any more. */
void ledger_attempt_leave(struct attempt *attempt);
void ledger_attempt_recount(struct ledger *ledger, struct attempt *attempt);
void ledger_entry_ready(struct ledger *ledger, struct entry *entry);
/* Whether it is at a command, and not at a point of that. */
bool ledger_attempt_runs(const struct attempt *attempt);
/* Commands that its actors are at. */
int ledger_commands_of(const struct seat *seat);
/* Of the durations of commands of a kind; 0 where fewer than `least` are known. */
int64_t ledger_median(const struct durations *durations, int least);
/* Actors under way at once. */
int64_t ledger_window(const struct ledger *ledger);
/* The first actor that was never admitted; false where there is none. */
bool ledger_find_next(struct ledger *ledger, struct entry **entry);
bool ledger_comes_before(const struct entry *a, const struct entry *b);
/* Starts what can be started; finds out that nothing goes on. After each happening. */
void ledger_schedule(struct ledger *ledger);
void ledger_stragglers(struct ledger *ledger);

/* ledger_park.c */
bool ledger_seat_has_room(const struct ledger *ledger, const struct seat *seat);
bool ledger_any_room(const struct ledger *ledger);
/* Where its next command is better run elsewhere: has it parked, and returns true. */
bool ledger_park_move(struct ledger *ledger, struct attempt *attempt);
/* Goes on with an actor that was parked: the attempt's first request. */
void ledger_park_resume(struct ledger *ledger, struct attempt *attempt);
/* The next attempt begins at the start. */
void ledger_park_forget(struct ledger *ledger, struct entry *entry);
/* The same, also for one that is parked or about to go on. */
void ledger_park_restart(struct ledger *ledger, struct entry *entry);
/* An attempt that was to be parked has ended, or goes on. */
void ledger_park_called_off(struct ledger *ledger, struct attempt *attempt);
void ledger_park_free(struct entry *entry);
/* The outcome of an attempt's first request. */
void ledger_park_resumed(struct ledger *ledger, struct attempt *attempt, bool ok);
/* It could not be parked between two requests: it goes on. */
void ledger_park_stays(struct ledger *ledger, struct attempt *attempt);
/* The actor is parked if nothing of its own is pending; true then. */
bool ledger_park_settle(struct ledger *ledger, struct entry *entry);
/* What it waits for has come. */
void ledger_park_wake(struct ledger *ledger, struct entry *entry, const struct item *item);
/* Says it again to a worker that is back. */
void ledger_park_repeat(struct ledger *ledger, struct attempt *attempt);
/* Parks whom it must; returns false where that cannot help those that are ready. */
bool ledger_park_some(struct ledger *ledger);
/* What actors that were parked before wait for, when all is remembered. */
void ledger_park_look(struct ledger *ledger);

/* ledger_life.c: workers with little time */
/* Whether the worker has time for the actor's next command, as far as is known; where none could have enough,
 * whether it has about as much as one that comes. */
bool ledger_life_fits(const struct ledger *ledger, const struct seat *seat,
                      const struct entry *entry, const struct actor_state *state);
/* The attempt ends with its worker. */
void ledger_life_cut(struct ledger *ledger, const struct attempt *attempt);
/* It has come to the end of a command. */
void ledger_life_forget_cuts(struct entry *entry);
void ledger_life_retire(struct ledger *ledger, struct seat *seat);
/* Retires those whose time is over, or who are of no more use. */
void ledger_life_tick(struct ledger *ledger);

/* ledger_close.c: the members of a family are known; those behind the last one end. */
void ledger_close(struct ledger *ledger, int group, int64_t count);

#endif
