/*
 * ExCamera[N, x]: which frames make a chunk, which chunks a batch. A film is planned frame by frame
 * as it is decoded, so that its length need not be known.
 */
#ifndef ENCODE_PLAN_H
#define ENCODE_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#define PLAN_MOST_FRAMES 10000   /* in a chunk */
#define PLAN_MOST_CHUNKS 1000000 /* in a batch */

struct plan_chunk {
    int64_t number;      /* in the film, from 0 */
    int64_t first_frame; /* in the film, from 0 */
    int frames;
    int index; /* in its batch, from 0: only chunk 0 keeps its key frame */
    bool last; /* of its batch: no chunk builds on it */
};

struct plan {
    int chunk_frames; /* N: frames in a chunk, [1, PLAN_MOST_FRAMES] */
    int batch_chunks; /* x: chunks in a batch, [1, PLAN_MOST_CHUNKS] */
    struct plan_chunk current;
};

void plan_start(struct plan *plan, int chunk_frames, int batch_chunks);

/* Adds the next frame; `cut` says that a new scene begins with it, and so a new batch. Returns
 * true, and in `finished` the chunk before it, if the frame begins a chunk other than the first. */
bool plan_add(struct plan *plan, bool cut, struct plan_chunk *finished);

/* The film is over. Returns true and the last chunk, or false for a film without frames. */
bool plan_end(struct plan *plan, struct plan_chunk *finished);

#endif
