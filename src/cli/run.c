/* `excamera run JOB.json`: a job of any kind, with coordinator, rendezvous and workers on this machine. */
#include <errno.h>
#include <ftw.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "cli/build.h"
#include "cli/commands.h"
#include "cli/options.h"
#include "mu/coordinator.h"
#include "mu/draw.h"
#include "mu/job_file.h"
#include "util/sha256.h"

static const char usage[] =
    "usage: excamera run JOB.json [NAME=VALUE ...] [OPTIONS]\n"
    "\n"
    "Runs a job that a file describes, on workers of this machine. NAME=VALUE sets one of its\n"
    "variables.\n"
    "\n"
    "      --workers N   processes; one for each core by default\n"
    "      --slots N     commands that each runs at once; 1 by default\n"
    "      --window N    actors under way at once; by default as many as keep the workers busy\n"
    "      --store DIR   where objects are kept. Run again with the same, the job goes on where "
    "it\n"
    "                    was left. By default a folder that is removed at the end\n"
    "      --trace FILE  writes what happens, a line of JSON each\n"
    "      --dry-run     checks the job, and draws its machine in graphviz's DOT language\n"
    "  -v, --verbose     tells of workers that come to grief\n"
    "  -h, --help        this text\n"
    "\n"
    "  excamera run examples/ring.json members=100 --workers 4\n";

enum { MOST_WORKERS = 4096, MOST_SLOTS = 1024, MOST_CHOICES = 256 };

struct run {
    const char *path;
    struct job_choice choice[MOST_CHOICES];
    int choices;
    int64_t workers, slots, window;
    const char *store, *trace_path;
    bool dry_run, verbose;

    struct job *job;
    char digest[SHA256_HEX_SIZE], build[SHA256_HEX_SIZE];
    char *program;
    char *folder; /* of its own, in TMPDIR or /var/tmp; NULL until it is there */
    char *objects, *journal;
    FILE *trace;
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    struct coordinator *coordinator; /* NULL once it has ended */
    int status;
};

static int fail(const struct error *error)
{
    fprintf(stderr, "excamera run: %s\n", error->message);
    return EXIT_FAILURE;
}

/* ---- The job ------------------------------------------------------------------------------- */

static int add_file(struct sha256 *sha256, const char *path, struct error *error)
{
    char bytes[65536];
    size_t size;
    int code = 0;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    while (code == 0 && (size = fread(bytes, 1, sizeof bytes, file)) > 0)
        code = sha256_update(sha256, bytes, size);
    fclose(file);
    return code;
}

/* What the job is: its file and its choices. */
static int find_digest(struct run *run, struct error *error)
{
    uint8_t sum[SHA256_SIZE];
    struct sha256 *sha256 = sha256_new();
    if (sha256 == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = add_file(sha256, run->path, error);
    for (int i = 0; i < run->choices && code == 0; i++) {
        code = sha256_update(sha256, run->choice[i].variable, strlen(run->choice[i].variable) + 1);
        if (code == 0)
            code = sha256_update(sha256, run->choice[i].value, strlen(run->choice[i].value) + 1);
    }
    if (code == 0)
        code = sha256_finish(sha256, sum);
    if (code == 0)
        sha256_hex(sum, run->digest);
    sha256_free(sha256);
    return code;
}

/* ---- Folders ------------------------------------------------------------------------------- */

static int make_folder(const char *path, struct error *error)
{
    if (mkdir(path, 0777) == 0 || errno == EEXIST)
        return 0;
    return error_set(error, -errno, "cannot make the folder %s: %s", path, strerror(errno));
}

static int make_own_folder(struct run *run, struct error *error)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0')
        parent = "/var/tmp";
    char *folder;
    if (asprintf(&folder, "%s/excamera-run-XXXXXX", parent) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    if (mkdtemp(folder) == NULL) {
        int code = -errno;
        free(folder);
        return error_set(error, code, "cannot make a folder in %s: %s; TMPDIR chooses another",
                         parent, strerror(-code));
    }
    run->folder = folder;
    return 0;
}

static int prepare(struct run *run, struct error *error)
{
    int code = make_own_folder(run, error);
    if (code < 0)
        return code;
    const char *place = run->store ? run->store : run->folder;
    code = make_folder(place, error);
    if (code == 0 && (asprintf(&run->objects, "%s/objects", place) < 0 ||
                      asprintf(&run->journal, "%s/journal", place) < 0))
        code = error_set(error, -ENOMEM, "out of memory");
    if (code == 0)
        code = make_folder(run->objects, error);
    /* Workers are elsewhere: they need the whole path. */
    char *whole = code == 0 ? realpath(run->objects, NULL) : NULL;
    if (code == 0 && whole == NULL)
        code = error_set(error, -errno, "%s: %s", run->objects, strerror(errno));
    if (code == 0) {
        free(run->objects);
        run->objects = whole;
    }
    return code;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    remove(path);
    return 0;
}

/* ---- Running ------------------------------------------------------------------------------- */

static void on_trace(void *opaque, const char *line)
{
    struct run *run = opaque;
    fprintf(run->trace, "%s\n", line);
}

static void on_note(void *opaque, const char *sentence)
{
    fprintf(stderr, "excamera run: %s\n", sentence);
}

static void close_signals(struct run *run)
{
    uv_close((uv_handle_t *)&run->interrupt, NULL);
    uv_close((uv_handle_t *)&run->terminate, NULL);
}

static void on_ended(void *opaque, const struct error *failure)
{
    struct run *run = opaque;
    run->coordinator = NULL;
    run->status = failure != NULL ? fail(failure) : EXIT_SUCCESS;
    close_signals(run);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    if (run->coordinator != NULL)
        coordinator_stop(run->coordinator);
}

static int serve(struct run *run)
{
    const struct coordinator_options options = {
        .job = run->job,
        .digest = run->digest,
        .build = run->build,
        .program = run->program,
        .store = run->objects,
        .journal = run->journal,
        .scratch = run->folder,
        .host = "127.0.0.1",
        .workers = (int)run->workers,
        .slots = (int)run->slots,
        .window = (int)run->window,
        .trace = run->trace ? on_trace : NULL,
        .note = run->verbose ? on_note : NULL,
        .ended = on_ended,
        .opaque = run,
    };
    struct error error;
    signal(SIGPIPE, SIG_IGN);
    uv_loop_init(&run->loop);
    uv_signal_init(&run->loop, &run->interrupt);
    uv_signal_init(&run->loop, &run->terminate);
    run->interrupt.data = run->terminate.data = run;
    uv_signal_start(&run->interrupt, on_signal, SIGINT);
    uv_signal_start(&run->terminate, on_signal, SIGTERM);
    if (coordinator_open(&run->loop, &options, &run->coordinator, &error) < 0) {
        run->status = fail(&error);
        close_signals(run);
    }
    uv_run(&run->loop, UV_RUN_DEFAULT);
    uv_loop_close(&run->loop);
    return run->status;
}

static int open_trace(struct run *run, struct error *error)
{
    if (run->trace_path == NULL)
        return 0;
    run->trace = fopen(run->trace_path, "we");
    if (run->trace != NULL)
        setvbuf(run->trace, NULL, _IOLBF, 0); /* what was said is there, whatever comes */
    return run->trace ? 0 : error_set(error, -errno, "%s: %s", run->trace_path, strerror(errno));
}

static int run_job(struct run *run)
{
    struct error error;
    int code = find_digest(run, &error);
    if (code == 0)
        code = build_identity(run->build, &error);
    if (code == 0)
        code = build_program(&run->program, &error);
    if (code == 0)
        code = open_trace(run, &error);
    if (code == 0)
        code = prepare(run, &error);
    int status = code < 0 ? fail(&error) : serve(run);
    if (run->folder != NULL)
        nftw(run->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    free(run->folder);
    if (run->trace != NULL && fclose(run->trace) != 0 && status == EXIT_SUCCESS) {
        error_set(&error, -errno, "%s: %s", run->trace_path, strerror(errno));
        status = fail(&error);
    }
    free(run->objects);
    free(run->journal);
    free(run->program);
    return status;
}

static int load_and_run(struct run *run)
{
    struct error error;
    int status;
    if (job_file_load(run->path, run->choice, run->choices, &run->job, &error) < 0)
        return fail(&error);
    if (run->dry_run)
        status = draw_dot(run->job, stdout, &error) < 0 ? fail(&error) : EXIT_SUCCESS;
    else
        status = run_job(run);
    job_free(run->job);
    return status;
}

/* ---- The command line ---------------------------------------------------------------------- */

static bool take_option(struct run *run, int option)
{
    switch (option) {
    case 'w':
        return options_integer("--workers", optarg, 1, MOST_WORKERS, &run->workers);
    case 's':
        return options_integer("--slots", optarg, 1, MOST_SLOTS, &run->slots);
    case 'W':
        return options_integer("--window", optarg, 1, JOB_MOST_ACTORS, &run->window);
    case 'S':
        run->store = optarg;
        return true;
    case 't':
        run->trace_path = optarg;
        return true;
    case 'n':
        run->dry_run = true;
        return true;
    case 'v':
        run->verbose = true;
        return true;
    default:
        fprintf(stderr, "excamera run: there is no such option, or its value is missing: %s\n",
                run->path);
        return false;
    }
}

/* Takes "NAME=VALUE" apart. */
static bool take_choice(struct run *run, char *word)
{
    char *value = strchr(word, '=');
    if (value == NULL || run->choices == MOST_CHOICES) {
        fprintf(stderr, "excamera run: '%s' is not NAME=VALUE\n", word);
        return false;
    }
    *value = '\0';
    run->choice[run->choices++] = (struct job_choice){word, value + 1};
    return true;
}

int command_run(int argc, char **argv)
{
    static const struct option options[] = {
        {"workers", required_argument, NULL, 'w'},
        {"slots", required_argument, NULL, 's'},
        {"window", required_argument, NULL, 'W'},
        {"store", required_argument, NULL, 'S'},
        {"trace", required_argument, NULL, 't'},
        {"dry-run", no_argument, NULL, 'n'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct run run = {.workers = sysconf(_SC_NPROCESSORS_ONLN), .slots = 1};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        run.path = argv[optind - 1];
        if (!take_option(&run, option))
            return EXIT_USAGE;
    }
    if (optind == argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    run.path = argv[optind++];
    while (optind < argc)
        if (!take_choice(&run, argv[optind++]))
            return EXIT_USAGE;
    return load_and_run(&run);
}
