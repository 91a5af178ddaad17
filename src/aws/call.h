/*
 * Calls of AWS's APIs that speak JSON over HTTP, such as Lambda's: signed, with credentials that are fetched
 * first where none are at hand, and fetched anew where AWS says that they have expired. On one libuv loop.
 */
#ifndef AWS_CALL_H
#define AWS_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "aws/aws.h"
#include "net/http.h"

enum { AWS_KIND_SIZE = 80 };

/* All is copied. */
struct aws_call {
    const char *service, *region;
    const char *method;
    const char *path;           /* behind the endpoint: from its first slash on, encoded */
    const char *const *headers; /* "name: value", up to a NULL; may be NULL */
    const void *body;
    size_t size;
    uint32_t patience; /* ms; how long it is tried again, see http_may_retry(); 0: it is not */
};

struct aws_reply {
    /* Code 0: it went well (2xx). Else a sentence that says what was wrong, and what to do where that is known;
     * its code is -EACCES where the credentials are wrong or not allowed to, -ENOENT where what was named is
     * not there, -EEXIST where it is there already or just being changed, -EBUSY for what goes well later by itself,
     * -E2BIG, -EINVAL for other refusals, and those of net/http.h where no answer came. */
    struct error error;
    char kind
        [AWS_KIND_SIZE]; /* of a refusal, as AWS names it: "ResourceNotFoundException"; or "status 500" */
    const struct http_response *response; /* NULL where there were no credentials to ask with */
};

/* What `reply` points to lives until it returns. */
typedef void aws_called(void *opaque, const struct aws_reply *reply);

/* Calls; `done` comes once, from the loop, with -ECANCELED after http_close() or aws_close(). `aws` and `http`
 * must not be freed before. */
int aws_call(struct aws *aws, struct http *http, const struct aws_call *call, aws_called *done,
             void *opaque, struct error *error);

#endif
