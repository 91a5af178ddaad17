/* PSNR and SSIM against the definition, sample by sample, and against ffmpeg's filters. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media/quality.h"
#include "media/y4m.h"
#include "media_support.h"

static const uint8_t *sample_at(const struct xc_view *view, int plane, int x, int y)
{
    return view->plane[plane] + y * view->stride[plane] + x;
}

static double reference_window(const struct xc_view *a, const struct xc_view *b, int plane, int x0,
                               int y0)
{
    double sum_a = 0, sum_b = 0, squares = 0, products = 0;
    int width = plane ? (a->width + 1) / 2 : a->width;
    int height = plane ? (a->height + 1) / 2 : a->height;
    for (int i = 0; i < 64; i++) {
        int x = x0 + i % 8 < width ? x0 + i % 8 : width - 1;
        int y = y0 + i / 8 < height ? y0 + i / 8 : height - 1;
        double p = *sample_at(a, plane, x, y), q = *sample_at(b, plane, x, y);
        sum_a += p;
        sum_b += q;
        squares += p * p + q * q;
        products += p * q;
    }
    double c1 = 416, c2 = 235963;
    double variances = 64 * squares - sum_a * sum_a - sum_b * sum_b;
    double covariance = 64 * products - sum_a * sum_b;
    return (2 * sum_a * sum_b + c1) * (2 * covariance + c2) /
           ((sum_a * sum_a + sum_b * sum_b + c1) * (variances + c2));
}

static double reference_ssim(const struct xc_view *a, const struct xc_view *b, int plane)
{
    int width = plane ? (a->width + 1) / 2 : a->width;
    int height = plane ? (a->height + 1) / 2 : a->height;
    double sum = 0;
    int windows = 0;
    for (int y = 0; y == 0 || y + 8 <= height; y += 4)
        for (int x = 0; x == 0 || x + 8 <= width; x += 4, windows++)
            sum += reference_window(a, b, plane, x, y);
    return sum / windows;
}

static double reference_psnr(const struct xc_view *a, const struct xc_view *b, int plane)
{
    int width = plane ? (a->width + 1) / 2 : a->width;
    int height = plane ? (a->height + 1) / 2 : a->height;
    double sum = 0;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            sum += pow(*sample_at(a, plane, x, y) - *sample_at(b, plane, x, y), 2);
    return 10 * log10(255.0 * 255 * width * height / sum);
}

static void definition_at_any_size(void **state)
{
    static const int sizes[][2] = {{1, 1},   {7, 9},     {8, 8},     {15, 16},  {16, 16},
                                   {33, 70}, {175, 143}, {1030, 20}, {4, 1000}, {257, 61}};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct quality quality = {0};
        struct xc_picture *a = make_picture(sizes[i][0], sizes[i][1], 1);
        struct xc_picture *b = make_picture(sizes[i][0], sizes[i][1], 2);
        struct xc_view left = xc_picture_view(a), right = xc_picture_view(b);
        quality_add(&quality, &left, &right);
        for (int plane = 0; plane < 3; plane++) {
            assert_near(quality_ssim(&quality, plane), reference_ssim(&left, &right, plane), 1e-5);
            assert_near(quality_psnr(&quality, plane), reference_psnr(&left, &right, plane), 1e-9);
        }
        xc_picture_unref(a);
        xc_picture_unref(b);
    }
}

static void equal_pictures_are_infinitely_alike(void **state)
{
    struct quality quality = {0};
    struct xc_picture *picture = make_picture(100, 50, 3);
    struct xc_view view = xc_picture_view(picture);
    quality_add(&quality, &view, &view);
    for (int plane = -1; plane < 3; plane++) {
        assert_true(isinf(quality_psnr(&quality, plane)));
        assert_true(quality_ssim(&quality, plane) == 1);
        assert_true(isinf(quality_ssim_db(&quality, plane)));
    }
    xc_picture_unref(picture);
}

static void read_pair(struct y4m_reader *readers[2], struct quality *quality)
{
    struct error error;
    struct xc_picture *pictures[2];
    while (y4m_read(readers[0], &pictures[0], &error) == 1) {
        assert_int_equal(y4m_read(readers[1], &pictures[1], &error), 1);
        struct xc_view a = xc_picture_view(pictures[0]), b = xc_picture_view(pictures[1]);
        quality_add(quality, &a, &b);
        xc_picture_unref(pictures[0]);
        xc_picture_unref(pictures[1]);
    }
}

static struct quality compare_files(const char *a, const char *b)
{
    struct error error;
    struct y4m_reader *readers[2];
    struct quality quality = {0};
    assert_int_equal(y4m_open(a, &readers[0], &error), 0);
    assert_int_equal(y4m_open(b, &readers[1], &error), 0);
    read_pair(readers, &quality);
    y4m_close(readers[0]);
    y4m_close(readers[1]);
    return quality;
}

/* The numbers behind `names` in what a filter says, such as "Y:0.97 (15.5) U:...". */
static void assert_values(const char *said, const char *start, const char *const names[4],
                          double (*value)(const struct quality *, int),
                          const struct quality *quality)
{
    const char *line = strstr(said, start);
    assert_non_null(line);
    for (int i = 0; i < 4; i++) {
        const char *word = strstr(line, names[i]);
        assert_non_null(word);
        assert_near(strtod(word + strlen(names[i]), NULL), value(quality, i < 3 ? i : -1), 2e-6);
    }
}

static void assert_as_ffmpeg(const char *size)
{
    static const char *const psnr[] = {" y:", " u:", " v:", " average:"};
    static const char *const ssim[] = {" Y:", " U:", " V:", " All:"};
    char a[512], b[512];
    snprintf(a, sizeof a, "%s", scratch("a.y4m"));
    snprintf(b, sizeof b, "%s", scratch("b.y4m"));
    free(run_ffmpeg("-f lavfi -i testsrc2=s=640x360:d=0.4 -vf scale=%s -pix_fmt yuv420p %s", size,
                    a));
    free(run_ffmpeg("-i %s -vf 'gblur=2,noise=alls=12:allf=t' %s", a, b));
    struct quality quality = compare_files(a, b);
    assert_int_equal(quality.frames, 10);
    /* Without SIMD: libavfilter's x86 code counts a window beyond the picture's edge where the
     * number of windows in a row is one more than a multiple of four, with what its buffers last
     * held; what it gives then depends on the number of its threads. */
    char *said = run_ffmpeg("-cpuflags 0 -i %s -i %s -lavfi psnr -f null -", a, b);
    assert_values(said, "PSNR", psnr, quality_psnr, &quality);
    free(said);
    said = run_ffmpeg("-cpuflags 0 -i %s -i %s -lavfi ssim -f null -", a, b);
    assert_values(said, "SSIM", ssim, quality_ssim, &quality);
    free(said);
}

static void as_ffmpeg(void **state)
{
    assert_as_ffmpeg("480:270");
    assert_as_ffmpeg("175:143");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(definition_at_any_size),
        TEST(equal_pictures_are_infinitely_alike),
        TEST(as_ffmpeg),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
