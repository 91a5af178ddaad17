/* Streams end once, with the right reason, also from inside their handlers. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_support.h"

static uint8_t block[1 << 20];

static void send_pattern(struct peer *peer, size_t size)
{
    pattern_fill(block, peer->sent, size);
    assert_true(stream_write(peer->stream, block, size) >= 0);
    peer->sent += size;
}

/* ---- good ends ----------------------------------------------------------------------------- */

static void closing_sends_all(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    send_pattern(&setup->near, sizeof block);
    stream_close(setup->near.stream);
    assert_int_equal(stream_write(setup->near.stream, "x", 1), -ENOTCONN);
    UNTIL(setup, setup->near.closed && setup->far.closed);
    assert_int_equal(setup->far.received, sizeof block);
    assert_true(setup->far.sound);
    assert_int_equal(setup->far.ended, 1);
    assert_false(setup->near.failed);
    assert_false(setup->far.failed);
}

static void both_close_at_once(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    stream_close(setup->near.stream);
    stream_close(setup->far.stream);
    stream_close(setup->far.stream);
    UNTIL(setup, setup->near.closed && setup->far.closed);
    assert_false(setup->near.failed);
    assert_false(setup->far.failed);
    assert_int_equal(setup->near.ended, 0);
}

static void answer_and_close(struct peer *peer)
{
    send_pattern(peer, 300000);
    stream_close(peer->stream);
}

/* One side has ended; the other may go on, and is heard. */
static void half_closed(void **state)
{
    struct setup *setup = *state;
    setup->far.on_ended = answer_and_close;
    setup_pair(setup);
    send_pattern(&setup->near, 1000);
    stream_end(setup->near.stream);
    stream_end(setup->near.stream);
    assert_int_equal(stream_write(setup->near.stream, "x", 1), -ENOTCONN);
    UNTIL(setup, setup->near.closed && setup->far.closed);
    assert_int_equal(setup->far.received, 1000);
    assert_int_equal(setup->near.received, 300000);
    assert_true(setup->near.sound && setup->far.sound);
    assert_false(setup->near.failed || setup->far.failed);
}

static void stay(struct peer *peer)
{
}

static void half_closed_for_a_while(void **state)
{
    struct setup *setup = *state;
    setup->far.on_ended = stay;
    setup_pair(setup);
    stream_end(setup->near.stream);
    UNTIL(setup, setup->far.ended);
    for (int i = 0; i < 5; i++) {
        send_pattern(&setup->far, 50000);
        setup_run(setup, 5);
    }
    UNTIL(setup, setup->near.received == 250000);
    assert_int_equal(setup->near.closed + setup->far.closed, 0);
    stream_end(setup->far.stream);
    UNTIL(setup, setup->near.closed && setup->far.closed);
    assert_false(setup->near.failed || setup->far.failed);
}

/* ---- bad ends ------------------------------------------------------------------------------ */

static void aborted(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    stream_abort(setup->near.stream, "enough");
    stream_abort(setup->near.stream, "again");
    assert_int_equal(setup->near.closed, 0);
    UNTIL(setup, setup->near.closed && setup->far.closed);
    assert_int_equal(setup->near.reason.code, -ECANCELED);
    assert_string_equal(setup->near.reason.message, "enough");
    /* No goodbye was said, so that it is not an end in good order. */
    assert_int_equal(setup->far.reason.code, -ECONNRESET);
    assert_int_equal(setup->far.ended, 0);
}

static void aborted_with_a_full_queue(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    stream_pause(setup->far.stream);
    for (int i = 0; i < 3; i++) {
        send_pattern(&setup->near, sizeof block);
        uv_run(&setup->loop, UV_RUN_NOWAIT);
    }
    stream_abort(setup->near.stream, NULL);
    UNTIL(setup, setup->near.closed);
    stream_abort(setup->far.stream, NULL);
    UNTIL(setup, setup->far.closed);
    assert_int_equal(setup->near.drained, 0);
}

static void closed_without_a_reader(void **state)
{
    struct setup *setup = *state;
    setup->limits.stall = 50;
    setup->limits.queue = 16 << 20;
    setup_pair(setup);
    stream_pause(setup->far.stream);
    for (int i = 0; i < 12; i++)
        send_pattern(&setup->near, sizeof block);
    stream_close(setup->near.stream);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -ETIMEDOUT);
}

static void writing_to_one_who_is_gone(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    stream_abort(setup->far.stream, NULL);
    int result = 0;
    while (!setup->near.closed) {
        if (setup->near.stream)
            result = stream_write(setup->near.stream, block, 1000);
        assert_true(result == 0 || result == -ENOTCONN);
        uv_run(&setup->loop, UV_RUN_ONCE);
    }
    assert_true(setup->near.failed);
}

/* ---- inside handlers ----------------------------------------------------------------------- */

static void abort_it(struct peer *peer)
{
    stream_abort(peer->stream, "inside");
}

static void close_it(struct peer *peer)
{
    stream_close(peer->stream);
}

static size_t abort_when_received(struct peer *peer, const uint8_t *bytes, size_t size)
{
    stream_abort(peer->stream, "inside");
    return size / 2;
}

static size_t close_when_received(struct peer *peer, const uint8_t *bytes, size_t size)
{
    stream_close(peer->stream);
    return 0;
}

static void fill(struct peer *peer)
{
    send_pattern(peer, sizeof block);
}

static void inside_opened(void **state)
{
    struct setup *setup = *state;
    setup->near.on_opened = abort_it;
    setup->far.on_opened = close_it;
    setup_listen(setup);
    setup_connect(setup);
    UNTIL(setup, setup->near.closed);
    UNTIL(setup, setup->far.closed || setup->refused);
}

static void inside_received(void **state)
{
    struct setup *setup = *state;
    setup->near.on_opened = fill;
    setup->far.on_received = abort_when_received;
    setup_pair(setup);
    UNTIL(setup, setup->far.closed && setup->near.closed);
    assert_true(setup->far.received <= 8192);
    assert_int_equal(setup->far.reason.code, -ECANCELED);
}

static void inside_received_gently(void **state)
{
    struct setup *setup = *state;
    setup->near.on_opened = fill;
    setup->far.on_received = close_when_received;
    setup_pair(setup);
    UNTIL(setup, setup->far.closed && setup->near.closed);
    assert_int_equal(setup->far.received, 0);
    assert_false(setup->far.failed);
}

static void inside_ended(void **state)
{
    struct setup *setup = *state;
    setup->far.on_ended = abort_it;
    setup_pair(setup);
    stream_end(setup->near.stream);
    UNTIL(setup, setup->far.closed && setup->near.closed);
    assert_int_equal(setup->far.reason.code, -ECANCELED);
}

static void inside_drained(void **state)
{
    struct setup *setup = *state;
    setup->limits.queue = 32 << 20;
    setup->near.on_drained = abort_it;
    setup_pair(setup);
    stream_pause(setup->far.stream);
    for (int i = 0; i < 12; i++)
        fill(&setup->near);
    stream_resume(setup->far.stream);
    UNTIL(setup, setup->near.closed && setup->far.closed);
    assert_int_equal(setup->near.drained, 1);
    assert_int_equal(setup->near.reason.code, -ECANCELED);
}

/* Ends the other one, whose bytes may be staged, from inside its own handler. */
static size_t end_the_other(struct peer *peer, const uint8_t *bytes, size_t size)
{
    struct setup *setup = peer->setup;
    if (setup->near.stream)
        stream_abort(setup->near.stream, "by the other");
    return size;
}

static void by_the_other_end(void **state)
{
    struct setup *setup = *state;
    setup->far.on_received = end_the_other;
    setup_pair(setup);
    fill(&setup->near);
    UNTIL(setup, setup->near.closed && setup->far.closed);
}

static void dial_again(struct peer *peer)
{
    if (peer->closed < 3) {
        peer->opened = 0;
        setup_connect(peer->setup);
    }
}

static void dialling_inside_closed(void **state)
{
    struct setup *setup = *state;
    setup->near.on_closed = dial_again;
    setup->near.on_opened = close_it;
    setup_listen(setup);
    setup_connect(setup);
    UNTIL(setup, setup->near.closed == 3);
    setup->near.closed = 1;
    setup_run(setup, 20);
}

/* ---- before it is open --------------------------------------------------------------------- */

static void nobody_listens(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    listener_close(setup->listener);
    setup_run(setup, 10);
    setup_connect(setup);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -ECONNREFUSED);
    assert_non_null(strstr(setup->near.reason.message, "127.0.0.1"));
}

static void unknown_host(void **state)
{
    struct setup *setup = *state;
    setup_connect_to(setup,
                     &(struct stream_target){
                         .host = "no-such-host.invalid", .port = 1, .server_name = SERVER_NAME},
                     setup->client);
    UNTIL(setup, setup->near.closed);
    assert_true(setup->near.failed);
}

static void wrong_arguments_never_call_back(void **state)
{
    static const struct stream_target wrong[] = {
        {.host = "", .port = 1, .server_name = SERVER_NAME},
        {.port = 1, .server_name = SERVER_NAME},
        {.host = "127.0.0.1", .server_name = SERVER_NAME},
        {.host = "127.0.0.1", .port = 1},
    };
    struct setup *setup = *state;
    struct error error;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        assert_int_equal(stream_connect(setup->network, setup->client, &wrong[i], NULL,
                                        &peer_handlers, &setup->near, &setup->near.stream, &error),
                         -EINVAL);
        assert_null(setup->near.stream);
    }
    setup_run(setup, 10);
    assert_int_equal(setup->near.closed, 0);
}

static void closed_while_dialling(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    setup_connect(setup);
    stream_close(setup->near.stream);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -ECANCELED);
    assert_int_equal(setup->near.opened, 0);
}

static void closed_while_looking_up(void **state)
{
    struct setup *setup = *state;
    setup_connect_to(setup,
                     &(struct stream_target){
                         .host = "no-such-host.invalid", .port = 1, .server_name = SERVER_NAME},
                     setup->client);
    stream_abort(setup->near.stream, NULL);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -ECANCELED);
}

/* Everything is under way when the network is left: net_tear_down looks whether all went. */
static void left_in_the_middle(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    fill(&setup->near);
    fill(&setup->far);
    uv_run(&setup->loop, UV_RUN_NOWAIT);
}

static void left_while_shaking_hands(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    setup_connect(setup);
    uv_run(&setup->loop, UV_RUN_NOWAIT);
    uv_run(&setup->loop, UV_RUN_NOWAIT);
}

static void left_before_the_loop_ran(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    setup_connect(setup);
}

/* ---- listeners ----------------------------------------------------------------------------- */

static void listener_closes_and_streams_stay(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    listener_close(setup->listener);
    setup_run(setup, 10);
    fill(&setup->near);
    UNTIL(setup, setup->far.received == sizeof block);
}

static void taken_port(void **state)
{
    static const struct listener_handlers handlers = {0};
    struct setup *setup = *state;
    struct listener *second;
    struct error error;
    setup_listen(setup);
    const struct listener_options options = {.host = "127.0.0.1", .port = setup->port};
    assert_int_equal(
        listener_open(setup->network, setup->server, &options, &handlers, setup, &second, &error),
        -EADDRINUSE);
    assert_null(second);
    assert_non_null(strstr(error.message, "127.0.0.1"));
}

static void address_of_another_machine(void **state)
{
    static const struct listener_handlers handlers = {0};
    struct setup *setup = *state;
    struct listener *listener;
    struct error error;
    const struct listener_options options = {.host = "192.0.2.1"};
    assert_int_equal(
        listener_open(setup->network, setup->server, &options, &handlers, setup, &listener, &error),
        -EADDRNOTAVAIL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(closing_sends_all),
        NET_TEST(both_close_at_once),
        NET_TEST(half_closed),
        NET_TEST(half_closed_for_a_while),
        NET_TEST(aborted),
        NET_TEST(aborted_with_a_full_queue),
        NET_TEST(closed_without_a_reader),
        NET_TEST(writing_to_one_who_is_gone),
        NET_TEST(inside_opened),
        NET_TEST(inside_received),
        NET_TEST(inside_received_gently),
        NET_TEST(inside_ended),
        NET_TEST(inside_drained),
        NET_TEST(by_the_other_end),
        NET_TEST(dialling_inside_closed),
        NET_TEST(nobody_listens),
        NET_TEST(unknown_host),
        NET_TEST(wrong_arguments_never_call_back),
        NET_TEST(closed_while_dialling),
        NET_TEST(closed_while_looking_up),
        NET_TEST(left_in_the_middle),
        NET_TEST(left_while_shaking_hands),
        NET_TEST(left_before_the_loop_ran),
        NET_TEST(listener_closes_and_streams_stay),
        NET_TEST(taken_port),
        NET_TEST(address_of_another_machine),
    };
    time_limit(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
