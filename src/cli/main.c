/* `excamera COMMAND ...`: finds the command and hands over to it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/lambda.h"
#include "cli/profile.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *purpose;
    const struct option *options; /* NULL: it does not use the profile file */
};

static const struct command commands[] = {
    {"encode", command_encode, "encode a film as VP8, in many small pieces at once",
     encode_options_taken},
    {"split", command_split, "cut a film into raw chunks, which can be encoded like a film", NULL},
    {"run", command_run, "run a job of any kind that a file describes", run_options_taken},
    {"task", command_task, "run one step of an encode by hand", NULL},
    {"vp8", command_vp8, "decode VP8 streams and look into their frames", NULL},
    {"compare", command_compare, "measure how like two films are: SSIM and PSNR", NULL},
    {"keys", command_keys, "make the certificates of a deployment", NULL},
    {"coordinator", command_coordinator, "run jobs that are handed in, several at a time",
     coordinator_options_taken},
    {"jobs", command_jobs, "list a coordinator's jobs", jobs_options_taken},
    {"watch", command_watch, "attach to a job that was handed in", jobs_options_taken},
    {"cancel", command_cancel, "end a job that was handed in", jobs_options_taken},
    {"clean", command_clean, "remove what jobs that are over have left", jobs_options_taken},
    {"rendezvous", command_rendezvous, "serve as the place where workers meet", NULL},
    {"lambda", command_lambda, "set up and serve workers on AWS Lambda", NULL},
    {"worker", command_worker, "work for a coordinator: what engines start", NULL},
};

enum { COMMANDS = sizeof commands / sizeof commands[0] };

static void usage(FILE *stream)
{
    fprintf(stream, "usage: excamera COMMAND [OPTIONS]\n\ncommands:\n");
    for (int i = 0; i < COMMANDS; i++)
        fprintf(stream, "  %-11s %s\n", commands[i].name, commands[i].purpose);
    fprintf(stream, "\n`excamera COMMAND --help` says more, as in:\n"
                    "  excamera encode film.mp4 -o film.webm\n");
}

static const struct command *find_command(const char *name)
{
    for (int i = 0; i < COMMANDS; i++)
        if (strcmp(commands[i].name, name) == 0)
            return &commands[i];
    return NULL;
}

static int help(int argc, char **argv)
{
    const struct command *command = argc > 2 ? find_command(argv[2]) : NULL;
    if (command == NULL) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    char *arguments[] = {argv[2], "--help", NULL};
    return command->run(2, arguments);
}

/* The name by which AWS Lambda starts a program that is a function's runtime. */
static bool is_bootstrap(const char *path)
{
    const char *slash = strrchr(path, '/');
    return strcmp(slash != NULL ? slash + 1 : path, "bootstrap") == 0;
}

static int run(const struct command *command, int argc, char **argv)
{
    static const struct option *const all[] = {encode_options_taken, run_options_taken,
                                               coordinator_options_taken, jobs_options_taken, NULL};
    struct arena words = {0};
    char **made;
    if (command->options == NULL)
        return command->run(argc, argv);
    argc = profile_apply(argc, argv, command->options, all, &words, &made);
    int status = argc < 0 ? EXIT_USAGE : command->run(argc, made);
    arena_free(&words);
    return status;
}

int main(int argc, char **argv)
{
    if (argc == 1 && is_bootstrap(argv[0]))
        return lambda_bootstrap(argc, argv);
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0)
        return help(argc, argv);
    if (strcmp(argv[1], "version") == 0 || strcmp(argv[1], "--version") == 0) {
        printf("excamera %s\n", XC_VERSION);
        return EXIT_SUCCESS;
    }
    const struct command *command = find_command(argv[1]);
    if (command == NULL) {
        fprintf(stderr, "excamera: there is no command '%s'; `excamera help` lists them\n",
                argv[1]);
        return EXIT_USAGE;
    }
    return run(command, argc - 1, argv + 1);
}
