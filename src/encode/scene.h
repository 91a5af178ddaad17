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

/* Looks at pictures one after the other. Zero-initialise. */
struct scene_eye {
    bool open;                      /* has seen one */
    uint8_t thumbnail[SCENE_PARTS]; /* mean luma of each part of the last picture */
};

/* How unlike the picture is to the one before: 0 for the first, about 100 for another world. */
double scene_look(struct scene_eye *eye, const struct xc_picture *picture);

/* What was seen so far. Zero-initialise. */
struct scene {
    int64_t frames;              /* so far */
    int64_t since_cut;           /* frames since the last cut */
    double change[SCENE_MEMORY]; /* how unlike recent pictures were to those before, a ring */
};

/* Adds the next picture, by what scene_look() said of it. True when a scene begins with it; never for the first
 * picture, whatever was said of that. */
bool scene_add(struct scene *scene, double change);

#endif
