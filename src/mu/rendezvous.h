/*
 * The rendezvous: a server that workers dial to hand messages to one another (docs/protocol.md). It relays
 * what comes to those who wait for it, and holds it, as a cache: in memory up to a limit, behind that in a
 * file up to another. It looks at no message's content and checks no sum: the ends do.
 *
 * The truth is in the job's store, whence a receiver gets what it does not get here. So when room is short,
 * messages go: first those that were delivered, in that order, before anything is written to the file; when
 * the file is full, too, those that nobody has asked for yet.
 *
 * On a libuv loop, used from its thread alone. It runs by itself in `excamera rendezvous`, or inside of
 * whoever makes one and registers jobs by calls.
 */
#ifndef MU_RENDEZVOUS_H
#define MU_RENDEZVOUS_H

#include <stdbool.h>
#include <stdint.h>

#include "net/stream.h"
#include "util/error.h"

enum { RENDEZVOUS_NAME_SIZE = 128 };
/* Writes the server name of a job, as docs/protocol.md has it; false where the job's own name is not 1 to WIRE_NAME_MOST characters of
 * [A-Za-z0-9._-]. */
bool rendezvous_job_name(char name[RENDEZVOUS_NAME_SIZE], const char *job);

struct rendezvous_options {
    const char *host;               /* as in struct listener_options */
    uint16_t port;                  /* 0 for any that is free */
    struct credentials credentials; /* the server's; the authority is the controllers'. Shared. */
    size_t memory;                  /* for messages; 0: 1 GiB */
    const char *spill;              /* folder of the file behind that; NULL: /var/tmp */
    uint64_t spill_most;            /* the longest that it may be, in bytes; 0: 16 GiB */
    unsigned heartbeat_ms;          /* 0: 5000 */
    /* One sentence for people about a connection that was refused or cut off. May be NULL. */
    void (*note)(void *opaque, const char *sentence);
    void *opaque;
};

struct rendezvous_counters {
    uint64_t connections;      /* workers and controllers that were welcomed */
    uint64_t refused;          /* handshakes that failed */
    uint64_t cut_off;          /* connections that did what they may not */
    uint64_t offers, repeated; /* messages offered; those that were there already */
    uint64_t clashes;          /* offered with another identity than before */
    uint64_t received, sent;   /* bytes of messages */
    uint64_t stray;            /* pieces that came for transfers which were over */
    uint64_t messages;         /* known now */
    uint64_t dropped;          /* whose bytes are not held any more */
    uint64_t jobs;             /* registered now */
    uint64_t memory, memory_peak, file, file_peak; /* bytes of messages, see mu/spill.h */
};

struct rendezvous;

/* Listens. Errors are those of listener_open(), and -ENOMEM. */
int rendezvous_new(struct network *network, const struct rendezvous_options *options,
                   struct rendezvous **rendezvous, struct error *error);
uint16_t rendezvous_port(const struct rendezvous *rendezvous);
/* Valid until the next call. */
const struct rendezvous_counters *rendezvous_counters(struct rendezvous *rendezvous);

/* Lets the job's workers in, whose certificates `ca` has signed. Again with the same CA changes nothing;
 * with another one: -EEXIST. -EINVAL for a name that cannot be. */
int rendezvous_register(struct rendezvous *rendezvous, const char *job,
                        const struct certificate *ca, struct error *error);
/* Ends the job's connections and forgets its messages. Unknown jobs are no error, here and below. */
void rendezvous_unregister(struct rendezvous *rendezvous, const char *job);
/* Forgets the messages to an actor. */
void rendezvous_forget(struct rendezvous *rendezvous, const char *job, const char *actor);

/* Accepts nobody any more, lets what is on its way arrive (10 s at most), closes all connections, then
 * calls `done`, in which or after which rendezvous_free() is to be called. */
void rendezvous_drain(struct rendezvous *rendezvous, void (*done)(void *opaque), void *opaque);
/* Closes everything at once; the memory is freed by the loop's running on. NULL is allowed. Not from inside
 * of `note`. */
void rendezvous_free(struct rendezvous *rendezvous);

#endif
