/* Messages that go while they are still being written, and whose sum follows. */
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "messages_support.h"

enum { SIZE = 3000000 };

/* One being written. */
struct begun {
    struct messenger_send *send;
    int file;
    uint8_t *bytes;
};

static const struct label label = {"a", "b", "m"};

static void begin(struct worker *worker, uint32_t seed, struct begun *begun)
{
    struct error error;
    begun->bytes = message_bytes(SIZE, seed);
    begun->file = worker_file(worker, NULL, 0);
    if (messenger_begin(worker->messenger, &label, dup(begun->file), SIZE, &begun->send, &error) <
        0)
        fail_msg("%s", error.message);
}

static void grow(struct begun *begun, size_t there)
{
    assert_int_equal(pwrite(begun->file, begun->bytes, there, 0), there);
    messenger_grow(begun->send, there);
}

static void end(struct begun *begun)
{
    close(begun->file);
    free(begun->bytes);
}

static void complete(struct begun *begun)
{
    struct store_identity identity = message_identity(begun->bytes, SIZE);
    messenger_complete(begun->send, &identity);
    end(begun);
}

static uint64_t received(const struct worker *worker)
{
    return messenger_counters(worker->messenger)->received;
}

/* a's message to b, who waits for it, is begun with bytes made of `seed`; the first `there` of them have come. */
static void send_begun(struct world *world, struct worker *a, struct worker *b, uint32_t seed,
                       size_t there, struct begun *begun, struct receipt *receipt)
{
    worker_receive(b, "a", "b", "m", receipt);
    begin(a, seed, begun);
    grow(begun, there);
    UNTIL(world, received(b) == there);
}

static void finish(struct begun *begun)
{
    grow(begun, SIZE);
    complete(begun);
}

static void expect_whole(struct world *world, struct worker *b, struct receipt *receipt)
{
    UNTIL(world, receipt->done);
    assert_int_equal(receipt->error.code, 0);
    worker_check(b, "a", "b", "m", SIZE, 1);
}

static void bytes_go_ahead_of_their_sum(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    send_begun(world, a, b, 1, 1000000, &begun, &receipt);
    grow(&begun, SIZE);
    UNTIL(world, received(b) == SIZE);
    world_run(world, 20);
    assert_false(receipt.done);
    complete(&begun);
    expect_whole(world, b, &receipt);
    /* Those who come later are told at once. */
    worker_receive(b, "a", "b", "m", &receipt);
    expect_whole(world, b, &receipt);
    assert_int_equal(messenger_counters(a->messenger)->sent, SIZE);
}

static void the_sum_is_known_before_all_has_gone(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    begin(a, 1, &begun);
    finish(&begun);
    worker_receive(b, "a", "b", "m", &receipt);
    expect_whole(world, b, &receipt);
}

static void a_sum_that_is_another_ones(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    worker_receive(b, "a", "b", "m", &receipt);
    begin(a, 1, &begun);
    grow(&begun, SIZE);
    begun.bytes[SIZE / 2] ^= 1;
    complete(&begun);
    UNTIL(world, receipt.done);
    assert_int_equal(receipt.error.code, -EBADMSG);
}

/* What its receiver has had by then is of no use: the next sender's bytes may be others. */
static void a_sender_that_is_lost(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1),
                  *c = worker_join(world, 0, 2, 1);
    send_begun(world, a, b, 2, 2000000, &begun, &receipt);
    worker_send(c, "a", "b", "m", SIZE, 1);
    world_run(world, 50);
    assert_int_equal(messenger_counters(c->messenger)->sent, 0);
    messenger_free(a->messenger);
    a->messenger = NULL;
    end(&begun);
    expect_whole(world, b, &receipt);
    assert_int_equal(c->clashes, 0);
}

static void one_that_is_taken_back(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    send_begun(world, a, b, 2, 2000000, &begun, &receipt);
    messenger_withdraw(begun.send);
    end(&begun);
    world_run(world, 20);
    assert_false(receipt.done);
    worker_send(a, "a", "b", "m", 1000, 1);
    UNTIL(world, receipt.done);
    worker_check(b, "a", "b", "m", 1000, 1);
}

static void others_that_send_the_same(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun[2];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1),
                  *c = worker_join(world, 0, 2, 1), *d = worker_join(world, 0, 3, 1);
    send_begun(world, a, b, 1, 1000000, &begun[0], &receipt);
    /* One that is begun as well, and one that is whole; both have to wait. */
    begin(c, 1, &begun[1]);
    grow(&begun[1], SIZE);
    worker_send(d, "a", "b", "m", SIZE, 1);
    world_run(world, 50);
    complete(&begun[1]);
    world_run(world, 50);
    assert_int_equal(received(b), 1000000);
    finish(&begun[0]);
    expect_whole(world, b, &receipt);
    world_run(world, 50);
    assert_int_equal(a->clashes + c->clashes + d->clashes, 0);
    assert_int_equal(messenger_counters(c->messenger)->sent, 0);
    assert_int_equal(messenger_counters(d->messenger)->sent, 0);
}

static void others_that_send_something_else(void **state)
{
    struct world *world = *state;
    struct begun begun[2];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1),
                  *c = worker_join(world, 0, 2, 1);
    begin(a, 1, &begun[0]);
    grow(&begun[0], 1000000);
    UNTIL(world, rendezvous_counters(world->servers[0])->received == 1000000);
    worker_send(b, "a", "b", "m", SIZE, 2);
    begin(c, 3, &begun[1]);
    grow(&begun[1], SIZE);
    world_run(world, 50);
    assert_int_equal(a->clashes + b->clashes + c->clashes, 0);
    finish(&begun[0]);
    UNTIL(world, b->clashes == 1);
    complete(&begun[1]);
    UNTIL(world, c->clashes == 1);
    assert_int_equal(a->clashes, 0);
}

static void a_rendezvous_that_is_started_again(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    send_begun(world, a, b, 1, 1000000, &begun, &receipt);
    world_kill(world, 0);
    world_run(world, 50);
    world_serve(world, 0);
    UNTIL(world, received(b) == 2000000); /* from the beginning */
    finish(&begun);
    expect_whole(world, b, &receipt);
}

/* Its sender is told to offer it again when its sum is known; whoever waits gets it then. */
static void no_room(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct begun begun;
    world->options.memory = 1 << 20;
    world->options.spill_most = 1 << 20;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    begin(a, 1, &begun);
    grow(&begun, SIZE);
    UNTIL(world, rendezvous_counters(world->servers[0])->dropped == 1);
    world_run(world, 20);
    complete(&begun);
    UNTIL(world, rendezvous_counters(world->servers[0])->offers == 2);
    assert_int_equal(a->clashes, 0);
    worker_send(a, "a", "b", "small", 1000, 2);
    worker_receive(b, "a", "b", "small", &receipt);
    UNTIL(world, receipt.done);
    worker_check(b, "a", "b", "small", 1000, 2);
}

/* Nothing is begun that is to be handed over here: half of a file would be. */
static void on_one_worker(void **state)
{
    struct world *world = *state;
    struct receipt receipts[2];
    struct begun begun;
    struct error error;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1);
    worker_receive(a, "a", "b", "m", &receipts[0]);
    int file = worker_file(a, NULL, 0);
    assert_int_equal(messenger_begin(a->messenger, &label, file, SIZE, &begun.send, &error),
                     -EAGAIN);
    messenger_cancel(receipts[0].receive);
    begin(a, 1, &begun);
    grow(&begun, 1000000);
    worker_receive(a, "a", "b", "m", &receipts[1]);
    UNTIL(world, received(a) == 1000000);
    finish(&begun);
    expect_whole(world, a, &receipts[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(bytes_go_ahead_of_their_sum),
        WORLD_TEST(the_sum_is_known_before_all_has_gone),
        WORLD_TEST(a_sum_that_is_another_ones),
        WORLD_TEST(a_sender_that_is_lost),
        WORLD_TEST(one_that_is_taken_back),
        WORLD_TEST(others_that_send_the_same),
        WORLD_TEST(others_that_send_something_else),
        WORLD_TEST(a_rendezvous_that_is_started_again),
        WORLD_TEST(no_room),
        WORLD_TEST(on_one_worker),
    };
    alarm(240);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
