/*
 * What the tests of src/net share: a deployment's certificates, a server that listens on loopback, and
 * peers that remember what they are told. Each test ends with everything closed: the loop has nothing
 * left, and no descriptor stays open.
 */
#ifndef TESTS_NET_SUPPORT_H
#define TESTS_NET_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/channel.h"

#define SERVER_NAME "deployment.excamera.invalid"
#define SERVER_IDENTITY "excamera:coordinator"
#define CLIENT_IDENTITY "excamera:job/7/worker/12"

/* The deployment that tests live in; made once a process. */
struct deployment {
    struct certificate *authority, *stranger; /* the latter is another one's */
    struct credentials server, client;
};

const struct deployment *deployment(void);
/* A certificate from `authority` for a client of this identity (NULL for none), valid from so many
 * seconds after now to so many. */
struct certificate *client_certificate(const struct certificate *authority, const char *identity,
                                       int from, int until);

/* One end of a connection, and what it was told. */
struct peer {
    struct setup *setup;
    struct stream *stream; /* NULL once it is closed */
    int opened, ended, closed, drained;
    bool failed;         /* closed with a reason */
    struct error reason; /* where it failed */
    uint64_t received;   /* bytes */
    bool sound;          /* they followed the pattern of pattern_fill */
    /* What else to do, each may be NULL. */
    void (*on_opened)(struct peer *peer);
    /* Returns how many bytes to take. */
    size_t (*on_received)(struct peer *peer, const uint8_t *bytes, size_t size);
    void (*on_drained)(struct peer *peer);
    void (*on_ended)(struct peer *peer);
    void (*on_closed)(struct peer *peer);
    uint64_t sent;
};

extern const struct stream_handlers peer_handlers;

/* The byte at `position` of what peers send. */
uint8_t pattern_byte(uint64_t position);
void pattern_fill(uint8_t *bytes, uint64_t position, size_t size);

struct setup {
    uv_loop_t loop;
    uv_timer_t tick; /* so that waiting for something looks at it now and then */
    struct network *network;
    struct tls_domain *domain;
    struct tls_server *server;
    struct tls_client *client;
    struct listener *listener;
    uint16_t port;
    int descriptors; /* open before */

    struct stream_limits limits; /* of both ends, to be set before listening and connecting */
    struct peer near, far;       /* the one that dials, and the one that was accepted last */
    int accepted;
    int refused;
    enum tls_refusal refusal;
    struct error refusal_error;
};

int net_set_up(void **state);
int net_tear_down(void **state);
#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, net_set_up, net_tear_down)

/* Listens; `host` as in struct listener_options. */
void setup_listen_on(struct setup *setup, const char *host, unsigned handshakes);
void setup_listen(struct setup *setup);
/* Dials the listener, as setup->near. */
void setup_connect(struct setup *setup);
/* The same with another target or other credentials. */
void setup_connect_to(struct setup *setup, const struct stream_target *target,
                      struct tls_client *client);
/* Listens and connects, until both ends are open. */
void setup_pair(struct setup *setup);

/* Runs the loop until `condition` holds. */
#define UNTIL(setup, condition)                                                                    \
    do {                                                                                           \
        while (!(condition))                                                                       \
            uv_run(&(setup)->loop, UV_RUN_ONCE);                                                   \
    } while (0)

/* Runs the loop for so many milliseconds. */
void setup_run(struct setup *setup, unsigned milliseconds);
/* Descriptors that are open in this process. */
int open_descriptors(void);
/* Ends the process after so many seconds, or more under sanitizers and with XC_TESTS=all, since a test
 * that hangs has failed. */
void time_limit(unsigned seconds);

#endif
