#include "util/sha256.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/evp.h>

struct sha256 {
    EVP_MD_CTX *context;
};

static int start(struct sha256 *sha256)
{
    return EVP_DigestInit_ex(sha256->context, EVP_sha256(), NULL) == 1 ? 0 : -EIO;
}

struct sha256 *sha256_new(void)
{
    struct sha256 *sha256 = malloc(sizeof *sha256);
    if (sha256 == NULL)
        return NULL;
    sha256->context = EVP_MD_CTX_new();
    if (sha256->context != NULL && start(sha256) == 0)
        return sha256;
    sha256_free(sha256);
    return NULL;
}

void sha256_free(struct sha256 *sha256)
{
    if (sha256 == NULL)
        return;
    EVP_MD_CTX_free(sha256->context);
    free(sha256);
}

int sha256_update(struct sha256 *sha256, const void *data, size_t size)
{
    return EVP_DigestUpdate(sha256->context, data, size) == 1 ? 0 : -EIO;
}

int sha256_finish(struct sha256 *sha256, uint8_t sum[SHA256_SIZE])
{
    return EVP_DigestFinal_ex(sha256->context, sum, NULL) == 1 ? start(sha256) : -EIO;
}

int sha256_of(const void *data, size_t size, uint8_t sum[SHA256_SIZE])
{
    struct sha256 *sha256 = sha256_new();
    int code = sha256 != NULL ? sha256_update(sha256, data, size) : -ENOMEM;
    if (code == 0)
        code = sha256_finish(sha256, sum);
    sha256_free(sha256);
    return code;
}

void sha256_hex(const uint8_t sum[SHA256_SIZE], char hex[SHA256_HEX_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < SHA256_SIZE; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    hex[SHA256_HEX_SIZE - 1] = '\0';
}
