#include "worker_support.h"

#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mu/worker_files.h"
#include "net/identity.h"

struct said {
    struct list_link link;
    Mu__Envelope *envelope;
    bool taken;
};

static void die(const struct error *error)
{
    fail_msg("%s", error->message);
}

/* ---- Certificates -------------------------------------------------------------------------- */

static struct certificate *make_authority(const char *name)
{
    struct certificate *made;
    struct error error;
    time_t now = time(NULL);
    if (certificate_make_authority(
            &(struct certificate_subject){.name = name, .from = now - 1000, .until = now + 10000},
            &made, &error) < 0)
        die(&error);
    return made;
}

static struct certificate *issue(const struct certificate *authority, const char *identity,
                                 unsigned use)
{
    static const char *const hosts[] = {"127.0.0.1", NULL};
    struct certificate *made;
    struct error error;
    time_t now = time(NULL);
    const struct certificate_subject subject = {.name = "test",
                                                .identity = identity,
                                                .hosts = hosts,
                                                .use = use,
                                                .from = now - 1000,
                                                .until = now + 10000};
    if (certificate_issue(authority, &subject, &made, &error) < 0)
        die(&error);
    return made;
}

/* ---- The connection ------------------------------------------------------------------------ */

void farm_send(struct farm *farm, const Mu__Envelope *envelope)
{
    assert_non_null(farm->channel);
    assert_true(wire_send(farm->channel, envelope) >= 0);
}

static void answer_hello(struct farm *farm)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Welcome welcome = MU__WELCOME__INIT;
    Mu__Refusal refusal = MU__REFUSAL__INIT;
    welcome.epoch = farm->epoch;
    welcome.heartbeat_ms = farm->heartbeat_ms;
    envelope.body_case = MU__ENVELOPE__BODY_WELCOME;
    envelope.welcome = &welcome;
    if (farm->refuse != NULL) {
        refusal.reason = farm->refuse;
        envelope.body_case = MU__ENVELOPE__BODY_REFUSAL;
        envelope.refusal = &refusal;
    }
    if (farm->welcome)
        farm_send(farm, &envelope);
}

static void check_hello(struct farm *farm, const Mu__Hello *hello)
{
    assert_int_equal(hello->protocol, MU_PROTOCOL);
    assert_int_equal(hello->who_case, MU__HELLO__WHO_WORKER);
    assert_string_equal(hello->build, farm->invocation.build);
    assert_string_equal(hello->worker->job, JOB);
    assert_int_equal(hello->worker->worker, 12);
    assert_int_equal(hello->worker->slots, farm->invocation.slots);
    assert_int_equal(hello->worker->token.len, farm->invocation.token_size);
    assert_memory_equal(hello->worker->token.data, farm->invocation.token,
                        farm->invocation.token_size);
    assert_non_null(strstr(hello->worker->facts, "libvpx"));
    assert_true(hello->worker->memory > 0);
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    struct farm *farm = opaque;
    Mu__Envelope *envelope;
    struct error error;
    if (wire_read(bytes, size, &envelope, &error) < 0)
        die(&error);
    if (envelope->body_case == MU__ENVELOPE__BODY_HELLO) {
        check_hello(farm, envelope->hello);
        wire_free(farm->hello);
        farm->hello = envelope;
        farm->hellos++;
        answer_hello(farm);
    } else if (envelope->body_case == MU__ENVELOPE__BODY_HEARTBEAT) {
        if (!farm->silent)
            farm_send(farm, envelope);
        wire_free(envelope);
    } else {
        struct said *said = calloc(1, sizeof *said);
        said->envelope = envelope;
        list_append(&farm->said, &said->link);
    }
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    fail_msg("a worker sends no pieces to its coordinator");
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    struct farm *farm = opaque;
    if (farm->channel == channel)
        farm->channel = NULL;
}

static void on_accepted(struct listener *listener, void *opaque, struct stream *stream)
{
    static const struct channel_handlers handlers = {
        .control = on_control, .bulk = on_bulk, .closed = on_closed};
    struct farm *farm = opaque;
    struct error error;
    assert_string_equal(stream_identity(stream), "excamera:job/" JOB "/worker/12");
    if (farm->channel != NULL)
        channel_abort(farm->channel, "another one came");
    if (channel_accept(stream, NULL, &handlers, farm, &farm->channel, &error) < 0)
        die(&error);
}

static struct tls_domain *lookup(void *opaque, const char *name)
{
    struct farm *farm = opaque;
    return strcmp(name, "job-" JOB ".excamera.invalid") == 0 ? farm->domain : NULL;
}

void farm_listen(struct farm *farm)
{
    static const struct listener_handlers handlers = {.accepted = on_accepted};
    struct error error;
    const struct listener_options options = {.host = "127.0.0.1",
                                             .port = farm->invocation.coordinator.port};
    if (listener_open(farm->network, farm->server, &options, &handlers, farm, &farm->listener,
                      &error) < 0)
        die(&error);
    farm->invocation.coordinator.port = listener_port(farm->listener);
}

void farm_stop_listening(struct farm *farm)
{
    listener_close(farm->listener);
    farm->listener = NULL;
}

void farm_cut(struct farm *farm)
{
    if (farm->channel == NULL)
        return;
    channel_abort(farm->channel, "cut");
    UNTIL(farm, farm->channel == NULL);
}

/* ---- Setting up ---------------------------------------------------------------------------- */

static void on_tick(uv_timer_t *timer)
{
}

/* What workers say of their program. */
extern const char build_sources[];

static char *folder_path(const struct farm *farm, const char *path)
{
    char *made;
    assert_true(asprintf(&made, "%s/%s", farm->folder, path) > 0);
    return made;
}

static void make_folder(struct farm *farm, const char *name)
{
    char *path = folder_path(farm, name);
    assert_int_equal(mkdir(path, 0700), 0);
    free(path);
}

static void fill_invocation(struct farm *farm)
{
    struct invocation *invocation = &farm->invocation;
    invocation->build = strdup(build_sources);
    invocation->job = strdup(JOB);
    invocation->worker = 12;
    invocation->token_size = 32;
    memset(invocation->token, 0xa5, invocation->token_size);
    invocation->coordinator.host = strdup("127.0.0.1");
    invocation->credentials.own =
        issue(farm->job_authority, "excamera:job/" JOB "/worker/12", CERTIFICATE_CLIENT);
    invocation->credentials.authority = certificate_share(farm->authority);
    invocation->store = folder_path(farm, "store");
    invocation->scratch = folder_path(farm, "scratch");
    invocation->slots = 2;
    invocation->patience_ms = 60000;
}

static void open_rendezvous(struct farm *farm)
{
    struct error error;
    const struct rendezvous_options options = {
        .host = "127.0.0.1",
        .credentials = {.own = issue(farm->authority, IDENTITY_RENDEZVOUS, CERTIFICATE_SERVER),
                        .authority = farm->authority},
        .memory = 1 << 20,
        .spill = farm->folder,
    };
    if (rendezvous_new(farm->network, &options, &farm->rendezvous, &error) < 0 ||
        rendezvous_register(farm->rendezvous, JOB, farm->job_authority, &error) < 0)
        die(&error);
    certificate_free(options.credentials.own);
    farm->invocation.rendezvous = calloc(1, sizeof *farm->invocation.rendezvous);
    farm->invocation.rendezvous_count = 1;
    farm->invocation.rendezvous[0].host = strdup("127.0.0.1");
    farm->invocation.rendezvous[0].port = rendezvous_port(farm->rendezvous);
}

static void on_clash(void *opaque, const struct label *label, const struct store_identity *sent,
                     const struct store_identity *known)
{
    fail_msg("%s from %s is another one", label->name, label->from);
}

struct messenger *farm_neighbour(struct farm *farm, double speed)
{
    static const struct messenger_handlers handlers = {.clash = on_clash};
    struct credentials credentials = {
        .own = issue(farm->job_authority, "excamera:job/" JOB "/worker/13", CERTIFICATE_CLIENT),
        .authority = farm->authority};
    const struct messenger_target target = {farm->invocation.rendezvous[0].host,
                                            farm->invocation.rendezvous[0].port};
    struct messenger_options options = {.job = JOB,
                                        .worker = 13,
                                        .targets = &target,
                                        .count = 1,
                                        .folder = farm->folder,
                                        .speed = speed,
                                        .handlers = &handlers};
    struct messenger *messenger;
    struct error error;
    if (tls_client_new(&credentials, &options.client, &error) < 0 ||
        messenger_new(farm->network, &options, &messenger, &error) < 0)
        die(&error);
    farm->neighbour = options.client;
    certificate_free(credentials.own);
    return messenger;
}

int farm_set_up(void **state)
{
    struct farm *farm = calloc(1, sizeof *farm);
    struct error error;
    uv_loop_init(&farm->loop);
    uv_timer_init(&farm->loop, &farm->tick);
    uv_timer_start(&farm->tick, on_tick, 20, 20);
    list_init(&farm->said);
    farm->welcome = true;
    farm->epoch = 5;
    farm->heartbeat_ms = 1000;
    strcpy(farm->folder, "/tmp/test-worker-XXXXXX");
    assert_non_null(mkdtemp(farm->folder));
    make_folder(farm, "store");
    make_folder(farm, "scratch");
    farm->authority = make_authority("deployment");
    farm->job_authority = make_authority("job");
    farm->own = issue(farm->authority, IDENTITY_COORDINATOR, CERTIFICATE_SERVER);
    fill_invocation(farm);
    if (network_new(&farm->loop, &farm->network, &error) < 0 ||
        tls_domain_new(farm->own, farm->job_authority, &farm->domain, &error) < 0 ||
        tls_server_new(lookup, farm, &farm->server, &error) < 0)
        die(&error);
    farm_listen(farm);
    open_rendezvous(farm);
    *state = farm;
    return 0;
}

int farm_tear_down(void **state)
{
    struct farm *farm = *state;
    if (farm->running)
        uv_process_kill(&farm->process, SIGKILL);
    UNTIL(farm, !farm->running);
    listener_close(farm->listener);
    rendezvous_free(farm->rendezvous);
    network_free(farm->network);
    uv_close((uv_handle_t *)&farm->tick, NULL);
    uv_run(&farm->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&farm->loop), 0);
    tls_server_free(farm->server);
    tls_client_free(farm->neighbour);
    tls_domain_free(farm->domain);
    certificate_free(farm->authority);
    certificate_free(farm->job_authority);
    certificate_free(farm->own);
    wire_free(farm->hello);
    while (!list_empty(&farm->said)) {
        struct said *said = LIST_ENTRY(farm->said.next, struct said, link);
        list_remove(&said->link);
        wire_free(said->envelope);
        free(said);
    }
    umount2(farm->invocation.store, MNT_DETACH); /* where a test has mounted something */
    invocation_release(&farm->invocation);
    worker_files_remove_now(-1, farm->folder);
    free(farm);
    return 0;
}

/* ---- The worker ---------------------------------------------------------------------------- */

static void on_exit_of(uv_process_t *process, int64_t status, int signal)
{
    struct farm *farm = process->data;
    farm->running = false;
    farm->status = status;
    farm->signal = signal;
    uv_close((uv_handle_t *)process, NULL);
}

static void write_invocation(struct farm *farm, const char *path)
{
    struct error error;
    char *text;
    if (invocation_write(&farm->invocation, &text, &error) < 0)
        die(&error);
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_int_equal(fchmod(fileno(file), 0600), 0);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    certificate_forget(text);
}

void farm_launch(struct farm *farm)
{
    char *path = folder_path(farm, "invocation.json"), *program = getenv("EXCAMERA");
    char *argv[] = {program, "worker", "--invocation", path, NULL};
    uv_stdio_container_t stdio[3] = {
        {.flags = UV_IGNORE},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
        {.flags = UV_INHERIT_FD, .data.fd = 2},
    };
    const uv_process_options_t options = {
        .exit_cb = on_exit_of, .file = program, .args = argv, .stdio_count = 3, .stdio = stdio};
    write_invocation(farm, path);
    farm->process.data = farm;
    assert_int_equal(uv_spawn(&farm->loop, &farm->process, &options), 0);
    farm->running = true;
    farm->pid = uv_process_get_pid(&farm->process);
    free(path);
}

void farm_start(struct farm *farm)
{
    int before = farm->hellos;
    farm_launch(farm);
    UNTIL(farm, farm->hellos > before);
}

void farm_expect_end(struct farm *farm)
{
    UNTIL(farm, !farm->running);
    assert_int_equal(farm_entries(farm, "scratch"), 0);
    for (int i = 0; i < 200 && farm_slot_processes(farm) > 0; i++)
        farm_run(farm, 10);
    assert_int_equal(farm_slot_processes(farm), 0);
}

void farm_dismiss(struct farm *farm)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Dismiss dismiss = MU__DISMISS__INIT;
    envelope.body_case = MU__ENVELOPE__BODY_DISMISS;
    envelope.dismiss = &dismiss;
    farm_send(farm, &envelope);
    farm_expect_end(farm);
    assert_int_equal(farm->signal, 0);
    assert_int_equal(farm->status, 0);
}

void farm_run(struct farm *farm, unsigned milliseconds)
{
    uint64_t end = uv_hrtime() + milliseconds * UINT64_C(1000000);
    UNTIL(farm, uv_hrtime() >= end);
}

/* ---- Requests ------------------------------------------------------------------------------ */

static void fill_call(Mu__Call *to, struct call call)
{
    mu__call__init(to);
    to->actor = (char *)call.actor;
    to->attempt = call.attempt;
    to->request = call.request;
}

static void ask(struct farm *farm, struct call call, Mu__Request *request)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Call said;
    fill_call(&said, call);
    request->call = &said;
    request->timeout_ms = call.timeout_ms;
    request->priority = call.priority;
    envelope.body_case = MU__ENVELOPE__BODY_REQUEST;
    envelope.request = request;
    farm_send(farm, &envelope);
}

void ask_get(struct farm *farm, struct call call, const char *key, const char *file)
{
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Get get = MU__GET__INIT;
    get.key = (char *)key;
    get.file = (char *)file;
    request.what_case = MU__REQUEST__WHAT_GET;
    request.get = &get;
    ask(farm, call, &request);
}

void ask_put(struct farm *farm, struct call call, const char *file, const char *key)
{
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Put put = MU__PUT__INIT;
    put.file = (char *)file;
    put.key = (char *)key;
    request.what_case = MU__REQUEST__WHAT_PUT;
    request.put = &put;
    ask(farm, call, &request);
}

void ask_read(struct farm *farm, struct call call, const char *file, uint32_t limit)
{
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Read read = MU__READ__INIT;
    read.file = (char *)file;
    read.limit = limit;
    request.what_case = MU__REQUEST__WHAT_READ;
    request.read = &read;
    ask(farm, call, &request);
}

void ask_send(struct farm *farm, struct call call, const char *to, const char *name,
              const char *file, const char *text)
{
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Send send = MU__SEND__INIT;
    Mu__Label label = MU__LABEL__INIT;
    label.from = (char *)call.actor;
    label.to = (char *)to;
    label.name = (char *)name;
    send.label = &label;
    if (file != NULL)
        send.file = (char *)file;
    if (text != NULL)
        send.text = (ProtobufCBinaryData){.data = (uint8_t *)text, .len = strlen(text)};
    request.what_case = MU__REQUEST__WHAT_SEND;
    request.send = &send;
    ask(farm, call, &request);
}

void ask_receive(struct farm *farm, struct call call, const char *from, const char *name,
                 const char *file)
{
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Receive receive = MU__RECEIVE__INIT;
    Mu__Label label = MU__LABEL__INIT;
    label.from = (char *)from;
    label.to = (char *)call.actor;
    label.name = (char *)name;
    receive.label = &label;
    receive.file = (char *)file;
    request.what_case = MU__REQUEST__WHAT_RECEIVE;
    request.receive = &receive;
    ask(farm, call, &request);
}

void ask_quit(struct farm *farm, struct call call)
{
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Quit quit = MU__QUIT__INIT;
    request.what_case = MU__REQUEST__WHAT_QUIT;
    request.quit = &quit;
    ask(farm, call, &request);
}

void ask_run(struct farm *farm, struct call call, const char *const *argv, size_t words,
             const char *point)
{
    Mu__Request request = MU__REQUEST__INIT;
    Mu__Run run = MU__RUN__INIT;
    char *points[] = {(char *)point};
    run.argv = (char **)argv;
    run.n_argv = words;
    run.points = points;
    run.n_points = point != NULL ? 1 : 0;
    request.what_case = MU__REQUEST__WHAT_RUN;
    request.run = &run;
    ask(farm, call, &request);
}

void ask_sh(struct farm *farm, struct call call, const char *script, const char *point)
{
    const char *argv[] = {"sh", "-c", script};
    ask_run(farm, call, argv, 3, point);
}

void farm_drop(struct farm *farm, const char *actor, uint32_t attempt)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Drop drop = MU__DROP__INIT;
    drop.actor = (char *)actor;
    drop.attempt = attempt;
    envelope.body_case = MU__ENVELOPE__BODY_DROP;
    envelope.drop = &drop;
    farm_send(farm, &envelope);
}

void farm_acknowledge(struct farm *farm, struct call call)
{
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    Mu__Acknowledge acknowledge = MU__ACKNOWLEDGE__INIT;
    Mu__Call said;
    fill_call(&said, call);
    acknowledge.call = &said;
    envelope.body_case = MU__ENVELOPE__BODY_ACKNOWLEDGE;
    envelope.acknowledge = &acknowledge;
    farm_send(farm, &envelope);
}

/* ---- What was said ------------------------------------------------------------------------- */

static struct said *find_said(struct farm *farm, Mu__Envelope__BodyCase body, const Mu__Call *call)
{
    for (struct list_link *link = farm->said.next; link != &farm->said; link = link->next) {
        struct said *said = LIST_ENTRY(link, struct said, link);
        if (said->taken || said->envelope->body_case != body)
            continue;
        const Mu__Call *has = call != NULL ? said->envelope->outcome->call : NULL;
        if (call == NULL || (has != NULL && strcmp(has->actor, call->actor) == 0 &&
                             has->attempt == call->attempt && has->request == call->request))
            return said;
    }
    return NULL;
}

bool farm_said(struct farm *farm, Mu__Envelope__BodyCase body)
{
    return find_said(farm, body, NULL) != NULL;
}

const Mu__Envelope *farm_take(struct farm *farm, Mu__Envelope__BodyCase body)
{
    struct said *said = NULL;
    UNTIL(farm, (said = find_said(farm, body, NULL)) != NULL);
    said->taken = true;
    return said->envelope;
}

const Mu__Outcome *farm_outcome(struct farm *farm, struct call call)
{
    struct said *said = NULL;
    Mu__Call wanted;
    fill_call(&wanted, call);
    UNTIL(farm, (said = find_said(farm, MU__ENVELOPE__BODY_OUTCOME, &wanted)) != NULL);
    said->taken = true;
    farm_acknowledge(farm, call);
    return said->envelope->outcome;
}

void farm_expect_ok(struct farm *farm, struct call call)
{
    const Mu__Outcome *outcome = farm_outcome(farm, call);
    if (outcome->result != MU__OUTCOME__RESULT__OK)
        fail_msg("%s %llu: %s", call.actor, (unsigned long long)call.request, outcome->error);
}

/* ---- Files and processes ------------------------------------------------------------------- */

void farm_write(struct farm *farm, const char *path, const char *text)
{
    char *full = folder_path(farm, path);
    FILE *file = fopen(full, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    free(full);
}

const char *farm_read(struct farm *farm, const char *path)
{
    static char text[4096];
    char *full = folder_path(farm, path);
    FILE *file = fopen(full, "r");
    text[0] = '\0';
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    free(full);
    return text;
}

bool farm_exists(struct farm *farm, const char *path)
{
    char *full = folder_path(farm, path);
    bool there = access(full, F_OK) == 0;
    free(full);
    return there;
}

static int count_entries(const char *path)
{
    DIR *folder = opendir(path);
    int count = 0;
    if (folder == NULL)
        return 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(folder);
    return count;
}

int farm_entries(struct farm *farm, const char *path)
{
    char *full = folder_path(farm, path);
    int count = count_entries(full);
    free(full);
    return count;
}

/* Whether a process has the mark of one of the worker's slots in its environment. */
static bool is_slot_process(const char *pid, const char *mark)
{
    char path[300], text[16384];
    snprintf(path, sizeof path, "/proc/%s/environ", pid);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    size_t size = fread(text, 1, sizeof text, file);
    fclose(file);
    return memmem(text, size, mark, strlen(mark)) != NULL;
}

int farm_slot_processes(struct farm *farm)
{
    char mark[64];
    int count = 0;
    snprintf(mark, sizeof mark, "XC_SLOT=%d-", farm->pid);
    DIR *folder = opendir("/proc");
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9')
            count += is_slot_process(entry->d_name, mark);
    closedir(folder);
    return count;
}

int farm_worker_descriptors(struct farm *farm)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd", farm->pid);
    return count_entries(path);
}
