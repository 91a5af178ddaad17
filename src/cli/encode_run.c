#include "cli/encode_run.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "cli/encode_files.h"
#include "cli/encode_job.h"
#include "cli/local.h"
#include "cli/objects.h"
#include "util/output.h"

enum { CHOICES = 24, CHOICE_SIZE = 24 };
/* No task takes as long, for each frame of its chunk, on the slowest machine. */
enum { TASK_SECONDS = 900, FRAME_SECONDS = 60 };
/* Frames that are worth a scan of their own; how many scans a film of unknown length has. */
enum { SCAN_FRAMES = 100, SCANS_UNKNOWN = 64, MOST_SCANS = 500 };

struct encode {
    const struct encode_options *options;
    struct encode_files files;
    struct input_info input;
    struct job *job;
    struct job_choice choice[CHOICES];
    char number[CHOICES][CHOICE_SIZE]; /* what numbers are as text */
    int choices;
    char digest[SHA256_HEX_SIZE];
    char *place; /* of objects that are not in the folder; NULL: they are */
    double started;
    int64_t done, before; /* frames */
    double cost;
    bool counted;
};

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* ---- The job's variables --------------------------------------------------------------------- */

static void choose(struct encode *encode, const char *variable, const char *value)
{
    encode->choice[encode->choices++] = (struct job_choice){variable, value};
}

static void choose_number(struct encode *encode, const char *variable, int64_t value)
{
    char *text = encode->number[encode->choices];
    snprintf(text, CHOICE_SIZE, "%" PRId64, value);
    choose(encode, variable, text);
}

static void choose_flag(struct encode *encode, const char *variable, bool value)
{
    choose(encode, variable, value ? "true" : "false");
}

/* On one machine one process decodes the film for all; elsewhere each worker decodes what it needs. */
static bool seeks(const struct encode *encode)
{
    const char *engine = encode->options->engine->name;
    return encode->options->access != NULL || (engine != NULL && strcmp(engine, "local") != 0);
}

/* As many as have something to do. It depends on the film alone: a job that is resumed must have as many. */
static int64_t count_scans(const struct encode *encode)
{
    int64_t scans = encode->input.frames > 0 ? encode->input.frames / SCAN_FRAMES : SCANS_UNKNOWN;
    return scans < 1 ? 1 : scans > MOST_SCANS ? MOST_SCANS : scans;
}

/* What decides the film's bytes, and so what a job is known by. */
static void choose_settings(struct encode *encode)
{
    const struct encode_options *options = encode->options;
    const struct encode_files *files = &encode->files;
    const struct chunks *cut = files->chunks != NULL ? &files->cut : NULL;
    choose(encode, "film", files->film);
    choose(encode, "frames_by", cut ? "chunks" : seeks(encode) ? "seeking" : "source");
    choose(encode, "source",
           encode->files.is_url                       ? encode->files.input
           : encode->files.is_object || seeks(encode) ? "reference:film.url"
                                                      : encode->files.film);
    choose_number(encode, "scans", seeks(encode) && !cut ? count_scans(encode) : 1);
    choose(encode, "kind", encode->files.kind);
    choose_number(encode, "start", cut ? cut->start : options->start);
    choose_number(encode, "frames", cut ? cut->frames : options->frames);
    choose_number(encode, "chunk_frames", cut ? cut->chunk_frames : options->chunk_frames);
    choose_number(encode, "batch_chunks", cut ? cut->batch_chunks : options->batch_chunks);
    choose_flag(encode, "scene_cuts", cut ? cut->scene_cuts : options->scene_cuts);
    choose_flag(encode, "sound",
                options->sound && strcmp(options->input, "-") != 0 &&
                    (!cut || cut->film[0] != '\0'));
    choose_number(encode, "audio_bitrate", options->audio_bitrate);
    choose_number(encode, "quality", options->quality);
    choose_number(encode, "cpu_used", options->cpu_used);
}

static int load_job(struct encode *encode, struct error *error)
{
    size_t size = strlen(encode_job_text);
    choose_settings(encode);
    int code =
        local_digest(encode_job_text, size, encode->choice, encode->choices, encode->digest, error);
    choose_number(encode, "time_limit",
                  TASK_SECONDS + FRAME_SECONDS * (encode->files.chunks != NULL
                                                      ? encode->files.cut.chunk_frames
                                                      : encode->options->chunk_frames));
    choose(encode, "input", encode->files.is_url ? "" : encode->files.input);
    choose(encode, "chunks", encode->files.chunks != NULL ? encode->files.chunks : "");
    choose(encode, "output", encode->files.output);
    choose(encode, "summary", encode->files.summary);
    if (code == 0)
        code = job_file_parse("encode", encode_job_text, size, encode->choice, encode->choices,
                              &encode->job, error);
    return code;
}

/* ---- The film -------------------------------------------------------------------------------- */

/* Looks at the film before anything else is done: what it is is known from its first picture on. */
static int probe(struct encode *encode, struct error *error)
{
    struct input *input = NULL;
    struct xc_picture *picture = NULL;
    int64_t time_stamp;
    if (encode->files.chunks != NULL) {
        encode->input = encode->files.cut_info;
        return encode->options->cut_chosen
                   ? error_set(
                         error, -EINVAL,
                         "%s was cut by `excamera split`, which -N, -x, --start, --frames and "
                         "--no-scene-cut are options of",
                         encode->options->input)
                   : 0;
    }
    const char *film = encode->files.url != NULL ? encode->files.url : encode->files.input;
    int code = input_open(film, &input, error);
    if (code == 0)
        code = input_read(input, &picture, &time_stamp, error);
    if (code == 0)
        code = error_set(error, -EINVAL, "%s has no video frames", encode->options->input);
    if (code > 0) {
        code = 0;
        encode->input = *input_info(input);
    }
    const struct video_format *format = &encode->input.format;
    if (code == 0 && (format->width > XC_MAX_DIMENSION || format->height > XC_MAX_DIMENSION))
        code =
            error_set(error, -EINVAL, "%s is %dx%d, but VP8 ends at %dx%d", encode->options->input,
                      format->width, format->height, XC_MAX_DIMENSION, XC_MAX_DIMENSION);
    xc_picture_unref(picture);
    input_close(input);
    return code;
}

/* ---- Progress -------------------------------------------------------------------------------- */

/* The step that a state of the machine belongs to: its name begins with the step's. */
static int step_of(const char *state)
{
    static const char *const names[ENCODE_STEPS] = {"encode", "decode", "reencode", "rebase"};
    for (int step = 0; step < ENCODE_STEPS; step++)
        if (strncmp(state, names[step], strlen(names[step])) == 0)
            return step;
    return -1;
}

static int64_t expected_frames(const struct encode *encode)
{
    const struct encode_options *options = encode->options;
    int64_t left = encode->input.frames - options->start;
    if (encode->files.chunks != NULL)
        return encode->input.frames;
    if (left <= 0 || (options->frames > 0 && options->frames < left))
        left = options->frames;
    return left > encode->done || left == 0 ? left : encode->done;
}

static void count_steps(const struct encode *encode, const uint32_t *actors,
                        struct encode_progress *progress)
{
    for (int state = 0; state < encode->job->states; state++) {
        int step = step_of(encode->job->state[state].name);
        if (step >= 0)
            progress->step[step] += (int)actors[state];
        else
            progress->waiting += (int)actors[state];
    }
    progress->waiting = progress->waiting > 2 ? progress->waiting - 2 : 0; /* source and join */
}

static void tell_progress(struct encode *encode, int64_t done, const uint32_t *actors)
{
    encode->done = done;
    if (!encode->counted)
        encode->before = done;
    encode->counted = true;
    struct encode_progress progress = {
        .seconds = now() - encode->started,
        .frames = done,
        .before = encode->before,
        .total = expected_frames(encode),
    };
    count_steps(encode, actors, &progress);
    if (encode->options->progress != NULL)
        encode->options->progress(encode->options->opaque, &progress);
}

static void on_progress(void *opaque, const struct coordinator_job *job)
{
    struct ledger_progress ledger;
    uint32_t actors[JOB_MOST_STATES];
    coordinator_job_progress(job, &ledger);
    coordinator_job_states(job, actors);
    tell_progress(opaque, ledger.amount, actors);
}

static void on_progress_elsewhere(void *opaque, const struct submit_progress *progress)
{
    ((struct encode *)opaque)->cost = progress->cost;
    tell_progress(opaque, progress->amount, progress->in_state);
}

static void on_note(void *opaque, const char *sentence)
{
    fprintf(stderr, "excamera encode: %s\n", sentence);
}

/* ---- What came of it ------------------------------------------------------------------------- */

static int64_t number_of(const json_t *json, const char *name)
{
    return json_integer_value(json_object_get(json, name));
}

static int read_summary(const struct encode *encode, struct encode_result *result,
                        struct error *error)
{
    json_t *json = json_load_file(encode->files.summary, 0, NULL);
    if (json == NULL)
        return error_set(error, -EIO, "the film is complete, but its summary cannot be read");
    *result = (struct encode_result){
        .input = encode->input,
        .frames = number_of(json, "frames"),
        .key_frames = number_of(json, "key_frames"),
        .chunks = number_of(json, "chunks"),
        .batches = number_of(json, "batches"),
        .unentered = number_of(json, "unentered"),
        .bytes = number_of(json, encode->files.to_stdout ? "video_bytes" : "bytes"),
        .film_seconds = json_number_value(json_object_get(json, "seconds")),
        .seconds = now() - encode->started,
        .cost = encode->cost,
    };
    json_decref(json);
    return 0;
}

/* ---- Running --------------------------------------------------------------------------------- */

static int run_here(struct encode *encode, struct error *error)
{
    const struct encode_options *options = encode->options;
    const struct local_options local = {
        .job = encode->job,
        .digest = encode->digest,
        .folder = &encode->files.folder,
        .store = encode->place,
        .keep = options->keep,
        .engine = options->engine,
        .workers = options->workers,
        .slots = options->slots,
        .time_ms = options->time_ms,
        .trace = options->trace,
        .note = options->verbose ? on_note : NULL,
        .cost = options->cost,
        .spent = &encode->cost,
        .progress = on_progress,
        .opaque = encode,
    };
    return local_run(&local, error);
}

static void on_submitted(void *opaque, const char *id)
{
    const struct encode *encode = opaque;
    if (encode->options->progress != NULL)
        fprintf(stderr, "excamera encode: the job is handed in as %s\n", id);
}

static int run_elsewhere(struct encode *encode, struct error *error)
{
    const struct encode_options *options = encode->options;
    const struct submit_options submit = {
        .access = options->access,
        .store = options->store,
        .job = encode->job,
        .text = encode_job_text,
        .size = strlen(encode_job_text),
        .choice = encode->choice,
        .choices = encode->choices,
        .workers = options->workers,
        .spare = options->spare,
        .slots = options->slots,
        .time_ms = options->time_ms,
        .cost = options->cost,
        .events = {.submitted = on_submitted,
                   .progress = on_progress_elsewhere,
                   .note = on_note,
                   .opaque = encode},
    };
    return submit_job(&submit, error);
}

/* The film is not worse for what stays. Where the encode has failed for the same reason, that was said. */
static void remove_objects(const struct encode *encode, int failure)
{
    struct error error;
    int code = objects_remove(encode->place, &error);
    if (code < 0 && code != failure)
        fprintf(stderr, "excamera encode: what lies in %s stays: %s\n", encode->place,
                error.message);
}

int encode_run(const struct encode_options *options, struct encode_result *result,
               struct error *error)
{
    struct encode encode = {.options = options, .started = now()};
    local_catch_signals();
    int code = encode_files_open(&encode.files, options, error);
    if (code == 0)
        code = probe(&encode, error);
    if (code == 0)
        code = load_job(&encode, error);
    if (code == 0 && options->access == NULL && options->store != NULL)
        code = objects_place(&encode.files.folder, options->store, &encode.place, error);
    if (code == 0)
        code = options->access != NULL ? run_elsewhere(&encode, error) : run_here(&encode, error);
    if (code == 0)
        code = read_summary(&encode, result, error);
    if (code == 0)
        code = encode_files_deliver(&encode.files, error);
    bool keep = code < 0 && (encode.done > 0 || options->resume);
    if (encode.place != NULL && !(keep && encode.files.resumable))
        remove_objects(&encode, code);
    encode_files_close(&encode.files, keep, error);
    free(encode.place);
    job_free(encode.job);
    return code;
}
