/*
 * Running out of memory: each allocation of a call fails in turn, and the call says so, leaves nothing
 * behind, and works the next time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/allocator.h"
#include "support/film.h"
#include "support/random_stream.h"

/* Material for the calls, and what they give. */
struct call {
    struct stream stream;
    struct film film;
    struct xc_context *context; /* new for each attempt */
    struct xc_state *state;     /* after the stream's key frame */
    struct xc_buffer file;      /* that state's */
    struct xc_state *after;
    struct xc_picture *picture;
    struct xc_buffer bytes;
};

static int decode_key(struct call *call)
{
    const struct xc_buffer *frame = &call->stream.frame[0];
    return xc_decode(call->context, NULL, frame->data, frame->size, &call->after, &call->picture);
}

static int decode_inter(struct call *call)
{
    const struct xc_buffer *frame = &call->stream.frame[1];
    return xc_decode(call->context, call->state, frame->data, frame->size, &call->after,
                     &call->picture);
}

static int parse(struct call *call)
{
    const struct xc_buffer *frame = &call->stream.frame[1];
    return xc_parse(call->context, call->state, frame->data, frame->size, &call->after);
}

static int inspect(struct call *call)
{
    const struct xc_buffer *frame = &call->stream.frame[1];
    struct xc_frame_info info;
    return xc_inspect(call->context, call->state, frame->data, frame->size, &info);
}

static int rebase(struct call *call)
{
    const struct xc_buffer *frame = &call->stream.frame[1];
    const struct xc_rebase_parameters parameters = {.quantizer = -1};
    return xc_rebase(call->context, call->state, call->film.picture[1], frame->data, frame->size,
                     call->state, &parameters, &call->bytes, &call->after);
}

static int encode_key(struct call *call)
{
    const struct xc_encode_parameters parameters = {.quantizer = 20, .effort = 0};
    return xc_encode(call->context, NULL, call->film.picture[0], &parameters, &call->bytes,
                     &call->after);
}

static int encode_inter(struct call *call)
{
    const struct xc_encode_parameters parameters = {.quantizer = 2, .refresh = 3, .effort = 1};
    return xc_encode(call->context, call->state, call->film.picture[1], &parameters, &call->bytes,
                     &call->after);
}

static int set_threads(struct call *call)
{
    return xc_context_set_threads(call->context, 3);
}

static int new_picture(struct call *call)
{
    struct xc_view view = xc_picture_view(call->film.picture[0]);
    return xc_picture_new(&view, &call->picture);
}

static int write_state(struct call *call)
{
    return xc_state_write(call->state, &call->bytes);
}

static int read_state(struct call *call)
{
    return xc_state_read(call->file.data, call->file.size, &call->after);
}

/* ---- Failing ------------------------------------------------------------------------------------------- */

static void free_results(struct call *call)
{
    xc_state_unref(call->after);
    xc_picture_unref(call->picture);
    xc_buffer_free(&call->bytes);
    call->after = NULL;
    call->picture = NULL;
}

/* One attempt of which the allocation after `successes` fails; false when there were no so many. The
 * same context must then do what it could not. */
static bool attempt(struct call *call, int (*run)(struct call *call), int successes)
{
    int held = allocator.held;
    call->context = xc_context_new();
    assert_non_null(call->context);
    allocator.until_failure = successes;
    int result = run(call);
    bool failed = allocator.until_failure < 0;
    allocator.until_failure = -1;
    if (failed) {
        assert_int_equal(result, XC_ERROR_NO_MEMORY);
        assert_null(call->after);
        assert_null(call->picture);
        result = run(call);
    }
    assert_int_equal(result, XC_OK);
    free_results(call);
    xc_context_free(call->context);
    assert_int_equal(allocator.held, held);
    return failed;
}

static void check_call(struct call *call, int (*run)(struct call *call), int least)
{
    int allocations = 0;
    while (attempt(call, run, allocations))
        allocations++;
    assert_in_range(allocations, least, 1000);
}

static void test_calls(void **state)
{
    struct call *call = *state;
    check_call(call, decode_key, 6); /* a map, contexts, lines, a picture of two blocks, a state */
    check_call(call, decode_inter, 6);
    check_call(call, parse, 4);
    check_call(call, inspect, 3);
    check_call(call, new_picture, 2);
    check_call(call, write_state, 1);
    check_call(call, read_state, 3);
    check_call(call, rebase, 10);
    check_call(call, encode_key, 10);
    check_call(call, encode_inter, 10);
    check_call(call, set_threads, 1);
}

/* A context that has grown for one size runs out of memory for a larger one, and goes on with both. */
static void test_growing_context(void **state)
{
    struct call *small = *state;
    struct film film;
    int held = allocator.held;
    film_draw(&film, 300, 200, 1, 1);
    for (int successes = 0;; successes++) {
        const struct xc_encode_parameters parameters = {.quantizer = 90, .effort = 2};
        struct xc_state *after;
        struct xc_buffer bytes = {0};
        small->context = xc_context_new();
        assert_int_equal(rebase(small), XC_OK);
        free_results(small);
        allocator.until_failure = successes;
        int result = xc_encode(small->context, NULL, film.picture[0], &parameters, &bytes, &after);
        bool failed = allocator.until_failure < 0;
        allocator.until_failure = -1;
        assert_int_equal(result, failed ? XC_ERROR_NO_MEMORY : XC_OK);
        assert_int_equal(rebase(small), XC_OK);
        free_results(small);
        xc_state_unref(after);
        xc_buffer_free(&bytes);
        xc_context_free(small->context);
        if (!failed)
            break;
    }
    film_free(&film);
    assert_int_equal(allocator.held, held);
}

static void test_new_context(void **state)
{
    int held = allocator.held;
    allocator.until_failure = 0;
    assert_null(xc_context_new());
    allocator.until_failure = -1;
    assert_int_equal(allocator.held, held);
}

static int open_call(void **state)
{
    struct call *call = calloc(1, sizeof *call);
    struct random_recipe recipe = {.seed = 1,
                                   .features = RANDOM_SEGMENTS | RANDOM_REFERENCES |
                                               RANDOM_PARTITIONS | RANDOM_DELTAS,
                                   .width = 60,
                                   .height = 40,
                                   .frames = 2};
    random_stream(&call->stream, &recipe);
    film_draw(&call->film, 60, 40, 2, 1);
    call->context = xc_context_new();
    assert_int_equal(decode_key(call), XC_OK);
    call->state = xc_state_ref(call->after);
    assert_int_equal(xc_state_write(call->state, &call->file), XC_OK);
    free_results(call);
    xc_context_free(call->context);
    *state = call;
    return 0;
}

static int close_call(void **state)
{
    struct call *call = *state;
    xc_state_unref(call->state);
    xc_buffer_free(&call->file);
    stream_free(&call->stream);
    film_free(&call->film);
    free(call);
    return allocator.held;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_growing_context),
        cmocka_unit_test(test_new_context),
    };
    return cmocka_run_group_tests(tests, open_call, close_call);
}
