/*
 * The codec's speed beside libvpx's, both in this process, on one core:
 *
 *     bench_codec STREAM.ivf RAW.y4m [CPU LEVEL [THREADS]]
 *
 * STREAM is what an encoder made of RAW: a key frame, then inter frames, all of them shown. Five times in turns:
 * libvpx decodes the stream, xc_decode does, and its inter frames are rebased along a chain of their own, which
 * begins with the first picture coded coarser. Prints the medians of the CPU time of a frame, with what of a
 * rebase is not the same as in libvpx's decoding as a ratio to that; and of a rebase by so many threads (1, where not said)
 * the time by the clock of what a chain waits for, which is all but parsing and writing.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <vpx/vp8dx.h>
#include <vpx/vpx_decoder.h>

#include "excamera/vp8.h"
#include "media/packet.h"
#include "media/y4m.h"
#include "must.h"

enum { RUNS = 5, MOST_FRAMES = 1000, COARSER = 12, MOST_QUANTIZER = 127 };

struct stream {
    int frames;
    struct xc_buffer frame[MOST_FRAMES];
    struct xc_picture *raw[MOST_FRAMES];
    struct xc_context *context;
    size_t bytes, rebased_bytes; /* the latter of a frame */
};

static double now(clockid_t clock)
{
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
}

static void load(struct stream *stream, const char *ivf, const char *y4m)
{
    struct error error;
    struct packet_reader *packets;
    struct y4m_reader *pictures;
    struct xc_buffer *frame = stream->frame;
    MUST(packet_open(ivf, &packets, &error) >= 0 && y4m_open(y4m, &pictures, &error) >= 0);
    while (packet_read(packets, frame, &error) == 1) {
        MUST(stream->frames < MOST_FRAMES - 1);
        MUST(y4m_read(pictures, &stream->raw[stream->frames], &error) == 1);
        stream->bytes += frame->size;
        frame = &stream->frame[++stream->frames];
    }
    packet_close(packets);
    y4m_close(pictures);
    MUST(stream->frames > 1);
}

/* Each returns the seconds of CPU time that all frames took. */

static double decode_by_libvpx(const struct stream *stream)
{
    vpx_codec_dec_cfg_t configuration = {.threads = 1};
    vpx_codec_ctx_t codec;
    MUST(vpx_codec_dec_init(&codec, vpx_codec_vp8_dx(), &configuration, 0) == VPX_CODEC_OK);
    double begin = now(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < stream->frames; i++) {
        vpx_codec_iter_t iterator = NULL;
        MUST(vpx_codec_decode(&codec, stream->frame[i].data, (unsigned)stream->frame[i].size, NULL,
                              0) == VPX_CODEC_OK);
        MUST(vpx_codec_get_frame(&codec, &iterator) != NULL);
    }
    double end = now(CLOCK_PROCESS_CPUTIME_ID);
    vpx_codec_destroy(&codec);
    return end - begin;
}

static double decode(const struct stream *stream)
{
    struct xc_state *state = NULL;
    double begin = now(CLOCK_PROCESS_CPUTIME_ID);
    for (int i = 0; i < stream->frames; i++) {
        struct xc_state *after;
        struct xc_picture *shown;
        MUST(xc_decode(stream->context, state, stream->frame[i].data, stream->frame[i].size, &after,
                       &shown) == XC_OK);
        xc_picture_unref(shown);
        xc_state_unref(state);
        state = after;
    }
    double end = now(CLOCK_PROCESS_CPUTIME_ID);
    xc_state_unref(state);
    return end - begin;
}

/* Another state than the one after a key frame, as a chunk finds one before it. */
static struct xc_state *coarse_start(const struct stream *stream, int key_frame)
{
    const struct xc_buffer *original = &stream->frame[key_frame];
    struct xc_frame_info info;
    struct xc_state *state;
    struct xc_buffer frame = {0};
    MUST(xc_inspect(stream->context, NULL, original->data, original->size, &info) == XC_OK);
    int quantizer = info.quantizer + COARSER;
    struct xc_encode_parameters parameters = {
        .quantizer = quantizer < MOST_QUANTIZER ? quantizer : MOST_QUANTIZER, .effort = 2};
    MUST(xc_encode(stream->context, NULL, stream->raw[key_frame], &parameters, &frame, &state) ==
         XC_OK);
    xc_buffer_free(&frame);
    return state;
}

static bool is_key_frame(const struct xc_buffer *frame)
{
    struct xc_frame_tag tag;
    MUST(xc_frame_tag(frame->data, frame->size, &tag) == XC_OK);
    return tag.key_frame;
}

static void move_on(struct xc_state **state, struct xc_state *after)
{
    xc_state_unref(*state);
    *state = after;
}

/* The state after a frame whose plan is made beforehand; adds the seconds by the clock that making it took. */
static struct xc_state *planned(const struct stream *stream, int index, const struct xc_state *onto,
                                const struct xc_state *made_for, double *seconds)
{
    struct xc_rebase_parameters parameters = {.quantizer = -1};
    const struct xc_buffer *original = &stream->frame[index];
    struct xc_plan *plan;
    struct xc_state *after;
    MUST(xc_plan_rebase(stream->context, stream->raw[index], original->data, original->size,
                        made_for, &parameters, &plan) == XC_OK);
    double begin = now(CLOCK_MONOTONIC);
    MUST(xc_rebase_planned(stream->context, onto, plan, &after) == XC_OK);
    *seconds += now(CLOCK_MONOTONIC) - begin;
    xc_plan_free(plan);
    return after;
}

/* Seconds for each of the inter frames; `waited` those that a chain waits for, by the clock. */
static double rebase(struct stream *stream, double *waited)
{
    struct xc_rebase_parameters parameters = {.quantizer = -1};
    struct xc_state *state = NULL, *made_for = NULL, *after;
    struct xc_buffer frame = {0};
    double seconds = 0;
    int rebased = 0;
    *waited = 0;
    stream->rebased_bytes = 0;
    for (int i = 0; i < stream->frames; i++) {
        const struct xc_buffer *original = &stream->frame[i];
        if (is_key_frame(original)) {
            after = coarse_start(stream, i);
        } else {
            double begin = now(CLOCK_PROCESS_CPUTIME_ID);
            MUST(xc_rebase(stream->context, state, stream->raw[i], original->data, original->size,
                           made_for, &parameters, &frame, &after) == XC_OK);
            seconds += now(CLOCK_PROCESS_CPUTIME_ID) - begin;
            stream->rebased_bytes += frame.size;
            xc_state_unref(after);
            after = planned(stream, i, state, made_for, waited);
            rebased++;
        }
        move_on(&state, after);
        MUST(xc_parse(stream->context, made_for, original->data, original->size, &after) == XC_OK);
        move_on(&made_for, after);
    }
    xc_state_unref(state);
    xc_state_unref(made_for);
    xc_buffer_free(&frame);
    MUST(rebased > 0);
    stream->rebased_bytes /= (size_t)rebased;
    *waited /= rebased;
    return seconds / rebased;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values)
{
    qsort(values, RUNS, sizeof *values, by_size);
    return values[RUNS / 2];
}

int main(int argc, char **argv)
{
    static struct stream stream;
    double peer[RUNS], decoded[RUNS], rebased[RUNS], waited[RUNS];
    int threads = argc == 5 ? atoi(argv[4]) : 1;
    if (argc < 3 || argc > 5) {
        fprintf(stderr, "usage: bench_codec STREAM.ivf RAW.y4m [CPU LEVEL [THREADS]]\n");
        return EXIT_FAILURE;
    }
    stream.context = xc_context_new();
    MUST(stream.context != NULL);
    MUST(argc < 4 || xc_context_set_cpu(stream.context, argv[3]) == XC_OK);
    MUST(xc_context_set_threads(stream.context, threads) == XC_OK);
    load(&stream, argv[1], argv[2]);
    for (int run = 0; run < RUNS; run++) {
        peer[run] = decode_by_libvpx(&stream) / stream.frames * 1e3;
        decoded[run] = decode(&stream) / stream.frames * 1e3;
        rebased[run] = rebase(&stream, &waited[run]) * 1e3;
        waited[run] *= 1e3;
    }
    double libvpx = median(peer), ours = median(decoded), chain = median(rebased);
    printf("%s: %d frames of %zu bytes; libvpx decodes one in %.2f ms, xc_decode in %.2f: %.2f "
           "times its "
           "speed; xc_rebase takes %.2f ms: %.2f times that (%zu bytes); on %d threads a chain "
           "waits %.2f ms\n",
           argv[1], stream.frames, stream.bytes / (size_t)stream.frames, libvpx, ours,
           libvpx / ours, chain, chain / libvpx, stream.rebased_bytes, threads, median(waited));
    for (int i = 0; i < stream.frames; i++) {
        xc_buffer_free(&stream.frame[i]);
        xc_picture_unref(stream.raw[i]);
    }
    xc_context_free(stream.context);
    return 0;
}
