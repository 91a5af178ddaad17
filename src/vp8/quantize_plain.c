#include "vp8/quantize_plain.h"

#include <string.h>

#include "vp8/tables.h"

/* In 1/256 of a step: magnitudes are rounded up from two thirds on. */
enum { BIAS = 85 };

static void init_quantizer(struct xc_plain_quantizer *plain, const struct xc_quantizer *quantizer)
{
    for (int i = 0; i < 16; i++) {
        int step = quantizer->step[i > 0];
        plain->step[i] = (int16_t)step;
        plain->inverse[i] = (uint16_t)((65536 + step - 1) / step);
        plain->bias[i] = (uint16_t)(step * BIAS / 256);
    }
}

void xc_plain_quantizers_init(struct xc_plain_quantizers *plain,
                              const struct xc_quantizers *quantizers)
{
    for (int type = 0; type < BLOCK_TYPES; type++)
        init_quantizer(&plain->of[type], &quantizers->of[type]);
}

/* As in struct mb_coefficients. */
static int end_of_levels(const int16_t level[16], int first)
{
    int end = 16;
    while (end > first && level[xc_zigzag[end - 1]] == 0)
        end--;
    return end > first ? end : 0;
}

/* Sets all 16 levels, and what they dequantize to. */
static void quantize(const struct xc_plain_quantizer *plain, const int16_t coefficient[16],
                     int16_t level[16], int16_t made[16])
{
    for (int i = 0; i < 16; i++) {
        int16_t sign = (int16_t)(coefficient[i] >> 15);
        uint16_t magnitude = (uint16_t)((coefficient[i] ^ sign) - sign);
        uint16_t raised = (uint16_t)(magnitude + plain->bias[i]);
        int16_t value = (int16_t)((uint32_t)raised * plain->inverse[i] >> 16);
        value = value < XC_MAX_LEVEL ? value : XC_MAX_LEVEL;
        level[i] = (int16_t)((value ^ sign) - sign);
        made[i] = (int16_t)(level[i] * plain->step[i]);
    }
}

struct xc_block_result xc_quantize_plain(const struct xc_plain_quantizers *plain,
                                         const struct xc_token_costs *costs, enum block_type type,
                                         int context, const int16_t coefficient[16],
                                         int16_t dequantized[16])
{
    struct xc_block_result result;
    int first = xc_first_position(type);
    int16_t level[16], made[16];
    quantize(&plain->of[type], coefficient, level, made);
    memcpy(dequantized + first, made + first, (16 - (size_t)first) * sizeof *made);
    result.end = end_of_levels(level, first);
    result.rate = xc_block_rate(costs, type, context, level, result.end);
    result.distortion = xc_block_distortion(coefficient, dequantized, first);
    return result;
}
