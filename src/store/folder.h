/* The parts of the folder store. */
#ifndef STORE_FOLDER_H
#define STORE_FOLDER_H

#include "store/operation.h"

struct folder {
    struct store base;
    int root; /* the open folder: it stays the same one when it is renamed or mounted anew */
    void (*closed)(void *opaque);
    void *opaque;
    uv_work_t closing;
};

/* Sets the result's error: what could not be done with the key, and why. Returns `code`. */
int folder_fail(struct store_operation *operation, const char *verb, const char *key, int code);

/* The operations, in a thread of the pool: each fills operation->result. folder_files.c: */
void folder_get(struct store_operation *operation, int root);
void folder_put(struct store_operation *operation, int root);
void folder_adopt(struct store_operation *operation, int root);
void folder_stat(struct store_operation *operation, int root);
void folder_delete(struct store_operation *operation, int root);
void folder_url(struct store_operation *operation, int root);
/* folder_list.c: */
void folder_list(struct store_operation *operation, int root);
void folder_delete_prefix(struct store_operation *operation, int root);

#endif
