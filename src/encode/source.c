/* The task that decodes the film for all chunks of a job. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "encode/reader.h"
#include "encode/tasks.h"
#include "encode/times.h"
#include "util/await.h"

enum { NAME_SIZE = 40 };

/* The files made for a chunk. */
struct handover {
    char raw[NAME_SIZE], place[NAME_SIZE], times[NAME_SIZE];
};

static void name_files(int64_t number, struct handover *files)
{
    snprintf(files->raw, sizeof files->raw, "raw-%06" PRId64 ".y4m", number);
    snprintf(files->place, sizeof files->place, "place-%06" PRId64 ".json", number);
    snprintf(files->times, sizeof files->times, "times-%06" PRId64 ".json", number);
}

static void remove_files(const struct handover *files)
{
    unlink(files->raw);
    unlink(files->place);
    unlink(files->times);
}

/* Waits at the points that hand the chunk over. What joins the film comes first: of a chunk that is
 * done it may be all that is still wanted. One that has begun has asked: to wait for that again would
 * have it begin anew, when this is what begins anew. */
static int hand_over(const struct handover *files, const struct times *times, int needed,
                     struct error *error)
{
    const int64_t number = times->chunk.plan.number;
    int code = times_write(files->times, times, error);
    if (code >= 0)
        code = await_point("times", number, error);
    if (code < 0 || needed == AWAIT_DONE)
        return code;
    code = times_write_place(files->place, &times->chunk.plan, error);
    if (code >= 0 && needed != AWAIT_BEGUN)
        code = await_point("wanted", number, error);
    if (code >= 0)
        code = await_point("raw", number, error);
    if (code >= 0)
        code = await_point("place", number, error);
    return code;
}

/* 1, or 0 after the film's last chunk. */
static int make_chunk(struct reader *reader, int64_t number, struct error *error)
{
    struct handover files = {0};
    struct times times = {0};
    name_files(number, &files);
    int needed = await_point("needed", number, error);
    /* The pictures are read before they are asked for, so that they lie ready then. */
    int code = needed;
    if (code >= 0)
        code = reader_next(reader, needed != AWAIT_DONE ? files.raw : NULL, &times.chunk, error);
    if (code >= 0) {
        times.info = *reader_info(reader);
        code = hand_over(&files, &times, needed, error);
    }
    remove_files(&files);
    free(times.chunk.time);
    return code < 0 ? code : !times.chunk.last_of_film;
}

int task_source(const struct task_options *options, struct error *error)
{
    const struct reader_options settings = {
        .input = options->source,
        .start = options->start,
        .frames = options->frames,
        .chunk_frames = options->chunk_frames,
        .batch_chunks = options->batch_chunks,
        .scene_cuts = options->scene_cuts,
    };
    struct reader *reader;
    int64_t number = 0;
    int code = reader_open(&settings, &reader, error);
    if (code < 0)
        return code;
    do
        code = make_chunk(reader, number++, error);
    while (code > 0);
    reader_close(reader);
    return code < 0 ? code : await_point("end", number, error);
}
