/* Putting a file: summed, then sent at once or in parts. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/presign.h"
#include "store/s3_multipart.h"
#include "store/s3_sum.h"
#include "util/beneath.h"

/* What one request may bring (and a URL permits one). */
#define MOST_AT_ONCE (UINT64_C(5) << 30)
#define MOST_PARTS 10000

struct put {
    struct s3_progress base;
    int file;
    struct s3_sum sum;
    int sum_code;
    struct s3_multipart parts;
};

static int local_fail(struct store_operation *operation, int code)
{
    return error_set(&operation->result.error, code, "cannot read %s: %s", operation->path,
                     code == -ENOENT ? "there is no such file or folder" : error_reason(code));
}

static void end(struct store_operation *operation)
{
    struct put *put = operation->progress;
    operation->result.identity = put->sum.identity;
    free(put->sum.parts);
    s3_multipart_free(&put->parts);
    close(put->file);
    s3_finish(operation);
}

static void on_put(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    if (call->error.code < 0)
        s3_fail(operation, "put", operation->key, &call->error);
    end(operation);
}

/* ---- at once ------------------------------------------------------------------------------- */

/* The headers that a URL was signed for; the length is what HTTP says anyway. */
static void add_lent_headers(struct s3_call *call, const struct s3_sum *sum)
{
    struct s3_put_headers values = {.size = ""};
    struct aws_header headers[S3_PUT_HEADERS];
    s3_put_headers(&sum->identity, sum->md5, &values, headers);
    for (int i = 1; i < S3_PUT_HEADERS; i++)
        s3_call_header(call, "%s: %s", headers[i].name, headers[i].value);
}

static bool put_at_once(struct store_operation *operation)
{
    struct put *put = operation->progress;
    char hex[SHA256_HEX_SIZE];
    struct s3_call *call = s3_call_new(operation, "PUT", operation->attempt, "", on_put);
    if (call == NULL)
        return s3_call_begin(NULL, operation);
    sha256_hex(put->sum.identity.sha256, hex);
    call->request.from_file = true;
    call->request.file = put->file;
    call->request.size = put->sum.identity.size;
    if (s3_of(operation)->aws == NULL)
        add_lent_headers(call, &put->sum);
    else
        s3_call_header(call, "x-amz-meta-sha256: %s", hex);
    s3_call_sum(call, hex);
    return s3_call_begin(call, operation);
}

/* ---- in parts ------------------------------------------------------------------------------ */

static struct s3_call *part_call(struct store_operation *operation, unsigned number,
                                 const char *query, s3_called *done)
{
    struct put *put = operation->progress;
    char hex[SHA256_HEX_SIZE];
    uint64_t offset = (uint64_t)number * put->sum.part, left = put->sum.identity.size - offset;
    struct s3_call *call = s3_call_new(operation, "PUT", operation->attempt, query, done);
    if (call == NULL)
        return NULL;
    call->request.from_file = true;
    call->request.file = put->file;
    call->request.offset = offset;
    call->request.size = left < put->sum.part ? left : put->sum.part;
    sha256_hex(put->sum.parts[number], hex);
    s3_call_sum(call, hex);
    return call;
}

static void put_in_parts(struct store_operation *operation)
{
    struct put *put = operation->progress;
    put->base.parts = &put->parts;
    put->parts = (struct s3_multipart){
        .operation = operation,
        .key = operation->attempt,
        .verb = "put",
        .count = (unsigned)put->sum.part_count,
        .part = part_call,
        .done = end,
    };
    sha256_hex(put->sum.identity.sha256, put->parts.sha256);
    s3_multipart_begin(&put->parts);
}

/* ---- the beginning ------------------------------------------------------------------------- */

static void sum(uv_work_t *work)
{
    struct store_operation *operation = work->data;
    struct put *put = operation->progress;
    put->sum_code = s3_sum_file(&put->sum, put->file);
}

static void on_summed(uv_work_t *work, int status)
{
    struct store_operation *operation = work->data;
    struct put *put = operation->progress;
    operation->expected = put->sum.identity;
    memcpy(operation->md5, put->sum.md5, sizeof operation->md5);
    if (put->sum_code < 0)
        local_fail(operation, put->sum_code);
    else if (put->sum.part > 0) {
        put_in_parts(operation);
        return;
    } else if (put->sum.identity.size > MOST_AT_ONCE)
        error_set(&operation->result.error, -EFBIG,
                  "cannot put %s in the store %s: a worker's file may have 5 GiB at most",
                  operation->key, operation->store->place);
    else if (put_at_once(operation))
        return;
    end(operation);
}

static int open_file(const struct store_operation *operation, uint64_t *size)
{
    struct stat status;
    int file = beneath_open(operation->folder, operation->path, O_RDONLY, 0);
    if (file < 0)
        return file == -ENOTDIR || file == -ELOOP ? -ENOENT : file;
    int code = fstat(file, &status) != 0 ? -errno : S_ISREG(status.st_mode) ? 0 : -ENOENT;
    if (code < 0) {
        close(file);
        return code;
    }
    *size = (uint64_t)status.st_size;
    return file;
}

void s3_put(struct store_operation *operation)
{
    const struct s3 *s3 = s3_of(operation);
    uint64_t size = 0, part = s3->put_part;
    struct put *put = s3_progress_new(operation, sizeof *put);
    if (put == NULL)
        return;
    put->file = open_file(operation, &size);
    if (put->file < 0) {
        local_fail(operation, put->file);
        s3_finish_soon(operation);
        return;
    }
    while (size / part >= MOST_PARTS)
        part *= 2;
    put->sum.part = s3->aws != NULL && size > part ? part : 0;
    put->sum.want_md5 = s3->aws == NULL;
    put->sum.cancelled = &operation->cancelled;
    operation->work.data = operation;
    uv_queue_work(operation->store->loop, &operation->work, sum, on_summed);
}
