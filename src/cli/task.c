/* `excamera task NAME`: one step of an encode by hand, exactly as a worker runs it. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "encode/levels.h"
#include "encode/plan.h"
#include "encode/reference.h"
#include "encode/tasks.h"
#include "encode/vpx_encoder.h"
#include "media/films.h"

enum option_id {
    SOURCE,
    START,
    FRAMES,
    RAW,
    CHUNK,
    STATE,
    MADE_FOR,
    OUT_RAW,
    OUT_CHUNK,
    OUT_STATE,
    STATE_POINT,
    OUT_STATE_POINT,
    QUALITY,
    CPU_USED,
    STAND_IN,
    CHUNK_FRAMES,
    BATCH_CHUNKS,
    SCENE_CUTS,
    SCANS,
    PLACE,
    SEGMENTS,
    CHUNKS,
    OUT_MEASURES,
    AUDIO_BITRATE,
    OUTPUT,
    SUMMARY,
    OPTIONS,
};

struct option_help {
    const char *name;     /* without the dashes */
    const char *argument; /* NULL where there is none */
    const char *text;
};

static const struct option_help option_help[OPTIONS] = {
    [SOURCE] = {"source", "FILM", "a file, a URL, or reference:FILE, a file with a URL in it"},
    [START] = {"start", "FRAME", "first frame, counted from 0 (default 0)"},
    [FRAMES] = {"frames", "COUNT", "how many; 0, the default, for all"},
    [RAW] = {"raw", "FILE", "the chunk's raw pictures (Y4M)"},
    [CHUNK] = {"chunk", "FILE", "the chunk's compressed frames (IVF)"},
    [STATE] = {"state", "FILE", "the state before the chunk"},
    [MADE_FOR] = {"made-for", "FILE", "the state that --chunk was made for (default: --state)"},
    [OUT_RAW] = {"out-raw", "FILE", "raw pictures to write (Y4M)"},
    [OUT_CHUNK] = {"out-chunk", "FILE", "compressed frames to write (IVF)"},
    [OUT_STATE] = {"out-state", "FILE", "state after the chunk, to write"},
    [STATE_POINT] = {"state-point", "NAME", "point of the job to wait at before --state is read"},
    [OUT_STATE_POINT] = {"out-state-point", "NAME", "point to ask for when --out-state is written"},
    [QUALITY] = {"quality", "LEVEL", "0 (best) to 63, as libvpx's quantizers (default 20)"},
    [CPU_USED] = {"cpu-used", "SPEED", "0 (thorough, slow) to 16 (default 0)"},
    [STAND_IN] = {"stand-in", NULL, "the chunk's key frame will be replaced by `reencode`"},
    [CHUNK_FRAMES] = {"chunk-frames", "COUNT", "frames in a chunk"},
    [BATCH_CHUNKS] = {"batch-chunks", "COUNT", "chunks behind one key frame"},
    [SCENE_CUTS] = {"scene-cuts", "BOOL", "true: a new scene begins a batch (default false)"},
    [SCANS] = {"scans", "COUNT", "tasks that scan the film"},
    [PLACE] = {"place", "FILE", "where in the film the raw chunk lies, as `plan` says (JSON)"},
    [SEGMENTS] = {"segments", "FILE", "what to scan, as `plan` says (JSON)"},
    [CHUNKS] = {"chunks", "FILE", "the list of a film that `excamera split` has cut"},
    [OUT_MEASURES] = {"out-measures", "FILE", "what was measured, to write (JSON)"},
    [AUDIO_BITRATE] = {"audio-bitrate", "BITS",
                       "of the Opus sound, a second (default 0: by channels)"},
    [OUTPUT] = {"output", "FILE", "film to write (.webm or .ivf)"},
    [SUMMARY] = {"summary", "FILE", "totals to write, as JSON"},
};

#define BIT(id) (1u << (id))

struct task {
    const char *name;
    int (*run)(const struct task_options *options, struct error *error);
    unsigned required, optional; /* masks of BIT(enum option_id) */
    bool films;                  /* it opens films, in one process after another */
    const char *purpose;
};

static const struct task tasks[] = {
    {"fetch", task_fetch, BIT(SOURCE) | BIT(OUT_RAW), BIT(START) | BIT(FRAMES) | BIT(PLACE), true,
     "Decodes a range of a film's frames, or what lies at --place, into a raw chunk."},
    {"encode", task_encode, BIT(RAW) | BIT(OUT_CHUNK), BIT(QUALITY) | BIT(CPU_USED) | BIT(STAND_IN),
     false, "Encodes a raw chunk with libvpx: a key frame, then inter frames."},
    {"decode", task_decode, BIT(CHUNK) | BIT(OUT_STATE), BIT(STATE), false,
     "Decodes a chunk for the state at its end."},
    {"reencode", task_reencode, BIT(STATE) | BIT(RAW) | BIT(CHUNK) | BIT(OUT_CHUNK),
     BIT(OUT_STATE) | BIT(OUT_STATE_POINT) | BIT(QUALITY) | BIT(CPU_USED), false,
     "Replaces a chunk's key frame by an inter frame made for a state, and rebases the others."},
    {"rebase", task_rebase, BIT(STATE) | BIT(RAW) | BIT(CHUNK) | BIT(OUT_CHUNK),
     BIT(STATE_POINT) | BIT(MADE_FOR) | BIT(OUT_STATE) | BIT(OUT_STATE_POINT), false,
     "Rebases a chunk without key frame onto another state."},
    {"source", task_source, BIT(SOURCE) | BIT(CHUNK_FRAMES) | BIT(BATCH_CHUNKS),
     BIT(START) | BIT(FRAMES) | BIT(SCENE_CUTS), false,
     "Decodes a film for a job, and hands its raw chunks out as they are asked for."},
    {"plan", task_plan, BIT(SOURCE) | BIT(CHUNK_FRAMES) | BIT(BATCH_CHUNKS) | BIT(SCANS),
     BIT(START) | BIT(FRAMES) | BIT(SCENE_CUTS), false,
     "Plans the chunks of a job whose workers decode the film themselves."},
    {"scan", task_scan, BIT(SOURCE) | BIT(SEGMENTS) | BIT(OUT_MEASURES), 0, true,
     "Measures a part of the film for `plan`."},
    {"chunks", task_chunks, BIT(CHUNKS), 0, false,
     "Hands out the chunks of a film that `excamera split` has cut, for a job."},
    {"join", task_join, BIT(OUTPUT),
     BIT(SOURCE) | BIT(START) | BIT(FRAMES) | BIT(AUDIO_BITRATE) | BIT(SUMMARY), false,
     "Makes a film of a job's chunks as they come, with the sound of the source."},
};

enum { TASKS = sizeof tasks / sizeof tasks[0] };

static void usage(FILE *stream)
{
    fprintf(stream, "usage: excamera task NAME [OPTIONS]\n\n"
                    "Runs one step of an encode, from files to files: the same files in give the\n"
                    "same bytes out. `excamera task NAME --help` lists a task's options.\n\n");
    for (int i = 0; i < TASKS; i++)
        fprintf(stream, "  %-9s %s\n", tasks[i].name, tasks[i].purpose);
}

static void task_usage(const struct task *task, FILE *stream)
{
    fprintf(stream, "usage: excamera task %s", task->name);
    for (int i = 0; i < OPTIONS; i++)
        if ((task->required & BIT(i)) && option_help[i].argument != NULL)
            fprintf(stream, " --%s %s", option_help[i].name, option_help[i].argument);
    fprintf(stream, " [OPTIONS]\n\n%s\n\n", task->purpose);
    for (int i = 0; i < OPTIONS; i++) {
        if (!((task->required | task->optional) & BIT(i)))
            continue;
        char left[40];
        const char *argument = option_help[i].argument;
        snprintf(left, sizeof left, "--%s%s%s", option_help[i].name, argument ? " " : "",
                 argument ? argument : "");
        fprintf(stream, "  %-22s %s\n", left, option_help[i].text);
    }
}

static bool take_bool(const char *name, bool *value)
{
    *value = strcmp(optarg, "true") == 0;
    if (*value || strcmp(optarg, "false") == 0)
        return true;
    fprintf(stderr, "excamera: %s takes true or false, not '%s'\n", name, optarg);
    return false;
}

static bool take_number(enum option_id id, struct task_options *options)
{
    const struct {
        int least, most;
        int *value;
    } number[OPTIONS] = {
        [QUALITY] = {0, LEVELS_MAX, &options->quality},
        [CPU_USED] = {0, VPX_ENCODER_FASTEST, &options->cpu_used},
        [CHUNK_FRAMES] = {1, PLAN_MOST_FRAMES, &options->chunk_frames},
        [BATCH_CHUNKS] = {1, PLAN_MOST_CHUNKS, &options->batch_chunks},
        [AUDIO_BITRATE] = {0, 510000, &options->audio_bitrate},
        [SCANS] = {1, TASKS_MOST_SCANS, &options->scans},
    };
    char name[20];
    snprintf(name, sizeof name, "--%s", option_help[id].name);
    if (id == START)
        return options_integer(name, optarg, 0, INT64_MAX, &options->start);
    if (id == FRAMES)
        return options_integer(name, optarg, 0, INT64_MAX, &options->frames);
    if (id == SCENE_CUTS)
        return take_bool(name, &options->scene_cuts);
    return options_int(name, optarg, number[id].least, number[id].most, number[id].value);
}

static bool take_option(enum option_id id, struct task_options *options)
{
    const char **text[OPTIONS] = {
        [SOURCE] = &options->source,
        [RAW] = &options->raw,
        [CHUNK] = &options->chunk,
        [STATE] = &options->state,
        [MADE_FOR] = &options->made_for,
        [PLACE] = &options->place,
        [SEGMENTS] = &options->segments,
        [CHUNKS] = &options->chunks,
        [OUT_RAW] = &options->out_raw,
        [OUT_MEASURES] = &options->out_measures,
        [OUT_CHUNK] = &options->out_chunk,
        [OUT_STATE] = &options->out_state,
        [STATE_POINT] = &options->state_point,
        [OUT_STATE_POINT] = &options->out_state_point,
        [OUTPUT] = &options->output,
        [SUMMARY] = &options->summary,
    };
    if (id == STAND_IN)
        options->stand_in = true;
    else if (text[id] != NULL)
        *text[id] = optarg;
    else
        return take_number(id, options);
    return true;
}

/* Fills `long_options` with what the task takes; returns how many there are. */
static void list_options(const struct task *task, struct option *long_options)
{
    int count = 0;
    for (int i = 0; i < OPTIONS; i++)
        if ((task->required | task->optional) & BIT(i))
            long_options[count++] = (struct option){
                .name = option_help[i].name,
                .has_arg = option_help[i].argument ? required_argument : no_argument,
                .val = 256 + i,
            };
    long_options[count++] = (struct option){.name = "help", .val = 'h'};
    long_options[count] = (struct option){0};
}

static bool check_required(const struct task *task, unsigned given)
{
    for (int i = 0; i < OPTIONS; i++) {
        if (!(task->required & ~given & BIT(i)))
            continue;
        fprintf(stderr, "excamera task %s: --%s is missing; --help lists the options\n", task->name,
                option_help[i].name);
        return false;
    }
    return true;
}

static int run_task(const struct task *task, struct task_options *options)
{
    struct error error = {0};
    char *film = NULL;
    int code = options->source != NULL ? reference_resolve(options->source, &film, &error) : 0;
    options->source = film;
    if (code >= 0)
        code = task->run(options, &error);
    free(film);
    if (code >= 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "excamera task %s: %s\n", task->name, error.message);
    return EXIT_FAILURE;
}

static int start_task(const struct task *task, int argc, char **argv)
{
    struct task_options options = {.quality = LEVELS_DEFAULT, .cpu_used = VPX_ENCODER_DEFAULT};
    struct option long_options[OPTIONS + 2];
    list_options(task, long_options);
    unsigned given = 0;
    int id;
    while ((id = getopt_long(argc, argv, "hq:", long_options, NULL)) != -1) {
        if (id == 'h') {
            task_usage(task, stdout);
            return EXIT_SUCCESS;
        }
        if (id == 'q' && (task->optional & BIT(QUALITY)))
            id = 256 + QUALITY;
        if (id < 256 || !take_option((enum option_id)(id - 256), &options))
            return EXIT_USAGE;
        given |= BIT(id - 256);
    }
    if (optind < argc) {
        fprintf(stderr, "excamera task %s: '%s' is not an option\n", task->name, argv[optind]);
        return EXIT_USAGE;
    }
    return check_required(task, given) ? run_task(task, &options) : EXIT_USAGE;
}

static const struct task *find_task(const char *name)
{
    for (int i = 0; i < TASKS; i++)
        if (strcmp(name, tasks[i].name) == 0)
            return &tasks[i];
    return NULL;
}

void command_task_prepare(int argc, char **argv)
{
    const struct task *task = argc > 1 ? find_task(argv[1]) : NULL;
    struct error error;
    if (task != NULL && task->films)
        films_load(&error);
}

int command_task(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    const struct task *task = find_task(argv[1]);
    if (task != NULL)
        return start_task(task, argc - 1, argv + 1);
    fprintf(stderr, "excamera task: there is no task '%s'; --help lists them\n", argv[1]);
    return EXIT_USAGE;
}
