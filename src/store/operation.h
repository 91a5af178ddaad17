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
    bool checked; /* `expected` counts; of put: it is known */
    struct store_identity expected;
    store_done *done;
    void *opaque;
    struct store_result result;
    atomic_bool cancelled; /* read by the threads of the pool */
    uv_work_t work;        /* for the implementation */
};

struct store_methods {
    bool is_folder;
    /* Begins an operation, which must end in one call of store_finish() later. */
    void (*start)(struct store_operation *operation);
    /* Frees the store, its base too, then calls closed(opaque) from the loop. Nothing is under way. */
    void (*close)(struct store *store, void (*closed)(void *opaque), void *opaque);
};

/* The base of each kind of store. */
struct store {
    uv_loop_t *loop;
    const struct store_methods *methods;
    char *place;
    struct store_operation *first, *last;
    struct store_operation *waiting; /* the first that was not started; NULL for none */
    int running;
    void (*closed)(void *opaque);
    void *opaque;
    bool closing; /* store_close() was called */
    bool ended;   /* methods->close() was called */
};

/* Calls back, frees the operation, and starts the next. From the loop. */
void store_finish(struct store_operation *operation);

/* Opens a folder's path; the caller sets `loop` and `place`. See store_open(). */
int folder_open(const char *path, struct store **store, struct error *error);

#endif
