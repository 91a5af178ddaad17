/* What the tests and the benchmark of the kernels share. */
#ifndef TESTS_DSP_TEST_DSP_H
#define TESTS_DSP_TEST_DSP_H

#include "vp8/dsp/dsp.h"

/* An instruction set's kernels; every level is held against the reference and so against C. */
struct level {
    const char *name;
    void (*init)(struct xc_dsp *dsp);
};

/* Prints nanoseconds per call of every kernel, a column for each level. */
void bench_levels(const struct level *levels, int count);

#endif
