/* States, compressed chunks and JSON, whole files in and out of memory, for the tasks. */
#ifndef ENCODE_FILES_H
#define ENCODE_FILES_H

#include <jansson.h>

#include "excamera/vp8.h"
#include "media/ivf.h"
#include "util/error.h"

/* A sentence for a result of the codec; `where` is the file or frame concerned. Returns a negative
 * errno. */
int files_codec_error(struct error *error, const char *where, int result);

int files_read_state(const char *path, struct xc_state **state, struct error *error);
/* Replaces what is at `path`, when complete. */
int files_write_state(const char *path, const struct xc_state *state, struct error *error);

/* The same for a JSON value, which it takes over; NULL is one that could not be made for want of memory. */
int files_write_json(const char *path, json_t *json, struct error *error);

struct chunk_frame {
    uint8_t *data;
    size_t size;
    struct xc_frame_tag tag;
};

/* The frames of an IVF file. Zero-initialise, then read or add; free in any case. */
struct chunk_file {
    struct ivf_header header;
    int frames;
    struct chunk_frame *frame; /* [frames] */
};
/* It is an error when the file has no frame, or one that is not VP8. */
int files_read_chunk(const char *path, struct chunk_file *chunk, struct error *error);
/* Replaces what is at `path`, when complete. Time stamps count the shown frames: a hidden frame has
 * that of the next shown one. */
int files_write_chunk(const char *path, const struct chunk_file *chunk, struct error *error);
/* Appends a copy of a frame. */
int files_add_frame(struct chunk_file *chunk, const uint8_t *data, size_t size,
                    struct error *error);
void files_free_chunk(struct chunk_file *chunk);

#endif
