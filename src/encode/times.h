/*
 * What whoever joins a film must know of a chunk besides its frames, as a file: JSON, one object.
 *
 *     {"number": 0, "index": 0, "last": false, "last_of_film": false,   the chunk's place, see plan.h
 *      "width": 176, "height": 144, "frame_rate": [25, 1], "pixel_aspect": [1, 1],
 *      "primaries": 2, "transfer": 2, "matrix": 2, "full_range": false,
 *      "time_base": [1, 1000],                      seconds in a tick
 *      "begin": 0, "has_audio": true, "interlaced": false, "converted": "", "source": "mov, h264",
 *      "unentered": 0,
 *      "times": [[0, 40], [40, 40]]}                time stamp and duration of each picture, in ticks
 */
#ifndef ENCODE_TIMES_H
#define ENCODE_TIMES_H

#include <jansson.h>
#include <stdbool.h>

#include "encode/reader.h"
#include "media/input.h"
#include "util/error.h"

struct times {
    struct input_info info; /* but for the estimate of frames, which is 0 */
    int64_t
        unentered; /* pictures so far that whoever planned had to decode in order: decoding cannot begin
                               at the keys before them */
    struct raw_chunk chunk; /* all but plan.first_frame; whoever read it frees chunk.time */
};

/* The object; NULL for want of memory. */
json_t *times_pack(const struct times *times);
/* A chunk's place in its batch, {"position": 0, "last_of_batch": false, "pictures": 6}, likewise. */
int times_write_place(const char *path, const struct plan_chunk *plan, struct error *error);
/* Replaces what is at `path`, when complete. */
int times_write(const char *path, const struct times *times, struct error *error);
/* Of a line of text; `times->chunk.time` is to be freed where it succeeds. */
int times_parse(const char *text, struct times *times, struct error *error);
/* It is an error when the file is not what times_write() makes. */
int times_read(const char *path, struct times *times, struct error *error);

#endif
