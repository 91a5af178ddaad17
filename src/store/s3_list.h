/* A page of a listing of the bucket, as the service gives it. */
#ifndef STORE_S3_LIST_H
#define STORE_S3_LIST_H

#include "store/s3.h"

struct s3_page {
    struct store_entry *entries; /* [count]: keys in full, those of others among them */
    size_t count;
    bool more;
    int code; /* of reading it: 0, -ENOMEM, -EBADMSG */
};

/* Begins to list up to `limit` keys of the bucket behind `after` ("" for none) that begin with `prefix`, both in
 * full. As s3_call_begin(). */
bool s3_page_ask(struct store_operation *operation, const char *prefix, const char *after,
                 size_t limit, s3_called *done);
/* Reads the answer. To be freed. */
void s3_page_read(const struct http_response *response, struct s3_page *page);
void s3_page_free(struct s3_page *page);

#endif
