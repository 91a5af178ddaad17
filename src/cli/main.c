/* `excamera COMMAND ...`: finds the command and hands over to it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/lambda.h"

struct command {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *purpose;
};

static const struct command commands[] = {
    {"encode", command_encode, "encode a film as VP8, in many small pieces at once"},
    {"run", command_run, "run a job of any kind that a file describes"},
    {"task", command_task, "run one step of an encode by hand"},
    {"vp8", command_vp8, "decode VP8 streams and look into their frames"},
    {"compare", command_compare, "measure how like two films are: SSIM and PSNR"},
    {"keys", command_keys, "make the certificates of a deployment"},
    {"coordinator", command_coordinator, "run jobs that are handed in, several at a time"},
    {"jobs", command_jobs, "list a coordinator's jobs"},
    {"watch", command_watch, "attach to a job that was handed in"},
    {"cancel", command_cancel, "end a job that was handed in"},
    {"clean", command_clean, "remove what jobs that are over have left"},
    {"rendezvous", command_rendezvous, "serve as the place where workers meet"},
    {"lambda", command_lambda, "set up and serve workers on AWS Lambda"},
    {"worker", command_worker, "work for a coordinator: what engines start"},
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
    return command->run(argc - 1, argv + 1);
}
