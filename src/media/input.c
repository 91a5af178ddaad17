#include "media/input.h"

#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/pixdesc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/convert.h"
#include "media/libav.h"
#include "media/remote.h"

struct input {
    AVFormatContext *format;
    AVStream *stream;
    AVCodecContext *decoder;
    AVPacket *packet;
    AVFrame *frame;
    bool frame_waits; /* `frame` is decoded but not handed on yet */
    struct converter *converter;
    struct input_info info;
    char *path, *name;        /* the name is for error sentences */
    bool seeking;             /* frames that come before `key` are passed over */
    struct input_key key;     /* that was gone to */
    bool at_key_frame;        /* of `shown` */
    int64_t last;             /* time stamp handed on; AV_NOPTS_VALUE before the first */
    int64_t packet_end;       /* byte position behind the last frame's packet */
    int64_t damaged;          /* packets that gave no picture and that none stands in for yet */
    int64_t left_over;        /* what `damaged` was when the last frame was decoded */
    int64_t stand_ins;        /* how often `shown` is handed on once more before `frame` */
    struct xc_picture *shown; /* handed on last */
};

static char *display_name(const char *path)
{
    return remote_is_url(path) ? remote_name(path)
                               : strdup(strcmp(path, "-") == 0 ? "standard input" : path);
}

static int choose_stream(struct input *input, struct error *error)
{
    AVFormatContext *format = input->format;
    input->stream = libav_video(format);
    if (!input->stream)
        return error_set(error, -EINVAL, "%s has no video stream", input->name);
    int audio = av_find_best_stream(format, AVMEDIA_TYPE_AUDIO, -1, input->stream->index, NULL, 0);
    input->info.has_audio = audio >= 0;
    return 0;
}

static bool is_y4m(const struct input *input)
{
    return strcmp(input->format->iformat->name, "yuv4mpegpipe") == 0;
}

/* libavformat drops a last frame that is cut off; a pipe whose writer died would go unnoticed. */
static int check_end(const struct input *input, struct error *error)
{
    if (is_y4m(input) && input->packet_end && avio_tell(input->format->pb) != input->packet_end)
        return error_set(error, -EINVAL, "%s is cut off or damaged after its last whole frame",
                         input->name);
    return 0;
}

/* 1 and the next frame in input->frame, 0 at the end, or a negative errno. */
static int decode_frame(struct input *input, struct error *error)
{
    int result = libav_decode(input->format, input->stream, input->decoder, input->packet,
                              input->frame, &input->damaged, error);
    if (result < 0)
        return error_prefix(error, "%s", input->name);
    if (result == 0)
        return check_end(input, error);
    input->packet_end = input->frame->pkt_pos + input->frame->pkt_size;
    return 1;
}

static struct orientation find_orientation(const struct input *input)
{
    const AVFrameSideData *of_frame =
        av_frame_get_side_data(input->frame, AV_FRAME_DATA_DISPLAYMATRIX);
    if (of_frame && of_frame->size >= 9 * sizeof(int32_t))
        return convert_orientation((const int32_t *)of_frame->data);
    size_t size = 0;
    const uint8_t *data = av_stream_get_side_data(input->stream, AV_PKT_DATA_DISPLAYMATRIX, &size);
    return convert_orientation(size >= 9 * sizeof(int32_t) ? (const int32_t *)data : NULL);
}

static bool is_interlaced(const struct input *input)
{
    enum AVFieldOrder order = input->stream->codecpar->field_order;
    return input->frame->interlaced_frame ||
           (order != AV_FIELD_UNKNOWN && order != AV_FIELD_PROGRESSIVE);
}

static int64_t estimate_frames(const struct input *input)
{
    const AVStream *stream = input->stream;
    if (stream->nb_frames > 0)
        return stream->nb_frames;
    AVRational frame = av_inv_q(libav_rational(input->info.format.frame_rate));
    if (stream->duration > 0)
        return av_rescale_q(stream->duration, stream->time_base, frame);
    if (input->format->duration > 0)
        return av_rescale_q(input->format->duration, AV_TIME_BASE_Q, frame);
    return 0;
}

/* In ticks of the stream's time base. */
static int64_t frame_duration(const struct input *input)
{
    AVRational frame = av_inv_q(libav_rational(input->info.format.frame_rate));
    return av_rescale_q(1, frame, input->stream->time_base);
}

/* The frame's own time stamp; one frame later than the last where it has none, and always later
 * than the last. */
static int64_t next_time_stamp(const struct input *input)
{
    int64_t stamp = input->frame->best_effort_timestamp;
    if (input->last == AV_NOPTS_VALUE)
        return stamp == AV_NOPTS_VALUE ? 0 : stamp;
    if (stamp == AV_NOPTS_VALUE)
        stamp = input->last + frame_duration(input);
    return stamp > input->last ? stamp : input->last + 1;
}

/* How many pictures are missing before the frame that waits: as many as the gap in time has room
 * for, but no more than were damaged. */
static int64_t count_stand_ins(const struct input *input)
{
    int64_t stamp = input->frame->best_effort_timestamp, duration = frame_duration(input);
    if (stamp == AV_NOPTS_VALUE || input->last == AV_NOPTS_VALUE || duration <= 0)
        return 0;
    int64_t missing = (stamp - input->last + duration / 2) / duration - 1;
    return missing < input->damaged ? FFMAX(missing, 0) : input->damaged;
}

/* A gap behind a key frame is not of what was damaged before it: so what comes behind does not depend on all that
 * the film was before. Packets behind the key frame's may have been decoded already. */
static void forget_damage(struct input *input)
{
    int64_t recent = FFMAX(input->damaged - input->left_over, 0);
    if (input->frame->key_frame)
        input->damaged = recent;
    input->left_over = input->damaged;
}

static int64_t find_begin(const struct input *input)
{
    int64_t picture = next_time_stamp(input);
    if (input->format->start_time == AV_NOPTS_VALUE)
        return picture;
    int64_t film =
        av_rescale_q(input->format->start_time, AV_TIME_BASE_Q, input->stream->time_base);
    return film < picture ? film : picture;
}

static void describe(struct input *input, struct orientation orientation)
{
    struct input_info *info = &input->info;
    AVRational aspect = av_guess_sample_aspect_ratio(input->format, input->stream, input->frame);
    if (orientation.transpose)
        aspect = (AVRational){aspect.den, aspect.num};
    info->format = (struct video_format){
        .width = convert_width(input->converter),
        .height = convert_height(input->converter),
        .frame_rate = libav_frame_rate(input->format, input->stream),
        .pixel_aspect = libav_ratio_or_one(aspect),
        .colour = convert_colour(input->converter),
    };
    info->time_base = (struct ratio){input->stream->time_base.num, input->stream->time_base.den};
    info->begin = find_begin(input);
    info->frames = estimate_frames(input);
    info->interlaced = is_interlaced(input);
    convert_describe(input->converter, info->converted, sizeof info->converted);
    snprintf(info->source, sizeof info->source, "%s, %s",
             input->format->iformat->long_name ? input->format->iformat->long_name
                                               : input->format->iformat->name,
             avcodec_get_name(input->stream->codecpar->codec_id));
}

static int check_size(const struct input *input, struct error *error)
{
    const AVCodecParameters *parameters = input->stream->codecpar;
    if (parameters->width <= XC_MAX_DIMENSION && parameters->height <= XC_MAX_DIMENSION)
        return 0;
    return error_set(error, -EINVAL, "%s: %dx%d is beyond VP8's largest size, %dx%d", input->name,
                     parameters->width, parameters->height, XC_MAX_DIMENSION, XC_MAX_DIMENSION);
}

static int open_stream(struct input *input, struct error *error)
{
    int result = libav_open(input->path, &input->format, error);
    if (result < 0)
        return result;
    if ((result = choose_stream(input, error)) < 0 || (result = check_size(input, error)) < 0)
        return result;
    result = libav_open_decoder(input->format, input->stream, &input->decoder, error);
    return result < 0 ? error_prefix(error, "%s", input->name) : 0;
}

/* What a film really holds shows in its first frame only. */
static int open_first_frame(struct input *input, struct error *error)
{
    int result = decode_frame(input, error);
    if (result < 0)
        return result;
    if (result == 0)
        return error_set(error, -EINVAL, "%s: no frame of its video could be decoded", input->name);
    input->frame_waits = true;
    struct orientation orientation = find_orientation(input);
    result = convert_open(input->frame, orientation, &input->converter, error);
    if (result < 0)
        return error_prefix(error, "%s", input->name);
    describe(input, orientation);
    return 0;
}

int input_open(const char *path, struct input **opened, struct error *error)
{
    *opened = NULL;
    struct input *input = calloc(1, sizeof *input);
    if (!input)
        return error_set(error, -ENOMEM, "out of memory");
    input->last = AV_NOPTS_VALUE;
    input->path = strdup(path);
    input->name = display_name(path);
    input->packet = av_packet_alloc();
    input->frame = av_frame_alloc();
    int result;
    if (!input->path || !input->name || !input->packet || !input->frame)
        result = error_set(error, -ENOMEM, "out of memory");
    else if ((result = open_stream(input, error)) == 0)
        result = open_first_frame(input, error);
    if (result < 0) {
        input_close(input);
        return result;
    }
    *opened = input;
    return 0;
}

const struct input_info *input_info(const struct input *input)
{
    return &input->info;
}

/* ---- Seeking ----------------------------------------------------------------------------------- */

/* What is decoded before the key frame is shown may lack what it refers to; errors there do not count. */
static int decode_to_key(struct input *input, struct error *error)
{
    for (;;) {
        int result = decode_frame(input, error);
        if (result <= 0)
            return result;
        if (input_reaches(&input->key, input->frame->best_effort_timestamp,
                          input->frame->key_frame))
            break;
        av_frame_unref(input->frame);
    }
    input->seeking = false;
    input->damaged = input->left_over = 0;
    return 1;
}

static int64_t packet_time(int64_t pts, int64_t dts)
{
    return pts != INPUT_NO_TIME ? pts : dts;
}

/* Times of decoding that a demuxer works out for itself can be others after seeking. */
static bool is_packet_of(const struct input_key *key, const AVPacket *packet)
{
    return packet->size == key->size && packet->pos == key->position &&
           (key->pts != INPUT_NO_TIME ? packet->pts == key->pts : packet->dts == key->dts);
}

/* Reads up to the key's packet, which is left in input->packet: 1, or 0 when it did not come. */
static int read_to_key(struct input *input, const struct input_key *key, struct error *error)
{
    for (;;) {
        int result = libav_read_packet(input->format, input->packet, error);
        if (result <= 0)
            return result;
        bool ours = input->packet->stream_index == input->stream->index;
        if (ours && is_packet_of(key, input->packet))
            return 1;
        bool passed =
            ours && input->packet->flags & AV_PKT_FLAG_KEY &&
            packet_time(input->packet->pts, input->packet->dts) > packet_time(key->pts, key->dts);
        av_packet_unref(input->packet);
        if (passed)
            return 0;
    }
}

/* 1 with the key's packet in input->packet, 0 where the container did not lead there. */
static int seek_to_key(struct input *input, const struct input_key *key, struct error *error)
{
    int64_t second = av_rescale_q(1, (AVRational){1, 1}, input->stream->time_base);
    int64_t time = packet_time(key->pts, key->dts);
    int64_t early = key->dts != INPUT_NO_TIME && key->dts < time ? key->dts : time;
    const int64_t to[] = {time, early, early - 2 * second};
    if (time == INPUT_NO_TIME)
        return 0;
    for (size_t i = 0; i < sizeof to / sizeof to[0]; i++) {
        if (avformat_seek_file(input->format, input->stream->index, INT64_MIN, to[i], to[i], 0) < 0)
            continue;
        int result = read_to_key(input, key, error);
        if (result != 0)
            return result;
    }
    return 0;
}

/* From the film's start, packet by packet. */
static int count_to_key(struct input *input, const struct input_key *key, struct error *error)
{
    avcodec_free_context(&input->decoder);
    libav_close(&input->format);
    int result = open_stream(input, error);
    for (int64_t packets = 0; result >= 0;) {
        result = libav_read_packet(input->format, input->packet, error);
        if (result <= 0)
            break;
        bool ours = input->packet->stream_index == input->stream->index;
        if (ours && packets++ == key->packet)
            return input->packet->size == key->size
                       ? 0
                       : error_set(error, -ESTALE, "%s is not what it was before", input->name);
        av_packet_unref(input->packet);
    }
    return result < 0 ? result
                      : error_set(error, -ESTALE, "%s is shorter than before", input->name);
}

int input_seek(struct input *input, const struct input_key *key, struct error *error)
{
    if (key->packet == 0)
        return 0;
    av_frame_unref(input->frame);
    input->frame_waits = false;
    int result = seek_to_key(input, key, error);
    if (result == 0)
        result = count_to_key(input, key, error);
    if (result < 0)
        return error_prefix(error, "%s", input->name);
    avcodec_flush_buffers(input->decoder);
    result = avcodec_send_packet(input->decoder, input->packet);
    av_packet_unref(input->packet);
    if (result == AVERROR(ENOMEM))
        return error_set(error, -ENOMEM, "out of memory");
    input->damaged = result < 0;
    input->key = *key;
    input->seeking = true;
    return 0;
}

/* ---- Reading ----------------------------------------------------------------------------------- */

int input_read(struct input *input, struct xc_picture **picture, int64_t *time_stamp,
               struct error *error)
{
    *picture = NULL;
    if (!input->frame_waits) {
        int result = input->seeking ? decode_to_key(input, error) : decode_frame(input, error);
        if (result <= 0)
            return result;
        input->frame_waits = true;
        input->stand_ins = count_stand_ins(input);
        input->damaged -= input->stand_ins;
        forget_damage(input);
    }
    if (input->stand_ins > 0) {
        input->stand_ins--;
        *picture = xc_picture_ref(input->shown);
        *time_stamp = input->last += frame_duration(input);
        return 1;
    }
    input->frame_waits = false;
    int result = convert_frame(input->converter, input->frame, picture, error);
    if (result < 0)
        return error_prefix(error, "%s", input->name);
    xc_picture_unref(input->shown);
    input->shown = xc_picture_ref(*picture);
    *time_stamp = input->last = next_time_stamp(input);
    input->at_key_frame = input->frame->key_frame;
    av_frame_unref(input->frame);
    return 1;
}

bool input_at_key_frame(const struct input *input)
{
    return input->at_key_frame;
}

int64_t input_damaged(const struct input *input)
{
    return input->damaged;
}

void input_close(struct input *input)
{
    if (!input)
        return;
    xc_picture_unref(input->shown);
    convert_close(input->converter);
    avcodec_free_context(&input->decoder);
    libav_close(&input->format);
    av_packet_free(&input->packet);
    av_frame_free(&input->frame);
    free(input->path);
    free(input->name);
    free(input);
}
