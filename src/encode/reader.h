/* Cuts a film into raw chunks, in one sequential decode. */
#ifndef ENCODE_READER_H
#define ENCODE_READER_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/cut.h"
#include "media/input.h"
#include "util/error.h"

struct reader_options {
    const char *input;
    int64_t start;  /* first frame to encode, counted from 0 */
    int64_t frames; /* at most; 0 for all */
    int chunk_frames, batch_chunks;
    bool scene_cuts; /* a hard cut begins a batch */
};

struct reader;

int reader_open(const struct reader_options *options, struct reader **reader, struct error *error);
const struct input_info *reader_info(const struct reader *reader);

/* Writes the next chunk's pictures to `path` as Y4M, replacing what is there; nowhere where `path` is
 * NULL. 1, or 0 at the film's end (then nothing is written), or a negative errno. A film without frames is
 * an error. */
int reader_next(struct reader *reader, const char *path, struct raw_chunk *chunk,
                struct error *error);
void reader_close(struct reader *reader); /* NULL is allowed */

#endif
