/*
 * A film that was cut into raw chunks beforehand: a folder, or as many objects, with
 *
 *     chunk-000000.y4m, ...    the pictures of each chunk
 *     film.mp4                 the film, for its sound; not where it has none, or none is wanted
 *     chunks.jsonl             this, written last: a line of JSON that says how it was cut, then a line for each
 *                              chunk, as times.h has it
 *
 *     {"format": 1, "film": "film.mp4", "start": 0, "frames": 0, "chunk_frames": 6, "batch_chunks": 16,
 *      "scene_cuts": true, "chunks": 25, "pictures": 150}
 */
#ifndef ENCODE_CHUNKS_H
#define ENCODE_CHUNKS_H

#include <stdio.h>

#include "encode/times.h"
#include "util/error.h"

#define CHUNKS_FILE "chunks.jsonl"

enum { CHUNKS_NAME = 32 };

struct chunks {
    char film[CHUNKS_NAME]; /* letters, digits and '.'; "" for none */
    int64_t start, frames;  /* the part of the film, as struct reader_options has it */
    int chunk_frames, batch_chunks;
    bool scene_cuts;
    int64_t count, pictures; /* chunks, and pictures of all of them */
};

/* The name of a chunk's raw pictures. */
void chunks_name(int64_t number, char name[CHUNKS_NAME]);
/* Writes the first line, then `lines` as they are. Replaces what is at `path`, when complete. */
int chunks_write(const char *path, const struct chunks *chunks, const char *lines, size_t size,
                 struct error *error);
/* The first line, and of the first chunk the film's description. -EINVAL where the file is none of these. */
int chunks_read(const char *path, struct chunks *chunks, struct input_info *info,
                struct error *error);

#endif
