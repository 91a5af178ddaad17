/* The S3 store: opened, its operations started, closed. */
#include "store/s3.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    CONNECTIONS = 64,      /* of a coordinator */
    LENT_CONNECTIONS = 16, /* of a worker */
    BUCKET_SIZE = 64,      /* names have 3 to 63 characters */
};

/* Bytes. A part is tried again as a whole, and one of what is put has at least 5 MiB. What is copied at
 * once has at most 5 GiB. */
#define GET_PART (UINT64_C(8) << 20)
#define PUT_PART (UINT64_C(16) << 20)
#define COPY_MOST (UINT64_C(5) << 30)
#define COPY_PART (UINT64_C(1) << 30)

/* ---- operations ---------------------------------------------------------------------------- */

void *s3_progress_new(struct store_operation *operation, size_t size)
{
    struct s3_progress *progress = calloc(1, size);
    operation->progress = progress;
    if (progress == NULL) {
        error_set(&operation->result.error, -ENOMEM, "out of memory");
        s3_finish_soon(operation);
        return NULL;
    }
    list_init(&progress->calls);
    return progress;
}

void s3_finish(struct store_operation *operation)
{
    free(operation->progress);
    operation->progress = NULL;
    store_finish(operation);
}

static void nothing(uv_work_t *work)
{
}

static void on_soon(uv_work_t *work, int status)
{
    s3_finish(work->data);
}

void s3_finish_soon(struct store_operation *operation)
{
    operation->work.data = operation;
    uv_queue_work(operation->store->loop, &operation->work, nothing, on_soon);
}

int s3_fail(struct store_operation *operation, const char *verb, const char *key,
            const struct error *why)
{
    return error_set(&operation->result.error, why->code, "cannot %s %s in the store %s: %.600s",
                     verb, key, operation->store->place, why->message);
}

void s3_cancel_calls(struct store_operation *operation)
{
    struct s3_progress *progress = operation->progress;
    if (progress == NULL)
        return;
    for (struct list_link *link = progress->calls.next, *next; link != &progress->calls;
         link = next) {
        next = link->next;
        s3_call_cancel(LIST_ENTRY(link, struct s3_call, link));
    }
}

static void cancel(struct store_operation *operation)
{
    if (operation->kind == STORE_URL)
        s3_url_cancel(operation);
    else
        s3_cancel_calls(operation);
}

static void start(struct store_operation *operation)
{
    static void (*const run[])(struct store_operation *) = {
        [STORE_GET] = s3_get,
        [STORE_PUT] = s3_put,
        [STORE_ADOPT] = s3_adopt,
        [STORE_STAT] = s3_stat,
        [STORE_LIST] = s3_list,
        [STORE_DELETE] = s3_delete,
        [STORE_DELETE_PREFIX] = s3_delete_prefix,
        [STORE_URL] = s3_url,
    };
    const struct s3 *s3 = s3_of(operation);
    enum store_kind kind = operation->kind;
    struct error why;
    if (atomic_load(&operation->cancelled))
        error_set(&why, -ECANCELED, "cancelled");
    else if (s3->aws == NULL && kind != STORE_GET && kind != STORE_PUT && kind != STORE_URL)
        error_set(&why, -EACCES, "only its coordinator has the keys to it");
    else {
        run[kind](operation);
        return;
    }
    s3_fail(operation, "use", operation->key, &why);
    s3_finish_soon(operation);
}

/* ---- closing ------------------------------------------------------------------------------- */

static void s3_free(struct s3 *s3)
{
    free(s3->base.place);
    free(s3->bucket);
    free(s3->prefix);
    free(s3->region);
    free(s3->url);
    free(s3);
}

static void on_closed(void *opaque)
{
    struct s3 *s3 = opaque;
    void (*closed)(void *) = s3->closed;
    void *what = s3->opaque;
    if (--s3->open > 0)
        return;
    s3_free(s3);
    closed(what);
}

static void s3_close(struct store *store, void (*closed)(void *opaque), void *opaque)
{
    struct s3 *s3 = (struct s3 *)store;
    s3->closed = closed;
    s3->opaque = opaque;
    s3->open = s3->aws != NULL ? 2 : 1;
    http_close(s3->http, on_closed, s3);
    if (s3->aws != NULL)
        aws_close(s3->aws, on_closed, s3);
}

/* ---- opening ------------------------------------------------------------------------------- */

static int take_place(struct s3 *s3, const char *place, struct error *error)
{
    const char *bucket = place + strlen("s3://");
    size_t length = strcspn(bucket, "/");
    const char *prefix = bucket + length + strspn(bucket + length, "/");
    size_t end = strlen(prefix);
    size_t plain =
        strspn(bucket, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_");
    if (length < 3 || length >= BUCKET_SIZE || plain < length)
        return error_set(error, -EINVAL,
                         "%s: a store in S3 is s3://BUCKET/PREFIX, and a bucket's name has 3 to 63 "
                         "letters, digits, '.' and '-'",
                         place);
    while (end > 0 && prefix[end - 1] == '/')
        end--;
    s3->bucket = strndup(bucket, length);
    if (end > 512)
        return error_set(error, -ENAMETOOLONG, "%s: the prefix is too long", place);
    if (s3->bucket == NULL ||
        asprintf(&s3->prefix, "%.*s%s", (int)end, prefix, end > 0 ? "/" : "") < 0) {
        s3->prefix = NULL;
        return error_set(error, -ENOMEM, "out of memory");
    }
    return 0;
}

/* The bucket's name is a part of the host's with Amazon itself, unless it has dots, which its certificates
 * do not cover; and a part of the path elsewhere. */
static bool is_virtual(const struct s3 *s3, bool own)
{
    const char *addressing = aws_s3_addressing(s3->aws);
    if (addressing != NULL && strcmp(addressing, "path") == 0)
        return false;
    if (addressing != NULL && strcmp(addressing, "virtual") == 0)
        return true;
    return !own && strchr(s3->bucket, '.') == NULL;
}

static int find_service(struct s3 *s3, struct error *error)
{
    char endpoint[AWS_URL_SIZE];
    const char *region = aws_region(s3->aws);
    bool own;
    int code =
        aws_endpoint(s3->aws, "s3", region != NULL ? region : "us-east-1", endpoint, &own, error);
    if (code < 0)
        return code;
    if (region == NULL && !own)
        return error_set(error, -EINVAL,
                         "the region of %s is not known: set AWS_REGION, or `region` in "
                         "~/.aws/config",
                         s3->bucket);
    const char *host = strstr(endpoint, "://");
    if (host == NULL)
        return error_set(error, -EINVAL,
                         "the endpoint of S3, %.200s, is no URL: it begins with "
                         "https:// or http://",
                         endpoint);
    host += strlen("://");
    s3->region = strdup(region != NULL ? region : "us-east-1");
    int length = is_virtual(s3, own) ? asprintf(&s3->url, "%.*s%s.%s", (int)(host - endpoint),
                                                endpoint, s3->bucket, host)
                                     : asprintf(&s3->url, "%s/%s", endpoint, s3->bucket);
    if (length < 0)
        s3->url = NULL;
    return s3->region != NULL && s3->url != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

static int open_parts(struct s3 *s3, uv_loop_t *loop, const char *place,
                      const struct store_lender *lender, struct error *error)
{
    int code = take_place(s3, place, error);
    if (code == 0)
        code = http_new(loop, s3->base.at_once, &s3->http, error);
    if (code < 0)
        return code;
    if (lender == NULL && (code = aws_new(loop, NULL, &s3->aws, error)) == 0)
        code = find_service(s3, error);
    if (lender != NULL && (s3->url = strdup("")) == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    if (code < 0 && s3->aws != NULL)
        aws_close(s3->aws, NULL, NULL);
    if (code < 0)
        http_close(s3->http, NULL, NULL);
    return code;
}

int s3_open(uv_loop_t *loop, const char *place, const struct store_lender *lender,
            struct store **store, struct error *error)
{
    static const struct store_methods methods = {
        .start = start, .cancel = cancel, .close = s3_close};
    struct s3 *s3 = calloc(1, sizeof *s3);
    if (s3 == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    s3->base.methods = &methods;
    s3->base.at_once = lender != NULL ? LENT_CONNECTIONS : CONNECTIONS;
    s3->get_part = GET_PART;
    s3->put_part = PUT_PART;
    s3->copy_most = COPY_MOST;
    s3->copy_part = COPY_PART;
    list_init(&s3->questions);
    if (lender != NULL)
        s3->lender = *lender;
    int code = open_parts(s3, loop, place, lender, error);
    if (code < 0) {
        s3_free(s3);
        return code;
    }
    *store = &s3->base;
    return 0;
}
