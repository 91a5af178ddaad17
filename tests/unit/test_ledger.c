/*
 * The bookkeeping of jobs, against a world made of random happenings: workers that come, vanish and come
 * again, outcomes in any order, failures, messages that a rendezvous forgets. Whatever happens, jobs end,
 * and only when everything is durable.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "mu/job_file.h"
#include "mu/ledger.h"

static const char *examples;

static struct job *load(const char *name, const struct job_choice *choice, int choices)
{
    char path[512];
    struct job *job;
    struct error error = {0};
    snprintf(path, sizeof path, "%s/%s.json", examples, name);
    if (job_file_load(path, choice, choices, &job, &error) < 0)
        fail_msg("%s", error.message);
    return job;
}

static struct job *parse(const char *text)
{
    struct job *job;
    struct error error = {0};
    if (job_file_parse("job", text, strlen(text), NULL, 0, &job, &error) < 0)
        fail_msg("%s", error.message);
    return job;
}

/* ---- The world ----------------------------------------------------------------------------- */

enum { WORKERS = 5, CHUNKS = 9, BATCH = 4, MOST = 4096 };

/* Something that will happen. */
struct happening {
    enum { REQUEST, POINT, PARK, UNPARK, ADOPT, STORED } what;
    uint32_t worker;
    char actor[JOB_ACTOR_SIZE], peer[JOB_ACTOR_SIZE], name[JOB_ACTOR_SIZE], key[600];
    uint32_t attempt, point;
    uint64_t request;
    enum job_kind kind;
    bool fetched;
    int progress;                      /* of a run: points that its process has asked for */
    int own;                           /* of a chunk's run: how many points it has, ... */
    char own_point[2][JOB_ACTOR_SIZE]; /* ... and what they are called */
    bool asking;
    struct ledger_identity identity;
};

/* Something that was remembered, as the ledger has ordered it. */
struct memory {
    enum ledger_kind kind;
    char actor[JOB_ACTOR_SIZE], peer[JOB_ACTOR_SIZE], name[JOB_ACTOR_SIZE], key[600], text[400];
    bool for_ever;
    uint32_t attempt;
    int64_t number;
    struct ledger_identity identity;
};

struct world {
    const struct job *job;
    struct ledger_limits limits;
    struct memory memory[MOST];
    int memories;
    struct ledger *ledger;
    uint32_t random;
    int64_t now;
    struct happening happening[MOST];
    int count;
    bool there[WORKERS];
    uint32_t number[WORKERS]; /* of the worker that sits there */
    uint32_t workers_made;
    char relayed[MOST][300]; /* what the rendezvous has */
    int relayed_count;
    char durable[MOST][600];
    int durable_count;
    int loss, failure, restart; /* one in so many */
    int parked, unparked, restarts;
    int done, most_live;
    bool lie; /* the first message that is sent again is another one */
};

static uint32_t draw(struct world *world, uint32_t below)
{
    world->random = world->random * 1664525u + 1013904223u;
    return (world->random >> 8) % below;
}

static struct ledger_identity identity_of(const char *text)
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

static bool is_durable(const struct world *world, const char *key)
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
        assert_true(is_durable(world, what->key));
}

static void take_park(struct world *world, const struct ledger_order *order)
{
    struct happening *happening = expect(world);
    happening->what = order->kind == LEDGER_PARK ? PARK : UNPARK;
    happening->worker = order->worker;
    happening->attempt = order->attempt;
    happening->request = order->request;
    happening->kind = JOB_GET;
    snprintf(happening->actor, sizeof happening->actor, "%s", order->actor);
    snprintf(happening->key, sizeof happening->key, "%s", order->key);
    /* That it is of no use any more is not remembered. */
    if (order->kind == LEDGER_UNPARK && world->restarts == 0)
        assert_true(is_durable(world, order->key));
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
    assert_true(is_durable(world, order->key));
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
            assert_true(is_durable(world, order.key));
            remember(world, &order);
            break;
        case LEDGER_PARK:
        case LEDGER_UNPARK:
            take_park(world, &order);
            break;
        case LEDGER_PARKED:
            parked_key(key, order.key, order.attempt);
            assert_true(is_durable(world, key));
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
    struct ledger_identity identity = identity_of(text);
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

static void park(struct world *world, int i)
{
    struct happening park = world->happening[i];
    const struct ledger_call call = {park.actor, park.attempt, park.request};
    const struct ledger_identity identity = identity_of(park.actor);
    int waiting = -1;
    if (stores_still(world, &park))
        return;
    forget(world, i);
    for (int j = 0; j < world->count; j++) {
        struct happening *happening = &world->happening[j];
        if (happening->what == REQUEST && happening->attempt == park.attempt &&
            happening->request == park.request && strcmp(happening->actor, park.actor) == 0)
            waiting = j;
    }
    if (waiting < 0)
        return; /* it has what it waited for */
    forget(world, waiting);
    parked_key(world->durable[world->durable_count++], park.key, park.attempt);
    ledger_parked(world->ledger, &call, &identity, world->now);
}

static void unpark(struct world *world, int i)
{
    struct happening unpark = world->happening[i];
    const struct ledger_call call = {unpark.actor, unpark.attempt, unpark.request};
    bool bad = !is_durable(world, unpark.key) || (world->loss > 0 && draw(world, 20) == 0);
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
    if (happening->what == PARK) {
        park(world, i);
    } else if (happening->what == UNPARK) {
        unpark(world, i);
    } else if (happening->what == ADOPT) {
        const struct happening adopt = *happening;
        forget(world, i);
        if (!is_durable(world, adopt.key))
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
        if (happening->asking)
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

static void come_and_go(struct world *world)
{
    int seat = (int)draw(world, WORKERS);
    if (!world->there[seat]) {
        world->there[seat] = true;
        world->number[seat] = ++world->workers_made;
        ledger_joined(world->ledger, world->number[seat], 1 + seat % 2, world->now);
    } else if (world->loss && draw(world, (uint32_t)world->loss) == 0) {
        lose(world, seat);
    }
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
                                    &memory->identity);
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

static enum ledger_result live(struct world *world, struct error *error)
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

static struct world *new_limited_world(const struct job *job, uint32_t seed,
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

static struct world *new_world(const struct job *job, uint32_t seed, int window)
{
    const struct ledger_limits limits = {.window = window};
    return new_limited_world(job, seed, &limits);
}

static void end_world(struct world *world)
{
    ledger_free(world->ledger);
    free(world);
}

static void live_well(struct world *world, int actors)
{
    struct error error = {0};
    struct ledger_progress progress;
    enum ledger_result result = live(world, &error);
    if (result != LEDGER_FINISHED)
        fail_msg("%s", result == LEDGER_FAILED ? error.message : "it does not end");
    ledger_progress(world->ledger, &progress);
    assert_int_equal(progress.actors, actors);
    assert_int_equal(progress.done, actors);
    assert_int_equal(progress.live, 0);
    assert_true(world->done >= actors);
}

/* ---- Tests --------------------------------------------------------------------------------- */

static void test_encode(void **state)
{
    struct job *job = load("encode", NULL, 0);
    for (uint32_t seed = 1; seed <= 40; seed++) {
        struct world *world = new_world(job, seed, seed % 3 == 0 ? 4 : 0);
        world->loss = seed % 4 == 0 ? 0 : 40;
        live_well(world, CHUNKS + 2);
        assert_true(is_durable(world, "output.webm"));
        end_world(world);
    }
    job_free(job);
}

static void test_ring(void **state)
{
    const struct job_choice small[] = {{"members", "40"}};
    const struct job_choice large[] = {{"members", "500"}, {"rounds", "1"}};
    struct job *job = load("ring", small, 1), *long_ring = load("ring", large, 2);
    for (uint32_t seed = 1; seed <= 20; seed++) {
        struct world *world = new_world(job, seed, 6);
        world->loss = seed % 2 == 0 ? 0 : 60;
        live_well(world, 40);
        end_world(world);
    }
    struct world *world = new_world(long_ring, 7, 16);
    live_well(world, 500);
    end_world(world);
    job_free(job);
    job_free(long_ring);
}

/* More actors wait than workers hold: they wait in the store. */
static void test_parking(void **state)
{
    const struct job_choice choice[] = {{"members", "40"}, {"rounds", "2"}};
    const struct ledger_limits limits = {.window = 40, .actors = 2, .park_ms = 20};
    struct job *ring = load("ring", choice, 2), *encode = load("encode", NULL, 0);
    int parked = 0, unparked = 0;
    for (uint32_t seed = 1; seed <= 16; seed++) {
        struct world *world = new_limited_world(seed % 2 ? ring : encode, seed, &limits);
        world->loss = seed % 4 < 2 ? 0 : 60;
        world->restart = seed % 8 < 4 ? 0 : 1500;
        live_well(world, seed % 2 ? 40 : CHUNKS + 2);
        for (int i = 0; i < world->durable_count; i++)
            assert_null(strstr(world->durable[i], "parked/"));
        parked += world->parked;
        unparked += world->unparked;
        end_world(world);
    }
    assert_true(parked > 200 && unparked > 100);
    job_free(ring);
    job_free(encode);
}

/* Whatever was remembered when a coordinator ends, the next one comes to the end. */
static void test_restarts(void **state)
{
    const struct job_choice choice[] = {{"members", "30"}, {"rounds", "2"}};
    struct job *ring = load("ring", choice, 2), *encode = load("encode", NULL, 0);
    int restarts = 0;
    for (uint32_t seed = 1; seed <= 24; seed++) {
        struct world *world = new_world(seed % 2 ? ring : encode, seed, 0);
        world->loss = seed % 4 < 2 ? 0 : 60;
        world->restart = 700;
        live_well(world, seed % 2 ? 30 : CHUNKS + 2);
        restarts += world->restarts;
        end_world(world);
    }
    assert_true(restarts > 24);
    job_free(ring);
    job_free(encode);
}

/* Few are under way at once where they need not wait for one another. */
static void test_window(void **state)
{
    struct job *job = parse(
        "{\"format\": 1, \"job\": \"apart\", \"actors\": [{\"family\": \"one\", \"count\": 100}],"
        "\"machine\": {\"start\": \"work\", \"states\": {"
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"done\"}},"
        "\"done\": {\"quit\": {}}}}}");
    struct world *world = new_world(job, 3, 7);
    live_well(world, 100);
    assert_int_equal(world->most_live, 7);
    end_world(world);
    job_free(job);
}

/* Actors count for what their variable says at their end, once each; and are somewhere until then. */
static void test_progress(void **state)
{
    struct job *job = parse(
        "{\"format\": 1, \"job\": \"counts\", \"variables\": {\"size\": 0}, \"progress\": \"size\","
        "\"actors\": [{\"family\": \"one\", \"count\": 20}],"
        "\"machine\": {\"start\": \"work\", \"states\": {"
        "\"work\": {\"run\": {\"argv\": [\"true\"]}, \"on\": {\"ok\": \"count\"}},"
        "\"count\": {\"set\": {\"size\": \"${index}\"}, \"on\": {\"ok\": \"done\"}},"
        "\"done\": {\"quit\": {}}}}}");
    struct ledger_progress progress;
    struct world *world = new_world(job, 4, 3);
    world->loss = 30;
    live_well(world, 20);
    ledger_progress(world->ledger, &progress);
    assert_int_equal(progress.amount, 19 * 20 / 2);
    end_world(world);

    world = new_world(job, 4, 3);
    uint32_t states[3];
    assert_int_equal(ledger_replay_done(world->ledger, "one-000019", 19), 0);
    assert_int_equal(ledger_replay_done(world->ledger, "one-000019", 19), 0);
    ledger_joined(world->ledger, 1, 1, 1);
    ledger_progress(world->ledger, &progress);
    assert_int_equal(progress.amount, 19);
    ledger_states(world->ledger, states);
    assert_int_equal(states[0], 3); /* "work", of a window */
    assert_int_equal(states[1] + states[2], 0);
    end_world(world);
    job_free(job);
}

static bool take_point(struct ledger *ledger, enum ledger_kind kind, struct ledger_order *order)
{
    while (ledger_order(ledger, order)) {
        if (order->kind == kind)
            return true;
        ledger_order_free(order);
    }
    return false;
}

/* Who begins anew can ask whom it has to serve still. */
static void test_needed(void **state)
{
    struct job *job = parse(
        "{\"format\": 1, \"job\": \"serves\", "
        "\"actors\": [{\"name\": \"one\"}, {\"family\": \"guest\", \"count\": 2}],"
        "\"machine\": {\"start\": [{\"if\": {\"variable\": \"actor\", \"is\": \"one\"}, "
        "\"to\": \"serve\"}, {\"to\": \"done\"}], \"states\": {"
        "\"serve\": {\"run\": {\"argv\": [\"true\"], \"points\": {"
        "\"ask\": {\"needed\": {\"actor\": \"guest-${number}\"}}}}, \"on\": {\"ok\": \"done\"}},"
        "\"done\": {\"quit\": {}}}}}");
    const struct ledger_call call = {"one", 1, 1};
    struct world *world = new_world(job, 1, 1);
    struct ledger_order order;
    assert_int_equal(ledger_replay_done(world->ledger, "guest-000001", 0), 0);
    ledger_joined(world->ledger, 1, 1, 1);
    for (uint32_t guest = 0; guest < 2; guest++) {
        ledger_point(world->ledger, &call, guest + 1, "ask", guest, 2);
        assert_true(take_point(world->ledger, LEDGER_POINT, &order));
        assert_int_equal(order.what.kind, JOB_NEEDED);
        assert_int_equal(order.number, guest == 0);
        ledger_order_free(&order);
        const struct ledger_outcome ok = {.outcome = JOB_OK};
        ledger_point_outcome(world->ledger, &call, guest + 1, &ok, 3);
    }
    ledger_point(world->ledger, &call, 3, "ask", 2, 4);
    assert_true(take_point(world->ledger, LEDGER_REFUSE, &order));
    ledger_order_free(&order);
    end_world(world);
    job_free(job);
}

static void assert_fails(struct world *world, const char *with)
{
    struct error error = {0};
    assert_int_equal(live(world, &error), LEDGER_FAILED);
    if (strstr(error.message, with) == NULL)
        fail_msg("'%s' without '%s'", error.message, with);
    end_world(world);
}

static void test_failing(void **state)
{
    struct job *job = load("encode", NULL, 0);
    struct world *world = new_world(job, 1, 0);
    world->failure = 1;
    assert_fails(world, "bad luck");
    world = new_world(job, 2, 0);
    world->loss = 10;
    world->lie = true;
    assert_fails(world, "task not deterministic");
    job_free(job);
}

#define TWO_ACTORS                                                                                 \
    "{\"format\": 1, \"job\": \"stuck\", \"variables\": {\"talks\": false},"                       \
    " \"actors\": [{\"name\": \"a\"}, {\"name\": \"b\"}], \"machine\": {\"start\": ["              \
    "{\"if\": {\"variable\": \"actor\", \"is\": \"a\"}, \"to\": \"wait-b\"}, "
#define RECEIVE(from, next)                                                                        \
    "\"wait-" from "\": {\"receive\": {\"from\": \"" from "\", \"name\": \"m\", \"file\": \"f\"}," \
    " \"on\": {\"ok\": \"" next "\"}},"
#define SEND(to)                                                                                   \
    "\"tell-" to "\": {\"send\": {\"to\": \"" to "\", \"name\": \"m\", \"text\": \"\"},"           \
    " \"on\": {\"ok\": \"done\"}},"
#define QUIT "\"done\": {\"quit\": {}}}}}"

static void test_deadlock(void **state)
{
    struct job *job = parse(TWO_ACTORS "{\"to\": \"wait-a\"}], \"states\": {" RECEIVE("b", "tell-b")
                                RECEIVE("a", "tell-a") SEND("a") SEND("b") QUIT);
    assert_fails(new_world(job, 1, 0), "wait for one another");
    job_free(job);
    job = parse(TWO_ACTORS
                "{\"to\": \"think\"}], \"states\": {\"think\": {\"set\": {\"talks\": false}, "
                "\"on\": {\"ok\": [{\"if\": {\"variable\": \"talks\", \"is\": true}, "
                "\"to\": \"tell-a\"}, {\"to\": \"done\"}]}}," RECEIVE("b", "done") SEND("a") QUIT);
    assert_fails(new_world(job, 1, 0), "ends without it");
    job_free(job);
}

/* What was remembered is not made again; what was deleted and is needed is. */
static void test_replay(void **state)
{
    const struct job_choice choice[] = {{"members", "6"}, {"rounds", "1"}};
    struct job *job = load("ring", choice, 2);
    struct world *world = new_world(job, 5, 0);
    const struct ledger_identity identity = identity_of("round-0 member-000000");
    const struct ledger_label label = {"member-000000", "member-000001", "round-0"};
    assert_int_equal(ledger_replay_message(world->ledger, &label, &identity), 0);
    strcpy(world->durable[world->durable_count++], "messages/member-000001/member-000000/round-0");
    assert_int_equal(ledger_replay_done(world->ledger, "member-000003", 0), 0);
    assert_int_equal(ledger_replay_done(world->ledger, "nobody", 0), -EBADMSG);
    live_well(world, 6);
    /* The fourth's message to the fifth was not there, so that it ran again. */
    assert_int_equal(world->done, 6);
    end_world(world);

    world = new_world(job, 5, 0);
    char name[JOB_ACTOR_SIZE];
    for (int i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "member-%06d", i);
        assert_int_equal(ledger_replay_done(world->ledger, name, 0), 0);
    }
    ledger_tick(world->ledger, 1);
    struct error error;
    assert_int_equal(ledger_result(world->ledger, &error), LEDGER_FINISHED);
    end_world(world);
    job_free(job);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_encode),   cmocka_unit_test(test_ring),
        cmocka_unit_test(test_parking),  cmocka_unit_test(test_restarts),
        cmocka_unit_test(test_window),   cmocka_unit_test(test_failing),
        cmocka_unit_test(test_progress), cmocka_unit_test(test_needed),
        cmocka_unit_test(test_deadlock), cmocka_unit_test(test_replay),
    };
    if (argc != 2)
        return 77;
    examples = argv[1];
    return cmocka_run_group_tests(tests, NULL, NULL);
}
