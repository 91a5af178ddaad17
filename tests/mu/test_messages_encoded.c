/* Messages over slow connections: compressed, as differences, and what happens when that does not do. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "messages_support.h"

enum { SIZE = 2000000 };

static const double SLOW = 1e6;

/* What every test has. */
struct encoded {
    struct world *world;
    struct worker *from, *to;
    uint8_t *bytes, *before; /* the message, and one that was sent earlier */
    struct receipt receipt;
};

static const struct label MESSAGE = {"a", "b", "m"};

static uint8_t *bytes_like_pictures(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size);
    uint32_t random = 1;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)((i >> 16) + (random >> 30));
    }
    for (size_t i = seed; i < size; i += 5000)
        bytes[i] ^= 1;
    return bytes;
}

static struct encoded begin(struct world *world, double speed)
{
    struct encoded encoded = {.world = world};
    world->encoding = true;
    world->speed = speed;
    world_serve(world, 0);
    encoded.from = worker_join(world, 0, 0, 1);
    encoded.to = worker_join(world, 0, 1, 1);
    encoded.bytes = bytes_like_pictures(SIZE, 1);
    encoded.before = bytes_like_pictures(SIZE, 2);
    return encoded;
}

static void send_it(struct encoded *encoded, const uint8_t *before)
{
    worker_send_bytes(encoded->from, &MESSAGE, encoded->bytes, SIZE, before);
}

static void receive(struct encoded *encoded)
{
    worker_receive(encoded->to, "a", "b", "m", &encoded->receipt);
}

static void end(struct encoded *encoded)
{
    uint8_t *got = malloc(SIZE + 1);
    UNTIL(encoded->world, encoded->receipt.done);
    if (encoded->receipt.error.code != 0)
        fail_msg("%s", encoded->receipt.error.message);
    assert_int_equal(encoded->receipt.identity.size, SIZE);
    int file = openat(encoded->to->folder, "in/b/a.m", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(file, got, SIZE + 1), SIZE);
    assert_memory_equal(got, encoded->bytes, SIZE);
    close(file);
    assert_int_equal(faccessat(encoded->to->folder, "in/b/a.m.part", F_OK, 0), -1);
    unlinkat(encoded->to->folder, "in/b/a.m", 0);
    free(got);
    free(encoded->bytes);
    free(encoded->before);
    if (encoded->to->base >= 0)
        close(encoded->to->base);
    encoded->to->base = -1;
}

static const struct messenger_counters *sent(const struct encoded *encoded)
{
    return messenger_counters(encoded->from->messenger);
}

static const struct messenger_counters *received(const struct encoded *encoded)
{
    return messenger_counters(encoded->to->messenger);
}

static void compressed(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    receive(&encoded);
    send_it(&encoded, NULL);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->smaller, 1);
    assert_int_equal(sent(&encoded)->differences, 0);
    assert_true(sent(&encoded)->sent < SIZE * 2 / 3);
    assert_true(received(&encoded)->received < SIZE * 2 / 3);
    end(&encoded);
}

static void a_difference(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    encoded.to->base = worker_file(encoded.to, encoded.before, SIZE);
    send_it(&encoded, encoded.before);
    UNTIL(encoded.world, sent(&encoded)->sent > 0);
    receive(&encoded);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->differences, 1);
    assert_int_equal(received(&encoded)->whole, 0);
    assert_true(received(&encoded)->received < SIZE / 20);
    assert_true(sent(&encoded)->sent < SIZE / 20); /* the whole has not gone at all */
    end(&encoded);
}

static void a_difference_to_nothing(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    receive(&encoded);
    send_it(&encoded, encoded.before);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->differences, 1);
    assert_int_equal(received(&encoded)->whole, 1);
    assert_true(received(&encoded)->received > SIZE / 10);
    end(&encoded);
}

/* As when a command has written to its file. */
static void a_difference_to_something_else(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    encoded.before[SIZE / 2] ^= 1;
    encoded.to->base = worker_file(encoded.to, encoded.before, SIZE);
    encoded.before[SIZE / 2] ^= 1;
    receive(&encoded);
    send_it(&encoded, encoded.before);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(received(&encoded)->whole, 1);
    end(&encoded);
}

static void make_noise(uint8_t *bytes)
{
    uint32_t random = 1;
    for (int i = 0; i < SIZE; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)(random >> 24);
    }
}

static void what_does_not_shrink(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    make_noise(encoded.bytes);
    receive(&encoded);
    send_it(&encoded, encoded.before);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->smaller, 0);
    assert_int_equal(received(&encoded)->received, SIZE);
    end(&encoded);
}

static void to_the_same_worker(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    encoded.to = encoded.from;
    send_it(&encoded, NULL); /* it is being compressed */
    receive(&encoded);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->local, 1);
    assert_int_equal(sent(&encoded)->received, 0);
    end(&encoded);
}

static void given_up_meanwhile(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    messenger_withdraw(
        worker_send_bytes(encoded.from, &MESSAGE, encoded.bytes, SIZE, encoded.before));
    struct messenger_send *send =
        worker_send_bytes(encoded.from, &MESSAGE, encoded.bytes, SIZE, encoded.before);
    UNTIL(encoded.world, sent(&encoded)->smaller == 1);
    messenger_withdraw(send);
    send_it(&encoded, encoded.before);
    messenger_free(encoded.from->messenger);
    encoded.from->messenger = NULL;
    world_run(encoded.world, 50);
    encoded.from = worker_join(encoded.world, 0, 2, 1);
    receive(&encoded);
    send_it(&encoded, encoded.before);
    end(&encoded);
}

/* Another attempt sends the same message in another way, and goes on alone. */
static void two_ways(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    struct world *world = encoded.world;
    const struct label label = {"a", "b", "large"};
    enum { LARGE = 20 * SIZE };
    struct receipt receipt;
    uint8_t *bytes = bytes_like_pictures(LARGE, 3);
    world->speed = 0;
    struct worker *fast = worker_join(world, 0, 2, 1);
    worker_receive(encoded.to, "a", "b", "large", &receipt);
    worker_send_bytes(encoded.from, &label, bytes, LARGE, NULL);
    UNTIL(world, received(&encoded)->received > 1000000);
    worker_send_bytes(fast, &label, bytes, LARGE, NULL);
    UNTIL(world, rendezvous_counters(world->servers[0])->repeated == 1);
    assert_false(receipt.done);
    messenger_free(encoded.from->messenger);
    encoded.from->messenger = NULL;
    UNTIL(world, receipt.done);
    assert_int_equal(receipt.error.code, 0);
    assert_int_equal(receipt.identity.size, LARGE);
    assert_int_equal(messenger_counters(fast->messenger)->sent, LARGE);
    /* Both ways, one after the other: a third one is told that it is there. */
    encoded.from = worker_join(world, 0, 3, 1);
    worker_send_bytes(encoded.from, &label, bytes, LARGE, NULL);
    UNTIL(world, rendezvous_counters(world->servers[0])->repeated == 2);
    free(bytes);
    receive(&encoded);
    send_it(&encoded, NULL);
    end(&encoded);
}

/* The rendezvous is started again in between: what is known of the bytes under way goes on. */
static void restarted_in_between(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    struct world *world = encoded.world;
    const struct label label = {"a", "b", "large"};
    enum { LARGE = 20 * SIZE };
    struct receipt receipt;
    uint8_t *bytes = bytes_like_pictures(LARGE, 3);
    worker_receive(encoded.to, "a", "b", "large", &receipt);
    worker_send_bytes(encoded.from, &label, bytes, LARGE, NULL);
    UNTIL(world, received(&encoded)->received > 1000000);
    world_kill(world, 0);
    world_serve(world, 0);
    UNTIL(world, receipt.done);
    assert_int_equal(receipt.error.code, 0);
    assert_int_equal(sent(&encoded)->smaller, 1);
    assert_true(received(&encoded)->received < LARGE);
    free(bytes);
    receive(&encoded);
    send_it(&encoded, NULL);
    end(&encoded);
}

/* Nobody says how fast the connection is: that is found out. */
static void found_out(void **state)
{
    struct encoded encoded = begin(*state, 0);
    const struct label first = {"a", "x", "m"};
    worker_send_bytes(encoded.from, &first, encoded.before, SIZE, NULL);
    while (rendezvous_counters(encoded.world->servers[0])->received < SIZE) {
        usleep(20000);
        uv_run(&encoded.world->loop, UV_RUN_ONCE);
    }
    world_run(encoded.world, 50);
    assert_int_equal(sent(&encoded)->sent, SIZE);
    receive(&encoded);
    send_it(&encoded, NULL);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->smaller, 1);
    end(&encoded);
}

/* ---- While it is being written ------------------------------------------------------------- */

/* Faster than this, nothing is made a difference. */
static const double MIDDLING = 50e6;

static struct messenger_send *begin_it(struct encoded *encoded, int *file)
{
    struct messenger_send *begun;
    struct error error;
    *file = worker_file(encoded->from, NULL, 0);
    if (messenger_begin(encoded->from->messenger, &MESSAGE, dup(*file), SIZE, &begun, &error) < 0)
        fail_msg("%s", error.message);
    return begun;
}

static void grow(const struct encoded *encoded, struct messenger_send *begun, int file,
                 size_t there)
{
    assert_int_equal(pwrite(file, encoded->bytes, there, 0), there);
    messenger_grow(begun, there);
    world_run(encoded->world, 20);
}

static void complete(const struct encoded *encoded, struct messenger_send *begun, int file)
{
    struct store_identity identity = message_identity(encoded->bytes, SIZE);
    messenger_complete(begun, &identity);
    close(file);
}

static void compressed_while_it_grows(void **state)
{
    struct encoded encoded = begin(*state, MIDDLING);
    int file;
    receive(&encoded);
    struct messenger_send *begun = begin_it(&encoded, &file);
    grow(&encoded, begun, file, SIZE / 2);
    grow(&encoded, begun, file, SIZE);
    assert_int_equal(sent(&encoded)->offered, 0);
    complete(&encoded, begun, file);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->smaller, 1);
    assert_true(sent(&encoded)->sent < SIZE * 2 / 3);
    end(&encoded);
}

/* Its sum may come first. */
static void complete_before_it_is_compressed(void **state)
{
    struct encoded encoded = begin(*state, MIDDLING);
    int file;
    receive(&encoded);
    struct messenger_send *begun = begin_it(&encoded, &file);
    assert_int_equal(pwrite(file, encoded.bytes, SIZE, 0), SIZE);
    complete(&encoded, begun, file);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->smaller, 1);
    end(&encoded);
}

static void noise_that_grows(void **state)
{
    struct encoded encoded = begin(*state, MIDDLING);
    int file;
    make_noise(encoded.bytes);
    receive(&encoded);
    struct messenger_send *begun = begin_it(&encoded, &file);
    grow(&encoded, begun, file, SIZE);
    complete(&encoded, begun, file);
    UNTIL(encoded.world, encoded.receipt.done);
    assert_int_equal(sent(&encoded)->smaller, 0);
    assert_int_equal(sent(&encoded)->sent, SIZE);
    end(&encoded);
}

/* A thread waits for more of it then. */
static void taken_back_while_it_grows(void **state)
{
    struct encoded encoded = begin(*state, MIDDLING);
    int file;
    receive(&encoded);
    struct messenger_send *begun = begin_it(&encoded, &file);
    grow(&encoded, begun, file, SIZE / 2);
    messenger_withdraw(begun);
    close(file);
    world_run(encoded.world, 20);
    assert_false(encoded.receipt.done);
    send_it(&encoded, NULL);
    UNTIL(encoded.world, encoded.receipt.done);
    end(&encoded);
}

static void on_a_very_slow_connection(void **state)
{
    struct encoded encoded = begin(*state, SLOW);
    struct messenger_send *begun;
    struct error error;
    int file = worker_file(encoded.from, NULL, 0);
    assert_int_equal(messenger_begin(encoded.from->messenger, &MESSAGE, file, SIZE, &begun, &error),
                     -EAGAIN);
    receive(&encoded);
    send_it(&encoded, NULL);
    end(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(compressed),
        WORLD_TEST(a_difference),
        WORLD_TEST(a_difference_to_nothing),
        WORLD_TEST(a_difference_to_something_else),
        WORLD_TEST(what_does_not_shrink),
        WORLD_TEST(to_the_same_worker),
        WORLD_TEST(given_up_meanwhile),
        WORLD_TEST(two_ways),
        WORLD_TEST(restarted_in_between),
        WORLD_TEST(found_out),
        WORLD_TEST(compressed_while_it_grows),
        WORLD_TEST(complete_before_it_is_compressed),
        WORLD_TEST(noise_that_grows),
        WORLD_TEST(taken_back_while_it_grows),
        WORLD_TEST(on_a_very_slow_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
