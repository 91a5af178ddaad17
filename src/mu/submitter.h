/*
 * The side of those who hand in jobs: a connection to a coordinator, on which one question is asked after the
 * other (docs/protocol.md). A connection that is lost is dialled again, and the question asked again, until
 * the coordinator has been gone for too long.
 *
 * On a libuv loop, used from its thread alone. No handler is called from inside a function of this header;
 * all functions may be called from inside any handler.
 */
#ifndef MU_SUBMITTER_H
#define MU_SUBMITTER_H

#include "mu/wire.h"
#include "util/error.h"

struct submitter;

struct submitter_handlers {
    /* What was asked for is answered, or the next of a flow of answers. */
    void (*answered)(void *opaque, const Mu__Envelope *answer);
    /* The connection is gone, and dialled again. May be NULL. */
    void (*lost)(void *opaque, const struct error *reason);
    /* For good: -EPERM with the reason of a refusal, -ETIMEDOUT where the coordinator is gone. The submitter
     * is to be freed. */
    void (*failed)(void *opaque, const struct error *reason);
};

struct submitter_options {
    const char *host; /* name or address */
    uint16_t port;
    const struct credentials *credentials; /* of the deployment, for those who hand in jobs */
    const char *build;                     /* of the program: the coordinator must have the same */
    unsigned patience_ms;                  /* for a coordinator that is gone; 0: 20 s */
    const struct submitter_handlers *handlers;
    void *opaque;
};

/* Dials; all is copied. -ENOMEM, -EINVAL. */
int submitter_new(struct network *network, const struct submitter_options *options,
                  struct submitter **submitter, struct error *error);
/* Closes without a call; the memory is freed by the loop's running on. NULL is allowed. */
void submitter_free(struct submitter *submitter);
/* Asks, in place of what was asked before. -ENOMEM, -EMSGSIZE where it is longer than an envelope may be. */
int submitter_ask(struct submitter *submitter, const Mu__Envelope *question, struct error *error);

#endif
