/* The parts of a coordinator. */
#ifndef MU_COORDINATOR_PRIVATE_H
#define MU_COORDINATOR_PRIVATE_H

#include "mu/coordinator.h"
#include "mu/journal.h"
#include "mu/rendezvous.h"
#include "mu/wire.h"
#include "net/certificate.h"
#include "net/list.h"
#include "net/stream.h"
#include "store/store.h"

enum {
    COORDINATOR_TICK_MS = 50,
    COORDINATOR_TOKEN = 32, /* bytes */
    COORDINATOR_SILENT = 4, /* heartbeats without a word, and the other side is dead */
};

/* A worker that was started. */
struct member {
    struct coordinator *coordinator;
    struct list_link link;
    uint32_t worker;
    uint8_t token[COORDINATOR_TOKEN];
    bool joined;             /* the ledger has it */
    bool gone;               /* its process has ended */
    struct session *session; /* NULL while there is none */
    uint64_t away_at;        /* since when */
};

/* A connection, not necessarily a worker's yet. */
struct session {
    struct coordinator *coordinator;
    struct list_link link;
    struct channel *channel;
    struct member *member; /* NULL until it has said hello */
    uint64_t since, spoke_at;
    bool suspect;
};

/* What is removed when the journal is safe: a key, or a prefix where it ends with '/'. */
struct cleanup {
    struct list_link link;
    char key[STORE_KEY_SIZE];
};

struct coordinator {
    uv_loop_t *loop;
    struct coordinator_options options;
    char *digest, *build, *scratch, *host, *store_place;
    char job[SHA256_HEX_SIZE]; /* its name, made when it began */
    struct ledger *ledger;
    struct network *network;
    struct store *store;
    struct journal *journal;
    struct engine *engine;
    struct rendezvous *rendezvous;
    uint64_t epoch;

    struct certificate *authority;
    struct credentials own; /* of the servers */
    struct tls_domain *domain;
    struct tls_server *server;
    struct listener *listener;

    struct list_link members, sessions;
    uint32_t workers_made;
    char *facts; /* of the first worker that came: all are the same */
    uv_timer_t tick;
    bool ticking;

    /* what must be safe: coordinator_record.c */
    struct list_link cleanups, safe_cleanups; /* the latter wait for the sync under way */
    bool unsafe, syncing, known;              /* known: the journal was not empty */
    int operations;                           /* of the store, under way */
    int inputs, outputs;                      /* that were brought */
    bool ready;                               /* inputs are there */
    bool delivering;                          /* outputs are on their way */
    bool recorded;                            /* that it is done */

    bool ending;
    uint64_t end_at;      /* workers that are there still are killed then */
    int open;             /* that must be closed until it is freed */
    struct error failure; /* code 0: none */
};

/* coordinator.c */
void coordinator_fail(struct coordinator *coordinator, const struct error *failure);
/* Carries out what the ledger orders; after each happening. */
void coordinator_go_on(struct coordinator *coordinator);
int64_t coordinator_now(const struct coordinator *coordinator);
void coordinator_note(struct coordinator *coordinator, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* coordinator_crew.c */
int crew_make_keys(struct coordinator *coordinator, struct error *error);
int crew_rendezvous_keys(struct coordinator *coordinator, struct credentials *credentials,
                         struct error *error);
/* How many run. */
int crew_count(const struct coordinator *coordinator);
/* Starts workers until there are as many as wanted. */
void crew_fill(struct coordinator *coordinator);
void crew_ended(void *opaque, uint32_t worker, const char *how);
void crew_tick(struct coordinator *coordinator, uint64_t now);
struct member *crew_find(struct coordinator *coordinator, uint32_t worker);
void crew_free(struct coordinator *coordinator);

/* coordinator_session.c */
extern const struct listener_handlers session_listener;
void session_say(struct coordinator *coordinator, uint32_t worker, const Mu__Envelope *envelope);
void sessions_tick(struct coordinator *coordinator, uint64_t now);
void sessions_dismiss(struct coordinator *coordinator);

/* coordinator_order.c */
void order_carry_out(struct coordinator *coordinator, const struct ledger_order *order);

/* coordinator_record.c */
int record_open(struct coordinator *coordinator, struct error *error);
void record_order(struct coordinator *coordinator, const struct ledger_order *order);
/* Removes what it says once all that was recorded is safe. */
void record_cleanup(struct coordinator *coordinator, const char *key);
void record_sync(struct coordinator *coordinator);
void record_finished(struct coordinator *coordinator);

/* coordinator_transfer.c */
void transfer_inputs(struct coordinator *coordinator);
void transfer_outputs(struct coordinator *coordinator);

/* Of a store operation that has called back: goes on with ending. */
void coordinator_operation_ended(struct coordinator *coordinator);

#endif
