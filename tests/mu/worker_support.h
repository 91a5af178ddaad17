/*
 * A coordinator small enough for a test, which speaks the real protocol over TLS on loopback, and a real
 * worker process. It keeps what the worker says until a test asks for it.
 */
#ifndef TESTS_WORKER_SUPPORT_H
#define TESTS_WORKER_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "mu/invocation.h"
#include "mu/messenger.h"
#include "mu/rendezvous.h"
#include "mu/wire.h"
#include "net/channel.h"
#include "net/list.h"

#define JOB "film-7"

struct farm {
    uv_loop_t loop;
    uv_timer_t tick;
    struct network *network;
    struct certificate *authority, *job_authority, *own;
    struct tls_domain *domain;
    struct tls_server *server;
    struct listener *listener;
    struct rendezvous *rendezvous;
    struct tls_client *neighbour; /* of farm_neighbour() */
    char folder[64];              /* holds "store", "scratch" and "invocation.json" */
    struct invocation invocation;

    /* the worker's process */
    uv_process_t process;
    bool running;
    int pid;
    int64_t status;
    int signal;

    /* its connection */
    struct channel *channel;
    bool welcome, silent; /* whether to answer a hello; to send nothing else */
    char *refuse;         /* answer a hello with this */
    uint64_t epoch;
    uint32_t heartbeat_ms;
    int hellos;
    struct list_link said; /* struct said: without hellos and heartbeats */
    Mu__Envelope *hello;   /* the last one */
};

int farm_set_up(void **state);
int farm_tear_down(void **state);
#define FARM_TEST(name) cmocka_unit_test_setup_teardown(name, farm_set_up, farm_tear_down)

#define UNTIL(farm, condition)                                                                     \
    do {                                                                                           \
        while (!(condition))                                                                       \
            uv_run(&(farm)->loop, UV_RUN_ONCE);                                                    \
    } while (0)

void farm_run(struct farm *farm, unsigned milliseconds);
/* Another worker's messenger, of the test itself, with a connection of this speed; for messenger_free() before
 * the test's end. */
struct messenger *farm_neighbour(struct farm *farm, double speed);
/* Writes the invocation and starts a worker that reads it; waits until it is welcome. */
void farm_start(struct farm *farm);
/* The same without waiting. */
void farm_launch(struct farm *farm);
/* Dismisses the worker, and waits for its end: status 0. */
void farm_dismiss(struct farm *farm);
/* Waits for the worker's process to end, and looks whether anything is left of it. */
void farm_expect_end(struct farm *farm);
/* Ends the connection without a word. */
void farm_cut(struct farm *farm);
/* Accepts nobody from now on; and again, at the same port. */
void farm_stop_listening(struct farm *farm);
void farm_listen(struct farm *farm);

void farm_send(struct farm *farm, const Mu__Envelope *envelope);

/* What a request has, filled from names; the rest is set by the test. */
struct call {
    const char *actor;
    uint32_t attempt;
    uint64_t request;
    uint32_t timeout_ms, priority;
};

void ask_get(struct farm *farm, struct call call, const char *key, const char *file);
void ask_put(struct farm *farm, struct call call, const char *file, const char *key);
void ask_read(struct farm *farm, struct call call, const char *file, uint32_t limit);
void ask_send(struct farm *farm, struct call call, const char *to, const char *name,
              const char *file, const char *text);
void ask_receive(struct farm *farm, struct call call, const char *from, const char *name,
                 const char *file);
void ask_quit(struct farm *farm, struct call call);
/* Runs `sh -c script`; `point` may be NULL. */
void ask_sh(struct farm *farm, struct call call, const char *script, const char *point);
void ask_run(struct farm *farm, struct call call, const char *const *argv, size_t words,
             const char *point);
void farm_drop(struct farm *farm, const char *actor, uint32_t attempt);
void farm_acknowledge(struct farm *farm, struct call call);

/* Waits for the outcome and acknowledges it; valid until the test's end. */
const Mu__Outcome *farm_outcome(struct farm *farm, struct call call);
/* Waits for an envelope of this kind and takes it out; valid until the test's end. */
const Mu__Envelope *farm_take(struct farm *farm, Mu__Envelope__BodyCase body);
/* Whether one of this kind has come, and is not taken out. */
bool farm_said(struct farm *farm, Mu__Envelope__BodyCase body);
/* Waits for the outcome, which must be good. */
void farm_expect_ok(struct farm *farm, struct call call);

/* A file in the farm's folder. */
void farm_write(struct farm *farm, const char *path, const char *text);
/* Its content, at most 4095 bytes; "" where there is none. Valid until the next call. */
const char *farm_read(struct farm *farm, const char *path);
bool farm_exists(struct farm *farm, const char *path);
/* Entries in a folder of the farm's. */
int farm_entries(struct farm *farm, const char *path);
/* Processes that the worker's slots have started, themselves among them. */
int farm_slot_processes(struct farm *farm);
/* Descriptors that the worker has open. */
int farm_worker_descriptors(struct farm *farm);

#endif
