/* The search finds what a picture was made of: vectors, splits, references, intra modes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/random.h"
#include "vp8/context.h"
#include "vp8/modes.h"
#include "vp8/picture.h"

enum { ROWS = 8, COLUMNS = 10, EFFORTS = 3 };
enum { FINE = 5, COARSE = 24 }; /* of textures */

/* Prediction from the last picture, with little quantization. */
static const struct xc_encode_parameters fine = {.quantizer = 8, .refresh = 1};

/* ---- Pictures -------------------------------------------------------------------------------------- */

static struct xc_picture *flat_picture(int value)
{
    struct xc_picture *picture = xc_picture_alloc(16 * COLUMNS, 16 * ROWS);
    assert_non_null(picture);
    for (int plane = 0; plane < 3; plane++)
        for (int y = 0; y < picture->plane_height[plane]; y++)
            memset(picture->plane[plane] + y * picture->stride[plane], plane ? 128 : value,
                   (size_t)picture->plane_width[plane]);
    xc_picture_extend_borders(picture);
    return picture;
}

/* Fills samples of luma with a texture that is nowhere like itself: random values every `cell` samples,
 * and straight lines between them. */
static void draw_texture(struct xc_picture *picture, int left, int width, int cell, unsigned seed)
{
    enum { LINE = 16 * COLUMNS };
    struct random random = {seed};
    uint8_t values[16 * ROWS][LINE];
    for (int y = 0; y < 16 * ROWS; y++)
        for (int x = 0; x < LINE; x++)
            values[y][x] = (uint8_t)random_between(&random, 16, 235);
    for (int y = 0; y < 16 * ROWS; y++)
        for (int x = left; x < left + width; x++) {
            const uint8_t *value = &values[y / cell][x / cell];
            int u = x % cell, v = y % cell;
            int above = value[0] * (cell - u) + value[1] * u;
            int below = value[LINE] * (cell - u) + value[LINE + 1] * u;
            picture->plane[0][y * picture->stride[0] + x] =
                (uint8_t)((above * (cell - v) + below * v) / (cell * cell));
        }
}

static struct xc_picture *textured_picture(int cell, unsigned seed)
{
    struct xc_picture *picture = flat_picture(0);
    draw_texture(picture, 0, 16 * COLUMNS, cell, seed);
    xc_picture_extend_borders(picture);
    return picture;
}

/* Replaces columns [left, left + width) of each macroblock by their prediction from `reference`. */
static void draw_moved(const struct xc_picture *reference, struct motion_vector mv, int left,
                       int width, struct xc_picture *picture)
{
    struct xc_dsp dsp;
    xc_dsp_init(&dsp);
    for (int y = 0; y < 16 * ROWS; y += 8)
        for (int x = left; x < 16 * COLUMNS; x += 16)
            for (int i = 0; i < width; i += 8) {
                int from_x = x + i + (mv.column >> 2), from_y = y + (mv.row >> 2);
                /* Far outside there is nothing but repeated edges. */
                from_x = from_x < -24 ? -24 : from_x > 16 * COLUMNS + 8 ? 16 * COLUMNS + 8 : from_x;
                from_y = from_y < -24 ? -24 : from_y > 16 * ROWS + 8 ? 16 * ROWS + 8 : from_y;
                dsp.six_tap[BLOCK_8X8](picture->plane[0] + y * picture->stride[0] + x + i,
                                       picture->stride[0],
                                       reference->plane[0] + from_y * reference->stride[0] + from_x,
                                       reference->stride[0], 2 * (mv.column & 3), 2 * (mv.row & 3));
            }
    xc_picture_extend_borders(picture);
}

/* ---- Coding ---------------------------------------------------------------------------------------- */

static struct xc_state *encode(struct xc_context *context, const struct xc_state *given,
                               const struct xc_picture *picture, int effort, unsigned references)
{
    struct xc_encode_parameters parameters = fine;
    struct xc_buffer frame = {0};
    struct xc_state *after;
    parameters.effort = effort;
    parameters.references = references;
    assert_int_equal(xc_encode(context, given, picture, &parameters, &frame, &after), XC_OK);
    xc_buffer_free(&frame);
    return after;
}

/* How many macroblocks, of those that are not at an edge, have this vector and reference. */
static int count_vector(const struct mb_map *map, struct motion_vector mv, int reference)
{
    int count = 0;
    for (int row = 1; row < ROWS - 1; row++)
        for (int column = 1; column < COLUMNS - 1; column++) {
            const struct mb_info *info = mb_at(map, row, column);
            count +=
                info->reference == reference && info->y_mode != MV_SPLIT && mv_equal(info->mv, mv);
        }
    return count;
}

enum { INNER = (ROWS - 2) * (COLUMNS - 2) };

static void check_moved(int cell, struct motion_vector mv, int effort, int least)
{
    struct xc_context *context = xc_context_new();
    struct xc_picture *first = textured_picture(cell, 1), *second = flat_picture(0);
    struct xc_state *given = encode(context, NULL, first, effort, 0);
    draw_moved(xc_state_reference(given, XC_LAST), mv, 0, 16, second);
    struct xc_state *after = encode(context, given, second, effort, 0);
    assert_in_range(count_vector(&context->map, mv, REF_LAST), least, INNER);
    xc_state_unref(after);
    xc_state_unref(given);
    xc_picture_unref(first);
    xc_picture_unref(second);
    xc_context_free(context);
}

/* ---- Tests ----------------------------------------------------------------------------------------- */

static void test_vectors_are_found(void **state)
{
    static const struct motion_vector vectors[] = {
        {0, 4}, {-12, 20}, {2, 0}, {0, -2}, {6, -10}, {1, 0}, {-3, 5}, {7, 11}, {-13, -9},
    };
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        for (int effort = 0; effort < EFFORTS; effort++)
            check_moved(FINE, vectors[i], effort, INNER);
}

/* The search is led by what is like the goal around it. Once a neighbour has the vector, it is known; what
 * comes in from outside the picture has none. */
static void test_far_vectors_are_found(void **state)
{
    static const struct motion_vector vectors[] = {{0, -160}, {130, 42}, {-85, 171}};
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
        check_moved(COARSE, vectors[i], 0, INNER / 3);
}

static void test_still_picture_is_skipped(void **state)
{
    struct xc_context *context = xc_context_new();
    for (int textured = 0; textured < 2; textured++) {
        struct xc_picture *picture = textured ? textured_picture(FINE, 2) : flat_picture(90);
        struct xc_state *given = encode(context, NULL, picture, 0, 0);
        /* The picture is what was decoded: nothing is left to code. */
        const struct xc_picture *decoded = xc_state_reference(given, XC_LAST);
        struct xc_state *after = encode(context, given, decoded, 0, 0);
        for (int row = 0; row < ROWS; row++)
            for (int column = 0; column < COLUMNS; column++) {
                assert_int_equal(mb_at(&context->map, row, column)->y_mode, MV_ZERO);
                assert_int_equal(mb_at(&context->map, row, column)->skip, 1);
            }
        xc_state_unref(after);
        xc_state_unref(given);
        xc_picture_unref(picture);
    }
    xc_context_free(context);
}

/* A ground that was not there before is flat: it is predicted from itself. */
static void test_new_content_is_intra(void **state)
{
    struct xc_context *context = xc_context_new();
    struct xc_picture *first = textured_picture(FINE, 3), *second = flat_picture(70);
    draw_texture(second, 0, 16 * COLUMNS / 2, FINE, 3);
    xc_picture_extend_borders(second);
    for (int effort = 0; effort < EFFORTS; effort++) {
        struct xc_state *given = encode(context, NULL, first, effort, 0);
        struct xc_state *after = encode(context, given, second, effort, 0);
        for (int row = 0; row < ROWS; row++)
            for (int column = 0; column < COLUMNS; column++)
                assert_int_equal(mb_at(&context->map, row, column)->reference == REF_INTRA,
                                 column >= COLUMNS / 2);
        xc_state_unref(after);
        xc_state_unref(given);
    }
    xc_picture_unref(first);
    xc_picture_unref(second);
    xc_context_free(context);
}

/* The halves of each macroblock move apart. */
static void test_splits_are_found(void **state)
{
    const struct motion_vector left = {8, -6}, right = {-4, 12};
    struct xc_context *context = xc_context_new();
    struct xc_picture *first = textured_picture(FINE, 4), *second = flat_picture(0);
    struct xc_state *given = encode(context, NULL, first, 0, 0);
    draw_moved(xc_state_reference(given, XC_LAST), left, 0, 8, second);
    draw_moved(xc_state_reference(given, XC_LAST), right, 8, 8, second);
    for (int effort = 0; effort < EFFORTS; effort++) {
        struct xc_state *after = encode(context, given, second, effort, 0);
        int found = 0;
        for (int row = 1; row < ROWS - 1; row++)
            for (int column = 1; column < COLUMNS - 1; column++) {
                const struct mb_info *info = mb_at(&context->map, row, column);
                found += info->y_mode == MV_SPLIT && info->partitioning == SPLIT_8X16 &&
                         mv_equal(info->mvs[0], left) && mv_equal(info->mvs[15], right);
            }
        assert_in_range(found, INNER * 9 / 10, INNER);
        xc_state_unref(after);
    }
    xc_state_unref(given);
    xc_picture_unref(first);
    xc_picture_unref(second);
    xc_context_free(context);
}

/* What was there before the last picture is still in golden, where that may be used. */
static void test_references_are_used(void **state)
{
    const struct motion_vector zero = {0, 0};
    struct xc_context *context = xc_context_new();
    struct xc_picture *first = textured_picture(FINE, 5), *second = textured_picture(FINE, 6);
    struct xc_state *key = encode(context, NULL, first, 0, 0);
    struct xc_state *given = encode(context, key, second, 0, 0);
    for (int effort = 0; effort < EFFORTS; effort++) {
        struct xc_state *after = encode(context, given, first, effort, 0);
        assert_in_range(count_vector(&context->map, zero, REF_GOLDEN), INNER * 9 / 10, INNER);
        xc_state_unref(after);
        after = encode(context, given, first, effort, XC_REFERENCE_BIT(XC_ALTREF));
        assert_in_range(count_vector(&context->map, zero, REF_ALTREF), INNER * 9 / 10, INNER);
        xc_state_unref(after);
    }
    xc_state_unref(key);
    xc_state_unref(given);
    xc_picture_unref(first);
    xc_picture_unref(second);
    xc_context_free(context);
}

/* Stripes go on from the macroblocks above or to the left. */
static void test_intra_modes_are_found(void **state)
{
    struct xc_context *context = xc_context_new();
    for (int vertical = 0; vertical < 2; vertical++) {
        struct xc_picture *picture = flat_picture(0);
        struct random random = {7};
        uint8_t stripe[16 * COLUMNS];
        for (size_t i = 0; i < sizeof stripe; i++)
            stripe[i] = (uint8_t)random_below(&random, 256);
        for (int y = 0; y < 16 * ROWS; y++)
            for (int x = 0; x < 16 * COLUMNS; x++)
                picture->plane[0][y * picture->stride[0] + x] = stripe[vertical ? x : y];
        for (int effort = 0; effort < EFFORTS; effort++) {
            struct xc_state *after = encode(context, NULL, picture, effort, 0);
            for (int row = 1; row < ROWS; row++)
                for (int column = 1; column < COLUMNS; column++)
                    assert_int_equal(mb_at(&context->map, row, column)->y_mode,
                                     vertical ? V_PRED : H_PRED);
            xc_state_unref(after);
        }
        xc_picture_unref(picture);
    }
    xc_context_free(context);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors_are_found),
        cmocka_unit_test(test_far_vectors_are_found),
        cmocka_unit_test(test_still_picture_is_skipped),
        cmocka_unit_test(test_new_content_is_intra),
        cmocka_unit_test(test_splits_are_found),
        cmocka_unit_test(test_references_are_used),
        cmocka_unit_test(test_intra_modes_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
