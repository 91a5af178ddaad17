/* URLs that carry their own permission: AWS Signature Version 4 in the query ("Authenticating Requests: Using
 * Query Parameters", Amazon S3 API Reference). Pure functions. */
#ifndef AWS_PRESIGN_H
#define AWS_PRESIGN_H

#include <stdbool.h>
#include <time.h>

#include "aws/aws.h"

struct aws_header {
    const char *name, *value; /* the name in lower case, the value without space around it */
};

struct aws_presign {
    const struct aws_credentials *credentials;
    const char *region, *service;
    const char *method;
    const char *url;   /* endpoint and encoded path, no query */
    const char *query; /* encoded, names in lower case, sorted; NULL for none */
    const struct aws_header
        *headers; /* that the request must have so, sorted by name, `host` left out */
    size_t header_count;
    time_t now;
    unsigned seconds; /* how long it may be used; at most 604,800 */
};

/* The URL, to be freed; NULL where out of memory or `url` is none. */
char *aws_presign(const struct aws_presign *presign);

/* Appends `text` to `to` of `size` bytes as a URL's path ('/' stays) or a part of a query has it; false where
 * there is no room. */
bool aws_url_append(char *to, size_t size, const char *text, bool path);

#endif
