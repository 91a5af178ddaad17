/*
 * Which quantizer each frame gets. Two scales are in use: *levels*, libvpx's [0, 63] of `-q`, and
 * quantizer *indices*, VP8's [0, 127] (RFC 6386 section 9.6). Smaller is finer on both.
 */
#ifndef ENCODE_LEVELS_H
#define ENCODE_LEVELS_H

#include <stdbool.h>

#define LEVELS_MAX 63
#define LEVELS_DEFAULT 20

/* How much bits count in the tasks that use our own encoder, see XC_MAX_RATE_WEIGHT: with more than 100
 * the levels below are a little finer than libvpx's for the same quality. */
#define LEVELS_RATE_WEIGHT 128

/* What a frame is to the finished film. */
enum level_frame {
    LEVEL_KEY,      /* the key frame that a batch begins with: kept, and predicted from for long */
    LEVEL_STAND_IN, /* the key frame of a later chunk: it is replaced ... */
    LEVEL_FIRST,    /* ... by this inter frame */
    LEVEL_INTER,    /* any other */
};

/* The plan: the level of a frame in a film of overall level `quality`; both in [0, LEVELS_MAX]. `still` is what
 * stillness.h says of the frame's chunk. */
int levels_choose(int quality, enum level_frame frame, bool still);

/* The quantizer index [0, 127] of a level, as libvpx translates it. */
int levels_index(int level);

#endif
