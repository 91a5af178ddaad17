/*
 * A coordinator in a process of its own, with a job that two real workers do, for tests that dial it with
 * whatever they like: connections here are bare sockets and bare OpenSSL calls that block.
 */
#ifndef TESTS_HOSTILE_SUPPORT_H
#define TESTS_HOSTILE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/ssl.h>
#include <stdatomic.h>
#include <sys/types.h>

#include "mu/invocation.h"
#include "mu/wire.h"

enum { SITE_WORKERS = 2, SITE_DOCUMENT = 16384 };

/* What the coordinator's process tells, in memory that both see. */
struct told {
    _Atomic bool ready;           /* the documents are there */
    _Atomic int refused;          /* connections, in the handshake or at their hello */
    char facts[256];              /* of the job's workers */
    char document[SITE_DOCUMENT]; /* of a worker of the job that was never started */
    char stranger[SITE_DOCUMENT]; /* of a worker of another job of the same coordinator */
};

struct site {
    char folder[64];
    struct told *told;
    pid_t server;
    /* A worker of the job that never came, and one of another job. */
    struct invocation invocation, stranger;
};

int site_set_up(void **state);
int site_tear_down(void **state);
#define SITE_TEST(name) cmocka_unit_test_setup_teardown(name, site_set_up, site_tear_down)

/* Lets the job's commands end, and waits until the job is done as it should be. */
void site_finish(struct site *site);
/* The hard limit of files that a process has open, of which the coordinator begins with 256. */
unsigned long site_most_files(void);
/* Anonymous memory of the coordinator, in bytes. */
double site_memory(const struct site *site);

/* ---- dialling ------------------------------------------------------------------------------- */

/* A connection to `port`, on which nothing was said; reads fail after a minute. */
int site_dial(uint16_t port);
/* The job's name as those who dial say it. */
void site_server_name(const struct invocation *invocation, char name[128]);
/* Shakes hands as `credentials`, which may be NULL for none, naming `server_name`. NULL where that fails. */
SSL *site_connect(uint16_t port, const struct credentials *credentials, const char *server_name);
void site_hang_up(SSL *ssl);
/* Credentials of a worker that were valid until an hour ago; to be released. */
void site_expired(struct site *site, struct credentials *credentials);

/* Reads until the other side ends the connection: whether it did, and did not say welcome. */
bool site_is_cut(SSL *ssl);
/* Whether the other side has ended a connection without TLS. */
bool site_is_closed(int fd);

void site_say(SSL *ssl, const Mu__Envelope *envelope);
/* The hello of the worker that never came, its token changed by `wrong`. */
void site_hello(const struct site *site, SSL *ssl, uint8_t wrong);
/* Reads until an envelope with this body comes; to be freed. Others are passed over. */
Mu__Envelope *site_await(SSL *ssl, Mu__Envelope__BodyCase body);
/* Waits for the welcome. */
void site_await_welcome(SSL *ssl);

#endif
