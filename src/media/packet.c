#include "media/packet.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/buffer.h"
#include "media/ivf.h"
#include "media/libav.h"

/* IVF is read by our own reader: libavformat's leaves out frames without bytes. */
struct packet_reader {
    struct ivf_reader *ivf;
    AVFormatContext *format; /* NULL for IVF */
    AVStream *stream;
    AVPacket *packet;
    char *name; /* for error sentences */
    struct video_format video;
};

static bool is_standard_input(const char *path)
{
    return strcmp(path, "-") == 0;
}

static bool is_ivf(const char *path)
{
    char magic[4] = "";
    if (is_standard_input(path))
        return true; /* nothing can be looked at twice there */
    FILE *stream = fopen(path, "rbe");
    if (!stream)
        return false;
    bool found = fread(magic, 1, sizeof magic, stream) == sizeof magic &&
                 memcmp(magic, "DKIF", sizeof magic) == 0;
    fclose(stream);
    return found;
}

static int open_ivf(struct packet_reader *reader, const char *path, struct error *error)
{
    int result = is_standard_input(path)
                     ? ivf_open_stream(stdin, "standard input", &reader->ivf, error)
                     : ivf_open(path, &reader->ivf, error);
    if (result < 0)
        return result;
    const struct ivf_header *header = ivf_header(reader->ivf);
    reader->video = (struct video_format){
        .width = header->width,
        .height = header->height,
        .frame_rate = {header->time_base.denominator, header->time_base.numerator},
        .pixel_aspect = {1, 1},
        .colour = {.primaries = 2, .transfer = 2, .matrix = 2},
    };
    return 0;
}

static void describe_stream(struct packet_reader *reader)
{
    const AVCodecParameters *parameters = reader->stream->codecpar;
    AVRational aspect = av_guess_sample_aspect_ratio(reader->format, reader->stream, NULL);
    reader->video = (struct video_format){
        .width = parameters->width,
        .height = parameters->height,
        .frame_rate = libav_frame_rate(reader->format, reader->stream),
        .pixel_aspect = libav_ratio_or_one(aspect),
        .colour = {.primaries = parameters->color_primaries,
                   .transfer = parameters->color_trc,
                   .matrix = parameters->color_space},
    };
}

static int open_container(struct packet_reader *reader, const char *path, struct error *error)
{
    reader->packet = av_packet_alloc();
    if (!reader->packet)
        return error_set(error, -ENOMEM, "out of memory");
    int result = libav_open(path, &reader->format, error);
    if (result < 0)
        return result;
    int index = av_find_best_stream(reader->format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    if (index < 0)
        return error_set(error, -EINVAL, "%s has no video stream", path);
    reader->stream = reader->format->streams[index];
    enum AVCodecID codec = reader->stream->codecpar->codec_id;
    if (codec != AV_CODEC_ID_VP8)
        return error_set(error, -EINVAL, "the video of %s is %s, not VP8", path,
                         avcodec_get_name(codec));
    libav_discard_others(reader->format, reader->stream);
    describe_stream(reader);
    return 0;
}

int packet_open(const char *path, struct packet_reader **opened, struct error *error)
{
    int result;
    *opened = NULL;
    struct packet_reader *reader = calloc(1, sizeof *reader);
    if (!reader)
        return error_set(error, -ENOMEM, "out of memory");
    reader->name = strdup(path);
    if (!reader->name)
        result = error_set(error, -ENOMEM, "out of memory");
    else if (is_ivf(path))
        result = open_ivf(reader, path, error);
    else
        result = open_container(reader, path, error);
    if (result < 0) {
        packet_close(reader);
        return result;
    }
    *opened = reader;
    return 0;
}

const struct video_format *packet_format(const struct packet_reader *reader)
{
    return &reader->video;
}

static int copy_packet(const AVPacket *packet, struct xc_buffer *frame, struct error *error)
{
    int result = buffer_reserve(frame, (size_t)packet->size, error);
    if (result < 0)
        return result;
    if (packet->size > 0)
        memcpy(frame->data, packet->data, (size_t)packet->size);
    frame->size = (size_t)packet->size;
    return 1;
}

static int read_container(struct packet_reader *reader, struct xc_buffer *frame,
                          struct error *error)
{
    for (;;) {
        int result = av_read_frame(reader->format, reader->packet);
        if (result == AVERROR_EOF)
            return 0;
        if (result < 0)
            return libav_error(error, result, "cannot read %s", reader->name);
        bool ours = reader->packet->stream_index == reader->stream->index;
        result = ours ? copy_packet(reader->packet, frame, error) : 0;
        av_packet_unref(reader->packet);
        if (result != 0)
            return result;
    }
}

int packet_read(struct packet_reader *reader, struct xc_buffer *frame, struct error *error)
{
    uint64_t time_stamp;
    if (reader->ivf)
        return ivf_read(reader->ivf, frame, &time_stamp, error);
    return read_container(reader, frame, error);
}

void packet_close(struct packet_reader *reader)
{
    if (!reader)
        return;
    ivf_close(reader->ivf);
    libav_close(&reader->format);
    av_packet_free(&reader->packet);
    free(reader->name);
    free(reader);
}
