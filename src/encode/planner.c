/* The task that plans the chunks of a job whose workers decode the film themselves. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "encode/segments.h"
#include "encode/tasks.h"
#include "encode/times.h"
#include "util/await.h"

enum {
    NAME_SIZE = 40,
    /* Packets between keys, at least. What each chunk decodes in vain grows with it, what is measured twice
     * (MEASURE_COMPARED pictures at each key) shrinks. */
    APART = 32,
};

struct planner {
    const struct task_options *options;
    struct times times; /* what is told of each chunk */
    struct index index;
    int segments;         /* that are scanned */
    struct measure *scan; /* [segments], as they come; freed as they are used */
    int scans_read;
    struct cutter cutter;
    int64_t skipped, frames; /* before the part that is encoded, and of it */
    bool complete;           /* the part is */

    /* Where decoding begins for the pictures at hand: the last key where that is known to be right. */
    int entered;           /* a segment */
    int64_t since_entered; /* pictures from there on */
    struct input
        *input; /* decodes on from there where the next keys are no good; NULL where not needed */
    struct scene_eye eye;

    struct segments_place place; /* of the chunk that is under way */
};

/* ---- The film's segments, and who scans which ------------------------------------------------ */

static int first_segment(const struct planner *planner, int scan)
{
    return (int)((int64_t)planner->segments * scan / planner->options->scans);
}

static int send_segments(struct planner *planner, struct error *error)
{
    const struct index *index = &planner->index;
    int code = 0;
    for (int scan = 0; scan < planner->options->scans && code >= 0; scan++) {
        char path[NAME_SIZE];
        int first = first_segment(planner, scan), behind = first_segment(planner, scan + 1);
        bool to_end = index->whole && behind == planner->segments;
        int keys = behind > first ? behind - first + !to_end : 0;
        snprintf(path, sizeof path, "segments-%06d.json", scan);
        code = segments_write(path, &index->key[first], keys, to_end, error);
        if (code >= 0)
            code = await_point("segments", scan, error);
        unlink(path);
    }
    return code;
}

static int index_film(struct planner *planner, struct error *error)
{
    const struct task_options *options = planner->options;
    struct index *index = &planner->index;
    /* As a rule a packet is a picture. Where there are fewer pictures, the film is decoded beyond. */
    int64_t most = options->frames > 0 ? options->start + options->frames : 0;
    int code = index_read(options->source, APART, most, index, error);
    if (code < 0)
        return code;
    planner->segments = index->whole ? index->keys : index->keys - 1;
    planner->scan = calloc((size_t)planner->segments, sizeof *planner->scan);
    if (planner->scan == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    return send_segments(planner, error);
}

/* Waits for the measures of `segment`, and takes all that come with them. */
static int read_scan(struct planner *planner, int segment, struct error *error)
{
    while (first_segment(planner, planner->scans_read) <= segment) {
        int scan = planner->scans_read++;
        char path[NAME_SIZE];
        int first = first_segment(planner, scan), behind = first_segment(planner, scan + 1);
        if (behind == first)
            continue;
        snprintf(path, sizeof path, "measures-%06d.json", scan);
        int code = await_point("measures", scan, error);
        if (code >= 0)
            code = segments_read_measures(path, &planner->scan[first], behind - first, error);
        unlink(path);
        if (code < 0)
            return code;
    }
    return 0;
}

/* ---- Chunks ---------------------------------------------------------------------------------- */

static int hand_over(struct planner *planner, struct error *error)
{
    const struct plan_chunk *plan = &planner->times.chunk.plan;
    char times[NAME_SIZE], place[NAME_SIZE];
    snprintf(times, sizeof times, "times-%06" PRId64 ".json", plan->number);
    snprintf(place, sizeof place, "place-%06" PRId64 ".json", plan->number);
    int needed = await_point("needed", plan->number, error);
    int code = needed;
    if (code >= 0)
        code = times_write(times, &planner->times, error);
    if (code >= 0)
        code = await_point("times", plan->number, error);
    if (code >= 0 && needed != AWAIT_DONE) {
        planner->place.pictures = plan->frames;
        code = segments_write_place(place, plan, &planner->place, error);
        if (code >= 0)
            code = await_point("place", plan->number, error);
    }
    unlink(times);
    unlink(place);
    free(planner->times.chunk.time);
    planner->times.chunk.time = NULL;
    return code < 0 ? code : 0;
}

static int add_picture(struct planner *planner, const struct measured_picture *picture,
                       struct error *error)
{
    const struct task_options *options = planner->options;
    planner->since_entered++;
    if (planner->skipped < options->start) {
        planner->skipped++;
        return 0;
    }
    int code = cut_add(&planner->cutter, picture->time_stamp, picture->change,
                       &planner->times.chunk, error);
    if (code > 0)
        code = hand_over(planner, error);
    if (code < 0)
        return code;
    if (planner->cutter.plan.current.frames == 1) {
        planner->place.first = picture->time_stamp;
        planner->place.key = planner->index.key[planner->entered];
    }
    planner->complete = ++planner->frames == options->frames;
    return 0;
}

static int add_pictures(struct planner *planner, const struct measure *measure, struct error *error)
{
    int code = 0;
    for (int i = 0; i < measure->own && code >= 0 && !planner->complete; i++)
        code = add_picture(planner, &measure->picture[i], error);
    return code;
}

static int add_last(struct planner *planner, struct error *error)
{
    const char *source = planner->options->source;
    if (planner->frames == 0 && planner->skipped > 0)
        return error_set(error, -EINVAL, "%s has only %lld frames, too few to start at frame %lld",
                         source, (long long)planner->skipped, (long long)planner->options->start);
    if (planner->frames == 0)
        return error_set(error, -EINVAL, "%s has no video frames", source);
    cut_end(&planner->cutter, &planner->times.chunk);
    int64_t chunks = planner->times.chunk.plan.number + 1;
    int code = hand_over(planner, error);
    return code < 0 ? code : await_point("end", chunks, error);
}

/* ---- From segment to segment ----------------------------------------------------------------- */

/* Decodes again from the key that was entered, up to where the pictures at hand end. */
static int decode_again(struct planner *planner, struct error *error)
{
    int code = input_open(planner->options->source, &planner->input, error);
    if (code >= 0)
        code = input_seek(planner->input, &planner->index.key[planner->entered], error);
    planner->eye = (struct scene_eye){0};
    for (int64_t i = 0; i < planner->since_entered && code >= 0; i++) {
        struct xc_picture *picture;
        int64_t time_stamp;
        code = input_read(planner->input, &picture, &time_stamp, error);
        if (code == 0)
            return error_set(error, -ESTALE, "%s is shorter than before", planner->options->source);
        if (code > 0)
            scene_look(&planner->eye, picture);
        xc_picture_unref(code > 0 ? picture : NULL);
    }
    return code;
}

static int64_t pictures_left(const struct planner *planner)
{
    const struct task_options *options = planner->options;
    return options->frames > 0
               ? options->start - planner->skipped + options->frames - planner->frames
               : INT64_MAX;
}

/* Makes `measure` that of `segment` by going on with decoding. */
static int go_on(struct planner *planner, int segment, struct measure *measure, struct error *error)
{
    const struct input_key *end =
        segment + 1 < planner->index.keys ? &planner->index.key[segment + 1] : NULL;
    int code = 0;
    if (planner->input != NULL) {
        measure_go_on(measure);
    } else {
        measure->pictures = 0;
        code = decode_again(planner, error);
    }
    if (code >= 0)
        code = measure_read(measure, planner->input, &planner->eye, end, pictures_left(planner),
                            error);
    if (code >= 0)
        planner->times.unentered += measure->own;
    return code < 0 ? code : 0;
}

/* Makes `measure`, that of the segment before, that of `segment`, which may begin beyond all that was scanned. */
static int next_measure(struct planner *planner, int segment, struct measure *measure,
                        struct error *error)
{
    struct measure *scan = segment < planner->segments ? &planner->scan[segment] : NULL;
    int code = scan != NULL ? read_scan(planner, segment, error) : 0;
    if (code < 0)
        return code;
    if (scan == NULL || !measure_meets(measure, scan)) {
        if (scan != NULL)
            measure_free(scan);
        return go_on(planner, segment, measure, error);
    }
    /* The scan of the segment has not seen the picture before. */
    if (scan->pictures > 0)
        scan->picture[0].change = measure->picture[measure->own].change;
    measure_free(measure);
    *measure = *scan;
    *scan = (struct measure){0};
    planner->entered = segment;
    planner->since_entered = 0;
    input_close(planner->input);
    planner->input = NULL;
    return 0;
}

/* True where no segment comes behind `segment`. */
static bool is_last(const struct planner *planner, int segment, const struct measure *measure)
{
    return segment + 1 >= planner->segments &&
           (planner->index.whole || measure->ended || segment >= planner->segments);
}

static int plan_film(struct planner *planner, struct error *error)
{
    struct measure measure = {0};
    int code = read_scan(planner, 0, error);
    if (code >= 0) {
        measure = planner->scan[0];
        planner->scan[0] = (struct measure){0};
    }
    for (int segment = 0; code >= 0; segment++) {
        code = add_pictures(planner, &measure, error);
        if (code < 0 || planner->complete || is_last(planner, segment, &measure))
            break;
        code = next_measure(planner, segment + 1, &measure, error);
    }
    measure_free(&measure);
    return code < 0 ? code : add_last(planner, error);
}

/* ---- The task -------------------------------------------------------------------------------- */

static int look_at_film(struct planner *planner, struct error *error)
{
    const struct task_options *options = planner->options;
    struct input *input;
    int code = input_open(options->source, &input, error);
    if (code < 0)
        return code;
    planner->times.info = *input_info(input);
    cut_start(&planner->cutter, input_info(input), options->chunk_frames, options->batch_chunks,
              options->scene_cuts);
    input_close(input);
    return 0;
}

static void free_planner(struct planner *planner)
{
    for (int i = 0; i < planner->segments && planner->scan != NULL; i++)
        measure_free(&planner->scan[i]);
    free(planner->scan);
    free(planner->times.chunk.time);
    input_close(planner->input);
    cut_free(&planner->cutter);
    index_free(&planner->index);
}

int task_plan(const struct task_options *options, struct error *error)
{
    struct planner planner = {.options = options};
    int code = look_at_film(&planner, error);
    if (code >= 0)
        code = index_film(&planner, error);
    if (code >= 0)
        code = plan_film(&planner, error);
    free_planner(&planner);
    return code < 0 ? code : 0;
}
