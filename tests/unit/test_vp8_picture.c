/* Pictures: padding by replication, views, equality, reference counts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "support/random.h"
#include "vp8/frame.h"
#include "vp8/picture.h"

enum { LARGEST = 200 };

static const int sizes[][2] = {{1, 1},   {1, 16},  {2, 3},   {15, 17},  {16, 16},
                               {17, 15}, {33, 31}, {64, 48}, {175, 143}};

/* Samples of a source whose strides are larger than its width. */
static uint8_t samples[3][LARGEST * LARGEST];

static struct xc_view random_view(int width, int height, unsigned seed)
{
    struct random random = {seed};
    struct xc_view view = {.width = width, .height = height};
    for (int i = 0; i < 3; i++) {
        for (size_t k = 0; k < sizeof samples[i]; k++)
            samples[i][k] = (uint8_t)random_below(&random, 256);
        view.plane[i] = samples[i];
        view.stride[i] = LARGEST - i;
    }
    return view;
}

static int smaller(int a, int b)
{
    return a < b ? a : b;
}

static int larger(int a, int b)
{
    return a > b ? a : b;
}

/* Every sample, those of the border included, is the nearest one of the source. */
static void check_plane(const struct xc_picture *picture, const struct xc_view *source, int plane)
{
    int width = plane ? (source->width + 1) / 2 : source->width;
    int height = plane ? (source->height + 1) / 2 : source->height;
    int size = plane ? 8 : 16;
    assert_int_equal(picture->plane_width[plane], size * macroblocks(source->width));
    assert_int_equal(picture->plane_height[plane], size * macroblocks(source->height));
    for (int y = -PICTURE_BORDER; y < picture->plane_height[plane] + PICTURE_BORDER; y++)
        for (int x = -PICTURE_BORDER; x < picture->plane_width[plane] + PICTURE_BORDER; x++) {
            int from_x = larger(0, smaller(x, width - 1)),
                from_y = larger(0, smaller(y, height - 1));
            if (picture->plane[plane][y * picture->stride[plane] + x] !=
                source->plane[plane][from_y * source->stride[plane] + from_x])
                fail_msg("%d x %d: plane %d differs at %d, %d", source->width, source->height,
                         plane, x, y);
        }
}

static void test_padding(void **state)
{
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct xc_view source = random_view(sizes[i][0], sizes[i][1], (unsigned)i);
        struct xc_picture *picture;
        assert_int_equal(xc_picture_new(&source, &picture), XC_OK);
        for (int plane = 0; plane < 3; plane++)
            check_plane(picture, &source, plane);
        xc_picture_unref(picture);
    }
}

static void test_view(void **state)
{
    struct xc_view source = random_view(33, 31, 1);
    struct xc_picture *picture;
    assert_int_equal(xc_picture_new(&source, &picture), XC_OK);
    struct xc_view view = xc_picture_view(picture);
    assert_int_equal(view.width, 33);
    assert_int_equal(view.height, 31);
    for (int i = 0; i < 3; i++)
        for (int y = 0; y < (i ? 16 : 31); y++)
            assert_memory_equal(view.plane[i] + y * view.stride[i],
                                source.plane[i] + y * source.stride[i], i ? 17 : 33);
    xc_picture_unref(picture);
}

static void test_equality(void **state)
{
    struct xc_view source = random_view(33, 31, 1);
    struct xc_picture *picture, *other;
    assert_int_equal(xc_picture_new(&source, &picture), XC_OK);
    assert_int_equal(xc_picture_new(&source, &other), XC_OK);
    assert_true(xc_picture_equal(picture, picture));
    assert_true(xc_picture_equal(picture, other));
    /* What is predicted from counts, also where it is not shown. */
    uint8_t *corner = &other->plane[2][23 + 15 * other->stride[2]];
    *corner ^= 1;
    assert_false(xc_picture_equal(picture, other));
    *corner ^= 1;
    /* The border repeats what lies within. */
    other->plane[0][-1] ^= 1;
    assert_true(xc_picture_equal(picture, other));
    xc_picture_unref(other);
    source.width = 32;
    assert_int_equal(xc_picture_new(&source, &other), XC_OK);
    assert_false(xc_picture_equal(picture, other));
    xc_picture_unref(other);
    xc_picture_unref(picture);
}

static void test_reference_count(void **state)
{
    struct xc_view source = random_view(16, 16, 1);
    struct xc_picture *picture;
    assert_int_equal(xc_picture_new(&source, &picture), XC_OK);
    struct xc_picture *again = xc_picture_ref(picture);
    assert_ptr_equal(again, picture);
    xc_picture_unref(picture);
    assert_int_equal(xc_picture_view(again).plane[0][0], source.plane[0][0]);
    xc_picture_unref(again);
    xc_picture_unref(NULL);
}

static void test_sizes_out_of_range(void **state)
{
    static const int wrong[][2] = {{0, 16},     {16, 0},     {-1, 16},          {16, -16},
                                   {16384, 16}, {16, 16384}, {1 << 30, 1 << 30}};
    struct xc_view source = random_view(16, 16, 1);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        struct xc_picture *picture = (struct xc_picture *)&source;
        source.width = wrong[i][0];
        source.height = wrong[i][1];
        assert_int_equal(xc_picture_new(&source, &picture), XC_ERROR_ARGUMENT);
        assert_null(picture);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_padding),
        cmocka_unit_test(test_view),
        cmocka_unit_test(test_equality),
        cmocka_unit_test(test_reference_count),
        cmocka_unit_test(test_sizes_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
