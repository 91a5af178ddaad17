/*
 * A worker's side of messages between actors: offers what its actors send, fetches what they wait for, over
 * a connection to each of the job's rendezvous (docs/protocol.md). Connections that are lost are dialled
 * again, with growing pauses; everything that was sent is offered again then, and what was being received
 * goes on at the byte where it was. Where sender and receiver are both here, the message is handed over as
 * a hard link, and its bytes go to the rendezvous only if somebody else asks there for it. Over a connection that
 * turns out to be slow, messages go compressed or as a difference (mu/encoding.h), where that is smaller.
 *
 * On a libuv loop, used from its thread alone. No handler is called from inside a function of this header;
 * all functions may be called from inside any handler.
 */
#ifndef MU_MESSENGER_H
#define MU_MESSENGER_H

#include <stdbool.h>
#include <stdint.h>

#include "mu/label.h"
#include "net/stream.h"
#include "store/store.h"

struct messenger;
struct messenger_send;
struct messenger_receive;

struct messenger_target {
    const char *host; /* name or address */
    uint16_t port;
};

struct messenger_handlers {
    /* A message that was sent here is known elsewhere with another identity: its task is not
     * deterministic. */
    void (*clash)(void *opaque, const struct label *label, const struct store_identity *sent,
                  const struct store_identity *known);
    /* A sent message's bytes cannot be read any more; it is offered no longer. */
    void (*broken)(void *opaque, const struct label *label, const struct error *error);
    /* Opens a message that `label`'s receiver has had, to read; the messenger closes it. -1 where it is not
     * there. May be NULL. */
    int (*base)(void *opaque, const struct label *label, const struct store_identity *identity);
};

struct messenger_options {
    const char *job;
    uint32_t worker;
    const char *build; /* of the hello; NULL for "" */
    struct tls_client
        *client; /* with the worker's certificate; may be freed after messenger_free() */
    const struct messenger_target
        *targets;                     /* in the job's order, the same for all of its workers */
    size_t count;                     /* at least 1 */
    unsigned least_pause, most_pause; /* before dialling again, ms; 0: 100 and 5000 */
    const char *folder; /* for files without a name; NULL: messages are sent as they are */
    double speed;       /* bytes a second of each connection, while it is not known; 0: fast */
    const struct messenger_handlers *handlers;
    void *opaque;
};

struct messenger_counters {
    uint64_t connections;    /* that were welcomed */
    uint64_t offered;        /* messages, again ones too */
    uint64_t local;          /* messages handed over here */
    uint64_t sent, received; /* bytes of messages, as they were under way */
    uint64_t smaller;        /* messages that were encoded, */
    uint64_t differences;    /* and those of them that were a difference */
    uint64_t whole;          /* that were asked for anew, since a difference was of no use */
};

/* All options are copied but `client`. Dials at once. -EINVAL, -ENOMEM. */
int messenger_new(struct network *network, const struct messenger_options *options,
                  struct messenger **messenger, struct error *error);
/* Ends all sends and receives, without a call, and closes what is open; the memory is freed by the loop's
 * running on. NULL is allowed. */
void messenger_free(struct messenger *messenger);
const struct messenger_counters *messenger_counters(const struct messenger *messenger);
/* The index of a rendezvous that was never reached, and is not lost for good; -1 where there is none. */
int messenger_unmet(const struct messenger *messenger);
/* Why the last connection ended or could not be made; "" if none has. */
const char *messenger_trouble(const struct messenger *messenger);
/* The rendezvous at this index is lost for good: its messages go by way of the next one. */
void messenger_map_out(struct messenger *messenger, size_t index);

/* An earlier message to the same receiver. */
struct messenger_base {
    int file; /* stays the caller's */
    struct store_identity identity;
};

/* Sends the bytes of `file`, which becomes the messenger's and must never change; `identity` is theirs.
 * They are offered until messenger_withdraw(). They may go as a difference to `base`, unless that is NULL.
 * With `here` the receiver is on this worker, and will ask for them some time: until somebody asks at the
 * rendezvous they do not go there.
 * -EINVAL, -ENOMEM; `file` has been closed then. */
int messenger_send(struct messenger *messenger, const struct label *label, int file,
                   const struct store_identity *identity, const struct messenger_base *base,
                   bool here, struct messenger_send **send, struct error *error);
/* As messenger_send(), of a message that is still being written to `file`, and will have `size` bytes, at least one:
 * they go as messenger_grow() says that they are there, and what they are known by follows with
 * messenger_complete(); or they are compressed meanwhile, and go then. -EAGAIN where it can only be sent as a whole: to a
 * receiver on this worker, or as a difference. */
int messenger_begin(struct messenger *messenger, const struct label *label, int file, uint64_t size,
                    struct messenger_send **send, struct error *error);
/* So many of its bytes are there. */
void messenger_grow(struct messenger_send *send, uint64_t there);
/* All are, and their identity is known. */
void messenger_complete(struct messenger_send *send, const struct store_identity *identity);
void messenger_withdraw(struct messenger_send *send);

/* Called once: with error->code 0 the file is there, complete and right; else nothing is, -EBADMSG where
 * the bytes that came are not those of the identity. The receive is over. */
typedef void messenger_received(void *opaque, const struct store_identity *identity,
                                const struct error *error);
/* Brings a message to a file; `to` as in store/store.h, copied. What is there is replaced. -EINVAL for what
 * cannot be a label or a path beneath a folder, -EMFILE, -ENOMEM. */
int messenger_receive(struct messenger *messenger, const struct label *label,
                      const struct store_file *to, messenger_received *done, void *opaque,
                      struct messenger_receive **receive, struct error *error);
/* How many of its bytes have come so far, by way of a rendezvous. */
uint64_t messenger_received_so_far(const struct messenger_receive *receive);
/* Ends it without a call, and leaves no file. Not after `done`. */
void messenger_cancel(struct messenger_receive *receive);

#endif
