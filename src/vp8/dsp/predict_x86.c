#include "vp8/dsp/dsp_x86.h"
#include <immintrin.h>

void XC_AT_LEVEL(xc_predict_init)(struct xc_dsp *dsp)
{
}
