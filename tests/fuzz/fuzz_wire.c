/* Envelopes of the protocol, as any bytes: those that can be read say something, and are the same when they
 * were written and can be read again. */
#include "fuzz.h"

#include <string.h>

#include "mu/wire.h"

static uint8_t *write_envelope(const Mu__Envelope *envelope, size_t *size)
{
    *size = mu__envelope__get_packed_size(envelope);
    uint8_t *bytes = malloc(*size + 1);
    CLAIM(bytes != NULL);
    CLAIM(mu__envelope__pack(envelope, bytes) == *size);
    return bytes;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    Mu__Envelope *first, *second;
    struct error error = {0};
    size_t first_size, second_size;
    int code = wire_read(data, size, &first, &error);
    if (code < 0) {
        CLAIM(first == NULL && error.code == code && error.message[0] != '\0');
        return 0;
    }
    CLAIM(first->body_case != MU__ENVELOPE__BODY__NOT_SET);
    uint8_t *written = write_envelope(first, &first_size);
    /* It may have fields that nobody knows, of numbers that nobody may write. */
    if (wire_read(written, first_size, &second, &error) == 0) {
        uint8_t *again = write_envelope(second, &second_size);
        CLAIM(first_size == second_size && memcmp(written, again, first_size) == 0);
        free(again);
        wire_free(second);
    }
    free(written);
    wire_free(first);
    return 0;
}
