/* What the benchmarks share. */
#ifndef BENCH_TLS_H
#define BENCH_TLS_H

#include <stdio.h>
#include <stdlib.h>

#include "must.h"
#include "net/tls.h"

enum {
    HANDSHAKES = 2000,
    RELAY_BYTES = 1 << 30,
    MESSAGES = 1000000,
    MESSAGE = 100,
    IDLE = 4000,
};

/* What a server's process has to say when it is done. */
struct report {
    double cpu;     /* seconds */
    double bytes;   /* of memory, for each connection */
    double longest; /* nanoseconds of handshakes in one turn of the loop */
};

/* A server: writes its port to `to`, serves, and returns when all of its clients are gone. */
typedef void bench_server(int to, struct report *report);

extern struct credentials server_keys, client_keys;

/* Makes both keys, of one authority. */
void make_keys(void);
/* A certificate from `authority`; NULL: an authority. `use` as in net/certificate.h. */
struct certificate *bench_certificate(const struct certificate *authority, const char *identity,
                                      unsigned use);

/* Runs the server in a process of its own; its port is returned, its report comes through *from. */
uint16_t bench_start(bench_server *server, int *from);
struct report bench_finish(int from);

void tell_port(int to, uint16_t port);
/* A context for blocking sockets, for SSL_METHOD of either side. */
SSL_CTX *bare_context(const SSL_METHOD *method, const struct credentials *keys);
/* Dials, as the server name. */
SSL *bare_connect(SSL_CTX *context, uint16_t port, const char *name);
void bare_close(SSL *ssl);
/* Listens at a port that is free. */
int bare_listen(uint16_t *port);
/* Takes the next one who dials, handshake and all. */
SSL *bare_accept(SSL_CTX *context, int listening);

/* Bare OpenSSL calls. */
bench_server bare_handshakes, bare_relay;
/* Our streams. */
bench_server stream_handshakes, stream_relay, stream_messages, stream_idle;

#endif
