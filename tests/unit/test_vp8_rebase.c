/* Rebasing: its state is the decoder's, what the original inherited is carried along, and what players
 * take differently is written so that they agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/chain.h"
#include "support/random_stream.h"
#include "support/scratch.h"
#include "vp8/parse.h"
#include "vp8/state.h"

#define ALL_FEATURES ((1u << RANDOM_FEATURES) - 1)

enum { WIDTH = 100, HEIGHT = 60, FRAMES = 20 };

/* Random streams in chains: key frames would bring the chains together. */
#define CHAIN_FEATURES (ALL_FEATURES & ~(RANDOM_KEYS | RANDOM_RESIZE))

static bool same_hash(struct xc_hash a, struct xc_hash b)
{
    return memcmp(&a, &b, sizeof a) == 0;
}

static bool same_bytes(const struct xc_buffer *a, const struct xc_buffer *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static struct random_recipe chain_recipe(unsigned seed, unsigned features)
{
    return (struct random_recipe){.seed = seed,
                                  .features = features,
                                  .width = WIDTH,
                                  .height = HEIGHT,
                                  .frames = FRAMES,
                                  .version = (int)seed % 4};
}

/* The state after a random stream of CHAIN_FEATURES. */
static struct xc_state *random_state(unsigned seed, unsigned features)
{
    struct random_recipe recipe = chain_recipe(seed, features);
    struct xc_context *context = xc_context_new();
    struct xc_state *state = NULL, *after;
    struct stream stream;
    random_stream(&stream, &recipe);
    for (int i = 0; i < stream.frames; i++) {
        assert_int_equal(
            xc_decode(context, state, stream.frame[i].data, stream.frame[i].size, &after, NULL),
            XC_OK);
        xc_state_unref(state);
        state = after;
    }
    stream_free(&stream);
    xc_context_free(context);
    return state;
}

/* ---- One step ---------------------------------------------------------------------------------------- */

static void check_state(const struct chain_step *step)
{
    struct xc_context *context = xc_context_new();
    struct xc_state *decoded;
    struct xc_picture *shown;
    assert_int_equal(
        xc_decode(context, step->onto, step->frame->data, step->frame->size, &decoded, &shown),
        XC_OK);
    assert_true(xc_state_equal(decoded, step->after));
    assert_int_equal(shown == NULL, step->original_shown == NULL);
    xc_picture_unref(shown);
    xc_state_unref(decoded);
    xc_context_free(context);
}

/* The same call with another context, a used buffer, and a state without pictures for the original:
 * same bytes, and nothing that was passed in has changed. */
static void check_repeated(const struct chain_step *step)
{
    struct xc_context *context = xc_context_new();
    struct xc_hash onto = xc_state_hash(step->onto), made_for = xc_state_hash(step->made_for);
    struct xc_state *after, *bare = xc_state_without_pictures(step->made_for);
    struct xc_buffer frame = {.data = malloc(3), .size = 3, .capacity = 3};
    struct xc_view view = xc_picture_view(step->target);
    struct xc_picture *target;
    uint8_t *original = malloc(step->original->size);
    assert_false(xc_state_has_pictures(bare));
    memcpy(original, step->original->data, step->original->size);
    assert_int_equal(xc_picture_new(&view, &target), XC_OK);
    assert_int_equal(xc_rebase(context, step->onto, step->target, original, step->original->size,
                               bare, step->parameters, &frame, &after),
                     XC_OK);
    assert_true(same_bytes(&frame, step->frame));
    assert_true(xc_state_equal(after, step->after));
    assert_true(same_hash(onto, xc_state_hash(step->onto)));
    assert_true(same_hash(made_for, xc_state_hash(step->made_for)));
    struct xc_view still = xc_picture_view(step->target), first = xc_picture_view(target);
    for (int y = 0; y < view.height; y++)
        assert_memory_equal(still.plane[0] + y * still.stride[0],
                            first.plane[0] + y * first.stride[0], view.width);
    assert_memory_equal(original, step->original->data, step->original->size);
    free(original);
    xc_picture_unref(target);
    xc_state_unref(after);
    xc_state_unref(bare);
    xc_buffer_free(&frame);
    xc_context_free(context);
}

/* In three steps, the last two more than once: the same bytes again. */
static void check_planned(const struct chain_step *step)
{
    struct xc_context *planner = xc_context_new(), *context = xc_context_new();
    struct xc_buffer frame = {0};
    struct xc_state *after;
    struct xc_plan *plan;
    assert_int_equal(xc_plan_rebase(planner, step->target, step->original->data,
                                    step->original->size, step->made_for, step->parameters, &plan),
                     XC_OK);
    xc_context_free(planner);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(xc_rebase_planned(context, step->onto, plan, &after), XC_OK);
        assert_int_equal(xc_plan_write(plan, &frame), XC_OK);
        assert_true(same_bytes(&frame, step->frame));
        assert_true(xc_state_equal(after, step->after));
        xc_state_unref(after);
    }
    xc_plan_free(plan);
    xc_buffer_free(&frame);
    xc_context_free(context);
}

static void check_macroblock(const struct mb_info *a, const struct mb_info *b, bool segmented)
{
    assert_int_equal(a->y_mode, b->y_mode);
    assert_int_equal(a->reference, b->reference);
    if (segmented)
        assert_int_equal(a->segment, b->segment);
    if (a->reference == REF_INTRA)
        assert_int_equal(a->uv_mode, b->uv_mode);
    else
        assert_memory_equal(&a->mv, &b->mv, sizeof a->mv);
    if (a->y_mode == B_PRED)
        assert_memory_equal(a->b_mode, b->b_mode, sizeof a->b_mode);
    if (a->y_mode == MV_SPLIT) {
        assert_int_equal(a->partitioning, b->partitioning);
        assert_memory_equal(a->mvs, b->mvs, sizeof a->mvs);
    }
}

/* What quantizes and filters the frame is what did so for the original. */
static void check_inherited(const struct frame_header *a, const struct frame_header *b)
{
    const struct segmentation *s = &a->now.segmentation, *t = &b->now.segmentation;
    assert_int_equal(a->segmentation_enabled, b->segmentation_enabled);
    if (a->segmentation_enabled) {
        assert_int_equal(s->absolute, t->absolute);
        assert_memory_equal(s->quantizer, t->quantizer, sizeof s->quantizer);
        assert_memory_equal(s->filter_level, t->filter_level, sizeof s->filter_level);
    }
    assert_int_equal(a->filter_deltas_enabled, b->filter_deltas_enabled);
    if (a->filter_deltas_enabled) {
        const struct filter_deltas *d = &a->now.filter_deltas, *e = &b->now.filter_deltas;
        assert_memory_equal(d->reference, e->reference, sizeof d->reference);
        assert_memory_equal(d->mode, e->mode, sizeof d->mode);
    }
}

/* Decisions of the original stand; what it left unsaid is said where it has to be. */
static void check_decisions(const struct chain_step *step)
{
    struct xc_context *a = xc_context_new(), *b = xc_context_new();
    struct partitions partitions;
    assert_int_equal(
        xc_parse_frame(a, step->made_for, step->original->data, step->original->size, &partitions),
        XC_OK);
    assert_int_equal(
        xc_parse_frame(b, step->onto, step->frame->data, step->frame->size, &partitions), XC_OK);
    assert_int_equal(a->header.version, b->header.version);
    assert_int_equal(a->header.shown, b->header.shown);
    assert_memory_equal(a->header.sign_bias, b->header.sign_bias, sizeof a->header.sign_bias);
    check_inherited(&a->header, &b->header);
    for (int row = 0; row < a->map.rows; row++)
        for (int column = 0; column < a->map.columns; column++)
            check_macroblock(mb_at(&a->map, row, column), mb_at(&b->map, row, column),
                             a->header.segmentation_enabled);
    if (step->parameters->quantizer >= 0)
        assert_int_equal(b->header.quantizer.y_ac, step->parameters->quantizer);
    else
        assert_memory_equal(&a->header.quantizer, &b->header.quantizer, sizeof a->header.quantizer);
    xc_context_free(a);
    xc_context_free(b);
}

/* The new chain's references come from where the original's came from, as libvpx has it: a copy to
 * altref is made first, and is what a copy from altref takes. */
static void check_references(const struct chain_step *step)
{
    struct xc_context *context = xc_context_new();
    struct xc_frame_info original, made;
    const struct xc_picture *expected[XC_REFERENCES];
    assert_int_equal(
        xc_inspect(context, step->made_for, step->original->data, step->original->size, &original),
        XC_OK);
    assert_int_equal(xc_inspect(context, step->onto, step->frame->data, step->frame->size, &made),
                     XC_OK);
    memcpy(expected, step->onto->picture, sizeof expected);
    if (original.copy_to_altref)
        expected[XC_ALTREF] = expected[original.copy_to_altref == 1 ? XC_LAST : XC_GOLDEN];
    if (original.copy_to_golden)
        expected[XC_GOLDEN] = expected[original.copy_to_golden == 1 ? XC_LAST : XC_ALTREF];
    unsigned refresh = step->parameters->refresh_all ? 7 : original.refresh;
    assert_int_equal(made.refresh, refresh);
    for (int i = 0; i < XC_REFERENCES; i++)
        if (!(refresh & XC_REFERENCE_BIT(i)))
            assert_ptr_equal(step->after->picture[i], expected[i]);
    /* Others make both copies at once. */
    assert_false(made.copy_to_golden == 2 && made.copy_to_altref != 0);
    xc_context_free(context);
}

static void check_step(const struct chain_step *step, void *data)
{
    int *steps = data;
    check_state(step);
    check_repeated(step);
    check_planned(step);
    check_decisions(step);
    check_references(step);
    ++*steps;
}

/* ---- Chains ------------------------------------------------------------------------------------------- */

static int check_chain(const struct stream *stream, const struct film *film,
                       const struct chain_options *options)
{
    int steps = 0;
    chain_walk(stream, film, options, check_step, &steps);
    return steps;
}

/* Streams of random decisions onto states of others: all tools, segment maps and deltas that only one
 * of the two has, vectors and probabilities of any kind. */
static void test_random_chains(void **state)
{
    struct film film;
    film_draw(&film, WIDTH, HEIGHT, FRAMES, 1);
    for (unsigned seed = 0; seed < (test_level() == TEST_QUICK ? 6 : 24); seed++) {
        struct random_recipe recipe =
            chain_recipe(seed, seed % 3 ? CHAIN_FEATURES : CHAIN_FEATURES & ~RANDOM_SEGMENT_SWITCH);
        struct xc_state *other = random_state(100 + seed, seed % 2 ? CHAIN_FEATURES : 0);
        struct chain_options options = {.start = other, .parameters = {.quantizer = -1}};
        struct stream stream;
        random_stream(&stream, &recipe);
        assert_int_equal(check_chain(&stream, &film, &options), FRAMES - 1);
        stream_free(&stream);
        xc_state_unref(other);
    }
    film_free(&film);
}

static void test_parameters(void **state)
{
    static const struct xc_rebase_parameters parameters[] = {
        {.quantizer = -1, .refresh_all = true},
        {.quantizer = 0},
        {.quantizer = 127},
        {.quantizer = 40, .refresh_all = true}};
    struct film film;
    film_draw(&film, WIDTH, HEIGHT, FRAMES, 2);
    for (size_t i = 0; i < sizeof parameters / sizeof *parameters; i++) {
        struct random_recipe recipe = chain_recipe(50 + (unsigned)i, CHAIN_FEATURES);
        struct chain_options options = {.parameters = parameters[i]};
        struct stream stream;
        random_stream(&stream, &recipe);
        assert_int_equal(check_chain(&stream, &film, &options), FRAMES - 1);
        stream_free(&stream);
    }
    film_free(&film);
}

/* What libvpx makes, hidden frames included, onto its own states and onto those of a coarser key frame. */
static void test_encoded_chains(void **state)
{
    static const char *const options[][6] = {
        {"--passes=2", "--auto-alt-ref=1", "--lag-in-frames=16", "--cpu-used=1",
         "--target-bitrate=100"},
        {"--rt", "--cpu-used=8", "--error-resilient=1", "--token-parts=2"},
        {"--passes=2", "--profile=1", "--tune=ssim"},
        {"--passes=2", "--profile=3", "--auto-alt-ref=1", "--lag-in-frames=8"},
    };
    struct film film, coarse_film;
    struct stream coarse;
    struct xc_state *start;
    struct xc_context *context = xc_context_new();
    film_draw(&film, WIDTH, HEIGHT, FRAMES, 3);
    film_draw(&coarse_film, WIDTH, HEIGHT, 1, 3);
    stream_encode(&coarse, &coarse_film, (const char *[]){"--min-q=50", "--max-q=63", NULL});
    assert_int_equal(
        xc_decode(context, NULL, coarse.frame[0].data, coarse.frame[0].size, &start, NULL), XC_OK);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct chain_options own = {.parameters = {.quantizer = -1}};
        struct chain_options other = {.start = start, .parameters = {.quantizer = -1}};
        struct stream stream;
        stream_encode(&stream, &film, options[i]);
        assert_in_range(check_chain(&stream, &film, &own), FRAMES - 2, FRAMES + 5);
        assert_in_range(check_chain(&stream, &film, &other), FRAMES - 2, FRAMES + 5);
        stream_free(&stream);
    }
    xc_state_unref(start);
    stream_free(&coarse);
    film_free(&film);
    film_free(&coarse_film);
    xc_context_free(context);
}

/* All three references become the new picture. */
static void check_all_refreshed(const struct chain_step *step, void *data)
{
    for (int i = 1; i < XC_REFERENCES; i++)
        assert_ptr_equal(step->after->picture[i], step->after->picture[0]);
}

static void test_refresh_all(void **state)
{
    struct chain_options options = {.parameters = {.quantizer = -1, .refresh_all = true}};
    struct random_recipe recipe = chain_recipe(7, CHAIN_FEATURES);
    struct stream stream;
    struct film film;
    film_draw(&film, WIDTH, HEIGHT, FRAMES, 1);
    random_stream(&stream, &recipe);
    chain_walk(&stream, &film, &options, check_all_refreshed, NULL);
    stream_free(&stream);
    film_free(&film);
}

/* ---- Errors --------------------------------------------------------------------------------------------- */

/* What a call needs: an inter frame, the state before it, and a picture. */
struct call {
    struct xc_context *context;
    struct stream stream;
    struct film film;
    struct xc_state *state, *bare;
};

static int open_call(void **state)
{
    struct call *call = calloc(1, sizeof *call);
    struct random_recipe recipe = chain_recipe(3, CHAIN_FEATURES);
    random_stream(&call->stream, &recipe);
    film_draw(&call->film, WIDTH, HEIGHT, 1, 1);
    call->context = xc_context_new();
    const struct xc_buffer *key = &call->stream.frame[0];
    *state = call;
    return xc_decode(call->context, NULL, key->data, key->size, &call->state, NULL) +
           xc_parse(call->context, NULL, key->data, key->size, &call->bare);
}

static int close_call(void **state)
{
    struct call *call = *state;
    xc_state_unref(call->state);
    xc_state_unref(call->bare);
    stream_free(&call->stream);
    film_free(&call->film);
    xc_context_free(call->context);
    free(call);
    return 0;
}

/* Fails as expected, and leaves nothing. */
static void check_refused(struct call *call, const struct xc_state *onto,
                          const struct xc_picture *picture, const struct xc_buffer *original,
                          size_t size, const struct xc_state *made_for, int quantizer, int expected)
{
    struct xc_rebase_parameters parameters = {.quantizer = quantizer};
    struct xc_state *after = call->state;
    struct xc_buffer frame = {0};
    assert_int_equal(xc_rebase(call->context, onto, picture, original->data, size, made_for,
                               &parameters, &frame, &after),
                     expected);
    assert_null(after);
    xc_buffer_free(&frame);
}

static void test_errors(void **state)
{
    struct call *call = *state;
    const struct xc_buffer *key = &call->stream.frame[0], *inter = &call->stream.frame[1];
    const struct xc_picture *picture = call->film.picture[0];
    check_refused(call, call->state, picture, key, key->size, call->state, -1, XC_ERROR_ARGUMENT);
    check_refused(call, call->state, picture, inter, inter->size, call->state, -2,
                  XC_ERROR_ARGUMENT);
    check_refused(call, call->state, picture, inter, inter->size, call->state, 128,
                  XC_ERROR_ARGUMENT);
    check_refused(call, call->bare, picture, inter, inter->size, call->state, -1,
                  XC_ERROR_NO_STATE);
    check_refused(call, call->state, picture, inter, 2, call->state, -1, XC_ERROR_TRUNCATED);
    check_refused(call, call->state, picture, inter, 5, call->state, -1, XC_ERROR_TRUNCATED);
    check_refused(call, call->state, picture, inter, 0, call->state, -1, XC_ERROR_TRUNCATED);
}

static void test_sizes_differ(void **state)
{
    struct call *call = *state;
    const struct xc_buffer *inter = &call->stream.frame[1];
    struct random_recipe recipe = chain_recipe(3, 0);
    struct xc_state *other;
    struct stream stream;
    struct film film;
    /* As many macroblocks, but fewer pixels. */
    recipe.width = WIDTH - 1;
    random_stream(&stream, &recipe);
    film_draw(&film, WIDTH, HEIGHT - 1, 1, 1);
    assert_int_equal(
        xc_decode(call->context, NULL, stream.frame[0].data, stream.frame[0].size, &other, NULL),
        XC_OK);
    check_refused(call, other, call->film.picture[0], inter, inter->size, call->state, -1,
                  XC_ERROR_SIZE);
    check_refused(call, call->state, call->film.picture[0], inter, inter->size, other, -1,
                  XC_ERROR_SIZE);
    check_refused(call, call->state, film.picture[0], inter, inter->size, call->state, -1,
                  XC_ERROR_SIZE);
    xc_state_unref(other);
    stream_free(&stream);
    film_free(&film);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_chains),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_encoded_chains),
        cmocka_unit_test(test_refresh_all),
        cmocka_unit_test_setup_teardown(test_errors, open_call, close_call),
        cmocka_unit_test_setup_teardown(test_sizes_differ, open_call, close_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
