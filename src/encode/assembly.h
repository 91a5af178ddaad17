/* Joins finished chunks into the output: WebM with sound, or IVF. */
#ifndef ENCODE_ASSEMBLY_H
#define ENCODE_ASSEMBLY_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/reader.h"
#include "media/input.h"
#include "util/error.h"

struct assembly_options {
    const char *output; /* a name ending in .webm or .ivf, or "-": WebM on standard output */
    bool overwrite;
    const char *audio_source; /* NULL for no sound */
    int audio_bitrate;        /* bits per second; 0 for a default by the number of channels */
    bool from_the_start;      /* the film is encoded from its start */
    bool to_the_end;          /* and to its end */
};

/* What was written so far. */
struct assembly_totals {
    int64_t frames, key_frames;
    int64_t bytes; /* of the output as it lies there; of the video alone on standard output */
    int64_t video_bytes;
    bool has_audio; /* the output has sound */
    double seconds; /* that the video lasts */
};

struct assembly;

/* Checks that the output can be written, before anything else is done. `options` must outlive the
 * assembly. */
int assembly_open(const struct assembly_options *options, struct assembly **assembly,
                  struct error *error);
/* Adds the next chunk, the IVF file `path`; `time` has the times of the frames that it shows, in
 * ticks of info->time_base. */
int assembly_add(struct assembly *assembly, const struct input_info *info, const char *path,
                 const struct raw_chunk *chunk, struct error *error);
/* Completes the output under its final name; frees the assembly in any case. */
int assembly_finish(struct assembly *assembly, struct assembly_totals *totals, struct error *error);
/* Removes what is there of the output. */
void assembly_abort(struct assembly *assembly); /* NULL is allowed */

#endif
