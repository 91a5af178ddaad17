/* `excamera lambda`: what concerns AWS Lambda and no job: the function that workers run in. */
#include "cli/lambda.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"

struct subcommand {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *purpose;
};

static const struct subcommand subcommands[] = {
    {"package", lambda_package, "build the function's zip: this program with all that it needs"},
    {"deploy", lambda_deploy, "make the function of a package"},
    {"update", lambda_update, "change it, its package or its settings"},
    {"delete", lambda_delete, "remove it"},
    {"bootstrap", lambda_bootstrap, "serve as the function's runtime: what AWS Lambda starts"},
};

enum { SUBCOMMANDS = sizeof subcommands / sizeof subcommands[0] };

static void usage(FILE *stream)
{
    fprintf(stream, "usage: excamera lambda SUBCOMMAND [OPTIONS]\n"
                    "\n"
                    "Workers on AWS Lambda: the function that they run in.\n"
                    "\n");
    for (int i = 0; i < SUBCOMMANDS; i++)
        fprintf(stream, "  %-11s %s\n", subcommands[i].name, subcommands[i].purpose);
}

int command_lambda(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    for (int i = 0; i < SUBCOMMANDS; i++)
        if (strcmp(name, subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    if (argc > 1)
        fprintf(stderr, "excamera lambda: there is no subcommand '%s'\n", name);
    usage(stderr);
    return EXIT_USAGE;
}
