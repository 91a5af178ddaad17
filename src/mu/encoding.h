/*
 * How a message's bytes are under way: as they are; compressed by zstd; or as what differs from the bytes of
 * an earlier message, compressed. A difference is, byte by byte, what has to be added (mod 256) to the other's
 * byte at the same place, beyond its end to 0. Who a message is, its size and SHA-256, does not depend on it.
 */
#ifndef MU_ENCODING_H
#define MU_ENCODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mu/wire.h"
#include "store/store.h"

enum encoding_kind { ENCODING_PLAIN, ENCODING_ZSTD, ENCODING_DIFFERENCE };

struct encoding {
    enum encoding_kind kind;
    uint64_t size;              /* bytes under way */
    struct store_identity base; /* of a difference: the message that it is one to */
};

/* That of bytes as they are. */
struct encoding encoding_plain(uint64_t size);
bool encoding_equal(const struct encoding *a, const struct encoding *b);
/* From the protocol's, of a message of `size` bytes; NULL is plain. False for what is none. */
bool encoding_of(struct encoding *encoding, const Mu__Encoding *message, uint64_t size);
/* To the protocol's; `base` becomes part of it. Both only point to what `encoding` has. */
void encoding_to(Mu__Encoding *message, Mu__Identity *base, const struct encoding *encoding);

/* ---- Making, in a thread ------------------------------------------------------------------- */

/* Waits until `from` has this many bytes; a negative errno where it will not. */
typedef int encoding_wait(void *opaque, uint64_t bytes);

/* Encodes the `size` bytes of `from` into the empty file `to`, against `base` unless that is -1. Returns how
 * many it has then; -EFBIG as soon as these would be more than `most`; or another negative errno. `wait`, NULL
 * where all bytes are there, is asked before any are read. */
int64_t encoding_make(int from, uint64_t size, int base, int to, uint64_t most, encoding_wait *wait,
                      void *opaque);

/* ---- Reading, piece by piece --------------------------------------------------------------- */

struct decoder;

/* Takes decoded bytes; a negative errno ends it. */
typedef int decoder_sink(void *opaque, const uint8_t *bytes, size_t size);

/* Of what encoding_make() makes for a message of `size` bytes. `base`, -1 for none, stays the caller's and open
 * until decoder_free(). Memory is bounded whatever comes. -ENOMEM. */
int decoder_new(uint64_t size, int base, struct decoder **decoder);
void decoder_free(struct decoder *decoder); /* NULL is allowed */
/* Gives all that the next bytes stand for to `sink`. -EBADMSG where they are no such thing, or more than the
 * message has; what `sink` or reading `base` fails with. */
int decoder_take(struct decoder *decoder, const uint8_t *bytes, size_t size, decoder_sink *sink,
                 void *opaque);

#endif
