/* Time and number: the slow, the silent, and the many. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_support.h"

/* A bare TCP connection to the listener. */
static int dial(struct setup *setup)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(setup->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static uint8_t block[1 << 20];

/* ---- handshakes ---------------------------------------------------------------------------- */

static void says_nothing(void **state)
{
    struct setup *setup = *state;
    setup->limits.handshake = 50;
    setup_listen(setup);
    int fd = dial(setup);
    uint64_t begin = uv_hrtime();
    UNTIL(setup, setup->refused);
    assert_int_equal(setup->refusal, TLS_TOO_SLOW);
    assert_true(uv_hrtime() - begin >= 49 * 1000000u);
    UNTIL(setup, listener_handshaking(setup->listener) == 1);
    close(fd);
    UNTIL(setup, listener_handshaking(setup->listener) == 0);
}

/* However often a byte comes, the handshake has its time and no more. */
static void slow_loris(void **state)
{
    struct setup *setup = *state;
    setup->limits.handshake = 50;
    setup_listen(setup);
    int fd = dial(setup);
    const char head[] = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    uint64_t begin = uv_hrtime();
    for (size_t i = 0; !setup->refused; i++) {
        assert_int_equal(send(fd, i < 11 ? head + i : "x", 1, MSG_NOSIGNAL), 1);
        setup_run(setup, 1);
    }
    assert_int_equal(setup->refusal, TLS_TOO_SLOW);
    assert_true(uv_hrtime() - begin < UINT64_C(5000000000));
    close(fd);
}

static void connecting_takes_too_long(void **state)
{
    struct setup *setup = *state;
    setup->limits.handshake = 50;
    /* Accepted by the kernel, never by a program. */
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    setup->port = ntohs(address.sin_port);
    setup_connect(setup);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -ETIMEDOUT);
    close(fd);
}

/* Those who came first and say nothing make room; who shakes hands gets in. */
static void many_who_say_nothing(void **state)
{
    enum { SILENT = 60, MOST = 20 };
    struct setup *setup = *state;
    int fds[SILENT];
    setup_listen_on(setup, "127.0.0.1", MOST);
    for (int i = 0; i < SILENT; i++)
        fds[i] = dial(setup);
    setup_connect(setup);
    UNTIL(setup, setup->accepted && setup->near.opened);
    assert_true(listener_handshaking(setup->listener) <= MOST);
    assert_int_equal(setup->refused, SILENT + 1 - MOST);
    assert_int_equal(setup->refusal, TLS_TOO_SLOW);
    for (int i = 0; i < SILENT; i++)
        close(fds[i]);
    UNTIL(setup, listener_handshaking(setup->listener) == 0);
}

/* Says nothing so many times, then shakes hands as one should. In a process of its own. */
static void crowd_and_one(uint16_t port, int silent)
{
    struct setup setup = {.port = port};
    char byte = 0;
    for (int i = 0; i < silent; i++)
        dial(&setup);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate(context, deployment()->client.own->x509);
    SSL_CTX_use_PrivateKey(context, deployment()->client.own->key);
    SSL *ssl = SSL_new(context);
    SSL_set_tlsext_host_name(ssl, SERVER_NAME);
    SSL_set_fd(ssl, dial(&setup));
    _exit(SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1 ? 0 : 1);
}

static void say_a_byte(struct peer *peer)
{
    stream_write(peer->stream, "x", 1);
}

/* Fewer descriptors than there are silent ones. */
static void few_descriptors(void **state)
{
    struct setup *setup = *state;
    struct rlimit before, few;
    int status;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = (rlim_t)open_descriptors() + 40;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    setup->far.on_opened = say_a_byte;
    setup_listen(setup);
    pid_t child = fork();
    if (child == 0) {
        setrlimit(RLIMIT_NOFILE, &before);
        crowd_and_one(setup->port, 150);
    }
    UNTIL(setup, waitpid(child, &status, WNOHANG) == child);
    assert_int_equal(status, 0);
    assert_int_equal(setup->accepted, 1);
    UNTIL(setup, setup->far.closed);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

/* ---- open streams -------------------------------------------------------------------------- */

static void silence(void **state)
{
    struct setup *setup = *state;
    setup->limits.silence = 60;
    uint64_t begin = uv_now(&setup->loop); /* the last byte comes later, as the pair is made */
    setup_pair(setup);
    UNTIL(setup, setup->near.closed && setup->far.closed);
    assert_true(uv_now(&setup->loop) - begin >= 40);
    assert_true(setup->near.reason.code == -ETIMEDOUT || setup->far.reason.code == -ETIMEDOUT);
}

static void no_silence_where_bytes_come(void **state)
{
    struct setup *setup = *state;
    setup->limits.silence = 600;
    setup_pair(setup);
    for (int i = 0; i < 40; i++) {
        stream_write(setup->near.stream, "x", 1);
        stream_write(setup->far.stream, "x", 1);
        setup_run(setup, 20);
    }
    assert_int_equal(setup->near.closed + setup->far.closed, 0);
}

/* The loop stands still past the limit, while the bytes lie in the socket. */
static void busy_ourselves(void **state)
{
    struct setup *setup = *state;
    setup->limits.silence = 600;
    setup_pair(setup);
    for (int i = 0; i < 2; i++) {
        stream_write(setup->near.stream, "x", 1);
        stream_write(setup->far.stream, "x", 1);
        uv_run(&setup->loop, UV_RUN_NOWAIT);
        usleep(800000);
        uv_run(&setup->loop, UV_RUN_NOWAIT);
        uv_run(&setup->loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(setup->near.closed + setup->far.closed, 0);
}

static void no_silence_while_paused(void **state)
{
    struct setup *setup = *state;
    setup->limits.silence = 40;
    setup_pair(setup);
    stream_pause(setup->near.stream);
    stream_pause(setup->far.stream);
    setup_run(setup, 150);
    assert_int_equal(setup->near.closed + setup->far.closed, 0);
    stream_resume(setup->near.stream);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -ETIMEDOUT);
}

static void nobody_reads(void **state)
{
    struct setup *setup = *state;
    setup->limits.stall = 100;
    setup->limits.queue = 64 << 20;
    setup_pair(setup);
    stream_pause(setup->far.stream);
    for (int i = 0; i < 12; i++)
        assert_true(stream_write(setup->near.stream, block, sizeof block) >= 0);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -ETIMEDOUT);
    assert_non_null(strstr(setup->near.reason.message, "read"));
}

/* Slow, but something goes out all the time. */
static void slow_but_reading(void **state)
{
    struct setup *setup = *state;
    setup->limits.stall = 300;
    setup->limits.queue = 64 << 20;
    setup_pair(setup);
    for (int i = 0; i < 16; i++)
        assert_true(stream_write(setup->near.stream, block, sizeof block) >= 0);
    while (setup->far.received < 16 * sizeof block) {
        stream_pause(setup->far.stream);
        setup_run(setup, 15);
        stream_resume(setup->far.stream);
        uv_run(&setup->loop, UV_RUN_ONCE);
        assert_int_equal(setup->near.closed, 0);
    }
}

/* ---- many ---------------------------------------------------------------------------------- */

enum { CROWD_MOST = 4000 };

static struct peer crowd[CROWD_MOST];

static int sum_of_crowd(int size, bool closed)
{
    int sum = 0;
    for (int i = 0; i < size; i++)
        sum += closed ? crowd[i].closed : crowd[i].opened;
    return sum;
}

static int crowd_size(void)
{
    const char *level = getenv("XC_TESTS");
    if (level && strcmp(level, "all") == 0)
        return CROWD_MOST;
    return level && strcmp(level, "quick") == 0 ? 200 : 1000;
}

static void come_all_at_once(void **state)
{
    struct setup *setup = *state;
    struct error error;
    int size = crowd_size();
    setup_listen(setup);
    const struct stream_target target = {
        .host = "127.0.0.1", .port = setup->port, .server_name = SERVER_NAME};
    memset(crowd, 0, sizeof crowd);
    for (int i = 0; i < size; i++) {
        crowd[i].setup = setup;
        assert_int_equal(stream_connect(setup->network, setup->client, &target, NULL,
                                        &peer_handlers, &crowd[i], &crowd[i].stream, &error),
                         0);
    }
    UNTIL(setup, setup->accepted == size && sum_of_crowd(size, false) == size);
    const struct network_counters *counters = network_counters(setup->network);
    assert_int_equal(counters->handshakes, 2 * size);
    assert_true(counters->turns_filled > 5);
    /* Far from what all of them take; a machine with other work to do may interrupt us. */
    assert_true(counters->longest_handshakes < 150 * 1000000u);
    for (int i = 0; i < size; i++)
        stream_close(crowd[i].stream);
    UNTIL(setup, setup->far.closed == size && sum_of_crowd(size, true) == size);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(says_nothing),
        NET_TEST(slow_loris),
        NET_TEST(connecting_takes_too_long),
        NET_TEST(many_who_say_nothing),
        NET_TEST(few_descriptors),
        NET_TEST(silence),
        NET_TEST(no_silence_where_bytes_come),
        NET_TEST(busy_ourselves),
        NET_TEST(no_silence_while_paused),
        NET_TEST(nobody_reads),
        NET_TEST(slow_but_reading),
        NET_TEST(come_all_at_once),
    };
    time_limit(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
