/* Inverse and forward transforms in C (RFC 6386 section 14). */
#include "vp8/dsp/dsp_c.h"

/* ---- Inverse ------------------------------------------------------------------------------- */

/* sqrt(2) * sin(pi / 8) and sqrt(2) * cos(pi / 8) in 1/65536, the latter less one. */
enum { SINE = 35468, COSINE_LESS_ONE = 20091 };

static inline int times_sine(int x)
{
    return (x * SINE) >> 16;
}

static inline int times_cosine(int x)
{
    return x + ((x * COSINE_LESS_ONE) >> 16);
}

/* RFC 6386 section 14.3: columns, then rows. Between the passes values are kept in 16 bits, which
 * decoders rely on for coefficients that no encoder makes. */
static void inverse_dct_add(const int16_t coefficient[16], uint8_t *to, ptrdiff_t stride)
{
    int16_t between[16];
    for (int i = 0; i < 4; i++) {
        int c0 = coefficient[i], c1 = coefficient[4 + i];
        int c2 = coefficient[8 + i], c3 = coefficient[12 + i];
        int a = c0 + c2, b = c0 - c2;
        int c = times_sine(c1) - times_cosine(c3);
        int d = times_cosine(c1) + times_sine(c3);
        between[i] = (int16_t)(a + d);
        between[4 + i] = (int16_t)(b + c);
        between[8 + i] = (int16_t)(b - c);
        between[12 + i] = (int16_t)(a - d);
    }
    for (int row = 0; row < 4; row++) {
        const int16_t *in = between + 4 * row;
        uint8_t *out = to + row * stride;
        int a = in[0] + in[2] + 4, b = in[0] - in[2] + 4;
        int c = times_sine(in[1]) - times_cosine(in[3]);
        int d = times_cosine(in[1]) + times_sine(in[3]);
        out[0] = clamp_to_sample(out[0] + ((a + d) >> 3));
        out[1] = clamp_to_sample(out[1] + ((b + c) >> 3));
        out[2] = clamp_to_sample(out[2] + ((b - c) >> 3));
        out[3] = clamp_to_sample(out[3] + ((a - d) >> 3));
    }
}

static void inverse_dct_add_dc(int dc, uint8_t *to, ptrdiff_t stride)
{
    int value = (dc + 4) >> 3;
    for (int row = 0; row < 4; row++)
        for (int i = 0; i < 4; i++)
            to[row * stride + i] = clamp_to_sample(to[row * stride + i] + value);
}

static void inverse_dct_add_dc4(const int16_t dc[4], uint8_t *to, ptrdiff_t stride)
{
    for (int i = 0; i < 4; i++)
        inverse_dct_add_dc(dc[i], to + 4 * i, stride);
}

/* RFC 6386 section 14.3: the Walsh-Hadamard transform of the luma DCs. */
static void inverse_wht(const int16_t input[16], int16_t dc[16])
{
    int16_t between[16];
    for (int i = 0; i < 4; i++) {
        int a = input[i] + input[12 + i], d = input[i] - input[12 + i];
        int b = input[4 + i] + input[8 + i], c = input[4 + i] - input[8 + i];
        between[i] = (int16_t)(a + b);
        between[4 + i] = (int16_t)(d + c);
        between[8 + i] = (int16_t)(a - b);
        between[12 + i] = (int16_t)(d - c);
    }
    for (int row = 0; row < 4; row++) {
        const int16_t *in = between + 4 * row;
        int16_t *out = dc + 4 * row;
        int a = in[0] + in[3] + 3, d = in[0] - in[3] + 3;
        int b = in[1] + in[2], c = in[1] - in[2];
        out[0] = (int16_t)((a + b) >> 3);
        out[1] = (int16_t)((d + c) >> 3);
        out[2] = (int16_t)((a - b) >> 3);
        out[3] = (int16_t)((d - c) >> 3);
    }
}

/* ---- Forward ------------------------------------------------------------------------------- */

/* sqrt(2) * cos(pi / 8) / 4096 is 5352 and sqrt(2) * sin(pi / 8) / 4096 is 2217. The rounding terms
 * make up for the inverse transform's truncations; the encoders in the field use the same. */
enum { FORWARD_COSINE = 5352, FORWARD_SINE = 2217 };

static void forward_dct(const uint8_t *source, ptrdiff_t source_stride, const uint8_t *prediction,
                        ptrdiff_t prediction_stride, int16_t coefficient[16])
{
    int between[16];
    for (int row = 0; row < 4; row++) {
        const uint8_t *s = source + row * source_stride;
        const uint8_t *p = prediction + row * prediction_stride;
        int r0 = s[0] - p[0], r1 = s[1] - p[1], r2 = s[2] - p[2], r3 = s[3] - p[3];
        int a = (r0 + r3) * 8, b = (r1 + r2) * 8, c = (r1 - r2) * 8, d = (r0 - r3) * 8;
        between[4 * row] = a + b;
        between[4 * row + 1] = (c * FORWARD_SINE + d * FORWARD_COSINE + 14500) >> 12;
        between[4 * row + 2] = a - b;
        between[4 * row + 3] = (d * FORWARD_SINE - c * FORWARD_COSINE + 7500) >> 12;
    }
    for (int i = 0; i < 4; i++) {
        int a = between[i] + between[12 + i], b = between[4 + i] + between[8 + i];
        int c = between[4 + i] - between[8 + i], d = between[i] - between[12 + i];
        coefficient[i] = (int16_t)((a + b + 7) >> 4);
        coefficient[4 + i] =
            (int16_t)(((c * FORWARD_SINE + d * FORWARD_COSINE + 12000) >> 16) + (d != 0));
        coefficient[8 + i] = (int16_t)((a - b + 7) >> 4);
        coefficient[12 + i] = (int16_t)((d * FORWARD_SINE - c * FORWARD_COSINE + 51000) >> 16);
    }
}

XC_MAKE_FORWARD_DCT4

/* x / 8 rounded to the nearest, halves towards zero. */
static inline int16_t eighth(int x)
{
    return (int16_t)((x + (x < 0) + 3) >> 3);
}

static void forward_wht(const int16_t *coefficient, int16_t output[16])
{
    int between[16];
    for (int row = 0; row < 4; row++) {
        const int16_t *in = coefficient + 64 * row;
        int a = (in[0] + in[32]) * 4, b = (in[0] - in[32]) * 4;
        int c = (in[16] - in[48]) * 4, d = (in[16] + in[48]) * 4;
        between[4 * row] = a + d + (a != 0);
        between[4 * row + 1] = b + c;
        between[4 * row + 2] = b - c;
        between[4 * row + 3] = a - d;
    }
    for (int i = 0; i < 4; i++) {
        int a = between[i] + between[8 + i], b = between[i] - between[8 + i];
        int c = between[4 + i] - between[12 + i], d = between[4 + i] + between[12 + i];
        output[i] = eighth(a + d);
        output[4 + i] = eighth(b + c);
        output[8 + i] = eighth(b - c);
        output[12 + i] = eighth(a - d);
    }
}

static uint32_t coded_blocks(const int16_t *coefficient, int count, const int16_t least[16])
{
    uint32_t mask = 0;
    for (int i = 0; i < count; i++, coefficient += 16) {
        int16_t any = 0;
        XC_KEEP_LOOP
        for (int j = 0; j < 16; j++) {
            int16_t value = coefficient[j], opposite = (int16_t)-value;
            int16_t magnitude = value > opposite ? value : opposite;
            any |= magnitude >= least[j] ? -1 : 0;
        }
        mask |= (uint32_t)(any != 0) << i;
    }
    return mask;
}

void xc_inverse_dct_add_c(const int16_t coefficient[16], uint8_t *to, ptrdiff_t stride)
{
    inverse_dct_add(coefficient, to, stride);
}

void xc_inverse_wht_c(const int16_t input[16], int16_t dc[16])
{
    inverse_wht(input, dc);
}

void xc_transform_init_c(struct xc_dsp *dsp)
{
    XC_SET_TRANSFORMS(dsp);
}
