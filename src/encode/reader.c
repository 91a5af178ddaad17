#include "encode/reader.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "media/y4m.h"

struct reader {
    struct reader_options options;
    struct input *input;
    struct cutter cutter;
    struct scene_eye eye;
    int64_t skipped; /* frames before options.start that were read */
    int64_t frames;  /* of the part, read so far */
    bool ended;
    /* The frame after the chunk that was read last: one frame ahead shows where a chunk ends and
     * how long its last frame is shown. The cutter has it already. */
    struct xc_picture *picture;
    int64_t time_stamp;
};

/* Reads the next frame of the part to be encoded; reader->picture is NULL after the last. */
static int read_frame(struct reader *reader, struct error *error)
{
    xc_picture_unref(reader->picture);
    reader->picture = NULL;
    if (reader->options.frames > 0 && reader->frames == reader->options.frames)
        return 0;
    for (;;) {
        int code = input_read(reader->input, &reader->picture, &reader->time_stamp, error);
        if (code <= 0)
            return code;
        if (reader->skipped == reader->options.start)
            break;
        reader->skipped++;
        xc_picture_unref(reader->picture);
        reader->picture = NULL;
    }
    reader->frames++;
    return 0;
}

static int check_options(const struct reader *reader, struct error *error)
{
    const struct input_info *info = input_info(reader->input);
    const struct video_format *format = &info->format;
    if (format->width > XC_MAX_DIMENSION || format->height > XC_MAX_DIMENSION)
        return error_set(error, -EINVAL, "%s is %dx%d, but VP8 ends at %dx%d",
                         reader->options.input, format->width, format->height, XC_MAX_DIMENSION,
                         XC_MAX_DIMENSION);
    return 0;
}

int reader_open(const struct reader_options *options, struct reader **result, struct error *error)
{
    *result = NULL;
    struct reader *reader = calloc(1, sizeof *reader);
    if (reader == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    reader->options = *options;
    int code = input_open(options->input, &reader->input, error);
    if (code >= 0)
        code = check_options(reader, error);
    if (code < 0) {
        reader_close(reader);
        return code;
    }
    cut_start(&reader->cutter, input_info(reader->input), options->chunk_frames,
              options->batch_chunks, options->scene_cuts);
    *result = reader;
    return 0;
}

const struct input_info *reader_info(const struct reader *reader)
{
    return input_info(reader->input);
}

/* Tells the cutter of the frame that was read. */
static int add_frame(struct reader *reader, struct raw_chunk *chunk, struct error *error)
{
    double change = reader->options.scene_cuts ? scene_look(&reader->eye, reader->picture) : 0;
    return cut_add(&reader->cutter, reader->time_stamp, change, chunk, error);
}

/* Writes the waiting frame and reads on until another chunk begins. `stream` may be NULL. */
static int write_chunk(struct reader *reader, const char *path, FILE *stream,
                       struct raw_chunk *chunk, struct error *error)
{
    int code = 0;
    while (code == 0) {
        code = stream != NULL ? y4m_write(stream, reader->picture, error) : 0;
        if (code < 0)
            return error_prefix(error, "scratch file %s", path);
        code = read_frame(reader, error);
        if (code < 0)
            return code;
        if (reader->picture == NULL) {
            reader->ended = true;
            cut_end(&reader->cutter, chunk);
            return 1;
        }
        code = add_frame(reader, chunk, error);
    }
    return code;
}

/* The film's first frame, which begins the first chunk. */
static int begin(struct reader *reader, struct error *error)
{
    int code = read_frame(reader, error);
    if (code < 0)
        return code;
    if (reader->picture == NULL && reader->skipped > 0)
        return error_set(error, -EINVAL, "%s has only %lld frames, too few to start at frame %lld",
                         reader->options.input, (long long)reader->skipped,
                         (long long)reader->options.start);
    if (reader->picture == NULL)
        return error_set(error, -EINVAL, "%s has no video frames", reader->options.input);
    struct raw_chunk none;
    return add_frame(reader, &none, error);
}

static int write_file(struct reader *reader, const char *path, struct raw_chunk *chunk,
                      struct error *error)
{
    FILE *stream = fopen(path, "wbe");
    if (stream == NULL)
        return error_set(error, -errno, "cannot write %s: %s", path, strerror(errno));
    int code = y4m_write_header(stream, &reader_info(reader)->format, error);
    if (code >= 0)
        code = write_chunk(reader, path, stream, chunk, error);
    if (fclose(stream) != 0 && code >= 0)
        code = error_set(error, -errno, "cannot write %s: %s", path, strerror(errno));
    return code;
}

int reader_next(struct reader *reader, const char *path, struct raw_chunk *chunk,
                struct error *error)
{
    *chunk = (struct raw_chunk){0};
    if (reader->ended)
        return 0;
    int code = reader->frames == 0 ? begin(reader, error) : 0;
    if (code < 0)
        return code;
    code = path != NULL ? write_file(reader, path, chunk, error)
                        : write_chunk(reader, path, NULL, chunk, error);
    if (code < 0) {
        free(chunk->time);
        chunk->time = NULL;
    }
    return code;
}

void reader_close(struct reader *reader)
{
    if (reader == NULL)
        return;
    xc_picture_unref(reader->picture);
    input_close(reader->input);
    cut_free(&reader->cutter);
    free(reader);
}
