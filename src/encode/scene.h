/* Finding hard cuts: pictures that have nothing to do with the one before. */
#ifndef ENCODE_SCENE_H
#define ENCODE_SCENE_H

#include <stdbool.h>
#include <stdint.h>

#include "excamera/vp8.h"

enum {
    SCENE_COLUMNS = 32,
    SCENE_ROWS = 18,
    SCENE_PARTS = SCENE_COLUMNS * SCENE_ROWS,
    SCENE_MEMORY = 8, /* frames that a cut must stand out from */
};

/* The pictures so far, in little. Zero-initialise. */
struct scene {
    int64_t frames;                 /* seen so far */
    int64_t since_cut;              /* frames since the last cut */
    uint8_t thumbnail[SCENE_PARTS]; /* mean luma of each part of the last picture */
    double change[SCENE_MEMORY];    /* how unlike recent pictures were to those before, a ring */
};

/* Adds the next picture. True when a scene begins with it; never for the first picture. */
bool scene_add(struct scene *scene, const struct xc_picture *picture);

#endif
