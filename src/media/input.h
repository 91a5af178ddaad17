/* Any film that libavformat and libavcodec read, as 8-bit 4:2:0 pictures in order of presentation.
 */
#ifndef MEDIA_INPUT_H
#define MEDIA_INPUT_H

#include "excamera/vp8.h"
#include "media/format.h"
#include "util/error.h"

struct input;

struct input_info {
    struct video_format format; /* after rotation and conversion */
    struct ratio time_base;     /* seconds per tick of the time stamps given by input_read */
    int64_t begin;  /* time stamp at which the film begins: before its first picture where its sound
                       comes first */
    int64_t frames; /* an estimate for the progress line; 0 where unknown */
    bool has_audio;
    bool interlaced;     /* the source says so; its fields are encoded together as they are */
    char converted[160]; /* what was converted ("10-bit 4:2:2 to 8-bit 4:2:0"), or "" */
    char source[160];    /* container and codec, for the summary */
};

/* Opens `path`, a file or an http(s) URL, or Y4M on standard input for "-". */
int input_open(const char *path, struct input **input, struct error *error);
const struct input_info *input_info(const struct input *input);
/* 1 and the next picture with its presentation time stamp (in ticks of the time base; strictly
 * increasing; the first may be other than 0), 0 at the end, or a negative errno. Where damage has
 * taken pictures away, the one before stands in for them. */
int input_read(struct input *input, struct xc_picture **picture, int64_t *time_stamp,
               struct error *error);
void input_close(struct input *input); /* NULL is allowed */

/* ---- Reading from within ----------------------------------------------------------------------- */

#define INPUT_NO_TIME INT64_MIN

/* A packet that decoding can begin with, as one comes to it that reads the film from its start. */
struct input_key {
    int64_t
        packet; /* of the video stream, counted from 0; 0 is the film's start, whatever lies there */
    int64_t pts, dts; /* in ticks of the stream's time base; INPUT_NO_TIME where there is none */
    int64_t position; /* byte in the file, or -1 */
    int size;         /* bytes */
};

/* Goes to `key`, in a film that nothing was read from yet: the next picture that input_read() gives is the first
 * for which input_reaches() holds. Where the container does not lead there, the packets before it are read, but
 * not decoded. */
int input_seek(struct input *input, const struct input_key *key, struct error *error);
/* True for the picture of `key`, and for later ones. */
bool input_reaches(const struct input_key *key, int64_t time_stamp, bool key_frame);
/* Of the picture that was read last: whether the decoder took it for a key frame. */
bool input_at_key_frame(const struct input *input);
/* Packets that gave no picture so far, and that none stands in for. */
int64_t input_damaged(const struct input *input);

#endif
