/* `excamera run JOB.json`: a job of any kind, with coordinator, rendezvous and workers on this machine. */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/encode_job.h"
#include "cli/engine_choice.h"
#include "cli/local.h"
#include "cli/objects.h"
#include "cli/options.h"
#include "cli/submit.h"
#include "cli/watching.h"
#include "mu/draw.h"
#include "store/store.h"

static const char usage[] =
    "usage: excamera run JOB.json [NAME=VALUE ...] [OPTIONS]\n"
    "       excamera run --print encode\n"
    "\n"
    "Runs a job that a file describes, on workers of this machine. NAME=VALUE sets one of its\n"
    "variables.\n"
    "\n"
    "      --workers N   processes; one for each core by default\n"
    "      --slots N     commands that each runs at once; 1 by default\n"
    "      --window N    actors under way at once; by default as many as keep the workers busy\n"
    "      --store DIR   where objects are kept. Run again with the same, the job goes on where "
    "it\n"
    "                    was left. By default a folder that is removed at the end. With\n"
    "                    s3://BUCKET/PREFIX what else a job needs lies in TMPDIR or /var/tmp\n"
    "      --s3-endpoint URL\n"
    "                    of a service other than Amazon's, as AWS_ENDPOINT_URL_S3 names it\n"
    "      --coordinator HOST:PORT\n"
    "                    hands the job to an `excamera coordinator`, and waits for its end;\n"
    "                    Ctrl-C detaches, `excamera watch` attaches again. --store is a folder\n"
    "                    that its workers reach too, --workers as many as it gives by default\n"
    "      --keys DIR    for that: the folder of `excamera keys init`, with submitter.pem in it\n"
    "      --spare N     workers that are started beyond those that are used\n"
    "      --time SECONDS\n"
    "                    the job may take at most\n"
    "      --cost AMOUNT it may cost at most, by the price of workers\n"
    "      --trace FILE  writes what happens, a line of JSON each\n"
    "      --keep DIR    leaves the files of each actor in DIR\n"
    "      --engine NAME what starts the workers: local (this machine), command, lambda, slurm\n"
    "      --engine-opt KEY=VALUE\n"
    "                    an option of that engine, as excamera(1) tells; may come again\n"
    "      --advertise HOST[:PORT]\n"
    "                    where workers on other machines reach this one\n"
    "      --rendezvous-port PORT\n"
    "                    for them too; both ports are any free ones by default\n"
    "      --dry-run     only checks the job, and prints its machine in graphviz's DOT language\n"
    "      --draw FILE   draws the machine: to FILE.dot, or FILE.svg where graphviz is installed\n"
    "      --print JOB   prints a job of this program: encode\n"
    "      --profile NAME options of ~/.config/excamera/config, as excamera(1) tells\n"
    "  -v, --verbose     tells of workers that come to grief\n"
    "  -h, --help        this text\n"
    "\n"
    "  excamera run examples/ring.json members=100 --workers 4\n";

enum { MOST_WORKERS = 4096, MOST_SLOTS = 1024, MOST_CHOICES = 256 };

struct run {
    const char *path;
    struct job_choice choice[MOST_CHOICES];
    int choices;
    int64_t workers, spare, slots, window; /* 0: not said */
    uint64_t time_ms;
    double cost;
    struct submit_access access; /* host NULL: on this machine */
    const char *store, *keep, *trace, *drawing;
    struct engine_choice_line engine;
    bool dry_run, verbose, print;

    char *text; /* of the job file */
    size_t size;
    struct job *job;
    char digest[SHA256_HEX_SIZE];
};

static int fail(const struct error *error)
{
    fprintf(stderr, "excamera run: %s\n", error->message);
    return EXIT_FAILURE;
}

/* ---- The job ------------------------------------------------------------------------------- */

static int load(struct run *run, struct error *error)
{
    int code = job_file_load(run->path, run->choice, run->choices, &run->job, &run->text,
                             &run->size, error);
    if (code == 0)
        code = local_digest(run->text, run->size, run->choice, run->choices, run->digest, error);
    return code;
}

/* ---- Drawing ------------------------------------------------------------------------------- */

static bool is_svg(const char *name)
{
    size_t length = strlen(name);
    return length > 4 && strcmp(name + length - 4, ".svg") == 0;
}

/* Has graphviz write the drawing, whose description comes by the pipe that is returned. */
static FILE *start_dot(const char *path, pid_t *process, struct error *error)
{
    int ends[2];
    posix_spawn_file_actions_t actions;
    char *const words[] = {"dot", "-Tsvg", "-o", (char *)path, NULL};
    if (pipe2(ends, O_CLOEXEC) != 0) {
        error_set(error, -errno, "cannot start graphviz: %s", strerror(errno));
        return NULL;
    }
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[0], STDIN_FILENO);
    int code = posix_spawnp(process, "dot", &actions, NULL, words, environ);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[0]);
    FILE *stream = code == 0 ? fdopen(ends[1], "w") : NULL;
    if (stream != NULL)
        return stream;
    error_set(error, -(code ? code : errno),
              "cannot draw %s by graphviz's dot: %s; a name in .dot "
              "needs none",
              path, strerror(code ? code : errno));
    close(ends[1]);
    return NULL;
}

static int draw(const struct run *run, struct error *error)
{
    pid_t process = 0;
    int status = 0;
    FILE *stream =
        is_svg(run->drawing) ? start_dot(run->drawing, &process, error) : fopen(run->drawing, "we");
    if (stream == NULL)
        return process == 0 && is_svg(run->drawing)
                   ? error->code
                   : error_set(error, -errno, "%s: %s", run->drawing, strerror(errno));
    int code = draw_dot(run->job, stream, error);
    if (fclose(stream) != 0 && code == 0)
        code = error_set(error, -errno, "%s: %s", run->drawing, strerror(errno));
    if (process > 0 && waitpid(process, &status, 0) == process && status != 0 && code == 0)
        code = error_set(error, -EIO, "graphviz's dot could not draw %s", run->drawing);
    return code;
}

/* ---- Running ------------------------------------------------------------------------------- */

static void on_note(void *opaque, const char *sentence)
{
    fprintf(stderr, "excamera run: %s\n", sentence);
}

static int run_in(struct run *run, const struct local_folder *folder, struct error *error)
{
    double cost = 0;
    const struct local_options options = {
        .job = run->job,
        .digest = run->digest,
        .folder = folder,
        .store = run->store != NULL && store_is_remote(run->store) ? run->store : NULL,
        .keep = run->keep,
        .engine = &run->engine,
        .workers = run->workers ? (int)run->workers : (int)sysconf(_SC_NPROCESSORS_ONLN),
        .spare = (int)run->spare,
        .slots = run->slots ? (int)run->slots : 1,
        .window = (int)run->window,
        .time_ms = run->time_ms,
        .cost = run->cost,
        .spent = &cost,
        .trace = run->trace,
        .note = run->verbose ? on_note : NULL,
        .opaque = run,
    };
    int code = local_run(&options, error);
    watching_print_cost("run", cost);
    return code;
}

static int run_job(struct run *run, struct error *error)
{
    struct local_folder folder = {0};
    int code = run->store == NULL            ? local_folder_make(&folder, error)
               : store_is_remote(run->store) ? objects_take_folder(run->store, &folder, error)
                                             : local_folder_take(run->store, &folder, error);
    if (code == 0)
        code = run_in(run, &folder, error);
    if (run->store != NULL)
        local_folder_leave(&folder);
    else
        local_folder_remove(&folder);
    return code;
}

static int hand_in(struct run *run, struct error *error)
{
    struct watching watching;
    const struct submit_options options = {
        .access = &run->access,
        .store = run->store,
        .job = run->job,
        .text = run->text,
        .size = run->size,
        .choice = run->choice,
        .choices = run->choices,
        .workers = (int)run->workers,
        .spare = (int)run->spare,
        .slots = (int)run->slots,
        .window = (int)run->window,
        .time_ms = run->time_ms,
        .cost = run->cost,
        .events = watching_events(&watching, "run"),
    };
    int code = submit_job(&options, error);
    watching_end(&watching);
    watching_print_cost("run", watching.cost);
    return code;
}

static int load_and_run(struct run *run)
{
    struct error error;
    int code = load(run, &error);
    if (code == 0 && run->drawing != NULL)
        code = draw(run, &error);
    if (code == 0 && run->dry_run)
        code = run->drawing != NULL ? 0 : draw_dot(run->job, stdout, &error);
    else if (code == 0)
        code = run->access.host != NULL ? hand_in(run, &error) : run_job(run, &error);
    free(run->text);
    free(run->access.host);
    free(run->engine.host);
    job_free(run->job);
    return code < 0 ? fail(&error) : EXIT_SUCCESS;
}

/* The encode job as it is in this program. */
static int print_job(const char *name)
{
    if (strcmp(name, "encode") != 0) {
        fprintf(stderr, "excamera run: '%s' is no job of this program; there is 'encode'\n", name);
        return EXIT_USAGE;
    }
    fputs(encode_job_text, stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* ---- The command line ---------------------------------------------------------------------- */

static bool take_option(struct run *run, int option)
{
    if (engine_choice_has(option))
        return engine_choice_take(&run->engine, option, optarg);
    switch (option) {
    case SUBMIT_COORDINATOR:
    case SUBMIT_KEYS:
        return submit_take_option(&run->access, option, optarg);
    case 'e':
        return options_integer("--spare", optarg, 0, MOST_WORKERS, &run->spare);
    case 'T':
        return options_seconds("--time", optarg, &run->time_ms);
    case 'C':
        return options_amount("--cost", optarg, &run->cost);
    case 'w':
        return options_integer("--workers", optarg, 1, MOST_WORKERS, &run->workers);
    case 's':
        return options_integer("--slots", optarg, 1, MOST_SLOTS, &run->slots);
    case 'W':
        return options_integer("--window", optarg, 1, JOB_MOST_ACTORS, &run->window);
    case 'S':
        run->store = optarg;
        return true;
    case 'E':
        objects_set_endpoint(optarg);
        return true;
    case 't':
        run->trace = optarg;
        return true;
    case 'k':
        run->keep = optarg;
        return true;
    case 'd':
        run->drawing = optarg;
        return true;
    case 'p':
        run->print = true;
        run->path = optarg;
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

const struct option run_options_taken[] = {
    {"workers", required_argument, NULL, 'w'},
    {"slots", required_argument, NULL, 's'},
    {"window", required_argument, NULL, 'W'},
    {"store", required_argument, NULL, 'S'},
    {"s3-endpoint", required_argument, NULL, 'E'},
    {"trace", required_argument, NULL, 't'},
    {"keep", required_argument, NULL, 'k'},
    {"draw", required_argument, NULL, 'd'},
    {"print", required_argument, NULL, 'p'},
    ENGINE_CHOICE_OPTIONS,
    {"spare", required_argument, NULL, 'e'},
    {"time", required_argument, NULL, 'T'},
    {"cost", required_argument, NULL, 'C'},
    SUBMIT_OPTIONS,
    {"dry-run", no_argument, NULL, 'n'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

int command_run(int argc, char **argv)
{
    struct run run = {0};
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "vh", run_options_taken, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        run.path = argv[optind - 1];
        if (!take_option(&run, option))
            return EXIT_USAGE;
        if (run.print)
            return print_job(run.path);
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
