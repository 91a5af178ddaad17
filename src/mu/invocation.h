/*
 * What a worker is told when it is started: one JSON document, from a file that nobody else may read, or
 * from standard input; never from arguments or an environment, which others can see. It holds the private
 * key of the worker's certificate.
 *
 *     {
 *         "format": 1,
 *         "build": "4c1f...",              identifies the program's sources: a worker of others ends at once
 *         "job": "7", "worker": 12,
 *         "token": "9b02...",              of the session, in hexadecimal digits
 *         "coordinator": {"host": "::1", "port": 4433},
 *         "rendezvous": [{"host": "127.0.0.1", "port": 4434}],
 *         "credentials": "-----BEGIN ...", as credentials_write() makes them
 *         "store": "/srv/objects",
 *         "scratch": "/tmp",               a folder that is there, as an absolute path
 *         "slots": 4,                      commands at once
 *         "patience_ms": 300000,           how long it waits for a coordinator that is gone (optional)
 *         "life_ms": 900000,               until it is ended from outside, as engines do (optional)
 *         "keep": "/home/me/kept"          a folder that is there, as an absolute path: where an actor's files
 *                                          go when it has ended well, in one named after it (optional)
 *     }
 *
 * The servers' certificates are the authority's, and have the identities of net/identity.h.
 */
#ifndef MU_INVOCATION_H
#define MU_INVOCATION_H

#include <stddef.h>
#include <stdint.h>

#include "net/certificate.h"
#include "util/error.h"

enum {
    INVOCATION_MOST_BYTES = 256 * 1024,
    INVOCATION_MOST_RENDEZVOUS = 64,
    INVOCATION_MOST_SLOTS = 1024,
    INVOCATION_MOST_TOKEN = 64, /* bytes; at least 16 */
    INVOCATION_PATIENCE_MS = 300000,
};

struct invocation_place {
    char *host;
    uint16_t port;
};

struct invocation {
    char *build; /* 1 to 128 characters */
    char *job;   /* a name, docs/job-format.md */
    uint32_t worker;
    uint8_t token[INVOCATION_MOST_TOKEN];
    size_t token_size;
    struct invocation_place coordinator;
    struct invocation_place *rendezvous; /* [rendezvous_count], in the order of mapping */
    size_t rendezvous_count;
    struct credentials credentials; /* the worker's own, and the authority of the servers */
    char *store, *scratch;
    char *keep; /* NULL: files go when an actor ends */
    uint32_t slots;
    uint64_t patience_ms;
    uint64_t life_ms; /* from now on; 0: no limit */
};

/* Reads a document. -EINVAL with a reason where anything is not as above, -ENOMEM. On failure
 * `invocation` is empty. Nothing of the document is ever part of a message but names of members. */
int invocation_read(const char *text, size_t size, struct invocation *invocation,
                    struct error *error);
/* Reads it from a file of mode 0600 (or less) that belongs to the user, or from standard input where
 * `path` is "-". -EACCES where others may read it. */
int invocation_load(const char *path, struct invocation *invocation, struct error *error);
/* Makes the document, checked as when reading; forget it with certificate_forget(). */
int invocation_write(const struct invocation *invocation, char **text, struct error *error);
/* Leaves it empty. Not for one whose strings are the caller's. */
void invocation_release(struct invocation *invocation);

#endif
