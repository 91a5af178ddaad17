/* Encoding: its state is the decoder's, parameters are kept to, inputs stay, nothing is remembered. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/quality.h"
#include "support/film.h"
#include "support/random_stream.h"
#include "support/scratch.h"
#include "vp8/picture.h"

#define ALL_REFERENCES 7u

static const struct xc_encode_parameters plain = {.quantizer = 30, .refresh = 1, .effort = 1};

static bool same_hash(struct xc_hash a, struct xc_hash b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

/* What a call gave. */
struct coded {
    struct xc_buffer frame;
    struct xc_state *after;
    struct xc_picture *shown;
    struct xc_frame_info info;
};

static void free_coded(struct coded *coded)
{
    xc_buffer_free(&coded->frame);
    xc_state_unref(coded->after);
    xc_picture_unref(coded->shown);
    *coded = (struct coded){0};
}

/* Frame and state are what another context gives, too. */
static void check_repeated(const struct xc_state *given, const struct xc_picture *picture,
                           const struct xc_encode_parameters *parameters, const struct coded *coded)
{
    struct xc_context *context = xc_context_new();
    struct xc_buffer frame = {.data = malloc(1), .size = 1, .capacity = 1};
    struct xc_state *after;
    assert_int_equal(xc_encode(context, given, picture, parameters, &frame, &after), XC_OK);
    assert_int_equal(frame.size, coded->frame.size);
    assert_memory_equal(frame.data, coded->frame.data, frame.size);
    assert_true(xc_state_equal(after, coded->after));
    xc_buffer_free(&frame);
    xc_state_unref(after);
    xc_context_free(context);
}

/* What the frame says of itself is what was asked for. */
static void check_parameters(const struct xc_state *given,
                             const struct xc_encode_parameters *parameters,
                             const struct xc_frame_info *info)
{
    bool key = !given || parameters->key_frame;
    assert_int_equal(info->tag.key_frame, key);
    assert_true(info->tag.shown);
    assert_int_equal(info->quantizer, parameters->quantizer);
    assert_int_equal(info->refresh, key ? ALL_REFERENCES : parameters->refresh);
    for (int i = 0; i < XC_REFERENCES; i++)
        if (parameters->references && !(parameters->references & XC_REFERENCE_BIT(i)))
            assert_int_equal(info->inter[i], 0);
}

/* Encodes and checks all that holds for every call. */
static void encode(struct xc_context *context, const struct xc_state *given,
                   const struct xc_picture *picture, const struct xc_encode_parameters *parameters,
                   struct coded *coded)
{
    struct xc_state *decoded;
    struct xc_view view = xc_picture_view(picture);
    struct xc_picture *copy;
    struct xc_hash hash = {{0}};
    if (given)
        hash = xc_state_hash(given);
    assert_int_equal(xc_picture_new(&view, &copy), XC_OK);
    *coded = (struct coded){0};
    assert_int_equal(xc_encode(context, given, picture, parameters, &coded->frame, &coded->after),
                     XC_OK);
    assert_int_equal(
        xc_decode(context, given, coded->frame.data, coded->frame.size, &decoded, &coded->shown),
        XC_OK);
    assert_true(xc_state_equal(decoded, coded->after));
    assert_non_null(coded->shown);
    xc_state_unref(decoded);
    assert_int_equal(xc_inspect(context, given, coded->frame.data, coded->frame.size, &coded->info),
                     XC_OK);
    check_parameters(given, parameters, &coded->info);
    assert_true(xc_picture_equal(picture, copy));
    xc_picture_unref(copy);
    if (given)
        assert_true(same_hash(hash, xc_state_hash(given)));
    check_repeated(given, picture, parameters, coded);
}

/* Like encode() for a chain: `*state` becomes the state after. */
static void encode_next(struct xc_context *context, struct xc_state **state,
                        const struct xc_picture *picture,
                        const struct xc_encode_parameters *parameters)
{
    struct coded coded;
    encode(context, *state, picture, parameters, &coded);
    xc_state_unref(*state);
    *state = xc_state_ref(coded.after);
    free_coded(&coded);
}

/* ---- Chains ------------------------------------------------------------------------------------------ */

static void test_sizes_and_efforts(void **state)
{
    static const int sizes[][2] = {{1, 1}, {16, 16}, {17, 15}, {2, 70}, {175, 143}};
    static const int quantizers[] = {0, 25, 60, 127};
    struct xc_context *context = xc_context_new();
    int frames = test_level() == TEST_QUICK ? 3 : 6;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int effort = 0; effort <= 2; effort++) {
            struct film film;
            struct xc_state *given = NULL;
            film_draw(&film, sizes[i][0], sizes[i][1], frames, (unsigned)i);
            for (int k = 0; k < frames; k++) {
                struct xc_encode_parameters parameters = {
                    .quantizer = quantizers[(k + effort) % 4],
                    .effort = effort,
                    .refresh = (unsigned)(k + effort) % 8,
                    .references = (unsigned)(3 * k + effort) % 8,
                };
                encode_next(context, &given, film.picture[k], &parameters);
            }
            xc_state_unref(given);
            film_free(&film);
        }
    xc_context_free(context);
}

/* The first result is what the later ones must be; takes `frame` over. */
static void check_same(struct xc_buffer *expected, struct xc_buffer *frame)
{
    if (!expected->data) {
        *expected = *frame;
        return;
    }
    assert_int_equal(frame->size, expected->size);
    assert_memory_equal(frame->data, expected->data, frame->size);
    xc_buffer_free(frame);
}

enum { LEVEL_FRAMES = 4 };

/* Codes a film, and rebases its last frame onto the state after the first. */
static void code_at_level(struct xc_context *context, const struct film *film,
                          struct xc_buffer expected[LEVEL_FRAMES + 1])
{
    const struct xc_rebase_parameters rebase = {.quantizer = -1};
    struct xc_state *given[LEVEL_FRAMES + 1] = {NULL}, *after;
    struct xc_buffer frame;
    for (int i = 0; i < LEVEL_FRAMES; i++) {
        struct xc_encode_parameters parameters = {
            .quantizer = 10 + 15 * i, .effort = 2, .refresh = 7, .references = 7};
        frame = (struct xc_buffer){0};
        assert_int_equal(
            xc_encode(context, given[i], film->picture[i], &parameters, &frame, &given[i + 1]),
            XC_OK);
        check_same(&expected[i], &frame);
    }
    const struct xc_buffer *last = &expected[LEVEL_FRAMES - 1];
    frame = (struct xc_buffer){0};
    assert_int_equal(xc_rebase(context, given[1], film->picture[LEVEL_FRAMES - 1], last->data,
                               last->size, given[LEVEL_FRAMES - 1], &rebase, &frame, &after),
                     XC_OK);
    check_same(&expected[LEVEL_FRAMES], &frame);
    xc_state_unref(after);
    for (int i = 1; i <= LEVEL_FRAMES; i++)
        xc_state_unref(given[i]);
}

/* Each instruction set's kernels give the bytes that C gives. */
static void test_same_at_every_level(void **state)
{
    static const char *const levels[] = {"c", "sse2", "ssse3", "avx2", "neon"};
    struct xc_buffer expected[LEVEL_FRAMES + 1] = {{0}};
    struct film film;
    film_draw(&film, 175, 143, LEVEL_FRAMES, 3);
    for (size_t i = 0; i < sizeof levels / sizeof *levels; i++) {
        struct xc_context *context = xc_context_new();
        if (xc_context_set_cpu(context, levels[i]) >= 0)
            code_at_level(context, &film, expected);
        xc_context_free(context);
    }
    assert_non_null(expected[LEVEL_FRAMES].data);
    for (int i = 0; i <= LEVEL_FRAMES; i++)
        xc_buffer_free(&expected[i]);
    film_free(&film);
}

/* Every mask of references and of what is refreshed, on three different references. */
static void test_masks(void **state)
{
    struct xc_context *context = xc_context_new();
    struct xc_state *given = NULL;
    struct film film;
    film_draw(&film, 64, 48, 4, 1);
    for (unsigned i = 0; i < XC_REFERENCES; i++) {
        struct xc_encode_parameters parameters = plain;
        parameters.refresh = XC_REFERENCE_BIT(i);
        encode_next(context, &given, film.picture[i], &parameters);
    }
    for (unsigned mask = 0; mask < 64; mask += test_level() == TEST_QUICK ? 5 : 1) {
        struct xc_encode_parameters parameters = plain;
        struct coded coded;
        parameters.effort = 2;
        parameters.references = mask & 7;
        parameters.refresh = mask >> 3;
        encode(context, given, film.picture[3], &parameters, &coded);
        for (int i = 0; i < XC_REFERENCES; i++) {
            const struct xc_picture *after = xc_state_reference(coded.after, (enum xc_reference)i);
            if (parameters.refresh & XC_REFERENCE_BIT(i))
                assert_true(xc_picture_equal(after, coded.shown));
            else
                assert_ptr_equal(after, xc_state_reference(given, (enum xc_reference)i));
        }
        free_coded(&coded);
    }
    xc_state_unref(given);
    film_free(&film);
    xc_context_free(context);
}

/* A picture that is in one of the references is found there, and costs next to nothing. */
static void test_finds_the_reference(void **state)
{
    struct xc_context *context = xc_context_new();
    struct xc_state *given = NULL;
    struct film film;
    film_draw(&film, 96, 80, 40, 2);
    for (int i = XC_ALTREF; i >= XC_LAST; i--) {
        struct xc_encode_parameters parameters = plain;
        parameters.quantizer = 10;
        parameters.refresh = XC_REFERENCE_BIT(i);
        encode_next(context, &given, film.picture[13 * i], &parameters);
    }
    for (int i = 0; i < XC_REFERENCES; i++) {
        struct xc_encode_parameters parameters = plain;
        struct coded coded;
        encode(context, given, film.picture[13 * i], &parameters, &coded);
        assert_in_range(coded.info.inter[i], coded.info.macroblocks * 3 / 4,
                        coded.info.macroblocks);
        assert_in_range(coded.frame.size, 1, 200);
        free_coded(&coded);
    }
    xc_state_unref(given);
    film_free(&film);
    xc_context_free(context);
}

/* States as no encoder leaves them: odd probabilities, segment maps, deltas, other profiles. */
static void test_random_states(void **state)
{
    struct film film;
    film_draw(&film, 70, 40, 4, 3);
    for (unsigned seed = 0; seed < (test_level() == TEST_QUICK ? 5 : 20); seed++) {
        struct random_recipe recipe = {.seed = seed,
                                       .features =
                                           ((1u << RANDOM_FEATURES) - 1) & ~(unsigned)RANDOM_RESIZE,
                                       .width = 70,
                                       .height = 40,
                                       .frames = 12};
        struct xc_context *context = xc_context_new();
        struct xc_state *given = NULL, *after;
        struct stream stream;
        random_stream(&stream, &recipe);
        for (int i = 0; i < stream.frames; i++) {
            assert_int_equal(
                xc_decode(context, given, stream.frame[i].data, stream.frame[i].size, &after, NULL),
                XC_OK);
            xc_state_unref(given);
            given = after;
        }
        for (int i = 0; i < film.frames; i++) {
            struct xc_encode_parameters parameters = plain;
            parameters.effort = (int)seed % 3;
            parameters.refresh = ALL_REFERENCES;
            encode_next(context, &given, film.picture[i], &parameters);
        }
        xc_state_unref(given);
        stream_free(&stream);
        xc_context_free(context);
    }
    film_free(&film);
}

/* ---- Key frames -------------------------------------------------------------------------------------- */

/* Asked for, a key frame depends on nothing that is given, its size included. */
static void test_key_frames(void **state)
{
    struct xc_context *context = xc_context_new();
    struct xc_encode_parameters parameters = plain;
    struct xc_state *given = NULL;
    struct coded first, again;
    struct film small, large;
    film_draw(&small, 40, 40, 2, 1);
    film_draw(&large, 100, 60, 1, 2);
    encode_next(context, &given, small.picture[0], &plain);
    encode_next(context, &given, small.picture[1], &plain);
    parameters.key_frame = true;
    encode(context, given, large.picture[0], &parameters, &first);
    encode(context, NULL, large.picture[0], &parameters, &again);
    assert_int_equal(first.frame.size, again.frame.size);
    assert_memory_equal(first.frame.data, again.frame.data, first.frame.size);
    assert_true(xc_state_equal(first.after, again.after));
    assert_int_equal(xc_state_width(first.after), 100);
    free_coded(&first);
    free_coded(&again);
    xc_state_unref(given);
    film_free(&small);
    film_free(&large);
    xc_context_free(context);
}

/* ---- Quality ----------------------------------------------------------------------------------------- */

static double psnr(const struct xc_picture *a, const struct xc_picture *b)
{
    struct xc_view x = xc_picture_view(a), y = xc_picture_view(b);
    struct quality quality = {0};
    quality_add(&quality, &x, &y);
    return quality_psnr(&quality, -1);
}

/* Coarser quantizers make smaller frames that are less like the picture; the finest one is nearly
 * without loss. */
static void test_quantizer_rules_size_and_quality(void **state)
{
    static const int quantizers[] = {0, 20, 45, 80, 127};
    struct xc_context *context = xc_context_new();
    struct xc_state *given = NULL;
    struct film film;
    film_draw(&film, 160, 96, 3, 4);
    encode_next(context, &given, film.picture[0], &plain);
    for (int key = 0; key < 2; key++) {
        size_t size = SIZE_MAX;
        double quality = INFINITY;
        for (size_t i = 0; i < sizeof quantizers / sizeof *quantizers; i++) {
            struct xc_encode_parameters parameters = plain;
            struct coded coded;
            parameters.quantizer = quantizers[i];
            parameters.key_frame = key;
            encode(context, given, film.picture[2], &parameters, &coded);
            double now = psnr(coded.shown, film.picture[2]);
            assert_true(coded.frame.size < size && now < quality);
            if (quantizers[i] == 0)
                assert_true(now > 45);
            assert_true(now > 20);
            size = coded.frame.size;
            quality = now;
            free_coded(&coded);
        }
    }
    xc_state_unref(given);
    film_free(&film);
    xc_context_free(context);
}

/* ---- Errors ------------------------------------------------------------------------------------------ */

static void check_refused(struct xc_context *context, const struct xc_state *given,
                          const struct xc_picture *picture, struct xc_encode_parameters parameters,
                          int expected)
{
    struct xc_state *after = (struct xc_state *)(uintptr_t)given;
    struct xc_buffer frame = {0};
    assert_int_equal(xc_encode(context, given, picture, &parameters, &frame, &after), expected);
    assert_null(after);
    xc_buffer_free(&frame);
}

static void test_errors(void **state)
{
    static const struct xc_encode_parameters wrong[] = {
        {.quantizer = -1}, {.quantizer = 128},  {.effort = -1}, {.effort = 3},
        {.references = 8}, {.references = ~0u}, {.refresh = 8}, {.refresh = 9},
    };
    struct xc_context *context = xc_context_new();
    struct xc_state *given = NULL, *bare;
    struct coded coded;
    struct film film, other;
    film_draw(&film, 40, 40, 1, 1);
    film_draw(&other, 40, 39, 1, 1);
    encode_next(context, &given, film.picture[0], &plain);
    encode(context, NULL, film.picture[0], &plain, &coded);
    assert_int_equal(xc_parse(context, NULL, coded.frame.data, coded.frame.size, &bare), XC_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        check_refused(context, given, film.picture[0], wrong[i], XC_ERROR_ARGUMENT);
        check_refused(context, NULL, film.picture[0], wrong[i], XC_ERROR_ARGUMENT);
    }
    check_refused(context, given, other.picture[0], plain, XC_ERROR_SIZE);
    check_refused(context, bare, film.picture[0], plain, XC_ERROR_NO_STATE);
    free_coded(&coded);
    xc_state_unref(given);
    xc_state_unref(bare);
    film_free(&film);
    film_free(&other);
    xc_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes_and_efforts),
        cmocka_unit_test(test_same_at_every_level),
        cmocka_unit_test(test_masks),
        cmocka_unit_test(test_finds_the_reference),
        cmocka_unit_test(test_random_states),
        cmocka_unit_test(test_key_frames),
        cmocka_unit_test(test_quantizer_rules_size_and_quality),
        cmocka_unit_test(test_errors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
