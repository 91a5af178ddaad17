/* What the tests of the stores share: a store in a scratch folder, and its operations one at a time. */
#ifndef STORE_SUPPORT_H
#define STORE_SUPPORT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "store/store.h"

struct bench {
    uv_loop_t loop;
    struct store *store;
    char folder[64]; /* holds the store and the local files */
    char place[80];  /* the store */
    int local;       /* the folder of local files, open */
};

/* What an operation ended with; entries are copied. */
struct ended {
    int calls;
    struct error error;
    struct store_identity identity;
    char keys[STORE_PAGE][64];
    size_t count;
    bool more;
};

/* cmocka's set-up and tear-down; the latter fails where descriptors or handles are left open. */
int bench_make(void **state);
int bench_remove(void **state);
/* A bench whose store is the folder `place`, which must outlive it. */
void bench_open(struct bench *bench, const char *place);
void bench_close(struct bench *bench);
/* For store_close(): adds one to an int. */
void bench_count_closed(void *opaque);

/* Runs the loop until `ended` was called back. */
void bench_wait(struct bench *bench, const struct ended *ended);
/* A store_done for a struct ended. */
void ended_done(void *opaque, const struct store_result *result);

void local_write(struct bench *bench, const char *name, const void *data, size_t size);
void local_expect(struct bench *bench, const char *name, const void *data, size_t size);
/* `size` bytes of noise, the same for the same seed; to be freed. */
uint8_t *noise(size_t size, uint32_t seed);
/* How many files and folders are below the folder `path`, whatever their names. */
int count_below(const char *path);
/* How many descriptors this process has open. */
int count_descriptors(void);

/* These wait for the operation and return its error code. */
int put(struct bench *bench, const char *local, const char *key, uint32_t attempt,
        struct ended *ended);
int get(struct bench *bench, const char *key, const char *local, struct ended *ended);
int adopt(struct bench *bench, const char *key, uint32_t attempt,
          const struct store_identity *identity, struct ended *ended);
int stat_key(struct bench *bench, const char *key, struct ended *ended);
int list(struct bench *bench, const char *prefix, const char *after, size_t limit,
         struct ended *ended);
/* Puts text as an attempt and adopts it. */
void make_object(struct bench *bench, const char *key, const char *text);

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr(text, part) == NULL)                                                            \
            fail_msg("'%s' does not say '%s'", text, part);                                        \
    } while (0)

#endif
