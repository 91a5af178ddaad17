/* Raw films for tests: rows of pictures of one size, drawn here or read from real clips. */
#ifndef SUPPORT_FILM_H
#define SUPPORT_FILM_H

#include "excamera/vp8.h"

struct film {
    struct xc_picture **picture;
    int frames;
};

/* Draws moving detail: a textured ground that pans by fractions of a pixel, and things that move over
 * it. The same arguments give the same pictures. */
void film_draw(struct film *film, int width, int height, int frames, unsigned seed);

/* Reads the first `frames` pictures of any clip, scaled to at most `width` pixels. Fails the test where that
 * does not work. */
void film_read(struct film *film, const char *clip, int width, int frames);

/* Writes Y4M. */
void film_write(const struct film *film, const char *path);
void film_free(struct film *film);

#endif
