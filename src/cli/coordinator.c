/* `excamera coordinator`: the server that runs jobs which are handed in, on workers that it has started. */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/build.h"
#include "cli/commands.h"
#include "cli/engine_choice.h"
#include "cli/local.h"
#include "cli/options.h"
#include "cli/trace.h"
#include "mu/coordinator.h"

static const char usage[] =
    "usage: excamera coordinator --keys DIR --state DIR --listen [HOST:]PORT [OPTIONS]\n"
    "\n"
    "Runs jobs that `excamera run` and `excamera encode` hand in with --coordinator, several at a\n"
    "time, on workers that are shared among them.\n"
    "\n"
    "      --keys DIR       the folder of `excamera keys init`, or a copy with coordinator.pem in "
    "it,\n"
    "                       and rendezvous.pem unless --rendezvous is given\n"
    "      --state DIR      where jobs are kept: started again with the same, it goes on with "
    "them\n"
    "      --listen [HOST:]PORT\n"
    "                       where to listen: a name or an address (IPv6 in brackets), all\n"
    "                       addresses without one; port 0 for any that is free. \"listening on\n"
    "                       port N\" on standard output says which\n"
    "      --advertise HOST[:PORT]\n"
    "                       where workers reach it, if that is something else\n"
    "      --rendezvous HOST:PORT\n"
    "                       an `excamera rendezvous` that workers meet by way of; several share\n"
    "                       the load. Without one it is inside of the coordinator\n"
    "      --rendezvous-port PORT\n"
    "                       of the one inside; any that is free by default\n"
    "      --rendezvous-patience SECONDS\n"
    "                       until one that is gone is given up; 30 by default\n"
    "      --workers N      at most at a time, for all jobs; one for each core by default\n"
    "      --slots N        commands that each worker runs at once; 1 by default\n"
    "      --engine NAME    what starts the workers: local (this machine), command, lambda, slurm\n"
    "      --engine-opt KEY=VALUE\n"
    "                       an option of that engine, as excamera(1) tells; may come again\n"
    "      --launch-patience SECONDS\n"
    "                       until one that has not come is replaced; 120 by default\n"
    "      --price AMOUNT   what a worker's second costs, in place of the engine's price\n"
    "      --scratch DIR    absolute: where workers keep their files; TMPDIR or /var/tmp by "
    "default\n"
    "      --trace FILE     writes what happens, a line of JSON each\n"
    "      --profile NAME   options of ~/.config/excamera/config, as excamera(1) tells\n"
    "  -v, --verbose        tells of jobs and workers\n"
    "  -h, --help           this text\n"
    "\n"
    "SIGTERM ends it when what its workers run has ended, after ten seconds at most; a second "
    "one,\n"
    "or SIGINT, at once. Jobs go on when it is started again.\n"
    "\n"
    "  excamera coordinator --keys keys --state /var/lib/excamera --listen 0.0.0.0:4601\n";

enum { MOST_WORKERS = 1 << 20, MOST_RENDEZVOUS = 64 };

struct service {
    struct coordinator_options options;
    struct engine_choice_line engine;
    struct coordinator_place place[MOST_RENDEZVOUS];
    char *host[MOST_RENDEZVOUS], *listen_host;
    const char *keys, *trace_path;
    char *scratch;
    struct credentials coordinator_keys, rendezvous_keys;
    char *program;
    FILE *trace;
    uv_loop_t loop;
    uv_signal_t terminate, interrupt;
    struct coordinator *coordinator;
    bool listening, draining, closing;
};

static int wrong_usage(const char *sentence, const char *word)
{
    fprintf(stderr, "excamera coordinator: %s%s; `excamera coordinator --help` says more\n",
            sentence, word);
    return EXIT_USAGE;
}

static void on_note(void *opaque, const char *sentence)
{
    fprintf(stderr, "excamera coordinator: %s\n", sentence);
}

static void on_trace(void *opaque, const char *line)
{
    const struct service *service = opaque;
    trace_line(service->trace, line);
}

/* ---- Serving ------------------------------------------------------------------------------- */

static void close_signals(struct service *service)
{
    uv_close((uv_handle_t *)&service->terminate, NULL);
    uv_close((uv_handle_t *)&service->interrupt, NULL);
}

static void on_closed(void *opaque)
{
    close_signals(opaque);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *service = handle->data;
    if (service->closing)
        return;
    if (number == SIGTERM && !service->draining) {
        service->draining = true;
        coordinator_drain(service->coordinator, on_closed, service);
    } else {
        service->closing = true;
        coordinator_close(service->coordinator, on_closed, service);
    }
}

static int open_coordinator(struct service *service, struct error *error)
{
    int code = uv_loop_init(&service->loop);
    if (code < 0)
        return error_set(error, code, "cannot start: %s", uv_strerror(code));
    uv_signal_init(&service->loop, &service->terminate);
    uv_signal_init(&service->loop, &service->interrupt);
    service->terminate.data = service->interrupt.data = service;
    code = coordinator_open(&service->loop, &service->options, &service->coordinator, error);
    if (code < 0) {
        close_signals(service);
        return code;
    }
    uv_signal_start(&service->terminate, on_signal, SIGTERM);
    uv_signal_start(&service->interrupt, on_signal, SIGINT);
    printf("listening on port %u\n", (unsigned)coordinator_port(service->coordinator));
    fflush(stdout);
    return 0;
}

static int load_key(const struct service *service, const char *name,
                    struct credentials *credentials, struct error *error)
{
    char *path;
    if (asprintf(&path, "%s/%s", service->keys, name) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    int code = credentials_load(path, credentials, error);
    free(path);
    return code;
}

static int load_keys(struct service *service, struct error *error)
{
    int code = load_key(service, "coordinator.pem", &service->coordinator_keys, error);
    service->options.keys = &service->coordinator_keys;
    if (code < 0 || service->options.rendezvous_count > 0)
        return code;
    service->options.rendezvous_keys = &service->rendezvous_keys;
    return load_key(service, "rendezvous.pem", &service->rendezvous_keys, error);
}

/* Workers need the whole path. */
static int find_scratch(struct service *service, struct error *error)
{
    const char *scratch = service->options.scratch ? service->options.scratch : local_parent();
    service->scratch = realpath(scratch, NULL);
    if (service->scratch == NULL)
        return error_set(error, -errno, "%s: %s", scratch, strerror(errno));
    service->options.scratch = service->scratch;
    return 0;
}

static int open_trace(struct service *service, struct error *error)
{
    int code = trace_open(service->trace_path, "ae", &service->trace, error);
    service->options.trace = service->trace != NULL ? on_trace : NULL;
    return code;
}

static int prepare(struct service *service, struct error *error)
{
    int code = build_program(&service->program, error);
    if (code == 0)
        code = load_keys(service, error);
    if (code == 0)
        code = find_scratch(service, error);
    if (code == 0)
        code = open_trace(service, error);
    service->options.build = build_identity();
    service->options.program = service->program;
    service->options.choice = engine_choice_of(&service->engine);
    service->options.advertise =
        (struct coordinator_place){service->engine.host, service->engine.port};
    service->options.rendezvous_port = service->engine.rendezvous_port;
    return code;
}

static int serve(struct service *service)
{
    struct error error;
    signal(SIGPIPE, SIG_IGN);
    int code = prepare(service, &error);
    if (code == 0) {
        code = open_coordinator(service, &error);
        uv_run(&service->loop, UV_RUN_DEFAULT);
        uv_loop_close(&service->loop);
    }
    if (code < 0)
        fprintf(stderr, "excamera coordinator: %s\n", error.message);
    return code < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static void release(struct service *service)
{
    credentials_release(&service->coordinator_keys);
    credentials_release(&service->rendezvous_keys);
    for (int i = 0; i < service->options.rendezvous_count; i++)
        free(service->host[i]);
    free(service->listen_host);
    free(service->engine.host);
    free(service->program);
    free(service->scratch);
    trace_close(service->trace, service->trace_path, &(struct error){0});
}

/* ---- The command line ---------------------------------------------------------------------- */

static bool take_rendezvous(struct service *service, const char *text)
{
    int count = service->options.rendezvous_count;
    if (count == MOST_RENDEZVOUS) {
        fprintf(stderr, "excamera coordinator: at most %d rendezvous\n", MOST_RENDEZVOUS);
        return false;
    }
    if (!options_address("--rendezvous", text, &service->host[count], &service->place[count].port))
        return false;
    if (service->host[count] == NULL || service->place[count].port == 0) {
        fprintf(stderr, "excamera coordinator: --rendezvous takes HOST:PORT, not '%s'\n", text);
        free(service->host[count]);
        return false;
    }
    service->place[count].host = service->host[count];
    service->options.rendezvous = service->place;
    service->options.rendezvous_count++;
    return true;
}

static bool take_patience(const char *option, unsigned *ms)
{
    uint64_t value;
    if (!options_seconds(option, optarg, &value))
        return false;
    *ms = value < UINT32_MAX ? (unsigned)value : UINT32_MAX;
    return true;
}

static bool take_place(struct service *service, int option)
{
    struct coordinator_options *options = &service->options;
    bool taken;
    switch (option) {
    case 'l':
        service->listening = true;
        taken = options_address("--listen", optarg, &service->listen_host, &options->listen.port);
        options->listen.host = service->listen_host;
        return taken;
    case 'r':
        return take_rendezvous(service, optarg);
    case 'P':
        return take_patience("--launch-patience", &options->launch_ms);
    default:
        return take_patience("--rendezvous-patience", &options->rendezvous_lost_ms);
    }
}

static bool take_option(struct service *service, int option)
{
    struct coordinator_options *options = &service->options;
    if (engine_choice_has(option))
        return engine_choice_take(&service->engine, option, optarg);
    switch (option) {
    case 'k':
        service->keys = optarg;
        return true;
    case 's':
        options->state = optarg;
        return true;
    case 'w':
        return options_int("--workers", optarg, 1, MOST_WORKERS, &options->workers);
    case 'S':
        return options_int("--slots", optarg, 1, 1024, &options->slots);
    case 'p':
        return options_amount("--price", optarg, &options->price);
    case 'c':
        options->scratch = optarg;
        return true;
    case 't':
        service->trace_path = optarg;
        return true;
    case 'v':
        options->note = on_note;
        return true;
    default:
        return take_place(service, option);
    }
}

const struct option coordinator_options_taken[] = {
    {"keys", required_argument, NULL, 'k'},
    {"state", required_argument, NULL, 's'},
    {"listen", required_argument, NULL, 'l'},
    {"rendezvous", required_argument, NULL, 'r'},
    {"rendezvous-patience", required_argument, NULL, 'R'},
    {"workers", required_argument, NULL, 'w'},
    {"slots", required_argument, NULL, 'S'},
    ENGINE_CHOICE_OPTIONS,
    {"launch-patience", required_argument, NULL, 'P'},
    {"price", required_argument, NULL, 'p'},
    {"scratch", required_argument, NULL, 'c'},
    {"trace", required_argument, NULL, 't'},
    {"verbose", no_argument, NULL, 'v'},
    {"help", no_argument, NULL, 'h'},
    {0},
};

/* EXIT_SUCCESS to go on, -1 where all has been said. */
static int take_options(struct service *service, int argc, char **argv)
{
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "vh", coordinator_options_taken, NULL)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return -1;
        }
        if (option == '?')
            return wrong_usage("there is no such option, or its value is missing: ",
                               argv[optind - 1]);
        if (!take_option(service, option))
            return EXIT_USAGE;
    }
    if (optind < argc)
        return wrong_usage("it does not take ", argv[optind]);
    if (!service->listening || service->keys == NULL || service->options.state == NULL)
        return wrong_usage("--keys, --state and --listen are needed", "");
    return EXIT_SUCCESS;
}

int command_coordinator(int argc, char **argv)
{
    struct service service = {.options = {.workers = (int)sysconf(_SC_NPROCESSORS_ONLN)}};
    service.options.opaque = &service;
    int status = take_options(&service, argc, argv);
    if (status == EXIT_SUCCESS)
        status = serve(&service);
    release(&service);
    return status == -1 ? EXIT_SUCCESS : status;
}
