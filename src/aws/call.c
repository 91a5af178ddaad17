#include "aws/call.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_HEADERS = 8 };

struct pending {
    struct aws *aws;
    struct http *http;
    aws_called *done;
    void *opaque;
    char url[2 * AWS_URL_SIZE];
    char *service, *region, *method, *body;
    char *headers[MOST_HEADERS + 1];
    size_t size;
    uint32_t patience;
    bool renewed; /* the credentials, for this call */
};

static void fetched(void *opaque, const struct aws_credentials *credentials,
                    const struct error *error);

/* ---- The end of one ------------------------------------------------------------------------ */

/* The body may hold secrets. */
static void pending_free(struct pending *pending)
{
    if (pending->body != NULL)
        explicit_bzero(pending->body, pending->size);
    free(pending->body);
    free(pending->service);
    free(pending->region);
    free(pending->method);
    for (int i = 0; i < MOST_HEADERS; i++)
        free(pending->headers[i]);
    free(pending);
}

static void finish(struct pending *pending, const struct aws_reply *reply)
{
    pending->done(pending->opaque, reply);
    pending_free(pending);
}

static void finish_without_answer(struct pending *pending, const struct error *error)
{
    const struct aws_reply reply = {.error = *error};
    finish(pending, &reply);
}

/* ---- What AWS says ------------------------------------------------------------------------- */

/* The kind of a refusal: "x-amzn-ErrorType: KIND:http://..." */
static void take_kind(const struct http_response *response, char kind[AWS_KIND_SIZE])
{
    const char *text = http_header(response, "x-amzn-ErrorType");
    size_t length = text != NULL ? strcspn(text, ":") : 0;
    if (length >= AWS_KIND_SIZE)
        length = 0;
    if (length > 0)
        memcpy(kind, text, length);
    kind[length] = '\0';
}

/* AWS's own words, for json_decref(); "" where there are none. */
static json_t *read_words(const struct http_response *response, const char **words)
{
    json_t *document = response->size > 0
                           ? json_loadb((const char *)response->body, response->size, 0, NULL)
                           : NULL;
    const char *text = json_string_value(json_object_get(document, "message"));
    if (text == NULL)
        text = json_string_value(json_object_get(document, "Message"));
    *words = text != NULL ? text : "";
    return document;
}

struct meaning {
    const char *kind;
    int code;
    const char *sentence;
};

/* The first that begins a kind. */
static const struct meaning meanings[] = {
    {"ExpiredToken", -EACCES, "the AWS credentials have expired; get new ones"},
    {"UnrecognizedClient", -EACCES,
     "AWS does not know these credentials; check the access key and the session token"},
    {"InvalidSignature", -EACCES,
     "AWS does not accept the signature; check the secret key, the region and this machine's "
     "clock"},
    {"SignatureDoesNotMatch", -EACCES,
     "AWS does not accept the signature; check the secret key, the region and this machine's "
     "clock"},
    {"MissingAuthenticationToken", -EACCES, "AWS does not accept the request's signature"},
    {"IncompleteSignature", -EACCES, "AWS does not accept the request's signature"},
    {"AccessDenied", -EACCES, "the AWS credentials are not allowed to do this"},
    {"ResourceNotFound", -ENOENT, "it is not there"},
    {"RequestTooLarge", -E2BIG, "the request is too large"},
    {"RequestEntityTooLarge", -E2BIG, "the request is too large"},
    {"TooManyRequests", -EBUSY, "AWS asks to wait"},
    {"Throttling", -EBUSY, "AWS asks to wait"},
    {"ResourceConflict", -EEXIST, "it is there already, or is being changed"},
};

static const struct meaning *find_meaning(const char *kind, int status)
{
    static const struct meaning busy = {"", -EBUSY, "AWS cannot do it now"};
    static const struct meaning denied = {"", -EACCES, "AWS refuses it to these credentials"};
    static const struct meaning other = {"", -EINVAL, "AWS refuses it"};
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if (strncmp(kind, meanings[i].kind, strlen(meanings[i].kind)) == 0)
            return &meanings[i];
    return status == 429 || status >= 500   ? &busy
           : status == 401 || status == 403 ? &denied
                                            : &other;
}

static void explain(const struct pending *pending, struct aws_reply *reply)
{
    const struct http_response *response = reply->response;
    const char *words;
    take_kind(response, reply->kind);
    json_t *document = read_words(response, &words);
    const struct meaning *meaning = find_meaning(reply->kind, response->status);
    if (reply->kind[0] == '\0')
        snprintf(reply->kind, sizeof reply->kind, "status %d", response->status);
    error_set(&reply->error, meaning->code, "%s (%s in %s: %s%s%.300s)", meaning->sentence,
              pending->service, pending->region, reply->kind, words[0] ? ": " : "", words);
    json_decref(document);
}

static void on_answer(void *opaque, const struct http_response *response)
{
    struct pending *pending = opaque;
    struct aws_reply reply = {.error = response->error, .response = response};
    struct error error;
    if (response->error.code == 0 && !http_succeeded(response))
        explain(pending, &reply);
    if (strncmp(reply.kind, "ExpiredToken", 12) == 0 && !pending->renewed) {
        pending->renewed = true;
        if (aws_fetch(pending->aws, fetched, pending, &error) == 0)
            return;
    }
    finish(pending, &reply);
}

/* ---- Asking -------------------------------------------------------------------------------- */

static int ask(struct pending *pending, const struct aws_credentials *credentials,
               struct error *error)
{
    const struct http_signing signing = {
        .access_key = credentials->access_key,
        .secret_key = credentials->secret_key,
        .session_token = credentials->session_token,
        .region = pending->region,
        .service = pending->service,
    };
    const struct http_request request = {
        .method = pending->method,
        .url = pending->url,
        .headers = (const char *const *)pending->headers,
        .signing = &signing,
        .bytes = pending->body,
        .size = pending->size,
        .patience = pending->patience,
    };
    return http_send(pending->http, &request, on_answer, pending, NULL, error);
}

static void fetched(void *opaque, const struct aws_credentials *credentials,
                    const struct error *error)
{
    struct pending *pending = opaque;
    struct error reason;
    if (credentials == NULL)
        finish_without_answer(pending, error);
    else if (ask(pending, credentials, &reason) < 0)
        finish_without_answer(pending, &reason);
}

/* ---- Beginning ----------------------------------------------------------------------------- */

static bool copy(struct pending *pending, const struct aws_call *call)
{
    pending->service = strdup(call->service);
    pending->region = strdup(call->region);
    pending->method = strdup(call->method);
    pending->body = malloc(call->size + 1);
    pending->size = call->size;
    pending->patience = call->patience;
    if (!pending->service || !pending->region || !pending->method || !pending->body)
        return false;
    if (call->size > 0)
        memcpy(pending->body, call->body, call->size);
    for (int i = 0; call->headers != NULL && call->headers[i] != NULL && i < MOST_HEADERS; i++)
        if ((pending->headers[i] = strdup(call->headers[i])) == NULL)
            return false;
    return true;
}

static int find_url(struct pending *pending, const struct aws_call *call, struct error *error)
{
    char endpoint[AWS_URL_SIZE];
    int code = aws_endpoint(pending->aws, call->service, call->region, endpoint, NULL, error);
    if (code < 0)
        return code;
    if (strlen(endpoint) + strlen(call->path) >= sizeof pending->url)
        return error_set(error, -ENAMETOOLONG, "the URL of a request to %s is too long",
                         call->service);
    strcpy(stpcpy(pending->url, endpoint), call->path);
    return 0;
}

int aws_call(struct aws *aws, struct http *http, const struct aws_call *call, aws_called *done,
             void *opaque, struct error *error)
{
    struct pending *pending = calloc(1, sizeof *pending);
    if (pending == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    *pending = (struct pending){.aws = aws, .http = http, .done = done, .opaque = opaque};
    const struct aws_credentials *credentials = aws_credentials(aws);
    int code = copy(pending, call) ? find_url(pending, call, error)
                                   : error_set(error, -ENOMEM, "out of memory");
    if (code == 0)
        code = credentials != NULL ? ask(pending, credentials, error)
                                   : aws_fetch(aws, fetched, pending, error);
    if (code < 0)
        pending_free(pending);
    return code;
}
