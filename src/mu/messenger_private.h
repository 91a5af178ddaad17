/*
 * What the parts of the messenger share: a route is the way to one rendezvous, with or without a connection.
 * Each send and receive belongs to one, and while connected it has a number there, its transfer.
 */
#ifndef MU_MESSENGER_PRIVATE_H
#define MU_MESSENGER_PRIVATE_H

#include "mu/encoding.h"
#include "mu/hash_table.h"
#include "mu/messenger.h"
#include "net/channel.h"
#include "net/list.h"
#include "util/sha256.h"

enum {
    MESSENGER_CREDIT = 1 << 20,      /* bytes of a transfer under way at first, docs/protocol.md */
    MESSENGER_CREDIT_STEP = 1 << 18, /* given back together */
    MESSENGER_GATHER = 1 << 18,      /* bytes of a message that are written at once */
    MESSENGER_SPEEDS = 8,            /* that are remembered */
    MESSENGER_SPEED_LEAST = 1 << 18, /* bytes of a message that tell of a connection's speed */
};

struct route {
    struct messenger *messenger;
    char *host;
    uint16_t port;
    struct channel *channel; /* NULL while there is none */
    bool opened;             /* the hello has been answered by a welcome */
    bool met;                /* at least once */
    bool lost;               /* for good */
    bool full;               /* wait for the queue to drain */
    unsigned pause;          /* ms before dialling next time */
    unsigned heartbeat_ms;
    bool suspect;                    /* nothing was heard for too long; looked at once more */
    uv_timer_t timer;                /* to dial again, or for heartbeats */
    double speeds[MESSENGER_SPEEDS]; /* bytes a second of the latest messages; 0 for none */
    unsigned next_speed;
    uint64_t next_id;
    struct hash_table transfers;  /* items that have been announced, by id */
    struct list_link items;       /* all of this route's, by `of_route` */
    struct list_link unannounced; /* by `queue` */
    struct list_link ready;       /* sends that have bytes to go, by `queue` */
};

enum item_kind { ITEM_SEND, ITEM_RECEIVE };

/* What sends and receives have in common. */
struct item {
    enum item_kind kind;
    struct messenger *messenger;
    struct route *route;
    struct label label;
    struct hash_link by_label; /* in messenger->sends or messenger->receives */
    struct hash_link link;     /* in route->transfers, where `id` is not 0 */
    struct list_link of_route, queue;
    uint64_t id;       /* of the transfer on this connection; 0 for none */
    uint64_t position; /* byte that goes or comes next, of those under way */
};

struct messenger_send {
    struct item item; /* first */
    int file;
    struct store_identity identity; /* unsummed: it is still being written, */
    uint64_t there;                 /* and has so many bytes, of those that go */
    bool sum_due;                   /* it was offered like that: the sum follows */
    bool later;                     /* it is not to be offered before its sum is known */
    struct encoding encoding;
    int encoded; /* the file with the bytes that go; -1: `file` */
    uint64_t credit;
    bool wanted; /* the other side waits for bytes */
    bool aside;  /* nobody elsewhere needs it, as far as is known */
    bool whole;  /* of one that is `beside` a difference, */
    struct messenger_send *beside;
    struct encode *encode;      /* under way: it is not offered yet */
    struct store_identity base; /* what it may become a difference to */
    uint64_t started,
        first; /* when the first byte went, in nanoseconds, and which that was; 0: none */
};

struct messenger_receive {
    struct item item;  /* first */
    int folder;        /* a descriptor of its own */
    char *path, *part; /* the latter is where bytes come to */
    int file;          /* of `part`; -1 before the first byte */
    bool known;        /* the identity is */
    bool announced;    /* Deliver came on this connection */
    bool whole;        /* it is not wanted as a difference */
    struct store_identity identity;
    struct encoding encoding;
    struct decoder *decoder; /* NULL: bytes come as they are */
    int base;                /* of a difference; -1 */
    uint64_t written;        /* bytes of the message that the file has */
    uint8_t *gathered;       /* the next ones, [MESSENGER_GATHER] or as many as the message has */
    size_t gathered_size;
    struct sha256 *sum;
    uint64_t owed; /* credit not given back yet */
    messenger_received *done;
    void *opaque;
    int local;                /* a file to be handed over when the loop comes to it; -1 for none */
    struct list_link handing; /* in messenger->handing */
};

struct messenger {
    struct network *network;
    struct tls_client *client;
    char *job, *build, *folder;
    uint32_t worker;
    unsigned least_pause, most_pause;
    struct messenger_handlers handlers;
    void *opaque;
    struct route *routes;
    size_t count;
    struct hash_table sends, receives; /* by label */
    struct list_link handing;          /* receives to be handed their message */
    uv_timer_t soon;                   /* for `handing` */
    unsigned users;                    /* timers and channels: what keeps this struct */
    bool freed;
    struct messenger_counters counters;
    char trouble[512];
};

/* ---- messenger.c --------------------------------------------------------------------------- */

/* The last of what used the messenger frees it. */
void messenger_release(struct messenger *messenger);
/* Frees either kind, without a call. */
void messenger_item_free(struct item *item);
/* The way of messages to `actor`. */
struct route *messenger_route_to(struct messenger *messenger, const char *actor);
/* A send of `file`, which becomes its own if that succeeds. NULL where out of memory. */
struct messenger_send *messenger_make_send(struct messenger *messenger, const struct label *label,
                                           int file, const struct store_identity *identity);
/* Lets it go. */
void messenger_offer(struct messenger_send *send);

/* ---- messenger_encode.c --------------------------------------------------------------------- */

/* How a message goes best, to one who is not here. */
enum messenger_pays { MESSENGER_AS_IT_IS, MESSENGER_SMALLER, MESSENGER_DIFFERENCE };

enum messenger_pays messenger_pays(struct messenger *messenger, const char *to, uint64_t size);
/* Makes it smaller where that pays, and offers it then, or leaves that to messenger_complete(). False where it is
 * to go as it is. */
bool messenger_encode(struct messenger_send *send, const struct messenger_base *base);
/* More of what is being encoded is there. */
void messenger_encode_grown(struct messenger_send *send);
void messenger_stop_encoding(struct messenger_send *send);
/* The other side has all of it. */
void messenger_note_speed(struct messenger_send *send);

/* ---- messenger_receive.c -------------------------------------------------------------------- */

/* Finds what a difference is one to; false where that is not there. */
bool messenger_receive_find_base(struct messenger_receive *receive);
/* File, sum and decoder begin anew. A negative errno. */
int messenger_receive_begin(struct messenger_receive *receive, struct error *error);
/* Takes the next bytes of it; ends it with the last, or where they cannot be written. */
void messenger_receive_bytes(struct messenger_receive *receive, const uint8_t *bytes, size_t size);
/* Makes the receive's file of its `local` one, and ends it. */
void messenger_receive_local(struct messenger_receive *receive);
/* Ends a receive with what came of it. */
void messenger_receive_end(struct messenger_receive *receive, const struct error *error);
/* Frees all but the receive itself; no part of a file stays. */
void messenger_receive_release(struct messenger_receive *receive);

/* ---- messenger_route.c ---------------------------------------------------------------------- */

void messenger_route_init(struct route *route);
/* Dials, if there is no connection. */
void messenger_route_dial(struct route *route);
/* Closes what is open; the timer too. */
void messenger_route_close(struct route *route);
/* Never dials again, and ends what connection there is. */
void messenger_route_lose(struct route *route);
/* Lets the item go by this route. */
void messenger_route_add(struct route *route, struct item *item);
/* The item has no route any more. */
void messenger_route_remove(struct item *item);
/* Announces and sends what it can. */
void messenger_route_pump(struct route *route);
/* Asks for it from its beginning; with `whole`, not as a difference. */
void messenger_route_ask_again(struct messenger_receive *receive, bool whole);
/* More of it is there, or its sum. */
void messenger_route_grown(struct messenger_send *send);
/* Lets the other side send more of it. */
void messenger_route_credit(struct messenger_receive *receive);

#endif
