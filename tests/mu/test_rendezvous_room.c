/* A rendezvous without room: what it drops, and that nobody is harmed. */
#include <stdio.h>
#include <string.h>

#include "messages_support.h"

enum { SIZE = 300000 };

static const struct rendezvous_counters *counters(struct world *world)
{
    return rendezvous_counters(world->servers[0]);
}

static const char *name_of(uint32_t i)
{
    static char name[16];
    snprintf(name, sizeof name, "m%u", i);
    return name;
}

/* Sends messages, each of which is received before the next one. */
static void pass(struct world *world, struct worker *a, struct worker *b, uint32_t first,
                 uint32_t count)
{
    struct receipt receipt;
    for (uint32_t i = first; i < first + count; i++) {
        worker_send(a, "a", "b", name_of(i), SIZE, i);
        worker_receive(b, "a", "b", name_of(i), &receipt);
        UNTIL(world, receipt.done);
        assert_int_equal(receipt.error.code, 0);
        worker_check(b, "a", "b", name_of(i), SIZE, i);
    }
}

static void what_was_delivered_goes_first(void **state)
{
    struct world *world = *state;
    struct receipt kept, late;
    world->options.memory = 1 << 20;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    struct worker *c = worker_join(world, 0, 2, 1);
    worker_send(a, "a", "b", "unasked", SIZE, 99);
    UNTIL(world, counters(world)->received == SIZE);
    pass(world, a, b, 0, 20);
    assert_true(counters(world)->memory_peak <= 1 << 20);
    assert_int_equal(counters(world)->file_peak, 0);
    assert_true(counters(world)->dropped >= 17);
    assert_int_equal(counters(world)->messages, 21);
    worker_receive(b, "a", "b", "unasked", &kept);
    UNTIL(world, kept.done);
    worker_check(b, "a", "b", "unasked", SIZE, 99);
    /* The last one is still there, the first one is not: it comes when it is sent again. */
    worker_receive(c, "a", "b", name_of(19), &late);
    UNTIL(world, late.done);
    worker_check(c, "a", "b", name_of(19), SIZE, 19);
    worker_receive(c, "a", "b", name_of(0), &late);
    world_run(world, 100);
    assert_false(late.done);
    worker_send(c, "a", "b", name_of(1), SIZE, 1);
    worker_send(b, "a", "b", name_of(0), SIZE, 0);
    UNTIL(world, late.done);
    worker_check(c, "a", "b", name_of(0), SIZE, 0);
}

/* Only somebody who asks makes it come again; another identity than it had is still noticed. */
static void dropped_and_offered_again(void **state)
{
    struct world *world = *state;
    struct receipt late;
    world->options.memory = 1 << 20;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    struct worker *c = worker_join(world, 0, 2, 1);
    pass(world, a, b, 0, 8);
    uint64_t received = counters(world)->received;
    worker_send(c, "a", "b", name_of(0), SIZE, 0);
    UNTIL(world, counters(world)->repeated == 1);
    world_run(world, 50);
    assert_int_equal(counters(world)->received, received);
    worker_receive(b, "a", "b", name_of(0), &late);
    UNTIL(world, late.done);
    worker_check(b, "a", "b", name_of(0), SIZE, 0);
    worker_send(c, "a", "b", name_of(2), SIZE, 7);
    UNTIL(world, c->clashes == 1);
    assert_int_equal(counters(world)->cut_off, 0);
}

static void the_file_is_full_too(void **state)
{
    struct world *world = *state;
    struct receipt receipts[20];
    world->options.memory = 1 << 20;
    world->options.spill_most = 1 << 20;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    for (uint32_t i = 0; i < 20; i++) {
        worker_send(a, "a", "b", name_of(i), SIZE, i);
        UNTIL(world, counters(world)->received == (uint64_t)(i + 1) * SIZE);
    }
    assert_true(counters(world)->memory_peak <= 1 << 20);
    assert_true(counters(world)->file_peak <= 1 << 20);
    assert_int_equal(counters(world)->cut_off, 0);
    for (uint32_t i = 0; i < 20; i++)
        worker_receive(b, "a", "b", name_of(i), &receipts[i]);
    /* There is room for six of them at most, and those are the last. */
    for (uint32_t i = 16; i < 20; i++) {
        UNTIL(world, receipts[i].done);
        worker_check(b, "a", "b", name_of(i), SIZE, i);
    }
    world_run(world, 50);
    for (uint32_t i = 0; i < 14; i++)
        assert_false(receipts[i].done);
    /* As the coordinator's word would: it takes the copy instead. */
    for (uint32_t i = 0; i < 16; i++)
        if (!receipts[i].done)
            messenger_cancel(receipts[i].receive);
    rendezvous_forget(world->servers[0], "0", "b");
    assert_int_equal(counters(world)->memory + counters(world)->file, 0);
}

/* One that is larger than all the room, of which somebody has had a part already. */
static void larger_than_the_room(void **state)
{
    struct world *world = *state;
    struct receipt large;
    world->options.memory = 1 << 20;
    world->options.spill_most = 1 << 20;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    worker_receive(b, "a", "b", "large", &large);
    worker_send(a, "a", "b", "large", 10000000, 1);
    UNTIL(world, counters(world)->dropped == 1);
    pass(world, a, b, 0, 5);
    assert_false(large.done);
    assert_true(messenger_counters(b->messenger)->received > 1000000);
    assert_int_equal(counters(world)->cut_off, 0);
    messenger_cancel(large.receive);
    pass(world, a, b, 5, 5);
    /* It is offered once more on a new connection, and not asked for. */
    world_kill(world, 0);
    world_serve(world, 0);
    pass(world, a, b, 10, 5);
}

/* Without a file at all. */
static void the_disk_fails(void **state)
{
    struct world *world = *state;
    struct receipt last;
    world->options.memory = 1 << 20;
    world->options.spill_most = 1;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    for (uint32_t i = 0; i < 10; i++) {
        worker_send(a, "a", "b", name_of(i), SIZE, i);
        UNTIL(world, counters(world)->received == (uint64_t)(i + 1) * SIZE);
    }
    worker_receive(b, "a", "b", name_of(9), &last);
    UNTIL(world, last.done);
    worker_check(b, "a", "b", name_of(9), SIZE, 9);
    assert_int_equal(counters(world)->file_peak + counters(world)->cut_off, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(what_was_delivered_goes_first),
        WORLD_TEST(dropped_and_offered_again),
        WORLD_TEST(the_file_is_full_too),
        WORLD_TEST(larger_than_the_room),
        WORLD_TEST(the_disk_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
