/* What a kind of store implements, and what an operation carries. For the files of src/store alone. */
#ifndef STORE_OPERATION_H
#define STORE_OPERATION_H

#include <stdatomic.h>

#include "store/store.h"

enum store_kind {
    STORE_GET,
    STORE_PUT,
    STORE_ADOPT,
    STORE_STAT,
    STORE_LIST,
    STORE_DELETE,
    STORE_DELETE_PREFIX,
    STORE_URL,
};

struct store_operation {
    struct store *store;
    struct store_operation *next, *previous; /* of the same store, in order */
    enum store_kind kind;
    char key[STORE_KEY_SIZE];     /* the prefix of list and delete_prefix */
    char attempt[STORE_KEY_SIZE]; /* put, adopt: the attempt's key; list: the key before the page */
    int folder;                   /* of the local file; -1 where there is none */
    char *path;                   /* of the local file */
    uint64_t offset, length;      /* get */
    size_t limit;                 /* list */
    bool link;
    bool unsummed;
    uint32_t number;             /* of the attempt that is to be put; 0: it is not */
    uint8_t md5[STORE_MD5_SIZE]; /* url, to put */
    bool checked;                /* `expected` counts; of put: it is known */
    struct store_identity expected;
    store_done *done;
    void *opaque;
    struct store_result result;
    atomic_bool cancelled; /* read by the threads of the pool */
    uv_work_t work;        /* for the implementation, as is `progress` */
    void *progress;
};

struct store_methods {
    bool is_folder;
    /* Begins an operation, which must end in one call of store_finish() later. */
    void (*start)(struct store_operation *operation);
    /* The operation, which was started, was cancelled. NULL: it looks at `cancelled` itself. */
    void (*cancel)(struct store_operation *operation);
    /* Frees the store, its base too, then calls closed(opaque) from the loop. Nothing is under way. */
    void (*close)(struct store *store, void (*closed)(void *opaque), void *opaque);
};

/* The base of each kind of store. */
struct store {
    uv_loop_t *loop;
    const struct store_methods *methods;
    unsigned at_once; /* operations that are started; the others wait */
    char *place;
    struct store_operation *first, *last;
    struct store_operation *waiting; /* the first that was not started; NULL for none */
    unsigned running;
    void (*closed)(void *opaque);
    void *opaque;
    bool closing; /* store_close() was called */
    bool ended;   /* methods->close() was called */
};

/* Calls back, frees the operation, and starts the next. From the loop. */
void store_finish(struct store_operation *operation);

/* Sets the result's error to -EBADMSG where what was found under a key is not operation->expected. */
int store_check_identity(struct store_operation *operation, const char *key,
                         const struct store_identity *found);

/* These open a folder's path and an s3:// URL; the caller sets `loop` and `place`. See store_open(). `lender` is
 * NULL for a store of one's own. */
int folder_open(const char *path, struct store **store, struct error *error);
int s3_open(uv_loop_t *loop, const char *place, const struct store_lender *lender,
            struct store **store, struct error *error);
/* See store_lent() and store_ask_again(). */
void s3_lent(struct store *store, uint64_t question, const char *url, const char *reason);
void s3_ask_again(struct store *store);

#endif
