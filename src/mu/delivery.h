/*
 * A job's inputs into its store, or its outputs out of it, one after the other. On the loop of the store,
 * used from its thread alone. Inputs that are s3://BUCKET/KEY stay where they are: what is put under their key is a
 * link, and who has the keys to S3 lends workers URLs (coordinator_sign.c). Outputs may be s3://BUCKET/KEY, too; what
 * is there is replaced. An input whose name ends in '/' is a folder: its files are put under KEY/NAME, or lie there.
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

enum delivery_what {
    DELIVERY_INPUTS, /* all of them */
    DELIVERY_FILES,  /* inputs that are files */
    DELIVERY_LINKS,  /* inputs in S3 */
    DELIVERY_OUTPUTS,
};

struct delivery_options {
    uv_loop_t *loop;
    struct store *store;   /* must outlive it, as must the job */
    const struct job *job; /* a file's relative path is one of the working folder */
    enum delivery_what what;
    /* Of each input in S3, by its place among the inputs: its ETag now, NULL where it has none. May be NULL. */
    void (*linked)(void *opaque, int input, const char *tag);
    delivery_done *done;
    void *opaque;
};

/* Begins; `done` is never called from within the call. -ENOMEM. */
int delivery_begin(const struct delivery_options *options, struct delivery **delivery,
                   struct error *error);
/* Ends it as soon as can be, with -ECANCELED; `done` is called still. */
void delivery_cancel(struct delivery *delivery);

#endif
