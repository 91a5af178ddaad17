/* Messages' bytes as they are under way: what comes out is what went in, and nothing that comes does harm. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "mu/encoding.h"

struct taken {
    uint8_t *bytes;
    size_t size, most;
    int code; /* to fail with */
};

static int take(void *opaque, const uint8_t *bytes, size_t size)
{
    struct taken *taken = opaque;
    assert_true(size > 0 && size <= taken->most - taken->size);
    memcpy(taken->bytes + taken->size, bytes, size);
    taken->size += size;
    return taken->code;
}

static int file_of(const uint8_t *bytes, size_t size)
{
    int file = memfd_create("test", MFD_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(write(file, bytes, size), size);
    return file;
}

/* Like pictures: smooth, with a little noise. */
static uint8_t *picture(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size + 1);
    uint32_t random = seed * 2654435761u + 1;
    for (size_t i = 0; i < size; i++) {
        random = random * 1664525u + 1013904223u;
        bytes[i] = (uint8_t)((i >> 10) + (random >> 28 == 0));
    }
    return bytes;
}

/* Decodes in pieces of `piece` bytes. */
static int decode(int encoded, size_t encoded_size, int base, size_t piece, struct taken *taken)
{
    struct decoder *decoder;
    int code = 0;
    uint8_t *bytes = malloc(encoded_size + 1);
    assert_int_equal(pread(encoded, bytes, encoded_size, 0), encoded_size);
    assert_int_equal(decoder_new(taken->most, base, &decoder), 0);
    for (size_t at = 0; at < encoded_size && code == 0; at += piece)
        code = decoder_take(decoder, bytes + at,
                            encoded_size - at < piece ? encoded_size - at : piece, take, taken);
    decoder_free(decoder);
    free(bytes);
    return code;
}

static void round_trip(size_t size, const uint8_t *base, size_t base_size)
{
    uint8_t *bytes = picture(size, 1);
    int from = file_of(bytes, size), to = file_of(NULL, 0);
    int against = base != NULL ? file_of(base, base_size) : -1;
    int64_t made = encoding_make(from, size, against, to, UINT64_MAX, NULL, NULL);
    assert_true(made > 0);
    static const size_t pieces[] = {1000000, 65536, 777};
    for (int i = 0; i < 3; i++) {
        struct taken taken = {.bytes = malloc(size + 1), .most = size};
        assert_int_equal(decode(to, (size_t)made, against, pieces[i], &taken), 0);
        assert_int_equal(taken.size, size);
        assert_memory_equal(taken.bytes, bytes, size);
        free(taken.bytes);
    }
    close(from);
    close(to);
    if (against >= 0)
        close(against);
    free(bytes);
}

static void what_goes_in_comes_out(void **state)
{
    static const size_t sizes[] = {1, 65535, 65536, 65537, 1000000};
    uint8_t *base = picture(1000000, 2);
    for (int i = 0; i < 5; i++) {
        round_trip(sizes[i], NULL, 0);
        round_trip(sizes[i], base, 1000000);
        round_trip(sizes[i], base, 300001); /* shorter than the message */
        round_trip(sizes[i], base, 0);
    }
    free(base);
}

static void a_difference_is_smaller(void **state)
{
    enum { SIZE = 1000000 };
    uint8_t *base = picture(SIZE, 2), *bytes = picture(SIZE, 2);
    for (int i = 0; i < SIZE; i += 10000)
        bytes[i]++;
    int from = file_of(bytes, SIZE), against = file_of(base, SIZE), whole = file_of(NULL, 0),
        less = file_of(NULL, 0);
    int64_t whole_size = encoding_make(from, SIZE, -1, whole, UINT64_MAX, NULL, NULL);
    int64_t less_size = encoding_make(from, SIZE, against, less, UINT64_MAX, NULL, NULL);
    assert_true(whole_size > 0 && whole_size < SIZE);
    assert_true(less_size > 0 && less_size < whole_size / 10);
    /* Once it is too much, it stops. */
    int more = file_of(NULL, 0);
    assert_int_equal(encoding_make(from, SIZE, -1, more, (uint64_t)whole_size - 1, NULL, NULL),
                     -EFBIG);
    assert_int_equal(encoding_make(from, SIZE + 1, -1, more, UINT64_MAX, NULL, NULL), -EIO);
    close(more);
    /* Against another base it is another message. */
    struct taken taken = {.bytes = malloc(SIZE), .most = SIZE};
    assert_int_equal(decode(less, (size_t)less_size, from, 65536, &taken), 0);
    assert_memory_not_equal(taken.bytes, bytes, SIZE);
    free(taken.bytes);
    close(from);
    close(against);
    close(whole);
    close(less);
    free(base);
    free(bytes);
}

static void what_is_none(void **state)
{
    enum { SIZE = 500000 };
    uint8_t *bytes = picture(SIZE, 3);
    int from = file_of(bytes, SIZE), to = file_of(NULL, 0);
    int64_t made = encoding_make(from, SIZE, -1, to, UINT64_MAX, NULL, NULL);
    struct taken taken = {.bytes = malloc(SIZE), .most = SIZE - 1};
    assert_int_equal(decode(to, (size_t)made, -1, 65536, &taken), -EBADMSG); /* more than it has */
    taken = (struct taken){.bytes = taken.bytes, .most = SIZE, .code = -ENOSPC};
    assert_int_equal(decode(to, (size_t)made, -1, 65536, &taken), -ENOSPC);
    taken = (struct taken){.bytes = taken.bytes, .most = SIZE};
    assert_int_equal(decode(from, SIZE, -1, 65536, &taken), -EBADMSG);
    uint32_t random = 1;
    for (int i = 0; i < 300; i++) {
        random = random * 1664525u + 1013904223u;
        uint8_t byte = (uint8_t)(random >> 24);
        assert_int_equal(pwrite(to, &byte, 1, (off_t)(random >> 4) % made), 1);
        taken = (struct taken){.bytes = taken.bytes, .most = SIZE};
        decode(to, (size_t)made, -1, 65536, &taken);
        assert_true(taken.size <= SIZE);
    }
    free(taken.bytes);
    close(from);
    close(to);
    free(bytes);
}

static void in_the_protocol(void **state)
{
    struct encoding encoding, again;
    Mu__Encoding message = MU__ENCODING__INIT;
    Mu__Identity base = MU__IDENTITY__INIT;
    assert_true(encoding_of(&encoding, NULL, 7));
    assert_int_equal(encoding.kind, ENCODING_PLAIN);
    assert_int_equal(encoding.size, 7);
    assert_false(encoding_of(&encoding, &message, 7)); /* nothing at all */
    message.size = 5;
    assert_false(encoding_of(&encoding, &message, 7)); /* plain is not said */
    message.kind = MU__ENCODING__KIND__ZSTD;
    assert_true(encoding_of(&encoding, &message, 7));
    message.kind = MU__ENCODING__KIND__DIFFERENCE;
    assert_false(encoding_of(&again, &message, 7)); /* to nothing */
    message.to = &base;
    assert_false(encoding_of(&again, &message, 7));
    message.kind = (Mu__Encoding__Kind)9;
    assert_false(encoding_of(&again, &message, 7));
    struct encoding difference = {.kind = ENCODING_DIFFERENCE, .size = 5, .base = {.size = 9}};
    encoding_to(&message, &base, &difference);
    assert_true(encoding_of(&again, &message, 7));
    assert_true(encoding_equal(&again, &difference));
    assert_false(encoding_equal(&again, &encoding));
    again.base.sha256[31] = 1;
    assert_false(encoding_equal(&again, &difference));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_goes_in_comes_out),
        cmocka_unit_test(a_difference_is_smaller),
        cmocka_unit_test(what_is_none),
        cmocka_unit_test(in_the_protocol),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
