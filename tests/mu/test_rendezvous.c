/* Messages from worker to worker, by way of one rendezvous or two, whatever is lost on the way. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "messages_support.h"

static void sent_first(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 3000000};
    for (uint32_t i = 0; i < 7; i++) {
        char name[8];
        snprintf(name, sizeof name, "m%u", i);
        worker_send(a, "a", "b", name, sizes[i], i);
        UNTIL(world, rendezvous_counters(world->servers[0])->memory == 0 || i > 0);
        world_run(world, 10);
        worker_receive(b, "a", "b", name, &receipt);
        UNTIL(world, receipt.done);
        assert_int_equal(receipt.error.code, 0);
        assert_int_equal(receipt.identity.size, sizes[i]);
        worker_check(b, "a", "b", name, sizes[i], i);
    }
}

static void awaited_first(void **state)
{
    struct world *world = *state;
    struct receipt receipts[7];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    static const size_t sizes[] = {0, 1, 100, 65535, 65536, 65537, 3000000};
    char name[8];
    for (uint32_t i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "m%u", i);
        worker_receive(b, "a", "b", name, &receipts[i]);
    }
    world_run(world, 50);
    for (uint32_t i = 0; i < 7; i++) {
        snprintf(name, sizeof name, "m%u", i);
        worker_send(a, "a", "b", name, sizes[i], i);
        UNTIL(world, receipts[i].done);
        assert_int_equal(receipts[i].error.code, 0);
        worker_check(b, "a", "b", name, sizes[i], i);
    }
}

/* A message is not consumed: who starts again elsewhere is given it again. */
static void read_twice(void **state)
{
    struct world *world = *state;
    struct receipt receipts[3];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1);
    struct worker *b = worker_join(world, 0, 1, 1), *c = worker_join(world, 0, 2, 1);
    worker_receive(b, "a", "b", "m", &receipts[0]);
    worker_receive(c, "a", "b", "m", &receipts[1]);
    worker_send(a, "a", "b", "m", 500000, 7);
    UNTIL(world, receipts[0].done && receipts[1].done);
    worker_check(b, "a", "b", "m", 500000, 7);
    worker_check(c, "a", "b", "m", 500000, 7);
    worker_receive(c, "a", "b", "m", &receipts[2]);
    UNTIL(world, receipts[2].done);
    worker_check(c, "a", "b", "m", 500000, 7);
    rendezvous_forget(world->servers[0], "0", "b");
    assert_int_equal(rendezvous_counters(world->servers[0])->messages, 0);
    assert_int_equal(rendezvous_counters(world->servers[0])->memory, 0);
}

static void many_small_ones(void **state)
{
    struct world *world = *state;
    enum { COUNT = 300 };
    static struct receipt receipts[COUNT];
    char name[8];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "m%u", i);
        if (i % 2)
            worker_receive(b, "a", "b", name, &receipts[i]);
        worker_send(a, "a", "b", name, 100, i);
        if (i % 2 == 0)
            worker_receive(b, "a", "b", name, &receipts[i]);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        UNTIL(world, receipts[i].done);
        snprintf(name, sizeof name, "m%u", i);
        worker_check(b, "a", "b", name, 100, i);
    }
}

static void behind_a_small_memory(void **state)
{
    struct world *world = *state;
    struct receipt receipts[6];
    char name[8];
    world->options.memory = 1 << 20;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    for (uint32_t i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "m%u", i);
        worker_send(a, "a", "b", name, 1500000 + i, i);
    }
    UNTIL(world, rendezvous_counters(world->servers[0])->received == 9000015);
    for (uint32_t i = 0; i < 6; i++) {
        snprintf(name, sizeof name, "m%u", i);
        worker_receive(b, "a", "b", name, &receipts[i]);
    }
    for (uint32_t i = 0; i < 6; i++) {
        UNTIL(world, receipts[i].done);
        snprintf(name, sizeof name, "m%u", i);
        worker_check(b, "a", "b", name, 1500000 + i, i);
    }
    const struct rendezvous_counters *counters = rendezvous_counters(world->servers[0]);
    assert_true(counters->memory_peak <= 1 << 20);
    assert_true(counters->file > 7000000);
    rendezvous_forget(world->servers[0], "0", "b");
    assert_int_equal(rendezvous_counters(world->servers[0])->file, 0);
    assert_int_equal(rendezvous_counters(world->servers[0])->memory, 0);
}

static void in_one_place(void **state)
{
    struct world *world = *state;
    struct receipt receipts[2];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1);
    worker_receive(a, "a", "b", "first", &receipts[0]);
    worker_send(a, "a", "b", "first", 100000, 1);
    assert_false(receipts[0].done);
    UNTIL(world, receipts[0].done);
    assert_int_equal(receipts[0].error.code, 0);
    struct stat status;
    assert_int_equal(fstatat(a->folder, "in/b/a.first", &status, 0), 0);
    assert_int_equal(status.st_nlink, 2);
    worker_check(a, "a", "b", "first", 100000, 1);
    worker_send(a, "a", "b", "second", 100000, 2);
    worker_receive(a, "a", "b", "second", &receipts[1]);
    UNTIL(world, receipts[1].done);
    worker_check(a, "a", "b", "second", 100000, 2);
    assert_int_equal(messenger_counters(a->messenger)->local, 2);
    assert_int_equal(messenger_counters(a->messenger)->received, 0);
    /* The receiver is started again elsewhere. */
    UNTIL(world, rendezvous_counters(world->servers[0])->messages == 2);
    world_run(world, 20);
    /* The second was there first, and may have gone. */
    assert_true(rendezvous_counters(world->servers[0])->received <= 100000);
    struct worker *c = worker_join(world, 0, 2, 1);
    worker_receive(c, "a", "b", "first", &receipts[0]);
    UNTIL(world, receipts[0].done);
    worker_check(c, "a", "b", "first", 100000, 1);
}

static void not_deterministic(void **state)
{
    struct world *world = *state;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    worker_send(a, "a", "c", "m", 1000, 1);
    UNTIL(world, rendezvous_counters(world->servers[0])->received == 1000);
    struct messenger_send *same = worker_send(b, "a", "c", "m", 1000, 1);
    UNTIL(world, rendezvous_counters(world->servers[0])->repeated == 1);
    world_run(world, 20);
    assert_int_equal(b->clashes, 0);
    messenger_withdraw(same);
    worker_send(b, "a", "c", "m", 1000, 2);
    UNTIL(world, b->clashes == 1);
    assert_int_equal(a->clashes, 0);
    assert_int_equal(rendezvous_counters(world->servers[0])->clashes, 1);
}

static void jobs_apart(void **state)
{
    struct world *world = *state;
    struct receipt theirs, ours;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    struct worker *stranger = worker_join(world, 1, 1, 1);
    worker_receive(stranger, "a", "b", "m", &theirs);
    worker_receive(b, "a", "b", "m", &ours);
    worker_send(a, "a", "b", "m", 1000, 1);
    UNTIL(world, ours.done);
    world_run(world, 50);
    assert_false(theirs.done);
    assert_int_equal(messenger_counters(stranger->messenger)->received, 0);
    rendezvous_unregister(world->servers[0], "0");
    assert_int_equal(rendezvous_counters(world->servers[0])->messages, 1);
    world_run(world, 50);
    assert_non_null(strstr(world->note, "unknown"));
}

static void cancelled(void **state)
{
    struct world *world = *state;
    struct receipt receipts[2];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    worker_receive(b, "a", "b", "never", &receipts[0]);
    UNTIL(world, rendezvous_counters(world->servers[0])->messages == 1);
    messenger_cancel(receipts[0].receive);
    UNTIL(world, rendezvous_counters(world->servers[0])->messages == 0);
    worker_receive(b, "a", "b", "m", &receipts[1]);
    worker_send(a, "a", "b", "m", 20000000, 1);
    UNTIL(world, messenger_counters(b->messenger)->received > 100000);
    messenger_cancel(receipts[1].receive);
    assert_int_equal(faccessat(b->folder, "in/b/a.m.part", F_OK, 0), -1);
    world_run(world, 100);
    assert_false(receipts[0].done || receipts[1].done);
    worker_receive(b, "a", "b", "m", &receipts[1]);
    UNTIL(world, receipts[1].done);
    worker_check(b, "a", "b", "m", 20000000, 1);
}

static void restarted_in_the_middle(void **state)
{
    struct world *world = *state;
    struct receipt receipts[3];
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    worker_receive(b, "a", "b", "big", &receipts[0]);
    worker_receive(b, "a", "b", "late", &receipts[1]);
    worker_send(a, "a", "b", "early", 1000, 2);
    worker_send(a, "a", "b", "big", 30000000, 1);
    UNTIL(world, messenger_counters(b->messenger)->received > 10000000);
    world_kill(world, 0);
    world_run(world, 60);
    world_serve(world, 0);
    UNTIL(world, receipts[0].done);
    assert_int_equal(receipts[0].error.code, 0);
    worker_check(b, "a", "b", "big", 30000000, 1);
    /* It went on where it was. */
    assert_int_equal(messenger_counters(b->messenger)->received, 30000000);
    worker_receive(b, "a", "b", "early", &receipts[2]);
    worker_send(a, "a", "b", "late", 1000, 3);
    UNTIL(world, receipts[1].done && receipts[2].done);
    worker_check(b, "a", "b", "early", 1000, 2);
    worker_check(b, "a", "b", "late", 1000, 3);
}

static void one_of_two_lost_for_good(void **state)
{
    struct world *world = *state;
    enum { COUNT = 8 };
    struct receipt receipts[COUNT];
    char to[8];
    world_serve(world, 0);
    world_serve(world, 1);
    struct worker *a = worker_join(world, 0, 0, 2), *b = worker_join(world, 0, 1, 2);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(to, sizeof to, "b%u", i);
        worker_send(a, "a", to, "m", 100000, i);
    }
    UNTIL(world, rendezvous_counters(world->servers[0])->received +
                         rendezvous_counters(world->servers[1])->received ==
                     COUNT * 100000);
    assert_true(rendezvous_counters(world->servers[0])->received > 0);
    assert_true(rendezvous_counters(world->servers[1])->received > 0);
    world_kill(world, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(to, sizeof to, "b%u", i);
        worker_receive(b, "a", to, "m", &receipts[i]);
    }
    world_run(world, 100);
    messenger_map_out(a->messenger, 0);
    messenger_map_out(b->messenger, 0);
    for (uint32_t i = 0; i < COUNT; i++) {
        snprintf(to, sizeof to, "b%u", i);
        UNTIL(world, receipts[i].done);
        worker_check(b, "a", to, "m", 100000, i);
    }
}

static void a_worker_that_comes_again(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    UNTIL(world, rendezvous_counters(world->servers[0])->connections == 2);
    messenger_free(b->messenger);
    tls_client_free(b->client);
    rmdir(b->folder_path);
    close(b->folder);
    b = worker_join(world, 0, 1, 1);
    worker_receive(b, "a", "b", "m", &receipt);
    worker_send(a, "a", "b", "m", 1000, 1);
    UNTIL(world, receipt.done);
    worker_check(b, "a", "b", "m", 1000, 1);
}

static void bytes_that_are_not_the_messages(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    struct error error;
    struct messenger_send *send;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    const struct store_identity wrong = {.size = 5, .sha256 = "wrong"};
    const struct label label = {"a", "b", "m"};
    FILE *file = tmpfile();
    fputs("hello", file);
    fflush(file);
    assert_int_equal(
        messenger_send(a->messenger, &label, dup(fileno(file)), &wrong, NULL, false, &send, &error),
        0);
    worker_receive(b, "a", "b", "m", &receipt);
    UNTIL(world, receipt.done);
    assert_int_equal(receipt.error.code, -EBADMSG);
    assert_int_equal(faccessat(b->folder, "in/b/a.m", F_OK, 0), -1);
    assert_int_equal(faccessat(b->folder, "in/b/a.m.part", F_OK, 0), -1);
    /* And a file that is shorter than was said. */
    const struct store_identity longer = {.size = 6};
    const struct label other = {"a", "b", "n"};
    assert_int_equal(messenger_send(a->messenger, &other, dup(fileno(file)), &longer, NULL, false,
                                    &send, &error),
                     0);
    UNTIL(world, a->broken);
    fclose(file);
}

static bool drained;

static void on_drained(void *opaque)
{
    drained = true;
}

static void draining(void **state)
{
    struct world *world = *state;
    struct receipt receipt;
    world_serve(world, 0);
    struct worker *a = worker_join(world, 0, 0, 1), *b = worker_join(world, 0, 1, 1);
    worker_receive(b, "a", "b", "m", &receipt);
    worker_send(a, "a", "b", "m", 10000000, 1);
    UNTIL(world, messenger_counters(b->messenger)->received > 100000);
    rendezvous_drain(world->servers[0], on_drained, NULL);
    UNTIL(world, drained);
    assert_true(receipt.done);
    worker_check(b, "a", "b", "m", 10000000, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(sent_first),
        WORLD_TEST(awaited_first),
        WORLD_TEST(read_twice),
        WORLD_TEST(many_small_ones),
        WORLD_TEST(behind_a_small_memory),
        WORLD_TEST(in_one_place),
        WORLD_TEST(not_deterministic),
        WORLD_TEST(jobs_apart),
        WORLD_TEST(cancelled),
        WORLD_TEST(restarted_in_the_middle),
        WORLD_TEST(one_of_two_lost_for_good),
        WORLD_TEST(a_worker_that_comes_again),
        WORLD_TEST(bytes_that_are_not_the_messages),
        WORLD_TEST(draining),
    };
    alarm(240);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
