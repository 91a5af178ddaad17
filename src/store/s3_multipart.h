/* An object made of parts, some under way at once, which is there when the last of them is; or not at all. */
#ifndef STORE_S3_MULTIPART_H
#define STORE_S3_MULTIPART_H

#include "store/s3.h"

struct s3_multipart {
    /* set before it begins */
    struct store_operation *operation;
    const char *key;              /* what it makes; kept by the caller */
    const char *verb;             /* for sentences: "put" */
    char sha256[SHA256_HEX_SIZE]; /* is kept with the object */
    unsigned count;               /* of parts, 1 to 10,000 */
    /* Makes the call of a part, counted from 0, with this query. NULL: no memory. */
    struct s3_call *(*part)(struct store_operation *operation, unsigned number, const char *query,
                            s3_called *done);
    /* It is over: the operation's result has an error, or the object is there. From the loop. */
    void (*done)(struct store_operation *operation);
    /* its own */
    char *id;
    char (*etag)[72];
    unsigned asked, running;
};

/* The operation's progress must name it. */
void s3_multipart_begin(struct s3_multipart *parts);
void s3_multipart_free(struct s3_multipart *parts);

#endif
