/*
 * The part of this room that needs FFmpeg's libraries: input.h, index.h, packet.h, webm.h and digest.h. These
 * come with some 130 libraries of others, which take a process longer to load than many a task takes; so they
 * are in a module beside the program, excamera-films.so, that is loaded when the first film is opened
 * (on_demand.c). Callers need not know. A static program has everything in it (linked.c).
 */
#ifndef MEDIA_FILMS_H
#define MEDIA_FILMS_H

#include "media/digest.h"
#include "media/index.h"
#include "media/input.h"
#include "media/packet.h"
#include "media/webm.h"
#include "util/error.h"

/* Loads it now, so that processes forked later have it. Once loaded it stays. Fails with a sentence where it is
 * not there, cannot be loaded, or is not of this program's build; later calls fail alike. Any thread. */
int films_load(struct error *error);

/* What the module exports, as `excamera_films`. */
struct films {
    const char *build; /* of what it was made: the program's own, or it is another program's */
    /* Whether FFmpeg's libraries are those that it was made for. */
    int (*check)(struct error *error);

    __typeof__(input_open) *input_open;
    __typeof__(input_info) *input_info;
    __typeof__(input_read) *input_read;
    __typeof__(input_close) *input_close;
    __typeof__(input_seek) *input_seek;
    __typeof__(input_at_key_frame) *input_at_key_frame;
    __typeof__(input_damaged) *input_damaged;
    __typeof__(index_read) *index_read;
    __typeof__(packet_open) *packet_open;
    __typeof__(packet_format) *packet_format;
    __typeof__(packet_read) *packet_read;
    __typeof__(packet_close) *packet_close;
    __typeof__(webm_open) *webm_open;
    __typeof__(webm_write) *webm_write;
    __typeof__(webm_set_end) *webm_set_end;
    __typeof__(webm_finish) *webm_finish;
    __typeof__(webm_abort) *webm_abort;
    __typeof__(digest_picture) *digest_picture;
};

#endif
