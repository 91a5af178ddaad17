#include "vp8/steps.h"

#include "vp8/tables.h"

static int clamp_index(int index)
{
    return index < 0 ? 0 : index > 127 ? 127 : index;
}

static int16_t dc_step(int index)
{
    return xc_dc_steps[clamp_index(index)];
}

static int16_t ac_step(int index)
{
    return (int16_t)xc_ac_steps[clamp_index(index)];
}

static int base_index(const struct frame_header *header, int segment)
{
    const struct segmentation *segmentation = &header->now.segmentation;
    int index = header->quantizer.y_ac;
    if (header->segmentation_enabled)
        index = segmentation->quantizer[segment] + (segmentation->absolute ? 0 : index);
    return clamp_index(index);
}

void xc_steps_init(struct xc_steps *steps, const struct frame_header *header, int segment)
{
    const struct quantizer_indices *delta = &header->quantizer;
    int index = base_index(header, segment);
    steps->y.dc = dc_step(index + delta->y_dc);
    steps->y.ac = ac_step(index);
    steps->y2.dc = (int16_t)(2 * dc_step(index + delta->y2_dc));
    steps->y2.ac = (int16_t)(ac_step(index + delta->y2_ac) * 155 / 100);
    if (steps->y2.ac < 8)
        steps->y2.ac = 8;
    steps->chroma.dc = dc_step(index + delta->uv_dc);
    if (steps->chroma.dc > 132)
        steps->chroma.dc = 132;
    steps->chroma.ac = ac_step(index + delta->uv_ac);
}
