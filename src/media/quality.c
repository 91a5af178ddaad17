#include "media/quality.h"

#include <math.h>

/* SSIM (Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to
 * structural similarity", 2004) over windows of 8x8 samples, 4 apart both ways, unweighted. */
#define WINDOW 8
#define WINDOW_SAMPLES (WINDOW * WINDOW)
#define BLOCK 4 /* windows are made of 2x2 blocks, whose sums are shared by four windows */
#define PEAK 255

/* (k L)^2 of the paper, scaled as the sums below are, with k1 = 0.01 and k2 = 0.03; rounded to
 * integers as in ffmpeg and x264. Those scale the first by one power of the window's size less than
 * the paper, which weighs on dark areas only; figures are to be compared with theirs. */
static const int stabilizer_mean = (int)(0.01 * 0.01 * PEAK * PEAK * WINDOW_SAMPLES + 0.5);
static const int stabilizer_variance =
    (int)(0.03 * 0.03 * PEAK * PEAK * WINDOW_SAMPLES * (WINDOW_SAMPLES - 1) + 0.5);

/* Sums over the samples a and b of a block or window; those of a window, times its samples, stay
 * below 2^30. */
struct sums {
    int a, b;    /* of the samples */
    int squares; /* of a * a + b * b */
    int products;
};

struct plane_pair {
    int width, height;
    const uint8_t *a, *b;
    ptrdiff_t stride_a, stride_b;
};

static struct plane_pair pair_planes(const struct xc_view *a, const struct xc_view *b, int plane)
{
    return (struct plane_pair){
        .width = plane ? (a->width + 1) / 2 : a->width,
        .height = plane ? (a->height + 1) / 2 : a->height,
        .a = a->plane[plane],
        .b = b->plane[plane],
        .stride_a = a->stride[plane],
        .stride_b = b->stride[plane],
    };
}

static uint32_t row_squared_error(const uint8_t *a, const uint8_t *b, int width)
{
    uint32_t sum = 0; /* at most 16383 * 255 * 255, below 2^30 */
    for (int x = 0; x < width; x++) {
        int difference = a[x] - b[x];
        sum += (uint32_t)(difference * difference);
    }
    return sum;
}

static uint64_t squared_error(const struct plane_pair *pair)
{
    uint64_t sum = 0;
    for (int y = 0; y < pair->height; y++)
        sum += row_squared_error(pair->a + y * pair->stride_a, pair->b + y * pair->stride_b,
                                 pair->width);
    return sum;
}

/* Blocks of a row are summed in strips of this many samples: first down the columns, which the
 * compiler vectorises, then across. */
#define STRIP 256

static void sum_columns(const struct plane_pair *pair, int x, int y, int width,
                        struct sums columns[STRIP])
{
    int a[STRIP] = {0}, b[STRIP] = {0}, squares[STRIP] = {0}, products[STRIP] = {0};
    for (int row = y; row < y + BLOCK; row++) {
        const uint8_t *from_a = pair->a + row * pair->stride_a + x;
        const uint8_t *from_b = pair->b + row * pair->stride_b + x;
        for (int i = 0; i < width; i++) {
            a[i] += from_a[i];
            b[i] += from_b[i];
            squares[i] += from_a[i] * from_a[i] + from_b[i] * from_b[i];
            products[i] += from_a[i] * from_b[i];
        }
    }
    for (int i = 0; i < width; i++)
        columns[i] = (struct sums){a[i], b[i], squares[i], products[i]};
}

/* The last sample of a row or column stands for those beyond it. */
static struct sums sum_clamped_column(const struct plane_pair *pair, int x, int y)
{
    struct sums sums = {0};
    ptrdiff_t column = x < pair->width ? x : pair->width - 1;
    for (int i = y; i < y + BLOCK; i++) {
        ptrdiff_t row = i < pair->height ? i : pair->height - 1;
        int a = pair->a[row * pair->stride_a + column];
        int b = pair->b[row * pair->stride_b + column];
        sums.a += a;
        sums.b += b;
        sums.squares += a * a + b * b;
        sums.products += a * b;
    }
    return sums;
}

static void sum_strip(const struct plane_pair *pair, int x, int y, int width, struct sums *blocks)
{
    struct sums columns[STRIP];
    if (x + width <= pair->width && y + BLOCK <= pair->height)
        sum_columns(pair, x, y, width, columns);
    else
        for (int i = 0; i < width; i++)
            columns[i] = sum_clamped_column(pair, x + i, y);
    for (int i = 0; i < width; i += BLOCK) {
        const struct sums *column = columns + i;
        blocks[i / BLOCK] = (struct sums){
            .a = column[0].a + column[1].a + column[2].a + column[3].a,
            .b = column[0].b + column[1].b + column[2].b + column[3].b,
            .squares =
                column[0].squares + column[1].squares + column[2].squares + column[3].squares,
            .products =
                column[0].products + column[1].products + column[2].products + column[3].products,
        };
    }
}

static void sum_block_row(const struct plane_pair *pair, int row, int blocks, struct sums *sums)
{
    int width = BLOCK * blocks;
    for (int x = 0; x < width; x += STRIP) {
        int strip = width - x < STRIP ? width - x : STRIP;
        sum_strip(pair, x, BLOCK * row, strip, sums + x / BLOCK);
    }
}

static float window_ssim(const struct sums *upper, const struct sums *lower)
{
    int a = upper[0].a + upper[1].a + lower[0].a + lower[1].a;
    int b = upper[0].b + upper[1].b + lower[0].b + lower[1].b;
    int squares = upper[0].squares + upper[1].squares + lower[0].squares + lower[1].squares;
    int products = upper[0].products + upper[1].products + lower[0].products + lower[1].products;
    int variances = squares * WINDOW_SAMPLES - a * a - b * b;
    int covariance = products * WINDOW_SAMPLES - a * b;
    return (float)(2 * a * b + stabilizer_mean) * (float)(2 * covariance + stabilizer_variance) /
           ((float)(a * a + b * b + stabilizer_mean) * (float)(variances + stabilizer_variance));
}

/* Whole blocks along a side; a plane too small for one window counts as if its last column or row
 * went on. */
static int count_blocks(int samples)
{
    return samples < WINDOW ? WINDOW / BLOCK : samples / BLOCK;
}

/* The mean over all windows. */
static double plane_ssim(const struct plane_pair *pair)
{
    struct sums sums[2][XC_MAX_DIMENSION / BLOCK + 1];
    int columns = count_blocks(pair->width), rows = count_blocks(pair->height);
    double total = 0;
    sum_block_row(pair, 0, columns, sums[0]);
    for (int row = 1; row < rows; row++) {
        const struct sums *upper = sums[(row - 1) % 2];
        struct sums *lower = sums[row % 2];
        sum_block_row(pair, row, columns, lower);
        for (int column = 0; column < columns - 1; column++)
            total += window_ssim(upper + column, lower + column);
    }
    return total / ((double)(rows - 1) * (columns - 1));
}

void quality_add(struct quality *sum, const struct xc_view *a, const struct xc_view *b)
{
    sum->frames++;
    sum->width = a->width;
    sum->height = a->height;
    for (int plane = 0; plane < 3; plane++) {
        struct plane_pair pair = pair_planes(a, b, plane);
        sum->squared_error[plane] += (double)squared_error(&pair);
        sum->ssim[plane] += plane_ssim(&pair);
    }
}

static double plane_samples(const struct quality *sum, int plane)
{
    if (plane == 0)
        return (double)sum->width * sum->height;
    return (double)((sum->width + 1) / 2) * ((sum->height + 1) / 2);
}

double quality_psnr(const struct quality *sum, int plane)
{
    double samples = 0, error = 0;
    for (int i = 0; i < 3; i++)
        if (plane < 0 || plane == i) {
            samples += plane_samples(sum, i) * (double)sum->frames;
            error += sum->squared_error[i];
        }
    return 10 * log10((double)PEAK * PEAK * samples / error);
}

/* All planes together are weighted by their sizes. */
double quality_ssim(const struct quality *sum, int plane)
{
    double samples = 0, ssim = 0;
    for (int i = 0; i < 3; i++)
        if (plane < 0 || plane == i) {
            samples += plane_samples(sum, i);
            ssim += plane_samples(sum, i) * sum->ssim[i] / (double)sum->frames;
        }
    return ssim / samples;
}

double quality_ssim_db(const struct quality *sum, int plane)
{
    return -10 * log10(1 - quality_ssim(sum, plane));
}
