#include "encode/assembly.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "encode/files.h"
#include "media/ivf.h"
#include "media/webm.h"
#include "util/output.h"

struct assembly {
    const struct assembly_options *options;
    struct output *output;
    bool is_ivf;
    bool begun; /* the header is written */
    struct ivf_header header;
    struct webm_writer *webm;
    struct ratio time_base;
    int64_t first; /* time stamp of the first frame */
    int64_t end;   /* time stamp at which the last frame ends */
    struct assembly_totals totals;
};

static bool ends_in(const char *name, const char *ending)
{
    size_t length = strlen(name);
    size_t ending_length = strlen(ending);
    return length > ending_length && strcmp(name + length - ending_length, ending) == 0;
}

int assembly_open(const struct assembly_options *options, struct assembly **result,
                  struct error *error)
{
    *result = NULL;
    const char *name = options->output;
    if (strcmp(name, "-") != 0 && !ends_in(name, ".webm") && !ends_in(name, ".ivf"))
        return error_set(error, -EINVAL,
                         "cannot tell what to write: %s ends neither in .webm nor "
                         "in .ivf",
                         name);
    struct assembly *assembly = calloc(1, sizeof *assembly);
    if (assembly == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    assembly->options = options;
    assembly->is_ivf = ends_in(name, ".ivf");
    int code = output_open(name, options->overwrite, &assembly->output, error);
    if (code < 0) {
        free(assembly);
        return code;
    }
    *result = assembly;
    return 0;
}

static int begin_ivf(struct assembly *assembly, const struct input_info *info, struct error *error)
{
    assembly->header = (struct ivf_header){
        .width = info->format.width,
        .height = info->format.height,
        .time_base = info->time_base,
    };
    return ivf_write_header(output_stream(assembly->output), &assembly->header, error);
}

/* Where the sound begins before the first picture, the film begins with it. */
static int64_t find_start(const struct assembly *assembly, const struct input_info *info,
                          const struct frame_time *first)
{
    bool early_sound = assembly->options->audio_source != NULL &&
                       assembly->options->from_the_start &&
                       info->begin < first->time_stamp - first->duration;
    return early_sound ? info->begin : first->time_stamp;
}

static int begin(struct assembly *assembly, const struct input_info *info,
                 const struct frame_time *first, struct error *error)
{
    assembly->begun = true;
    assembly->totals.has_audio =
        !assembly->is_ivf && info->has_audio && assembly->options->audio_source != NULL;
    assembly->time_base = info->time_base;
    assembly->first = first->time_stamp;
    if (assembly->is_ivf)
        return begin_ivf(assembly, info, error);
    struct webm_options options = {
        .format = info->format,
        .time_base = info->time_base,
        .audio_source = assembly->totals.has_audio ? assembly->options->audio_source : NULL,
        .audio_bitrate = assembly->options->audio_bitrate,
        .start = find_start(assembly, info, first),
        .end = INT64_MAX,
    };
    return webm_open(output_path(assembly->output), &options, &assembly->webm, error);
}

static int write_frame(struct assembly *assembly, const struct chunk_frame *frame,
                       const struct frame_time *time, struct error *error)
{
    assembly->totals.video_bytes += (int64_t)frame->size;
    assembly->totals.frames += frame->tag.shown;
    assembly->totals.key_frames += frame->tag.key_frame;
    assembly->header.frames++;
    if (assembly->is_ivf)
        return ivf_write(output_stream(assembly->output), frame->data, frame->size,
                         (uint64_t)(time->time_stamp - assembly->first), error);
    return webm_write(assembly->webm, frame->data, frame->size, time->time_stamp, time->duration,
                      frame->tag.key_frame, frame->tag.shown, error);
}

static int write_frames(struct assembly *assembly, const struct chunk_file *file,
                        const struct raw_chunk *chunk, struct error *error)
{
    int shown = 0;
    for (int i = 0; i < file->frames; i++) {
        /* A hidden frame at the chunk's end goes with the last picture. */
        int place = shown < chunk->plan.frames ? shown : chunk->plan.frames - 1;
        int code = write_frame(assembly, &file->frame[i], &chunk->time[place], error);
        if (code < 0)
            return code;
        shown += file->frame[i].tag.shown;
    }
    if (shown != chunk->plan.frames)
        return error_set(error, -EINVAL, "chunk %lld shows %d frames instead of %d",
                         (long long)chunk->plan.number, shown, chunk->plan.frames);
    const struct frame_time *last = &chunk->time[chunk->plan.frames - 1];
    assembly->end = last->time_stamp + last->duration;
    return 0;
}

int assembly_add(struct assembly *assembly, const struct input_info *info, const char *path,
                 const struct raw_chunk *chunk, struct error *error)
{
    struct chunk_file file = {0};
    int code = files_read_chunk(path, &file, error);
    if (code < 0)
        goto done;
    if (!assembly->begun)
        code = begin(assembly, info, &chunk->time[0], error);
    if (code >= 0)
        code = write_frames(assembly, &file, chunk, error);
    if (code < 0)
        error_prefix(error, "%s", assembly->options->output);
done:
    files_free_chunk(&file);
    return code;
}

/* Writes the header once more, now that the number of frames is known. */
static int finish_ivf(struct assembly *assembly, struct error *error)
{
    FILE *stream = output_stream(assembly->output);
    if (fseeko(stream, 0, SEEK_SET) != 0)
        return error_set(error, -errno, "cannot write %s: %s", assembly->options->output,
                         strerror(errno));
    return ivf_write_header(stream, &assembly->header, error);
}

static int finish_webm(struct assembly *assembly, struct error *error)
{
    struct webm_writer *webm = assembly->webm;
    assembly->webm = NULL; /* webm_finish frees it in any case */
    if (!assembly->options->to_the_end)
        webm_set_end(webm, assembly->end);
    return webm_finish(webm, error);
}

int assembly_finish(struct assembly *assembly, struct assembly_totals *totals, struct error *error)
{
    int code = assembly->is_ivf ? finish_ivf(assembly, error) : finish_webm(assembly, error);
    if (code < 0) {
        assembly_abort(assembly);
        return code;
    }
    *totals = assembly->totals;
    totals->seconds = (double)(assembly->end - assembly->first) * assembly->time_base.numerator /
                      assembly->time_base.denominator;
    code = output_commit(assembly->output, error);
    struct stat status;
    bool is_file =
        code >= 0 && stat(assembly->options->output, &status) == 0 && S_ISREG(status.st_mode);
    totals->bytes = is_file ? (int64_t)status.st_size : totals->video_bytes;
    free(assembly);
    return code;
}

void assembly_abort(struct assembly *assembly)
{
    if (assembly == NULL)
        return;
    webm_abort(assembly->webm);
    output_abort(assembly->output);
    free(assembly);
}
