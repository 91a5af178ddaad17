/*
 * Inter prediction of blocks from a level's passes over rows and columns. To be included where these are there:
 *     struct taps, load_taps(tap)                                             the six-tap filter of a fraction
 *     six_tap_across(taps, to, to_stride, source, stride, width, height)      along rows
 *     six_tap_down(taps, to, to_stride, source, stride, width, height)        along columns
 *     bilinear_pass(to, to_stride, source, stride, step, fraction, width, height)
 *                                                where neighbours are `step` samples apart; `fraction` in eighths
 * It makes set_inter(), which fills in the table.
 */
#include <string.h>

#include "vp8/dsp/dsp_c.h"
#include "vp8/tables.h"

XC_INLINE void copy_block(uint8_t *to, ptrdiff_t to_stride, const uint8_t *source, ptrdiff_t stride,
                          int width, int height)
{
    for (int y = 0; y < height; y++)
        memcpy(to + y * to_stride, source + y * stride, (size_t)width);
}

XC_INLINE void six_tap(uint8_t *to, ptrdiff_t to_stride, const uint8_t *source, ptrdiff_t stride,
                       int x, int y, int width, int height)
{
    if (!x && !y) {
        copy_block(to, to_stride, source, stride, width, height);
        return;
    }
    struct taps across = load_taps(xc_six_tap_filters[x]), down = load_taps(xc_six_tap_filters[y]);
    if (!y) {
        six_tap_across(&across, to, to_stride, source, stride, width, height);
    } else if (!x) {
        six_tap_down(&down, to, to_stride, source, stride, width, height);
    } else {
        uint8_t between[(16 + 5) * 16]; /* rows -2 .. height + 2 */
        six_tap_across(&across, between, 16, source - 2 * stride, stride, width, height + 5);
        six_tap_down(&down, to, to_stride, between + 2 * 16, 16, width, height);
    }
}

XC_INLINE void bilinear(uint8_t *to, ptrdiff_t to_stride, const uint8_t *source, ptrdiff_t stride,
                        int x, int y, int width, int height)
{
    if (!x && !y) {
        copy_block(to, to_stride, source, stride, width, height);
    } else if (!y) {
        bilinear_pass(to, to_stride, source, stride, 1, x, width, height);
    } else if (!x) {
        bilinear_pass(to, to_stride, source, stride, stride, y, width, height);
    } else {
        uint8_t between[(16 + 1) * 16];
        bilinear_pass(between, 16, source, stride, 1, x, width, height + 1);
        bilinear_pass(to, to_stride, between, 16, 16, y, width, height);
    }
}

#define MAKE_INTER(name, width, height)                                                            \
    static void six_tap_##name(uint8_t *to, ptrdiff_t to_stride, const uint8_t *source,            \
                               ptrdiff_t source_stride, int x, int y)                              \
    {                                                                                              \
        six_tap(to, to_stride, source, source_stride, x, y, width, height);                        \
    }                                                                                              \
    static void bilinear_##name(uint8_t *to, ptrdiff_t to_stride, const uint8_t *source,           \
                                ptrdiff_t source_stride, int x, int y)                             \
    {                                                                                              \
        bilinear(to, to_stride, source, source_stride, x, y, width, height);                       \
    }

XC_FOR_BLOCK_SIZES(MAKE_INTER)

#define SET_INTER(name, width, height)                                                             \
    dsp->six_tap[i] = six_tap_##name;                                                              \
    dsp->bilinear[i++] = bilinear_##name;

static void set_inter(struct xc_dsp *dsp)
{
    int i = 0;
    XC_FOR_BLOCK_SIZES(SET_INTER)
}
