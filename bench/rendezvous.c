/*
 * What the rendezvous costs, in CPU time of its process alone:
 *
 *     bench_rendezvous [states|small]
 *
 *   states  MB a CPU-second of messages as large as a 1080p state from one worker to another, against bare
 *           OpenSSL calls that decrypt from one connection and encrypt for another
 *   small   messages of 100 bytes a CPU-second: offered, subscribed to, handed over
 *
 * Messages are forgotten when they have been handed over, as a coordinator has it.
 */
#include <string.h>
#include <sys/wait.h>

#include "mu/rendezvous.h"
#include "mu/wire.h"
#include "tls.h"

enum {
    STATE = 2400000, /* bytes */
    STATES = 400,
    SMALL = 100, /* bytes */
    SMALLS = 200000,
    BATCH = 500, /* small messages offered or subscribed to in one go, to one actor */
    CREDIT_STEP = 1 << 18,
    AT_ONCE = 4, /* states that the receiver waits for */
    LAG = 12,    /* actors to which messages may be on their way */
    RELAY_BLOCK = 65536,
};

static const char job_domain[] = "job-bench.excamera.invalid";
static struct credentials worker_keys[2]; /* of the sender and the receiver */

/* ---- the server ---------------------------------------------------------------------------- */

struct service {
    uv_loop_t loop;
    uv_timer_t timer;
    struct network *network;
    struct rendezvous *rendezvous;
    uint64_t step, total; /* bytes to one actor, and to all */
    uint64_t forgotten;   /* actors */
};

static void on_drained(void *opaque)
{
    struct service *service = opaque;
    rendezvous_free(service->rendezvous);
    network_free(service->network);
    uv_close((uv_handle_t *)&service->timer, NULL);
}

static void on_timer(uv_timer_t *timer)
{
    struct service *service = timer->data;
    uint64_t sent = rendezvous_counters(service->rendezvous)->sent;
    char actor[24];
    for (; (service->forgotten + LAG) * service->step <= sent; service->forgotten++) {
        snprintf(actor, sizeof actor, "b%llu", (unsigned long long)service->forgotten);
        rendezvous_forget(service->rendezvous, "bench", actor);
    }
    if (sent < service->total)
        return;
    uv_timer_stop(timer);
    rendezvous_drain(service->rendezvous, on_drained, service);
}

static void serve(int to, uint64_t step, uint64_t total)
{
    static struct service service;
    struct error error;
    const struct rendezvous_options options = {.host = "127.0.0.1", .credentials = server_keys};
    service.step = step;
    service.total = total;
    uv_loop_init(&service.loop);
    MUST(network_new(&service.loop, &service.network, &error) == 0);
    MUST(rendezvous_new(service.network, &options, &service.rendezvous, &error) == 0);
    MUST(rendezvous_register(service.rendezvous, "bench", server_keys.authority, &error) == 0);
    uv_timer_init(&service.loop, &service.timer);
    service.timer.data = &service;
    uv_timer_start(&service.timer, on_timer, 2, 2);
    tell_port(to, rendezvous_port(service.rendezvous));
    uv_run(&service.loop, UV_RUN_DEFAULT);
}

static void serve_states(int to, struct report *report)
{
    serve(to, STATE, (uint64_t)STATE * STATES);
}

static void serve_small(int to, struct report *report)
{
    serve(to, SMALL * BATCH, (uint64_t)SMALL * SMALLS);
}

/* ---- clients ------------------------------------------------------------------------------- */

struct client {
    SSL *ssl;
    struct frame_reader reader;
    uint8_t out[BATCH * 512];
    size_t size;
    uint64_t credit; /* of the transfer that is being sent */
    uint64_t transfer;
    uint64_t received;         /* bytes */
    uint64_t owed[STATES + 1]; /* credit not given back yet, by transfer */
    uint64_t haves;
    bool welcome;
};

static void flush(struct client *client)
{
    if (client->size > 0)
        MUST(SSL_write(client->ssl, client->out, (int)client->size) == (int)client->size);
    client->size = 0;
}

static void add_envelope(struct client *client, const Mu__Envelope *envelope)
{
    uint8_t *at = client->out + client->size;
    size_t size = mu__envelope__get_packed_size(envelope);
    size_t head = frame_control_head(at, (uint32_t)size);
    mu__envelope__pack(envelope, at + head);
    client->size += head + size;
}

static void add_bulk(struct client *client, uint64_t transfer, size_t size)
{
    uint8_t *at = client->out + client->size;
    size_t head = frame_bulk_head(at, transfer, (uint32_t)size);
    memset(at + head, 'x', size);
    client->size += head + size;
}

static bool on_control(void *opaque, const uint8_t *bytes, size_t size)
{
    struct client *client = opaque;
    struct error error;
    Mu__Envelope *envelope;
    MUST(wire_read(bytes, size, &envelope, &error) == 0);
    MUST(envelope->body_case != MU__ENVELOPE__BODY_REFUSAL);
    client->welcome |= envelope->body_case == MU__ENVELOPE__BODY_WELCOME;
    client->haves += envelope->body_case == MU__ENVELOPE__BODY_HAVE;
    if (envelope->body_case == MU__ENVELOPE__BODY_CREDIT &&
        envelope->credit->transfer == client->transfer)
        client->credit += envelope->credit->bytes;
    wire_free(envelope);
    return true;
}

static void give_credit(struct client *client, uint64_t transfer)
{
    Mu__Credit credit = MU__CREDIT__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    credit.transfer = transfer;
    credit.bytes = client->owed[transfer];
    envelope.body_case = MU__ENVELOPE__BODY_CREDIT;
    envelope.credit = &credit;
    client->owed[transfer] = 0;
    add_envelope(client, &envelope);
    flush(client);
}

static bool on_bulk(void *opaque, uint64_t transfer, const uint8_t *bytes, size_t size)
{
    struct client *client = opaque;
    client->received += size;
    if (transfer > STATES)
        return true; /* a small one */
    client->owed[transfer] += size;
    if (client->owed[transfer] >= CREDIT_STEP)
        give_credit(client, transfer);
    return true;
}

static void read_some(struct client *client)
{
    static const struct frame_handlers handlers = {.control = on_control, .bulk = on_bulk};
    uint8_t bytes[16384];
    struct error error;
    int size = SSL_read(client->ssl, bytes, sizeof bytes);
    MUST(size > 0);
    MUST(frame_read(&client->reader, bytes, (size_t)size, &handlers, client, &error) == size);
}

static struct client *join(uint16_t port, uint32_t number)
{
    struct client *client = calloc(1, sizeof *client);
    Mu__JoinHello join_hello = MU__JOIN_HELLO__INIT;
    Mu__Hello hello = MU__HELLO__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    client->ssl =
        bare_connect(bare_context(TLS_client_method(), &worker_keys[number]), port, job_domain);
    frame_reader_init(&client->reader, 1 << 20);
    join_hello.job = (char *)"bench";
    join_hello.worker = number;
    hello.protocol = MU_PROTOCOL;
    hello.who_case = MU__HELLO__WHO_JOIN;
    hello.join = &join_hello;
    envelope.body_case = MU__ENVELOPE__BODY_HELLO;
    envelope.hello = &hello;
    add_envelope(client, &envelope);
    flush(client);
    while (!client->welcome)
        read_some(client);
    return client;
}

/* What message number `i` is called, `batch` of them going to each actor. */
static void add_label(struct client *client, bool offered, uint64_t i, int batch, uint64_t size)
{
    char to[24], name[24];
    uint8_t sum[WIRE_SHA256] = {1};
    Mu__Label label = MU__LABEL__INIT;
    Mu__Identity identity = MU__IDENTITY__INIT;
    Mu__Offer offer = MU__OFFER__INIT;
    Mu__Subscribe subscribe = MU__SUBSCRIBE__INIT;
    Mu__Envelope envelope = MU__ENVELOPE__INIT;
    snprintf(to, sizeof to, "b%llu", (unsigned long long)i / (unsigned)batch);
    snprintf(name, sizeof name, "m%llu", (unsigned long long)i);
    label.from = (char *)"a";
    label.to = to;
    label.name = name;
    identity.size = size;
    identity.sha256.data = sum;
    identity.sha256.len = sizeof sum;
    offer.label = subscribe.label = &label;
    offer.identity = &identity;
    offer.transfer = subscribe.transfer = i + 1;
    envelope.body_case = offered ? MU__ENVELOPE__BODY_OFFER : MU__ENVELOPE__BODY_SUBSCRIBE;
    if (offered)
        envelope.offer = &offer;
    else
        envelope.subscribe = &subscribe;
    add_envelope(client, &envelope);
}

static void send_states(struct client *client)
{
    for (uint64_t i = 0; i < STATES; i++) {
        client->transfer = i + 1;
        client->credit = 1 << 20;
        add_label(client, true, i, 1, STATE);
        for (size_t left = STATE; left > 0;) {
            size_t part = left < FRAME_PIECE_MOST ? left : FRAME_PIECE_MOST;
            while (client->credit < part)
                read_some(client);
            add_bulk(client, i + 1, part);
            flush(client);
            client->credit -= part;
            left -= part;
        }
    }
    while (client->haves < STATES)
        read_some(client);
}

static void receive_states(struct client *client)
{
    for (uint64_t i = 0; i < STATES; i++) {
        add_label(client, false, i, 1, 0);
        flush(client);
        while (client->received + (AT_ONCE - 1) * STATE < (i + 1) * STATE)
            read_some(client);
    }
    while (client->received < (uint64_t)STATE * STATES)
        read_some(client);
}

static void send_small(struct client *client)
{
    for (uint64_t i = 0; i < SMALLS; i++) {
        add_label(client, true, i, BATCH, SMALL);
        add_bulk(client, i + 1, SMALL);
        if ((i + 1) % BATCH == 0)
            flush(client);
        while ((i + 1) % BATCH == 0 && client->haves < i + 1)
            read_some(client);
    }
}

static void receive_small(struct client *client)
{
    for (uint64_t i = 0; i < SMALLS; i++) {
        add_label(client, false, i, BATCH, 0);
        if ((i + 1) % BATCH == 0)
            flush(client);
        while ((i + 1) % BATCH == 0 && client->received < (i + 1) * SMALL)
            read_some(client);
    }
}

/* ---- measuring ----------------------------------------------------------------------------- */

/* CPU seconds of the rendezvous's process. */
static double measure(bench_server *server, void (*send)(struct client *client),
                      void (*receive)(struct client *client))
{
    int from, status;
    uint16_t port = bench_start(server, &from);
    pid_t receiver = fork();
    if (receiver == 0) {
        receive(join(port, 1));
        _exit(EXIT_SUCCESS);
    }
    pid_t sender = fork();
    if (sender == 0) {
        send(join(port, 0));
        _exit(EXIT_SUCCESS);
    }
    MUST(waitpid(receiver, &status, 0) == receiver && status == 0);
    MUST(waitpid(sender, &status, 0) == sender && status == 0);
    return bench_finish(from).cpu;
}

/* The same bytes through bare OpenSSL calls. */
static double measure_bare(void)
{
    static char block[RELAY_BLOCK];
    int from, status, size;
    uint16_t port = bench_start(bare_relay, &from);
    SSL_CTX *context = bare_context(TLS_client_method(), &client_keys);
    SSL *out = bare_connect(context, port, job_domain),
        *in = bare_connect(context, port, job_domain);
    pid_t receiver = fork();
    if (receiver == 0) {
        while ((size = SSL_read(out, block, sizeof block)) > 0)
            ;
        _exit(EXIT_SUCCESS);
    }
    for (uint64_t sent = 0; sent < (uint64_t)STATE * STATES; sent += sizeof block)
        MUST(SSL_write(in, block, sizeof block) == sizeof block);
    SSL_shutdown(in);
    MUST(waitpid(receiver, &status, 0) == receiver && status == 0);
    bare_close(out);
    bare_close(in);
    SSL_CTX_free(context);
    return bench_finish(from).cpu;
}

static void bench_states(void)
{
    double bytes = (double)STATE * STATES;
    double bare = measure_bare();
    double ours = measure(serve_states, send_states, receive_states);
    printf("states, %d of %d bytes\n", STATES, STATE);
    printf("  rendezvous %.0f, bare relay %.0f MB a CPU-second: ratio %.2f\n", bytes / 1e6 / ours,
           bytes / 1e6 / bare, bare / ours);
}

static void bench_small(void)
{
    double cpu = measure(serve_small, send_small, receive_small);
    printf("messages of %d bytes, %d of them\n  %.0f a CPU-second\n", SMALL, SMALLS, SMALLS / cpu);
}

int main(int argc, char **argv)
{
    make_keys();
    for (int i = 0; i < 2; i++) {
        char identity[] = "excamera:job/bench/worker/0";
        identity[sizeof identity - 2] = (char)('0' + i);
        worker_keys[i].authority = server_keys.authority;
        worker_keys[i].own = bench_certificate(server_keys.authority, identity, CERTIFICATE_CLIENT);
    }
    if (argc < 2 || strcmp(argv[1], "states") == 0)
        bench_states();
    if (argc < 2 || strcmp(argv[1], "small") == 0)
        bench_small();
    return EXIT_SUCCESS;
}
