#include "store/s3_multipart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aws/presign.h"
#include "store/s3_xml.h"

enum { QUERY_SIZE = 1024 };
/* What is given up is not waited for long: what stays the bucket's own rules remove. */
#define ABORT_PATIENCE 5000 /* ms */

static struct s3_multipart *parts_of(const struct store_operation *operation)
{
    return ((struct s3_progress *)operation->progress)->parts;
}

static void fail(struct s3_multipart *parts, const struct error *why)
{
    if (parts->operation->result.error.code == 0)
        s3_fail(parts->operation, parts->verb, parts->operation->key, why);
}

static bool write_query(const struct s3_multipart *parts, int number, char query[QUERY_SIZE])
{
    query[0] = '\0';
    if (number > 0)
        snprintf(query, QUERY_SIZE, "partNumber=%d&", number);
    strcat(query, "uploadId=");
    return aws_url_append(query, QUERY_SIZE, parts->id, false);
}

/* ---- the end ------------------------------------------------------------------------------- */

static void on_aborted(struct s3_call *call, const struct http_response *response)
{
    parts_of(call->operation)->done(call->operation);
}

static void abort_all(struct s3_multipart *parts)
{
    char query[QUERY_SIZE];
    struct error error = parts->operation->result.error;
    struct s3_call *call = NULL;
    if (parts->id != NULL && write_query(parts, 0, query))
        call = s3_call_new(parts->operation, "DELETE", parts->key, query, on_aborted);
    if (call != NULL) {
        call->request.patience = ABORT_PATIENCE;
        if (s3_call_begin(call, parts->operation))
            return;
    }
    parts->operation->result.error = error;
    parts->done(parts->operation);
}

static void on_completed(struct s3_call *call, const struct http_response *response)
{
    struct s3_multipart *parts = parts_of(call->operation);
    if (call->error.code == 0)
        s3_explain_body(response, &call->error);
    if (call->error.code < 0) {
        fail(parts, &call->error);
        abort_all(parts);
    } else {
        parts->done(parts->operation);
    }
}

static struct s3_call *completion(struct s3_multipart *parts, char **text, size_t *size)
{
    char query[QUERY_SIZE];
    FILE *stream = open_memstream(text, size);
    if (stream == NULL)
        return NULL;
    fputs("<CompleteMultipartUpload>", stream);
    for (unsigned i = 0; i < parts->count; i++)
        fprintf(stream, "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag></Part>", i + 1,
                parts->etag[i]);
    fputs("</CompleteMultipartUpload>", stream);
    if (fclose(stream) != 0 || !write_query(parts, 0, query))
        return NULL;
    return s3_call_new(parts->operation, "POST", parts->key, query, on_completed);
}

static void complete(struct s3_multipart *parts)
{
    char *text = NULL;
    size_t size = 0;
    struct s3_call *call = completion(parts, &text, &size);
    if (call != NULL)
        s3_call_body(call, text, size);
    if (!s3_call_begin(call, parts->operation))
        abort_all(parts);
    free(text);
}

/* ---- parts --------------------------------------------------------------------------------- */

static void go_on(struct s3_multipart *parts);

/* A part's tag is in a header, or where it was copied in the body. */
static bool take_etag(struct s3_multipart *parts, unsigned number,
                      const struct http_response *response)
{
    const char *header = http_header(response, "etag");
    char text[72];
    if (header == NULL &&
        s3_xml_find(response->body, response->size, "CopyPartResult", "ETag", text, sizeof text))
        header = text;
    if (header == NULL || strlen(header) >= sizeof *parts->etag || strpbrk(header, "<&") != NULL)
        return false;
    strcpy(parts->etag[number], header);
    return true;
}

static void on_part(struct s3_call *call, const struct http_response *response)
{
    struct s3_multipart *parts = parts_of(call->operation);
    parts->running--;
    if (call->error.code == 0 && !take_etag(parts, call->part, response) &&
        !s3_explain_body(response, &call->error))
        error_set(&call->error, -EIO, "the service does not say the tag of a part");
    if (call->error.code < 0) {
        fail(parts, &call->error);
        s3_cancel_calls(parts->operation);
    }
    go_on(parts);
}

static void go_on(struct s3_multipart *parts)
{
    struct store_operation *operation = parts->operation;
    char query[QUERY_SIZE];
    while (operation->result.error.code == 0 && parts->asked < parts->count &&
           parts->running < S3_AT_ONCE) {
        struct s3_call *call = NULL;
        if (write_query(parts, (int)parts->asked + 1, query))
            call = parts->part(operation, parts->asked, query, on_part);
        if (call != NULL)
            call->part = parts->asked;
        parts->asked++;
        if (!s3_call_begin(call, operation))
            s3_cancel_calls(operation);
        else
            parts->running++;
    }
    if (parts->running > 0)
        return;
    if (operation->result.error.code < 0)
        abort_all(parts);
    else
        complete(parts);
}

/* ---- the beginning ------------------------------------------------------------------------- */

static void on_begun(struct s3_call *call, const struct http_response *response)
{
    struct s3_multipart *parts = parts_of(call->operation);
    char id[512];
    if (call->error.code == 0 &&
        !s3_xml_find(response->body, response->size, NULL, "UploadId", id, sizeof id))
        error_set(&call->error, -EIO, "the service does not say the upload's id");
    if (call->error.code == 0 &&
        ((parts->id = strdup(id)) == NULL ||
         (parts->etag = calloc(parts->count, sizeof *parts->etag)) == NULL))
        error_set(&call->error, -ENOMEM, "out of memory");
    if (call->error.code < 0) {
        fail(parts, &call->error);
        abort_all(parts);
    } else {
        go_on(parts);
    }
}

void s3_multipart_begin(struct s3_multipart *parts)
{
    struct s3_call *call = s3_call_new(parts->operation, "POST", parts->key, "uploads=", on_begun);
    s3_call_header(call, "x-amz-meta-sha256: %s", parts->sha256);
    if (!s3_call_begin(call, parts->operation))
        parts->done(parts->operation);
}

void s3_multipart_free(struct s3_multipart *parts)
{
    free(parts->id);
    free(parts->etag);
}
