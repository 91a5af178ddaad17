/* What objects are, and making an attempt's the one that counts: copied to its key by the service, then removed
 * where it was. One who adopts does so alone; the copy is of the object that was looked at. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "store/s3_multipart.h"

struct adopt {
    struct s3_progress base;
    char *etag; /* of the attempt */
    struct s3_multipart parts;
};

static void end(struct store_operation *operation)
{
    struct adopt *adopt = operation->progress;
    free(adopt->etag);
    s3_multipart_free(&adopt->parts);
    s3_finish(operation);
}

static void fail(struct store_operation *operation, const struct error *why)
{
    s3_fail(operation, "adopt", operation->attempt, why);
    end(operation);
}

static void begin(struct s3_call *call, struct store_operation *operation)
{
    if (!s3_call_begin(call, operation))
        end(operation);
}

/* ---- what an object is --------------------------------------------------------------------- */

static bool read_digits(const char *text, uint8_t sum[SHA256_SIZE])
{
    if (text == NULL || strlen(text) != 2 * SHA256_SIZE)
        return false;
    for (int i = 0; i < SHA256_SIZE; i++) {
        unsigned byte;
        if (sscanf(text + 2 * i, "%2x", &byte) != 1)
            return false;
        sum[i] = (uint8_t)byte;
    }
    return true;
}

static void read_identity(const struct http_response *response, struct store_identity *identity)
{
    const char *length = http_header(response, "content-length");
    *identity = (struct store_identity){.size = length != NULL ? strtoull(length, NULL, 10) : 0};
    identity->unsummed = !read_digits(http_header(response, "x-amz-meta-sha256"), identity->sha256);
}

/* Of what does not say its sum nothing can be told. */
static int check(struct store_operation *operation, const char *key,
                 const struct store_identity *found)
{
    if (found->unsummed && found->size == operation->expected.size)
        return error_set(&operation->result.error, -EBADMSG,
                         "%s in the store %s was put there by another program: its SHA-256 is not "
                         "known",
                         key, operation->store->place);
    return store_check_identity(operation, key, found);
}

/* ---- adopting ------------------------------------------------------------------------------ */

static void on_removed(struct s3_call *call, const struct http_response *response)
{
    if (call->error.code < 0 && call->error.code != -ENOENT)
        fail(call->operation, &call->error);
    else
        end(call->operation);
}

static void remove_attempt(struct store_operation *operation)
{
    begin(s3_call_new(operation, "DELETE", operation->attempt, "", on_removed), operation);
}

static void on_copied(struct s3_call *call, const struct http_response *response)
{
    if (call->error.code == 0)
        s3_explain_body(response, &call->error);
    if (call->error.code < 0)
        fail(call->operation, &call->error);
    else
        remove_attempt(call->operation);
}

static void add_source(struct s3_call *call, const struct store_operation *operation)
{
    const struct adopt *adopt = operation->progress;
    char source[S3_URL_SIZE];
    if (!s3_source(s3_of(operation), operation->attempt, source))
        call->failed = true;
    call->by_query = true;
    s3_call_header(call, "x-amz-copy-source: %s", source);
    if (adopt->etag != NULL)
        s3_call_header(call, "x-amz-copy-source-if-match: %s", adopt->etag);
}

static struct s3_call *part_call(struct store_operation *operation, unsigned number,
                                 const char *query, s3_called *done)
{
    uint64_t part = s3_of(operation)->copy_part, begin = number * part,
             size = operation->expected.size;
    uint64_t last = size - begin < part ? size - 1 : begin + part - 1;
    struct s3_call *call = s3_call_new(operation, "PUT", operation->key, query, done);
    if (call == NULL)
        return NULL;
    add_source(call, operation);
    s3_call_header(call, "x-amz-copy-source-range: bytes=%llu-%llu", (unsigned long long)begin,
                   (unsigned long long)last);
    return call;
}

static void on_parts_copied(struct store_operation *operation)
{
    if (operation->result.error.code < 0)
        end(operation);
    else
        remove_attempt(operation);
}

static void copy_in_parts(struct store_operation *operation)
{
    struct adopt *adopt = operation->progress;
    uint64_t part = s3_of(operation)->copy_part;
    adopt->base.parts = &adopt->parts;
    adopt->parts = (struct s3_multipart){
        .operation = operation,
        .key = operation->key,
        .verb = "adopt",
        .count = (unsigned)((operation->expected.size + part - 1) / part),
        .part = part_call,
        .done = on_parts_copied,
    };
    sha256_hex(operation->expected.sha256, adopt->parts.sha256);
    s3_multipart_begin(&adopt->parts);
}

static void on_attempt(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    struct adopt *adopt = operation->progress;
    const char *etag = http_header(response, "etag");
    if (call->error.code < 0) {
        fail(operation, &call->error);
        return;
    }
    read_identity(response, &operation->result.identity);
    if (check(operation, operation->attempt, &operation->result.identity) < 0) {
        end(operation);
    } else if (etag != NULL && (adopt->etag = strdup(etag)) == NULL) {
        error_set(&operation->result.error, -ENOMEM, "out of memory");
        end(operation);
    } else if (operation->expected.size > s3_of(operation)->copy_most) {
        copy_in_parts(operation);
    } else {
        struct s3_call *copy = s3_call_new(operation, "PUT", operation->key, "", on_copied);
        if (copy != NULL)
            add_source(copy, operation);
        begin(copy, operation);
    }
}

/* What to do where the key may hold something already. */
static void on_key(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    if (call->error.code == -ENOENT) {
        begin(s3_call_new(operation, "HEAD", operation->attempt, "", on_attempt), operation);
        return;
    }
    if (call->error.code < 0) {
        fail(operation, &call->error);
        return;
    }
    read_identity(response, &operation->result.identity);
    if (check(operation, operation->key, &operation->result.identity) == 0) {
        remove_attempt(operation);
        return;
    }
    operation->result.error.code = -EEXIST;
    error_prefix(&operation->result.error, "cannot adopt %s", operation->attempt);
    end(operation);
}

void s3_adopt(struct store_operation *operation)
{
    struct adopt *adopt = s3_progress_new(operation, sizeof *adopt);
    if (adopt != NULL &&
        !s3_call_begin(s3_call_new(operation, "HEAD", operation->key, "", on_key), operation))
        s3_finish_soon(operation);
}

/* ---- looking ------------------------------------------------------------------------------- */

static void on_looked_at(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    const char *tag = http_header(response, "etag");
    if (call->error.code < 0)
        s3_fail(operation, "look at", operation->key, &call->error);
    else
        read_identity(response, &operation->result.identity);
    operation->result.tag = call->error.code == 0 && tag != NULL ? strdup(tag) : NULL;
    s3_finish(operation);
}

void s3_stat(struct store_operation *operation)
{
    if (s3_progress_new(operation, sizeof(struct s3_progress)) != NULL &&
        !s3_call_begin(s3_call_new(operation, "HEAD", operation->key, "", on_looked_at), operation))
        s3_finish_soon(operation);
}
