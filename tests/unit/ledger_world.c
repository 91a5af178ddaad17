#include "ledger_world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint32_t draw(struct world *world, uint32_t below)
{
    world->random = world->random * 1664525u + 1013904223u;
    return (world->random >> 8) % below;
}

struct ledger_identity world_identity(const char *text)
{
    struct ledger_identity identity = {.size = strlen(text)};
    for (size_t i = 0; text[i] != '\0'; i++)
        identity.sha256[i % 32] = (uint8_t)(identity.sha256[i % 32] * 31 + text[i]);
    return identity;
}

static struct happening *expect(struct world *world)
{
    assert_true(world->count < MOST);
    struct happening *happening = &world->happening[world->count++];
    memset(happening, 0, sizeof *happening);
    return happening;
}

static void forget(struct world *world, int i)
{
    world->happening[i] = world->happening[--world->count];
}

static bool listed(char (*list)[300], int count, const char *text)
{
    for (int i = 0; i < count; i++)
        if (strcmp(list[i], text) == 0)
            return true;
    return false;
}

bool world_has(const struct world *world, const char *key)
{
    for (int i = 0; i < world->durable_count; i++)
        if (strcmp(world->durable[i], key) == 0)
            return true;
    return false;
}

static void label_text(char text[300], const char *from, const char *to, const char *name)
{
    snprintf(text, 300, "%s %s %s", from, to, name);
}

/* ---- Orders -------------------------------------------------------------------------------- */

static void take_request(struct world *world, const struct ledger_order *order)
{
    struct happening *happening = expect(world);
    const struct machine_request *what = &order->what;
    bool is_point = order->kind == LEDGER_POINT;
    happening->what = is_point ? POINT : REQUEST;
    happening->worker = order->worker;
    happening->attempt = order->attempt;
    happening->request = order->request;
    happening->point = is_point ? order->point : 0;
    happening->kind = what->kind;
    snprintf(happening->actor, sizeof happening->actor, "%s", order->actor);
    snprintf(happening->peer, sizeof happening->peer, "%s", what->peer ? what->peer : "");
    snprintf(happening->name, sizeof happening->name, "%s", what->name ? what->name : "");
    snprintf(happening->key, sizeof happening->key, "%s", what->key ? what->key : "");
    for (int i = 0; i < what->points && !what->point[i].numbered; i++)
        strcpy(happening->own_point[happening->own++], what->point[i].name);
    if (what->kind == JOB_GET && strcmp(what->key, "input") != 0)
        assert_true(world_has(world, what->key));
}

static void take_park(struct world *world, const struct ledger_order *order)
{
    struct happening *happening = expect(world);
    happening->what = order->kind == LEDGER_PARK   ? PARK
                      : order->kind == LEDGER_STOW ? STOW
                                                   : UNPARK;
    happening->point = order->kind == LEDGER_PARK ? order->point : 0;
    happening->worker = order->worker;
    happening->attempt = order->attempt;
    happening->request = order->request;
    happening->kind = JOB_GET;
    snprintf(happening->actor, sizeof happening->actor, "%s", order->actor);
    snprintf(happening->key, sizeof happening->key, "%s", order->key);
    /* That it is of no use any more is not remembered. */
    if (order->kind == LEDGER_UNPARK && world->restarts == 0)
        assert_true(world_has(world, order->key));
}

static void remember(struct world *world, const struct ledger_order *order)
{
    assert_true(world->memories < MOST);
    struct memory *memory = &world->memory[world->memories++];
    *memory = (struct memory){.kind = order->kind,
                              .for_ever = order->peer == NULL,
                              .attempt = order->attempt,
                              .number = order->number,
                              .identity = order->identity};
    snprintf(memory->actor, sizeof memory->actor, "%s", order->actor);
    snprintf(memory->peer, sizeof memory->peer, "%s", order->peer ? order->peer : "");
    snprintf(memory->name, sizeof memory->name, "%s", order->name ? order->name : "");
    snprintf(memory->key, sizeof memory->key, "%s", order->key ? order->key : "");
    snprintf(memory->text, sizeof memory->text, "%s", order->text ? order->text : "");
}

static void parked_key(char key[600], const char *base, uint32_t attempt)
{
    snprintf(key, 600, "%.500s.attempt-%u", base, attempt);
}

static void take_drop(struct world *world, const struct ledger_order *order)
{
    for (int i = world->count - 1; i >= 0; i--) {
        struct happening *happening = &world->happening[i];
        if (happening->what <= UNPARK && happening->attempt == order->attempt &&
            strcmp(happening->actor, order->actor) == 0)
            forget(world, i);
    }
}

static void take_fetch(struct world *world, const struct ledger_order *order)
{
    assert_true(world_has(world, order->key));
    for (int i = 0; i < world->count; i++) {
        struct happening *happening = &world->happening[i];
        if (happening->kind == JOB_RECEIVE && strcmp(happening->actor, order->actor) == 0 &&
            strcmp(happening->peer, order->peer) == 0 && strcmp(happening->name, order->name) == 0)
            happening->fetched = true;
    }
}

static void take_adopt(struct world *world, const struct ledger_order *order)
{
    struct happening *happening = expect(world);
    happening->what = ADOPT;
    happening->attempt = order->attempt;
    snprintf(happening->key, sizeof happening->key, "%s", order->key);
}

static void remove_durable(struct world *world, const char *key)
{
    for (int i = world->durable_count - 1; i >= 0; i--)
        if (strcmp(world->durable[i], key) == 0)
            memmove(world->durable[i], world->durable[--world->durable_count],
                    sizeof world->durable[0]);
}

static void take_done(struct world *world, const struct ledger_order *order)
{
    char prefix[300];
    int length = snprintf(prefix, sizeof prefix, "messages/%s/", order->actor);
    for (int i = world->durable_count - 1; i >= 0; i--)
        if (strncmp(world->durable[i], prefix, (size_t)length) == 0)
            memmove(world->durable[i], world->durable[--world->durable_count],
                    sizeof world->durable[0]);
    world->done++;
}

static void take_retire(struct world *world, const struct ledger_order *order)
{
    int seat = 0;
    while (seat < WORKERS && (!world->there[seat] || world->number[seat] != order->worker))
        seat++;
    assert_true(seat < WORKERS && !world->retired[seat]);
    world->retired[seat] = true;
    world->retirements++;
}

static void take_orders(struct world *world)
{
    struct ledger_order order;
    char key[600];
    while (ledger_order(world->ledger, &order)) {
        switch (order.kind) {
        case LEDGER_REQUEST:
        case LEDGER_POINT:
            take_request(world, &order);
            break;
        case LEDGER_REFUSE:
            fail_msg("refused: %s", order.text);
            break;
        case LEDGER_DROP:
            take_drop(world, &order);
            break;
        case LEDGER_FETCH:
            take_fetch(world, &order);
            break;
        case LEDGER_ADOPT:
            take_adopt(world, &order);
            break;
        case LEDGER_DONE:
            take_done(world, &order);
            remember(world, &order);
            break;
        case LEDGER_DELETE:
            parked_key(key, order.key, order.attempt);
            remove_durable(world, order.attempt == 0 ? order.key : key);
            break;
        case LEDGER_MESSAGE:
        case LEDGER_OBJECT:
            assert_true(world_has(world, order.key));
            remember(world, &order);
            break;
        case LEDGER_PARK:
        case LEDGER_STOW:
        case LEDGER_UNPARK:
            take_park(world, &order);
            break;
        case LEDGER_RETIRE:
            take_retire(world, &order);
            break;
        case LEDGER_PARKED:
            parked_key(key, order.key, order.attempt);
            assert_true(world_has(world, key));
            remember(world, &order);
            world->parked++;
            break;
        case LEDGER_CLOSE:
            assert_int_equal(order.number, CHUNKS);
            remember(world, &order);
            break;
        }
        ledger_order_free(&order);
    }
    struct ledger_progress progress;
    ledger_progress(world->ledger, &progress);
    if (progress.live > world->most_live)
        world->most_live = (int)progress.live;
    /* In a ring all that wait can be parked. */
    bool limited = world->limits.actors > 0 && strcmp(world->job->name, "ring") == 0;
    for (int seat = 0; seat < WORKERS && limited; seat++)
        if (world->there[seat])
            assert_true(ledger_load(world->ledger, world->number[seat]) <=
                        world->limits.actors * (1 + seat % 2));
}

/* ---- What happens -------------------------------------------------------------------------- */

static bool can_receive(struct world *world, const struct happening *happening)
{
    char text[300];
    label_text(text, happening->peer, happening->actor, happening->name);
    return happening->fetched || listed(world->relayed, world->relayed_count, text);
}

static void send_message(struct world *world, const struct happening *happening,
                         struct ledger_identity *identity)
{
    char text[300];
    label_text(text, happening->actor, happening->peer, happening->name);
    bool again = listed(world->relayed, world->relayed_count, text);
    if (!again && world->relayed_count < MOST)
        strcpy(world->relayed[world->relayed_count++], text);
    if (again && world->lie)
        identity->size++;
    struct happening *stored = expect(world);
    stored->what = STORED;
    stored->worker = happening->worker;
    stored->attempt = happening->attempt;
    stored->request = happening->request;
    stored->identity = *identity;
    strcpy(stored->actor, happening->actor);
    strcpy(stored->peer, happening->peer);
    strcpy(stored->name, happening->name);
}

/* What a process asks for next; false where it has nothing more to ask for. */
static bool next_point(const struct happening *run, const char **name, int64_t *number)
{
    static const char *const of_source[] = {"needed", "times", "wanted", "raw", "place"};
    static const char *const of_join[] = {"times", "chunk"};
    int done = run->progress;
    if (strcmp(run->actor, "source") == 0) {
        *number = done / 5 < CHUNKS ? done / 5 : CHUNKS;
        *name = done / 5 < CHUNKS ? of_source[done % 5] : "end";
        return done <= 5 * CHUNKS;
    }
    if (strcmp(run->actor, "join") == 0) {
        *number = done / 2;
        *name = of_join[done % 2];
        return done < 2 * CHUNKS;
    }
    *number = -1;
    *name = run->own_point[done % 2];
    return done < run->own;
}

static void ask(struct world *world, struct happening *run)
{
    const char *name;
    int64_t number;
    const struct ledger_call call = {run->actor, run->attempt, run->request};
    next_point(run, &name, &number);
    run->asking = true;
    uint32_t id = (uint32_t)++run->progress;
    ledger_point(world->ledger, &call, id, name, number, world->now);
}

static struct happening *run_of(struct world *world, const struct happening *point)
{
    for (int i = 0; i < world->count; i++) {
        struct happening *run = &world->happening[i];
        if (run->what == REQUEST && run->kind == JOB_RUN && run->attempt == point->attempt &&
            strcmp(run->actor, point->actor) == 0)
            return run;
    }
    fail_msg("a point without run");
    return NULL;
}

static void end_call(struct world *world, int i)
{
    struct happening happening = world->happening[i];
    const struct ledger_call call = {happening.actor, happening.attempt, happening.request};
    char text[700], content[100] = "";
    snprintf(text, sizeof text, "%s %s", happening.kind == JOB_PUT ? happening.key : happening.name,
             happening.kind == JOB_RECEIVE ? happening.peer : happening.actor);
    struct ledger_identity identity = world_identity(text);
    struct ledger_outcome outcome = {.outcome = JOB_OK, .identity = &identity};
    if (happening.kind == JOB_SEND)
        send_message(world, &happening, &identity);
    if (happening.kind == JOB_SET) {
        int index = atoi(happening.actor + strlen("chunk-"));
        snprintf(content, sizeof content,
                 "{\"position\": %d, \"last_of_batch\": %s, \"pictures\": 6}", index % BATCH,
                 index % BATCH == BATCH - 1 || index == CHUNKS - 1 ? "true" : "false");
        outcome.content = content;
        outcome.length = strlen(content);
    }
    if (world->failure && happening.kind == JOB_RUN && draw(world, (uint32_t)world->failure) == 0) {
        outcome.outcome = JOB_FAILED;
        outcome.reason = "bad luck";
    }
    forget(world, i);
    if (happening.what == POINT) {
        run_of(world, &happening)->asking = false;
        ledger_point_outcome(world->ledger, &call, happening.point, &outcome, world->now);
    } else {
        ledger_outcome(world->ledger, &call, &outcome, world->now);
    }
}

static bool stores_still(const struct world *world, const struct happening *of)
{
    for (int i = 0; i < world->count; i++)
        if (world->happening[i].what == STORED && world->happening[i].attempt == of->attempt &&
            strcmp(world->happening[i].actor, of->actor) == 0)
            return true;
    return false;
}

static int find_call(const struct world *world, const struct happening *of, uint32_t point)
{
    for (int i = 0; i < world->count; i++) {
        const struct happening *happening = &world->happening[i];
        if (happening->what <= POINT && happening->attempt == of->attempt &&
            happening->request == of->request && happening->point == point &&
            strcmp(happening->actor, of->actor) == 0)
            return i;
    }
    return -1;
}

/* Ends what it waits for; false where that has come. Whether a command waits for a core is a matter of luck. */
static bool stop_waiting(struct world *world, const struct happening *park)
{
    int request = find_call(world, park, 0), point = find_call(world, park, park->point);
    if (request < 0 || point < 0)
        return false;
    const struct happening *at = &world->happening[request];
    if (at->kind == JOB_RUN && park->point == 0 && (at->progress > 0 || draw(world, 2) == 0))
        return false;
    world->withdrawn += at->kind == JOB_RUN && park->point == 0;
    world->parked_at_points += park->point != 0;
    forget(world, request);
    if (park->point != 0 && (point = find_call(world, park, park->point)) >= 0)
        forget(world, point);
    return true;
}

static void park(struct world *world, int i)
{
    struct happening park = world->happening[i];
    const struct ledger_call call = {park.actor, park.attempt, park.request};
    const struct ledger_identity identity = world_identity(park.actor);
    const struct ledger_outcome failed = {.outcome = JOB_FAILED};
    if (stores_still(world, &park))
        return;
    forget(world, i);
    if (park.what == PARK && !stop_waiting(world, &park))
        return; /* it has what it waited for */
    if (park.what == STOW && draw(world, 10) == 0) {
        ledger_outcome(world->ledger, &call, &failed, world->now);
        return;
    }
    world->stowed += park.what == STOW;
    parked_key(world->durable[world->durable_count++], park.key, park.attempt);
    ledger_parked(world->ledger, &call, &identity, world->now);
}

static void unpark(struct world *world, int i)
{
    struct happening unpark = world->happening[i];
    const struct ledger_call call = {unpark.actor, unpark.attempt, unpark.request};
    bool bad = !world_has(world, unpark.key) || (world->loss > 0 && draw(world, 20) == 0);
    const struct ledger_outcome outcome = {.outcome = bad ? JOB_FAILED : JOB_OK};
    forget(world, i);
    world->unparked++;
    ledger_outcome(world->ledger, &call, &outcome, world->now);
}

static void happen(struct world *world)
{
    if (world->count == 0)
        return;
    int i = (int)draw(world, (uint32_t)world->count);
    struct happening *happening = &world->happening[i];
    if (happening->what == PARK || happening->what == STOW) {
        park(world, i);
    } else if (happening->what == UNPARK) {
        unpark(world, i);
    } else if (happening->what == ADOPT) {
        const struct happening adopt = *happening;
        forget(world, i);
        if (!world_has(world, adopt.key))
            strcpy(world->durable[world->durable_count++], adopt.key);
        ledger_adopted(world->ledger, adopt.key, adopt.attempt, 0, world->now);
    } else if (happening->what == STORED) {
        const struct happening stored = *happening;
        const struct ledger_call of = {stored.actor, stored.attempt, stored.request};
        const struct ledger_label label = {stored.actor, stored.peer, stored.name};
        forget(world, i);
        ledger_stored(world->ledger, &of, &label, &stored.identity, world->now);
    } else if (happening->kind == JOB_RUN) {
        const char *name;
        int64_t number;
        if (happening->asking || (world->slow && draw(world, (uint32_t)world->slow) > 0))
            return;
        if (next_point(happening, &name, &number))
            ask(world, happening);
        else
            end_call(world, i);
    } else if (happening->kind != JOB_RECEIVE || can_receive(world, happening)) {
        if (happening->kind == JOB_QUIT && stores_still(world, happening))
            return; /* all is durable first */
        end_call(world, i);
    }
}

static void lose(struct world *world, int seat)
{
    uint32_t worker = world->number[seat];
    for (int i = world->count - 1; i >= 0; i--)
        if (world->happening[i].what != ADOPT && world->happening[i].worker == worker)
            forget(world, i);
    world->there[seat] = false;
    ledger_lost(world->ledger, worker, world->now);
}

/* Where waiting is paid for, no more come than there are actors that could go on. */
static bool is_wanted(struct world *world)
{
    int present = 0;
    for (int i = 0; i < WORKERS; i++)
        present += world->there[i];
    return world->limits.idle_ms == 0 || present < ledger_runnable(world->ledger, WORKERS);
}

/* That a worker has left when its commands should have ended. */
enum { MARGIN = 500 };

static void come_and_go(struct world *world)
{
    int seat = (int)draw(world, WORKERS);
    if (!world->there[seat] && is_wanted(world)) {
        world->there[seat] = true;
        world->retired[seat] = false;
        world->number[seat] = ++world->workers_made;
        world->until[seat] = 0;
        if (world->life > 0)
            world->until[seat] = world->now + world->life + draw(world, (uint32_t)world->life);
        ledger_joined(world->ledger, world->number[seat], 1 + seat % 2, world->until[seat],
                      world->now);
    } else if (world->there[seat] && world->loss && draw(world, (uint32_t)world->loss) == 0) {
        lose(world, seat);
    }
    if (world->there[seat] && world->retirement && draw(world, (uint32_t)world->retirement) == 0) {
        ledger_retire(world->ledger, world->number[seat], world->now);
        world->retired[seat] = true;
    }
    if (world->there[seat] && world->retired[seat] &&
        ledger_load(world->ledger, world->number[seat]) == 0)
        lose(world, seat);
    if (world->there[seat] && world->life > 0 && world->now > world->until[seat] + MARGIN)
        lose(world, seat);
    if (world->loss && draw(world, 500) == 0)
        world->relayed_count = 0; /* the rendezvous begins anew */
}

static int replay(struct ledger *ledger, const struct memory *memory)
{
    const struct ledger_label label = {memory->peer, memory->actor, memory->name};
    switch (memory->kind) {
    case LEDGER_MESSAGE:
        return ledger_replay_message(ledger, &label, &memory->identity);
    case LEDGER_OBJECT:
        return ledger_replay_object(ledger, memory->key, memory->actor,
                                    memory->for_ever ? NULL : memory->peer, &memory->identity);
    case LEDGER_CLOSE:
        return ledger_replay_close(ledger, memory->actor, memory->number);
    case LEDGER_PARKED:
        return ledger_replay_parked(ledger, memory->actor, memory->attempt, memory->text,
                                    memory->for_ever ? NULL : memory->peer,
                                    memory->for_ever ? NULL : memory->name, &memory->identity);
    default:
        return ledger_replay_done(ledger, memory->actor, memory->number);
    }
}

/* The coordinator dies, and another one goes on with what was remembered, and other workers. */
static void restart(struct world *world)
{
    ledger_free(world->ledger);
    world->ledger = ledger_new(world->job, &world->limits);
    ledger_number_attempts(world->ledger, 10000 * (uint32_t)++world->restarts);
    world->count = world->relayed_count = 0;
    memset(world->there, 0, sizeof world->there);
    for (int i = 0; i < world->memories; i++)
        assert_int_equal(replay(world->ledger, &world->memory[i]), 0);
}

enum ledger_result world_live(struct world *world, struct error *error)
{
    enum ledger_result result = LEDGER_RUNNING;
    for (int64_t turn = 0; turn < 4000000 && result == LEDGER_RUNNING; turn++) {
        world->now += 2;
        if (draw(world, 8) == 0)
            come_and_go(world);
        if (world->restart && draw(world, (uint32_t)world->restart) == 0)
            restart(world);
        happen(world);
        if (turn % 50 == 0)
            ledger_tick(world->ledger, world->now);
        take_orders(world);
        result = ledger_result(world->ledger, error);
    }
    return result;
}

struct world *world_new_limited(const struct job *job, uint32_t seed,
                                const struct ledger_limits *limits)
{
    struct world *world = calloc(1, sizeof *world);
    world->job = job;
    world->random = seed;
    world->limits = *limits;
    world->ledger = ledger_new(job, limits);
    assert_non_null(world->ledger);
    return world;
}

struct world *world_new(const struct job *job, uint32_t seed, int window)
{
    const struct ledger_limits limits = {.window = window};
    return world_new_limited(job, seed, &limits);
}

void world_end(struct world *world)
{
    ledger_free(world->ledger);
    free(world);
}

void world_live_well(struct world *world, int actors)
{
    struct error error = {0};
    struct ledger_progress progress;
    enum ledger_result result = world_live(world, &error);
    if (result != LEDGER_FINISHED)
        fail_msg("%s", result == LEDGER_FAILED ? error.message : "it does not end");
    ledger_progress(world->ledger, &progress);
    assert_int_equal(progress.actors, actors);
    assert_int_equal(progress.done, actors);
    assert_int_equal(progress.live, 0);
    assert_true(world->done >= actors);
}
