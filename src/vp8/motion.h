/* Motion search: where in a reference a block of the source is found again. */
#ifndef VP8_MOTION_H
#define VP8_MOTION_H

#include "vp8/encoder.h"

/* Vectors that may be searched, inclusive, in quarter pixels. */
struct mv_range {
    struct motion_vector low, high;
};

/* One block of luma against one reference. */
struct xc_motion {
    const struct encoder *encoder;
    int reference; /* enum mb_reference */
    enum block_size size;
    int x, y;                       /* of its first sample, in pixels */
    struct motion_vector predicted; /* what a vector's rate is counted from */
    struct mv_range range;
    uint32_t lambda; /* 1/256 of an absolute difference per bit */
};

struct xc_motion_result {
    struct motion_vector mv;
    uint32_t satd;
    uint32_t cost; /* SATD and rate, both in absolute differences */
};

/* The range for blocks of a macroblock: what can be written when `best` is predicted, and no further
 * outside the picture than a whole macroblock. */
struct mv_range xc_mv_range(const struct mb_map *map, int row, int column,
                            struct motion_vector best);

/* A guess; its SATD where it is known. */
#define XC_UNKNOWN_SATD UINT32_MAX
struct xc_motion_start {
    struct motion_vector mv;
    uint32_t satd;
};

/* Rate in 1/256 bit as absolute differences. */
static inline uint32_t xc_motion_rate(uint32_t lambda, int rate)
{
    return (uint32_t)((uint64_t)lambda * (uint32_t)rate >> 16);
}

/* SATD of the block's prediction by `mv`. */
uint32_t xc_motion_satd(const struct xc_motion *motion, struct motion_vector mv);

/* The best vector for the block. `starts` are guesses (`count` > 0), taken as they are where they are in
 * range and searched around. `reach` is the first step of an expanding search, in pixels, a power of two;
 * 0 for none; with XC_GUESSES_ONLY, nothing farther than a quarter pixel from the best guess is looked at. The result's cost
 * is more than any other where no vector was allowed. */
enum { XC_GUESSES_ONLY = -1 };
struct xc_motion_result xc_motion_search(const struct xc_motion *motion,
                                         const struct xc_motion_start *starts, int count,
                                         int reach);

#endif
