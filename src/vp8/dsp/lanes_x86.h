/* Samples between memory and SSE2 registers, from any address. */
#ifndef VP8_DSP_LANES_X86_H
#define VP8_DSP_LANES_X86_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "vp8/dsp/dsp_x86.h"

/* 4, 8 or 16 samples into the lowest bytes, the others 0. */
XC_INLINE __m128i load4(const uint8_t *from)
{
    int32_t word;
    memcpy(&word, from, sizeof word);
    return _mm_cvtsi32_si128(word);
}

XC_INLINE __m128i load8(const uint8_t *from)
{
    return _mm_loadl_epi64((const __m128i *)from);
}

XC_INLINE __m128i load16(const uint8_t *from)
{
    return _mm_loadu_si128((const __m128i *)from);
}

XC_INLINE void store4(uint8_t *to, __m128i samples)
{
    int32_t word = _mm_cvtsi128_si32(samples);
    memcpy(to, &word, sizeof word);
}

#endif
