/* The servers of bench_tls in bare OpenSSL calls on blocking sockets. */
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "tls.h"

int bare_listen(uint16_t *port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    MUST(bind(fd, (struct sockaddr *)&address, sizeof address) == 0 && listen(fd, 4096) == 0);
    MUST(getsockname(fd, (struct sockaddr *)&address, &size) == 0);
    *port = ntohs(address.sin_port);
    return fd;
}

SSL *bare_accept(SSL_CTX *context, int listening)
{
    int fd = accept(listening, NULL, NULL);
    SSL *ssl = SSL_new(context);
    SSL_set_fd(ssl, fd);
    MUST(SSL_accept(ssl) == 1);
    return ssl;
}

void bare_handshakes(int to, struct report *report)
{
    SSL_CTX *context = bare_context(TLS_server_method(), &server_keys);
    uint16_t port;
    char byte;
    int listening = bare_listen(&port);
    tell_port(to, port);
    for (int i = 0; i < HANDSHAKES; i++) {
        SSL *ssl = bare_accept(context, listening);
        MUST(SSL_read(ssl, &byte, 1) == 1 && SSL_write(ssl, &byte, 1) == 1);
        while (SSL_read(ssl, &byte, 1) > 0)
            ;
        bare_close(ssl);
    }
}

void bare_relay(int to, struct report *report)
{
    static char bytes[16384];
    SSL_CTX *context = bare_context(TLS_server_method(), &server_keys);
    uint16_t port;
    int listening = bare_listen(&port), size;
    tell_port(to, port);
    SSL *out = bare_accept(context, listening), *in = bare_accept(context, listening);
    while ((size = SSL_read(in, bytes, sizeof bytes)) > 0)
        MUST(SSL_write(out, bytes, size) == size);
    bare_close(out);
    bare_close(in);
}
