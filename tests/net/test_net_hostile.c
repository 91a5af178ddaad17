/* Peers with a good certificate and bad manners, speaking OpenSSL's own TLS from a thread. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_support.h"

struct villain {
    pthread_t thread;
    uint16_t port;
    void (*behave)(SSL *ssl, int fd);
    bool done;
};

static int dial(uint16_t port)
{
    const int small = 4096;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

static void *be_bad(void *opaque)
{
    struct villain *villain = opaque;
    int fd = dial(villain->port);
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    SSL_CTX_use_certificate(context, deployment()->client.own->x509);
    SSL_CTX_use_PrivateKey(context, deployment()->client.own->key);
    SSL *ssl = SSL_new(context);
    SSL_set_tlsext_host_name(ssl, SERVER_NAME);
    SSL_set_fd(ssl, fd);
    if (SSL_connect(ssl) != 1)
        abort();
    villain->behave(ssl, fd);
    SSL_free(ssl);
    SSL_CTX_free(context);
    close(fd);
    ERR_clear_error();
    OPENSSL_thread_stop();
    __atomic_store_n(&villain->done, true, __ATOMIC_RELEASE);
    return NULL;
}

/* Lets it in, and waits until its stream is closed; it must have failed with `code`. */
static void meet(struct setup *setup, void (*behave)(SSL *ssl, int fd), int code)
{
    struct villain villain = {.behave = behave};
    setup_listen(setup);
    villain.port = setup->port;
    assert_int_equal(pthread_create(&villain.thread, NULL, be_bad, &villain), 0);
    UNTIL(setup, setup->far.closed);
    assert_int_equal(setup->accepted, 1);
    assert_true(setup->far.failed);
    assert_int_equal(setup->far.reason.code, code);
    UNTIL(setup, __atomic_load_n(&villain.done, __ATOMIC_ACQUIRE));
    pthread_join(villain.thread, NULL);
}

static void read_to_the_end(int fd)
{
    char bytes[1000];
    while (recv(fd, bytes, sizeof bytes, 0) > 0)
        ;
}

static void send_raw(int fd, const char *bytes, size_t size)
{
    if (send(fd, bytes, size, MSG_NOSIGNAL) != (ssize_t)size)
        abort();
    read_to_the_end(fd);
}

static void unencrypted_words(SSL *ssl, int fd)
{
    send_raw(fd, "how do you do?", 14);
}

static void forged_record(SSL *ssl, int fd)
{
    char record[5 + 64] = "\x17\x03\x03\x00\x40";
    send_raw(fd, record, sizeof record);
}

static void oversized_record(SSL *ssl, int fd)
{
    send_raw(fd, "\x17\x03\x03\xff\xff", 5);
}

/* The head of a record, and nothing more. */
static void half_a_record(SSL *ssl, int fd)
{
    if (send(fd, "\x17\x03\x03\x10\x00half", 9, MSG_NOSIGNAL) != 9)
        abort();
}

static void gone_without_goodbye(SSL *ssl, int fd)
{
    SSL_set_quiet_shutdown(ssl, 1);
}

/* Each wants an answer, and none is read. Those that come together get one answer together, so that
 * there is a little time between them. */
static void key_updates(SSL *ssl, int fd)
{
    while (SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(ssl) == 1)
        usleep(500);
}

static void words_in_the_clear(void **state)
{
    meet(*state, unencrypted_words, -EPROTO);
}

static void a_record_that_was_forged(void **state)
{
    meet(*state, forged_record, -EPROTO);
}

static void a_record_too_long(void **state)
{
    meet(*state, oversized_record, -EPROTO);
}

static void cut_in_a_record(void **state)
{
    meet(*state, half_a_record, -ECONNRESET);
}

static void cut_without_goodbye(void **state)
{
    meet(*state, gone_without_goodbye, -ECONNRESET);
}

static void fill_the_queue(struct peer *peer)
{
    static const uint8_t block[20000];
    while (stream_write(peer->stream, block, sizeof block) >= 0)
        ;
}

static void answers_that_nobody_reads(void **state)
{
    struct setup *setup = *state;
    setup->limits.queue = 100000;
    setup->far.on_opened = fill_the_queue;
    meet(setup, key_updates, -ENOBUFS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(words_in_the_clear),  NET_TEST(a_record_that_was_forged),
        NET_TEST(a_record_too_long),   NET_TEST(cut_in_a_record),
        NET_TEST(cut_without_goodbye), NET_TEST(answers_that_nobody_reads),
    };
    time_limit(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
