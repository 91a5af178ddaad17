/*
 * Parser and writer are each other's inverse: each frame, taken apart and written again, has the same
 * bytes.
 *
 *     test_vp8_write          streams made here, by vpxenc and of random decisions
 *     test_vp8_write vectors  the published test vectors
 */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/random_stream.h"
#include "support/rewrite.h"
#include "support/scratch.h"
#include "support/stream.h"
#include "vp8/parse.h"

/* A frame's coefficients, in raster order of macroblocks. */
static struct mb_coefficients *parse_coefficients(struct xc_context *context,
                                                  struct partitions *partitions)
{
    const struct frame_header *header = &context->header;
    struct mb_map *map = &context->map;
    struct mb_coefficients *coefficients =
        calloc((size_t)map->rows * (size_t)map->columns, sizeof *coefficients);
    assert_non_null(coefficients);
    memset(context->above, 0, (size_t)map->columns * sizeof *context->above);
    for (int row = 0; row < map->rows; row++) {
        struct token_context left = {0};
        struct bool_reader *reader =
            &partitions->tokens[row & ((1 << header->log2_partitions) - 1)];
        for (int column = 0; column < map->columns; column++)
            xc_parse_macroblock(header, reader, mb_at(map, row, column), &context->above[column],
                                &left, &coefficients[row * map->columns + column]);
    }
    return coefficients;
}

static void rewrite(struct xc_context *context, const struct xc_state *before,
                    const struct xc_buffer *frame, struct xc_buffer *written)
{
    struct partitions partitions;
    assert_int_equal(xc_parse_frame(context, before, frame->data, frame->size, &partitions), XC_OK);
    struct mb_coefficients *coefficients = parse_coefficients(context, &partitions);
    assert_int_equal(rewrite_frame(&context->header, &context->map, coefficients, written), XC_OK);
    free(coefficients);
}

static void check_stream(const struct stream *stream, const char *name)
{
    struct xc_context *context = xc_context_new();
    struct xc_state *state = NULL, *after;
    struct xc_buffer written = {0};
    for (int i = 0; i < stream->frames; i++) {
        const struct xc_buffer *frame = &stream->frame[i];
        if (frame->size == 0)
            continue;
        rewrite(context, state, frame, &written);
        if (written.size != frame->size || memcmp(written.data, frame->data, frame->size))
            fail_msg("%s: frame %d differs: %zu bytes became %zu", name, i, frame->size,
                     written.size);
        assert_int_equal(xc_parse(context, state, frame->data, frame->size, &after), XC_OK);
        xc_state_unref(state);
        state = after;
    }
    xc_buffer_free(&written);
    xc_state_unref(state);
    xc_context_free(context);
}

static void test_streams(void **state)
{
    static const char *const options[][8] = {
        {"--passes=2", "--auto-alt-ref=1", "--lag-in-frames=16", "--cpu-used=1"},
        {"--rt", "--cpu-used=6", "--token-parts=3", "--error-resilient=1"},
        {"--profile=3", "--token-parts=1", "--sharpness=4", "--kf-max-dist=5"},
        {"--profile=1", "--token-parts=2", "--min-q=0", "--max-q=2"},
        {"--rt", "--cpu-used=8", "--screen-content-mode=1", "--static-thresh=300"},
        {"--min-q=63", "--max-q=63", "--tune=ssim", "--profile=2"},
    };
    struct film film;
    film_draw(&film, 175, 143, 20, 1);
    for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
        struct stream stream;
        stream_encode(&stream, &film, options[i]);
        check_stream(&stream, options[i][0]);
        stream_free(&stream);
    }
    film_free(&film);
}

static void test_random_streams(void **state)
{
    for (unsigned seed = 0; seed < 20; seed++) {
        struct stream stream;
        struct random_recipe recipe = {.seed = seed,
                                       .features = (1u << RANDOM_FEATURES) - 1,
                                       .width = 1 + 9 * (int)seed,
                                       .height = 90,
                                       .frames = 12};
        random_stream(&stream, &recipe);
        check_stream(&stream, "random stream");
        stream_free(&stream);
    }
}

/* Files of the folder that XC_VECTORS names. */
static glob_t vectors;

static void test_vectors(void **state)
{
    for (size_t i = 0; i < vectors.gl_pathc; i++) {
        struct stream stream;
        stream_read(&stream, vectors.gl_pathv[i]);
        check_stream(&stream, vectors.gl_pathv[i]);
        printf("%s: %d frames\n", strrchr(vectors.gl_pathv[i], '/') + 1, stream.frames);
        stream_free(&stream);
    }
}

static int run_vectors(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors)};
    char folder[SCRATCH_PATH], pattern[SCRATCH_PATH + 8];
    if (!scratch_material(folder, "XC_VECTORS", "vectors")) {
        printf("SKIPPED: set XC_VECTORS to the folder of vp80-00-comprehensive-*.ivf\n");
        return EXIT_SKIPPED;
    }
    snprintf(pattern, sizeof pattern, "%s/*.ivf", folder);
    if (glob(pattern, 0, NULL, &vectors) != 0) {
        printf("%s holds no *.ivf\n", folder);
        return EXIT_FAILURE;
    }
    int result = cmocka_run_group_tests(tests, NULL, NULL);
    globfree(&vectors);
    return result;
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_streams),
                                       cmocka_unit_test(test_random_streams)};
    if (argc > 1 && !strcmp(argv[1], "vectors"))
        return run_vectors();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
