/* The C level's kernel families, and what the kernels of all levels share. */
#ifndef VP8_DSP_DSP_C_H
#define VP8_DSP_DSP_C_H

#include "vp8/dsp/dsp.h"
#include "vp8/dsp/inline.h"

/* A level's kernel families: each fills in its own part of the table, all of it at the level of C, and
 * what is faster than C at the others. */
#define XC_DECLARE_LEVEL(level)                                                                    \
    void xc_predict_init_##level(struct xc_dsp *dsp);                                              \
    void xc_transform_init_##level(struct xc_dsp *dsp);                                            \
    void xc_loopfilter_init_##level(struct xc_dsp *dsp);                                           \
    void xc_measure_init_##level(struct xc_dsp *dsp);
XC_DECLARE_LEVEL(c)

/* For other levels' rare cases. */
void xc_inverse_dct_add_c(const int16_t coefficient[16], uint8_t *to, ptrdiff_t stride);
void xc_inverse_wht_c(const int16_t input[16], int16_t dc[16]);

/* Calls MAKE(name suffix, width, height) for each of enum block_size, in its order. */
#define XC_FOR_BLOCK_SIZES(MAKE)                                                                   \
    MAKE(16x16, 16, 16)                                                                            \
    MAKE(16x8, 16, 8)                                                                              \
    MAKE(8x16, 8, 16)                                                                              \
    MAKE(8x8, 8, 8)                                                                                \
    MAKE(4x4, 4, 4)

/* Makes a level's kernel of one block size from its satd(), which takes any. */
#define XC_MAKE_SATD(name, width, height)                                                          \
    static uint32_t satd_##name(const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,            \
                                ptrdiff_t b_stride)                                                \
    {                                                                                              \
        return satd(a, a_stride, b, b_stride, width, height);                                      \
    }

/* Makes them all, and set_satd(), which fills them in. */
#define XC_MAKE_ALL_SATD                                                                           \
    XC_FOR_BLOCK_SIZES(XC_MAKE_SATD)                                                               \
    static void set_satd(struct xc_dsp *dsp)                                                       \
    {                                                                                              \
        measure_block *const made[BLOCK_SIZES] = {satd_16x16, satd_16x8, satd_8x16, satd_8x8,      \
                                                  satd_4x4};                                       \
        for (int i = 0; i < BLOCK_SIZES; i++)                                                      \
            dsp->satd[i] = made[i];                                                                \
    }

/* Makes a level's kernel of four blocks from its forward_dct(). */
#define XC_MAKE_FORWARD_DCT4                                                                       \
    static void forward_dct4(const uint8_t *const source[2], ptrdiff_t source_stride,              \
                             const uint8_t *const prediction[2], ptrdiff_t prediction_stride,      \
                             int16_t coefficient[64])                                              \
    {                                                                                              \
        for (int i = 0; i < 4; i++)                                                                \
            forward_dct(source[i / 2] + 4 * (i % 2), source_stride,                                \
                        prediction[i / 2] + 4 * (i % 2), prediction_stride, coefficient + 16 * i); \
    }

/* Fills in a level's transforms, which are called as in the table. */
#define XC_SET_TRANSFORMS(dsp)                                                                     \
    do {                                                                                           \
        (dsp)->inverse_dct_add = inverse_dct_add;                                                  \
        (dsp)->inverse_dct_add_dc = inverse_dct_add_dc;                                            \
        (dsp)->inverse_dct_add_dc4 = inverse_dct_add_dc4;                                          \
        (dsp)->inverse_wht = inverse_wht;                                                          \
        (dsp)->forward_dct = forward_dct;                                                          \
        (dsp)->forward_dct4 = forward_dct4;                                                        \
        (dsp)->forward_wht = forward_wht;                                                          \
        (dsp)->coded_blocks = coded_blocks;                                                        \
    } while (0)

/* Before a short loop over neighbours: keeps the compiler from unrolling it into scalar code before
 * it looks for vectors. */
#define XC_KEEP_LOOP _Pragma("GCC unroll 1")

static inline uint8_t clamp_to_sample(int value)
{
    return (uint8_t)(value < 0 ? 0 : value > 255 ? 255 : value);
}

/* The same written as a maximum and a minimum in 16 bits, which vector units have. */
static inline uint8_t clamp_lane(int16_t value)
{
    int16_t low = value > 0 ? value : 0;
    int16_t clamped = low < 255 ? low : 255;
    return (uint8_t)clamped;
}

#endif
