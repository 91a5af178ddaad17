/* `excamera worker`: what engines start. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/working.h"
#include "mu/slot_child.h"

static const char usage[] = "usage: excamera worker --invocation FILE|-\n"
                            "\n"
                            "Works for a coordinator. This is what engines start; there is no need "
                            "to do so by hand. Who the\n"
                            "coordinator is, and all else, stands in a JSON document that holds a "
                            "private key: a file of mode\n"
                            "0600, or standard input.\n"
                            "\n"
                            "      --invocation FILE  the document; - for standard input\n"
                            "  -h, --help             this text\n";

static int run(const char *path)
{
    struct working working = {0};
    struct invocation invocation;
    struct error error;
    int code = invocation_load(path, &invocation, &error);
    if (code == 0) {
        code = working_open(&working, &error);
        if (code == 0)
            code = working_run(&working, &invocation, &error);
        working_close(&working);
        invocation_release(&invocation);
    }
    if (code == 0)
        return EXIT_SUCCESS;
    fprintf(stderr, "excamera worker: %s\n", error.message);
    return EXIT_FAILURE;
}

int command_worker(int argc, char **argv)
{
    static const struct option options[] = {
        {"invocation", required_argument, NULL, 'i'},
        {"help", no_argument, NULL, 'h'},
        {NULL, 0, NULL, 0},
    };
    static const struct slot_tasks tasks = {.prepare = command_task_prepare, .run = command_task};
    const char *path = NULL;
    /* How a worker starts the processes of its slots, see mu/slot_child.h. */
    if (argc == 2 && strcmp(argv[1], "--slot") == 0)
        return slot_child(&tasks);
    for (int option; (option = getopt_long(argc, argv, "h", options, NULL)) != -1;) {
        if (option == 'h') {
            fputs(usage, stdout);
            return EXIT_SUCCESS;
        }
        if (option != 'i')
            return EXIT_USAGE;
        path = optarg;
    }
    if (path == NULL || optind != argc) {
        fputs(usage, stderr);
        return EXIT_USAGE;
    }
    return run(path);
}
