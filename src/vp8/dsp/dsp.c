/* Fills the kernel table, for a level or for what this CPU has. */
#include "vp8/dsp/dsp.h"

#include "vp8/dsp/dsp_c.h"

#if defined(__x86_64__) || defined(__i386__)
#define XC_X86 1
#include <cpuid.h>

#include "vp8/dsp/dsp_x86.h"
#elif defined(__aarch64__)
#define XC_ARM64 1
#include "vp8/dsp/lanes_neon.h"
#endif

const char *xc_cpu_name(enum xc_cpu level)
{
    static const char *const names[XC_CPU_LEVELS] = {[XC_CPU_C] = "c",
                                                     [XC_CPU_SSE2] = "sse2",
                                                     [XC_CPU_SSSE3] = "ssse3",
                                                     [XC_CPU_AVX2] = "avx2",
                                                     [XC_CPU_NEON] = "neon"};
    return names[level];
}

#ifdef XC_X86
/* Whether the system keeps the upper halves of the 256-bit registers when it switches tasks. */
static bool system_keeps_ymm(unsigned features)
{
    unsigned low, high;
    if (!(features & bit_OSXSAVE))
        return false;
    __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (low & 6) == 6;
}

static bool x86_has(enum xc_cpu level)
{
    unsigned a, b, c, d, extended = 0;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return false;
    unsigned features = c, features_d = d;
    if (__get_cpuid_count(7, 0, &a, &b, &c, &d))
        extended = b;
    switch (level) {
    case XC_CPU_SSE2:
        return features_d & bit_SSE2;
    case XC_CPU_SSSE3:
        return features & bit_SSSE3;
    case XC_CPU_AVX2:
        return (features & bit_AVX) && (extended & bit_AVX2) && system_keeps_ymm(features);
    default:
        return false;
    }
}
#endif

bool xc_cpu_has(enum xc_cpu level)
{
#ifdef XC_X86
    if (level != XC_CPU_C)
        return x86_has(level);
#endif
#ifdef XC_ARM64
    if (level == XC_CPU_NEON) /* part of the architecture */
        return true;
#endif
    return level == XC_CPU_C;
}

#define INIT_LEVEL(name)                                                                           \
    do {                                                                                           \
        xc_predict_init_##name(dsp);                                                               \
        xc_transform_init_##name(dsp);                                                             \
        xc_loopfilter_init_##name(dsp);                                                            \
        xc_measure_init_##name(dsp);                                                               \
    } while (0)

void xc_dsp_init_level(struct xc_dsp *dsp, enum xc_cpu level)
{
    INIT_LEVEL(c);
#ifdef XC_X86
    if (level == XC_CPU_SSE2)
        INIT_LEVEL(sse2);
    else if (level == XC_CPU_SSSE3)
        INIT_LEVEL(ssse3);
    else if (level == XC_CPU_AVX2)
        INIT_LEVEL(avx2);
#endif
#ifdef XC_ARM64
    if (level == XC_CPU_NEON)
        INIT_LEVEL(neon);
#endif
}

void xc_dsp_init(struct xc_dsp *dsp)
{
    enum xc_cpu best = XC_CPU_C;
    for (enum xc_cpu level = XC_CPU_C; level < XC_CPU_LEVELS; level++)
        if (xc_cpu_has(level))
            best = level;
    xc_dsp_init_level(dsp, best);
}
