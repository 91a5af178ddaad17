/*
 * What the task that plans a job and those that scan its film for it tell each other: files of JSON.
 *
 *     {"to_end": true, "keys": [KEY, ...]}     what to scan: from each key to the next, and from the last to
 *                                              the film's end, or up to the last where `to_end` is false
 *     {"measures": [...]}                      what was found: of each of these, see measure.h
 *     {"position": 1, "last_of_batch": false, "pictures": 6, "first": 3600, "key": KEY}
 *                                              a chunk's place: that in its batch, how many pictures it has, the
 *                                              first one's time stamp, and where to begin to decode
 *
 * A KEY is [packet, pts, dts, position, size], as in struct input_key; a null is INPUT_NO_TIME.
 */
#ifndef ENCODE_SEGMENTS_H
#define ENCODE_SEGMENTS_H

#include "encode/measure.h"
#include "encode/plan.h"
#include "media/index.h"
#include "util/error.h"

/* Writing replaces what is at `path`, when complete; reading fails for what is not such a file. */

int segments_write(const char *path, const struct input_key *key, int keys, bool to_end,
                   struct error *error);
/* `index` is to be freed in any case; whole says `to_end`, packets is not set. It may have no keys. */
int segments_read(const char *path, struct index *index, struct error *error);

int segments_write_measures(const char *path, const struct measure *measure, int count,
                            struct error *error);
/* Exactly `count`, each to be freed in any case. */
int segments_read_measures(const char *path, struct measure *measure, int count,
                           struct error *error);

struct segments_place {
    int64_t first; /* time stamp of the first picture */
    int pictures;
    struct input_key key;
};
int segments_write_place(const char *path, const struct plan_chunk *plan,
                         const struct segments_place *place, struct error *error);
int segments_read_place(const char *path, struct segments_place *place, struct error *error);

#endif
