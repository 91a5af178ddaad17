/* `excamera rendezvous`: the server that workers hand messages to one another by way of. */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "mu/rendezvous.h"
#include "util/open_files.h"

/* That it should be able to have: fewer are worth a word. */
enum { CONNECTIONS = 4096 };

static const char usage[] =
    "usage: excamera rendezvous --listen [HOST:]PORT --credentials FILE [OPTIONS]\n"
    "\n"
    "Serves the workers of several jobs, which a coordinator registers, as the place where they\n"
    "meet: relays the messages between them and holds them for those that come later.\n"
    "\n"
    "      --listen [HOST:]PORT\n"
    "                       where to listen: a name or an address (IPv6 in brackets), all\n"
    "                       addresses without one; port 0 for any that is free. \"listening on\n"
    "                       port N\" on standard output says which\n"
    "      --credentials FILE\n"
    "                       rendezvous.pem of `excamera keys init`\n"
    "      --memory BYTES   how much of the messages to hold in memory; 1 GiB by default\n"
    "      --spill DIR      where a file lies for what is more than that; TMPDIR or /var/tmp by\n"
    "                       default. It has no name, and goes with the process\n"
    "      --spill-most BYTES\n"
    "                       how long that file may get; 16 GiB by default. When there is no room\n"
    "                       left, messages go, first those that were delivered: who asks for them\n"
    "                       again is given the copies in the job's store\n"
    "  -v, --verbose        say on standard error who was refused or cut off, and why\n"
    "  -h, --help           this text\n"
    "\n"
    "SIGTERM lets what is on its way arrive first; a second one, or SIGINT, ends it at once.\n"
    "\n"
    "  excamera rendezvous --listen 0.0.0.0:4600 --credentials keys/rendezvous.pem\n";

struct service {
    uv_loop_t loop;
    uv_signal_t terminate, interrupt;
    struct network *network;
    struct rendezvous *rendezvous;
    struct rendezvous_options options;
    char *host; /* that options.host points to */
    const char *credentials;
    bool draining;
};

static int wrong_usage(const char *sentence, const char *word)
{
    fprintf(stderr, "excamera rendezvous: %s%s; `excamera rendezvous --help` says more\n", sentence,
            word);
    return EXIT_USAGE;
}

static int fail(const struct error *error)
{
    fprintf(stderr, "excamera rendezvous: %s\n", error->message);
    return EXIT_FAILURE;
}

static void on_note(void *opaque, const char *sentence)
{
    fprintf(stderr, "excamera rendezvous: %s\n", sentence);
}

/* ---- serving ------------------------------------------------------------------------------- */

static void end(struct service *service)
{
    rendezvous_free(service->rendezvous);
    network_free(service->network);
    uv_close((uv_handle_t *)&service->terminate, NULL);
    uv_close((uv_handle_t *)&service->interrupt, NULL);
    service->rendezvous = NULL;
}

static void on_drained(void *opaque)
{
    end(opaque);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct service *service = handle->data;
    if (service->rendezvous == NULL)
        return;
    if (number == SIGTERM && !service->draining) {
        service->draining = true;
        rendezvous_drain(service->rendezvous, on_drained, service);
    } else {
        end(service);
    }
}

static int begin(struct service *service, struct error *error)
{
    uv_loop_init(&service->loop);
    uv_signal_init(&service->loop, &service->terminate);
    uv_signal_init(&service->loop, &service->interrupt);
    service->terminate.data = service->interrupt.data = service;
    int code = network_new(&service->loop, &service->network, error);
    if (code == 0)
        code = rendezvous_new(service->network, &service->options, &service->rendezvous, error);
    if (code < 0) {
        end(service);
        return code;
    }
    uv_signal_start(&service->terminate, on_signal, SIGTERM);
    uv_signal_start(&service->interrupt, on_signal, SIGINT);
    return 0;
}

static int serve(struct service *service)
{
    struct error error = {.code = 0};
    int code = credentials_load(service->credentials, &service->options.credentials, &error);
    if (code < 0)
        return fail(&error);
    signal(SIGPIPE, SIG_IGN);
    if (open_files_allow(CONNECTIONS, &error) < 0)
        on_note(NULL, error.message);
    code = begin(service, &error);
    if (code == 0) {
        printf("listening on port %u\n", (unsigned)rendezvous_port(service->rendezvous));
        fflush(stdout);
    }
    uv_run(&service->loop, UV_RUN_DEFAULT);
    uv_loop_close(&service->loop);
    credentials_release(&service->options.credentials);
    return code < 0 ? fail(&error) : EXIT_SUCCESS;
}

/* ---- the command line ---------------------------------------------------------------------- */

static bool take_option(struct service *service, int option, bool *listening)
{
    int64_t memory, most;
    bool taken;
    switch (option) {
    case 'l':
        *listening = true;
        taken = options_address("--listen", optarg, &service->host, &service->options.port);
        service->options.host = service->host;
        return taken;
    case 'c':
        service->credentials = optarg;
        return true;
    case 'm':
        if (!options_integer("--memory", optarg, 1, INT64_MAX, &memory))
            return false;
        service->options.memory = (size_t)memory;
        return true;
    case 's':
        service->options.spill = optarg;
        return true;
    case 'M':
        if (!options_integer("--spill-most", optarg, 1, INT64_MAX, &most))
            return false;
        service->options.spill_most = (uint64_t)most;
        return true;
    default:
        service->options.note = on_note;
        return true;
    }
}

/* EXIT_SUCCESS to go on, -1 where all has been said. */
static int take_options(struct service *service, int argc, char **argv)
{
    static const struct option options[] = {
        {"listen", required_argument, NULL, 'l'},
        {"credentials", required_argument, NULL, 'c'},
        {"memory", required_argument, NULL, 'm'},
        {"spill", required_argument, NULL, 's'},
        {"spill-most", required_argument, NULL, 'M'},
        {"verbose", no_argument, NULL, 'v'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    bool listening = false;
    int option;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "vh", options, NULL)) != -1) {
        if (option == 'h') {
            printf("%s", usage);
            return -1;
        }
        if (option == '?')
            return wrong_usage("there is no such option, or its value is missing: ",
                               argv[optind - 1]);
        if (!take_option(service, option, &listening))
            return EXIT_USAGE;
    }
    if (optind < argc)
        return wrong_usage("it does not take ", argv[optind]);
    if (!listening || service->credentials == NULL)
        return wrong_usage("--listen and --credentials are needed", "");
    return EXIT_SUCCESS;
}

int command_rendezvous(int argc, char **argv)
{
    struct service service = {.options = {.spill = getenv("TMPDIR")}};
    int status = take_options(&service, argc, argv);
    if (status == EXIT_SUCCESS)
        status = serve(&service);
    free(service.host);
    return status == -1 ? EXIT_SUCCESS : status;
}
