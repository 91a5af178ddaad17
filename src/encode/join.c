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
#include "util/output.h"

enum { NAME_SIZE = 40 };

struct join {
    struct assembly_options options;
    struct assembly *assembly;
    struct input_info info; /* as told with the first chunk */
    int64_t chunks, batches, unentered;
};

/* What comes in for a chunk. It stays until the film is complete, so that a join that was ended half way goes on
 * with what it has. */
struct coming {
    char times[NAME_SIZE], chunk[NAME_SIZE];
};

static void name_coming(int64_t number, struct coming *files)
{
    snprintf(files->times, sizeof files->times, "times-%06" PRId64 ".json", number);
    snprintf(files->chunk, sizeof files->chunk, "chunk-%06" PRId64 ".ivf", number);
}

static void remove_all(int64_t chunks)
{
    for (int64_t number = 0; number <= chunks; number++) {
        struct coming files = {0};
        name_coming(number, &files);
        unlink(files.times);
        unlink(files.chunk);
    }
}

/* Files that are there are whole. */
static int await_file(const char *point, int64_t number, const char *path, struct error *error)
{
    return access(path, F_OK) == 0 ? 0 : await_point(point, number, error);
}

static int add_files(struct join *join, const struct coming *files, struct error *error)
{
    struct times times;
    int code = await_file("times", join->chunks, files->times, error);
    if (code >= 0)
        code = times_read(files->times, &times, error);
    if (code < 0)
        return code;
    if (join->chunks == 0)
        join->info = times.info;
    code = await_file("chunk", join->chunks, files->chunk, error);
    if (code >= 0)
        code = assembly_add(join->assembly, &join->info, files->chunk, &times.chunk, error);
    free(times.chunk.time);
    join->chunks++;
    join->unentered = times.unentered;
    join->batches += times.chunk.plan.index == 0;
    return code < 0 ? code : !times.chunk.last_of_film;
}

/* Appends the next chunk. 1, or 0 if it was the film's last. */
static int add_chunk(struct join *join, struct error *error)
{
    struct coming files = {0};
    name_coming(join->chunks, &files);
    return add_files(join, &files, error);
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
    if (await_is_answered())
        output_sweep();
    int code = assembly_open(&join.options, &join.assembly, error);
    if (code < 0)
        return code;
    do
        code = add_chunk(&join, error);
    while (code > 0);
    remove_all(join.chunks);
    if (code < 0) {
        assembly_abort(join.assembly);
        return code;
    }
    code = assembly_finish(join.assembly, &totals, error);
    if (code >= 0 && options->summary != NULL)
        code = write_summary(options->summary, &join, &totals, error);
    return code;
}
