/* What the NEON kernels share: samples between memory and registers, from any address. */
#ifndef VP8_DSP_LANES_NEON_H
#define VP8_DSP_LANES_NEON_H

#include <arm_neon.h>
#include <stdint.h>
#include <string.h>

#include "vp8/dsp/dsp_c.h"

XC_DECLARE_LEVEL(neon)

XC_INLINE uint32_t load_word(const uint8_t *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

/* Four samples, the others 0; or four of a row and four of another. */
XC_INLINE uint8x8_t load4(const uint8_t *from)
{
    return vreinterpret_u8_u32((uint32x2_t){load_word(from), 0});
}

XC_INLINE uint8x8_t load4_twice(const uint8_t *from, const uint8_t *other)
{
    return vreinterpret_u8_u32((uint32x2_t){load_word(from), load_word(other)});
}

/* Stores lanes 0 .. 3, and 4 .. 7. */
XC_INLINE void store4(uint8_t *to, uint8x8_t samples)
{
    uint32_t word = vget_lane_u32(vreinterpret_u32_u8(samples), 0);
    memcpy(to, &word, sizeof word);
}

XC_INLINE void store4_upper(uint8_t *to, uint8x8_t samples)
{
    uint32_t word = vget_lane_u32(vreinterpret_u32_u8(samples), 1);
    memcpy(to, &word, sizeof word);
}

#endif
