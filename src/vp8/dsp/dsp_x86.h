/*
 * What the x86 kernels share. Each *_x86.c is compiled once for each level, with the level's name as
 * XC_LEVEL and the compiler told that it may use the level's instructions; the parts that a level
 * adds stand behind __SSSE3__ and __AVX2__. All fill in what they have faster than C.
 */
#ifndef VP8_DSP_DSP_X86_H
#define VP8_DSP_DSP_X86_H

#include "vp8/dsp/dsp_c.h"

XC_DECLARE_LEVEL(sse2)
XC_DECLARE_LEVEL(ssse3)
XC_DECLARE_LEVEL(avx2)

/* The name of a family's init function at the level that is being compiled. */
#define XC_JOIN(name, level) name##_##level
#define XC_JOIN_EXPANDED(name, level) XC_JOIN(name, level)
#define XC_AT_LEVEL(name) XC_JOIN_EXPANDED(name, XC_LEVEL)

#endif
