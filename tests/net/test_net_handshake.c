/* Who is let in, and who is not. */
#include <arpa/inet.h>
#include <errno.h>
#include <openssl/err.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net_support.h"

/* ---- let in -------------------------------------------------------------------------------- */

static void both_know_each_other(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    assert_string_equal(stream_identity(setup->near.stream), SERVER_IDENTITY);
    assert_string_equal(stream_identity(setup->far.stream), CLIENT_IDENTITY);
    assert_string_equal(stream_server_name(setup->far.stream), SERVER_NAME);
    assert_non_null(strstr(stream_address(setup->far.stream), "127.0.0.1:"));
    assert_int_equal(network_counters(setup->network)->handshakes, 2);
    assert_int_equal(listener_handshaking(setup->listener), 0);
}

static void identity_instead_of_host(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    setup_connect_to(setup,
                     &(struct stream_target){.host = "127.0.0.1",
                                             .port = setup->port,
                                             .server_name = SERVER_NAME,
                                             .identity = SERVER_IDENTITY},
                     setup->client);
    UNTIL(setup, setup->near.opened && setup->accepted);
}

static void domain_may_go_once_they_met(void **state)
{
    struct setup *setup = *state;
    setup_pair(setup);
    tls_domain_free(setup->domain);
    tls_client_free(setup->client);
    setup->domain = NULL;
    setup->client = NULL;
    uint8_t bytes[1000];
    pattern_fill(bytes, 0, sizeof bytes);
    assert_int_equal(stream_write(setup->near.stream, bytes, sizeof bytes), 0);
    UNTIL(setup, setup->far.received == sizeof bytes);
    assert_true(setup->far.sound);
}

/* ---- refused clients ----------------------------------------------------------------------- */

static void expect_refusal(struct setup *setup, enum tls_refusal refusal)
{
    UNTIL(setup, setup->refused);
    assert_int_equal(setup->refusal, refusal);
    assert_int_equal(setup->accepted, 0);
    assert_int_equal(setup->refused, 1);
    assert_int_equal(network_counters(setup->network)->refused[refusal], 1);
    assert_true(setup->refusal_error.code < 0);
    assert_true(strlen(setup->refusal_error.message) > 10);
    UNTIL(setup, listener_handshaking(setup->listener) == 0);
}

/* Dials with this certificate, which it frees, and is refused. */
static void refused_with(struct setup *setup, struct certificate *certificate,
                         enum tls_refusal refusal)
{
    struct error error;
    struct tls_client *client;
    const struct credentials credentials = {.own = certificate,
                                            .authority = deployment()->authority};
    assert_int_equal(tls_client_new(&credentials, &client, &error), 0);
    setup_listen(setup);
    setup_connect_to(setup,
                     &(struct stream_target){
                         .host = "127.0.0.1", .port = setup->port, .server_name = SERVER_NAME},
                     client);
    tls_client_free(client);
    certificate_free(certificate);
    expect_refusal(setup, refusal);
    UNTIL(setup, setup->near.closed);
    assert_true(setup->near.failed);
}

static void another_authoritys_certificate(void **state)
{
    struct setup *setup = *state;
    refused_with(setup, client_certificate(deployment()->stranger, CLIENT_IDENTITY, -1000, 1000),
                 TLS_UNTRUSTED);
    /* The client learns why. */
    assert_int_equal(setup->near.reason.code, -EACCES);
    assert_non_null(strstr(setup->near.reason.message, "refuses"));
}

static void expired(void **state)
{
    refused_with(*state, client_certificate(deployment()->authority, CLIENT_IDENTITY, -1000, -10),
                 TLS_EXPIRED);
}

static void not_yet_valid(void **state)
{
    refused_with(*state, client_certificate(deployment()->authority, CLIENT_IDENTITY, 500, 1000),
                 TLS_EXPIRED);
}

static void without_identity(void **state)
{
    refused_with(*state, client_certificate(deployment()->authority, NULL, -1000, 1000),
                 TLS_NO_IDENTITY);
}

static void for_servers_only(void **state)
{
    struct error error;
    struct certificate *certificate;
    time_t now = time(NULL);
    const struct certificate_subject subject = {.name = "server",
                                                .identity = SERVER_IDENTITY,
                                                .use = CERTIFICATE_SERVER,
                                                .from = now - 10,
                                                .until = now + 1000};
    assert_int_equal(certificate_issue(deployment()->authority, &subject, &certificate, &error), 0);
    refused_with(*state, certificate, TLS_UNTRUSTED);
}

static void unknown_server_name(void **state)
{
    struct setup *setup = *state;
    setup_listen(setup);
    setup_connect_to(setup,
                     &(struct stream_target){.host = "127.0.0.1",
                                             .port = setup->port,
                                             .server_name = "job-8.excamera.invalid"},
                     setup->client);
    expect_refusal(setup, TLS_UNKNOWN_NAME);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.reason.code, -EACCES);
    assert_int_equal(setup->near.opened, 0);
}

/* ---- refused servers ----------------------------------------------------------------------- */

/* Dials a server that is not as it should be. */
static void server_refused(struct setup *setup, const char *host, const char *identity)
{
    setup_listen(setup);
    setup_connect_to(
        setup,
        &(struct stream_target){
            .host = host, .port = setup->port, .server_name = SERVER_NAME, .identity = identity},
        setup->client);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.opened, 0);
    assert_int_equal(setup->near.reason.code, -EACCES);
}

static void server_of_another_identity(void **state)
{
    struct setup *setup = *state;
    server_refused(setup, "127.0.0.1", "excamera:rendezvous");
    assert_non_null(strstr(setup->near.reason.message, SERVER_IDENTITY));
}

static void server_of_another_host(void **state)
{
    struct setup *setup = *state;
    setup_listen_on(setup, NULL, 0);
    setup_connect_to(setup,
                     &(struct stream_target){
                         .host = "127.0.0.2", .port = setup->port, .server_name = SERVER_NAME},
                     setup->client);
    UNTIL(setup, setup->near.closed);
    assert_int_equal(setup->near.opened, 0);
    assert_int_equal(setup->near.reason.code, -EACCES);
    UNTIL(setup, setup->refused);
    assert_int_equal(setup->refusal, TLS_PEER_REFUSED);
}

/* The server shows `certificate`, which is freed. */
static void server_with(struct setup *setup, struct certificate *certificate)
{
    struct error error;
    tls_domain_free(setup->domain);
    assert_int_equal(tls_domain_new(certificate, deployment()->authority, &setup->domain, &error),
                     0);
    certificate_free(certificate);
    server_refused(setup, "127.0.0.1", SERVER_IDENTITY);
    UNTIL(setup, setup->refused);
    assert_int_equal(setup->refusal, TLS_PEER_REFUSED);
}

static void server_of_another_authority(void **state)
{
    struct error error;
    struct certificate *certificate;
    time_t now = time(NULL);
    const struct certificate_subject subject = {.name = "server",
                                                .identity = SERVER_IDENTITY,
                                                .use = CERTIFICATE_SERVER,
                                                .from = now - 10,
                                                .until = now + 1000};
    assert_int_equal(certificate_issue(deployment()->stranger, &subject, &certificate, &error), 0);
    server_with(*state, certificate);
}

/* A worker that plays the coordinator. */
static void server_with_a_clients_certificate(void **state)
{
    server_with(*state, client_certificate(deployment()->authority, SERVER_IDENTITY, -10, 1000));
}

/* ---- others that dial ---------------------------------------------------------------------- */

/* A peer of OpenSSL's own making, or of no making at all, on a thread of its own. */
struct outsider {
    pthread_t thread;
    uint16_t port;
    const char *server_name;
    bool certificate, old;
    const char *words; /* sent as they are, instead of TLS */
    bool done, finished;
};

static int dial(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        abort();
    return fd;
}

static void speak_tls(struct outsider *outsider, int fd)
{
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    if (outsider->old)
        SSL_CTX_set_max_proto_version(context, TLS1_2_VERSION);
    if (outsider->certificate) {
        SSL_CTX_use_certificate(context, deployment()->client.own->x509);
        SSL_CTX_use_PrivateKey(context, deployment()->client.own->key);
    }
    SSL *ssl = SSL_new(context);
    if (outsider->server_name)
        SSL_set_tlsext_host_name(ssl, outsider->server_name);
    SSL_set_fd(ssl, fd);
    char byte;
    outsider->finished = SSL_connect(ssl) == 1 && SSL_read(ssl, &byte, 1) == 1;
    SSL_free(ssl);
    SSL_CTX_free(context);
}

static void *be_outside(void *opaque)
{
    struct outsider *outsider = opaque;
    int fd = dial(outsider->port);
    char bytes[256];
    if (!outsider->words) {
        speak_tls(outsider, fd);
    } else if (*outsider->words) {
        ssize_t size = (ssize_t)strlen(outsider->words);
        if (send(fd, outsider->words, (size_t)size, MSG_NOSIGNAL) != size)
            abort();
        while (recv(fd, bytes, sizeof bytes, 0) > 0)
            ;
    }
    close(fd);
    ERR_clear_error();
    OPENSSL_thread_stop();
    __atomic_store_n(&outsider->done, true, __ATOMIC_RELEASE);
    return NULL;
}

static void outsider_refused(struct setup *setup, struct outsider outsider,
                             enum tls_refusal refusal)
{
    setup_listen(setup);
    outsider.port = setup->port;
    assert_int_equal(pthread_create(&outsider.thread, NULL, be_outside, &outsider), 0);
    expect_refusal(setup, refusal);
    UNTIL(setup, __atomic_load_n(&outsider.done, __ATOMIC_ACQUIRE));
    pthread_join(outsider.thread, NULL);
    assert_false(outsider.finished);
}

static void no_certificate(void **state)
{
    outsider_refused(*state, (struct outsider){.server_name = SERVER_NAME}, TLS_NO_CERTIFICATE);
}

static void no_server_name(void **state)
{
    outsider_refused(*state, (struct outsider){.certificate = true}, TLS_UNKNOWN_NAME);
}

static void old_version(void **state)
{
    outsider_refused(
        *state, (struct outsider){.server_name = SERVER_NAME, .certificate = true, .old = true},
        TLS_OLD_VERSION);
}

static void another_protocol(void **state)
{
    outsider_refused(*state, (struct outsider){.words = "GET / HTTP/1.1\r\n\r\n"}, TLS_NOT_TLS);
}

static void garbage(void **state)
{
    char words[300] = "\x16\x03\x01\x01\x01\x01";
    memset(words + 6, 'x', sizeof words - 7);
    outsider_refused(*state, (struct outsider){.words = words}, TLS_NOT_TLS);
}

static void gone_at_once(void **state)
{
    outsider_refused(*state, (struct outsider){.words = ""}, TLS_GONE);
}

/* An oversized record: its length says more than TLS allows. */
static void oversized_record(void **state)
{
    outsider_refused(*state, (struct outsider){.words = "\x16\x03\x01\xff\xff\x01\x01\x01\x01"},
                     TLS_NOT_TLS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(both_know_each_other),
        NET_TEST(identity_instead_of_host),
        NET_TEST(domain_may_go_once_they_met),
        NET_TEST(another_authoritys_certificate),
        NET_TEST(expired),
        NET_TEST(not_yet_valid),
        NET_TEST(without_identity),
        NET_TEST(for_servers_only),
        NET_TEST(unknown_server_name),
        NET_TEST(server_of_another_identity),
        NET_TEST(server_of_another_host),
        NET_TEST(server_of_another_authority),
        NET_TEST(server_with_a_clients_certificate),
        NET_TEST(no_certificate),
        NET_TEST(no_server_name),
        NET_TEST(old_version),
        NET_TEST(another_protocol),
        NET_TEST(garbage),
        NET_TEST(gone_at_once),
        NET_TEST(oversized_record),
    };
    time_limit(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
