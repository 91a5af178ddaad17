/* `excamera jobs`, `watch`, `cancel` and `clean`: jobs that a coordinator elsewhere has. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/submit.h"
#include "cli/watching.h"

#define ACCESS_USAGE                                                                               \
    "      --coordinator HOST:PORT\n"                                                              \
    "                  where it listens\n"                                                         \
    "      --keys DIR  the folder of `excamera keys init`, or a copy with submitter.pem\n"         \
    "  -h, --help      this text\n"

static const char jobs_usage[] = "usage: excamera jobs --coordinator HOST:PORT --keys DIR\n"
                                 "\n"
                                 "Lists the jobs that a coordinator has, the latest last.\n"
                                 "\n" ACCESS_USAGE;
static const char watch_usage[] = "usage: excamera watch ID --coordinator HOST:PORT --keys DIR\n"
                                  "\n"
                                  "Attaches to a job again: waits for its end, and brings its "
                                  "outputs to where the job says, from\n"
                                  "the working folder on. Ctrl-C detaches.\n"
                                  "\n" ACCESS_USAGE;
static const char cancel_usage[] = "usage: excamera cancel ID --coordinator HOST:PORT --keys DIR\n"
                                   "\n"
                                   "Ends a job for good.\n"
                                   "\n" ACCESS_USAGE;
static const char clean_usage[] =
    "usage: excamera clean [ID ...] --coordinator HOST:PORT --keys DIR\n"
    "\n"
    "Removes what jobs that are over, all or these, have left: in the coordinator's state, and in\n"
    "stores, where their outputs are too.\n"
    "\n" ACCESS_USAGE;

struct command {
    const char *name, *usage;
    int least, most; /* ids */
    struct submit_access access;
    int ids;
    char **id;
};

static int wrong_usage(const struct command *command, const char *sentence, const char *word)
{
    fprintf(stderr, "excamera %s: %s%s; `excamera %s --help` says more\n", command->name, sentence,
            word, command->name);
    return EXIT_USAGE;
}

static int fail(const struct command *command, const struct error *error)
{
    fprintf(stderr, "excamera %s: %s\n", command->name, error->message);
    return EXIT_FAILURE;
}

const struct option jobs_options_taken[] = {SUBMIT_OPTIONS, {"help", no_argument, NULL, 'h'}, {0}};

/* EXIT_SUCCESS to go on, -1 where all has been said. */
static int take_options(struct command *command, int argc, char **argv)
{
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", jobs_options_taken, NULL)) != -1) {
        if (option == 'h') {
            fputs(command->usage, stdout);
            return -1;
        }
        if (option == '?')
            return wrong_usage(
                command, "there is no such option, or its value is missing: ", argv[optind - 1]);
        if (!submit_take_option(&command->access, option, optarg))
            return EXIT_USAGE;
    }
    command->ids = argc - optind;
    command->id = argv + optind;
    if (command->access.host == NULL || command->access.keys == NULL)
        return wrong_usage(command, "--coordinator HOST:PORT and --keys DIR are needed", "");
    if (command->ids < command->least)
        return wrong_usage(command, "a job's id is needed", "");
    if (command->ids > command->most)
        return wrong_usage(command, "it does not take ", command->id[command->most]);
    return EXIT_SUCCESS;
}

/* ---- Lists --------------------------------------------------------------------------------- */

static void print_indented(const char *text)
{
    for (size_t length; *text != '\0'; text += length + (text[length] != '\0')) {
        length = strcspn(text, "\n");
        if (length > 0)
            printf("    %.*s\n", (int)length, text);
    }
}

static void print_job(const Mu__JobLine *job)
{
    static const char *const states[] = {"waiting", "running", "done", "failed", "cancelled"};
    char when[32] = "";
    struct tm date;
    time_t submitted = (time_t)job->submitted;
    unsigned state = (unsigned)job->state;
    if (localtime_r(&submitted, &date) != NULL)
        strftime(when, sizeof when, "%Y-%m-%d %H:%M", &date);
    printf("%-32s %-9s %s  ", job->id, state < 5 ? states[state] : "?", when);
    if (job->actors >= 0)
        printf("%" PRId64 " of %" PRId64 " actors", job->done, job->actors);
    else
        printf("%" PRId64 " actors", job->done);
    if (job->workers > 0)
        printf(", %u workers", job->workers);
    if (job->cost > 0)
        printf(", cost %.4g", job->cost);
    putchar('\n');
    print_indented(job->error);
}

static void on_jobs(void *opaque, const Mu__Jobs *jobs)
{
    for (size_t i = 0; i < jobs->n_jobs; i++)
        print_job(jobs->jobs[i]);
}

static void on_nothing(void *opaque, const Mu__Jobs *jobs)
{
}

static int ask(struct command *command, const Mu__Envelope *question,
               void (*answered)(void *opaque, const Mu__Jobs *jobs), void *opaque)
{
    struct error error;
    return submit_ask(&command->access, question, answered, opaque, &error) < 0
               ? fail(command, &error)
               : EXIT_SUCCESS;
}

static int finish(struct command *command, int status)
{
    free(command->access.host);
    return status == -1 ? EXIT_SUCCESS : status;
}

/* ---- The commands -------------------------------------------------------------------------- */

int command_jobs(int argc, char **argv)
{
    struct command command = {.name = "jobs", .usage = jobs_usage};
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__List list = MU__LIST__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_LIST;
    envelope.list = &list;
    int status = take_options(&command, argc, argv);
    if (status == EXIT_SUCCESS)
        status = ask(&command, &envelope, on_jobs, NULL);
    return finish(&command, status);
}

int command_cancel(int argc, char **argv)
{
    struct command command = {.name = "cancel", .usage = cancel_usage, .least = 1, .most = 1};
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Cancel cancel = MU__CANCEL__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_CANCEL;
    envelope.cancel = &cancel;
    int status = take_options(&command, argc, argv);
    if (status == EXIT_SUCCESS) {
        cancel.id = command.id[0];
        status = ask(&command, &envelope, on_nothing, NULL);
    }
    return finish(&command, status);
}

static int clean_one(struct command *command, char *id)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Clean clean = MU__CLEAN__INIT;
    clean.id = id;
    envelope.body_case = MU__ENVELOPE__BODY_CLEAN;
    envelope.clean = &clean;
    return ask(command, &envelope, on_nothing, NULL);
}

int command_clean(int argc, char **argv)
{
    struct command command = {.name = "clean", .usage = clean_usage, .most = 1000};
    static char all[] = "";
    int status = take_options(&command, argc, argv);
    if (status == EXIT_SUCCESS && command.ids == 0)
        status = clean_one(&command, all);
    for (int i = 0; i < command.ids && status == EXIT_SUCCESS; i++)
        status = clean_one(&command, command.id[i]);
    return finish(&command, status);
}

int command_watch(int argc, char **argv)
{
    struct command command = {.name = "watch", .usage = watch_usage, .least = 1, .most = 1};
    struct watching watching;
    struct submit_events events = watching_events(&watching, command.name);
    struct error error;
    int status = take_options(&command, argc, argv);
    if (status == EXIT_SUCCESS) {
        int code = submit_watch(&command.access, command.id[0], &events, &error);
        watching_end(&watching);
        watching_print_cost(command.name, watching.cost);
        if (code < 0)
            status = fail(&command, &error);
    }
    return finish(&command, status);
}
