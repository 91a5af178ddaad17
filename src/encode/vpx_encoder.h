/* The production encoder: libvpx's VP8 encoder, with every decision that is ours taken from it. */
#ifndef ENCODE_VPX_ENCODER_H
#define ENCODE_VPX_ENCODER_H

#include <stddef.h>
#include <stdint.h>

#include "excamera/vp8.h"
#include "util/error.h"

struct vpx_encoder;

/* libvpx's speed: 0 is the slowest and best. Against 3 it takes half as long again and saves 5 % of
 * the bits; whoever wants the film sooner adds workers. */
#define VPX_ENCODER_DEFAULT 0
#define VPX_ENCODER_FASTEST 16

/* An encoder of pictures of one size. `cpu_used` in [0, VPX_ENCODER_FASTEST]: libvpx's speed, 0 is
 * the slowest and best. It runs in the calling thread alone, since libvpx's output depends on its
 * number of threads; it makes one packet a picture, at once, none hidden. */
int vpx_encoder_open(int width, int height, int cpu_used, struct vpx_encoder **encoder,
                     struct error *error);

/* Encodes the next picture with exactly the quantizer of `level` (levels.h). The first frame is a
 * key frame, no other is. `*data` belongs to the encoder and holds until the next call. */
int vpx_encoder_encode(struct vpx_encoder *encoder, const struct xc_picture *picture, int level,
                       const uint8_t **data, size_t *size, struct error *error);

void vpx_encoder_close(struct vpx_encoder *encoder); /* NULL is allowed */

#endif
