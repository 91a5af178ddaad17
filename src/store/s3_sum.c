#include "store/s3_sum.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { PIECE = 256 * 1024 };

struct summing {
    struct s3_sum *sum;
    struct sha256 *whole, *part;
    EVP_MD_CTX *md5;
    uint8_t piece[PIECE];
};

static int finish_part(struct summing *summing)
{
    struct s3_sum *sum = summing->sum;
    uint8_t(*parts)[SHA256_SIZE] = realloc(sum->parts, (sum->part_count + 1) * sizeof *parts);
    if (parts == NULL)
        return -ENOMEM;
    sum->parts = parts;
    return sha256_finish(summing->part, sum->parts[sum->part_count++]);
}

static int take(struct summing *summing, size_t size)
{
    struct s3_sum *sum = summing->sum;
    int code = sha256_update(summing->whole, summing->piece, size);
    if (code == 0 && sum->want_md5 && !EVP_DigestUpdate(summing->md5, summing->piece, size))
        code = -ENOTSUP;
    if (code == 0 && sum->part > 0)
        code = sha256_update(summing->part, summing->piece, size);
    sum->identity.size += size;
    if (code == 0 && sum->part > 0 && sum->identity.size % sum->part == 0)
        code = finish_part(summing);
    return code;
}

static int read_all(struct summing *summing, int file)
{
    struct s3_sum *sum = summing->sum;
    int code = 0;
    while (code == 0) {
        if (atomic_load(sum->cancelled))
            return -ECANCELED;
        uint64_t done = sum->identity.size, left = PIECE;
        if (sum->part > 0 && sum->part - done % sum->part < left)
            left = sum->part - done % sum->part;
        ssize_t size = pread(file, summing->piece, (size_t)left, (off_t)done);
        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return -errno;
        if (size == 0)
            break;
        code = take(summing, (size_t)size);
    }
    if (code == 0 && sum->part > 0 && sum->identity.size % sum->part != 0)
        code = finish_part(summing);
    if (code == 0 && sum->want_md5 && !EVP_DigestFinal_ex(summing->md5, sum->md5, NULL))
        code = -ENOTSUP;
    return code == 0 ? sha256_finish(summing->whole, sum->identity.sha256) : code;
}

int s3_sum_file(struct s3_sum *sum, int file)
{
    struct summing *summing = calloc(1, sizeof *summing);
    int code = -ENOMEM;
    sum->identity = (struct store_identity){0};
    if (summing == NULL)
        return code;
    summing->sum = sum;
    summing->whole = sha256_new();
    summing->part = sha256_new();
    summing->md5 = EVP_MD_CTX_new();
    if (summing->whole != NULL && summing->part != NULL && summing->md5 != NULL)
        code =
            EVP_DigestInit_ex(summing->md5, EVP_md5(), NULL) ? read_all(summing, file) : -ENOTSUP;
    sha256_free(summing->whole);
    sha256_free(summing->part);
    EVP_MD_CTX_free(summing->md5);
    free(summing);
    return code;
}
