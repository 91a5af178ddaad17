/* What the parts of a delivery share: delivery.c goes through its items, delivery_remote.c does those in S3. */
#ifndef MU_DELIVERY_PRIVATE_H
#define MU_DELIVERY_PRIVATE_H

#include <dirent.h>

#include "mu/delivery.h"

struct delivery {
    struct delivery_options options;
    const struct job_transfer *item; /* [count] */
    int count, at;
    struct dirent **entry; /* [entries]: of the folder at hand, by name; NULL where it is none */
    int entries, entry_at;
    char key_within[STORE_KEY_SIZE]; /* of the one at hand */
    bool cancelled;
    struct store_operation *operation; /* under way; NULL: none */
    uv_timer_t turn;                   /* tells of the end where no operation does */
    struct error failure;

    /* delivery_remote.c */
    struct store *remote;           /* where the item at hand lies, or is to; NULL: none is open */
    const char *key;                /* what it is called there */
    char *scratch;                  /* a folder for one file, FILE_NAME; NULL: not made yet */
    int folder;                     /* the same, open; -1 */
    struct store_identity identity; /* of what was put last */
};

/* Of one item that has come to its end; goes on with the next, or ends. */
void delivery_item_ended(struct delivery *delivery, const struct error *failure);

/* Begin with the item at hand; each ends in delivery_item_ended(). */
int delivery_link(struct delivery *delivery, struct error *error);
int delivery_send(struct delivery *delivery, struct error *error);
/* Removes what these have left. */
void delivery_remote_end(struct delivery *delivery);

#endif
