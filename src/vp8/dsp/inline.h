/* What is compiled into its callers, so that constants in them decide what of it remains. */
#ifndef VP8_DSP_INLINE_H
#define VP8_DSP_INLINE_H

#define XC_INLINE static inline __attribute__((always_inline))

#endif
