/*
 * A job's inputs into its store, or its outputs out of it, one after the other. On the loop of the store,
 * used from its thread alone.
 */
#ifndef MU_DELIVERY_H
#define MU_DELIVERY_H

#include "mu/job.h"
#include "store/store.h"
#include "util/error.h"

struct delivery;

/* All is there; or not, and why: -EEXIST where an input is another file than the one that is there. The
 * delivery is freed after it. */
typedef void delivery_done(void *opaque, const struct error *failure);

struct delivery_options {
    uv_loop_t *loop;
    struct store *store;   /* must outlive it, as must the job */
    const struct job *job; /* a file's relative path is one of the working folder */
    bool outputs;          /* or else the inputs */
    delivery_done *done;
    void *opaque;
};

/* Begins; `done` is never called from within the call. -ENOMEM. */
int delivery_begin(const struct delivery_options *options, struct delivery **delivery,
                   struct error *error);
/* Ends it as soon as can be, with -ECANCELED; `done` is called still. */
void delivery_cancel(struct delivery *delivery);

#endif
