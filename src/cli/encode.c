/* `excamera encode`: a film in, a film out. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/encode_run.h"
#include "cli/engine_choice.h"
#include "cli/objects.h"
#include "cli/options.h"
#include "cli/progress.h"
#include "cli/summary.h"
#include "encode/levels.h"
#include "encode/plan.h"
#include "encode/vpx_encoder.h"
#include "store/store.h"
#include "util/cores.h"

enum option_id {
    OPTION_CPU_USED = 256,
    OPTION_START,
    OPTION_FRAMES,
    OPTION_NO_SCENE_CUT,
    OPTION_NO_AUDIO,
    OPTION_AUDIO_BITRATE,
    OPTION_KEEP,
    OPTION_FORCE,
    OPTION_JSON,
    OPTION_WORKERS,
    OPTION_TRACE,
    OPTION_RESUME,
    OPTION_STORE,
    OPTION_S3_ENDPOINT,
    OPTION_SPARE,
    OPTION_TIME,
    OPTION_COST,
};

const struct option encode_options_taken[] = {
    {"output", required_argument, NULL, 'o'},
    {"chunk", required_argument, NULL, 'N'},
    {"batch", required_argument, NULL, 'x'},
    {"quality", required_argument, NULL, 'q'},
    {"jobs", required_argument, NULL, 'j'},
    {"workers", required_argument, NULL, OPTION_WORKERS},
    {"trace", required_argument, NULL, OPTION_TRACE},
    {"store", required_argument, NULL, OPTION_STORE},
    {"s3-endpoint", required_argument, NULL, OPTION_S3_ENDPOINT},
    {"spare", required_argument, NULL, OPTION_SPARE},
    {"time", required_argument, NULL, OPTION_TIME},
    {"cost", required_argument, NULL, OPTION_COST},
    SUBMIT_OPTIONS,
    ENGINE_CHOICE_OPTIONS,
    {"resume", no_argument, NULL, OPTION_RESUME},
    {"verbose", no_argument, NULL, 'v'},
    {"quiet", no_argument, NULL, 'Q'},
    {"help", no_argument, NULL, 'h'},
    {"cpu-used", required_argument, NULL, OPTION_CPU_USED},
    {"start", required_argument, NULL, OPTION_START},
    {"frames", required_argument, NULL, OPTION_FRAMES},
    {"no-scene-cut", no_argument, NULL, OPTION_NO_SCENE_CUT},
    {"no-audio", no_argument, NULL, OPTION_NO_AUDIO},
    {"audio-bitrate", required_argument, NULL, OPTION_AUDIO_BITRATE},
    {"keep", required_argument, NULL, OPTION_KEEP},
    {"force", no_argument, NULL, OPTION_FORCE},
    {"json", no_argument, NULL, OPTION_JSON},
    {0},
};

struct command_line {
    struct encode_options encode;
    int jobs;                    /* tasks at once; 0: not said */
    struct submit_access access; /* host NULL: on this machine */
    struct engine_choice_line engine;
    bool quiet, json, help;
    struct progress progress;
};

static void usage(void)
{
    printf(
        "usage: excamera encode INPUT -o OUTPUT [OPTIONS]\n"
        "\n"
        "Encodes a film as VP8. INPUT is any film that FFmpeg's libraries read, a file or a URL,\n"
        "a folder that `excamera split` has made, or - for Y4M on standard input. OUTPUT ends in\n"
        ".webm (with sound) or .ivf, or is - for WebM on standard output.\n"
        "\n"
        "  -o, --output FILE      where the film goes\n"
        "  -N, --chunk FRAMES     frames in a chunk (6); chunks are encoded all at once\n"
        "  -x, --batch CHUNKS     chunks behind one key frame (16)\n"
        "  -q, --quality LEVEL    0 (best) to 63, as libvpx's --cq-level (%d)\n"
        "      --cpu-used SPEED   0 to 16: 0 searches most, for the fewest bits (%d)\n"
        "  -j, --jobs COUNT       tasks at work at once (the number of cores)\n"
        "      --workers COUNT    worker processes that they are spread over (1)\n"
        "      --engine NAME      what starts the workers: local (this machine), command, "
        "lambda, slurm\n"
        "      --engine-opt KEY=VALUE\n"
        "                         an option of that engine, as excamera(1) tells\n"
        "      --advertise HOST[:PORT]\n"
        "                         where workers on other machines reach this one\n"
        "      --rendezvous-port PORT\n"
        "                         for them too; both ports are any free ones by default\n"
        "      --start FRAME      begin with this frame, counted from 0\n"
        "      --frames COUNT     encode at most so many frames\n"
        "      --no-scene-cut     let only the number of frames decide where a batch begins\n"
        "      --no-audio         leave the sound out\n"
        "      --audio-bitrate N  of the Opus sound, as 96k (32k and 32k more a channel)\n"
        "      --keep DIR         leave all intermediate files in DIR\n"
        "      --force            overwrite what is there\n"
        "      --resume           go on where an encode to the same output was interrupted\n"
        "      --trace FILE       write what happens, a line of JSON each\n"
        "      --time SECONDS     give up after so long\n"
        "      --json             print the summary as JSON, to standard output\n"
        "      --profile NAME     options of ~/.config/excamera/config, as excamera(1) tells\n"
        "  -Q, --quiet            print nothing but errors\n"
        "  -v, --verbose          tell of workers that come to grief\n"
        "\n"
        "Intermediate files lie in TMPDIR, or else /var/tmp.\n"
        "\n"
        "      --cost AMOUNT      give up when it has cost so much, by the price of workers\n"
        "      --coordinator HOST:PORT, --keys DIR, --store DIR, --spare N\n"
        "                         encode on the workers of an `excamera coordinator`, as\n"
        "                         `excamera run --help` tells; --workers as many as it gives\n"
        "      --store s3://BUCKET/PREFIX\n"
        "                         where its objects lie meanwhile; workers get them there by URLs "
        "of\n"
        "                         their own. The film and FILE may be s3://BUCKET/KEY, with any "
        "store\n"
        "      --s3-endpoint URL  of a service other than Amazon's, as AWS_ENDPOINT_URL_S3 names "
        "it\n"
        "\n"
        "  excamera encode film.mp4 -o film.webm\n"
        "  excamera encode film.mkv -o part.webm -q 10 --start 1000 --frames 500\n",
        LEVELS_DEFAULT, VPX_ENCODER_DEFAULT);
}

static bool take_flag(int id, struct command_line *line)
{
    switch (id) {
    case 'Q':
        line->quiet = true;
        return true;
    case 'h':
        line->help = true;
        return true;
    case OPTION_NO_SCENE_CUT:
        line->encode.scene_cuts = false;
        return true;
    case OPTION_NO_AUDIO:
        line->encode.sound = false;
        return true;
    case OPTION_FORCE:
        line->encode.overwrite = true;
        return true;
    case OPTION_RESUME:
        line->encode.resume = true;
        return true;
    case 'v':
        line->encode.verbose = true;
        return true;
    case OPTION_JSON:
        line->json = true;
        return true;
    default:
        return false;
    }
}

static bool take_option(int id, struct command_line *line)
{
    struct encode_options *encode = &line->encode;
    if (id == 'N' || id == 'x' || id == OPTION_START || id == OPTION_FRAMES ||
        id == OPTION_NO_SCENE_CUT)
        encode->cut_chosen = true;
    if (engine_choice_has(id))
        return engine_choice_take(&line->engine, id, optarg);
    switch (id) {
    case 'o':
        encode->output = optarg;
        return true;
    case 'N':
        return options_int("--chunk", optarg, 1, PLAN_MOST_FRAMES, &encode->chunk_frames);
    case 'x':
        return options_int("--batch", optarg, 1, PLAN_MOST_CHUNKS, &encode->batch_chunks);
    case 'q':
        return options_int("--quality", optarg, 0, LEVELS_MAX, &encode->quality);
    case 'j':
        return options_int("--jobs", optarg, 1, 1024, &line->jobs);
    case OPTION_WORKERS:
        return options_int("--workers", optarg, 1, 1024, &encode->workers);
    case OPTION_STORE:
        encode->store = optarg;
        return true;
    case OPTION_S3_ENDPOINT:
        objects_set_endpoint(optarg);
        return true;
    case OPTION_SPARE:
        return options_int("--spare", optarg, 0, 4096, &encode->spare);
    case OPTION_TIME:
        return options_seconds("--time", optarg, &encode->time_ms);
    case OPTION_COST:
        return options_amount("--cost", optarg, &encode->cost);
    case SUBMIT_COORDINATOR:
    case SUBMIT_KEYS:
        return submit_take_option(&line->access, id, optarg);
    case OPTION_TRACE:
        encode->trace = optarg;
        return true;
    case OPTION_CPU_USED:
        return options_int("--cpu-used", optarg, 0, VPX_ENCODER_FASTEST, &encode->cpu_used);
    case OPTION_START:
        return options_integer("--start", optarg, 0, INT64_MAX, &encode->start);
    case OPTION_FRAMES:
        return options_integer("--frames", optarg, 1, INT64_MAX, &encode->frames);
    case OPTION_AUDIO_BITRATE:
        return options_bitrate("--audio-bitrate", optarg, &encode->audio_bitrate);
    case OPTION_KEEP:
        encode->keep = optarg;
        return true;
    default:
        return take_flag(id, line);
    }
}

static bool complain(const char *text)
{
    fprintf(stderr, "excamera encode: %s; --help says more\n", text);
    return false;
}

/* What an encode elsewhere needs, and what it cannot have. */
static bool check_place(const struct command_line *line)
{
    const struct encode_options *encode = &line->encode;
    bool elsewhere = encode->access != NULL;
    if (elsewhere && (line->access.keys == NULL || encode->store == NULL))
        return complain("--coordinator goes with --keys and --store");
    if (elsewhere && (encode->keep != NULL || encode->trace != NULL || line->jobs > 0))
        return complain("--keep, --trace and --jobs are of encodes on this machine");
    if (!elsewhere && (line->access.keys != NULL || encode->spare > 0 ||
                       (encode->store != NULL && !store_is_remote(encode->store))))
        return complain("--keys, --spare and a --store that is a folder go with --coordinator");
    return true;
}

static bool read_command_line(int argc, char **argv, struct command_line *line)
{
    argv[0] = "excamera encode"; /* what getopt's own messages begin with */
    int id;
    while ((id = getopt_long(argc, argv, "o:N:x:q:j:vQh", encode_options_taken, NULL)) != -1)
        if (!take_option(id, line))
            return false;
    if (line->help)
        return true;
    if (optind == argc)
        return complain("which film?");
    if (optind < argc - 1)
        return complain("one film at a time");
    line->encode.input = argv[optind];
    if (line->encode.output == NULL)
        return complain("where to? -o FILE is missing");
    line->encode.access = line->access.host != NULL ? &line->access : NULL;
    return check_place(line);
}

static void on_progress(void *opaque, const struct encode_progress *now)
{
    progress_show(opaque, now);
}

/* Spreads the tasks over the workers. */
static void share_out(struct command_line *line)
{
    struct encode_options *encode = &line->encode;
    int jobs = line->jobs > 0 ? line->jobs : cores_count();
    if (line->access.host != NULL)
        return;
    if (encode->workers == 0)
        encode->workers = 1;
    encode->slots = (jobs + encode->workers - 1) / encode->workers;
}

static int run_encode(struct command_line *line)
{
    struct encode_result result;
    struct error error = {0};
    if (!line->quiet) {
        line->progress.terminal = isatty(STDERR_FILENO);
        line->encode.progress = on_progress;
        line->encode.opaque = &line->progress;
    }
    int code = encode_run(&line->encode, &result, &error);
    progress_end(&line->progress);
    if (code < 0) {
        fprintf(stderr, "excamera encode: %s\n", error.message);
        return code == -ECANCELED ? EXIT_INTERRUPTED : EXIT_FAILURE;
    }
    if (!line->quiet)
        summary_print(&line->encode, &result);
    if (line->json && !summary_print_json(&line->encode, &result)) {
        fprintf(stderr,
                "excamera encode: the film is complete, but the summary cannot be written\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}

int command_encode(int argc, char **argv)
{
    struct command_line line = {
        .encode = {.sound = true,
                   .chunk_frames = 6,
                   .batch_chunks = 16,
                   .scene_cuts = true,
                   .quality = LEVELS_DEFAULT,
                   .cpu_used = VPX_ENCODER_DEFAULT},
    };
    if (!read_command_line(argc, argv, &line))
        return EXIT_USAGE;
    if (line.help) {
        usage();
        return EXIT_SUCCESS;
    }
    share_out(&line);
    line.encode.engine = &line.engine;
    int status = run_encode(&line);
    free(line.access.host);
    free(line.engine.host);
    return status;
}
