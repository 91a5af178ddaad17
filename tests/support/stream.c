#include "support/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/ivf.h"
#include "support/claim.h"
#include "support/scratch.h"

enum { MAX_ARGUMENTS = 40 };

void stream_add(struct stream *stream, const uint8_t *data, size_t size)
{
    struct xc_buffer frame = {.data = malloc(size ? size : 1), .size = size, .capacity = size};
    stream->frame = realloc(stream->frame, ((size_t)stream->frames + 1) * sizeof *stream->frame);
    CLAIM(frame.data && stream->frame);
    if (size)
        memcpy(frame.data, data, size);
    stream->frame[stream->frames++] = frame;
}

void stream_read(struct stream *stream, const char *path)
{
    struct ivf_reader *reader;
    struct xc_buffer frame = {0};
    struct error error;
    uint64_t time;
    int code;
    *stream = (struct stream){0};
    CLAIM(ivf_open(path, &reader, &error) == 0);
    while ((code = ivf_read(reader, &frame, &time, &error)) == 1)
        stream_add(stream, frame.data, frame.size);
    CLAIM(code == 0);
    ivf_close(reader);
    xc_buffer_free(&frame);
}

void stream_write(const struct stream *stream, const char *path)
{
    struct xc_frame_tag tag;
    struct error error;
    CLAIM(xc_frame_tag(stream->frame[0].data, stream->frame[0].size, &tag) == XC_OK);
    struct ivf_header header = {.width = tag.width,
                                .height = tag.height,
                                .time_base = {1, 25},
                                .frames = (uint32_t)stream->frames};
    FILE *file = fopen(path, "wb");
    CLAIM(file && ivf_write_header(file, &header, &error) == 0);
    for (int i = 0; i < stream->frames; i++)
        CLAIM(ivf_write(file, stream->frame[i].data, stream->frame[i].size, (uint64_t)i, &error) ==
              0);
    CLAIM(fclose(file) == 0);
}

void stream_encode(struct stream *stream, const struct film *film, const char *const options[])
{
    char raw[SCRATCH_PATH], coded[SCRATCH_PATH], stats[SCRATCH_PATH], pass_file[SCRATCH_PATH + 8];
    scratch_path(raw, "raw.y4m");
    scratch_path(coded, "coded.ivf");
    scratch_path(stats, "stats");
    snprintf(pass_file, sizeof pass_file, "--fpf=%s", stats);
    const char *command[MAX_ARGUMENTS] = {"vpxenc",      "--codec=vp8", "--ivf", "--quiet", "-y",
                                          "--threads=1", pass_file,     "-o",    coded};
    int count = 9;
    while (*options && count < MAX_ARGUMENTS - 2)
        command[count++] = *options++;
    CLAIM(!*options);
    command[count] = raw;
    film_write(film, raw);
    CLAIM(scratch_run(command) == 0);
    stream_read(stream, coded);
    CLAIM(stream->frames > 0);
    remove(raw);
    remove(coded);
    remove(stats);
}

size_t stream_size(const struct stream *stream)
{
    size_t sum = 0;
    for (int i = 0; i < stream->frames; i++)
        sum += stream->frame[i].size;
    return sum;
}

void stream_free(struct stream *stream)
{
    for (int i = 0; i < stream->frames; i++)
        xc_buffer_free(&stream->frame[i]);
    free(stream->frame);
    *stream = (struct stream){0};
}
