#include "media/audio.h"

#include <errno.h>
#include <libavutil/audio_fifo.h>
#include <libavutil/channel_layout.h>
#include <libswresample/swresample.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "media/libav.h"

/* Time stamps that stray from the samples' count by less than this (20 ms) are rounding of the
 * container; by more, a gap or an overlap in the recording; by more than an hour, damage. */
#define JITTER (AUDIO_RATE / 50)
#define GREATEST_GAP (INT64_C(3600) * AUDIO_RATE)

/* Silence is put into gaps in pieces of at most this many samples. */
#define SILENCE_PIECE 4096

/* All positions and lengths are in samples of AUDIO_RATE, positions counted from the part's
 * start. */
struct audio {
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *decoder, *encoder;
    AVPacket *packet;
    AVFrame *frame;   /* decoded */
    bool frame_waits; /* `frame` is not resampled yet */
    struct SwrContext *resampler;
    AVFrame *resampler_kind; /* rate, layout and format that `resampler` takes */
    float *samples;          /* [sample][channel], out of the resampler */
    int samples_capacity;
    AVAudioFifo *fifo; /* on the way to the encoder */
    int64_t start;     /* of the film's part, on the source's clock */
    int64_t limit;     /* the part's end */
    int64_t position;  /* of the next sample out of the resampler */
    int64_t silence;   /* to come before that */
    int64_t to_drop;   /* of an overlap, still to be left out */
    int64_t encoded;   /* position of the next sample into the encoder */
    bool started;      /* `position` is known */
    bool fed;          /* `encoded` is known */
    bool source_ended; /* nothing more comes into the fifo */
};

const AVCodecContext *audio_encoder(const struct audio *audio)
{
    return audio->encoder;
}

/* Some containers tell the number of channels only; then they are the usual ones. */
static int name_layout(const AVChannelLayout *source, AVChannelLayout *named)
{
    if (source->order != AV_CHANNEL_ORDER_UNSPEC)
        return av_channel_layout_copy(named, source);
    av_channel_layout_uninit(named);
    av_channel_layout_default(named, source->nb_channels);
    return 0;
}

/* The layouts that Opus in WebM knows (RFC 7845 section 5.1.1.2), by number of channels; those
 * it does not know become stereo, but for ones that differ in where "surround" stands. */
static int choose_layout(const AVChannelLayout *source, AVChannelLayout *target)
{
    static const uint64_t known[] = {
        AV_CH_LAYOUT_MONO,    AV_CH_LAYOUT_STEREO,       AV_CH_LAYOUT_SURROUND,
        AV_CH_LAYOUT_QUAD,    AV_CH_LAYOUT_5POINT0_BACK, AV_CH_LAYOUT_5POINT1_BACK,
        AV_CH_LAYOUT_6POINT1, AV_CH_LAYOUT_7POINT1,
    };
    static const uint64_t side[][2] = {
        {AV_CH_LAYOUT_2_2, AV_CH_LAYOUT_QUAD},
        {AV_CH_LAYOUT_5POINT0, AV_CH_LAYOUT_5POINT0_BACK},
        {AV_CH_LAYOUT_5POINT1, AV_CH_LAYOUT_5POINT1_BACK},
    };
    uint64_t mask = source->order == AV_CHANNEL_ORDER_NATIVE ? source->u.mask : 0;
    uint64_t chosen = AV_CH_LAYOUT_STEREO;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (mask == known[i])
            chosen = mask;
    for (size_t i = 0; i < sizeof side / sizeof side[0]; i++)
        if (mask == side[i][0])
            chosen = side[i][1];
    if (source->nb_channels == 1)
        chosen = AV_CH_LAYOUT_MONO;
    return av_channel_layout_from_mask(target, chosen);
}

static int open_encoder(struct audio *audio, int bitrate, struct error *error)
{
    const AVCodec *codec = avcodec_find_encoder_by_name("libopus");
    if (!codec)
        return error_set(error, -ENOSYS, "libavcodec was built without libopus");
    AVCodecContext *encoder = audio->encoder = avcodec_alloc_context3(codec);
    if (!encoder)
        return error_set(error, -ENOMEM, "out of memory");
    AVChannelLayout source = {0};
    int result = name_layout(&audio->decoder->ch_layout, &source);
    if (result >= 0)
        result = choose_layout(&source, &encoder->ch_layout);
    av_channel_layout_uninit(&source);
    if (result < 0)
        return libav_error(error, result, "its channels cannot be told apart");
    int channels = encoder->ch_layout.nb_channels;
    encoder->sample_rate = AUDIO_RATE;
    encoder->sample_fmt = AV_SAMPLE_FMT_FLT;
    encoder->time_base = (AVRational){1, AUDIO_RATE};
    encoder->bit_rate = bitrate > 0 ? bitrate : 32000 * (1 + channels);
    encoder->flags |= AV_CODEC_FLAG_BITEXACT | AV_CODEC_FLAG_GLOBAL_HEADER;
    result = avcodec_open2(encoder, codec, NULL);
    if (result < 0)
        return libav_error(error, result, "cannot encode %d channels as Opus at %lld bit/s",
                           channels, (long long)encoder->bit_rate);
    audio->fifo = av_audio_fifo_alloc(AV_SAMPLE_FMT_FLT, channels, AUDIO_RATE);
    return audio->fifo ? 0 : error_set(error, -ENOMEM, "out of memory");
}

static int open_source(struct audio *audio, const char *path, struct error *error)
{
    int result = libav_open(path, &audio->format, error);
    if (result < 0)
        return result;
    int index = av_find_best_stream(audio->format, AVMEDIA_TYPE_AUDIO, -1, -1, NULL, 0);
    if (index < 0)
        return 0;
    audio->stream = audio->format->streams[index];
    return libav_open_decoder(audio->format, audio->stream, &audio->decoder, error);
}

static int open_audio(struct audio *audio, const char *path, int bitrate, struct error *error)
{
    audio->packet = av_packet_alloc();
    audio->frame = av_frame_alloc();
    audio->resampler_kind = av_frame_alloc();
    if (!audio->packet || !audio->frame || !audio->resampler_kind)
        return error_set(error, -ENOMEM, "out of memory");
    int result = open_source(audio, path, error);
    return result < 0 || !audio->stream ? result : open_encoder(audio, bitrate, error);
}

void audio_set_end(struct audio *audio, AVRational time_base, int64_t end)
{
    AVRational sample = {1, AUDIO_RATE};
    audio->limit =
        end == INT64_MAX ? INT64_MAX : av_rescale_q(end, time_base, sample) - audio->start;
}

int audio_open(const char *path, int bitrate, AVRational time_base, int64_t start, int64_t end,
               struct audio **opened, struct error *error)
{
    AVRational sample = {1, AUDIO_RATE};
    *opened = NULL;
    struct audio *audio = calloc(1, sizeof *audio);
    if (!audio)
        return error_set(error, -ENOMEM, "out of memory");
    audio->start = av_rescale_q(start, time_base, sample);
    audio_set_end(audio, time_base, end);
    int result = open_audio(audio, path, bitrate, error);
    if (result < 0) {
        error_prefix(error, "cannot take over the audio of %s (--no-audio leaves it out)", path);
        audio_close(audio);
        return error->code;
    }
    if (audio->stream)
        *opened = audio;
    else
        audio_close(audio);
    return 0;
}

static int64_t min64(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Puts `count` samples into the fifo, but for those that overlap what is there or lie outside the
 * part. */
static int append(struct audio *audio, const float *samples, int64_t count, struct error *error)
{
    int channels = audio->encoder->ch_layout.nb_channels;
    int64_t skipped = min64(count, audio->to_drop);
    audio->to_drop -= skipped;
    if (audio->position < 0) {
        int64_t early = min64(count - skipped, -audio->position);
        audio->position += early;
        skipped += early;
    }
    int64_t end = min64(audio->position + count - skipped, audio->limit);
    int64_t wanted = end - audio->position;
    if (wanted > 0) {
        if (!audio->fed)
            audio->encoded = audio->position;
        audio->fed = true;
        void *planes[] = {(void *)(samples + skipped * channels)};
        if (av_audio_fifo_write(audio->fifo, planes, (int)wanted) < wanted)
            return error_set(error, -ENOMEM, "out of memory");
    }
    audio->position += count - skipped;
    return 0;
}

static int append_silence(struct audio *audio, struct error *error)
{
    static const float zeros[SILENCE_PIECE * 8];
    int64_t piece = min64(audio->silence, SILENCE_PIECE);
    audio->silence -= piece;
    return append(audio, zeros, piece, error);
}

static int reserve_samples(struct audio *audio, int count, struct error *error)
{
    if (count <= audio->samples_capacity)
        return 0;
    int channels = audio->encoder->ch_layout.nb_channels;
    float *samples = av_realloc_array(audio->samples, (size_t)count * channels, sizeof *samples);
    if (!samples)
        return error_set(error, -ENOMEM, "out of memory");
    audio->samples = samples;
    audio->samples_capacity = count;
    return 0;
}

/* Resamples `frame`, or for NULL what the resampler still holds. */
static int resample(struct audio *audio, const AVFrame *frame, struct error *error)
{
    int count = frame ? frame->nb_samples : 0;
    int room = swr_get_out_samples(audio->resampler, count);
    int result = room < 0 ? room : reserve_samples(audio, room + 1, error);
    if (result < 0)
        return result == room ? libav_error(error, room, "cannot resample") : result;
    uint8_t *out[] = {(uint8_t *)audio->samples};
    int made = swr_convert(audio->resampler, out, audio->samples_capacity,
                           frame ? (const uint8_t **)frame->extended_data : NULL, count);
    if (made < 0)
        return libav_error(error, made, "cannot resample");
    return append(audio, audio->samples, made, error);
}

static int close_resampler(struct audio *audio, struct error *error)
{
    int result = audio->resampler ? resample(audio, NULL, error) : 0;
    swr_free(&audio->resampler);
    return result;
}

static bool takes(const struct audio *audio, const AVFrame *frame)
{
    const AVFrame *kind = audio->resampler_kind;
    return audio->resampler && kind->sample_rate == frame->sample_rate &&
           kind->format == frame->format &&
           av_channel_layout_compare(&kind->ch_layout, &frame->ch_layout) == 0;
}

static int open_resampler(struct audio *audio, const AVFrame *frame, struct error *error)
{
    AVFrame *kind = audio->resampler_kind;
    AVChannelLayout source = {0};
    kind->sample_rate = frame->sample_rate;
    kind->format = frame->format;
    int result = av_channel_layout_copy(&kind->ch_layout, &frame->ch_layout);
    if (result >= 0)
        result = name_layout(&frame->ch_layout, &source);
    if (result >= 0)
        result =
            swr_alloc_set_opts2(&audio->resampler, &audio->encoder->ch_layout, AV_SAMPLE_FMT_FLT,
                                AUDIO_RATE, &source, frame->format, frame->sample_rate, 0, NULL);
    if (result >= 0)
        result = swr_init(audio->resampler);
    av_channel_layout_uninit(&source);
    if (result < 0) {
        swr_free(&audio->resampler);
        return libav_error(error, result, "cannot resample %d channels of %d Hz",
                           frame->ch_layout.nb_channels, frame->sample_rate);
    }
    return 0;
}

/* Compares where the frame says that it lies with where the samples so far put it, and has a gap
 * filled with silence or an overlap left out. The first frame sets the position. */
static void align(struct audio *audio)
{
    int64_t stamp = audio->frame->best_effort_timestamp;
    if (stamp == AV_NOPTS_VALUE)
        return;
    int64_t expected =
        av_rescale_q(stamp, audio->stream->time_base, (AVRational){1, AUDIO_RATE}) - audio->start;
    if (!audio->started) {
        audio->started = true;
        audio->position = expected;
        return;
    }
    int64_t held = audio->resampler ? swr_get_delay(audio->resampler, AUDIO_RATE) : 0;
    int64_t stray = expected - (audio->position + held - audio->to_drop);
    if (stray > JITTER && stray < GREATEST_GAP)
        audio->silence = stray;
    else if (stray < -JITTER && stray > -GREATEST_GAP)
        audio->to_drop -= stray;
}

/* Decodes the next frame and sees to it that the resampler is ready for it. */
static int next_frame(struct audio *audio, struct error *error)
{
    int result = libav_decode(audio->format, audio->stream, audio->decoder, audio->packet,
                              audio->frame, NULL, error);
    if (result < 0)
        return result;
    if (result == 0 || audio->position >= audio->limit) {
        audio->source_ended = true;
        return close_resampler(audio, error);
    }
    audio->frame_waits = true;
    align(audio);
    if (audio->silence > 0 || !takes(audio, audio->frame)) {
        if ((result = close_resampler(audio, error)) < 0)
            return result;
        return open_resampler(audio, audio->frame, error);
    }
    return 0;
}

/* One step towards more samples in the fifo. */
static int advance(struct audio *audio, struct error *error)
{
    if (audio->silence > 0)
        return append_silence(audio, error);
    if (!audio->frame_waits)
        return next_frame(audio, error);
    audio->frame_waits = false;
    return resample(audio, audio->frame, error);
}

/* Sends the encoder a frame's worth of samples, at the end the rest, then the end itself. */
static int feed_encoder(struct audio *audio, struct error *error)
{
    AVCodecContext *encoder = audio->encoder;
    while (!audio->source_ended && av_audio_fifo_size(audio->fifo) < encoder->frame_size) {
        int result = advance(audio, error);
        if (result < 0)
            return result;
    }
    int count = (int)min64(av_audio_fifo_size(audio->fifo), encoder->frame_size);
    if (audio->fed) /* the end may have been moved to before what waits in the fifo */
        count = (int)min64(count, audio->limit - audio->encoded);
    if (count <= 0)
        return avcodec_send_frame(encoder, NULL);
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return error_set(error, -ENOMEM, "out of memory");
    frame->format = encoder->sample_fmt;
    frame->sample_rate = encoder->sample_rate;
    frame->nb_samples = count;
    frame->pts = audio->encoded;
    audio->encoded += count;
    int result = av_channel_layout_copy(&frame->ch_layout, &encoder->ch_layout);
    if (result >= 0)
        result = av_frame_get_buffer(frame, 0);
    if (result >= 0)
        result = av_audio_fifo_read(audio->fifo, (void **)frame->data, count);
    if (result >= 0)
        result = avcodec_send_frame(encoder, frame);
    av_frame_free(&frame);
    return result < 0 ? libav_error(error, result, "cannot encode Opus") : 0;
}

int audio_read(struct audio *audio, AVPacket *packet, struct error *error)
{
    for (;;) {
        int result = avcodec_receive_packet(audio->encoder, packet);
        if (result >= 0)
            return 1;
        if (result == AVERROR_EOF)
            return 0;
        if (result != AVERROR(EAGAIN))
            return libav_error(error, result, "cannot encode Opus");
        result = feed_encoder(audio, error);
        if (result < 0)
            return error_prefix(error, "audio");
    }
}

void audio_close(struct audio *audio)
{
    if (!audio)
        return;
    avcodec_free_context(&audio->decoder);
    avcodec_free_context(&audio->encoder);
    libav_close(&audio->format);
    swr_free(&audio->resampler);
    if (audio->fifo)
        av_audio_fifo_free(audio->fifo);
    av_packet_free(&audio->packet);
    av_frame_free(&audio->frame);
    av_frame_free(&audio->resampler_kind);
    av_free(audio->samples);
    free(audio);
}
