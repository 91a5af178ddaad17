/* Frames over streams: whole messages, pausing between them, and peers that break the rules. */
#include <errno.h>
#include <string.h>

#include "net_support.h"

/* An end of a channel, and what it was told. */
struct end {
    struct channel *channel;
    struct end *forward; /* bulk goes on there, under the transfer's number plus one */
    int opened, controls, closed, ended;
    bool pause; /* after every message */
    size_t last_size;
    uint64_t bulk, last_transfer;
    bool sound, failed;
    struct error reason;
};

static struct end near, far, third;
static struct channel_limits limits;

static void on_opened(struct channel *channel, void *opaque)
{
    ((struct end *)opaque)->opened++;
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *envelope, size_t size)
{
    struct end *end = opaque;
    end->last_size = size;
    for (size_t i = 0; i < size; i++)
        end->sound &= envelope[i] == (uint8_t)(end->controls + (int)i);
    end->controls++;
    if (end->pause)
        channel_pause(channel);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    struct end *end = opaque;
    for (size_t i = 0; i < size; i++)
        end->sound &= bytes[i] == pattern_byte(end->bulk + i);
    end->bulk += size;
    end->last_transfer = transfer;
    if (end->forward && channel_send_bulk(end->forward->channel, transfer + 1, bytes, size) == 1)
        channel_pause(channel);
    if (end->pause)
        channel_pause(channel);
}

static void on_drained(struct channel *channel, void *opaque)
{
    if (third.forward)
        channel_resume(third.forward->channel);
    else if (far.forward && far.channel)
        channel_resume(far.channel);
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct end *end = opaque;
    end->closed++;
    end->channel = NULL;
    end->failed = reason != NULL;
    if (reason)
        end->reason = *reason;
}

static const struct channel_handlers handlers = {.opened = on_opened,
                                                 .control = on_control,
                                                 .bulk = on_bulk,
                                                 .drained = on_drained,
                                                 .closed = on_closed};

static void take_over(struct peer *peer)
{
    struct error error;
    struct stream *stream = peer->stream;
    peer->stream = NULL;
    assert_int_equal(channel_accept(stream, &limits, &handlers, &far, &far.channel, &error), 0);
}

static void dial(struct setup *setup, struct end *end)
{
    struct error error;
    const struct stream_target target = {
        .host = "127.0.0.1", .port = setup->port, .server_name = SERVER_NAME};
    assert_int_equal(channel_connect(setup->network, setup->client, &target, &setup->limits,
                                     &limits, &handlers, end, &end->channel, &error),
                     0);
}

static void open_pair(struct setup *setup)
{
    near = far = third = (struct end){.sound = true};
    setup->far.on_opened = take_over;
    setup_listen(setup);
    dial(setup, &near);
    UNTIL(setup, near.opened && far.channel);
}

static uint8_t block[FRAME_PIECE_MOST + 1];

static void send_envelope(struct end *end, int number, size_t size)
{
    static uint8_t envelope[1 << 20];
    for (size_t i = 0; i < size; i++)
        envelope[i] = (uint8_t)(number + (int)i);
    assert_true(channel_send(end->channel, envelope, size) >= 0);
}

static void messages_of_all_sizes(void **state)
{
    struct setup *setup = *state;
    limits = (struct channel_limits){0};
    open_pair(setup);
    static const size_t sizes[] = {1, 5, 100, 16379, 16380, 16384, 100000, 1 << 20};
    for (int i = 0; i < 40; i++) {
        send_envelope(&near, i, sizes[i % 8]);
        send_envelope(&far, i, sizes[(i + 3) % 7]);
        UNTIL(setup, far.controls == i + 1 && near.controls == i + 1);
        assert_int_equal(far.last_size, sizes[i % 8]);
    }
    assert_true(near.sound && far.sound);
}

static void paused_after_each_message(void **state)
{
    struct setup *setup = *state;
    open_pair(setup);
    far.pause = true;
    for (int i = 0; i < 20; i++)
        send_envelope(&near, i, 50);
    for (int i = 0; i < 20; i++) {
        UNTIL(setup, far.controls == i + 1);
        setup_run(setup, 2);
        assert_int_equal(far.controls, i + 1);
        channel_resume(far.channel);
    }
    assert_true(far.sound);
}

static void wrong_sizes_are_not_sent(void **state)
{
    open_pair(*state);
    assert_int_equal(channel_send(near.channel, block, 0), -EINVAL);
    assert_int_equal(channel_send_bulk(near.channel, 1, block, 0), -EINVAL);
    assert_int_equal(channel_send_bulk(near.channel, 1, block, FRAME_PIECE_MOST + 1), -EINVAL);
}

static void too_long_for_the_other_side(void **state)
{
    struct setup *setup = *state;
    limits.control = 1000;
    open_pair(setup);
    limits.control = 0;
    send_envelope(&near, 0, 1000);
    send_envelope(&near, 1, 1001);
    UNTIL(setup, near.closed && far.closed);
    assert_int_equal(far.controls, 1);
    assert_int_equal(far.reason.code, -EPROTO);
}

static void garbage_instead_of_frames(void **state)
{
    struct setup *setup = *state;
    open_pair(setup);
    stream_write(channel_stream(near.channel), "how do you do", 13);
    UNTIL(setup, near.closed && far.closed);
    assert_int_equal(far.reason.code, -EPROTO);
    assert_int_equal(far.controls, 0);
}

static void ended_within_a_message(void **state)
{
    struct setup *setup = *state;
    open_pair(setup);
    stream_write(channel_stream(near.channel), "\x09\0\0\0\0abc", 8);
    channel_close(near.channel);
    UNTIL(setup, near.closed && far.closed);
    assert_int_equal(far.reason.code, -EPROTO);
    assert_false(near.failed);
}

static void dribbled(void **state)
{
    struct setup *setup = *state;
    limits.frame = 60;
    open_pair(setup);
    limits.frame = 0;
    stream_write(channel_stream(near.channel), "\x40\0\0\0\0", 5);
    while (!far.closed) {
        if (near.channel)
            stream_write(channel_stream(near.channel), "x", 1);
        setup_run(setup, 10);
    }
    assert_int_equal(far.reason.code, -ETIMEDOUT);
    assert_int_equal(far.controls, 0);
    UNTIL(setup, near.closed);
}

/* near -> far -> third: a relay that holds no more than its queues. */
static void relayed_with_backpressure(void **state)
{
    struct setup *setup = *state;
    setup->limits.queue = 1 << 20;
    setup->limits.high = 200000;
    open_pair(setup);
    struct end relay_in = far;
    struct channel *in = far.channel;
    dial(setup, &third);
    UNTIL(setup, third.opened && far.channel != in);
    /* What the listener accepted last goes out to the third. */
    static struct end out;
    out = far;
    far = relay_in;
    far.channel = in;
    far.forward = &out;
    uint64_t sent = 0;
    while (sent < 6 << 20) {
        pattern_fill(block, sent, FRAME_PIECE_MOST);
        if (channel_send_bulk(near.channel, 41, block, FRAME_PIECE_MOST) == -ENOBUFS)
            uv_run(&setup->loop, UV_RUN_ONCE);
        else
            sent += FRAME_PIECE_MOST;
    }
    UNTIL(setup, third.bulk == sent);
    assert_true(third.sound);
    assert_int_equal(third.last_transfer, 42);
}

#define TEST(name) NET_TEST(name)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(messages_of_all_sizes),
        TEST(paused_after_each_message),
        TEST(wrong_sizes_are_not_sent),
        TEST(too_long_for_the_other_side),
        TEST(garbage_instead_of_frames),
        TEST(ended_within_a_message),
        TEST(dribbled),
        TEST(relayed_with_backpressure),
    };
    time_limit(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
