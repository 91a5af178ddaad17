/*
 * What TLS streams on the loop cost, against bare OpenSSL calls on blocking sockets that do the same in
 * the same go:
 *
 *     bench_tls [handshakes|relay|messages|idle ...]
 *
 *   handshakes  accepted a CPU-second, certificates on both sides, a byte each way after them
 *   relay       MB a CPU-second decrypted from one connection and encrypted for another
 *   messages    of 100 bytes a CPU-second, relayed one by one as frames
 *   idle        memory of each of many open connections
 *
 * Each server is a process of its own, whose CPU time is what counts; the clients are bare OpenSSL.
 */
#include "tls.h"

#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/frame.h"
#include "net/identity.h"

/* What a client writes at once. */
enum { BLOCK = 65536 };

static void print_ratio(const char *unit, double ours, double bare)
{
    printf("  streams %.0f, bare %.0f %s: ratio %.2f\n", ours, bare, unit, ours / bare);
}

/* ---- handshakes ---------------------------------------------------------------------------- */

static struct report measure_handshakes(bench_server *server)
{
    int from;
    char byte = 'x';
    uint16_t port = bench_start(server, &from);
    SSL_CTX *context = bare_context(TLS_client_method(), &client_keys);
    for (int i = 0; i < HANDSHAKES; i++) {
        SSL *ssl = bare_connect(context, port, DOMAIN_DEPLOYMENT);
        MUST(SSL_write(ssl, &byte, 1) == 1 && SSL_read(ssl, &byte, 1) == 1);
        bare_close(ssl);
    }
    SSL_CTX_free(context);
    return bench_finish(from);
}

static void bench_handshakes(void)
{
    struct report bare = measure_handshakes(bare_handshakes);
    struct report ours = measure_handshakes(stream_handshakes);
    printf("handshakes, %d of them\n", HANDSHAKES);
    print_ratio("a CPU-second", HANDSHAKES / ours.cpu, HANDSHAKES / bare.cpu);
}

/* ---- relay --------------------------------------------------------------------------------- */

/* Writes `size` bytes of `block` again and again, `total` in all, in writes of `size`. */
static void send_all(SSL *ssl, const char *block, int size, uint64_t total)
{
    for (uint64_t sent = 0; sent < total; sent += (uint64_t)size)
        MUST(SSL_write(ssl, block, size) == size);
}

static uint64_t receive_all(SSL *ssl)
{
    static char bytes[BLOCK];
    uint64_t received = 0;
    int size;
    while ((size = SSL_read(ssl, bytes, sizeof bytes)) > 0)
        received += (uint64_t)size;
    return received;
}

/* The receiver dials first, and is a process of its own. */
static struct report measure_relay(bench_server *server, const char *block, int size,
                                   uint64_t total)
{
    int from, status;
    uint16_t port = bench_start(server, &from);
    SSL_CTX *context = bare_context(TLS_client_method(), &client_keys);
    SSL *out = bare_connect(context, port, DOMAIN_DEPLOYMENT);
    SSL *in = bare_connect(context, port, DOMAIN_DEPLOYMENT);
    pid_t receiver = fork();
    if (receiver == 0)
        _exit(receive_all(out) != total);
    send_all(in, block, size, total);
    SSL_shutdown(in);
    MUST(waitpid(receiver, &status, 0) == receiver && status == 0);
    bare_close(out);
    bare_close(in);
    SSL_CTX_free(context);
    return bench_finish(from);
}

static void bench_relay(void)
{
    static char block[BLOCK];
    struct report bare = measure_relay(bare_relay, block, BLOCK, RELAY_BYTES);
    struct report ours = measure_relay(stream_relay, block, BLOCK, RELAY_BYTES);
    printf("relay, %d MB\n", RELAY_BYTES >> 20);
    print_ratio("MB a CPU-second", RELAY_BYTES / 1e6 / ours.cpu, RELAY_BYTES / 1e6 / bare.cpu);
}

/* ---- messages ------------------------------------------------------------------------------ */

static void bench_messages(void)
{
    enum { BATCH = 100 };
    static uint8_t frames[BATCH * (FRAME_HEAD_MOST + MESSAGE)];
    size_t size = 0, one = 0;
    for (int i = 0; i < BATCH; i++) {
        size += frame_control_head(frames + size, MESSAGE) + MESSAGE;
        one = i == 0 ? size : one;
    }
    struct report alone = measure_relay(stream_messages, (char *)frames, (int)one, one * MESSAGES);
    struct report batch = measure_relay(stream_messages, (char *)frames, (int)size, one * MESSAGES);
    printf("messages of %d bytes relayed as frames\n", MESSAGE);
    printf("  each in a record of its own: %.0f a CPU-second\n", MESSAGES / alone.cpu);
    printf("  %d in a record: %.0f a CPU-second\n", BATCH, MESSAGES / batch.cpu);
}

/* ---- idle ---------------------------------------------------------------------------------- */

/* In two processes, so that the clients' descriptors do not run out. */
static void hold_connections(uint16_t port, int count)
{
    SSL_CTX *context = bare_context(TLS_client_method(), &client_keys);
    SSL **all = calloc((size_t)count, sizeof *all);
    for (int i = 0; i < count; i++)
        all[i] = bare_connect(context, port, DOMAIN_DEPLOYMENT);
    usleep(300000);
    for (int i = 0; i < count; i++)
        bare_close(all[i]);
    _exit(EXIT_SUCCESS);
}

static void bench_idle(void)
{
    int from;
    uint16_t port = bench_start(stream_idle, &from);
    double begin = (double)time(NULL);
    for (int i = 0; i < 4; i++)
        if (fork() == 0)
            hold_connections(port, IDLE / 4);
    struct report report = bench_finish(from);
    while (wait(NULL) > 0)
        ;
    printf("idle, %d connections in %.0f s\n  %.0f bytes each; at most %.1f ms of handshakes in "
           "a turn of the loop\n",
           IDLE, (double)time(NULL) - begin, report.bytes, report.longest / 1e6);
}

/* ---- the command line ---------------------------------------------------------------------- */

static const struct {
    const char *name;
    void (*run)(void);
} benches[] = {
    {"handshakes", bench_handshakes},
    {"relay", bench_relay},
    {"messages", bench_messages},
    {"idle", bench_idle},
};

static bool wanted(const char *name, int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return true;
    return argc < 2;
}

int main(int argc, char **argv)
{
    make_keys();
    for (size_t i = 0; i < sizeof benches / sizeof benches[0]; i++)
        if (wanted(benches[i].name, argc, argv))
            benches[i].run();
    return EXIT_SUCCESS;
}
