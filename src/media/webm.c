#include "media/webm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "media/audio.h"
#include "media/libav.h"

struct webm_writer {
    AVFormatContext *format;
    AVStream *video, *sound; /* `sound` is NULL where there is none */
    struct audio *audio;
    AVPacket *packet;       /* video */
    AVPacket *audio_packet; /* read from `audio` ahead of its turn */
    bool audio_waits;       /* there is something in `audio_packet` */
    bool audio_ended;
    AVRational time_base; /* of the caller's time stamps */
    int64_t start;        /* time stamp, in `time_base`, that is 0 in the file */
    int64_t last;         /* of the last video packet, in the video stream's time base; or -1 */
    char *name;           /* for error sentences */
};

static int add_video(struct webm_writer *writer, const struct video_format *format,
                     struct error *error)
{
    AVStream *stream = writer->video = avformat_new_stream(writer->format, NULL);
    if (!stream)
        return error_set(error, -ENOMEM, "out of memory");
    stream->avg_frame_rate = libav_rational(format->frame_rate);
    stream->sample_aspect_ratio = libav_rational(format->pixel_aspect);
    AVCodecParameters *parameters = stream->codecpar;
    parameters->codec_type = AVMEDIA_TYPE_VIDEO;
    parameters->codec_id = AV_CODEC_ID_VP8;
    parameters->format = AV_PIX_FMT_YUV420P;
    parameters->width = format->width;
    parameters->height = format->height;
    parameters->sample_aspect_ratio = stream->sample_aspect_ratio;
    parameters->color_primaries = format->colour.primaries;
    parameters->color_trc = format->colour.transfer;
    parameters->color_space = format->colour.matrix;
    parameters->color_range = format->colour.full_range ? AVCOL_RANGE_JPEG : AVCOL_RANGE_MPEG;
    return 0;
}

static int add_audio(struct webm_writer *writer, const struct webm_options *options,
                     struct error *error)
{
    int result = audio_open(options->audio_source, options->audio_bitrate, writer->time_base,
                            options->start, options->end, &writer->audio, error);
    if (result < 0 || !writer->audio)
        return result;
    writer->sound = avformat_new_stream(writer->format, NULL);
    if (!writer->sound)
        return error_set(error, -ENOMEM, "out of memory");
    result = avcodec_parameters_from_context(writer->sound->codecpar, audio_encoder(writer->audio));
    return result < 0 ? libav_error(error, result, "cannot describe the audio") : 0;
}

static int write_head(struct webm_writer *writer, const char *url, struct error *error)
{
    AVFormatContext *format = writer->format;
    format->flags |= AVFMT_FLAG_BITEXACT;
    int result = avio_open(&format->pb, url, AVIO_FLAG_WRITE);
    if (result >= 0)
        result = avformat_write_header(format, NULL);
    return result < 0 ? libav_error(error, result, "cannot write %s", writer->name) : 0;
}

static int open_writer(struct webm_writer *writer, const char *path,
                       const struct webm_options *options, struct error *error)
{
    char *url = NULL;
    bool standard_output = strcmp(path, "-") == 0;
    writer->name = strdup(standard_output ? "standard output" : path);
    writer->packet = av_packet_alloc();
    writer->audio_packet = av_packet_alloc();
    if (!writer->name || !writer->packet || !writer->audio_packet)
        return error_set(error, -ENOMEM, "out of memory");
    int result = avformat_alloc_output_context2(&writer->format, NULL, "webm", NULL);
    if (result < 0)
        return libav_error(error, result, "cannot write WebM");
    if ((result = add_video(writer, &options->format, error)) < 0)
        return result;
    if (options->audio_source && (result = add_audio(writer, options, error)) < 0)
        return result;
    if (asprintf(&url, "%s%s", standard_output ? "" : "file:", standard_output ? "pipe:1" : path) <
        0)
        return error_set(error, -ENOMEM, "out of memory");
    result = write_head(writer, url, error);
    free(url);
    return result;
}

int webm_open(const char *path, const struct webm_options *options, struct webm_writer **opened,
              struct error *error)
{
    av_log_set_level(AV_LOG_QUIET);
    *opened = NULL;
    struct webm_writer *writer = calloc(1, sizeof *writer);
    if (!writer)
        return error_set(error, -ENOMEM, "out of memory");
    writer->time_base = libav_rational(options->time_base);
    writer->start = options->start;
    writer->last = -1;
    int result = open_writer(writer, path, options, error);
    if (result < 0) {
        webm_abort(writer);
        return result;
    }
    *opened = writer;
    return 0;
}

/* The muxer buffers: what went wrong below it shows in the stream. */
static int write_packet(struct webm_writer *writer, AVPacket *packet, struct error *error)
{
    int result = av_write_frame(writer->format, packet);
    if (result >= 0 && writer->format->pb->error < 0)
        result = writer->format->pb->error;
    av_packet_unref(packet);
    return result < 0 ? libav_error(error, result, "cannot write %s", writer->name) : 0;
}

/* A block's time in Matroska is late by the codec's delay, which players take off again
 * (CodecDelay); libavformat 59 writes that element but leaves the time to us. */
static int read_audio(struct webm_writer *writer, struct error *error)
{
    AVPacket *packet = writer->audio_packet;
    int result = audio_read(writer->audio, packet, error);
    if (result < 0)
        return result;
    writer->audio_ended = result == 0;
    writer->audio_waits = result == 1;
    packet->stream_index = writer->sound->index;
    packet->pts += audio_encoder(writer->audio)->initial_padding;
    packet->dts = packet->pts;
    av_packet_rescale_ts(packet, (AVRational){1, AUDIO_RATE}, writer->sound->time_base);
    return 0;
}

/* Writes the audio that comes before `time`, in milliseconds. */
static int write_audio(struct webm_writer *writer, int64_t time, struct error *error)
{
    while (writer->audio && !writer->audio_ended) {
        int result = writer->audio_waits ? 0 : read_audio(writer, error);
        if (result < 0)
            return result;
        if (writer->audio_waits) {
            if (writer->audio_packet->pts > time)
                return 0;
            writer->audio_waits = false;
            result = write_packet(writer, writer->audio_packet, error);
            if (result < 0)
                return result;
        }
    }
    return 0;
}

static int64_t max64(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* From the caller's clock to the file's. */
static int64_t file_time(const struct webm_writer *writer, int64_t time_stamp)
{
    return av_rescale_q(time_stamp - writer->start, writer->time_base, writer->video->time_base);
}

int webm_write(struct webm_writer *writer, const uint8_t *frame, size_t size, int64_t time_stamp,
               int64_t duration, bool key_frame, bool shown, struct error *error)
{
    AVPacket *packet = writer->packet;
    if (size > INT32_MAX - AV_INPUT_BUFFER_PADDING_SIZE)
        return error_set(error, -EFBIG, "a frame of %zu bytes does not fit into WebM", size);
    int64_t time = shown ? max64(file_time(writer, time_stamp), writer->last) : writer->last + 1;
    int result = write_audio(writer, time, error);
    if (result < 0)
        return result;
    if (av_new_packet(packet, (int)size) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    memcpy(packet->data, frame, size);
    packet->stream_index = writer->video->index;
    packet->pts = packet->dts = writer->last = max64(time, 0);
    packet->duration = shown ? max64(file_time(writer, time_stamp + duration) - time, 0) : 0;
    packet->flags = key_frame ? AV_PKT_FLAG_KEY : 0;
    return write_packet(writer, packet, error);
}

void webm_set_end(struct webm_writer *writer, int64_t end)
{
    if (writer->audio)
        audio_set_end(writer->audio, writer->time_base, end);
}

int webm_finish(struct webm_writer *writer, struct error *error)
{
    int result = write_audio(writer, INT64_MAX, error);
    if (result < 0) {
        webm_abort(writer);
        return result;
    }
    int trailer = av_write_trailer(writer->format);
    result = avio_closep(&writer->format->pb);
    if (trailer < 0)
        result = trailer;
    if (result < 0)
        libav_error(error, result, "cannot write %s", writer->name);
    webm_abort(writer);
    return result < 0 ? error->code : 0;
}

void webm_abort(struct webm_writer *writer)
{
    if (!writer)
        return;
    if (writer->format) {
        avio_closep(&writer->format->pb);
        avformat_free_context(writer->format);
    }
    audio_close(writer->audio);
    av_packet_free(&writer->packet);
    av_packet_free(&writer->audio_packet);
    free(writer->name);
    free(writer);
}
