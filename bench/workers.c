/*
 * How fast workers join a coordinator:
 *
 *     bench_workers [join|arrivals]
 *
 *   join      4,000 at once: the time until each has its first request, against an accept loop of bare
 *             OpenSSL calls beside it, and the coordinator's memory for each
 *   arrivals  300 a second: from dialling to the first request
 *
 * The coordinator is a real one, with a real job, in a process of its own; its engine starts nothing.
 * The workers are connections of this process that speak the real protocol over TLS, each with its
 * certificate, and say to every command that it went well. So with two cores each side has one.
 */
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "mu/invocation.h"
#include "mu/wire.h"
#include "net/channel.h"
#include "net/identity.h"
#include "workers.h"

enum { RATE = 300, ROUNDS = 3, CALLS = 16 };

struct shared *shared;

/* ---- what the server counts ---------------------------------------------------------------- */

static double begin_cpu, begin_bytes;

static double cpu_seconds(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* Of its own: what it shares with the clients does not count. */
static double resident_bytes(void)
{
    char line[256];
    long kilobytes = 0;
    FILE *file = fopen("/proc/self/status", "r");
    MUST(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %ld kB", &kilobytes) == 1)
            break;
    fclose(file);
    return (double)kilobytes * 1024;
}

void count_begin(void)
{
    begin_cpu = cpu_seconds();
    begin_bytes = resident_bytes();
}

void count_end(void)
{
    shared->cpu = cpu_seconds() - begin_cpu;
    shared->bytes = (resident_bytes() - begin_bytes) / WORKERS;
}

/* ---- workers ------------------------------------------------------------------------------- */

struct client {
    struct load *load;
    struct invocation invocation;
    struct tls_client *tls;
    struct channel *channel;
    uint64_t dialled_at, spoke_at;
    double waited; /* milliseconds from dialling to the first request; 0: not there yet */
    unsigned heartbeat_ms;
    Mu__Envelope *held[CALLS]; /* requests to be answered when all have joined */
    int holds;
};

/* All of them. */
struct load {
    uv_loop_t loop;
    uv_timer_t timer, heartbeats;
    struct network *network;
    uint16_t port;
    int rate; /* a second; 0: all at once */
    uint64_t begin;
    int dialled, joined, gone;
    double took; /* seconds, until all had joined */
    bool answering;
    struct client *client;
};

static void say(struct client *client, const Mu__Envelope *envelope)
{
    client->spoke_at = uv_now(&client->load->loop);
    MUST(wire_send(client->channel, envelope) >= 0);
}

static void say_hello(struct channel *channel, void *opaque)
{
    struct client *client = opaque;
    Mu__WorkerHello who = MU__WORKER_HELLO__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    who.job = client->invocation.job;
    who.worker = client->invocation.worker;
    who.token.data = client->invocation.token;
    who.token.len = client->invocation.token_size;
    who.slots = 1;
    who.memory = 1 << 30;
    who.facts = (char *)"bench";
    hello.protocol = MU_PROTOCOL;
    hello.version = hello.build = (char *)"bench";
    hello.who_case = MU__HELLO__WHO_WORKER;
    hello.worker = &who;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    say(client, &envelope);
}

static void answer(struct client *client, const Mu__Envelope *request)
{
    Mu__Outcome outcome = MU__OUTCOME__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    outcome.call = request->request->call;
    outcome.result = MU__OUTCOME__RESULT__OK;
    envelope.body_case = MU__ENVELOPE__BODY_OUTCOME;
    envelope.outcome = &outcome;
    say(client, &envelope);
}

/* Commands take until all have joined. */
static void take_request(struct client *client, Mu__Envelope *request)
{
    struct load *load = client->load;
    if (client->waited == 0) {
        uint64_t now = uv_hrtime();
        client->waited = (double)(now - client->dialled_at) / 1e6;
        if (++load->joined == WORKERS) {
            load->took = (double)(now - load->begin) / 1e9;
            shared->joined = true;
        }
    }
    if (load->answering) {
        answer(client, request);
        wire_free(request);
    } else {
        MUST(client->holds < CALLS);
        client->held[client->holds++] = request;
    }
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct client *client = opaque;
    Mu__Envelope *envelope;
    struct error error;
    MUST(wire_read(bytes, size, &envelope, &error) == 0);
    if (envelope->body_case == MU__ENVELOPE__BODY_REQUEST) {
        take_request(client, envelope);
        return;
    }
    MUST(envelope->body_case != MU__ENVELOPE__BODY_REFUSAL);
    if (envelope->body_case == MU__ENVELOPE__BODY_WELCOME)
        client->heartbeat_ms = envelope->welcome->heartbeat_ms;
    if (envelope->body_case == MU__ENVELOPE__BODY_DISMISS) {
        client->heartbeat_ms = 0;
        channel_close(channel);
    }
    wire_free(envelope);
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct client *client = opaque;
    struct load *load = client->load;
    if (!load->answering) {
        fprintf(stderr, "bench: a worker was lost: %s\n", reason ? reason->message : "closed");
        exit(EXIT_FAILURE);
    }
    client->channel = NULL;
    if (++load->gone < WORKERS)
        return;
    network_free(load->network);
    uv_close((uv_handle_t *)&load->timer, NULL);
    uv_close((uv_handle_t *)&load->heartbeats, NULL);
}

static void dial(struct client *client)
{
    static const struct channel_handlers handlers = {
        .opened = say_hello, .control = on_control, .closed = on_closed};
    static const struct stream_limits limits = {.connect = 60000, .handshake = 60000};
    char name[128];
    struct error error;
    snprintf(name, sizeof name, "job-%s.excamera.invalid", client->invocation.job);
    const struct stream_target target = {
        .host = "127.0.0.1",
        .port = client->load->port ? client->load->port : client->invocation.coordinator.port,
        .server_name = name,
        .identity = IDENTITY_COORDINATOR,
    };
    client->dialled_at = uv_hrtime();
    MUST(channel_connect(client->load->network, client->tls, &target, &limits, NULL, &handlers,
                         client, &client->channel, &error) == 0);
}

/* ---- all of them --------------------------------------------------------------------------- */

static void on_heartbeats(uv_timer_t *timer)
{
    struct load *load = timer->data;
    Mu__Heartbeat heartbeat = MU__HEARTBEAT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_HEARTBEAT;
    envelope.heartbeat = &heartbeat;
    for (int i = 0; i < load->dialled; i++) {
        struct client *client = &load->client[i];
        if (client->channel && client->heartbeat_ms > 0 &&
            uv_now(&load->loop) - client->spoke_at >= client->heartbeat_ms / 2)
            say(client, &envelope);
    }
}

static void begin_answering(struct load *load)
{
    load->answering = true;
    for (int i = 0; i < WORKERS; i++) {
        struct client *client = &load->client[i];
        for (int j = 0; j < client->holds; j++) {
            if (load->port == 0)
                answer(client, client->held[j]);
            wire_free(client->held[j]);
        }
        if (load->port != 0)
            channel_abort(client->channel, NULL); /* the peer knows no more */
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct load *load = timer->data;
    uint64_t due =
        load->rate == 0 ? WORKERS : (uv_hrtime() - load->begin) * (uint64_t)load->rate / 1000000000;
    for (; load->dialled < WORKERS && (uint64_t)load->dialled < due; load->dialled++)
        dial(&load->client[load->dialled]);
    if (shared->counted && !load->answering)
        begin_answering(load);
}

static void read_documents(struct load *load)
{
    struct error error;
    while (!shared->ready)
        usleep(1000);
    load->client = calloc(WORKERS, sizeof *load->client);
    for (int i = 0; i < WORKERS; i++) {
        struct client *client = &load->client[i];
        const char *text = shared->document[i];
        client->load = load;
        MUST(invocation_read(text, strlen(text), &client->invocation, &error) == 0);
        MUST(tls_client_new(&client->invocation.credentials, &client->tls, &error) == 0);
    }
}

static void free_documents(struct load *load)
{
    for (int i = 0; i < WORKERS; i++) {
        tls_client_free(load->client[i].tls);
        invocation_release(&load->client[i].invocation);
    }
    free(load->client);
}

/* Dials a server with all of them; `port` 0: the documents say where. */
static void run_load(struct load *load, uint16_t port, int rate)
{
    struct error error;
    *load = (struct load){.port = port, .rate = rate};
    read_documents(load);
    uv_loop_init(&load->loop);
    MUST(network_new(&load->loop, &load->network, &error) == 0);
    uv_timer_init(&load->loop, &load->timer);
    uv_timer_init(&load->loop, &load->heartbeats);
    load->timer.data = load->heartbeats.data = load;
    load->begin = uv_hrtime();
    uv_timer_start(&load->timer, on_timer, 0, 1);
    uv_timer_start(&load->heartbeats, on_heartbeats, 100, 100);
    uv_run(&load->loop, UV_RUN_DEFAULT);
    MUST(uv_loop_close(&load->loop) == 0);
}

/* ---- measuring ----------------------------------------------------------------------------- */

struct result {
    double took, cpu, bytes;
    double half, most,
        worst; /* milliseconds from dialling to the first request: median, p99, longest */
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static struct result measure_here(bench_server *server, int rate)
{
    static double waited[WORKERS];
    struct load load;
    int from;
    memset(shared, 0, sizeof *shared);
    uint16_t port = bench_start(server, &from);
    if (server == bare_serve)
        bare_documents();
    run_load(&load, port, rate);
    bench_finish(from);
    MUST(shared->finished);
    for (int i = 0; i < WORKERS; i++)
        waited[i] = load.client[i].waited;
    free_documents(&load);
    qsort(waited, WORKERS, sizeof waited[0], compare);
    return (struct result){load.took,
                           shared->cpu,
                           shared->bytes,
                           waited[WORKERS / 2],
                           waited[WORKERS * 99 / 100],
                           waited[WORKERS - 1]};
}

/* In a process of its own, so that no server begins with memory that others have used. */
static struct result measure(bench_server *server, int rate)
{
    struct result result;
    int ends[2];
    fflush(stdout);
    MUST(pipe(ends) == 0);
    if (fork() == 0) {
        result = measure_here(server, rate);
        _exit(write(ends[1], &result, sizeof result) != sizeof result);
    }
    MUST(read(ends[0], &result, sizeof result) == sizeof result);
    wait(NULL);
    close(ends[0]);
    close(ends[1]);
    return result;
}

static void bench_join(void)
{
    double ratio[ROUNDS], cpu_ratio[ROUNDS];
    printf("join, %d workers at once\n", WORKERS);
    for (int i = 0; i < ROUNDS; i++) {
        struct result bare = measure(bare_serve, 0), ours = measure(coordinator_serve, 0);
        ratio[i] = ours.took / bare.took;
        cpu_ratio[i] = ours.cpu / bare.cpu;
        printf("  coordinator %.2f s (its CPU %.2f s), bare %.2f s (%.2f s); %.0f and %.0f bytes "
               "each\n",
               ours.took, ours.cpu, bare.took, bare.cpu, ours.bytes, bare.bytes);
        fflush(stdout);
    }
    qsort(ratio, ROUNDS, sizeof ratio[0], compare);
    qsort(cpu_ratio, ROUNDS, sizeof cpu_ratio[0], compare);
    printf("  ratio %.2f of time (median of %d), %.2f of the servers' CPU time\n",
           ratio[ROUNDS / 2], ROUNDS, cpu_ratio[ROUNDS / 2]);
}

static void bench_arrivals(void)
{
    printf("arrivals, %d a second, %d in all; from dialling to the first request\n", RATE, WORKERS);
    struct result bare = measure(bare_serve, RATE), ours = measure(coordinator_serve, RATE);
    printf("  coordinator: median %.1f ms, p99 %.1f ms, longest %.1f ms; CPU %.2f s\n", ours.half,
           ours.most, ours.worst, ours.cpu);
    printf("  bare: median %.1f ms, p99 %.1f ms, longest %.1f ms; CPU %.2f s\n", bare.half,
           bare.most, bare.worst, bare.cpu);
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    MUST(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    limit.rlim_cur = limit.rlim_max;
    MUST(setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur > WORKERS + 100);
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    MUST(shared != MAP_FAILED);
    make_keys();
    if (argc < 2 || strcmp(argv[1], "join") == 0)
        bench_join();
    if (argc < 2 || strcmp(argv[1], "arrivals") == 0)
        bench_arrivals();
    return EXIT_SUCCESS;
}
