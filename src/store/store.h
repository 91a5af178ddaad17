/*
 * Where a job's objects live: a flat space of keys, each written once. Asynchronous on a libuv loop.
 *
 * A key is 1 to 16 parts of [A-Za-z0-9._-] joined by '/', none of them "." or "..". Each attempt at
 * making an object is put under a key of its own (`<key>.attempt-<n>`); the one that counts is then
 * adopted: checked by length and SHA-256 (where that is known), and moved to the key itself. Nobody sees part of an object.
 *
 * Rules of all operations: a function that returns a negative errno never calls back; one that returns 0
 * calls `done` exactly once, from the loop, never from within the call. Strings and structs passed in are
 * copied. What the result points to lives until `done` returns. `*operation` may be NULL; it is valid
 * until `done` was called. A store is used from the thread of its loop alone.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "util/error.h"
#include "util/sha256.h"

enum {
    STORE_KEY_SIZE = 512,    /* longest key, with the zero byte */
    STORE_PART_LENGTH = 200, /* longest part, without it */
    STORE_PARTS = 16,        /* most parts of a key */
    STORE_PAGE = 1000,       /* most entries that one listing returns */
    STORE_MD5_SIZE = 16,     /* bytes */
};

/* What an object is known by. */
struct store_identity {
    uint64_t size;
    bool unsummed; /* the SHA-256 is not known: of what has never left this machine's disks */
    uint8_t sha256[SHA256_SIZE];
};

/* Whether these may be the same bytes: sizes agree, and sums where both are known. */
bool store_identity_agrees(const struct store_identity *a, const struct store_identity *b);

/* A local file: a path beneath an open folder, as util/beneath.h has it. The descriptor may be closed
 * after the call. */
struct store_file {
    int folder;
    const char *path;
};

struct store_entry {
    char *key;
    uint64_t size; /* bytes */
};

struct store_result {
    struct error error; /* code 0 for success */
    struct store_identity
        identity;                /* get with `expected`, put, adopt; of stat and other gets: size */
    struct store_entry *entries; /* list: in the order of strcmp() */
    size_t count;                /* list: how many; delete_prefix: objects removed */
    bool more;                   /* list: there are keys after the last of these */
    const char *url;             /* url */
    const char *tag;             /* stat, of a remote store: the object's ETag; else NULL */
};

struct store;
struct store_operation;
typedef void store_done(void *opaque, const struct store_result *result);

/* Whether a place is not on this machine's file systems: s3://BUCKET or s3://BUCKET/PREFIX. */
bool store_is_remote(const char *place);
/* `place` is a folder's path or file:// URL; the folder is made if its parent is there. Or it is remote: then
 * nothing is asked yet, and credentials, region and endpoint are found as aws/aws.h says. */
int store_open(uv_loop_t *loop, const char *place, struct store **store, struct error *error);
bool store_is_folder(const struct store *store);

/*
 * A remote store whose keys others have: for each transfer it asks them for a URL, which permits that one
 * alone. It can get, put and say URLs. A store that is no remote one asks nobody.
 */
struct store_url;
struct store_lender {
    /* Is to be answered with store_lent(), later, from the loop. */
    void (*ask)(void *opaque, uint64_t question, const struct store_url *what);
    void *opaque;
};
int store_open_lent(uv_loop_t *loop, const char *place, const struct store_lender *lender,
                    struct store **store, struct error *error);
/* The answer to a question, one that is not open any more is ignored. `url` NULL: there is none, as
 * `reason` says. */
void store_lent(struct store *store, uint64_t question, const char *url, const char *reason);
/* Says all open questions again. */
void store_ask_again(struct store *store);

/* As it was given. */
const char *store_place(const struct store *store);
/* Cancels what is under way; when all of it was called back, frees the store and calls `closed` from the
 * loop. */
void store_close(struct store *store, void (*closed)(void *opaque), void *opaque);

/* Asks the operation to stop. It still calls back: with -ECANCELED, or as it would have if it was too
 * late to stop it. */
void store_cancel(struct store_operation *operation);

bool store_is_key(const char *key);
/* Takes s3://BUCKET/KEY apart: the place of a store, to be freed, and the key in it, which points into `url`. Such a
 * key may have any printable bytes: others have chosen it. -EINVAL where it has no key, or one that no store takes. */
int store_split(const char *url, char **place, const char **key, struct error *error);
/* A key that is not an attempt's: only such ones can be put and adopted. */
bool store_is_final_key(const char *key);
/* Writes the key of an attempt. */
void store_attempt_key(const char *key, uint32_t attempt, char attempt_key[STORE_KEY_SIZE]);

#define STORE_TO_END UINT64_MAX

struct store_get {
    const char *key;
    struct store_file to;                  /* replaced when all is there; its folder must exist */
    uint64_t offset, length;               /* bytes; STORE_TO_END for all that follows */
    const struct store_identity *expected; /* of the bytes asked for; NULL to take what comes */
    bool link; /* the caller will not write into the file: it may share the object's blocks */
};
/* Gets an object, or a range of it; where that ends past the object's end, what there is. Fails with
 * -ENOENT, -ERANGE where `offset` is past the end, -EBADMSG where it is not what was expected. */
int store_get(struct store *store, const struct store_get *get, store_done *done, void *opaque,
              struct store_operation **operation, struct error *error);

struct store_put {
    struct store_file from;
    const char *key;  /* a final key */
    uint32_t attempt; /* what this attempt has put there before is replaced */
    bool link;        /* the caller will not write into the file any more */
    bool unsummed;    /* the result need not have the SHA-256 */
    /* What the file is, where that is known: it is not summed again, and that is the result. Adopting
     * checks it. May be NULL. */
    const struct store_identity *known;
};
/* Puts a file under the key of an attempt, durably. The result's identity is what adopt() wants. */
int store_put(struct store *store, const struct store_put *put, store_done *done, void *opaque,
              struct store_operation **operation, struct error *error);

/* Makes an attempt's object the one of `key`, durably, if it is what `identity` says. Where the key holds
 * the same already, the attempt is removed and all is well: adopting may be repeated. Without a SHA-256
 * "the same" is found out by comparing the bytes, where both are there. Fails with -ENOENT,
 * -EBADMSG (the attempt is something else), -EEXIST (the key holds something else; the result's identity
 * says what). */
int store_adopt(struct store *store, const char *key, uint32_t attempt,
                const struct store_identity *identity, store_done *done, void *opaque,
                struct store_operation **operation, struct error *error);

/* Its size, or -ENOENT. */
int store_stat(struct store *store, const char *key, store_done *done, void *opaque,
               struct store_operation **operation, struct error *error);

/* Up to `limit` (1 to STORE_PAGE) keys that begin with `prefix` ("" for all) and come after `after` (""
 * for the first ones), attempts among them. To go on, pass the last key as `after`. */
int store_list(struct store *store, const char *prefix, const char *after, size_t limit,
               store_done *done, void *opaque, struct store_operation **operation,
               struct error *error);

/* Removes an object; one that is not there is no failure. */
int store_delete(struct store *store, const char *key, store_done *done, void *opaque,
                 struct store_operation **operation, struct error *error);

/* Removes all whose key begins with `prefix`, which must end with '/', and what killed writers left
 * there. */
int store_delete_prefix(struct store *store, const char *prefix, store_done *done, void *opaque,
                        struct store_operation **operation, struct error *error);

struct store_url {
    const char *key;
    uint32_t attempt; /* whose object is to be put, and what that will be; 0: to get `key` */
    struct store_identity identity;
    uint8_t md5[STORE_MD5_SIZE];
};
/* A URL by which anybody can do that one thing for a while, without credentials: an hour to get, a quarter of
 * it to put. A put must be of those very bytes; what it sends beside them is in src/store/s3_sum.h. A
 * folder has none: -EOPNOTSUPP. */
int store_url(struct store *store, const struct store_url *url, store_done *done, void *opaque,
              struct store_operation **operation, struct error *error);

#endif
