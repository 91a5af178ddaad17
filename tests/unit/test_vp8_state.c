/* States: equality, hash and file agree on every field; damaged files are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/random_stream.h"
#include "vp8/state.h"

#define ALL_FEATURES ((1u << RANDOM_FEATURES) - 1)

/* ---- States to try ------------------------------------------------------------------------------- */

/* The state after a stream of random decisions, with pictures or without. */
static struct xc_state *state_after(const struct random_recipe *recipe, bool pictures)
{
    struct xc_context *context = xc_context_new();
    struct xc_state *state = NULL, *after;
    struct stream stream;
    random_stream(&stream, recipe);
    for (int i = 0; i < stream.frames; i++) {
        const struct xc_buffer *frame = &stream.frame[i];
        int result = pictures ? xc_decode(context, state, frame->data, frame->size, &after, NULL)
                              : xc_parse(context, state, frame->data, frame->size, &after);
        assert_int_equal(result, XC_OK);
        xc_state_unref(state);
        state = after;
    }
    stream_free(&stream);
    xc_context_free(context);
    return state;
}

static bool three_pictures(const struct xc_state *state)
{
    return !xc_picture_equal(state->picture[0], state->picture[1]) &&
           !xc_picture_equal(state->picture[1], state->picture[2]) &&
           !xc_picture_equal(state->picture[2], state->picture[0]);
}

static bool has_map(const struct xc_state *state)
{
    for (size_t i = 0; i < state->map_size; i++)
        if (state->segment_map[i])
            return true;
    return false;
}

/* One that has everything: three different pictures, a segment map, deltas; 39 x 21 pixels. */
static struct xc_state *full_state(void)
{
    struct random_recipe recipe = {.features = RANDOM_SEGMENTS | RANDOM_DELTAS | RANDOM_REFERENCES |
                                               RANDOM_SCALING | RANDOM_COLOUR,
                                   .width = 39,
                                   .height = 21,
                                   .frames = 8};
    for (;; recipe.seed++) {
        struct xc_state *state = state_after(&recipe, true);
        if (three_pictures(state) && has_map(state))
            return state;
        xc_state_unref(state);
    }
}

static struct xc_picture *copy_picture(const struct xc_picture *picture)
{
    struct xc_picture *copy = xc_picture_alloc(picture->width, picture->height);
    assert_non_null(copy);
    for (int i = 0; i < 3; i++)
        for (int y = 0; y < picture->plane_height[i]; y++)
            memcpy(copy->plane[i] + y * copy->stride[i], picture->plane[i] + y * picture->stride[i],
                   (size_t)picture->plane_width[i]);
    xc_picture_extend_borders(copy);
    return copy;
}

/* Shares nothing with the original. */
static struct xc_state *copy_state(const struct xc_state *state)
{
    struct xc_state *copy = xc_state_alloc(&state->persistent);
    assert_non_null(copy);
    memcpy(copy->segment_map, state->segment_map, state->map_size);
    for (int i = 0; i < XC_REFERENCES; i++)
        copy->picture[i] = copy_picture(state->picture[i]);
    return copy;
}

/* ---- Files ----------------------------------------------------------------------------------------- */

static struct xc_buffer written(const struct xc_state *state)
{
    struct xc_buffer bytes = {0};
    assert_int_equal(xc_state_write(state, &bytes), XC_OK);
    return bytes;
}

static bool same_bytes(const struct xc_buffer *a, const struct xc_buffer *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static bool same_hash(const struct xc_state *a, const struct xc_state *b)
{
    struct xc_hash x = xc_state_hash(a), y = xc_state_hash(b);
    return memcmp(&x, &y, sizeof x) == 0;
}

/* Write, read, write gives the same bytes, and an equal state between. */
static void check_round_trip(const struct xc_state *state)
{
    struct xc_buffer bytes = written(state);
    struct xc_state *read;
    assert_int_equal(xc_state_read(bytes.data, bytes.size, &read), XC_OK);
    struct xc_buffer again = written(read);
    assert_true(same_bytes(&bytes, &again));
    assert_true(xc_state_equal(state, read));
    assert_true(same_hash(state, read));
    assert_int_equal(xc_state_width(read), xc_state_width(state));
    assert_int_equal(xc_state_height(read), xc_state_height(state));
    assert_int_equal(xc_state_has_pictures(read), xc_state_has_pictures(state));
    xc_state_unref(read);
    xc_buffer_free(&again);
    xc_buffer_free(&bytes);
}

static void test_round_trip(void **state)
{
    for (unsigned seed = 0; seed < 40; seed++) {
        struct random_recipe recipe = {.seed = seed,
                                       .features = seed % 4 ? ALL_FEATURES : RANDOM_REFERENCES,
                                       .width = 1 + 7 * (int)seed % 90,
                                       .height = 1 + 11 * (int)seed % 70,
                                       .frames = 1 + (int)seed % 9};
        struct xc_state *full = state_after(&recipe, true), *bare = state_after(&recipe, false);
        check_round_trip(full);
        check_round_trip(bare);
        assert_true(xc_state_has_pictures(full));
        assert_false(xc_state_has_pictures(bare));
        assert_null(xc_state_reference(bare, XC_GOLDEN));
        assert_false(xc_state_equal(full, bare));
        assert_false(same_hash(full, bare));
        xc_state_unref(full);
        xc_state_unref(bare);
    }
}

/* A reading must not need what follows the file, nor aligned data. */
static void test_read_at_odd_address(void **state)
{
    struct xc_state *full = full_state(), *read;
    struct xc_buffer bytes = written(full);
    uint8_t *moved = malloc(bytes.size + 1);
    memcpy(moved + 1, bytes.data, bytes.size);
    assert_int_equal(xc_state_read(moved + 1, bytes.size, &read), XC_OK);
    assert_true(xc_state_equal(full, read));
    xc_state_unref(read);
    free(moved);
    xc_buffer_free(&bytes);
    xc_state_unref(full);
}

/* A buffer that was in use is overwritten. */
static void test_write_into_used_buffer(void **state)
{
    struct xc_state *full = full_state();
    struct xc_buffer bytes = written(full), again = written(full);
    assert_int_equal(xc_state_write(full, &again), XC_OK);
    assert_true(same_bytes(&bytes, &again));
    xc_buffer_free(&bytes);
    xc_buffer_free(&again);
    xc_state_unref(full);
}

/* ---- Equality ---------------------------------------------------------------------------------------- */

/* Pictures that are equal count as one, whether shared or not. */
static void test_equal_pictures_are_stored_once(void **state)
{
    struct random_recipe recipe = {.width = 39, .height = 21, .frames = 1};
    struct xc_state *shared = state_after(&recipe, true), *apart = copy_state(shared);
    assert_ptr_equal(shared->picture[0], shared->picture[1]);
    assert_true(xc_state_equal(shared, apart));
    assert_true(same_hash(shared, apart));
    struct xc_buffer one = written(shared), three = written(apart);
    assert_true(same_bytes(&one, &three));
    assert_in_range(one.size, 48 * 32 * 3 / 2, 48 * 32 * 3 / 2 + 2000);
    xc_buffer_free(&one);
    xc_buffer_free(&three);
    xc_state_unref(shared);
    xc_state_unref(apart);
}

/* One byte is another: neither equal, nor of the same hash, nor the same file, and still kept by it. */
static void check_change(const struct xc_state *original, struct xc_state *changed, void *field,
                         int difference)
{
    struct xc_buffer bytes = written(original);
    *(uint8_t *)field ^= (uint8_t)difference;
    struct xc_buffer other = written(changed);
    assert_false(xc_state_equal(original, changed));
    assert_false(xc_state_equal(changed, original));
    assert_false(same_hash(original, changed));
    assert_false(same_bytes(&bytes, &other));
    check_round_trip(changed);
    *(uint8_t *)field ^= (uint8_t)difference;
    assert_true(xc_state_equal(original, changed));
    assert_true(same_hash(original, changed));
    xc_buffer_free(&other);
    xc_buffer_free(&bytes);
}

static void check_persistent(const struct xc_state *original, struct xc_state *changed)
{
    struct persistent *p = &changed->persistent;
    check_change(original, changed, &p->horizontal_scale, 1);
    check_change(original, changed, &p->vertical_scale, 2);
    check_change(original, changed, &p->colour_space, 1);
    check_change(original, changed, &p->clamping_type, 1);
    check_change(original, changed, &p->segmentation.absolute, 1);
    for (int i = 0; i < 4; i++) {
        check_change(original, changed, &p->segmentation.quantizer[i], 1);
        check_change(original, changed, &p->segmentation.filter_level[i], 1);
        check_change(original, changed, &p->filter_deltas.reference[i], 1);
        check_change(original, changed, &p->filter_deltas.mode[i], 1);
    }
    uint8_t *probability = (uint8_t *)&p->probabilities;
    for (size_t i = 0; i < sizeof p->probabilities; i++)
        check_change(original, changed, &probability[i], 1 + (int)i % 255);
}

static void check_pictures(const struct xc_state *original, struct xc_state *changed)
{
    for (int i = 0; i < XC_REFERENCES; i++)
        for (int plane = 0; plane < 3; plane++) {
            struct xc_picture *picture = changed->picture[i];
            int right = picture->plane_width[plane] - 1, bottom = picture->plane_height[plane] - 1;
            check_change(original, changed, picture->plane[plane], 1);
            check_change(original, changed,
                         &picture->plane[plane][bottom * picture->stride[plane] + right], 128);
        }
}

static void test_every_field_counts(void **state)
{
    struct xc_state *original = full_state(), *changed = copy_state(original);
    assert_int_equal(sizeof(struct probabilities), 1056 + 38 + 4 + 3); /* no gaps */
    assert_true(xc_state_equal(original, changed));
    assert_true(same_hash(original, changed));
    check_persistent(original, changed);
    for (size_t i = 0; i < changed->map_size; i++)
        check_change(original, changed, &changed->segment_map[i], 1 + (int)i % 3);
    check_pictures(original, changed);
    xc_state_unref(original);
    xc_state_unref(changed);
}

static void test_order_of_references_counts(void **state)
{
    struct xc_state *original = full_state(), *changed = copy_state(original);
    struct xc_picture *golden = changed->picture[XC_GOLDEN];
    changed->picture[XC_GOLDEN] = changed->picture[XC_ALTREF];
    changed->picture[XC_ALTREF] = golden;
    assert_false(xc_state_equal(original, changed));
    assert_false(same_hash(original, changed));
    check_round_trip(changed);
    xc_state_unref(original);
    xc_state_unref(changed);
}

static void test_size_counts(void **state)
{
    struct random_recipe recipe = {.width = 39, .height = 21, .frames = 1};
    struct xc_state *original = state_after(&recipe, false);
    static const int sizes[][2] = {{40, 21}, {39, 22}, {21, 39}, {55, 21}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct persistent persistent = original->persistent;
        persistent.width = sizes[i][0];
        persistent.height = sizes[i][1];
        struct xc_state *other = xc_state_alloc(&persistent);
        assert_false(xc_state_equal(original, other));
        assert_false(same_hash(original, other));
        check_round_trip(other);
        xc_state_unref(other);
    }
    xc_state_unref(original);
}

/* ---- Damage -------------------------------------------------------------------------------------------- */

/* Bytes in a buffer of exactly their size, so that sanitizers see reads behind them. */
static int read_exactly(const uint8_t *data, size_t size, struct xc_state **state)
{
    uint8_t *exact = malloc(size ? size : 1);
    memcpy(exact, data, size);
    int result = xc_state_read(exact, size, state);
    free(exact);
    return result;
}

static void check_refused(const uint8_t *data, size_t size)
{
    struct xc_state *state = (struct xc_state *)(uintptr_t)data;
    assert_int_equal(read_exactly(data, size, &state), XC_ERROR_STATE_FILE);
    assert_null(state);
}

static void check_truncated(const struct xc_state *state)
{
    struct xc_buffer bytes = written(state);
    for (size_t size = 0; size < bytes.size; size++)
        check_refused(bytes.data, size);
    uint8_t *longer = calloc(1, bytes.size + 1);
    memcpy(longer, bytes.data, bytes.size);
    check_refused(longer, bytes.size + 1);
    free(longer);
    xc_buffer_free(&bytes);
}

static void test_truncated(void **state)
{
    struct random_recipe recipe = {.width = 39, .height = 21, .frames = 1};
    struct xc_state *full = full_state(), *bare = state_after(&recipe, false);
    check_truncated(full);
    check_truncated(bare);
    xc_state_unref(full);
    xc_state_unref(bare);
}

/* What is accepted is the one way to write the state that it is. */
static bool accepted(const struct xc_buffer *bytes)
{
    struct xc_state *state;
    int result = read_exactly(bytes->data, bytes->size, &state);
    if (result != XC_OK) {
        assert_int_equal(result, XC_ERROR_STATE_FILE);
        assert_null(state);
        return false;
    }
    struct xc_buffer again = written(state);
    assert_true(same_bytes(bytes, &again));
    xc_buffer_free(&again);
    xc_state_unref(state);
    return true;
}

static void check_flipped(const struct xc_state *state)
{
    enum { HEAD = 40 };
    struct xc_buffer bytes = written(state);
    int refused = 0;
    for (size_t i = 0; i < bytes.size; i += i < HEAD ? 1 : 13)
        for (int bit = 0; bit < 8; bit++) {
            bytes.data[i] ^= (uint8_t)(1 << bit);
            refused += !accepted(&bytes);
            bytes.data[i] ^= (uint8_t)(1 << bit);
        }
    /* Magic, version, reserved bytes, counts and most of the flags. */
    assert_in_range(refused, 100, HEAD * 8);
    xc_buffer_free(&bytes);
}

static void test_flipped_bits(void **state)
{
    struct random_recipe recipe = {.width = 39, .height = 21, .frames = 1};
    struct xc_state *full = full_state(), *bare = state_after(&recipe, false);
    struct xc_state *shared = state_after(&recipe, true);
    check_flipped(full);
    check_flipped(bare);
    check_flipped(shared);
    xc_state_unref(full);
    xc_state_unref(bare);
    xc_state_unref(shared);
}

/* Random heads: most are refused, none crashes or asks for much memory. */
static void test_random_heads(void **state)
{
    struct xc_state *full = full_state();
    struct xc_buffer bytes = written(full);
    struct random random = {1};
    uint8_t head[40];
    memcpy(head, bytes.data, sizeof head);
    for (int round = 0; round < 20000; round++) {
        for (int changes = random_between(&random, 1, 6); changes > 0; changes--)
            bytes.data[random_between(&random, 4, 39)] = (uint8_t)random_below(&random, 256);
        accepted(&bytes);
        memcpy(bytes.data, head, sizeof head);
    }
    xc_buffer_free(&bytes);
    xc_state_unref(full);
}

static void test_reference_count(void **state)
{
    struct xc_state *full = full_state(), *again = xc_state_ref(full);
    assert_ptr_equal(full, again);
    assert_true(xc_state_equal(full, again));
    xc_state_unref(full);
    assert_int_equal(xc_state_width(again), 39);
    xc_state_unref(again);
    xc_state_unref(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_read_at_odd_address),
        cmocka_unit_test(test_write_into_used_buffer),
        cmocka_unit_test(test_equal_pictures_are_stored_once),
        cmocka_unit_test(test_every_field_counts),
        cmocka_unit_test(test_order_of_references_counts),
        cmocka_unit_test(test_size_counts),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_random_heads),
        cmocka_unit_test(test_reference_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
