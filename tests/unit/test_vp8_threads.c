/* Threads of a context: whatever their number, the same bytes and states, at every shape of picture. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/chain.h"
#include "support/random_stream.h"
#include "support/scratch.h"
#include "vp8/threads.h"
#include "vp8/wavefront.h"

enum { FRAMES = 6 };

static const int thread_counts[] = {1, 2, 3, 7, XC_MAX_THREADS};

/* Rebases with key frames in between would bring the chains together. */
#define CHAIN_FEATURES                                                                             \
    (((1u << RANDOM_FEATURES) - 1) & ~(unsigned)(RANDOM_KEYS | RANDOM_RESIZE | RANDOM_VERSIONS))

/* Width and height: one macroblock, one row, one column, fewer rows than threads, more, none a multiple
 * of 16; rows that are tried for the loop filter touch (up to eight), or do not. */
static const int shapes[][2] = {{1, 1},    {300, 13},  {14, 210}, {100, 60},
                                {333, 97}, {177, 301}, {640, 144}};

static bool same_bytes(const struct xc_buffer *a, const struct xc_buffer *b)
{
    return a->size == b->size && memcmp(a->data, b->data, a->size) == 0;
}

static struct xc_context *context_with(int threads)
{
    struct xc_context *context = xc_context_new();
    assert_int_equal(xc_context_set_threads(context, threads), XC_OK);
    return context;
}

/* ---- Rebase ------------------------------------------------------------------------------------ */

/* One context for each count, kept over all frames of a chain. */
struct contexts {
    struct xc_context *of[sizeof thread_counts / sizeof *thread_counts];
    int steps;
};

static void open_contexts(struct contexts *contexts)
{
    *contexts = (struct contexts){0};
    for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; i++)
        contexts->of[i] = context_with(thread_counts[i]);
}

static void close_contexts(struct contexts *contexts)
{
    for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; i++)
        xc_context_free(contexts->of[i]);
}

/* The walk itself has one thread. */
static void check_step(const struct chain_step *step, void *data)
{
    struct contexts *contexts = data;
    struct xc_plan *plan;
    assert_int_equal(xc_plan_rebase(contexts->of[0], step->target, step->original->data,
                                    step->original->size, step->made_for, step->parameters, &plan),
                     XC_OK);
    for (size_t i = 0; i < sizeof thread_counts / sizeof *thread_counts; i++) {
        struct xc_buffer frame = {0};
        struct xc_state *after;
        assert_int_equal(xc_rebase(contexts->of[i], step->onto, step->target, step->original->data,
                                   step->original->size, step->made_for, step->parameters, &frame,
                                   &after),
                         XC_OK);
        assert_true(same_bytes(&frame, step->frame));
        assert_true(xc_state_equal(after, step->after));
        xc_state_unref(after);
        /* One plan with different numbers of threads. */
        assert_int_equal(xc_rebase_planned(contexts->of[i], step->onto, plan, &after), XC_OK);
        assert_int_equal(xc_plan_write(plan, &frame), XC_OK);
        assert_true(same_bytes(&frame, step->frame));
        assert_true(xc_state_equal(after, step->after));
        xc_state_unref(after);
        xc_buffer_free(&frame);
    }
    xc_plan_free(plan);
    contexts->steps++;
}

/* All tools of the format: token partitions, golden and altref, both filters, all profiles. */
static void test_rebase(void **state)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (unsigned seed = 0; seed < (test_level() == TEST_QUICK ? 2 : 8); seed++) {
            struct random_recipe recipe = {.seed = seed,
                                           .features = CHAIN_FEATURES,
                                           .width = shapes[i][0],
                                           .height = shapes[i][1],
                                           .frames = FRAMES,
                                           .version = (int)seed % 4};
            struct chain_options options = {.parameters = {.quantizer = seed % 2 ? 20 : -1}};
            struct contexts contexts;
            struct stream stream;
            struct film film;
            film_draw(&film, recipe.width, recipe.height, FRAMES, seed);
            random_stream(&stream, &recipe);
            open_contexts(&contexts);
            chain_walk(&stream, &film, &options, check_step, &contexts);
            assert_int_equal(contexts.steps, FRAMES - 1);
            close_contexts(&contexts);
            stream_free(&stream);
            film_free(&film);
        }
}

/* ---- Encode ------------------------------------------------------------------------------------ */

/* A key frame and inter frames behind it, with one thread and with so many. */
static void check_encoded(const struct film *film, int threads)
{
    struct xc_context *context[2] = {context_with(1), context_with(threads)};
    struct xc_state *given[2] = {NULL, NULL};
    struct xc_buffer frame[2] = {{0}, {0}};
    for (int i = 0; i < film->frames; i++) {
        struct xc_encode_parameters parameters = {.quantizer = 20 + i, .refresh = 1u << i % 3};
        for (int j = 0; j < 2; j++) {
            struct xc_state *after;
            assert_int_equal(
                xc_encode(context[j], given[j], film->picture[i], &parameters, &frame[j], &after),
                XC_OK);
            xc_state_unref(given[j]);
            given[j] = after;
        }
        assert_true(same_bytes(&frame[0], &frame[1]));
        assert_true(xc_state_equal(given[0], given[1]));
    }
    for (int j = 0; j < 2; j++) {
        xc_state_unref(given[j]);
        xc_buffer_free(&frame[j]);
        xc_context_free(context[j]);
    }
}

static void test_encode(void **state)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct film film;
        film_draw(&film, shapes[i][0], shapes[i][1], 3, (unsigned)i);
        for (size_t j = 1; j < sizeof thread_counts / sizeof *thread_counts; j++)
            check_encoded(&film, thread_counts[j]);
        film_free(&film);
    }
}

/* The system gives no thread a stack that is larger than all that can be addressed. */
static void test_no_threads_to_be_had(void **state)
{
    pthread_attr_t usual, too_much;
    struct film film;
    film_draw(&film, 200, 150, 2, 1);
    assert_int_equal(pthread_getattr_default_np(&usual), 0);
    assert_int_equal(pthread_getattr_default_np(&too_much), 0);
    assert_int_equal(pthread_attr_setstacksize(&too_much, (size_t)1 << 62), 0);
    assert_int_equal(pthread_setattr_default_np(&too_much), 0);
    check_encoded(&film, 4);
    assert_int_equal(pthread_setattr_default_np(&usual), 0);
    film_free(&film);
    pthread_attr_destroy(&usual);
    pthread_attr_destroy(&too_much);
}

/* ---- One context ------------------------------------------------------------------------------- */

/* Numbers that change between frames, and sizes with them. */
static void test_changing_counts(void **state)
{
    static const int counts[] = {3, 1, 7, 2, 2, 5};
    struct xc_context *context = xc_context_new();
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct xc_encode_parameters parameters = {.quantizer = 40, .effort = 2};
        struct xc_buffer expected = {0}, frame = {0};
        struct xc_state *after;
        struct film film;
        film_draw(&film, 60 + 90 * (int)(i % 3), 80 + 40 * (int)(i % 2), 1, (unsigned)i);
        struct xc_context *plain = xc_context_new();
        assert_int_equal(xc_encode(plain, NULL, film.picture[0], &parameters, &expected, &after),
                         XC_OK);
        xc_state_unref(after);
        assert_int_equal(xc_context_set_threads(context, counts[i]), XC_OK);
        assert_int_equal(xc_encode(context, NULL, film.picture[0], &parameters, &frame, &after),
                         XC_OK);
        xc_state_unref(after);
        assert_true(same_bytes(&expected, &frame));
        xc_buffer_free(&expected);
        xc_buffer_free(&frame);
        xc_context_free(plain);
        film_free(&film);
    }
    xc_context_free(context);
}

static void test_arguments(void **state)
{
    struct xc_context *context = xc_context_new();
    assert_int_equal(xc_context_set_threads(context, 0), XC_ERROR_ARGUMENT);
    assert_int_equal(xc_context_set_threads(context, -1), XC_ERROR_ARGUMENT);
    assert_int_equal(xc_context_set_threads(context, XC_MAX_THREADS + 1), XC_ERROR_ARGUMENT);
    /* Threads that were never needed. */
    assert_int_equal(xc_context_set_threads(context, XC_MAX_THREADS), XC_OK);
    xc_context_free(context);
}

/* ---- Its parts --------------------------------------------------------------------------------- */

enum { PARTS = 1000 };

static void count_part(void *data, int index)
{
    int *times = data;
    times[index]++; /* each index belongs to one call */
}

static void test_each_part_once(void **state)
{
    struct thread_pool *pool = xc_threads_new(5);
    int times[PARTS] = {0};
    for (int i = 0; i < 100; i++)
        xc_threads_each(i % 3 ? pool : NULL, PARTS - i % 2, count_part, times);
    for (int i = 0; i < PARTS - 1; i++)
        assert_int_equal(times[i], 100);
    assert_int_equal(times[PARTS - 1], 50);
    xc_threads_each(pool, 0, count_part, times);
    xc_threads_free(pool);
}

enum { ROWS = 40, COLUMNS = 70 };

/* A macroblock is 1 more than the larger one of its neighbours to the left, above, and above to the right. */
static void count_stretch(void *data, int thread, int row, int begin, int end)
{
    int(*depth)[COLUMNS] = data;
    for (int column = begin; column < end; column++) {
        int left = column > 0 ? depth[row][column - 1] : 0;
        int above = row == 0 ? 0 : depth[row - 1][column + (column + 1 < COLUMNS)];
        depth[row][column] = 1 + (left > above ? left : above);
    }
}

static void test_wavefront(void **state)
{
    static int depth[ROWS][COLUMNS], expected[ROWS][COLUMNS];
    struct thread_pool *pool = xc_threads_new(9);
    for (int row = 0; row < ROWS; row++)
        count_stretch(expected, 0, row, 0, COLUMNS);
    for (int threads = 1; threads <= 9; threads++)
        for (int i = 0; i < 20; i++) {
            memset(depth, 0, sizeof depth);
            xc_wavefront(pool, threads, ROWS, COLUMNS, count_stretch, depth);
            assert_memory_equal(depth, expected, sizeof depth);
        }
    xc_threads_free(pool);
}

static void test_useful_threads(void **state)
{
    assert_int_equal(xc_wavefront_threads(64, 1, 100), 1);
    assert_int_equal(xc_wavefront_threads(64, 100, 1), 1);
    assert_int_equal(xc_wavefront_threads(1, 135, 240), 1);
    assert_int_equal(xc_wavefront_threads(2, 135, 240), 2);
    assert_int_equal(xc_wavefront_threads(64, 3, 240), 3);
    assert_in_range(xc_wavefront_threads(64, 135, 240), 8, 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rebase),          cmocka_unit_test(test_encode),
        cmocka_unit_test(test_changing_counts), cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_each_part_once),  cmocka_unit_test(test_wavefront),
        cmocka_unit_test(test_useful_threads),  cmocka_unit_test(test_no_threads_to_be_had),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
