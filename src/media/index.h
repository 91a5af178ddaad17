/* Where decoding of a film can begin, found by its packets alone: nothing is decoded. */
#ifndef MEDIA_INDEX_H
#define MEDIA_INDEX_H

#include "media/input.h"

struct index {
    int64_t packets;       /* of the video stream */
    bool whole;            /* that is all of it */
    int keys;              /* at least 1 */
    struct input_key *key; /* [keys], in order; the first is the film's start */
};

/* Reads the packets of `path`, a file or an http(s) URL, until a key comes after the first `most` packets (0: to
 * the film's end); that is then the last. Keys are at least `apart` packets apart. Zero-initialise `index`, free
 * it in any case. */
int index_read(const char *path, int apart, int64_t most, struct index *index, struct error *error);
void index_free(struct index *index);

#endif
