/*
 * What the kernels must compute, written straight from RFC 6386 with no thought of speed and apart
 * from src/vp8/dsp, so that a mistake is not made twice. Arguments as in vp8/dsp/dsp.h.
 */
#ifndef TESTS_DSP_REFERENCE_H
#define TESTS_DSP_REFERENCE_H

#include "vp8/dsp/dsp.h"

extern const int block_widths[BLOCK_SIZES], block_heights[BLOCK_SIZES];

void reference_six_tap(enum block_size size, uint8_t *to, ptrdiff_t to_stride,
                       const uint8_t *source, ptrdiff_t source_stride, int x, int y);
void reference_bilinear(enum block_size size, uint8_t *to, ptrdiff_t to_stride,
                        const uint8_t *source, ptrdiff_t source_stride, int x, int y);
void reference_true_motion(uint8_t *to, ptrdiff_t stride, const uint8_t *above, const uint8_t *left,
                           int size);
void reference_intra4x4(int mode, uint8_t *to, ptrdiff_t stride, const uint8_t edge[13]);

void reference_inverse_dct(const int16_t coefficient[16], int residue[16]);
void reference_inverse_wht(const int16_t input[16], int16_t dc[16]);
/* The same two transforms in real numbers, unrounded; the DCT is its own inverse's inverse. */
void real_inverse_dct(const int16_t coefficient[16], double residue[16]);
void real_forward_dct(const int residue[16], double coefficient[16]);
void real_forward_wht(const int16_t *coefficient, double output[16]);

void reference_filter_luma(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                           unsigned edges);
void reference_filter_chroma(uint8_t *u, uint8_t *v, ptrdiff_t stride,
                             const struct filter_limits *limits, unsigned edges);
void reference_filter_simple(uint8_t *y, ptrdiff_t stride, const struct filter_limits *limits,
                             unsigned edges);

uint32_t reference_sad(enum block_size size, const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                       ptrdiff_t b_stride);
uint32_t reference_sse(enum block_size size, const uint8_t *a, ptrdiff_t a_stride, const uint8_t *b,
                       ptrdiff_t b_stride);
uint32_t reference_satd(enum block_size size, const uint8_t *a, ptrdiff_t a_stride,
                        const uint8_t *b, ptrdiff_t b_stride);

#endif
