/* Certificates, bare clients, and servers in processes of their own, for the benchmarks. */
#include <arpa/inet.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "net/identity.h"
#include "tls.h"

struct credentials server_keys, client_keys;

/* ---- certificates -------------------------------------------------------------------------- */

struct certificate *bench_certificate(const struct certificate *authority, const char *identity,
                                      unsigned use)
{
    static const char *const hosts[] = {"127.0.0.1", NULL};
    struct certificate *made;
    struct error error;
    time_t now = time(NULL);
    const struct certificate_subject subject = {.name = "bench",
                                                .identity = identity,
                                                .hosts = use & CERTIFICATE_SERVER ? hosts : NULL,
                                                .use = use,
                                                .from = now - 3600,
                                                .until = now + 86400};
    int result = authority ? certificate_issue(authority, &subject, &made, &error)
                           : certificate_make_authority(&subject, &made, &error);
    MUST(result == 0);
    return made;
}

void make_keys(void)
{
    struct certificate *authority = bench_certificate(NULL, NULL, 0);
    server_keys.own = bench_certificate(authority, IDENTITY_COORDINATOR, CERTIFICATE_SERVER);
    client_keys.own = bench_certificate(authority, IDENTITY_SUBMITTER, CERTIFICATE_CLIENT);
    server_keys.authority = client_keys.authority = authority;
}

/* As the library's contexts are, so that the same work is compared. */
SSL_CTX *bare_context(const SSL_METHOD *method, const struct credentials *keys)
{
    SSL_CTX *context = SSL_CTX_new(method);
    MUST(context && SSL_CTX_use_certificate(context, keys->own->x509) == 1);
    MUST(SSL_CTX_use_PrivateKey(context, keys->own->key) == 1);
    MUST(X509_STORE_add_cert(SSL_CTX_get_cert_store(context), keys->authority->x509) == 1);
    SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
    SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256");
    SSL_CTX_set_num_tickets(context, 0);
    SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    return context;
}

/* ---- bare clients -------------------------------------------------------------------------- */

SSL *bare_connect(SSL_CTX *context, uint16_t port, const char *name)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0);
    SSL *ssl = SSL_new(context);
    SSL_set_tlsext_host_name(ssl, name);
    SSL_set_fd(ssl, fd);
    MUST(SSL_connect(ssl) == 1);
    return ssl;
}

void bare_close(SSL *ssl)
{
    int fd = SSL_get_fd(ssl);
    SSL_shutdown(ssl);
    SSL_free(ssl);
    close(fd);
}

/* ---- measuring ----------------------------------------------------------------------------- */

void tell_port(int to, uint16_t port)
{
    MUST(write(to, &port, sizeof port) == sizeof port);
}

/* Serves in a process of its own; its port and later its report come through *from. */
uint16_t bench_start(bench_server *server, int *from)
{
    int ends[2];
    uint16_t port;
    fflush(stdout);
    MUST(pipe(ends) == 0);
    if (fork() == 0) {
        struct report report = {0};
        struct rusage usage;
        close(ends[0]);
        server(ends[1], &report);
        getrusage(RUSAGE_SELF, &usage);
        report.cpu = (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
        _exit(write(ends[1], &report, sizeof report) != sizeof report);
    }
    close(ends[1]);
    *from = ends[0];
    MUST(read(*from, &port, sizeof port) == sizeof port);
    return port;
}

struct report bench_finish(int from)
{
    struct report report;
    MUST(read(from, &report, sizeof report) == sizeof report);
    close(from);
    wait(NULL);
    return report;
}
