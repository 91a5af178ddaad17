/* Who may speak to the rendezvous, and what becomes of those that do what they may not: they are cut off,
 * and the others go on. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "messages_support.h"
#include "net/channel.h"
#include "net/identity.h"

/* A peer that says what it likes. */
struct peer {
    struct channel *channel; /* NULL once it is closed */
    bool opened, welcomed, refused;
    char reason[256];    /* of the refusal */
    int envelopes;       /* that came, but for heartbeats */
    uint64_t bulk;       /* bytes that came */
    uint64_t small_bulk; /* of transfer 2 */
};

static void on_opened(struct channel *channel, void *opaque)
{
    ((struct peer *)opaque)->opened = true;
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct peer *peer = opaque;
    struct error error;
    Mu__Envelope *envelope;
    assert_int_equal(wire_read(bytes, size, &envelope, &error), 0);
    peer->envelopes += envelope->body_case != MU__ENVELOPE__BODY_HEARTBEAT;
    peer->welcomed |= envelope->body_case == MU__ENVELOPE__BODY_WELCOME;
    if (envelope->body_case == MU__ENVELOPE__BODY_REFUSAL) {
        peer->refused = true;
        strncpy(peer->reason, envelope->refusal->reason, sizeof peer->reason - 1);
    }
    wire_free(envelope);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    struct peer *peer = opaque;
    peer->bulk += size;
    peer->small_bulk += transfer == 2 ? size : 0;
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    ((struct peer *)opaque)->channel = NULL;
}

static const struct channel_handlers handlers = {
    .opened = on_opened, .control = on_control, .bulk = on_bulk, .closed = on_closed};

/* Dials; `client` is freed. */
static void dial(struct world *world, struct peer *peer, struct tls_client *client,
                 const char *server_name)
{
    struct error error;
    const struct stream_target target = {.host = "127.0.0.1",
                                         .port = world->ports[0],
                                         .server_name = server_name,
                                         .identity = IDENTITY_RENDEZVOUS};
    *peer = (struct peer){0};
    assert_int_equal(channel_connect(world->network, client, &target, NULL, NULL, &handlers, peer,
                                     &peer->channel, &error),
                     0);
    tls_client_free(client);
    UNTIL(world, peer->opened || !peer->channel);
}

static const Mu__Hello plain_hello = MU__HELLO__INIT;

static void say_hello(struct peer *peer, Mu__Hello *hello)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = hello;
    assert_int_equal(wire_send(peer->channel, &envelope), 0);
}

static void say_join(struct peer *peer, const char *job, uint32_t worker, uint32_t protocol)
{
    Mu__JoinHello join = MU__JOIN_HELLO__INIT;
    Mu__Hello hello = plain_hello;
    join.job = (char *)job;
    join.worker = worker;
    hello.protocol = protocol;
    hello.who_case = MU__HELLO__WHO_JOIN;
    hello.join = &join;
    say_hello(peer, &hello);
}

static void say_control(struct peer *peer, uint64_t epoch)
{
    Mu__ControlHello control = MU__CONTROL_HELLO__INIT;
    Mu__Hello hello = plain_hello;
    control.epoch = epoch;
    hello.protocol = MU_PROTOCOL;
    hello.who_case = MU__HELLO__WHO_CONTROL;
    hello.control = &control;
    say_hello(peer, &hello);
}

/* Worker 3 of job 0, who has been let in. */
static void join(struct world *world, struct peer *peer)
{
    dial(world, peer, world_client(0, 3, 1000), "job-0.excamera.invalid");
    say_join(peer, "0", 3, MU_PROTOCOL);
    UNTIL(world, peer->welcomed);
}

static void say_offer(struct peer *peer, const char *name, uint64_t id, uint64_t size, size_t sum)
{
    uint8_t bytes[64] = {1};
    Mu__Label label = MU__LABEL__INIT;
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Offer offer = MU__OFFER__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    label.from = label.to = (char *)"x";
    label.name = (char *)name;
    identity.size = size;
    identity.sha256.data = bytes;
    identity.sha256.len = sum;
    offer.label = &label;
    offer.identity = &identity;
    offer.transfer = id;
    envelope.body_case = MU__ENVELOPE__BODY_OFFER;
    envelope.offer = &offer;
    wire_send(peer->channel, &envelope);
}

static void say_subscribe(struct peer *peer, const char *to, const char *name, uint64_t id)
{
    Mu__Label label = MU__LABEL__INIT;
    Mu__Subscribe subscribe = MU__SUBSCRIBE__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    label.from = (char *)"a";
    label.to = (char *)to;
    label.name = (char *)name;
    subscribe.label = &label;
    subscribe.transfer = id;
    envelope.body_case = MU__ENVELOPE__BODY_SUBSCRIBE;
    envelope.subscribe = &subscribe;
    wire_send(peer->channel, &envelope);
}

static void say_bulk(struct peer *peer, uint64_t id, size_t size)
{
    static const uint8_t bytes[FRAME_PIECE_MOST];
    for (; size > 0; size -= size < sizeof bytes ? size : sizeof bytes)
        channel_send_bulk(peer->channel, id, bytes, size < sizeof bytes ? size : sizeof bytes);
}

/* A message goes from a to b while others misbehave. */
static void still_works(struct world *world)
{
    static int number;
    struct receipt receipt;
    char name[16];
    struct worker *a = &world->workers[0][0], *b = &world->workers[0][1];
    if (!a->messenger) {
        worker_join(world, 0, 0, 1);
        worker_join(world, 0, 1, 1);
    }
    snprintf(name, sizeof name, "still%d", number++);
    worker_receive(b, "a", "b", name, &receipt);
    worker_send(a, "a", "b", name, 100000, 5);
    UNTIL(world, receipt.done);
    worker_check(b, "a", "b", name, 100000, 5);
}

/* ---- who may come in ----------------------------------------------------------------------- */

static void others_certificates(void **state)
{
    struct world *world = *state;
    static struct peer peer;
    world_serve(world, 0);
    struct {
        struct tls_client *client;
        const char *name;
    } wrong[] = {
        {world_client(1, 3, 1000), "job-0.excamera.invalid"},
        {world_client(0, 3, -10), "job-0.excamera.invalid"},
        {world_client(0, 3, 1000), "job-2.excamera.invalid"},
        {world_client(0, 3, 1000), "job-.excamera.invalid"},
        {world_client(0, 3, 1000), DOMAIN_DEPLOYMENT},
        {world_deployment_client(IDENTITY_COORDINATOR), "job-0.excamera.invalid"},
    };
    for (uint64_t i = 0; i < 6; i++) {
        dial(world, &peer, wrong[i].client, wrong[i].name);
        UNTIL(world, !peer.channel);
        /* Another test on this machine may dial what was its own port. */
        assert_true(rendezvous_counters(world->servers[0])->refused >= i + 1);
    }
    still_works(world);
}

static void hellos_that_do_not_agree(void **state)
{
    struct world *world = *state;
    static struct peer peer;
    world_serve(world, 0);
    dial(world, &peer, world_client(0, 3, 1000), "job-0.excamera.invalid");
    say_join(&peer, "0", 4, MU_PROTOCOL);
    UNTIL(world, !peer.channel);
    assert_non_null(strstr(peer.reason, "worker/3"));
    dial(world, &peer, world_client(0, 3, 1000), "job-0.excamera.invalid");
    say_join(&peer, "1", 3, MU_PROTOCOL);
    UNTIL(world, !peer.channel);
    assert_non_null(strstr(peer.reason, "job 1"));
    dial(world, &peer, world_client(0, 3, 1000), "job-0.excamera.invalid");
    say_join(&peer, "0", 3, MU_PROTOCOL + 1);
    UNTIL(world, !peer.channel);
    assert_non_null(strstr(peer.reason, "version 2"));
    dial(world, &peer, world_deployment_client(IDENTITY_SUBMITTER), DOMAIN_DEPLOYMENT);
    say_control(&peer, 7);
    UNTIL(world, !peer.channel);
    assert_non_null(strstr(peer.reason, "submitter"));
    dial(world, &peer, world_client(0, 3, 1000), "job-0.excamera.invalid");
    say_control(&peer, 7);
    UNTIL(world, !peer.channel);
    assert_true(peer.refused && !peer.welcomed);
    still_works(world);
}

static void epochs(void **state)
{
    struct world *world = *state;
    static struct peer first, second;
    world_serve(world, 0);
    dial(world, &first, world_deployment_client(IDENTITY_COORDINATOR), DOMAIN_DEPLOYMENT);
    say_control(&first, 5);
    UNTIL(world, first.welcomed);
    dial(world, &second, world_deployment_client(IDENTITY_COORDINATOR), DOMAIN_DEPLOYMENT);
    say_control(&second, 4);
    UNTIL(world, !second.channel);
    assert_non_null(strstr(second.reason, "epoch 5"));
    assert_non_null(first.channel);
    dial(world, &second, world_deployment_client(IDENTITY_COORDINATOR), DOMAIN_DEPLOYMENT);
    say_control(&second, 6);
    UNTIL(world, second.welcomed && !first.channel);
    assert_non_null(strstr(first.reason, "epoch 6"));
    assert_non_null(second.channel);
}

static void jobs_come_and_go(void **state)
{
    struct world *world = *state;
    static struct peer control, worker;
    struct error error;
    char *pem;
    world_serve(world, 0);
    dial(world, &control, world_deployment_client(IDENTITY_COORDINATOR), DOMAIN_DEPLOYMENT);
    say_control(&control, 1);
    Mu__Register registering = MU__REGISTER__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    assert_int_equal(certificate_write(world_job_authority(0), false, &pem, &error), 0);
    registering.job = (char *)"new";
    registering.ca.data = (uint8_t *)pem;
    registering.ca.len = strlen(pem);
    envelope.body_case = MU__ENVELOPE__BODY_REGISTER;
    envelope.register_ = &registering;
    wire_send(control.channel, &envelope);
    wire_send(control.channel, &envelope); /* again: nothing changes */
    UNTIL(world, rendezvous_counters(world->servers[0])->jobs == 3);
    join(world, &worker);
    Mu__Unregister unregistering = MU__UNREGISTER__INIT;
    unregistering.job = (char *)"0";
    envelope.body_case = MU__ENVELOPE__BODY_UNREGISTER;
    envelope.unregister = &unregistering;
    wire_send(control.channel, &envelope);
    UNTIL(world, !worker.channel);
    assert_int_equal(rendezvous_counters(world->servers[0])->jobs, 2);
    /* The job that is there, with another CA. */
    registering.job = (char *)"1";
    envelope.body_case = MU__ENVELOPE__BODY_REGISTER;
    envelope.register_ = &registering;
    wire_send(control.channel, &envelope);
    UNTIL(world, !control.channel);
    assert_non_null(strstr(world->note, "another authority"));
    certificate_forget(pem);
}

/* ---- what they may not say ----------------------------------------------------------------- */

static void garbage(struct peer *peer)
{
    stream_write(channel_stream(peer->channel), "\x05\0\0\0\0\xff\xff\xff\xff", 9);
}

static void not_a_frame(struct peer *peer)
{
    stream_write(channel_stream(peer->channel), "GET / HTTP/1.1\r\n\r\n", 18);
}

static void second_hello(struct peer *peer)
{
    say_join(peer, "0", 3, MU_PROTOCOL);
}

static void too_long_a_name(struct peer *peer)
{
    char name[80] = "";
    say_offer(peer, memset(name, 'n', 73), 1, 10, WIRE_SHA256);
}

static void no_name(struct peer *peer)
{
    say_offer(peer, "", 1, 10, WIRE_SHA256);
}

static void half_a_sum(struct peer *peer)
{
    say_offer(peer, "m", 1, 10, 16);
}

static void more_than_the_message(struct peer *peer)
{
    say_offer(peer, "m1", 1, 10, WIRE_SHA256);
    say_bulk(peer, 1, 11);
}

static void more_than_its_credit(struct peer *peer)
{
    say_offer(peer, "m2", 1, 100 << 20, WIRE_SHA256);
    for (int i = 0; i < 17; i++)
        say_bulk(peer, 1, FRAME_PIECE_MOST);
    say_offer(peer, "m3", 1, 10, WIRE_SHA256); /* in case that credit came in between */
}

static void say_sum(struct peer *peer, uint64_t id, uint64_t size)
{
    uint8_t bytes[WIRE_SHA256] = {1};
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Sum sum = MU__SUM__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    identity.size = size;
    identity.sha256.data = bytes;
    identity.sha256.len = sizeof bytes;
    sum.transfer = id;
    sum.identity = &identity;
    envelope.body_case = MU__ENVELOPE__BODY_SUM;
    envelope.sum = &sum;
    wire_send(peer->channel, &envelope);
}

static void a_sum_before_its_bytes(struct peer *peer)
{
    say_offer(peer, "m6", 1, 10, 0);
    say_bulk(peer, 1, 9);
    say_sum(peer, 1, 10);
}

static void a_sum_of_another_size(struct peer *peer)
{
    say_offer(peer, "m7", 1, 10, 0);
    say_bulk(peer, 1, 10);
    say_sum(peer, 1, 11);
}

static void a_second_sum(struct peer *peer)
{
    say_offer(peer, "m8", 1, 10, WIRE_SHA256);
    say_sum(peer, 1, 10);
}

static void nothing_without_a_sum(struct peer *peer)
{
    say_offer(peer, "m9", 1, 0, 0);
}

static void one_transfer_twice(struct peer *peer)
{
    say_offer(peer, "m4", 1, 10, WIRE_SHA256);
    say_subscribe(peer, "x", "m4", 1);
}

static void bytes_for_a_subscription(struct peer *peer)
{
    say_subscribe(peer, "x", "m5", 1);
    say_bulk(peer, 1, 10);
}

static void too_many_transfers(struct peer *peer)
{
    char name[16];
    for (unsigned i = 0; i <= 1 << 14; i++) {
        snprintf(name, sizeof name, "t%u", i);
        say_subscribe(peer, "x", name, i + 1);
    }
}

static void too_much_credit(struct peer *peer)
{
    Mu__Credit credit = MU__CREDIT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    say_subscribe(peer, "x", "m6", 1);
    credit.transfer = credit.bytes = 1;
    envelope.body_case = MU__ENVELOPE__BODY_CREDIT;
    envelope.credit = &credit;
    wire_send(peer->channel, &envelope);
}

static void control_from_a_worker(struct peer *peer)
{
    Mu__Forget forget = MU__FORGET__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_FORGET;
    envelope.forget = &forget;
    wire_send(peer->channel, &envelope);
}

static void what_is_not_allowed(void **state)
{
    struct world *world = *state;
    static void (*const wrong[])(struct peer * peer) = {
        garbage,
        not_a_frame,
        second_hello,
        too_long_a_name,
        no_name,
        half_a_sum,
        more_than_the_message,
        more_than_its_credit,
        a_sum_before_its_bytes,
        a_sum_of_another_size,
        a_second_sum,
        nothing_without_a_sum,
        one_transfer_twice,
        bytes_for_a_subscription,
        too_many_transfers,
        too_much_credit,
        control_from_a_worker,
    };
    static struct peer peer;
    world_serve(world, 0);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        int notes = world->notes;
        join(world, &peer);
        wrong[i](&peer);
        UNTIL(world, !peer.channel);
        assert_true(world->notes > notes);
        still_works(world);
    }
}

static void before_the_hello(void **state)
{
    struct world *world = *state;
    static struct peer peer;
    world_serve(world, 0);
    dial(world, &peer, world_client(0, 3, 1000), "job-0.excamera.invalid");
    say_offer(&peer, "m", 1, 10, WIRE_SHA256);
    UNTIL(world, !peer.channel);
    dial(world, &peer, world_client(0, 3, 1000), "job-0.excamera.invalid");
    say_bulk(&peer, 1, 10);
    UNTIL(world, !peer.channel);
    assert_int_equal(peer.envelopes, 0);
    assert_int_equal(rendezvous_counters(world->servers[0])->messages, 0);
}

static void silence(void **state)
{
    struct world *world = *state;
    static struct peer peer;
    world->options.heartbeat_ms = 50;
    world_serve(world, 0);
    still_works(world);
    join(world, &peer);
    UNTIL(world, !peer.channel);
    world_run(world, 300);
    /* Those that say that they are there have stayed. */
    assert_int_equal(messenger_counters(world->workers[0][0].messenger)->connections, 1);
    still_works(world);
}

/* ---- slow ones ----------------------------------------------------------------------------- */

static void a_receiver_without_credit(void **state)
{
    struct world *world = *state;
    static struct peer peer;
    world_serve(world, 0);
    still_works(world);
    join(world, &peer);
    say_subscribe(&peer, "b", "large", 1);
    say_subscribe(&peer, "b", "little", 2);
    worker_send(&world->workers[0][0], "a", "b", "large", 5000000, 1);
    worker_send(&world->workers[0][0], "a", "b", "little", 100, 2);
    UNTIL(world, peer.small_bulk == 100 && peer.bulk == (1 << 20) + 100);
    world_run(world, 30);
    assert_int_equal(peer.bulk, (1 << 20) + 100);
    still_works(world);
}

static void a_receiver_that_does_not_read(void **state)
{
    struct world *world = *state;
    enum { COUNT = 40, SIZE = 1000000 };
    struct receipt receipts[COUNT];
    static struct peer peer;
    char name[16];
    world->options.memory = 4 << 20;
    world_serve(world, 0);
    still_works(world);
    join(world, &peer);
    channel_pause(peer.channel);
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "m%u", i);
        say_subscribe(&peer, "b", name, i + 1);
        worker_receive(&world->workers[0][1], "a", "b", name, &receipts[i]);
    }
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(name, sizeof name, "m%u", i);
        worker_send(&world->workers[0][0], "a", "b", name, SIZE, i);
    }
    for (unsigned i = 0; i < COUNT; i++)
        UNTIL(world, receipts[i].done);
    const struct rendezvous_counters *counters = rendezvous_counters(world->servers[0]);
    assert_true(counters->memory_peak <= 4 << 20 && counters->file > 0);
    channel_resume(peer.channel);
    UNTIL(world, peer.bulk == COUNT * SIZE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(others_certificates),
        WORLD_TEST(hellos_that_do_not_agree),
        WORLD_TEST(epochs),
        WORLD_TEST(jobs_come_and_go),
        WORLD_TEST(what_is_not_allowed),
        WORLD_TEST(before_the_hello),
        WORLD_TEST(silence),
        WORLD_TEST(a_receiver_without_credit),
        WORLD_TEST(a_receiver_that_does_not_read),
    };
    alarm(240);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
