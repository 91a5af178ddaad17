/* SHA-256 (FIPS 180-4), piece by piece: objects and messages are known by it. */
#ifndef UTIL_SHA256_H
#define UTIL_SHA256_H

#include <stddef.h>
#include <stdint.h>

enum {
    SHA256_SIZE = 32,     /* bytes */
    SHA256_HEX_SIZE = 65, /* 64 digits and a zero byte */
};

struct sha256;

/* NULL when there is no memory for it. */
struct sha256 *sha256_new(void);
void sha256_free(struct sha256 *sha256); /* NULL is allowed */

/* Both return 0, or a negative errno where the cryptographic library refuses. */
int sha256_update(struct sha256 *sha256, const void *data, size_t size);
/* Writes the sum and starts anew. */
int sha256_finish(struct sha256 *sha256, uint8_t sum[SHA256_SIZE]);

/* Of one piece. */
int sha256_of(const void *data, size_t size, uint8_t sum[SHA256_SIZE]);

/* In lower-case digits. */
void sha256_hex(const uint8_t sum[SHA256_SIZE], char hex[SHA256_HEX_SIZE]);

#endif
