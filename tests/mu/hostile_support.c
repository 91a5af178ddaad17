#include "hostile_support.h"

#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "engine/kind.h"
#include "mu/coordinator_private.h"
#include "mu/job_file.h"
#include "net/identity.h"
#include "support/claim.h"

/* That a process may open unless it asks for more, as many systems have it. */
enum { FEW_FILES = 256 };

/* What workers say of their program. */
extern const char build_sources[];

/* Each part waits until it may end, and hears of the one before it. */
static const char job_text[] =
    "{\"format\": 1, \"job\": \"besieged\", \"variables\": {\"gate\": \"\"},"
    " \"actors\": [{\"family\": \"part\", \"count\": 4}],"
    " \"machine\": {\"start\": [{\"to\": \"work\"}], \"states\": {"
    "  \"work\": {\"run\": {\"argv\": [\"sh\", \"-c\","
    "    \"until test -e ${gate}; do sleep 0.1; done; echo x >part\"]},"
    "   \"on\": {\"ok\": [{\"if\": {\"variable\": \"next\", \"is\": \"\"}, \"to\": \"take\"},"
    "     {\"to\": \"tell\"}]}},"
    "  \"tell\": {\"send\": {\"to\": \"${next}\", \"name\": \"word\", \"file\": \"part\"},"
    "   \"on\": {\"ok\": [{\"if\": {\"variable\": \"index\", \"is\": 0}, \"to\": \"end\"},"
    "     {\"to\": \"take\"}]}},"
    "  \"take\": {\"receive\": {\"from\": \"${previous}\", \"name\": \"word\", \"file\": \"word\"},"
    "   \"on\": {\"ok\": \"end\"}},"
    "  \"end\": {\"quit\": {}}}}}";

/* ---- the coordinator's process -------------------------------------------------------------- */

/* Starts real workers, and keeps the documents of two for those who dial. */
struct gate_engine {
    struct engine engine;
    struct engine *local;
};

static struct server {
    uv_loop_t loop;
    struct told *told;
    struct gate_engine gate;
    struct coordinator *coordinator;
    struct coordinator_job *job, *other;
    int launched; /* workers that the engine was asked for */
} server;

/* The third, which is spare, and the other job's are never there; who replaces somebody is. */
static int gate_start(struct engine *engine, uint32_t worker, const char *document,
                      struct error *error)
{
    struct told *told = server.told;
    int number = ++server.launched;
    CLAIM(strlen(document) < SITE_DOCUMENT);
    if (number == SITE_WORKERS + 1)
        strcpy(told->document, document);
    else if (number == SITE_WORKERS + 2)
        strcpy(told->stranger, document);
    else
        return engine_start(server.gate.local, worker, document, error);
    return 0;
}

static void gate_kill(struct engine *engine, uint32_t worker)
{
    engine_kill(server.gate.local, worker);
}

static void gate_stop(struct engine *engine)
{
    engine_stop(server.gate.local);
}

static void gate_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    engine_close(server.gate.local, closed, opaque);
}

static int open_gate(void *opaque, uv_loop_t *loop, const struct engine_events *events,
                     struct engine **engine, struct error *error)
{
    static const struct engine_choice local = {.name = "local"};
    server.gate.engine = (struct engine){
        .start = gate_start, .kill = gate_kill, .stop = gate_stop, .close = gate_close};
    *engine = &server.gate.engine;
    return engine_open(loop, &local, getenv("EXCAMERA"), events, &server.gate.local, error);
}

static void on_note(void *opaque, const char *sentence)
{
    server.told->refused += strncmp(sentence, "refused", 7) == 0;
}

/* Closing all would wait for the workers that never come. */
static void on_ended(void *opaque, const struct error *failure)
{
    if (failure != NULL)
        fprintf(stderr, "the job: %s\n", failure->message);
    _exit(failure == NULL ? EXIT_SUCCESS : EXIT_FAILURE);
}

static void on_other_ended(void *opaque, const struct error *failure)
{
}

static struct job *load_job(const char *folder)
{
    char path[128];
    struct job_choice choice = {"gate", path};
    struct error error;
    struct job *job;
    snprintf(path, sizeof path, "%s/gate", folder);
    CLAIM(job_file_parse("job", job_text, strlen(job_text), &choice, 1, &job, &error) == 0);
    return job;
}

static struct coordinator_job *add_job(const char *folder, const struct job *job, int number,
                                       void (*ended)(void *, const struct error *))
{
    char store[128], journal[128], authority[128];
    struct coordinator_job *made;
    struct error error;
    snprintf(store, sizeof store, "%s/store-%d", folder, number);
    snprintf(journal, sizeof journal, "%s/journal-%d", folder, number);
    snprintf(authority, sizeof authority, "%s/authority-%d", folder, number);
    const struct coordinator_job_options options = {
        .job = job,
        .digest = "job",
        .store = store,
        .journal = journal,
        .authority = authority,
        .workers = number == 0 ? SITE_WORKERS : 1,
        .spare = number == 0 ? 1 : 0,
        .slots = 2,
        .ended = ended,
    };
    CLAIM(coordinator_add(server.coordinator, &options, &made, &error) == 0);
    return made;
}

/* The other job begins when all of the first one's workers were asked for. Those who dial may do so when
 * its real workers are there. */
static void on_tick(uv_timer_t *timer)
{
    const struct site *site = timer->data;
    struct ledger_progress progress;
    if (server.other == NULL && server.launched == SITE_WORKERS + 1)
        server.other = add_job(site->folder, load_job(site->folder), 1, on_other_ended);
    coordinator_job_progress(server.job, &progress);
    if (server.launched < SITE_WORKERS + 2 || progress.workers < SITE_WORKERS)
        return;
    snprintf(server.told->facts, sizeof server.told->facts, "%s", server.job->facts);
    server.told->ready = true;
    uv_timer_stop(timer);
}

static void serve(struct site *site)
{
    struct error error;
    uv_timer_t tick;
    const struct rlimit few = {FEW_FILES, site_most_files()};
    server.told = site->told;
    CLAIM(setrlimit(RLIMIT_NOFILE, &few) == 0);
    uv_loop_init(&server.loop);
    const struct coordinator_options options = {
        .build = build_sources,
        .program = getenv("EXCAMERA"),
        .engine = open_gate,
        .scratch = site->folder,
        .listen = {.host = "127.0.0.1"},
        .heartbeat_ms = 5000,
        .patience_ms = 2000,
        .note = on_note,
    };
    CLAIM(coordinator_open(&server.loop, &options, &server.coordinator, &error) == 0);
    server.job = add_job(site->folder, load_job(site->folder), 0, on_ended);
    uv_timer_init(&server.loop, &tick);
    tick.data = site;
    uv_timer_start(&tick, on_tick, 10, 10);
    uv_unref((uv_handle_t *)&tick);
    uv_run(&server.loop, UV_RUN_DEFAULT);
    _exit(EXIT_FAILURE);
}

/* ---- setting up ----------------------------------------------------------------------------- */

static void read_document(const char *text, struct invocation *invocation)
{
    struct error error;
    assert_int_equal(invocation_read(text, strlen(text), invocation, &error), 0);
}

int site_set_up(void **state)
{
    struct site *site = calloc(1, sizeof *site);
    *state = site;
    signal(SIGPIPE, SIG_IGN);
    strcpy(site->folder, "/tmp/excamera-hostile-XXXXXX");
    assert_non_null(mkdtemp(site->folder));
    site->told =
        mmap(NULL, sizeof *site->told, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(site->told != MAP_FAILED);
    site->server = fork();
    assert_true(site->server >= 0);
    if (site->server == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        serve(site);
    }
    while (!site->told->ready) {
        assert_int_equal(waitpid(site->server, NULL, WNOHANG), 0);
        usleep(10000);
    }
    read_document(site->told->document, &site->invocation);
    read_document(site->told->stranger, &site->stranger);
    return 0;
}

int site_tear_down(void **state)
{
    struct site *site = *state;
    char command[128];
    if (site->server > 0) {
        kill(site->server, SIGKILL);
        waitpid(site->server, NULL, 0);
    }
    invocation_release(&site->invocation);
    invocation_release(&site->stranger);
    munmap(site->told, sizeof *site->told);
    snprintf(command, sizeof command, "rm -rf %s", site->folder);
    assert_int_equal(system(command), 0);
    free(site);
    return 0;
}

void site_finish(struct site *site)
{
    char path[128];
    int status;
    snprintf(path, sizeof path, "%s/gate", site->folder);
    FILE *gate = fopen(path, "w");
    assert_non_null(gate);
    fclose(gate);
    assert_int_equal(waitpid(site->server, &status, 0), site->server);
    site->server = 0;
    assert_int_equal(status, 0);
}

unsigned long site_most_files(void)
{
    struct rlimit limit;
    CLAIM(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    return limit.rlim_max;
}

double site_memory(const struct site *site)
{
    char path[64], line[256];
    long kilobytes = 0;
    snprintf(path, sizeof path, "/proc/%d/status", (int)site->server);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "RssAnon: %ld kB", &kilobytes) == 1)
            break;
    fclose(file);
    return (double)kilobytes * 1024;
}

/* ---- dialling ------------------------------------------------------------------------------- */

int site_dial(uint16_t port)
{
    const struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    const struct timeval patience = {.tv_sec = 60};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

void site_server_name(const struct invocation *invocation, char name[128])
{
    snprintf(name, 128, "job-%s.excamera.invalid", invocation->job);
}

SSL *site_connect(uint16_t port, const struct credentials *credentials, const char *server_name)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    if (credentials != NULL) {
        assert_int_equal(SSL_CTX_use_certificate(context, credentials->own->x509), 1);
        assert_int_equal(SSL_CTX_use_PrivateKey(context, credentials->own->key), 1);
    }
    SSL *ssl = SSL_new(context);
    SSL_CTX_free(context);
    SSL_set_tlsext_host_name(ssl, server_name);
    SSL_set_fd(ssl, site_dial(port));
    if (SSL_connect(ssl) == 1)
        return ssl;
    site_hang_up(ssl);
    return NULL;
}

void site_hang_up(SSL *ssl)
{
    close(SSL_get_fd(ssl));
    SSL_free(ssl);
}

void site_expired(struct site *site, struct credentials *credentials)
{
    char path[128], identity[CERTIFICATE_IDENTITY_SIZE], text[16384];
    struct certificate *authority;
    struct error error;
    time_t now = time(NULL);
    snprintf(path, sizeof path, "%s/authority-0", site->folder);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    assert_int_equal(certificate_read(text, size, &authority, &error), 0);
    snprintf(identity, sizeof identity, "excamera:job/%s/worker/%u", site->invocation.job,
             site->invocation.worker);
    const struct certificate_subject subject = {.name = "expired",
                                                .identity = identity,
                                                .use = CERTIFICATE_CLIENT,
                                                .from = now - 7200,
                                                .until = now - 3600};
    *credentials = (struct credentials){0};
    assert_int_equal(certificate_issue(authority, &subject, &credentials->own, &error), 0);
    credentials->authority = authority;
}

bool site_is_cut(SSL *ssl)
{
    uint8_t bytes[16384];
    int size;
    while ((size = SSL_read(ssl, bytes, sizeof bytes)) > 0)
        ;
    int why = SSL_get_error(ssl, size);
    site_hang_up(ssl);
    return why != SSL_ERROR_WANT_READ; /* that would be the time limit */
}

bool site_is_closed(int fd)
{
    char bytes[4096];
    ssize_t size;
    while ((size = recv(fd, bytes, sizeof bytes, 0)) > 0)
        ;
    bool closed = size == 0 || errno == ECONNRESET;
    close(fd);
    return closed;
}

void site_say(SSL *ssl, const Mu__Envelope *envelope)
{
    size_t size = mu__envelope__get_packed_size(envelope);
    uint8_t *bytes = malloc(FRAME_HEAD_MOST + size);
    assert_non_null(bytes);
    size_t head = frame_control_head(bytes, (uint32_t)size);
    mu__envelope__pack(envelope, bytes + head);
    SSL_write(ssl, bytes, (int)(head + size));
    free(bytes);
}

void site_hello(const struct site *site, SSL *ssl, uint8_t wrong)
{
    const struct invocation *invocation = &site->invocation;
    Mu__WorkerHello who = MU__WORKER_HELLO__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    uint8_t token[INVOCATION_MOST_TOKEN];
    memcpy(token, invocation->token, invocation->token_size);
    token[0] ^= wrong;
    who.job = invocation->job;
    who.worker = invocation->worker;
    who.token.data = token;
    who.token.len = invocation->token_size;
    who.slots = 1;
    who.facts = site->told->facts;
    hello.protocol = MU_PROTOCOL;
    hello.build = invocation->build;
    hello.who_case = MU__HELLO__WHO_WORKER;
    hello.worker = &who;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    site_say(ssl, &envelope);
}

static void read_all(SSL *ssl, uint8_t *bytes, size_t size)
{
    for (size_t done = 0; done < size;) {
        int part = SSL_read(ssl, bytes + done, (int)(size - done));
        assert_true(part > 0);
        done += (size_t)part;
    }
}

Mu__Envelope *site_await(SSL *ssl, Mu__Envelope__BodyCase body)
{
    static uint8_t bytes[1 << 16];
    struct error error;
    Mu__Envelope *envelope;
    enum { HEAD = 5 };
    for (;;) {
        read_all(ssl, bytes, HEAD);
        size_t length = bytes[0] | (size_t)bytes[1] << 8;
        read_all(ssl, bytes, length - 1);
        assert_int_equal(wire_read(bytes, length - 1, &envelope, &error), 0);
        if (envelope->body_case == body)
            return envelope;
        wire_free(envelope);
    }
}

void site_await_welcome(SSL *ssl)
{
    wire_free(site_await(ssl, MU__ENVELOPE__BODY_WELCOME));
}
