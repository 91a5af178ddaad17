/* What all users of libavformat share: opening a file with plain sentences for what can go
 * wrong. */
#ifndef MEDIA_LIBAV_H
#define MEDIA_LIBAV_H

#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>

#include "media/format.h"
#include "util/error.h"

/* As error_set, with libav's words for `code` behind the sentence. Returns a negative errno. */
int libav_error(struct error *error, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Opens `path`, a file or an http(s) URL, or Y4M on standard input for "-", and finds out about its streams.
 * Silences libav's own messages. What is opened so is closed by libav_close(), which allows what is NULL. */
int libav_open(const char *path, AVFormatContext **opened, struct error *error);
void libav_close(AVFormatContext **format);

/* The stream of a film's pictures; NULL where there is none. Cover pictures of audio files are no films. */
AVStream *libav_video(AVFormatContext *format);

/* The next packet of any stream: 1, 0 at the end, or a negative errno. Containers that turn out to be damaged
 * end where they do. */
int libav_read_packet(AVFormatContext *format, AVPacket *packet, struct error *error);

/* Tells the demuxer to pass over all streams but one. */
void libav_discard_others(AVFormatContext *format, const AVStream *stream);

/* Opens a decoder for `stream` and passes over all others. */
int libav_open_decoder(AVFormatContext *format, AVStream *stream, AVCodecContext **decoder,
                       struct error *error);

/* The next frame: 1, 0 at the end, or a negative errno. Damaged packets are passed over, as players
 * do, and counted in `*damaged` (NULL is allowed). `packet` is scratch. */
int libav_decode(AVFormatContext *format, const AVStream *stream, AVCodecContext *decoder,
                 AVPacket *packet, AVFrame *frame, int64_t *damaged, struct error *error);

/* The stream's nominal frame rate, 25 where unknown; the ratio in least terms. */
struct ratio libav_frame_rate(AVFormatContext *format, AVStream *stream);
/* 1:1 where unknown. */
struct ratio libav_ratio_or_one(AVRational ratio);
AVRational libav_rational(struct ratio ratio);

#endif
