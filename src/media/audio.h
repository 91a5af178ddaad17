/* A film's sound as Opus: decoded, resampled to 48 kHz and cut to the part that is encoded. */
#ifndef MEDIA_AUDIO_H
#define MEDIA_AUDIO_H

#include <libavcodec/avcodec.h>

#include "util/error.h"

/* Opus counts in samples of 48 kHz, and so do all positions here. */
#define AUDIO_RATE 48000

struct audio;

/* Opens the best audio stream of the file `path`.
 *   bitrate      bits per second; 0 for 32,000 and as much again for each channel
 *   time_base    of `start` and `end`, the part of the film, as time stamps of the source;
 *                `end` may be INT64_MAX
 * Where the file has no audio stream, that is success and `*opened` is NULL. */
int audio_open(const char *path, int bitrate, AVRational time_base, int64_t start, int64_t end,
               struct audio **opened, struct error *error);
/* Moves the part's end, to what lies ahead of what was read so far. */
void audio_set_end(struct audio *audio, AVRational time_base, int64_t end);
/* The encoder, for the stream's description; owned by `audio`. */
const AVCodecContext *audio_encoder(const struct audio *audio);
/* 1 and the next packet, 0 at the end, or a negative errno. Time stamps count samples from `start`
 * and run ahead of the sound by the encoder's delay, as in libavcodec. */
int audio_read(struct audio *audio, AVPacket *packet, struct error *error);
void audio_close(struct audio *audio); /* NULL is allowed */

#endif
