/* One request to S3: its permission, and what was answered. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/presign.h"
#include "store/s3.h"

static void begin_try(struct s3_call *call);

/* ---- the end ------------------------------------------------------------------------------- */

static void call_free(struct s3_call *call)
{
    list_remove(&call->link);
    for (int i = 0; i < call->headers; i++)
        free(call->header[i]);
    free(call->url);
    free(call->query);
    free(call->whole);
    free(call->lent);
    free(call->body);
    free(call);
}

static void end(struct s3_call *call, const struct http_response *response)
{
    list_remove(&call->link);
    call->done(call, response);
    call_free(call);
}

static void nothing(uv_work_t *work)
{
}

static void on_soon(uv_work_t *work, int status)
{
    struct s3_call *call = work->data;
    const struct http_response none = {.error = call->error};
    end(call, &none);
}

/* Where nothing was answered: call->error is set. From the loop, by way of the thread pool. */
static void end_unanswered(struct s3_call *call)
{
    call->soon.data = call;
    uv_queue_work(call->operation->store->loop, &call->soon, nothing, on_soon);
}

/* ---- what was answered --------------------------------------------------------------------- */

/* A HEAD is answered without words: a GET of nearly nothing is told more. */
static bool ask_why(struct s3_call *call, const struct http_response *response)
{
    if (strcmp(call->request.method, "HEAD") != 0 || response->error.code < 0 ||
        response->status == 404 || response->status < 300 || call->head_status != 0)
        return false;
    call->head_status = response->status;
    call->request.method = "GET";
    s3_call_header(call, "Range: bytes=0-0");
    return !call->failed;
}

static void on_answer(void *opaque, const struct http_response *response)
{
    struct s3_call *call = opaque;
    bool expired = false;
    call->transfer = NULL;
    call->error.code = 0;
    if (!http_succeeded(response))
        s3_explain(s3_of(call->operation), response, &call->error, &expired);
    else if (call->head_status != 0)
        error_set(&call->error, -EIO, "the service answered with status %d", call->head_status);
    if (expired && !call->renewed) {
        call->renewed = true;
        free(call->lent);
        call->lent = NULL;
        begin_try(call);
    } else if (call->error.code < 0 && ask_why(call, response)) {
        begin_try(call);
    } else {
        end(call, response);
    }
}

static void say(struct s3_call *call, const char *url, const struct http_signing *signing)
{
    struct s3 *s3 = s3_of(call->operation);
    call->request.url = url;
    call->request.signing = signing;
    call->request.headers = (const char *const *)call->header;
    if (call->request.patience == 0)
        call->request.patience = HTTP_PATIENCE;
    if (http_send(s3->http, &call->request, on_answer, call, &call->transfer, &call->error) < 0)
        end_unanswered(call);
}

/* ---- permission ---------------------------------------------------------------------------- */

static void say_signed(struct s3_call *call, const struct aws_credentials *credentials)
{
    const struct http_signing signing = {
        .access_key = credentials->access_key,
        .secret_key = credentials->secret_key,
        .session_token = credentials->session_token,
        .region = s3_of(call->operation)->region,
        .service = "s3",
    };
    say(call, call->whole, &signing);
}

/* Headers as the signer has them; `names` has the names' copies, to be freed. */
static bool split_headers(const struct s3_call *call, struct aws_header headers[S3_HEADERS],
                          char *names[S3_HEADERS])
{
    for (int i = 0; i < call->headers; i++) {
        size_t length = strcspn(call->header[i], ":");
        names[i] = strndup(call->header[i], length);
        headers[i] = (struct aws_header){names[i], call->header[i] + length + strlen(": ")};
        if (names[i] == NULL)
            return false;
    }
    return true;
}

static void say_signed_by_query(struct s3_call *call, const struct aws_credentials *credentials)
{
    struct aws_header headers[S3_HEADERS];
    char *names[S3_HEADERS] = {NULL}, *url = NULL;
    const struct aws_presign presign = {
        .credentials = credentials,
        .region = s3_of(call->operation)->region,
        .service = "s3",
        .method = call->request.method,
        .url = call->url,
        .query = call->query,
        .headers = headers,
        .header_count = (size_t)call->headers,
        .now = time(NULL),
        .seconds = S3_PUT_SECONDS,
    };
    if (split_headers(call, headers, names))
        url = aws_presign(&presign);
    if (url != NULL) {
        say(call, url, NULL);
    } else {
        error_set(&call->error, -ENOMEM, "out of memory");
        end_unanswered(call);
    }
    free(url);
    for (int i = 0; i < S3_HEADERS; i++)
        free(names[i]);
}

static void say_with(struct s3_call *call, const struct aws_credentials *credentials)
{
    if (call->by_query)
        say_signed_by_query(call, credentials);
    else
        say_signed(call, credentials);
}

static void on_credentials(void *opaque, const struct aws_credentials *credentials,
                           const struct error *error)
{
    struct s3_call *call = opaque;
    if (atomic_load(&call->operation->cancelled)) {
        error_set(&call->error, -ECANCELED, "cancelled");
        end_unanswered(call);
    } else if (credentials == NULL) {
        call->error = *error;
        end_unanswered(call);
    } else {
        say_with(call, credentials);
    }
}

static void on_lent(void *opaque, const char *url, const char *reason)
{
    struct s3_call *call = opaque;
    if (url != NULL && (call->lent = strdup(url)) != NULL) {
        say(call, call->lent, NULL);
        return;
    }
    error_set(&call->error, url != NULL ? -ENOMEM : -EACCES, "%s",
              url != NULL ? "out of memory" : reason);
    end_unanswered(call);
}

static void begin_try(struct s3_call *call)
{
    struct s3 *s3 = s3_of(call->operation);
    const struct aws_credentials *at_hand = NULL;
    if (call->lent != NULL) {
        say(call, call->lent, NULL);
    } else if (s3->aws == NULL) {
        s3_ask(&call->question, call->operation, on_lent, call);
    } else if (!call->renewed && (at_hand = aws_credentials(s3->aws)) != NULL) {
        say_with(call, at_hand);
    } else if (aws_fetch(s3->aws, on_credentials, call, &call->error) < 0) {
        end_unanswered(call);
    }
}

/* ---- making one ---------------------------------------------------------------------------- */

bool s3_source(const struct s3 *s3, const char *key, char source[S3_URL_SIZE])
{
    snprintf(source, S3_URL_SIZE, "/%s/", s3->bucket);
    return aws_url_append(source, S3_URL_SIZE, s3->prefix, true) &&
           aws_url_append(source, S3_URL_SIZE, key, true);
}

static struct s3_call *call_new(struct store_operation *operation, const char *method,
                                s3_called *done)
{
    struct s3_call *call = calloc(1, sizeof *call);
    if (call == NULL)
        return NULL;
    call->operation = operation;
    call->done = done;
    call->request.method = method;
    list_init(&call->link);
    return call;
}

static struct s3_call *call_to(struct store_operation *operation, const char *method,
                               const char *path, const char *query, s3_called *done)
{
    struct s3_call *call = call_new(operation, method, done);
    if (call == NULL)
        return NULL;
    const char *url = s3_of(operation)->url, *mark = query[0] != '\0' ? "?" : "";
    if (asprintf(&call->url, "%s%s", url, path) < 0)
        call->url = NULL;
    if (asprintf(&call->whole, "%s%s%s%s", url, path, mark, query) < 0)
        call->whole = NULL;
    call->query = strdup(query);
    call->failed = call->url == NULL || call->whole == NULL || call->query == NULL;
    return call;
}

struct s3_call *s3_call_new(struct store_operation *operation, const char *method, const char *key,
                            const char *query, s3_called *done)
{
    char path[S3_URL_SIZE] = "/";
    if (!aws_url_append(path, sizeof path, s3_of(operation)->prefix, true) ||
        !aws_url_append(path, sizeof path, key, true))
        return NULL;
    return call_to(operation, method, path, query, done);
}

struct s3_call *s3_call_bucket(struct store_operation *operation, const char *method,
                               const char *query, s3_called *done)
{
    return call_to(operation, method, "/", query, done);
}

void s3_call_body(struct s3_call *call, const char *bytes, size_t size)
{
    if (call == NULL)
        return;
    free(call->body);
    call->body = malloc(size + 1);
    call->failed |= call->body == NULL;
    if (call->body != NULL)
        memcpy(call->body, bytes, size);
    call->request.bytes = call->body;
    call->request.size = size;
}

void s3_call_sum(struct s3_call *call, const char *hex)
{
    snprintf(call->sum, sizeof call->sum, "%s", hex);
    call->request.sha256 = call->sum;
}

void s3_call_header(struct s3_call *call, const char *format, ...)
{
    va_list arguments;
    if (call == NULL)
        return;
    va_start(arguments, format);
    if (call->headers == S3_HEADERS ||
        vasprintf(&call->header[call->headers], format, arguments) < 0) {
        if (call->headers < S3_HEADERS)
            call->header[call->headers] = NULL;
        call->failed = true;
    } else {
        call->headers++;
    }
    va_end(arguments);
}

static bool refuse(struct s3_call *call, struct store_operation *operation)
{
    error_set(&operation->result.error, -ENOMEM, "out of memory");
    if (call != NULL)
        call_free(call);
    return false;
}

bool s3_call_begin(struct s3_call *call, struct store_operation *operation)
{
    struct s3_progress *progress = operation->progress;
    if (call == NULL || call->failed)
        return refuse(call, operation);
    list_append(&progress->calls, &call->link);
    begin_try(call);
    return true;
}

void s3_call_cancel(struct s3_call *call)
{
    if (call->transfer != NULL) {
        http_cancel(call->transfer);
    } else if (s3_unask(&call->question)) {
        error_set(&call->error, -ECANCELED, "cancelled");
        end_unanswered(call);
    } /* else it has ended, or credentials are on their way and come soon */
}
