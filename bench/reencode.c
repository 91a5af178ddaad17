/*
 * Encoding a frame for a given state, beside libvpx coding the same frame from the same state, on one core:
 *
 *     bench_reencode FILM LEVEL [EFFORT]
 *
 * libvpx encodes the film as the encode job's tasks have it (good quality, cpu-used 0, tuned for SSIM), all
 * at quantizer level LEVEL, [0, 63]. At 20 frames spread over the film it is timed, and xc_encode encodes the
 * same picture at three quantizers against the state that libvpx's stream leaves before it, with all three
 * references. Time and bytes at the SSIM of libvpx's frame lie between those of the three: linear over luma
 * SSIM in dB, bytes by their logarithm. Prints the frames, and the ratios of the sums.
 */
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "encode/levels.h"
#include "encode/vpx_encoder.h"
#include "excamera/vp8.h"
#include "media/input.h"
#include "media/quality.h"
#include "must.h"

enum { SAMPLES = 20, QUANTIZERS = 3, MOST_QUANTIZER = 127, MOST_EFFORT = 2 };

/* What a frame comes to. */
struct figures {
    double seconds, bytes, ssim; /* the last in dB */
};

struct bench {
    int level, effort;
    struct xc_context *context;
    struct vpx_encoder *peer;
    struct xc_state *state; /* of the peer's stream, before the next frame */
    struct figures peers, ours;
    int compared;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static double ssim_of(const struct xc_picture *picture, const struct xc_picture *raw)
{
    struct quality quality = {0};
    struct xc_view a = xc_picture_view(picture), b = xc_picture_view(raw);
    quality_add(&quality, &a, &b);
    return quality_ssim_db(&quality, 0);
}

/* Pictures of the film. */
static int64_t count_pictures(const char *film)
{
    struct input *input;
    struct xc_picture *picture;
    struct error error;
    int64_t count = 0, time_stamp;
    MUST(input_open(film, &input, &error) >= 0);
    while (input_read(input, &picture, &time_stamp, &error) == 1) {
        xc_picture_unref(picture);
        count++;
    }
    input_close(input);
    return count;
}

/* Encodes the next picture of the stream; *after is the state behind it. */
static struct figures encode_by_libvpx(struct bench *bench, const struct xc_picture *raw,
                                       struct xc_state **after)
{
    struct error error;
    const uint8_t *data;
    size_t size;
    struct xc_picture *shown;
    double begin = now();
    MUST(vpx_encoder_encode(bench->peer, raw, bench->level, &data, &size, &error) >= 0);
    double end = now();
    MUST(xc_decode(bench->context, bench->state, data, size, after, &shown) == XC_OK);
    struct figures figures = {end - begin, (double)size, ssim_of(shown, raw)};
    xc_picture_unref(shown);
    return figures;
}

static struct figures encode(const struct bench *bench, const struct xc_picture *raw, int quantizer)
{
    struct xc_encode_parameters parameters = {.quantizer = quantizer,
                                              .refresh = XC_REFERENCE_BIT(XC_LAST),
                                              .effort = bench->effort,
                                              .rate_weight = LEVELS_RATE_WEIGHT};
    struct xc_buffer frame = {0};
    struct xc_state *after;
    double begin = now();
    MUST(xc_encode(bench->context, bench->state, raw, &parameters, &frame, &after) == XC_OK);
    double end = now();
    struct figures figures = {end - begin, (double)frame.size,
                              ssim_of(xc_state_reference(after, XC_LAST), raw)};
    xc_state_unref(after);
    xc_buffer_free(&frame);
    return figures;
}

/* Those at `ssim`, which two neighbours of `made` (of falling SSIM) enclose; false where none do. */
static bool interpolate(const struct figures made[QUANTIZERS], double ssim, struct figures *result)
{
    for (int i = 0; i + 1 < QUANTIZERS; i++) {
        const struct figures *a = &made[i], *b = &made[i + 1];
        if (a->ssim < ssim || b->ssim > ssim)
            continue;
        double share = a->ssim > b->ssim ? (a->ssim - ssim) / (a->ssim - b->ssim) : 0;
        result->ssim = ssim;
        result->seconds = a->seconds + share * (b->seconds - a->seconds);
        result->bytes = a->bytes * pow(b->bytes / a->bytes, share);
        return true;
    }
    return false;
}

static void add(struct figures *sum, const struct figures *figures)
{
    sum->seconds += figures->seconds;
    sum->bytes += figures->bytes;
}

/* Encodes the picture against the state before it at three quantizers around libvpx's. */
static void compare(struct bench *bench, int64_t number, const struct xc_picture *raw,
                    const struct figures *peer)
{
    int index = levels_index(bench->level);
    const int quantizers[QUANTIZERS] = {index - index / 4 - 2, index, index + index / 2 + 3};
    struct figures made[QUANTIZERS], ours;
    for (int i = 0; i < QUANTIZERS; i++) {
        int quantizer = quantizers[i] < 0 ? 0 : quantizers[i];
        made[i] = encode(bench, raw, quantizer < MOST_QUANTIZER ? quantizer : MOST_QUANTIZER);
    }
    printf("frame %4d: libvpx %7.1f ms %7.0f bytes, SSIM %.2f dB; ", (int)number,
           peer->seconds * 1e3, peer->bytes, peer->ssim);
    if (!interpolate(made, peer->ssim, &ours)) {
        printf("ours lie from %.2f to %.2f dB\n", made[QUANTIZERS - 1].ssim, made[0].ssim);
        return;
    }
    printf("xc_encode %7.1f ms %7.0f bytes: %.2f, %+.1f %%\n", ours.seconds * 1e3, ours.bytes,
           ours.seconds / peer->seconds, 100 * (ours.bytes / peer->bytes - 1));
    add(&bench->peers, peer);
    add(&bench->ours, &ours);
    bench->compared++;
}

/* The sampled frames are in the middles of as many equal parts of the film. */
static bool is_sample(int64_t number, int64_t pictures)
{
    for (int i = 0; i < SAMPLES; i++)
        if (number > 0 && number == (2 * i + 1) * pictures / (2 * SAMPLES))
            return true;
    return false;
}

static void run(struct bench *bench, const char *film)
{
    struct input *input;
    struct xc_picture *raw;
    struct error error;
    int64_t pictures = count_pictures(film), time_stamp;
    MUST(input_open(film, &input, &error) >= 0);
    const struct video_format *format = &input_info(input)->format;
    MUST(vpx_encoder_open(format->width, format->height, 0, &bench->peer, &error) >= 0);
    for (int64_t i = 0; i < pictures; i++) {
        struct xc_state *after;
        MUST(input_read(input, &raw, &time_stamp, &error) == 1);
        struct figures peer = encode_by_libvpx(bench, raw, &after);
        if (is_sample(i, pictures))
            compare(bench, i, raw, &peer);
        xc_picture_unref(raw);
        xc_state_unref(bench->state);
        bench->state = after;
    }
    xc_state_unref(bench->state);
    vpx_encoder_close(bench->peer);
    input_close(input);
}

/* [0, most], or -1. */
static int number(const char *text, int most)
{
    char *end;
    long value = strtol(text, &end, 10);
    return end == text || *end || value < 0 || value > most ? -1 : (int)value;
}

int main(int argc, char **argv)
{
    struct bench bench = {0};
    if (argc >= 3)
        bench.level = number(argv[2], LEVELS_MAX);
    if (argc == 4)
        bench.effort = number(argv[3], MOST_EFFORT);
    if (argc < 3 || argc > 4 || bench.level < 0 || bench.effort < 0) {
        fprintf(stderr, "usage: bench_reencode FILM LEVEL [EFFORT]\n");
        return EXIT_FAILURE;
    }
    bench.context = xc_context_new();
    MUST(bench.context != NULL);
    run(&bench, argv[1]);
    MUST(bench.compared > 0);
    printf(
        "%s, level %d, effort %d: %d frames; xc_encode takes %.2f times libvpx's time (%.1f ms a "
        "frame) for %+.1f %% bytes at equal SSIM\n",
        argv[1], bench.level, bench.effort, bench.compared,
        bench.ours.seconds / bench.peers.seconds, bench.ours.seconds / bench.compared * 1e3,
        100 * (bench.ours.bytes / bench.peers.bytes - 1));
    xc_context_free(bench.context);
    return 0;
}
