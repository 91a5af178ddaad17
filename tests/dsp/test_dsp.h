/* What the tests and the benchmark of the kernels share. */
#ifndef TESTS_DSP_TEST_DSP_H
#define TESTS_DSP_TEST_DSP_H

#include "vp8/dsp/dsp.h"

/* Prints nanoseconds per call of every kernel at every level that this CPU has, and how many times as
 * fast as C the best is. */
void bench_levels(void);

#endif
