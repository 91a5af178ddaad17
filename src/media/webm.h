/* WebM: VP8 video and, where the source has any, Opus audio, muxed by libavformat, bit-exactly. */
#ifndef MEDIA_WEBM_H
#define MEDIA_WEBM_H

#include "excamera/vp8.h"
#include "media/format.h"
#include "util/error.h"

struct webm_writer;

struct webm_options {
    struct video_format format;
    struct ratio time_base;     /* of the time stamps given to webm_write */
    const char *audio_source;   /* a file whose first audio stream becomes Opus; NULL for none */
    int audio_bitrate;          /* bits per second; 0 for a default by the number of channels */
    int64_t start, end;         /* the part of the source that is encoded, as time stamps in
                                   `time_base`; INT64_MAX for `end` where it goes to the end */
};

/* Writes to the file `path` ("-" for standard output). */
int webm_open(const char *path, const struct webm_options *options, struct webm_writer **writer,
              struct error *error);
/* Frames in order of coding. Hidden frames are packed so that players take them as the standard asks.
 * Audio is read, encoded and interleaved as the video goes on. */
int webm_write(struct webm_writer *writer, const uint8_t *frame, size_t size, int64_t time_stamp,
               int64_t duration, bool key_frame, bool shown, struct error *error);
/* Writes what audio is left and the trailer; frees the writer in any case. */
int webm_finish(struct webm_writer *writer, struct error *error);
void webm_abort(struct webm_writer *writer); /* NULL is allowed */

/* Compressed VP8 frames out of an IVF or WebM (any container libavformat reads). */
struct packet_reader;
int packet_open(const char *path, struct packet_reader **reader, struct error *error);
const struct video_format *packet_format(const struct packet_reader *reader);
/* 1 and a frame, 0 at the end, or a negative errno. */
int packet_read(struct packet_reader *reader, struct xc_buffer *frame, struct error *error);
void packet_close(struct packet_reader *reader); /* NULL is allowed */

#endif
