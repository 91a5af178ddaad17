/* Getting an object, or a range of it: the first part says how long it is, the others follow side by side. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/draft.h"
#include "store/s3.h"
#include "store/transfer.h"
#include "util/beneath.h"

struct get {
    struct s3_progress base;
    struct draft draft;
    uint64_t length;  /* bytes that are to come, once that is known */
    uint64_t asked;   /* of them */
    unsigned running; /* requests */
    char *etag;       /* all parts are to be of one object */
    char *lent;       /* the URL, of a store that is lent */
    struct store_identity found;
    int sum_code;
};

static int local_fail(struct store_operation *operation, int code)
{
    return error_set(&operation->result.error, code, "cannot write %s: %s", operation->path,
                     code == -ENOENT ? "there is no such file or folder" : error_reason(code));
}

static void end(struct store_operation *operation)
{
    struct get *get = operation->progress;
    if (operation->result.error.code < 0 && get->draft.folder >= 0)
        draft_abort(&get->draft);
    draft_close(&get->draft);
    free(get->etag);
    free(get->lent);
    s3_finish(operation);
}

static void commit(struct store_operation *operation)
{
    struct get *get = operation->progress;
    int code = draft_commit(&get->draft);
    if (code < 0)
        local_fail(operation, code);
    end(operation);
}

/* ---- what came ----------------------------------------------------------------------------- */

static void sum(uv_work_t *work)
{
    struct store_operation *operation = work->data;
    struct get *get = operation->progress;
    struct transfer transfer = {.in = get->draft.fd,
                                .out = -1,
                                .length = STORE_TO_END,
                                .sum = true,
                                .cancelled = &operation->cancelled};
    get->sum_code = transfer_run(&transfer);
    get->found = transfer.identity;
}

static void on_summed(uv_work_t *work, int status)
{
    struct store_operation *operation = work->data;
    struct get *get = operation->progress;
    operation->result.identity = get->found;
    if (get->sum_code < 0) {
        local_fail(operation, get->sum_code);
        end(operation);
    } else if (store_check_identity(operation, operation->key, &get->found) < 0) {
        end(operation);
    } else {
        commit(operation);
    }
}

/* All is there, or it failed. */
static void conclude(struct store_operation *operation)
{
    struct get *get = operation->progress;
    operation->result.identity = (struct store_identity){.size = get->length, .unsummed = true};
    if (operation->result.error.code < 0) {
        end(operation);
    } else if (operation->checked) {
        operation->work.data = operation;
        uv_queue_work(operation->store->loop, &operation->work, sum, on_summed);
    } else {
        commit(operation);
    }
}

/* ---- parts --------------------------------------------------------------------------------- */

static void fail(struct store_operation *operation, const struct error *why)
{
    if (operation->result.error.code == 0)
        s3_fail(operation, "get", operation->key, why);
    s3_cancel_calls(operation);
}

static struct s3_call *call_for(struct store_operation *operation, uint64_t size, s3_called *done)
{
    struct get *get = operation->progress;
    uint64_t begin = operation->offset + get->asked;
    struct s3_call *call = s3_call_new(operation, "GET", operation->key, "", done);
    s3_call_header(call, "Range: bytes=%llu-%llu", (unsigned long long)begin,
                   (unsigned long long)(begin + size - 1));
    if (call == NULL)
        return NULL;
    call->request.to_file = true;
    call->request.target = get->draft.fd;
    call->request.target_offset = get->asked;
    call->request.limit = size;
    return call;
}

static void on_part(struct s3_call *call, const struct http_response *response);

static void begin_parts(struct store_operation *operation)
{
    struct get *get = operation->progress;
    while (operation->result.error.code == 0 && get->asked < get->length &&
           get->running < S3_AT_ONCE) {
        uint64_t left = get->length - get->asked, part = s3_of(operation)->get_part;
        struct s3_call *call = call_for(operation, left < part ? left : part, on_part);
        if (call != NULL && get->etag != NULL)
            s3_call_header(call, "If-Match: %s", get->etag);
        if (call != NULL && get->lent != NULL)
            call->lent = strdup(get->lent);
        get->asked += left < part ? left : part;
        if (!s3_call_begin(call, operation))
            s3_cancel_calls(operation);
        else
            get->running++;
    }
    if (get->running == 0)
        conclude(operation);
}

static void on_part(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    struct get *get = operation->progress;
    static const struct error odd = {-EIO,
                                     "the service does not answer with the range it was asked for"};
    get->running--;
    if (call->error.code < 0)
        fail(operation, &call->error);
    else if (response->status != 206 || response->written != call->request.limit)
        fail(operation, &odd);
    begin_parts(operation);
}

/* ---- the first one ------------------------------------------------------------------------- */

static uint64_t smaller(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* The object's size, of "bytes 0-99/1234" or "bytes * /0"; false where the header does not say it. */
static bool read_total(const struct http_response *response, uint64_t *total)
{
    const char *range = http_header(response, "content-range");
    const char *slash = range != NULL ? strchr(range, '/') : NULL;
    unsigned long long size;
    if (slash == NULL || sscanf(slash, "/%llu", &size) != 1)
        return false;
    *total = size;
    return true;
}

/* A range that begins at the end, or behind it. */
static void on_past_end(struct store_operation *operation, uint64_t total)
{
    struct error why;
    if (operation->offset > total) {
        error_set(&operation->result.error, -ERANGE,
                  "cannot get %s from byte %llu on: the object has %llu", operation->key,
                  (unsigned long long)operation->offset, (unsigned long long)total);
    } else if (operation->offset < total) {
        error_set(&why, -EIO, "the service refuses a range that the object has");
        s3_fail(operation, "get", operation->key, &why);
    }
    conclude(operation);
}

/* Where it is not known how long the object is, its first byte tells. An object without one is empty. */
static void on_total(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    uint64_t total = 0;
    if (call->error.code < 0 && call->error.code != -ERANGE)
        s3_fail(operation, "get", operation->key, &call->error);
    else if (call->error.code == 0)
        read_total(response, &total);
    if (operation->result.error.code < 0)
        conclude(operation);
    else
        on_past_end(operation, total);
}

static void ask_total(struct store_operation *operation)
{
    struct s3_call *call = s3_call_new(operation, "GET", operation->key, "", on_total);
    s3_call_header(call, "Range: bytes=0-0");
    if (!s3_call_begin(call, operation))
        conclude(operation);
}

static bool keep_etag(struct get *get, const struct http_response *response)
{
    const char *etag = http_header(response, "etag");
    return etag == NULL || (get->etag = strdup(etag)) != NULL;
}

static void on_first(struct s3_call *call, const struct http_response *response)
{
    struct store_operation *operation = call->operation;
    struct get *get = operation->progress;
    static const struct error odd = {-EIO, "the service does not say how long the object is"};
    uint64_t total;
    if (call->error.code == -ERANGE && operation->offset > 0) {
        ask_total(operation);
        return;
    }
    if (call->error.code == -ERANGE) {
        on_past_end(operation, 0);
        return;
    }
    if (call->error.code < 0) {
        fail(operation, &call->error);
    } else if (response->status != 206 || !read_total(response, &total) ||
               total < operation->offset) {
        fail(operation, &odd);
    } else if (!keep_etag(get, response) ||
               (call->lent != NULL && (get->lent = strdup(call->lent)) == NULL)) {
        error_set(&operation->result.error, -ENOMEM, "out of memory");
    } else {
        get->length = smaller(operation->length, total - operation->offset);
        get->asked = response->written;
        if (get->length < get->asked && ftruncate(get->draft.fd, (off_t)get->length) != 0)
            local_fail(operation, -errno);
    }
    begin_parts(operation);
}

void s3_get(struct store_operation *operation)
{
    struct get *get = s3_progress_new(operation, sizeof *get);
    if (get == NULL)
        return;
    get->draft.fd = -1;
    get->draft.folder = beneath_parent(operation->folder, operation->path, false, &get->draft.name);
    int code = get->draft.folder < 0 ? get->draft.folder : draft_begin(&get->draft, -1, NULL);
    uint64_t size = smaller(operation->length, s3_of(operation)->get_part);
    if (code < 0)
        local_fail(operation, code);
    else if (s3_call_begin(call_for(operation, size > 0 ? size : 1, on_first), operation))
        return;
    if (get->draft.fd >= 0)
        draft_abort(&get->draft);
    draft_close(&get->draft);
    s3_finish_soon(operation);
}
