/* What the parts of bench_tls share. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <stdio.h>
#include <stdlib.h>

#include "net/tls.h"

enum {
    HANDSHAKES = 2000,
    RELAY_BYTES = 1 << 30,
    MESSAGES = 1000000,
    MESSAGE = 100,
    IDLE = 4000,
};

#define MUST(condition)                                                                            \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "bench_tls: line %d: not so: %s\n", __LINE__, #condition);             \
            exit(EXIT_FAILURE);                                                                    \
        }                                                                                          \
    } while (0)

/* What a server's process has to say when it is done. */
struct report {
    double cpu;     /* seconds */
    double bytes;   /* of memory, for each connection */
    double longest; /* nanoseconds of handshakes in one turn of the loop */
};

/* A server: writes its port to `to`, serves, and returns when all of its clients are gone. */
typedef void bench_server(int to, struct report *report);

extern struct credentials server_keys, client_keys;

void tell_port(int to, uint16_t port);
/* A context for blocking sockets, for SSL_METHOD of either side. */
SSL_CTX *bare_context(const SSL_METHOD *method, const struct credentials *keys);
void bare_close(SSL *ssl);

/* Bare OpenSSL calls. */
bench_server bare_handshakes, bare_relay;
/* Our streams. */
bench_server stream_handshakes, stream_relay, stream_messages, stream_idle;

#endif
