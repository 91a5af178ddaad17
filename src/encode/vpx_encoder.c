#include "encode/vpx_encoder.h"

#include <errno.h>
#include <stdlib.h>
#include <vpx/vp8cx.h>
#include <vpx/vpx_encoder.h>

struct vpx_encoder {
    vpx_codec_ctx_t codec;
    vpx_codec_enc_cfg_t configuration;
    int64_t frames; /* encoded so far */
};

static int vpx_error(struct vpx_encoder *encoder, const char *what, struct error *error)
{
    const char *detail = vpx_codec_error_detail(&encoder->codec);
    return error_set(error, -EINVAL, "libvpx cannot %s: %s%s%s", what,
                     vpx_codec_error(&encoder->codec), detail ? ": " : "", detail ? detail : "");
}

/* VBR with a rate that is never reached and one quantizer as both bounds: libvpx has nothing left
 * to choose. Its constant-quality modes would give a short chunk a nearly lossless key frame. */
static void configure(vpx_codec_enc_cfg_t *configuration, int width, int height)
{
    configuration->g_w = (unsigned)width;
    configuration->g_h = (unsigned)height;
    configuration->g_threads = 1;
    configuration->g_timebase.num = 1;
    configuration->g_timebase.den = 30; /* one tick a frame; the real times are the container's */
    configuration->g_lag_in_frames = 0;
    configuration->g_pass = VPX_RC_ONE_PASS;
    configuration->g_error_resilient = 0;
    configuration->kf_mode = VPX_KF_DISABLED;
    configuration->rc_dropframe_thresh = 0;
    configuration->rc_resize_allowed = 0;
    configuration->rc_end_usage = VPX_VBR;
    configuration->rc_target_bitrate =
        4000000; /* kbit/s, the most that libvpx computes with safely */
}

static int control(struct vpx_encoder *encoder, int cpu_used)
{
    vpx_codec_ctx_t *codec = &encoder->codec;
    /* Tuned for SSIM, the measure of quality that this project reports and is judged by. */
    return vpx_codec_control(codec, VP8E_SET_CPUUSED, cpu_used) ||
           vpx_codec_control(codec, VP8E_SET_TUNING, VP8_TUNE_SSIM) ||
           vpx_codec_control(codec, VP8E_SET_ENABLEAUTOALTREF, 0) ||
           vpx_codec_control(codec, VP8E_SET_TOKEN_PARTITIONS, VP8_ONE_TOKENPARTITION) ||
           vpx_codec_control(codec, VP8E_SET_STATIC_THRESHOLD, 0);
}

int vpx_encoder_open(int width, int height, int cpu_used, struct vpx_encoder **result,
                     struct error *error)
{
    *result = NULL;
    struct vpx_encoder *encoder = calloc(1, sizeof *encoder);
    if (encoder == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = 0;
    if (vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &encoder->configuration, 0)) {
        code = error_set(error, -ENOSYS, "this libvpx has no VP8 encoder");
        goto fail;
    }
    configure(&encoder->configuration, width, height);
    if (vpx_codec_enc_init(&encoder->codec, vpx_codec_vp8_cx(), &encoder->configuration, 0)) {
        code = vpx_error(encoder, "start its VP8 encoder", error);
        goto fail;
    }
    if (control(encoder, cpu_used)) {
        code = vpx_error(encoder, "set up its VP8 encoder", error);
        vpx_codec_destroy(&encoder->codec);
        goto fail;
    }
    *result = encoder;
    return 0;
fail:
    free(encoder);
    return code;
}

/* libvpx only reads the planes, though its type does not say so. */
static vpx_image_t image_of(const struct xc_picture *picture)
{
    struct xc_view view = xc_picture_view(picture);
    vpx_image_t image = {
        .fmt = VPX_IMG_FMT_I420,
        .w = (unsigned)view.width,
        .h = (unsigned)view.height,
        .bit_depth = 8,
        .d_w = (unsigned)view.width,
        .d_h = (unsigned)view.height,
        .x_chroma_shift = 1,
        .y_chroma_shift = 1,
        .bps = 12,
    };
    for (int i = 0; i < 3; i++) {
        image.planes[i] = (unsigned char *)view.plane[i];
        image.stride[i] = (int)view.stride[i];
    }
    return image;
}

static int set_level(struct vpx_encoder *encoder, int level, struct error *error)
{
    vpx_codec_enc_cfg_t *configuration = &encoder->configuration;
    if (configuration->rc_min_quantizer == (unsigned)level &&
        configuration->rc_max_quantizer == (unsigned)level)
        return 0;
    configuration->rc_min_quantizer = configuration->rc_max_quantizer = (unsigned)level;
    if (vpx_codec_enc_config_set(&encoder->codec, configuration))
        return vpx_error(encoder, "change its quantizer", error);
    return 0;
}

int vpx_encoder_encode(struct vpx_encoder *encoder, const struct xc_picture *picture, int level,
                       const uint8_t **data, size_t *size, struct error *error)
{
    int code = set_level(encoder, level, error);
    if (code < 0)
        return code;
    vpx_image_t image = image_of(picture);
    if (vpx_codec_encode(&encoder->codec, &image, encoder->frames, 1, 0, VPX_DL_GOOD_QUALITY))
        return vpx_error(encoder, "encode a frame", error);
    encoder->frames++;
    vpx_codec_iter_t iterator = NULL;
    const vpx_codec_cx_pkt_t *packet;
    while ((packet = vpx_codec_get_cx_data(&encoder->codec, &iterator)) != NULL) {
        if (packet->kind != VPX_CODEC_CX_FRAME_PKT)
            continue;
        *data = packet->data.frame.buf;
        *size = packet->data.frame.sz;
        return 0;
    }
    return error_set(error, -EIO, "libvpx gave no packet for a frame");
}

void vpx_encoder_close(struct vpx_encoder *encoder)
{
    if (encoder == NULL)
        return;
    vpx_codec_destroy(&encoder->codec);
    free(encoder);
}
