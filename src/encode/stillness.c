#include "encode/stillness.h"

#include <stdint.h>

#include "media/y4m.h"

/* In percent of the macroblocks, which were 69 to 100 in standing and in scrolling text, test pictures, pans and
 * zooms over a still, and fractals; and 5 to 40 in films from cameras and rendered ones, whose noise and grain
 * differ from picture to picture. */
enum { LEAST_SHARE = 60 };

enum { SIZE = 16, SAMPLES = SIZE * SIZE, REACH = 6 };

/* A difference counts as none when its mean square is at most a fiftieth of the variance and 4, which keeps flat
 * macroblocks from asking for perfection. */
enum { MOST_PART = 50, MORE_VARIANCE = 4 };

/* The most that the squared differences of a macroblock may sum up to. */
static uint32_t limit_of(const uint8_t *samples, ptrdiff_t stride)
{
    uint32_t sum = 0;
    uint32_t squares = 0;
    for (int y = 0; y < SIZE; y++)
        for (int x = 0; x < SIZE; x++) {
            uint32_t sample = samples[y * stride + x];
            sum += sample;
            squares += sample * sample;
        }
    return (squares - sum * sum / SAMPLES + SAMPLES * MORE_VARIANCE) / MOST_PART;
}

/* Most places differ so much that a few rows tell. */
static bool differs_little(const uint8_t *a, ptrdiff_t stride_a, const uint8_t *b,
                           ptrdiff_t stride_b, uint32_t limit)
{
    uint32_t sum = 0;
    for (int y = 0; y < SIZE && sum <= limit; y++)
        for (int x = 0; x < SIZE; x++) {
            int difference = a[y * stride_a + x] - b[y * stride_b + x];
            sum += (uint32_t)(difference * difference);
        }
    return sum <= limit;
}

static int greatest(int a, int b)
{
    return a > b ? a : b;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Whether the macroblock at (left, top) is somewhere near in `before`. */
static bool repeats(const struct xc_view *before, const struct xc_view *view, int left, int top)
{
    const uint8_t *samples = view->plane[0] + top * view->stride[0] + left;
    uint32_t limit = limit_of(samples, view->stride[0]);
    const uint8_t *same = before->plane[0] + top * before->stride[0] + left;
    if (differs_little(samples, view->stride[0], same, before->stride[0], limit))
        return true;
    int last_y = least(top + REACH, view->height - SIZE);
    int last_x = least(left + REACH, view->width - SIZE);
    for (int y = greatest(top - REACH, 0); y <= last_y; y++)
        for (int x = greatest(left - REACH, 0); x <= last_x; x++)
            if (differs_little(samples, view->stride[0],
                               before->plane[0] + y * before->stride[0] + x, before->stride[0],
                               limit))
                return true;
    return false;
}

bool stillness_holds(const struct xc_picture *before, const struct xc_picture *picture)
{
    struct xc_view old = xc_picture_view(before);
    struct xc_view view = xc_picture_view(picture);
    int64_t still = 0;
    int64_t all = 0;
    for (int top = 0; top + SIZE <= view.height; top += SIZE)
        for (int left = 0; left + SIZE <= view.width; left += SIZE, all++)
            still += repeats(&old, &view, left, top);
    return still * 100 >= all * LEAST_SHARE && all > 0;
}

int stillness_of_chunk(const char *raw, bool *still, struct error *error)
{
    struct y4m_reader *reader = NULL;
    struct xc_picture *before = NULL;
    int pictures = 0;
    *still = true;
    int code = y4m_open(raw, &reader, error);
    while (code >= 0 && *still) {
        struct xc_picture *picture = NULL;
        code = y4m_read(reader, &picture, error);
        if (code <= 0)
            break;
        *still = before == NULL || stillness_holds(before, picture);
        pictures++;
        xc_picture_unref(before);
        before = picture;
    }
    *still &= pictures > 1;
    xc_picture_unref(before);
    y4m_close(reader);
    return code < 0 ? code : 0;
}
