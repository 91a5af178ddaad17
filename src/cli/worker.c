/* `excamera worker`: what engines start. */
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "cli/build.h"
#include "cli/commands.h"
#include "mu/slot_child.h"
#include "mu/worker.h"

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

struct service {
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    struct worker *worker; /* NULL once it has ended */
    int status;
};

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *service = handle->data;
    (void)number;
    if (service->worker != NULL)
        worker_stop(service->worker, "stopped by a signal");
}

static void on_ended(void *opaque, const struct error *reason)
{
    struct service *service = opaque;
    service->worker = NULL;
    if (reason != NULL) {
        fprintf(stderr, "excamera worker: %s\n", reason->message);
        service->status = EXIT_FAILURE;
    }
    uv_close((uv_handle_t *)&service->interrupt, NULL);
    uv_close((uv_handle_t *)&service->terminate, NULL);
}

static void watch_signals(struct service *service)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&service->loop, &service->interrupt);
    uv_signal_init(&service->loop, &service->terminate);
    service->interrupt.data = service->terminate.data = service;
    uv_signal_start(&service->interrupt, on_signal, SIGINT);
    uv_signal_start(&service->terminate, on_signal, SIGTERM);
}

/* Works until it is over; returns the exit status. */
static int serve(const struct worker_options *options)
{
    struct service service = {.status = EXIT_SUCCESS};
    struct error error;
    int code = uv_loop_init(&service.loop);
    if (code < 0) {
        fprintf(stderr, "excamera worker: %s\n", uv_strerror(code));
        return EXIT_FAILURE;
    }
    watch_signals(&service);
    if (worker_open(&service.loop, options, on_ended, &service, &service.worker, &error) < 0)
        on_ended(&service, &error);
    uv_run(&service.loop, UV_RUN_DEFAULT);
    uv_loop_close(&service.loop);
    return service.status;
}

static int prepare(const struct invocation *invocation, struct error *error)
{
    static const char *const slot_argv[] = {"excamera", "worker", "--slot", NULL};
    char build[SHA256_HEX_SIZE], facts[BUILD_FACTS_SIZE], *program;
    int code = build_identity(build, error);
    if (code == 0)
        code = build_program(&program, error);
    if (code < 0)
        return code;
    build_facts(facts);
    const struct worker_options options = {
        .invocation = invocation,
        .version = XC_VERSION,
        .build = build,
        .facts = facts,
        .program = program,
        .slot_argv = slot_argv,
    };
    int status = serve(&options);
    free(program);
    return status;
}

static int run(const char *path)
{
    struct invocation invocation;
    struct error error;
    int status = invocation_load(path, &invocation, &error);
    if (status == 0) {
        status = prepare(&invocation, &error);
        invocation_release(&invocation);
    }
    if (status >= 0)
        return status;
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
    const char *path = NULL;
    /* How a worker starts the processes of its slots, see mu/slot_child.h. */
    if (argc == 2 && strcmp(argv[1], "--slot") == 0)
        return slot_child(command_task);
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
