/* A coordinator's connection to a rendezvous: what it registers is there, whatever was lost on the way. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "messages_support.h"
#include "mu/registrar.h"
#include "net/identity.h"

struct coordinator {
    struct registrar *registrar;
    struct tls_client *client;
    int ready, lost, refused;
    struct error reason;
};

static void on_ready(void *opaque)
{
    ((struct coordinator *)opaque)->ready++;
}

static void on_lost(void *opaque, const struct error *reason)
{
    struct coordinator *coordinator = opaque;
    coordinator->lost++;
    coordinator->reason = *reason;
}

static void on_refused(void *opaque, const struct error *reason)
{
    struct coordinator *coordinator = opaque;
    coordinator->refused++;
    coordinator->reason = *reason;
}

static void start(struct world *world, struct coordinator *coordinator, uint64_t epoch,
                  unsigned lost_ms)
{
    static const struct registrar_handlers handlers = {
        .ready = on_ready, .lost = on_lost, .refused = on_refused};
    struct error error;
    *coordinator = (struct coordinator){.client = world_deployment_client(IDENTITY_COORDINATOR)};
    const struct registrar_options options = {
        .host = "127.0.0.1",
        .port = world->ports[0],
        .client = coordinator->client,
        .epoch = epoch,
        .least_pause = 10,
        .most_pause = 50,
        .lost_ms = lost_ms,
        .handlers = &handlers,
        .opaque = coordinator,
    };
    if (registrar_new(world->network, &options, &coordinator->registrar, &error) < 0)
        fail_msg("%s", error.message);
}

static void end(struct coordinator *coordinator)
{
    registrar_free(coordinator->registrar);
    tls_client_free(coordinator->client);
}

static void add(struct coordinator *coordinator, const char *job, int authority)
{
    struct error error;
    if (registrar_register(coordinator->registrar, job, world_job_authority(authority), &error) < 0)
        fail_msg("%s", error.message);
}

/* A rendezvous that knows no job. */
static void serve(struct world *world)
{
    world_serve(world, 0);
    rendezvous_unregister(world->servers[0], "0");
    rendezvous_unregister(world->servers[0], "1");
}

static uint64_t jobs(struct world *world)
{
    return rendezvous_counters(world->servers[0])->jobs;
}

static void pass(struct world *world, const char *name)
{
    struct receipt receipt;
    worker_send(&world->workers[0][0], "a", "b", name, 100000, 3);
    worker_receive(&world->workers[0][1], "a", "b", name, &receipt);
    UNTIL(world, receipt.done);
    assert_int_equal(receipt.error.code, 0);
    worker_check(&world->workers[0][1], "a", "b", name, 100000, 3);
}

static void jobs_come_and_go(void **state)
{
    struct world *world = *state;
    struct coordinator coordinator;
    struct error error;
    serve(world);
    start(world, &coordinator, 1, 0);
    add(&coordinator, "0", 0);
    assert_int_equal(coordinator.ready, 0);
    assert_false(registrar_ready(coordinator.registrar));
    UNTIL(world, coordinator.ready == 1);
    assert_true(registrar_ready(coordinator.registrar));
    UNTIL(world, jobs(world) == 1);
    worker_join(world, 0, 0, 1);
    worker_join(world, 0, 1, 1);
    pass(world, "first");
    registrar_forget(coordinator.registrar, "0", "b");
    UNTIL(world, rendezvous_counters(world->servers[0])->messages == 0);
    add(&coordinator, "1", 1);
    UNTIL(world, jobs(world) == 2);
    assert_int_equal(registrar_register(coordinator.registrar, "1", world_job_authority(1), &error),
                     -EEXIST);
    assert_int_equal(registrar_register(coordinator.registrar, "/", world_job_authority(1), &error),
                     -EINVAL);
    registrar_unregister(coordinator.registrar, "1");
    registrar_unregister(coordinator.registrar, "unknown");
    UNTIL(world, jobs(world) == 1);
    assert_int_equal(coordinator.lost + coordinator.refused, 0);
    end(&coordinator);
}

static void all_again_after_a_restart(void **state)
{
    struct world *world = *state;
    struct coordinator coordinator;
    serve(world);
    start(world, &coordinator, 1, 0);
    add(&coordinator, "0", 0);
    UNTIL(world, coordinator.ready == 1);
    worker_join(world, 0, 0, 1);
    worker_join(world, 0, 1, 1);
    pass(world, "first");
    world_kill(world, 0);
    UNTIL(world, !registrar_ready(coordinator.registrar));
    add(&coordinator, "1", 1);
    assert_true(registrar_trouble(coordinator.registrar)[0] != '\0');
    serve(world);
    UNTIL(world, coordinator.ready == 2);
    UNTIL(world, jobs(world) == 2);
    pass(world, "second");
    end(&coordinator);
}

/* A coordinator that was started again: some jobs are over, another has new keys. */
static void what_is_not_said_again_is_over(void **state)
{
    struct world *world = *state;
    struct coordinator first, second;
    serve(world);
    start(world, &first, 1, 0);
    add(&first, "0", 0);
    add(&first, "1", 1);
    add(&first, "2", 1);
    UNTIL(world, first.ready == 1);
    UNTIL(world, jobs(world) == 3);
    end(&first);
    world_run(world, 20);
    assert_int_equal(jobs(world), 3); /* for as long as nobody says otherwise */
    start(world, &second, 2, 0);
    add(&second, "0", 0);
    add(&second, "1", 0);
    UNTIL(world, jobs(world) == 2);
    assert_int_equal(second.ready, 1);
    world_run(world, 20);
    assert_int_equal(second.ready, 1);
    assert_true(registrar_ready(second.registrar));
    end(&second);
}

/* What the rendezvous's owner registered is not a coordinator's to end. */
static void jobs_of_the_owner_stay(void **state)
{
    struct world *world = *state;
    struct coordinator coordinator;
    world_serve(world, 0);
    start(world, &coordinator, 1, 0);
    add(&coordinator, "other", 1);
    UNTIL(world, jobs(world) == 3);
    UNTIL(world, coordinator.ready == 1);
    world_run(world, 20);
    assert_int_equal(jobs(world), 3);
    end(&coordinator);
}

static void lost_once_each_time(void **state)
{
    struct world *world = *state;
    struct coordinator coordinator;
    serve(world);
    world_kill(world, 0);
    start(world, &coordinator, 1, 100);
    add(&coordinator, "0", 0);
    UNTIL(world, coordinator.lost == 1);
    assert_non_null(strstr(coordinator.reason.message, "is lost"));
    world_run(world, 300);
    assert_int_equal(coordinator.lost, 1);
    serve(world);
    UNTIL(world, coordinator.ready == 1);
    world_run(world, 300);
    assert_int_equal(coordinator.lost, 1);
    world_kill(world, 0);
    UNTIL(world, coordinator.lost == 2);
    end(&coordinator);
}

static void a_later_coordinator_takes_over(void **state)
{
    struct world *world = *state;
    struct coordinator first, second, late;
    serve(world);
    start(world, &first, 5, 0);
    UNTIL(world, first.ready == 1);
    start(world, &second, 6, 0);
    UNTIL(world, second.ready == 1 && first.refused == 1);
    assert_non_null(strstr(first.reason.message, "epoch 6"));
    start(world, &late, 5, 50);
    UNTIL(world, late.refused == 1);
    world_run(world, 200);
    assert_int_equal(late.refused, 1);
    assert_int_equal(late.lost + late.ready, 0);
    assert_int_equal(first.ready, 1);
    assert_int_equal(second.refused, 0);
    end(&first);
    end(&second);
    end(&late);
}

/* More than the connection's queue takes at once. */
static void many_jobs(void **state)
{
    enum { MANY = 1500 };
    struct world *world = *state;
    struct coordinator coordinator;
    char name[16];
    serve(world);
    start(world, &coordinator, 1, 0);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "job-%d", i);
        add(&coordinator, name, 0);
    }
    UNTIL(world, coordinator.ready == 1);
    UNTIL(world, jobs(world) == MANY);
    end(&coordinator);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        WORLD_TEST(jobs_come_and_go),
        WORLD_TEST(all_again_after_a_restart),
        WORLD_TEST(what_is_not_said_again_is_over),
        WORLD_TEST(jobs_of_the_owner_stay),
        WORLD_TEST(lost_once_each_time),
        WORLD_TEST(a_later_coordinator_takes_over),
        WORLD_TEST(many_jobs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
