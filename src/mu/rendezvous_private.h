/*
 * What the parts of the rendezvous share. A connection has transfers, each of which is an offer of a
 * message or a subscription to it:
 *
 *     connection --transfers (by id)--> transfer --> message <-- offers, subscribers -- transfer
 *                                                       |
 *     job --messages (by label)-------------------------+
 */
#ifndef MU_RENDEZVOUS_PRIVATE_H
#define MU_RENDEZVOUS_PRIVATE_H

#include "mu/encoding.h"
#include "mu/hash_table.h"
#include "mu/label.h"
#include "mu/rendezvous.h"
#include "mu/spill.h"
#include "net/channel.h"
#include "net/list.h"

enum {
    RENDEZVOUS_CREDIT = 1 << 20,         /* bytes of a transfer under way, docs/protocol.md */
    RENDEZVOUS_CREDIT_STEP = 1 << 19,    /* given back together */
    RENDEZVOUS_TRANSFERS_MOST = 1 << 14, /* of a connection */
    RENDEZVOUS_MESSAGES_MOST = 1 << 20,  /* of a job */
};

struct rendezvous {
    struct network *network;
    struct certificate *own;
    struct tls_server *tls;
    struct tls_domain *control; /* of controllers */
    struct listener *listener;
    struct spill *spill;
    unsigned heartbeat_ms;
    void (*note)(void *opaque, const char *sentence);
    void *note_opaque;
    struct rendezvous_counters counters;
    uint64_t epoch; /* the highest that a controller had */
    struct hash_table jobs;
    struct list_link delivered, unasked; /* messages that can be dropped, those to go first first */
    struct list_link connections;
    uv_timer_t timer; /* heartbeats; when draining, to look whether all is done */
    unsigned users;   /* connections and the timer: what keeps this struct */
    bool freed;
    bool draining, closing;
    uint64_t drain_until;
    void (*drained)(void *opaque);
    void *drained_opaque;
    uint8_t buffer[SPILL_BLOCK]; /* for what is read from the file */
};

struct job_room {
    struct rendezvous *rendezvous;
    struct hash_link link;
    char *name, *ca; /* the latter as PEM */
    bool own;        /* registered by a call, not by a controller */
    uint64_t epoch;  /* of the controller that has registered it last, */
    uint64_t by;     /* and its connection's number */
    struct tls_domain *domain;
    struct hash_table messages;
    struct list_link connections; /* by their member `of_job` */
};

enum connection_kind { CONNECTION_NEW, CONNECTION_WORKER, CONNECTION_CONTROL };

struct connection {
    struct rendezvous *rendezvous;
    struct job_room *job; /* NULL for controllers, and once the job is over */
    struct list_link all, of_job;
    struct channel *channel;
    enum connection_kind kind;
    uint32_t worker;
    uint64_t epoch;     /* of a controller */
    uint64_t number;    /* of a controller: no other one has the same */
    uint64_t opened_at; /* in the loop's milliseconds */
    struct hash_table transfers;
    struct list_link ready; /* subscriptions that have something to send and may, by `ready` */
    bool full;              /* the connection's queue is: wait for it to drain */
    bool over;              /* it is being closed: nothing that it says counts */
};

struct held_message {
    struct job_room *job;
    struct hash_link link; /* in job->messages, by label */
    struct label label;
    bool whole;                     /* beside it there is one for those who can take a difference */
    bool known;                     /* it was offered: what follows is valid */
    struct store_identity identity; /* unsummed: one sender has it, whose sum has not come yet */
    struct encoding encoding;       /* of the bytes that are here, or will be: body.total of them */
    struct spill_body body;
    struct list_link offers, subscribers; /* transfers, by `of_message` */
    bool delivered;                       /* somebody has had all of it */
    bool dropped;               /* its bytes were here, and are not any more: body.size is 0 */
    struct list_link droppable; /* in rendezvous->delivered or unasked */
};

struct transfer {
    struct connection *connection;
    struct held_message *message;
    struct hash_link link; /* in connection->transfers, by id */
    struct list_link of_message, ready;
    uint64_t id;
    bool offer;                     /* else a subscription */
    bool aside;                     /* of an offer: not wanted until somebody asks for it */
    bool wanted;                    /* of an offer: its bytes were asked for */
    struct store_identity identity; /* of an offer */
    struct encoding encoding;       /* of an offer */
    bool begun;                     /* of a subscription: Deliver was sent, */
    bool sum_due;                   /* without the sum */
    uint64_t position;              /* the message's byte that comes next */
    uint64_t credit;                /* bytes that may still come, or go */
    uint64_t owed;                  /* credit not given back yet */
};

/* ---- rendezvous.c -------------------------------------------------------------------------- */

/* Cuts the connection off, and says why to those who want to know. */
void rendezvous_connection_fail(struct connection *connection, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Tells those who want to know why the connection was refused or ended. */
void rendezvous_connection_note(struct connection *connection, const char *sentence);
/* Sends, unless the connection is over; one whose queue takes no more is cut off. */
void rendezvous_connection_send(struct connection *connection, const Mu__Envelope *envelope);
/* The job of this name, or NULL. */
struct job_room *rendezvous_job(struct rendezvous *rendezvous, const char *name);

/* ---- rendezvous_control.c: hello, and what controllers say ---------------------------------- */

void rendezvous_control_envelope(struct connection *connection, const Mu__Envelope *envelope);
/* What the channel's server name stands for; false for nothing. */
bool rendezvous_control_find_domain(struct rendezvous *rendezvous, const char *server_name,
                                    struct job_room **job);
/* Ends a job's connections and frees all that it has. */
void rendezvous_job_free(struct job_room *job);

/* ---- rendezvous_room.c --------------------------------------------------------------------- */

/* Whether all of the message's bytes and its sum have come; those of one that was dropped have to come again. */
bool rendezvous_complete(const struct held_message *message);
/* To be called whenever it may have become so, or not so any more, that the message can be dropped: that it
 * is complete, and goes to nobody. */
void rendezvous_reconsider(struct held_message *message);
/* Adds bytes that have come to the message. False where there is no room for them even when all was dropped
 * that can be: then the message is dropped itself. */
bool rendezvous_hold(struct held_message *message, const uint8_t *bytes, size_t size);
/* Frees the message's bytes and takes it out of all lists. */
void rendezvous_let_go(struct held_message *message);

/* ---- rendezvous_messages.c ------------------------------------------------------------------ */

void rendezvous_messages_offer(struct connection *connection, const Mu__Offer *offer);
void rendezvous_messages_subscribe(struct connection *connection, const Mu__Subscribe *subscribe);
void rendezvous_messages_sum(struct connection *connection, const Mu__Sum *sum);
void rendezvous_messages_unsubscribe(struct connection *connection, uint64_t id);
void rendezvous_messages_credit(struct connection *connection, const Mu__Credit *credit);
void rendezvous_messages_bulk(struct connection *connection, uint64_t id, const uint8_t *bytes,
                              size_t size);
/* Sends what is ready, as far as the connection's queue takes it. */
void rendezvous_messages_pump(struct connection *connection);
/* The connection is gone: so are its transfers. */
void rendezvous_messages_leave(struct connection *connection);
/* Forgets messages to `actor`, NULL for all. */
void rendezvous_messages_forget(struct job_room *job, const char *actor);
/* Whether something of the job's messages is on its way. */
bool rendezvous_messages_moving(struct job_room *job);

#endif
