/* Fills the kernel table. */
#include "vp8/dsp/dsp.h"

#include "vp8/dsp/dsp_c.h"

void xc_dsp_init_c(struct xc_dsp *dsp)
{
    xc_predict_init_c(dsp);
    xc_transform_init_c(dsp);
    xc_loopfilter_init_c(dsp);
    xc_measure_init_c(dsp);
}

void xc_dsp_init(struct xc_dsp *dsp)
{
    xc_dsp_init_c(dsp);
}
