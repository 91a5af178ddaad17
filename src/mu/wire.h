/* Envelopes of the protocol (mu.proto, docs/protocol.md) on channels. */
#ifndef MU_WIRE_H
#define MU_WIRE_H

#include "mu.pb-c.h"
#include "net/channel.h"
#include "util/error.h"

/* Two sides that speak another version refuse each other. */
enum { MU_PROTOCOL = 2 };

/* Longest strings and bytes in envelopes, without a final zero. */
enum {
    WIRE_NAME_MOST = 72,
    WIRE_KEY_MOST = 512,
    WIRE_ERROR_MOST = 4096,
    WIRE_TAIL_MOST = 16384,
    WIRE_SHA256 = 32,
};

/* Sends the envelope; returns what channel_send does, or -ENOMEM, or -EMSGSIZE where it is longer than
 * the other side lets in. */
int wire_send(struct channel *channel, const Mu__Envelope *envelope);

/* Reads an envelope, for wire_free. Memory is bounded whatever the bytes are. -EPROTO where they are
 * none, or say nothing; -ENOMEM. */
int wire_read(const uint8_t *bytes, size_t size, Mu__Envelope **envelope, struct error *error);
void wire_free(Mu__Envelope *envelope); /* NULL is allowed */

/* Whether an identity has the right form: absent ones do not. */
bool wire_identity_valid(const Mu__Identity *identity);
/* The same of an object, which may be known by its size alone. */
bool wire_object_valid(const Mu__Identity *identity);

#endif
