#include "encode/times.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "encode/files.h"

/* ---- Writing ------------------------------------------------------------------------------- */

static json_t *pack_ratio(struct ratio ratio)
{
    return json_pack("[i, i]", ratio.numerator, ratio.denominator);
}

static json_t *pack_times(const struct raw_chunk *chunk)
{
    json_t *list = json_array();
    for (int i = 0; i < chunk->plan.frames && list != NULL; i++) {
        const struct frame_time *time = &chunk->time[i];
        if (json_array_append_new(list, json_pack("[I, I]", (json_int_t)time->time_stamp,
                                                  (json_int_t)time->duration)) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return list;
}

json_t *times_pack(const struct times *times)
{
    const struct input_info *info = &times->info;
    const struct video_format *format = &info->format;
    const struct plan_chunk *plan = &times->chunk.plan;
    return json_pack("{s:I, s:i, s:b, s:b, s:i, s:i, s:o, s:o, s:i, s:i, s:i, s:b, s:o, s:I, s:b, "
                     "s:b, s:s, s:s, s:I, s:o}",
                     "number", (json_int_t)plan->number, "index", plan->index, "last", plan->last,
                     "last_of_film", times->chunk.last_of_film, "width", format->width, "height",
                     format->height, "frame_rate", pack_ratio(format->frame_rate), "pixel_aspect",
                     pack_ratio(format->pixel_aspect), "primaries", format->colour.primaries,
                     "transfer", format->colour.transfer, "matrix", format->colour.matrix,
                     "full_range", format->colour.full_range, "time_base",
                     pack_ratio(info->time_base), "begin", (json_int_t)info->begin, "has_audio",
                     info->has_audio, "interlaced", info->interlaced, "converted", info->converted,
                     "source", info->source, "unentered", (json_int_t)times->unentered, "times",
                     pack_times(&times->chunk));
}

int times_write(const char *path, const struct times *times, struct error *error)
{
    return files_write_json(path, times_pack(times), error);
}

int times_write_place(const char *path, const struct plan_chunk *plan, struct error *error)
{
    json_t *json = json_pack("{s:i, s:b, s:i}", "position", plan->index, "last_of_batch",
                             plan->last, "pictures", plan->frames);
    return files_write_json(path, json, error);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static int broken(const char *path, const char *reason, struct error *error)
{
    return error_set(error, -EINVAL, "%s does not say when a chunk's pictures are shown: %s", path,
                     reason);
}

/* `list` belongs to the file's object. */
static int unpack_times(const char *path, json_t *list, struct raw_chunk *chunk,
                        struct error *error)
{
    size_t frames = json_array_size(list);
    if (frames == 0 || frames > PLAN_MOST_FRAMES)
        return broken(path, "the number of pictures is wrong", error);
    chunk->time = malloc(frames * sizeof *chunk->time);
    if (chunk->time == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    chunk->plan.frames = (int)frames;
    for (size_t i = 0; i < frames; i++) {
        json_int_t time_stamp, duration;
        if (json_unpack(json_array_get(list, i), "[I, I!]", &time_stamp, &duration) < 0) {
            free(chunk->time);
            chunk->time = NULL;
            return broken(path, "a time is wrong", error);
        }
        chunk->time[i] = (struct frame_time){time_stamp, duration};
    }
    return 0;
}

static int unpack(const char *path, json_t *json, struct times *times, struct error *error)
{
    struct input_info *info = &times->info;
    struct video_format *format = &info->format;
    struct plan_chunk *plan = &times->chunk.plan;
    json_int_t number, begin, unentered;
    int last, last_of_film, full_range, has_audio, interlaced;
    const char *converted, *source;
    json_error_t failure;
    json_t *list;
    if (json_unpack_ex(
            json, &failure, 0,
            "{s:I, s:i, s:b, s:b, s:i, s:i, s:[i, i!], s:[i, i!], s:i, s:i, s:i, s:b, s:[i, i!], "
            "s:I, s:b, s:b, s:s, s:s, s:I, s:o !}",
            "number", &number, "index", &plan->index, "last", &last, "last_of_film", &last_of_film,
            "width", &format->width, "height", &format->height, "frame_rate",
            &format->frame_rate.numerator, &format->frame_rate.denominator, "pixel_aspect",
            &format->pixel_aspect.numerator, &format->pixel_aspect.denominator, "primaries",
            &format->colour.primaries, "transfer", &format->colour.transfer, "matrix",
            &format->colour.matrix, "full_range", &full_range, "time_base",
            &info->time_base.numerator, &info->time_base.denominator, "begin", &begin, "has_audio",
            &has_audio, "interlaced", &interlaced, "converted", &converted, "source", &source,
            "unentered", &unentered, "times", &list) < 0)
        return broken(path, failure.text, error);
    if (info->time_base.numerator < 1 || info->time_base.denominator < 1)
        return broken(path, "the time base is none", error);
    plan->number = number;
    plan->last = last;
    times->chunk.last_of_film = last_of_film;
    format->colour.full_range = full_range;
    info->begin = begin;
    times->unentered = unentered;
    info->has_audio = has_audio;
    info->interlaced = interlaced;
    snprintf(info->converted, sizeof info->converted, "%s", converted);
    snprintf(info->source, sizeof info->source, "%s", source);
    return unpack_times(path, list, &times->chunk, error);
}

int times_read(const char *path, struct times *times, struct error *error)
{
    json_error_t failure;
    *times = (struct times){0};
    json_t *json = json_load_file(path, JSON_REJECT_DUPLICATES, &failure);
    if (json == NULL)
        return broken(path, failure.text, error);
    int code = unpack(path, json, times, error);
    json_decref(json);
    return code;
}

int times_parse(const char *text, struct times *times, struct error *error)
{
    json_error_t failure;
    *times = (struct times){0};
    json_t *json = json_loads(text, JSON_REJECT_DUPLICATES, &failure);
    if (json == NULL)
        return broken("a line", failure.text, error);
    int code = unpack("a line", json, times, error);
    json_decref(json);
    return code;
}
