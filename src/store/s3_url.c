/* URLs that permit one thing. */
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/presign.h"
#include "store/s3.h"

void s3_put_headers(const struct store_identity *identity, const uint8_t md5[STORE_MD5_SIZE],
                    struct s3_put_headers *values, struct aws_header headers[S3_PUT_HEADERS])
{
    snprintf(values->size, sizeof values->size, "%llu", (unsigned long long)identity->size);
    EVP_EncodeBlock((uint8_t *)values->md5, md5, STORE_MD5_SIZE);
    EVP_EncodeBlock((uint8_t *)values->sum, identity->sha256, SHA256_SIZE);
    sha256_hex(identity->sha256, values->hex);
    headers[0] = (struct aws_header){"content-length", values->size};
    headers[1] = (struct aws_header){"content-md5", values->md5};
    headers[2] = (struct aws_header){"x-amz-checksum-sha256", values->sum};
    headers[3] = (struct aws_header){"x-amz-meta-sha256", values->hex};
}

/* Where the object is; NULL where out of memory. */
static char *plain_url(const struct s3 *s3, const char *key)
{
    char path[S3_URL_SIZE] = "/", *url = NULL;
    if (!aws_url_append(path, sizeof path, s3->prefix, true) ||
        !aws_url_append(path, sizeof path, key, true) || asprintf(&url, "%s%s", s3->url, path) < 0)
        return NULL;
    return url;
}

static void sign(struct store_operation *operation, const struct aws_credentials *credentials)
{
    const struct s3 *s3 = s3_of(operation);
    bool put = operation->number > 0;
    struct s3_put_headers values = {.size = ""};
    struct aws_header headers[S3_PUT_HEADERS];
    char *url = plain_url(s3, put ? operation->attempt : operation->key);
    const struct aws_presign presign = {
        .credentials = credentials,
        .region = s3->region,
        .service = "s3",
        .method = put ? "PUT" : "GET",
        .url = url,
        .headers = headers,
        .header_count = put ? S3_PUT_HEADERS : 0,
        .now = time(NULL),
        .seconds = put ? S3_PUT_SECONDS : S3_GET_SECONDS,
    };
    s3_put_headers(&operation->expected, operation->md5, &values, headers);
    operation->result.url = url != NULL ? aws_presign(&presign) : NULL;
    if (operation->result.url == NULL)
        error_set(&operation->result.error, -ENOMEM, "out of memory");
    free(url);
}

static void on_credentials(void *opaque, const struct aws_credentials *credentials,
                           const struct error *error)
{
    struct store_operation *operation = opaque;
    if (credentials != NULL)
        sign(operation, credentials);
    else
        s3_fail(operation, "use", operation->key, error);
    s3_finish(operation);
}

struct url_progress {
    struct s3_progress base;
    struct s3_question question;
};

/* Of a store that is lent, the URL that was lent is the answer. */
static void on_lent(void *opaque, const char *url, const char *reason)
{
    struct store_operation *operation = opaque;
    struct error why;
    operation->result.url = url != NULL ? strdup(url) : NULL;
    if (operation->result.url == NULL) {
        error_set(&why, url != NULL ? -ENOMEM : -EACCES, "%s",
                  url != NULL ? "out of memory" : reason);
        s3_fail(operation, "use", operation->key, &why);
    }
    s3_finish(operation);
}

void s3_url_cancel(struct store_operation *operation)
{
    struct url_progress *progress = operation->progress;
    const struct error why = {-ECANCELED, "cancelled"};
    if (progress == NULL || !s3_unask(&progress->question))
        return;
    s3_fail(operation, "use", operation->key, &why);
    s3_finish_soon(operation);
}

void s3_url(struct store_operation *operation)
{
    struct s3 *s3 = s3_of(operation);
    struct error error;
    struct url_progress *progress = s3_progress_new(operation, sizeof *progress);
    const struct aws_credentials *credentials = s3->aws ? aws_credentials(s3->aws) : NULL;
    if (progress == NULL)
        return;
    if (s3->aws == NULL) {
        s3_ask(&progress->question, operation, on_lent, operation);
    } else if (credentials != NULL) {
        sign(operation, credentials);
        s3_finish_soon(operation);
    } else if (aws_fetch(s3->aws, on_credentials, operation, &error) < 0) {
        s3_fail(operation, "use", operation->key, &error);
        s3_finish_soon(operation);
    }
}
