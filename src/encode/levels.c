#include "encode/levels.h"

#include <stdint.h>

/* libvpx's fixed translation of its quantizer scale, part of its public behaviour. */
static const uint8_t index_of_level[LEVELS_MAX + 1] = {
    0,  1,  2,  3,  4,  5,  7,   8,   9,   10,  12,  13,  15,  17,  18,  19,
    20, 21, 23, 24, 25, 26, 27,  28,  29,  30,  31,  33,  35,  37,  39,  41,
    43, 45, 47, 49, 51, 53, 55,  57,  59,  61,  64,  67,  70,  73,  76,  79,
    82, 85, 88, 91, 94, 97, 100, 103, 106, 109, 112, 115, 118, 121, 124, 127,
};

int levels_index(int level)
{
    if (level < 0)
        return 0;
    return index_of_level[level > LEVELS_MAX ? LEVELS_MAX : level];
}

/* Measured over films of slow and fast motion, at bits for equal SSIM: finer frames where a batch and each of its
 * chunks begin pay for themselves, since all others are predicted from them; much finer ones in pictures that stand
 * still, where little is lost from one frame to the next. A stand-in is never seen and costs nothing, but the vectors
 * and modes that were searched against it should suit the picture that takes its place: errors of its own led a slow
 * pan astray. docs/performance.md has the figures. */
int levels_choose(int quality, enum level_frame frame, bool still)
{
    switch (frame) {
    case LEVEL_KEY:
        return still ? quality * 3 / 20 : quality * 5 / 8;
    case LEVEL_STAND_IN:
        return quality * 3 / 20;
    case LEVEL_FIRST:
        return still ? quality / 2 : quality * 3 / 4;
    default:
        return quality;
    }
}
