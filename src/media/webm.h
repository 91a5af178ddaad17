/* WebM: VP8 video and, where the source has any, Opus audio, muxed by libavformat, bit-exactly. */
#ifndef MEDIA_WEBM_H
#define MEDIA_WEBM_H

#include "excamera/vp8.h"
#include "media/format.h"
#include "util/error.h"

struct webm_writer;

struct webm_options {
    struct video_format format;
    struct ratio time_base;   /* of the time stamps given to webm_write */
    const char *audio_source; /* a file whose best audio stream, if any, becomes Opus; or NULL */
    int audio_bitrate;        /* bits per second; 0 for the default of audio_open */
    int64_t start, end;       /* the part of the source that is encoded, as time stamps in
                                 `time_base`; INT64_MAX for `end` where it goes to the end */
};

/* Writes to the file `path` ("-" for standard output). */
int webm_open(const char *path, const struct webm_options *options, struct webm_writer **writer,
              struct error *error);
/* Frames in order of coding, `time_stamp` and `duration` in ticks of the options' time base. A
 * hidden frame becomes a block of its own right behind the frame before it, whatever its time
 * stamp, which is where libvpx's own tools put it. Audio is read, encoded and interleaved as the
 * video goes on. */
int webm_write(struct webm_writer *writer, const uint8_t *frame, size_t size, int64_t time_stamp,
               int64_t duration, bool key_frame, bool shown, struct error *error);
/* Moves the end of the part that is encoded, where it was not known at first. */
void webm_set_end(struct webm_writer *writer, int64_t end);
/* Writes what audio is left and the trailer; frees the writer in any case. */
int webm_finish(struct webm_writer *writer, struct error *error);
void webm_abort(struct webm_writer *writer); /* NULL is allowed */

#endif
