/* The task that makes a film of the chunks of a job. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "encode/assembly.h"
#include "encode/files.h"
#include "encode/tasks.h"
#include "encode/times.h"
#include "util/await.h"

enum { NAME_SIZE = 40 };

struct join {
    struct assembly_options options;
    struct assembly *assembly;
    struct input_info info; /* as told with the first chunk */
    int64_t chunks, batches, unentered;
};

static int add_files(struct join *join, const char *times_path, const char *chunk_path,
                     struct error *error)
{
    struct times times;
    int code = await_point("times", join->chunks, error);
    if (code >= 0)
        code = times_read(times_path, &times, error);
    if (code < 0)
        return code;
    if (join->chunks == 0)
        join->info = times.info;
    code = await_point("chunk", join->chunks, error);
    if (code >= 0)
        code = assembly_add(join->assembly, &join->info, chunk_path, &times.chunk, error);
    free(times.chunk.time);
    join->chunks++;
    join->unentered = times.unentered;
    join->batches += times.chunk.plan.index == 0;
    return code < 0 ? code : !times.chunk.last_of_film;
}

/* Appends the next chunk. 1, or 0 if it was the film's last. */
static int add_chunk(struct join *join, struct error *error)
{
    char times[NAME_SIZE], chunk[NAME_SIZE];
    snprintf(times, sizeof times, "times-%06" PRId64 ".json", join->chunks);
    snprintf(chunk, sizeof chunk, "chunk-%06" PRId64 ".ivf", join->chunks);
    int code = add_files(join, times, chunk, error);
    unlink(times);
    unlink(chunk);
    return code;
}

static int write_summary(const char *path, const struct join *join,
                         const struct assembly_totals *totals, struct error *error)
{
    const struct input_info *info = &join->info;
    json_t *json = json_pack(
        "{s:I, s:I, s:I, s:I, s:f, s:I, s:I, s:i, s:i, s:b, s:s, s:s, s:b, s:I}", "frames",
        (json_int_t)totals->frames, "key_frames", (json_int_t)totals->key_frames, "bytes",
        (json_int_t)totals->bytes, "video_bytes", (json_int_t)totals->video_bytes, "seconds",
        totals->seconds, "chunks", (json_int_t)join->chunks, "batches", (json_int_t)join->batches,
        "width", info->format.width, "height", info->format.height, "has_audio", totals->has_audio,
        "source", info->source, "converted", info->converted, "interlaced", info->interlaced,
        "unentered", (json_int_t)join->unentered);
    return files_write_json(path, json, error);
}

int task_join(const struct task_options *options, struct error *error)
{
    struct join join = {
        .options = {.output = options->output,
                    .overwrite = true,
                    .audio_source = options->source,
                    .audio_bitrate = options->audio_bitrate,
                    .from_the_start = options->start == 0,
                    .to_the_end = options->frames == 0},
    };
    struct assembly_totals totals;
    int code = assembly_open(&join.options, &join.assembly, error);
    if (code < 0)
        return code;
    do
        code = add_chunk(&join, error);
    while (code > 0);
    if (code < 0) {
        assembly_abort(join.assembly);
        return code;
    }
    code = assembly_finish(join.assembly, &totals, error);
    if (code >= 0 && options->summary != NULL)
        code = write_summary(options->summary, &join, &totals, error);
    return code;
}
