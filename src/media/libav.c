#include "media/libav.h"

#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/remote.h"

/* For decoders with threads of their own, such as dav1d. libavcodec's frame threads conceal
 * errors from pictures that may or may not be complete yet: a damaged film would come out
 * different each time. */
#define LIBRARY_THREADS 4

static bool is_errno(int code)
{
    return code > -4096 && code < 0;
}

int libav_error(struct error *error, int code, const char *format, ...)
{
    char sentence[sizeof error->message / 2], reason[AV_ERROR_MAX_STRING_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(sentence, sizeof sentence, format, arguments);
    va_end(arguments);
    if (is_errno(code))
        snprintf(reason, sizeof reason, "%s", strerror(-code));
    else
        av_strerror(code, reason, sizeof reason);
    return error_set(error, is_errno(code) ? code : -EINVAL, "%s: %s", sentence, reason);
}

/* libav's own words for these ("Invalid data found") do not say what the file lacks. */
static int check_file(const char *path, struct error *error)
{
    struct stat status;
    if (stat(path, &status) < 0)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    if (S_ISDIR(status.st_mode))
        return error_set(error, -EISDIR, "cannot read %s: it is a directory, not a film", path);
    if (access(path, R_OK) < 0)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    if (S_ISREG(status.st_mode) && status.st_size == 0)
        return error_set(error, -EINVAL, "%s is empty", path);
    return 0;
}

static bool is_standard_input(const char *path)
{
    return strcmp(path, "-") == 0;
}

/* The name with its protocol, so that a colon in a file's name is not taken for one; freed by the
 * caller. */
static char *make_url(const char *path)
{
    char *url;
    if (is_standard_input(path))
        return strdup("pipe:0");
    return asprintf(&url, "file:%s", path) < 0 ? NULL : url;
}

/* ---- Films behind URLs ----------------------------------------------------------------------- */

/* libavformat takes much that cannot be read for the end: what went wrong stays here. */
struct remote_io {
    struct remote *remote;
    int64_t position;
    struct error error;
};

/* What libavformat reads at a time, at most. */
#define IO_BUFFER 65536

static int io_read(void *opaque, uint8_t *bytes, int size)
{
    struct remote_io *io = opaque;
    if (io->error.code < 0)
        return io->error.code;
    int count = remote_read(io->remote, io->position, bytes, size, &io->error);
    if (count <= 0)
        return count == 0 ? AVERROR_EOF : count;
    io->position += count;
    return count;
}

static int64_t io_seek(void *opaque, int64_t offset, int whence)
{
    struct remote_io *io = opaque;
    int64_t size = remote_size(io->remote);
    if (whence & AVSEEK_SIZE)
        return size;
    whence &= ~AVSEEK_FORCE;
    if (whence == SEEK_CUR)
        offset += io->position;
    else if (whence == SEEK_END)
        offset += size;
    if (offset < 0)
        return AVERROR(EINVAL);
    return io->position = offset;
}

static void close_io(AVIOContext *io)
{
    struct remote_io *remote = io->opaque;
    remote_close(remote->remote);
    free(remote);
    av_freep(&io->buffer);
    avio_context_free(&io);
}

static int open_io(const char *url, AVIOContext **opened, struct error *error)
{
    struct remote_io *io = calloc(1, sizeof *io);
    unsigned char *buffer = av_malloc(IO_BUFFER);
    int code = io && buffer ? remote_open(url, &io->remote, error)
                            : error_set(error, -ENOMEM, "out of memory");
    if (code == 0) {
        *opened = avio_alloc_context(buffer, IO_BUFFER, 0, io, io_read, NULL, io_seek);
        if (*opened)
            return 0;
        code = error_set(error, -ENOMEM, "out of memory");
    }
    if (io)
        remote_close(io->remote);
    free(io);
    av_free(buffer);
    return code;
}

/* The sentence for what reading has run into, or 0. */
static int io_failure(const AVFormatContext *format, struct error *error)
{
    if (!format->pb)
        return 0;
    if (format->flags & AVFMT_FLAG_CUSTOM_IO) {
        const struct remote_io *io = format->pb->opaque;
        if (io->error.code < 0)
            *error = io->error;
        return io->error.code;
    }
    int code = format->pb->error;
    return code < 0 && code != AVERROR_EOF ? libav_error(error, code, "cannot read %s", format->url)
                                           : 0;
}

void libav_close(AVFormatContext **format)
{
    if (!*format)
        return;
    AVIOContext *io = (*format)->flags & AVFMT_FLAG_CUSTOM_IO ? (*format)->pb : NULL;
    avformat_close_input(format);
    if (io)
        close_io(io);
}

/* ---- Opening --------------------------------------------------------------------------------- */

static int not_a_film(const char *path, struct error *error)
{
    return error_set(error, -EINVAL, "%s is not a film in a format that can be read", path);
}

/* `name` is what the film is called, freed here; so is `io`, NULL for libavformat's own, where this fails. */
static int open_named(char *name, AVIOContext *io, const AVInputFormat *kind,
                      AVFormatContext **format)
{
    int result = AVERROR(ENOMEM);
    *format = name ? avformat_alloc_context() : NULL;
    if (*format) {
        (*format)->pb = io;
        if (io)
            (*format)->flags |= AVFMT_FLAG_CUSTOM_IO;
        result = avformat_open_input(format, name, kind, NULL);
    }
    free(name);
    return result;
}

static int open_remote(const char *url, AVFormatContext **format, struct error *error)
{
    AVIOContext *io;
    int result = open_io(url, &io, error);
    if (result < 0)
        return result;
    struct remote_io *remote = io->opaque;
    result = open_named(remote_name(url), io, NULL, format);
    if (result >= 0)
        return 0;
    *error = remote->error;
    close_io(io);
    char *name = remote_name(url);
    if (error->code >= 0)
        result = result == AVERROR_INVALIDDATA
                     ? not_a_film(name ? name : "the film", error)
                     : libav_error(error, result, "cannot read %s", name ? name : "the film");
    free(name);
    return error->code;
}

static int open_file(const char *path, AVFormatContext **format, struct error *error)
{
    const AVInputFormat *kind =
        is_standard_input(path) ? av_find_input_format("yuv4mpegpipe") : NULL;
    int result = is_standard_input(path) ? 0 : check_file(path, error);
    if (result < 0)
        return result;
    result = open_named(make_url(path), NULL, kind, format);
    if (result >= 0)
        return 0;
    if (is_standard_input(path))
        return error_set(error, -EINVAL, "standard input is not Y4M (YUV4MPEG2)");
    if (result == AVERROR_INVALIDDATA)
        return not_a_film(path, error);
    return libav_error(error, result, "cannot read %s", path);
}

int libav_open(const char *path, AVFormatContext **opened, struct error *error)
{
    AVFormatContext *format = NULL;
    av_log_set_level(AV_LOG_QUIET);
    *opened = NULL;
    int result =
        remote_is_url(path) ? open_remote(path, &format, error) : open_file(path, &format, error);
    if (result < 0)
        return result;
    const char *name = remote_is_url(path) ? format->url : path;
    result = avformat_find_stream_info(format, NULL);
    if (io_failure(format, error) < 0)
        result = error->code;
    else if (result < 0)
        libav_error(error, result, "cannot read %s", name);
    else if (strcmp(format->iformat->name, "tty") == 0)
        result = not_a_film(name, error); /* libavformat makes a film of any text */
    if (result < 0) {
        libav_close(&format);
        return error->code;
    }
    *opened = format;
    return 0;
}

AVStream *libav_video(AVFormatContext *format)
{
    int index = av_find_best_stream(format, AVMEDIA_TYPE_VIDEO, -1, -1, NULL, 0);
    bool found = index >= 0 && !(format->streams[index]->disposition & AV_DISPOSITION_ATTACHED_PIC);
    return found ? format->streams[index] : NULL;
}

void libav_discard_others(AVFormatContext *format, const AVStream *stream)
{
    for (unsigned i = 0; i < format->nb_streams; i++)
        if (format->streams[i] != stream)
            format->streams[i]->discard = AVDISCARD_ALL;
}

int libav_open_decoder(AVFormatContext *format, AVStream *stream, AVCodecContext **decoder,
                       struct error *error)
{
    const AVCodecParameters *parameters = stream->codecpar;
    const AVCodec *codec = avcodec_find_decoder(parameters->codec_id);
    *decoder = NULL;
    if (!codec)
        return error_set(error, -EINVAL, "there is no decoder for %s",
                         avcodec_get_name(parameters->codec_id));
    AVCodecContext *context = avcodec_alloc_context3(codec);
    if (!context)
        return error_set(error, -ENOMEM, "out of memory");
    int result = avcodec_parameters_to_context(context, parameters);
    context->pkt_timebase = stream->time_base;
    context->thread_count = codec->capabilities & AV_CODEC_CAP_OTHER_THREADS ? LIBRARY_THREADS : 1;
    if (result >= 0)
        result = avcodec_open2(context, codec, NULL);
    if (result < 0) {
        avcodec_free_context(&context);
        return libav_error(error, result, "cannot decode %s", codec->name);
    }
    libav_discard_others(format, stream);
    *decoder = context;
    return 0;
}

int libav_read_packet(AVFormatContext *format, AVPacket *packet, struct error *error)
{
    int result = av_read_frame(format, packet);
    if (result >= 0)
        return 1;
    if (io_failure(format, error) < 0)
        return error->code;
    return result == AVERROR_EOF || result == AVERROR_INVALIDDATA
               ? 0
               : libav_error(error, result, "cannot read %s", format->url);
}

/* Feeds the decoder with the stream's next packet, or with the end. */
static int feed(AVFormatContext *format, const AVStream *stream, AVCodecContext *decoder,
                AVPacket *packet, int64_t *damaged, struct error *error)
{
    int result = libav_read_packet(format, packet, error);
    if (result < 0)
        return result;
    if (result == 0)
        avcodec_send_packet(decoder, NULL);
    else if (packet->stream_index == stream->index && packet->size > 0 &&
             (result = avcodec_send_packet(decoder, packet)) < 0)
        ++*damaged;
    av_packet_unref(packet);
    return result == AVERROR(ENOMEM) ? error_set(error, -ENOMEM, "out of memory") : 0;
}

int libav_decode(AVFormatContext *format, const AVStream *stream, AVCodecContext *decoder,
                 AVPacket *packet, AVFrame *frame, int64_t *damaged, struct error *error)
{
    int64_t uncounted = 0;
    if (!damaged)
        damaged = &uncounted;
    for (;;) {
        int result = avcodec_receive_frame(decoder, frame);
        if (result >= 0)
            return 1;
        if (result == AVERROR_EOF)
            return 0;
        if (result == AVERROR(ENOMEM))
            return error_set(error, -ENOMEM, "out of memory");
        if (result != AVERROR(EAGAIN))
            ++*damaged;
        else if ((result = feed(format, stream, decoder, packet, damaged, error)) < 0)
            return result;
    }
}

struct ratio libav_frame_rate(AVFormatContext *format, AVStream *stream)
{
    AVRational rate = av_guess_frame_rate(format, stream, NULL);
    if (rate.num <= 0 || rate.den <= 0)
        return (struct ratio){25, 1};
    av_reduce(&rate.num, &rate.den, rate.num, rate.den, INT_MAX);
    return (struct ratio){rate.num, rate.den};
}

struct ratio libav_ratio_or_one(AVRational ratio)
{
    if (ratio.num <= 0 || ratio.den <= 0)
        return (struct ratio){1, 1};
    av_reduce(&ratio.num, &ratio.den, ratio.num, ratio.den, INT_MAX);
    return (struct ratio){ratio.num, ratio.den};
}

AVRational libav_rational(struct ratio ratio)
{
    return (AVRational){ratio.numerator, ratio.denominator};
}
