/* Bytes go both ways, in order, held back where the other side wants that. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_support.h"

static uint8_t block[200000];

/* Sends up to `size` bytes more of the pattern; what stream_write says. */
static int send_more(struct peer *peer, size_t size)
{
    pattern_fill(block, peer->sent, size);
    int result = stream_write(peer->stream, block, size);
    if (result >= 0)
        peer->sent += size;
    return result;
}

/* ---- large transfers ----------------------------------------------------------------------- */

enum { LARGE = 24 << 20 };

static void send_large(struct peer *peer)
{
    int result = 0;
    while (result == 0 && peer->sent < LARGE)
        result = send_more(peer, peer->sent + 70001 < LARGE ? 70001 : LARGE - peer->sent);
    assert_true(result == 0 || result == 1);
    assert_true(stream_queued(peer->stream) < peer->setup->limits.high + 200000);
}

static void large_both_ways(void **state)
{
    struct setup *setup = *state;
    setup->limits.high = 300000;
    setup->near.on_drained = setup->far.on_drained = send_large;
    setup_pair(setup);
    send_large(&setup->near);
    send_large(&setup->far);
    UNTIL(setup, setup->near.received == LARGE && setup->far.received == LARGE);
    assert_true(setup->near.sound && setup->far.sound);
    assert_true(setup->near.drained > 0 && setup->far.drained > 0);
}

/* Many sizes, among them those around a record's. */
static void pieces_of_all_sizes(void **state)
{
    static const size_t sizes[] = {1,     2,     100,   16383, 16384, 16385, 0,
                                   32768, 49151, 65536, 65549, 7,     131072};
    struct setup *setup = *state;
    setup->limits.queue = 64 << 20;
    setup_pair(setup);
    for (int round = 0; round < 20; round++)
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
            assert_true(send_more(&setup->near, sizes[(i * 5 + (size_t)round) % 13]) >= 0);
    UNTIL(setup, setup->far.received == setup->near.sent);
    assert_true(setup->far.sound);
}

static void two_parts_as_one(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    pattern_fill(block, 0, 40000);
    assert_int_equal(stream_write_two(setup->near.stream, block, 13, block + 13, 39987), 0);
    UNTIL(setup, setup->far.received == 40000);
    assert_true(setup->far.sound);
}

static void byte_at_a_time(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    for (int i = 0; i < 300; i++) {
        send_more(&setup->near, 1);
        UNTIL(setup, setup->far.received == setup->near.sent);
    }
    for (int i = 0; i < 5000; i++)
        assert_int_equal(send_more(&setup->near, 1), 0);
    UNTIL(setup, setup->far.received == setup->near.sent);
    assert_true(setup->far.sound);
}

/* ---- bounds -------------------------------------------------------------------------------- */

static void a_full_queue_refuses(void **state)
{
    struct setup *setup = *state;
    setup->limits.queue = 30 << 20;
    setup->limits.high = 1 << 20;
    setup_pair(setup);
    stream_pause(setup->far.stream);
    int result;
    while ((result = send_more(&setup->near, 100000)) >= 0)
        uv_run(&setup->loop, UV_RUN_NOWAIT);
    assert_int_equal(result, -ENOBUFS);
    assert_true(stream_queued(setup->near.stream) <= setup->limits.queue);
    assert_int_equal(setup->near.drained, 0);
    stream_resume(setup->far.stream);
    UNTIL(setup, setup->far.received == setup->near.sent);
    assert_true(setup->far.sound);
    UNTIL(setup, setup->near.drained == 1);
    assert_int_equal(stream_queued(setup->near.stream), 0);
}

static void more_than_the_queue_is_never_taken(void **state)
{
    struct setup *setup = *state;
    setup->limits.queue = 100000;
    setup_pair(setup);
    assert_int_equal(send_more(&setup->near, 100001), -ENOBUFS);
    assert_int_equal(stream_write_two(setup->near.stream, block, SIZE_MAX, block, 10), -ENOBUFS);
    assert_int_equal(stream_write_two(setup->near.stream, block, 10, block, SIZE_MAX), -ENOBUFS);
    assert_true(send_more(&setup->near, 100000) >= 0);
    UNTIL(setup, setup->far.received == 100000);
}

/* ---- pausing ------------------------------------------------------------------------------- */

static size_t pause_each_time(struct peer *peer, const uint8_t *bytes, size_t size)
{
    stream_pause(peer->stream);
    return size;
}

static void paused_inside_the_handler(void **state)
{
    struct setup *setup = *state;
    setup->far.on_received = pause_each_time;
    setup_pair(setup);
    send_more(&setup->near, 100000);
    int times = 0;
    while (setup->far.received < 100000) {
        UNTIL(setup, !stream_receiving(setup->far.stream));
        uint64_t before = setup->far.received;
        setup_run(setup, 5);
        assert_int_equal(setup->far.received, before);
        stream_resume(setup->far.stream);
        assert_int_equal(setup->far.received, before);
        times++;
    }
    assert_true(times >= 7);
    assert_true(setup->far.sound);
}

static size_t take_little(struct peer *peer, const uint8_t *bytes, size_t size)
{
    size_t wanted = 1 + peer->received % 5000;
    return size < wanted ? size : wanted;
}

static void taking_less_than_there_is(void **state)
{
    struct setup *setup = *state;
    setup->far.on_received = take_little;
    setup_pair(setup);
    send_more(&setup->near, 150000);
    while (setup->far.received < 150000) {
        uv_run(&setup->loop, UV_RUN_ONCE);
        stream_resume(setup->far.stream);
    }
    assert_true(setup->far.sound);
}

static void paused_before_anything_comes(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    stream_pause(setup->far.stream);
    send_more(&setup->near, 1000);
    stream_close(setup->near.stream);
    setup_run(setup, 30);
    assert_int_equal(setup->far.received, 0);
    assert_int_equal(setup->far.ended, 0);
    stream_resume(setup->far.stream);
    UNTIL(setup, setup->far.closed);
    assert_int_equal(setup->far.received, 1000);
    assert_int_equal(setup->far.ended, 1);
    assert_false(setup->far.failed);
}

static void resume_and_pause_again(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    stream_pause(setup->far.stream);
    send_more(&setup->near, 1000);
    setup_run(setup, 10);
    stream_resume(setup->far.stream);
    stream_pause(setup->far.stream);
    setup_run(setup, 10);
    assert_int_equal(setup->far.received, 0);
    stream_resume(setup->far.stream);
    stream_resume(setup->far.stream);
    UNTIL(setup, setup->far.received == 1000);
}

/* ---- early words --------------------------------------------------------------------------- */

static void greet(struct peer *peer)
{
    assert_int_equal(send_more(peer, 100000), 0);
}

static void words_right_behind_the_handshake(void **state)
{
    struct setup *setup = *state;
    setup->near.on_opened = setup->far.on_opened = greet;
    setup_pair(setup);
    UNTIL(setup, setup->near.received == 100000 && setup->far.received == 100000);
    assert_true(setup->near.sound && setup->far.sound);
}

static void nothing_before_the_handshake(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    setup_connect(setup);
    assert_int_equal(stream_write(setup->near.stream, "early", 5), -ENOTCONN);
    UNTIL(setup, setup->near.opened && setup->accepted);
    setup_run(setup, 10);
    assert_int_equal(setup->far.received, 0);
}

/* ---- other ways to get there --------------------------------------------------------------- */

static void over_ipv6(void **state)
{
    struct setup *setup = *state;
    setup_listen_on(setup, "::1", 0);
    setup_connect_to(
        setup,
        &(struct stream_target){.host = "::1", .port = setup->port, .server_name = SERVER_NAME},
        setup->client);
    UNTIL(setup, setup->near.opened && setup->accepted);
    assert_non_null(strstr(stream_address(setup->far.stream), "[::1]:"));
    greet(&setup->near);
    UNTIL(setup, setup->far.received == 100000);
}

static void every_address_by_name(void **state)
{
    struct setup *setup = *state;
    setup_listen_on(setup, NULL, 0);
    setup_connect_to(setup,
                     &(struct stream_target){
                         .host = "localhost", .port = setup->port, .server_name = SERVER_NAME},
                     setup->client);
    UNTIL(setup, setup->near.opened && setup->accepted);
}

/* "localhost" has an address of IPv6 first, where nobody listens. */
static void the_second_address_of_a_name(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    setup_connect_to(setup,
                     &(struct stream_target){
                         .host = "localhost", .port = setup->port, .server_name = SERVER_NAME},
                     setup->client);
    UNTIL(setup, setup->near.opened && setup->accepted);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(large_both_ways),
        NET_TEST(pieces_of_all_sizes),
        NET_TEST(two_parts_as_one),
        NET_TEST(byte_at_a_time),
        NET_TEST(a_full_queue_refuses),
        NET_TEST(more_than_the_queue_is_never_taken),
        NET_TEST(paused_inside_the_handler),
        NET_TEST(taking_less_than_there_is),
        NET_TEST(paused_before_anything_comes),
        NET_TEST(resume_and_pause_again),
        NET_TEST(words_right_behind_the_handshake),
        NET_TEST(nothing_before_the_handshake),
        NET_TEST(over_ipv6),
        NET_TEST(every_address_by_name),
        NET_TEST(the_second_address_of_a_name),
    };
    time_limit(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
