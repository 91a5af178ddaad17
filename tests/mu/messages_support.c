#include "messages_support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "net/identity.h"

/* ---- certificates -------------------------------------------------------------------------- */

static struct {
    struct certificate *deployment, *jobs[JOBS];
    struct credentials server;
} made;

static struct certificate *authority(const char *name)
{
    struct certificate *certificate;
    struct error error;
    time_t now = time(NULL);
    const struct certificate_subject subject = {
        .name = name, .from = now - 1000, .until = now + 100000};
    if (certificate_make_authority(&subject, &certificate, &error) < 0)
        fail_msg("%s", error.message);
    return certificate;
}

static struct certificate *issue(const struct certificate *from, const char *identity, unsigned use,
                                 int until)
{
    struct certificate *certificate;
    struct error error;
    time_t now = time(NULL);
    const struct certificate_subject subject = {.name = "somebody",
                                                .identity = identity,
                                                .use = use,
                                                .from = now - 1000,
                                                .until = now + until};
    if (certificate_issue(from, &subject, &certificate, &error) < 0)
        fail_msg("%s", error.message);
    return certificate;
}

static void forget_certificates(void)
{
    credentials_release(&made.server);
    certificate_free(made.deployment);
    for (int i = 0; i < JOBS; i++)
        certificate_free(made.jobs[i]);
}

static void make_certificates(void)
{
    if (made.deployment != NULL)
        return;
    made.deployment = authority("deployment");
    for (int i = 0; i < JOBS; i++)
        made.jobs[i] = authority("job");
    made.server.own = issue(made.deployment, IDENTITY_RENDEZVOUS, CERTIFICATE_SERVER, 10000);
    made.server.authority = certificate_share(made.deployment);
    atexit(forget_certificates);
    uv_loop_t loop; /* libuv keeps descriptors from its first use on */
    uv_loop_init(&loop);
    uv_loop_close(&loop);
}

const struct certificate *world_job_authority(int job)
{
    return made.jobs[job];
}

static struct tls_client *client_of(const struct certificate *from, const char *identity, int until)
{
    struct tls_client *client;
    struct error error;
    struct credentials credentials = {.authority = made.deployment};
    credentials.own = issue(from, identity, CERTIFICATE_CLIENT, until);
    if (tls_client_new(&credentials, &client, &error) < 0)
        fail_msg("%s", error.message);
    certificate_free(credentials.own);
    return client;
}

struct tls_client *world_client(int job, int worker, int until)
{
    char identity[64];
    snprintf(identity, sizeof identity, "excamera:job/%d/worker/%d", job, worker);
    return client_of(made.jobs[job], identity, until);
}

struct tls_client *world_deployment_client(const char *identity)
{
    return client_of(made.deployment, identity, 10000);
}

/* ---- servers ------------------------------------------------------------------------------- */

static void on_note(void *opaque, const char *sentence)
{
    struct world *world = opaque;
    world->notes++;
    snprintf(world->note, sizeof world->note, "%s", sentence);
}

void world_serve(struct world *world, int server)
{
    struct error error;
    char job[2] = "0";
    world->options.host = "127.0.0.1";
    world->options.port = world->ports[server];
    world->options.credentials = made.server;
    world->options.note = on_note;
    world->options.opaque = world;
    world->options.spill = "/tmp";
    if (rendezvous_new(world->network, &world->options, &world->servers[server], &error) < 0)
        fail_msg("%s", error.message);
    world->ports[server] = rendezvous_port(world->servers[server]);
    for (int i = 0; i < JOBS; i++, job[0]++)
        assert_int_equal(rendezvous_register(world->servers[server], job, made.jobs[i], &error), 0);
}

void world_kill(struct world *world, int server)
{
    rendezvous_free(world->servers[server]);
    world->servers[server] = NULL;
    world_run(world, 5);
}

/* ---- the loop ------------------------------------------------------------------------------ */

static void on_tick(uv_timer_t *timer)
{
}

static int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void world_run(struct world *world, unsigned milliseconds)
{
    uint64_t end = uv_hrtime() + milliseconds * UINT64_C(1000000);
    UNTIL(world, uv_hrtime() >= end);
}

int world_set_up(void **state)
{
    struct error error;
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        return -1;
    make_certificates();
    world->descriptors = open_descriptors();
    uv_loop_init(&world->loop);
    uv_timer_init(&world->loop, &world->tick);
    uv_timer_start(&world->tick, on_tick, 5, 5);
    *state = world;
    return network_new(&world->loop, &world->network, &error);
}

static void remove_folder(struct worker *worker)
{
    char command[128];
    if (worker->client == NULL)
        return;
    tls_client_free(worker->client);
    close(worker->folder);
    snprintf(command, sizeof command, "rm -r %s", worker->folder_path);
    assert_int_equal(system(command), 0);
}

int world_tear_down(void **state)
{
    struct world *world = *state;
    for (int i = 0; i < JOBS * WORKERS; i++)
        messenger_free(world->workers[i / WORKERS][i % WORKERS].messenger);
    for (int i = 0; i < SERVERS; i++)
        rendezvous_free(world->servers[i]);
    network_free(world->network);
    uv_close((uv_handle_t *)&world->tick, NULL);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    for (int i = 0; i < JOBS * WORKERS; i++)
        remove_folder(&world->workers[i / WORKERS][i % WORKERS]);
    assert_int_equal(open_descriptors(), world->descriptors);
    free(world);
    return 0;
}

/* ---- workers ------------------------------------------------------------------------------- */

static void on_clash(void *opaque, const struct label *label, const struct store_identity *sent,
                     const struct store_identity *known)
{
    ((struct worker *)opaque)->clashes++;
}

static void on_broken(void *opaque, const struct label *label, const struct error *error)
{
    ((struct worker *)opaque)->broken++;
}

static int on_base(void *opaque, const struct label *label, const struct store_identity *identity)
{
    const struct worker *worker = opaque;
    return worker->base < 0 ? -1 : dup(worker->base);
}

static const struct messenger_handlers handlers = {
    .clash = on_clash, .broken = on_broken, .base = on_base};

struct worker *worker_join(struct world *world, int job, int number, int servers)
{
    struct worker *worker = &world->workers[job][number];
    struct messenger_target targets[SERVERS];
    char name[12];
    struct error error;
    snprintf(name, sizeof name, "%d", job);
    for (int i = 0; i < servers; i++)
        targets[i] = (struct messenger_target){.host = "127.0.0.1", .port = world->ports[i]};
    worker->world = world;
    worker->base = -1;
    worker->client = world_client(job, number, 10000);
    snprintf(worker->folder_path, sizeof worker->folder_path, "/tmp/messages-XXXXXX");
    assert_non_null(mkdtemp(worker->folder_path));
    worker->folder = open(worker->folder_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const struct messenger_options options = {.job = name,
                                              .worker = (uint32_t)number,
                                              .client = worker->client,
                                              .targets = targets,
                                              .count = (size_t)servers,
                                              .least_pause = 10,
                                              .most_pause = 50,
                                              .folder =
                                                  world->encoding ? worker->folder_path : NULL,
                                              .speed = world->speed,
                                              .handlers = &handlers,
                                              .opaque = worker};
    if (messenger_new(world->network, &options, &worker->messenger, &error) < 0)
        fail_msg("%s", error.message);
    return worker;
}

uint8_t *message_bytes(size_t size, uint32_t seed)
{
    uint8_t *bytes = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)((i + seed) * 2654435761u >> 15 ^ i >> 9);
    return bytes;
}

int worker_file(struct worker *worker, const uint8_t *bytes, size_t size)
{
    static int number;
    char name[64];
    snprintf(name, sizeof name, "sent.%d", number++);
    int file = openat(worker->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_int_equal(write(file, bytes, size), size);
    return file;
}

struct store_identity message_identity(const uint8_t *bytes, size_t size)
{
    struct store_identity identity = {.size = size};
    struct sha256 *sum = sha256_new();
    sha256_update(sum, bytes, size);
    sha256_finish(sum, identity.sha256);
    sha256_free(sum);
    return identity;
}

struct messenger_send *worker_send_bytes(struct worker *worker, const struct label *label,
                                         const uint8_t *bytes, size_t size, const uint8_t *base)
{
    struct messenger_send *send;
    struct messenger_base against = {.file = -1};
    struct error error;
    struct store_identity identity = message_identity(bytes, size);
    if (base != NULL) {
        against.identity = message_identity(base, size);
        against.file = worker_file(worker, base, size);
    }
    if (messenger_send(worker->messenger, label, worker_file(worker, bytes, size), &identity,
                       base != NULL ? &against : NULL, false, &send, &error) < 0)
        fail_msg("%s", error.message);
    if (against.file >= 0)
        close(against.file);
    return send;
}

struct messenger_send *worker_send(struct worker *worker, const char *from, const char *to,
                                   const char *name, size_t size, uint32_t seed)
{
    const struct label label = {from, to, name};
    uint8_t *bytes = message_bytes(size, seed);
    struct messenger_send *send = worker_send_bytes(worker, &label, bytes, size, NULL);
    free(bytes);
    return send;
}

static void on_received(void *opaque, const struct store_identity *identity,
                        const struct error *error)
{
    struct receipt *receipt = opaque;
    receipt->done++;
    receipt->receive = NULL;
    receipt->identity = *identity;
    receipt->error = *error;
}

static void path_of(char path[256], const char *from, const char *to, const char *name)
{
    snprintf(path, 256, "in/%s/%s.%s", to, from, name);
}

void worker_receive(struct worker *worker, const char *from, const char *to, const char *name,
                    struct receipt *receipt)
{
    char path[256];
    struct error error;
    struct label label = {from, to, name};
    path_of(path, from, to, name);
    *receipt = (struct receipt){0};
    const struct store_file file = {.folder = worker->folder, .path = path};
    if (messenger_receive(worker->messenger, &label, &file, on_received, receipt, &receipt->receive,
                          &error) < 0)
        fail_msg("%s", error.message);
}

void worker_check(struct worker *worker, const char *from, const char *to, const char *name,
                  size_t size, uint32_t seed)
{
    char path[256];
    path_of(path, from, to, name);
    uint8_t *expected = message_bytes(size, seed), *got = malloc(size + 1);
    int file = openat(worker->folder, path, O_RDONLY | O_CLOEXEC);
    assert_true(file >= 0);
    assert_int_equal(read(file, got, size + 1), size);
    assert_memory_equal(got, expected, size);
    close(file);
    unlinkat(worker->folder, path, 0);
    free(expected);
    free(got);
}
