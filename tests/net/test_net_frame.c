/* Frames are read alike however the bytes are cut, and what is no frame is refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/frame.h"
#include "support/random.h"

enum { CONTROL_MOST = 100000, FRAMES = 200 };

/* What was written, and what came out. */
struct wire {
    uint8_t *bytes;
    size_t size;
    int frames;
    uint64_t expected_hash, found_hash; /* of all envelopes and transfers, in order */
    int controls;
    uint64_t bulk_bytes;
    int stop_every; /* the handlers say stop at each so-manieth call; 0 for never */
    int calls;
};

static uint64_t hash_of(uint64_t hash, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
    return hash;
}

static uint64_t hash_control(uint64_t hash, const uint8_t *bytes, size_t size)
{
    return hash_of(hash_of(hash, (const uint8_t *)&size, sizeof size), bytes, size);
}

/* Alike for whole pieces and parts of them. */
static uint64_t hash_bulk(uint64_t hash, uint64_t transfer, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        hash = hash_of(hash ^ transfer, bytes + i, 1);
    return hash;
}

static bool on_control(void *opaque, const uint8_t *envelope, size_t size)
{
    struct wire *wire = opaque;
    wire->controls++;
    wire->found_hash = hash_control(wire->found_hash, envelope, size);
    return !wire->stop_every || ++wire->calls % wire->stop_every;
}

static bool on_bulk(void *opaque, uint64_t transfer, const uint8_t *bytes, size_t size)
{
    struct wire *wire = opaque;
    assert_true(size > 0);
    wire->bulk_bytes += size;
    wire->found_hash = hash_bulk(wire->found_hash, transfer, bytes, size);
    return !wire->stop_every || ++wire->calls % wire->stop_every;
}

static const struct frame_handlers handlers = {.control = on_control, .bulk = on_bulk};

static void append(struct wire *wire, const void *bytes, size_t size)
{
    memcpy(wire->bytes + wire->size, bytes, size);
    wire->size += size;
}

static void add_frame(struct wire *wire, struct random *random)
{
    static uint8_t body[CONTROL_MOST];
    uint8_t head[FRAME_HEAD_MOST];
    bool bulk = random_chance(random, 50);
    int most = bulk ? FRAME_PIECE_MOST : CONTROL_MOST;
    uint32_t size = (uint32_t)(random_chance(random, 70) ? random_between(random, 1, 200)
                                                         : random_between(random, 1, most));
    for (uint32_t i = 0; i < size; i++)
        body[i] = (uint8_t)random_below(random, 256);
    uint64_t transfer = (uint64_t)random_below(random, 1 << 30) << 33 | 5;
    append(wire, head,
           bulk ? frame_bulk_head(head, transfer, size) : frame_control_head(head, size));
    append(wire, body, size);
    wire->expected_hash = bulk ? hash_bulk(wire->expected_hash, transfer, body, size)
                               : hash_control(wire->expected_hash, body, size);
    wire->frames++;
}

static int set_up(void **state)
{
    struct random random = {7};
    struct wire *wire = calloc(1, sizeof *wire);
    wire->bytes = malloc((size_t)FRAMES * (CONTROL_MOST + FRAME_HEAD_MOST));
    for (int i = 0; i < FRAMES; i++)
        add_frame(wire, &random);
    *state = wire;
    return 0;
}

static int tear_down(void **state)
{
    struct wire *wire = *state;
    free(wire->bytes);
    free(wire);
    return 0;
}

/* Reads all of it in cuts of 1 to `longest` bytes. */
static void read_in_cuts(struct wire *wire, int longest)
{
    struct frame_reader reader;
    struct error error;
    struct random random = {(uint64_t)longest};
    frame_reader_init(&reader, CONTROL_MOST);
    for (size_t at = 0; at < wire->size;) {
        size_t cut = (size_t)random_between(&random, 1, longest);
        cut = cut < wire->size - at ? cut : wire->size - at;
        ssize_t taken = frame_read(&reader, wire->bytes + at, cut, &handlers, wire, &error);
        assert_true(taken > 0 && (size_t)taken <= cut);
        assert_true(wire->stop_every || (size_t)taken == cut);
        at += (size_t)taken;
    }
    assert_false(frame_reader_inside(&reader));
    assert_int_equal(reader.frames, FRAMES);
    assert_true(wire->found_hash == wire->expected_hash);
    frame_reader_release(&reader);
}

static void in_one_piece(void **state)
{
    struct wire *wire = *state;
    read_in_cuts(wire, 1 << 30);
}

static void byte_by_byte(void **state)
{
    read_in_cuts(*state, 1);
}

static void in_records(void **state)
{
    read_in_cuts(*state, 16384);
}

static void in_small_cuts(void **state)
{
    read_in_cuts(*state, 20);
}

static void stopping_now_and_then(void **state)
{
    struct wire *wire = *state;
    wire->stop_every = 3;
    read_in_cuts(wire, 16384);
}

static void stopping_always(void **state)
{
    struct wire *wire = *state;
    wire->stop_every = 1;
    read_in_cuts(wire, 1 << 30);
}

/* ---- what is refused ----------------------------------------------------------------------- */

static void refused(const void *bytes, size_t size, uint32_t most)
{
    struct frame_reader reader;
    struct error error = {0};
    struct wire wire = {0};
    frame_reader_init(&reader, most);
    assert_int_equal(frame_read(&reader, bytes, size, &handlers, &wire, &error), -EPROTO);
    assert_true(strlen(error.message) > 10);
    assert_int_equal(wire.controls, 0);
    assert_int_equal(wire.bulk_bytes, 0);
    frame_reader_release(&reader);
}

static void sizes_out_of_range(void **state)
{
    refused("\x00\x00\x00\x00\x00", 5, 100);            /* not even a type */
    refused("\x01\x00\x00\x00\x00", 5, 100);            /* an empty envelope */
    refused("\x66\x00\x00\x00\x00", 5, 100);            /* 101 bytes */
    refused("\xff\xff\xff\xff\x00", 5, UINT32_MAX - 2); /* 4294967294 */
    refused("\x09\x00\x00\x00\x01", 5, 100);            /* an empty piece */
    refused("\x0a\x00\x01\x00\x01", 5, 100);            /* 65537 bytes */
    refused("\x05\x00\x00\x00\x01", 5, 100);            /* no transfer */
    refused("\x05\x00\x00\x00\x02", 5, 100);            /* unknown type */
    refused("\x05\x00\x00\x00\xff", 5, 100);
    refused("GET / HTTP/1.1\r\n", 16, 1 << 20);
}

static void longest_are_let_in(void **state)
{
    struct frame_reader reader;
    struct error error;
    struct wire wire = {0};
    uint8_t head[FRAME_HEAD_MOST];
    static uint8_t body[FRAME_PIECE_MOST];
    frame_reader_init(&reader, 3);
    size_t size = frame_bulk_head(head, 1, FRAME_PIECE_MOST);
    assert_int_equal(frame_read(&reader, head, size, &handlers, &wire, &error), 13);
    assert_true(frame_reader_inside(&reader));
    assert_int_equal(frame_read(&reader, body, sizeof body, &handlers, &wire, &error), sizeof body);
    assert_int_equal(wire.bulk_bytes, FRAME_PIECE_MOST);
    assert_int_equal(
        frame_read(&reader, (const uint8_t *)"\4\0\0\0\0abc", 8, &handlers, &wire, &error), 8);
    assert_int_equal(wire.controls, 1);
    frame_reader_release(&reader);
}

/* A peer that announces much and sends little costs little. */
static void memory_follows_what_came(void **state)
{
    struct frame_reader reader;
    struct error error;
    struct wire wire = {0};
    uint8_t head[FRAME_HEAD_MOST];
    frame_reader_init(&reader, 64 << 20);
    size_t size = frame_control_head(head, 64 << 20);
    frame_read(&reader, head, size, &handlers, &wire, &error);
    assert_int_equal(reader.envelope_capacity, 0);
    for (int i = 0; i < 1000; i++)
        frame_read(&reader, head, 1, &handlers, &wire, &error);
    assert_in_range(reader.envelope_capacity, 1000, 2100);
    frame_reader_release(&reader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(in_one_piece, set_up, tear_down),
        cmocka_unit_test_setup_teardown(byte_by_byte, set_up, tear_down),
        cmocka_unit_test_setup_teardown(in_records, set_up, tear_down),
        cmocka_unit_test_setup_teardown(in_small_cuts, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_now_and_then, set_up, tear_down),
        cmocka_unit_test_setup_teardown(stopping_always, set_up, tear_down),
        cmocka_unit_test(sizes_out_of_range),
        cmocka_unit_test(longest_are_let_in),
        cmocka_unit_test(memory_follows_what_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
