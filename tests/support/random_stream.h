/*
 * Streams of random decisions: every tool of the format, used in ways that no encoder does, written
 * with the codec's own writer. The pictures are noise; what counts is that all decoders make the same
 * of them.
 */
#ifndef SUPPORT_RANDOM_STREAM_H
#define SUPPORT_RANDOM_STREAM_H

#include "support/random.h"
#include "support/stream.h"
#include "vp8/frame.h"

/* What a stream may make use of. */
enum random_feature {
    RANDOM_SEGMENTS = 1 << 0,       /* on in all frames, the map sent with each key frame */
    RANDOM_SEGMENT_SWITCH = 1 << 1, /* on and off; key frames with and without a map */
    RANDOM_DELTAS = 1 << 2,         /* loop-filter deltas, on and off */
    RANDOM_REFERENCES = 1 << 3,     /* golden and altref refreshed and copied apart */
    RANDOM_COPY_BOTH = 1 << 4,      /* to golden from altref while altref changes too */
    RANDOM_SIGN_BIAS = 1 << 5,      /* of golden and altref */
    RANDOM_SCALING = 1 << 6,        /* upscaling hints */
    RANDOM_PARTITIONS = 1 << 7,     /* one to eight */
    RANDOM_ENTROPY = 1 << 8,        /* frames whose probabilities do not stay */
    RANDOM_HIDDEN = 1 << 9,         /* frames that are not shown */
    RANDOM_RESIZE = 1 << 10,        /* key frames of other sizes */
    RANDOM_PROBABILITIES = 1 << 11, /* extreme ones, 0 included */
    RANDOM_FAR = 1 << 12,           /* vectors as long as can be coded */
    RANDOM_COLOUR = 1 << 13,        /* colour space and clamping type */
    RANDOM_VERSIONS = 1 << 14,      /* each frame has a profile of its own */
    RANDOM_QUANTIZERS = 1 << 15,    /* indices of their own for each kind of block */
    RANDOM_LARGE = 1 << 16,         /* large coefficients */
    RANDOM_KEYS = 1 << 17,          /* key frames now and then, not only first */
    RANDOM_FEATURES = 18            /* how many there are */
};

struct random_recipe {
    unsigned seed, features;
    int width, height, frames;
    int version; /* of all frames, but for RANDOM_VERSIONS */
};

/* The word for a feature, as in the names above: "copy_both". */
const char *random_feature_name(int feature);

void random_stream(struct stream *stream, const struct random_recipe *recipe);

/* A random frame for a state; a key frame where `before` is NULL or RANDOM_KEYS has it so. `random`
 * goes on from frame to frame. */
void random_frame(const struct random_recipe *recipe, struct random *random,
                  const struct xc_state *before, struct xc_buffer *frame);

#endif
