/* Bytes held in memory and, behind that, in a file: what comes out is what went in, the limit holds, and places
 * in the file are used again. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "mu/spill.h"

static struct error error;

static struct spill *new_spill(size_t memory, const char *folder)
{
    struct spill *spill;
    assert_int_equal(spill_new(memory, UINT64_MAX, folder, &spill, &error), 0);
    return spill;
}

static uint8_t byte_at(uint64_t position, uint32_t seed)
{
    return (uint8_t)((position + seed) * 2654435761u >> 13);
}

/* Adds `size` bytes in parts of `part`. */
static int add(struct spill *spill, struct spill_body *body, uint64_t size, size_t part,
               uint32_t seed)
{
    uint8_t bytes[100000];
    while (size > 0) {
        part = part < size ? part : (size_t)size;
        for (size_t i = 0; i < part; i++)
            bytes[i] = byte_at(body->size + i, seed);
        int code = spill_append(spill, body, bytes, part, &error);
        if (code < 0)
            return code;
        size -= part;
    }
    return 0;
}

static void check(struct spill *spill, const struct spill_body *body, size_t most, uint32_t seed)
{
    static uint8_t buffer[SPILL_BLOCK];
    const uint8_t *bytes;
    for (uint64_t at = 0; at < body->size;) {
        ssize_t size = spill_read(spill, body, at, buffer, most, &bytes, &error);
        assert_true(size > 0 && (size_t)size <= most && at + (uint64_t)size <= body->size);
        for (ssize_t i = 0; i < size; i++)
            assert_int_equal(bytes[i], byte_at(at + (uint64_t)i, seed));
        at += (uint64_t)size;
    }
}

static void in_memory(void **state)
{
    struct spill *spill = new_spill(1 << 20, "/no/such/folder"); /* it is not needed */
    struct spill_body body = {.total = 300001};
    for (uint64_t step = 0; body.size < body.total; step++) {
        uint64_t left = body.total - body.size;
        assert_int_equal(add(spill, &body, step * 97 < left ? step * 97 : left, 64, 1), 0);
    }
    check(spill, &body, 1000, 1);
    check(spill, &body, SPILL_BLOCK, 1);
    assert_int_equal(spill_counters(spill)->memory, 300001);
    spill_release(spill, &body);
    assert_int_equal(spill_counters(spill)->memory, 0);
    assert_int_equal(spill_counters(spill)->memory_peak, 300001);
    assert_int_equal(spill_counters(spill)->file_peak, 0);
    spill_free(spill);
}

static void behind_the_limit(void **state)
{
    enum { BODIES = 20 };
    struct spill *spill = new_spill(200000, "/tmp");
    struct spill_body bodies[BODIES] = {{0}};
    for (unsigned round = 0; round < 3; round++) {
        for (unsigned i = 0; i < BODIES; i++) {
            bodies[i].total = i * 20011;
            assert_int_equal(add(spill, &bodies[i], bodies[i].total, 10000 + i * 3001, i), 0);
        }
        for (unsigned i = 0; i < BODIES; i++)
            check(spill, &bodies[i], 50000, i);
        assert_true(spill_counters(spill)->memory <= 200000);
        assert_true(spill_counters(spill)->file > 0);
        for (unsigned i = 0; i < BODIES; i++)
            spill_release(spill, &bodies[(i * 7) % BODIES]);
        assert_int_equal(spill_counters(spill)->memory, 0);
        assert_int_equal(spill_counters(spill)->file, 0);
    }
    assert_true(spill_counters(spill)->file_peak < 5 << 20);
    spill_free(spill);
}

/* A body that says that it will be very large takes no more than what came. */
static void announced_only(void **state)
{
    struct spill *spill = new_spill(1 << 20, "/tmp");
    struct spill_body body = {.total = INT64_MAX};
    assert_int_equal(add(spill, &body, 200000, 5000, 9), 0);
    check(spill, &body, 7777, 9);
    assert_true(spill_counters(spill)->memory <= 4 * SPILL_BLOCK);
    spill_release(spill, &body);
    spill_free(spill);
}

static void no_file(void **state)
{
    struct spill *spill = new_spill(1000, "/no/such/folder");
    struct spill_body small = {.total = 500}, large = {.total = 5000};
    assert_int_equal(add(spill, &small, 500, 100, 1), 0);
    assert_int_equal(add(spill, &large, 5000, 100, 2), -ENOENT);
    assert_non_null(strstr(error.message, "/no/such/folder"));
    assert_int_equal(large.size, 0);
    check(spill, &small, 100, 1);
    spill_release(spill, &large);
    spill_release(spill, &small);
    spill_free(spill);
}

/* Nor may the file be longer than was said; places in it that are given back count again. */
static void a_file_s_limit(void **state)
{
    struct spill *spill;
    struct spill_body bodies[3] = {
        {.total = 2 * SPILL_BLOCK}, {.total = 2 * SPILL_BLOCK}, {.total = 1}};
    assert_int_equal(spill_new(1, 3 * SPILL_BLOCK, "/tmp", &spill, &error), 0);
    assert_true(spill_memory_full(spill));
    assert_int_equal(add(spill, &bodies[0], bodies[0].total, 10000, 1), 0);
    assert_int_equal(add(spill, &bodies[1], bodies[1].total, SPILL_BLOCK, 2), -ENOSPC);
    assert_int_equal(bodies[1].size, SPILL_BLOCK);
    assert_int_equal(add(spill, &bodies[2], 1, 1, 3), 0); /* it is in memory */
    spill_release(spill, &bodies[0]);
    assert_int_equal(add(spill, &bodies[1], SPILL_BLOCK, 10000, 2), 0);
    check(spill, &bodies[1], 10000, 2);
    check(spill, &bodies[2], 1, 3);
    spill_release(spill, &bodies[1]);
    spill_release(spill, &bodies[2]);
    assert_int_equal(spill_counters(spill)->file_peak, 3 * SPILL_BLOCK);
    spill_free(spill);
}

/* The file cannot grow any more, as on a full disk: what was held stays. */
static void a_full_disk(void **state)
{
    struct rlimit before, less = {.rlim_cur = 200000, .rlim_max = RLIM_INFINITY};
    struct spill *spill = new_spill(0, "/tmp");
    struct spill_body held = {.total = 150000}, more = {.total = 150000};
    assert_int_equal(add(spill, &held, 150000, 10000, 3), 0);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    less.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_FSIZE, &less);
    assert_int_equal(add(spill, &more, 150000, 10000, 4), -EFBIG);
    check(spill, &more, 10000, 4);
    spill_release(spill, &more);
    assert_int_equal(add(spill, &more, 0, 1, 4), 0);
    setrlimit(RLIMIT_FSIZE, &before);
    check(spill, &held, 10000, 3);
    more.total = 150000;
    assert_int_equal(add(spill, &more, 150000, 10000, 4), 0);
    check(spill, &more, 10000, 4);
    spill_release(spill, &more);
    spill_release(spill, &held);
    assert_int_equal(spill_counters(spill)->file, 0);
    spill_free(spill);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_memory),      cmocka_unit_test(behind_the_limit),
        cmocka_unit_test(announced_only), cmocka_unit_test(no_file),
        cmocka_unit_test(a_file_s_limit), cmocka_unit_test(a_full_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
