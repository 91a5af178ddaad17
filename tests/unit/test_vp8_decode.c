/* Decoding: what is refused and how, that inputs stay as they are, and that nothing is remembered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/random_stream.h"
#include "vp8/state.h"

#define ALL_FEATURES ((1u << RANDOM_FEATURES) - 1)

/* A frame in a buffer of exactly its size, so that sanitizers see reads behind it. */
static int decode_exactly(struct xc_context *context, const struct xc_state *before,
                          const uint8_t *frame, size_t size, struct xc_state **after,
                          struct xc_picture **shown)
{
    uint8_t *exact = malloc(size ? size : 1);
    if (size)
        memcpy(exact, frame, size);
    int result = xc_decode(context, before, exact, size, after, shown);
    free(exact);
    return result;
}

static bool same_hash(struct xc_hash a, struct xc_hash b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static struct random_recipe make_recipe(unsigned seed, int width, int height, int frames)
{
    return (struct random_recipe){
        .seed = seed, .features = ALL_FEATURES, .width = width, .height = height, .frames = frames};
}

/* A key frame and an inter frame of 20 x 20 pixels, and the state between. */
struct pair {
    struct xc_context *context;
    struct stream stream;
    struct xc_state *between;
};

static int open_pair(void **state)
{
    struct pair *pair = calloc(1, sizeof *pair);
    struct random_recipe recipe = make_recipe(4, 20, 20, 2);
    recipe.features &= ~RANDOM_KEYS & ~RANDOM_HIDDEN;
    random_stream(&pair->stream, &recipe);
    pair->context = xc_context_new();
    *state = pair;
    return xc_decode(pair->context, NULL, pair->stream.frame[0].data, pair->stream.frame[0].size,
                     &pair->between, NULL);
}

static int close_pair(void **state)
{
    struct pair *pair = *state;
    xc_state_unref(pair->between);
    stream_free(&pair->stream);
    xc_context_free(pair->context);
    free(pair);
    return 0;
}

/* Any outcome is an error with nothing set, or a state and a picture. */
static int check_outcome(struct pair *pair, const struct xc_state *before, const uint8_t *frame,
                         size_t size)
{
    struct xc_state *after = before ? pair->between : NULL, *parsed;
    struct xc_picture *shown;
    int result = decode_exactly(pair->context, before, frame, size, &after, &shown);
    if (result < 0) {
        assert_null(after);
        assert_null(shown);
    } else {
        assert_non_null(after);
        assert_true(xc_state_has_pictures(after));
    }
    assert_int_equal(xc_parse(pair->context, before, frame, size, &parsed), result);
    xc_state_unref(parsed);
    xc_state_unref(after);
    xc_picture_unref(shown);
    return result;
}

/* ---- What is refused ------------------------------------------------------------------------------- */

static void test_truncated(void **state)
{
    struct pair *pair = *state;
    for (int i = 0; i < 2; i++) {
        const struct xc_buffer *frame = &pair->stream.frame[i];
        const struct xc_state *before = i ? pair->between : NULL;
        struct xc_frame_tag tag;
        assert_int_equal(xc_frame_tag(frame->data, frame->size, &tag), XC_OK);
        size_t head = (tag.key_frame ? 10 : 3) + tag.first_partition_size;
        for (size_t size = 1; size <= frame->size; size++) {
            int result = check_outcome(pair, before, frame->data, size);
            if (size < head)
                assert_int_equal(result, XC_ERROR_TRUNCATED);
        }
        assert_int_equal(check_outcome(pair, before, frame->data, frame->size), XC_OK);
    }
}

/* Damage may make other pictures, or an error, but nothing worse. */
static void test_flipped_bits(void **state)
{
    struct pair *pair = *state;
    for (int i = 0; i < 2; i++) {
        const struct xc_buffer *frame = &pair->stream.frame[i];
        const struct xc_state *before = i ? pair->between : NULL;
        for (size_t at = 0; at < frame->size; at++)
            for (int bit = 0; bit < 8; bit++) {
                if (i == 0 && at >= 6 && at < 10 && bit > 4)
                    continue; /* much larger pictures */
                frame->data[at] ^= (uint8_t)(1 << bit);
                check_outcome(pair, before, frame->data, frame->size);
                frame->data[at] ^= (uint8_t)(1 << bit);
            }
    }
}

static void test_start_code(void **state)
{
    struct pair *pair = *state;
    struct xc_buffer *key = &pair->stream.frame[0];
    for (int i = 3; i < 6; i++) {
        key->data[i] ^= 4;
        assert_int_equal(check_outcome(pair, NULL, key->data, key->size), XC_ERROR_CORRUPT);
        key->data[i] ^= 4;
    }
}

static void test_no_size(void **state)
{
    struct pair *pair = *state;
    struct xc_buffer *key = &pair->stream.frame[0];
    for (int i = 6; i < 10; i += 2) {
        uint8_t low = key->data[i], high = key->data[i + 1];
        key->data[i] = key->data[i + 1] = 0;
        assert_int_equal(check_outcome(pair, NULL, key->data, key->size), XC_ERROR_CORRUPT);
        key->data[i] = low;
        key->data[i + 1] = high;
    }
}

static void test_version(void **state)
{
    struct pair *pair = *state;
    for (int i = 0; i < 2; i++) {
        uint8_t *frame = pair->stream.frame[i].data, first = frame[0];
        for (int version = 4; version < 8; version++) {
            frame[0] = (uint8_t)((first & ~0x0e) | version << 1);
            assert_int_equal(
                check_outcome(pair, i ? pair->between : NULL, frame, pair->stream.frame[i].size),
                XC_ERROR_UNSUPPORTED);
        }
        frame[0] = first;
    }
}

static void test_inter_frame_first(void **state)
{
    struct pair *pair = *state;
    const struct xc_buffer *inter = &pair->stream.frame[1];
    assert_int_equal(check_outcome(pair, NULL, inter->data, inter->size), XC_ERROR_NO_STATE);
}

/* Parsing needs no pictures, decoding does. */
static void test_state_without_pictures(void **state)
{
    struct pair *pair = *state;
    const struct xc_buffer *key = &pair->stream.frame[0], *inter = &pair->stream.frame[1];
    struct xc_state *bare, *parsed, *after;
    struct xc_picture *shown;
    assert_int_equal(xc_parse(pair->context, NULL, key->data, key->size, &bare), XC_OK);
    assert_int_equal(xc_parse(pair->context, bare, inter->data, inter->size, &parsed), XC_OK);
    assert_int_equal(xc_decode(pair->context, bare, inter->data, inter->size, &after, &shown),
                     XC_ERROR_NO_STATE);
    assert_null(after);
    assert_null(shown);
    /* A key frame asks for nothing. */
    assert_int_equal(xc_decode(pair->context, bare, key->data, key->size, &after, NULL), XC_OK);
    assert_true(xc_state_equal(after, pair->between));
    xc_state_unref(after);
    xc_state_unref(bare);
    xc_state_unref(parsed);
}

static void test_empty_frame(void **state)
{
    struct pair *pair = *state;
    struct xc_state *after;
    struct xc_picture *shown;
    assert_int_equal(xc_decode(pair->context, pair->between, NULL, 0, &after, &shown),
                     XC_EMPTY_FRAME);
    assert_true(xc_state_equal(after, pair->between));
    assert_null(shown);
    xc_state_unref(after);
    assert_int_equal(xc_parse(pair->context, pair->between, NULL, 0, &after), XC_EMPTY_FRAME);
    assert_true(xc_state_equal(after, pair->between));
    xc_state_unref(after);
    assert_int_equal(xc_decode(pair->context, NULL, NULL, 0, &after, &shown), XC_ERROR_NO_STATE);
    assert_null(after);
}

static void test_tag_and_info(void **state)
{
    struct pair *pair = *state;
    const struct xc_buffer *key = &pair->stream.frame[0], *inter = &pair->stream.frame[1];
    struct xc_frame_tag tag;
    struct xc_frame_info info;
    assert_int_equal(xc_frame_tag(key->data, 9, &tag), XC_ERROR_TRUNCATED);
    assert_int_equal(xc_frame_tag(key->data, 10, &tag), XC_OK);
    assert_true(tag.key_frame && tag.shown);
    assert_int_equal(tag.width, 20);
    assert_int_equal(tag.height, 20);
    assert_int_equal(xc_frame_tag(inter->data, 2, &tag), XC_ERROR_TRUNCATED);
    assert_int_equal(xc_frame_tag(inter->data, 3, &tag), XC_OK);
    assert_false(tag.key_frame);
    assert_int_equal(tag.width, 0);
    assert_int_equal(xc_inspect(pair->context, NULL, inter->data, inter->size, &info),
                     XC_ERROR_NO_STATE);
    assert_int_equal(xc_inspect(pair->context, pair->between, inter->data, inter->size, &info),
                     XC_OK);
    assert_int_equal(info.macroblocks, 4);
    assert_int_equal(info.intra16 + info.intra4 + info.inter[0] + info.inter[1] + info.inter[2], 4);
    for (int result = 1; result >= XC_ERROR_STATE_FILE; result--)
        assert_true(strlen(xc_strerror(result)) > 4);
    assert_non_null(xc_strerror(-1000));
}

/* ---- Values ---------------------------------------------------------------------------------------- */

static void test_inputs_stay(void **state)
{
    struct random_recipe recipe = make_recipe(5, 60, 40, 25);
    struct xc_context *context = xc_context_new();
    struct xc_state *before = NULL, *after;
    struct stream stream;
    random_stream(&stream, &recipe);
    for (int i = 0; i < stream.frames; i++) {
        const struct xc_buffer *frame = &stream.frame[i];
        uint8_t *copy = malloc(frame->size);
        memcpy(copy, frame->data, frame->size);
        struct xc_hash hash = {{0}};
        if (before)
            hash = xc_state_hash(before);
        assert_int_equal(xc_decode(context, before, frame->data, frame->size, &after, NULL), XC_OK);
        if (before)
            assert_true(same_hash(hash, xc_state_hash(before)));
        assert_memory_equal(copy, frame->data, frame->size);
        free(copy);
        xc_state_unref(before);
        before = after;
    }
    xc_state_unref(before);
    stream_free(&stream);
    xc_context_free(context);
}

/* Hashes of a stream's states; each frame decoded with a context of its own. */
static struct xc_hash *fresh_hashes(const struct stream *stream)
{
    struct xc_hash *hashes = calloc((size_t)stream->frames, sizeof *hashes);
    struct xc_state *before = NULL, *after;
    for (int i = 0; i < stream->frames; i++) {
        struct xc_context *context = xc_context_new();
        assert_int_equal(decode_exactly(context, before, stream->frame[i].data,
                                        stream->frame[i].size, &after, NULL),
                         XC_OK);
        hashes[i] = xc_state_hash(after);
        xc_context_free(context);
        xc_state_unref(before);
        before = after;
    }
    xc_state_unref(before);
    return hashes;
}

/* Streams of several sizes, their frames interleaved through one context, and damaged frames between:
 * each has the states that it has alone. */
static void test_nothing_is_remembered(void **state)
{
    enum { STREAMS = 5, FRAMES = 20 };
    static const int sizes[STREAMS][2] = {{16, 16}, {175, 33}, {1, 1}, {40, 200}, {64, 64}};
    struct stream stream[STREAMS];
    struct xc_hash *expected[STREAMS];
    struct xc_state *before[STREAMS] = {NULL}, *after;
    struct xc_context *context = xc_context_new();
    for (int s = 0; s < STREAMS; s++) {
        struct random_recipe recipe =
            make_recipe(10 + (unsigned)s, sizes[s][0], sizes[s][1], FRAMES);
        random_stream(&stream[s], &recipe);
        expected[s] = fresh_hashes(&stream[s]);
    }
    for (int i = 0; i < FRAMES; i++)
        for (int s = 0; s < STREAMS; s++) {
            const struct xc_buffer *frame = &stream[s].frame[i];
            if (xc_decode(context, before[s], frame->data, frame->size / 2 + 1, &after, NULL) >= 0)
                xc_state_unref(after);
            assert_int_equal(xc_decode(context, before[s], frame->data, frame->size, &after, NULL),
                             XC_OK);
            assert_true(same_hash(xc_state_hash(after), expected[s][i]));
            xc_state_unref(before[s]);
            before[s] = after;
        }
    for (int s = 0; s < STREAMS; s++) {
        xc_state_unref(before[s]);
        stream_free(&stream[s]);
        free(expected[s]);
    }
    xc_context_free(context);
}

static struct xc_state *without_pictures(const struct xc_state *state)
{
    struct xc_state *bare = xc_state_alloc(&state->persistent);
    assert_non_null(bare);
    memcpy(bare->segment_map, state->segment_map, state->map_size);
    return bare;
}

/* xc_parse follows what xc_decode does, but for the pictures. */
static void test_parse_follows_decode(void **state)
{
    struct random_recipe recipe = make_recipe(6, 70, 50, 40);
    struct xc_context *context = xc_context_new();
    struct xc_state *full = NULL, *bare = NULL, *after, *parsed, *stripped;
    struct stream stream;
    random_stream(&stream, &recipe);
    for (int i = 0; i < stream.frames; i++) {
        const struct xc_buffer *frame = &stream.frame[i];
        assert_int_equal(xc_decode(context, full, frame->data, frame->size, &after, NULL), XC_OK);
        assert_int_equal(xc_parse(context, bare, frame->data, frame->size, &parsed), XC_OK);
        stripped = without_pictures(after);
        assert_true(xc_state_equal(parsed, stripped));
        xc_state_unref(stripped);
        xc_state_unref(full);
        xc_state_unref(bare);
        full = after;
        bare = parsed;
    }
    xc_state_unref(full);
    xc_state_unref(bare);
    stream_free(&stream);
    xc_context_free(context);
}

/* References that a frame does not replace are the same pictures, not copies; a shown picture is what
 * the frame put into the state. */
static void test_pictures_are_shared(void **state)
{
    struct pair *pair = *state;
    struct random_recipe recipe = {.seed = 3, .width = 20, .height = 20, .frames = 2};
    struct xc_state *first, *second;
    struct xc_picture *shown;
    struct stream stream;
    random_stream(&stream, &recipe); /* its inter frame refreshes the last reference alone */
    assert_int_equal(
        xc_decode(pair->context, NULL, stream.frame[0].data, stream.frame[0].size, &first, &shown),
        XC_OK);
    for (int i = 0; i < XC_REFERENCES; i++)
        assert_ptr_equal(xc_state_reference(first, (enum xc_reference)i), shown);
    xc_picture_unref(shown);
    assert_int_equal(xc_decode(pair->context, first, stream.frame[1].data, stream.frame[1].size,
                               &second, &shown),
                     XC_OK);
    assert_ptr_equal(xc_state_reference(second, XC_LAST), shown);
    assert_ptr_equal(xc_state_reference(second, XC_GOLDEN), xc_state_reference(first, XC_GOLDEN));
    assert_ptr_equal(xc_state_reference(second, XC_ALTREF), xc_state_reference(first, XC_ALTREF));
    xc_picture_unref(shown);
    xc_state_unref(first);
    xc_state_unref(second);
    stream_free(&stream);
}

static void test_extreme_sizes(void **state)
{
    static const int sizes[][2] = {{1, 1}, {16383, 16}, {16, 16383}, {16383, 1}, {1, 16383}};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct random_recipe recipe = make_recipe((unsigned)i, sizes[i][0], sizes[i][1], 3);
        recipe.features &= ~RANDOM_RESIZE;
        struct stream stream;
        random_stream(&stream, &recipe);
        free(fresh_hashes(&stream));
        stream_free(&stream);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_truncated, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_flipped_bits, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_start_code, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_no_size, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_version, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_inter_frame_first, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_state_without_pictures, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_empty_frame, open_pair, close_pair),
        cmocka_unit_test_setup_teardown(test_tag_and_info, open_pair, close_pair),
        cmocka_unit_test(test_inputs_stay),
        cmocka_unit_test(test_nothing_is_remembered),
        cmocka_unit_test(test_parse_follows_decode),
        cmocka_unit_test_setup_teardown(test_pictures_are_shared, open_pair, close_pair),
        cmocka_unit_test(test_extreme_sizes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
