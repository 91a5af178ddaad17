/*
 * Pictures of a segment of the film, measured: what deciding on chunks needs of them, and what shows that
 * another way to decode them has led to the same.
 *
 * A segment goes from one key (media/index.h) to the next. It is decoded from its own key on, a little beyond
 * its end: where the first pictures of the next segment come out alike, decoded from either key, decoding may
 * begin at the next one.
 */
#ifndef ENCODE_MEASURE_H
#define ENCODE_MEASURE_H

#include <jansson.h>

#include "encode/scene.h"
#include "media/input.h"
#include "util/error.h"

/* Pictures that are compared at a segment's end. */
#define MEASURE_COMPARED 8

struct measured_picture {
    int64_t time_stamp;
    double change; /* to the picture before, as scene_look() says */
    uint64_t sum;  /* XXH3 of the samples at display size */
    bool key_frame;
};

/* Zero-initialise; free in any case. */
struct measure {
    int pictures, room;
    int own;                          /* the segment's pictures: the others are of the next one */
    struct measured_picture *picture; /* [pictures] */
    bool clean; /* nothing was damaged that later pictures may have to stand in for */
    bool ended; /* that was the film's last picture */
};

/* Reads and measures pictures up to `end` (NULL: to the film's end) and MEASURE_COMPARED beyond, but no more than
 * `most`. `eye` has seen the picture before. What is in the measure is taken to be the segment's first pictures. */
int measure_read(struct measure *measure, struct input *input, struct scene_eye *eye,
                 const struct input_key *end, int64_t most, struct error *error);
/* Leaves what is of the next segment, as that one's first pictures. */
void measure_go_on(struct measure *measure);
/* True where decoding may begin at the key of `next`, which comes right behind `measure`. */
bool measure_meets(const struct measure *measure, const struct measure *next);
void measure_free(struct measure *measure);

/* As JSON: {"own": 48, "clean": true, "ended": false, "pictures": [[TIME STAMP, CHANGE, SUM], ...]}; NULL for want
 * of memory. */
json_t *measure_pack(const struct measure *measure);
/* -EINVAL where it is not that. */
int measure_unpack(json_t *json, struct measure *measure);

#endif
