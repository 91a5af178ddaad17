#include "mu/wire.h"

#include <errno.h>
#include <stdlib.h>

/* Longest envelope, docs/protocol.md. */
#define ENVELOPE_MOST (1u << 20)

/* What unpacking may allocate for one envelope: many times what an honest one needs, little enough that a
 * hostile one of very many empty parts does no harm. */
#define UNPACKED_MOST (16u << 20)

int wire_send(struct channel *channel, const Mu__Envelope *envelope)
{
    uint8_t small[2048], *bytes = small;
    size_t size = mu__envelope__get_packed_size(envelope);
    if (size > ENVELOPE_MOST)
        return -EMSGSIZE;
    if (size > sizeof small)
        bytes = malloc(size);
    if (bytes == NULL)
        return -ENOMEM;
    mu__envelope__pack(envelope, bytes);
    int code = channel_send(channel, bytes, size);
    if (bytes != small)
        free(bytes);
    return code;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static void *allocate_within(void *budget, size_t size)
{
    size_t *left = budget;
    if (size > *left)
        return NULL;
    void *memory = malloc(size);
    if (memory != NULL)
        *left -= size;
    return memory;
}

static void release(void *budget, void *memory)
{
    (void)budget;
    free(memory);
}

int wire_read(const uint8_t *bytes, size_t size, Mu__Envelope **envelope, struct error *error)
{
    size_t budget = UNPACKED_MOST;
    ProtobufCAllocator allocator = {
        .alloc = allocate_within, .free = release, .allocator_data = &budget};
    *envelope = mu__envelope__unpack(&allocator, size, bytes);
    if (*envelope == NULL)
        return error_set(error, -EPROTO, "a message of %zu bytes that is none of this protocol's",
                         size);
    if ((*envelope)->body_case != MU__ENVELOPE__BODY__NOT_SET)
        return 0;
    wire_free(*envelope);
    *envelope = NULL;
    return error_set(error, -EPROTO, "a message without content");
}

void wire_free(Mu__Envelope *envelope)
{
    if (envelope != NULL)
        mu__envelope__free_unpacked(envelope, NULL);
}

bool wire_identity_valid(const Mu__Identity *identity)
{
    return identity != NULL && identity->sha256.len == WIRE_SHA256;
}

bool wire_object_valid(const Mu__Identity *identity)
{
    return wire_identity_valid(identity) || (identity != NULL && identity->sha256.len == 0);
}
