/*
 * A coordinator's connection to a rendezvous that runs by itself: registers jobs there, and ends them
 * (docs/protocol.md). A connection that is lost is dialled again, with growing pauses; then all jobs are
 * registered again, and the rendezvous ends those that are not among them, so that nothing that is said
 * while there is no connection needs to be remembered.
 *
 * On a libuv loop, used from its thread alone. No handler is called from inside a function of this header;
 * all functions may be called from inside any handler.
 */
#ifndef MU_REGISTRAR_H
#define MU_REGISTRAR_H

#include <stdbool.h>
#include <stdint.h>

#include "net/stream.h"
#include "util/error.h"

struct registrar;

struct registrar_handlers {
    /* It knows all jobs. Again after each connection that was lost. May be NULL. */
    void (*ready)(void *opaque);
    /* It was gone for the whole of `lost_ms`, from the beginning or since it was ready: whoever waits for
     * messages by way of it is to be told of another one. It is dialled on, and `ready` may follow; once
     * for each time that it is gone. */
    void (*lost)(void *opaque, const struct error *reason);
    /* It does not obey this coordinator: a later one has been there, or it speaks another version. It is
     * not dialled again. */
    void (*refused)(void *opaque, const struct error *reason);
};

struct registrar_options {
    const char *host; /* name or address */
    uint16_t port;
    struct tls_client
        *client;       /* with the coordinator's certificate of the deployment; may be freed after
                                  registrar_free() */
    uint64_t epoch;    /* of the coordinator */
    const char *build; /* of the hello; NULL for "" */
    unsigned least_pause, most_pause; /* before dialling again, ms; 0: 100 and 5000 */
    unsigned lost_ms;                 /* 0: 30000 */
    const struct registrar_handlers *handlers;
    void *opaque;
};

/* All options are copied but `client`. Dials at once. -ENOMEM. */
int registrar_new(struct network *network, const struct registrar_options *options,
                  struct registrar **registrar, struct error *error);
/* Closes the connection, without a call; the rendezvous keeps the jobs. The memory is freed by the loop's
 * running on. NULL is allowed. */
void registrar_free(struct registrar *registrar);

/* Lets the workers of a job in, whose certificates `ca` has signed. -EEXIST where it is registered already,
 * -EINVAL for a name that cannot be, -ENOMEM. */
int registrar_register(struct registrar *registrar, const char *job, const struct certificate *ca,
                       struct error *error);
/* Ends the job there. An unknown one is no error. */
void registrar_unregister(struct registrar *registrar, const char *job);
/* Messages to this actor are not asked for any more. Lost where there is no connection: the rendezvous
 * makes room for others in any case. */
void registrar_forget(struct registrar *registrar, const char *job, const char *actor);

/* Whether it is there, and knows all jobs. */
bool registrar_ready(const struct registrar *registrar);
/* Why the last connection ended or could not be made; "" if none has. */
const char *registrar_trouble(const struct registrar *registrar);

#endif
