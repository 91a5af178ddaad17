/*
 * What a file is, in all the ways in which S3 wants to hear it.
 *
 * A put by a URL (store_url()) sends its length, and as headers its MD5 (`content-md5`, which every such service
 * checks), its SHA-256 in base 64 (`x-amz-checksum-sha256`, which Amazon's checks), and that in
 * hexadecimal (`x-amz-meta-sha256`, which is kept with the object). All four are part of the signature: by that
 * URL nothing else can be put.
 */
#ifndef STORE_S3_SUM_H
#define STORE_S3_SUM_H

#include <stdatomic.h>

#include "store/store.h"

struct s3_sum {
    uint64_t part; /* bytes; 0: no sums of parts */
    bool want_md5;
    const atomic_bool *cancelled;
    struct store_identity identity;
    uint8_t md5[STORE_MD5_SIZE];
    uint8_t (*parts)[SHA256_SIZE]; /* [part_count] SHA-256 of each; to be freed */
    size_t part_count;
};

/* Sums an open file from its beginning. For the threads of the pool. 0 or a negative errno. */
int s3_sum_file(struct s3_sum *sum, int file);

#endif
