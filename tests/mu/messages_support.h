/*
 * What the tests of messages share: a deployment with one or two rendezvous, jobs with authorities of their
 * own, and workers with a messenger and a scratch folder each. Everything in one process and on one loop, but
 * over real TLS. Each test ends with everything closed.
 */
#ifndef TESTS_MU_MESSAGES_SUPPORT_H
#define TESTS_MU_MESSAGES_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mu/messenger.h"
#include "mu/rendezvous.h"

enum { SERVERS = 2, JOBS = 2, WORKERS = 4 };

struct worker {
    struct world *world;
    struct tls_client *client;
    struct messenger *messenger; /* NULL until worker_join() */
    char folder_path[64];
    int folder;
    int clashes, broken;
    int base; /* a file that is given out as whatever is asked for; -1 */
};

/* What came of a receive. */
struct receipt {
    struct messenger_receive *receive; /* NULL once it is done */
    int done;
    struct store_identity identity;
    struct error error;
};

struct world {
    uv_loop_t loop;
    uv_timer_t tick;
    struct network *network;
    struct rendezvous *servers[SERVERS];
    uint16_t ports[SERVERS];
    struct rendezvous_options options; /* of the servers; to be set before world_serve() */
    struct worker workers[JOBS][WORKERS];
    bool encoding; /* to be set before worker_join(): messages may go otherwise than they are, */
    double speed;  /* as struct messenger_options has it */
    int notes;
    char note[512]; /* the last */
    int descriptors;
};

int world_set_up(void **state);
int world_tear_down(void **state);
#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_set_up, world_tear_down)

/* Starts a rendezvous, at the port it had before if it was there, and registers both jobs. */
void world_serve(struct world *world, int server);
/* Ends it at once, as if it were killed. */
void world_kill(struct world *world, int server);
/* What a worker dials with, its certificate valid for so many seconds; the caller frees it. */
struct tls_client *world_client(int job, int worker, int until);
/* The same for somebody of the deployment. */
struct tls_client *world_deployment_client(const char *identity);
const struct certificate *world_job_authority(int job);

/* A worker with its connection; `servers` of them are in its list. */
struct worker *worker_join(struct world *world, int job, int number, int servers);
/* The bytes that `seed` stands for; freed by the caller. */
uint8_t *message_bytes(size_t size, uint32_t seed);
struct store_identity message_identity(const uint8_t *bytes, size_t size);
/* Sends them. */
struct messenger_send *worker_send(struct worker *worker, const char *from, const char *to,
                                   const char *name, size_t size, uint32_t seed);
/* Sends these bytes, maybe as a difference to a `base` (NULL: not) of the same length. */
struct messenger_send *worker_send_bytes(struct worker *worker, const struct label *label,
                                         const uint8_t *bytes, size_t size, const uint8_t *base);
/* A file with these bytes. */
int worker_file(struct worker *worker, const uint8_t *bytes, size_t size);
void worker_receive(struct worker *worker, const char *from, const char *to, const char *name,
                    struct receipt *receipt);
/* Fails where the file that was received is not of these bytes; and removes it. */
void worker_check(struct worker *worker, const char *from, const char *to, const char *name,
                  size_t size, uint32_t seed);

#define UNTIL(world, condition)                                                                    \
    do {                                                                                           \
        while (!(condition))                                                                       \
            uv_run(&(world)->loop, UV_RUN_ONCE);                                                   \
    } while (0)
void world_run(struct world *world, unsigned milliseconds);

#endif
