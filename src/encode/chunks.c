/* Films that were cut beforehand: what their list says, and the task that hands it out. */
#include "encode/chunks.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "encode/tasks.h"
#include "util/await.h"
#include "util/output.h"

enum { PATH_SIZE = 40 };

void chunks_name(int64_t number, char name[CHUNKS_NAME])
{
    snprintf(name, CHUNKS_NAME, "chunk-%06" PRId64 ".y4m", number);
}

/* ---- The list ------------------------------------------------------------------------------ */

int chunks_write(const char *path, const struct chunks *chunks, const char *lines, size_t size,
                 struct error *error)
{
    struct output *output;
    int code = output_open(path, true, &output, error);
    if (code < 0)
        return code;
    FILE *stream = output_stream(output);
    json_t *json =
        json_pack("{s:i, s:s, s:I, s:I, s:i, s:i, s:b, s:I, s:I}", "format", 1, "film",
                  chunks->film, "start", (json_int_t)chunks->start, "frames",
                  (json_int_t)chunks->frames, "chunk_frames", chunks->chunk_frames, "batch_chunks",
                  chunks->batch_chunks, "scene_cuts", chunks->scene_cuts, "chunks",
                  (json_int_t)chunks->count, "pictures", (json_int_t)chunks->pictures);
    bool written = json != NULL && json_dumpf(json, stream, JSON_COMPACT) == 0 &&
                   fputc('\n', stream) != EOF && fwrite(lines, 1, size, stream) == size;
    json_decref(json);
    if (written)
        return output_commit(output, error);
    output_abort(output);
    return error_set(error, -EIO, "cannot write %s", path);
}

static int broken(const char *path, struct error *error)
{
    return error_set(error, -EINVAL, "%s is not the list of a film that `excamera split` has cut",
                     path);
}

static bool is_name(const char *name)
{
    for (const char *at = name; *at != '\0'; at++)
        if (!isalnum((unsigned char)*at) && *at != '.')
            return false;
    return name[0] != '.' && strlen(name) < CHUNKS_NAME;
}

static int read_header(const char *path, const char *line, struct chunks *chunks,
                       struct error *error)
{
    json_t *json = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
    json_int_t start, frames, count, pictures;
    int format, scene_cuts;
    const char *film;
    int code =
        json_unpack(json, "{s:i, s:s, s:I, s:I, s:i, s:i, s:b, s:I, s:I !}", "format", &format,
                    "film", &film, "start", &start, "frames", &frames, "chunk_frames",
                    &chunks->chunk_frames, "batch_chunks", &chunks->batch_chunks, "scene_cuts",
                    &scene_cuts, "chunks", &count, "pictures", &pictures) == 0 &&
                format == 1 && is_name(film) && count > 0
            ? 0
            : broken(path, error);
    if (code == 0) {
        snprintf(chunks->film, sizeof chunks->film, "%s", film);
        chunks->start = start;
        chunks->frames = frames;
        chunks->count = count;
        chunks->pictures = pictures;
        chunks->scene_cuts = scene_cuts;
    }
    json_decref(json);
    return code;
}

/* The list, with its first line read. */
static int open_list(const char *path, struct chunks *chunks, FILE **list, struct error *error)
{
    char *line = NULL;
    size_t room = 0;
    *list = fopen(path, "rbe");
    if (*list == NULL)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    int code = getline(&line, &room, *list) > 0 ? read_header(path, line, chunks, error)
                                                : broken(path, error);
    free(line);
    if (code < 0)
        fclose(*list);
    return code;
}

/* The next chunk's line. */
static int read_line(const char *path, FILE *list, struct times *times, struct error *error)
{
    char *line = NULL;
    size_t room = 0;
    int code =
        getline(&line, &room, list) > 0 ? times_parse(line, times, error) : broken(path, error);
    free(line);
    return code;
}

int chunks_read(const char *path, struct chunks *chunks, struct input_info *info,
                struct error *error)
{
    FILE *list;
    struct times times = {0};
    int code = open_list(path, chunks, &list, error);
    if (code < 0)
        return code;
    code = read_line(path, list, &times, error);
    fclose(list);
    *info = times.info;
    info->frames = chunks->pictures;
    free(times.chunk.time);
    return code;
}

/* ---- The task ------------------------------------------------------------------------------ */

static int hand_over(const struct times *times, struct error *error)
{
    const struct plan_chunk *plan = &times->chunk.plan;
    char path[PATH_SIZE], place[PATH_SIZE];
    snprintf(path, sizeof path, "times-%06" PRId64 ".json", plan->number);
    snprintf(place, sizeof place, "place-%06" PRId64 ".json", plan->number);
    int needed = await_point("needed", plan->number, error);
    int code = needed < 0 ? needed : times_write(path, times, error);
    if (code >= 0)
        code = await_point("times", plan->number, error);
    if (code >= 0 && needed != AWAIT_DONE) {
        code = times_write_place(place, plan, error);
        if (code >= 0)
            code = await_point("place", plan->number, error);
    }
    unlink(path);
    unlink(place);
    return code;
}

int task_chunks(const struct task_options *options, struct error *error)
{
    struct chunks chunks;
    FILE *list;
    int code = open_list(options->chunks, &chunks, &list, error);
    if (code < 0)
        return code;
    for (int64_t number = 0; number < chunks.count && code >= 0; number++) {
        struct times times = {0};
        code = read_line(options->chunks, list, &times, error);
        if (code >= 0 && (times.chunk.plan.number != number ||
                          times.chunk.last_of_film != (number + 1 == chunks.count)))
            code = broken(options->chunks, error);
        if (code >= 0)
            code = hand_over(&times, error);
        free(times.chunk.time);
    }
    fclose(list);
    return code < 0 ? code : await_point("end", chunks.count, error);
}
