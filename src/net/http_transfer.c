/* One request of the HTTP client. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "net/http_private.h"
#include "util/sha256.h"
#include "util/write.h"

#define DEFAULT_LIMIT (1024 * 1024u)     /* bytes */
#define MEMORY_LIMIT (64 * 1024 * 1024u) /* bytes */
#define DEFAULT_CONNECT 10000u           /* ms */
#define DEFAULT_STALL 30000u             /* ms */
#define FIRST_PAUSE 200u                 /* ms */
#define LONGEST_PAUSE 10000u             /* ms */
#define LONGEST_RETRY_AFTER 30000u       /* ms */

/* ---- what moves the bytes ------------------------------------------------------------------ */

/* libcurl's word for a body that cannot be taken is a size other than was given. */
static size_t refuse(struct http_transfer *transfer, int code, const char *words)
{
    error_set(&transfer->response.error, code, "%s: %s", transfer->name, words);
    return 0;
}

static bool make_room(struct http_transfer *transfer, size_t size)
{
    if (size < transfer->room)
        return true;
    size_t room = transfer->room == 0 ? 4096 : transfer->room;
    while (room <= size)
        room *= 2;
    uint8_t *body = realloc(transfer->body, room);
    if (body == NULL)
        return false;
    transfer->body = body;
    transfer->room = room;
    return true;
}

static size_t keep(struct http_transfer *transfer, const char *bytes, size_t size, uint64_t limit)
{
    struct http_response *response = &transfer->response;
    if (response->size + size > limit)
        return refuse(transfer, -EMSGSIZE, "the answer is longer than it may be");
    if (!make_room(transfer, response->size + size))
        return refuse(transfer, -ENOMEM, "out of memory");
    memcpy(transfer->body + response->size, bytes, size);
    response->size += size;
    return size;
}

static size_t write_target(struct http_transfer *transfer, const char *bytes, size_t size)
{
    struct http_response *response = &transfer->response;
    if (response->written + size > transfer->limit)
        return refuse(transfer, -EMSGSIZE, "the answer is longer than it may be");
    int code =
        write_all_at(transfer->target, bytes, size, transfer->target_offset + response->written);
    if (code < 0)
        return refuse(transfer, code, error_reason(code));
    response->written += size;
    return size;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *opaque)
{
    struct http_transfer *transfer = opaque;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    if (status >= 200 && status < 300)
        return transfer->to_file ? write_target(transfer, bytes, size)
                                 : keep(transfer, bytes, size, transfer->limit);
    size_t left = HTTP_REFUSAL_SIZE - transfer->response.size, part = size < left ? size : left;
    return part == 0 || keep(transfer, bytes, part, HTTP_REFUSAL_SIZE) == part ? size : 0;
}

static size_t read_file(struct http_transfer *transfer, char *bytes, size_t size)
{
    ssize_t count;
    do
        count = pread(transfer->file, bytes, size, (off_t)(transfer->offset + transfer->sent));
    while (count < 0 && errno == EINTR);
    if (count > 0)
        return (size_t)count;
    int code = count < 0 ? -errno : -ENODATA;
    refuse(transfer, code, count < 0 ? error_reason(code) : "the file is shorter than it was");
    return CURL_READFUNC_ABORT;
}

static size_t on_body_wanted(char *bytes, size_t one, size_t room, void *opaque)
{
    struct http_transfer *transfer = opaque;
    uint64_t left = transfer->size - transfer->sent;
    size_t size = left < room ? (size_t)left : room;
    if (size == 0)
        return 0;
    if (transfer->bytes != NULL)
        memcpy(bytes, (char *)transfer->bytes + transfer->sent, size);
    else
        size = read_file(transfer, bytes, size);
    if (size != CURL_READFUNC_ABORT)
        transfer->sent += size;
    return size;
}

/* When a connection that was kept turns out to be dead, libcurl sends the body again. */
static int on_body_seek(void *opaque, curl_off_t offset, int origin)
{
    struct http_transfer *transfer = opaque;
    if (origin != SEEK_SET || offset < 0 || (uint64_t)offset > transfer->size)
        return CURL_SEEKFUNC_FAIL;
    transfer->sent = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

/* ---- what libcurl is told ------------------------------------------------------------------ */

static bool add_header(struct http_transfer *transfer, const char *line)
{
    struct curl_slist *longer = curl_slist_append(transfer->headers, line);
    if (longer == NULL)
        return false;
    transfer->headers = longer;
    return true;
}

static bool add_header_value(struct http_transfer *transfer, const char *name, const char *value)
{
    char *line = NULL;
    if (asprintf(&line, "%s: %s", name, value) < 0)
        return false;
    bool added = add_header(transfer, line);
    free(line);
    return added;
}

/* libcurl signs what the headers say, but does not say the body's sum itself. */
static bool sign(struct http_transfer *transfer, const struct http_request *request)
{
    const struct http_signing *signing = request->signing;
    char scope[256], hex[SHA256_HEX_SIZE];
    const char *sha256 = request->sha256;
    uint8_t sum[SHA256_SIZE];
    if (sha256 == NULL && transfer->file < 0) {
        if (sha256_of(transfer->bytes != NULL ? transfer->bytes : "", request->size, sum) < 0)
            return false;
        sha256_hex(sum, hex);
        sha256 = hex;
    }
    snprintf(scope, sizeof scope, "aws:amz:%s:%s", signing->region, signing->service);
    if (!add_header_value(transfer, "x-amz-content-sha256", sha256 ? sha256 : "UNSIGNED-PAYLOAD") ||
        (signing->session_token != NULL &&
         !add_header_value(transfer, "x-amz-security-token", signing->session_token)))
        return false;
    return curl_easy_setopt(transfer->easy, CURLOPT_AWS_SIGV4, scope) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_USERNAME, signing->access_key) == CURLE_OK &&
           curl_easy_setopt(transfer->easy, CURLOPT_PASSWORD, signing->secret_key) == CURLE_OK;
}

static bool set_headers(struct http_transfer *transfer, const struct http_request *request)
{
    for (const char *const *line = request->headers; line != NULL && *line != NULL; line++)
        if (!add_header(transfer, *line))
            return false;
    if (request->signing != NULL && !sign(transfer, request))
        return false;
    return curl_easy_setopt(transfer->easy, CURLOPT_HTTPHEADER, transfer->headers) == CURLE_OK;
}

static bool set_method(CURL *easy, const struct http_request *request)
{
    if (strcmp(request->method, "HEAD") == 0)
        return curl_easy_setopt(easy, CURLOPT_NOBODY, 1L) == CURLE_OK;
    bool body = request->size > 0 || strcmp(request->method, "PUT") == 0 ||
                strcmp(request->method, "POST") == 0;
    if (body &&
        (curl_easy_setopt(easy, CURLOPT_UPLOAD, 1L) != CURLE_OK ||
         curl_easy_setopt(easy, CURLOPT_INFILESIZE_LARGE, (curl_off_t)request->size) != CURLE_OK))
        return false;
    return curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, request->method) == CURLE_OK;
}

static long limit_of(uint32_t limit, uint32_t otherwise)
{
    return limit == HTTP_NEVER ? 0 : limit == 0 ? (long)otherwise : (long)limit;
}

static bool set_limits(CURL *easy, const struct http_request *request)
{
    long connect = limit_of(request->connect, DEFAULT_CONNECT);
    long stall = (limit_of(request->stall, DEFAULT_STALL) + 999) / 1000;
    /* 0 means 300 s to libcurl here, and no limit at the others. */
    if (connect == 0)
        connect = INT32_MAX;
    return curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, stall) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, limit_of(request->total, 0)) == CURLE_OK;
}

static bool set_trust(CURL *easy)
{
    static const char *const names[] = {"AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *file = getenv(names[i]);
        if (file != NULL && *file != '\0')
            return curl_easy_setopt(easy, CURLOPT_CAINFO, file) == CURLE_OK;
    }
    return true;
}

static bool set_callbacks(struct http_transfer *transfer)
{
    CURL *easy = transfer->easy;
    return curl_easy_setopt(easy, CURLOPT_PRIVATE, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, transfer->reason) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_WRITEDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READFUNCTION, on_body_wanted) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_READDATA, transfer) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, on_body_seek) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_SEEKDATA, transfer) == CURLE_OK;
}

/* HTTP/1.1 alone: the number of connections is what bounds the requests under way. */
static bool set_manner(CURL *easy, const struct http_request *request)
{
    return curl_easy_setopt(easy, CURLOPT_URL, request->url) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_USERAGENT, "excamera/" XC_VERSION) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request->redirects > 0 ? 1L : 0L) ==
               CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_MAXREDIRS, (long)request->redirects) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_NOPROXY, request->direct ? "*" : NULL) == CURLE_OK;
}

static bool set_up(struct http_transfer *transfer, const struct http_request *request)
{
    return (transfer->easy = curl_easy_init()) != NULL && set_manner(transfer->easy, request) &&
           set_method(transfer->easy, request) && set_limits(transfer->easy, request) &&
           set_trust(transfer->easy) && set_callbacks(transfer) && set_headers(transfer, request);
}

static bool copy_request(struct http_transfer *transfer, const struct http_request *request)
{
    uint64_t limit = request->limit > 0 ? request->limit : DEFAULT_LIMIT;
    transfer->size = request->size;
    transfer->file = request->from_file ? request->file : -1;
    transfer->offset = request->offset;
    transfer->to_file = request->to_file;
    transfer->target = request->target;
    transfer->target_offset = request->target_offset;
    transfer->limit = request->to_file || limit < MEMORY_LIMIT ? limit : MEMORY_LIMIT;
    transfer->patience = request->patience;
    int path = (int)strcspn(request->url, "?#");
    if (asprintf(&transfer->name, "%s %.*s", request->method, path, request->url) < 0) {
        transfer->name = NULL;
        return false;
    }
    if (request->from_file || request->size == 0)
        return true;
    if (request->size > MEMORY_LIMIT || (transfer->bytes = malloc(request->size)) == NULL)
        return false;
    memcpy(transfer->bytes, request->bytes, request->size);
    return true;
}

static bool is_http(const char *url)
{
    return strncasecmp(url, "http://", 7) == 0 || strncasecmp(url, "https://", 8) == 0;
}

int http_transfer_new(struct http *http, const struct http_request *request,
                      struct http_transfer **made, struct error *error)
{
    if (!is_http(request->url))
        return error_set(error, -EINVAL, "'%.*s' is no URL of http or https",
                         (int)strcspn(request->url, "?#"), request->url);
    struct http_transfer *transfer = calloc(1, sizeof *transfer);
    if (transfer == NULL || !copy_request(transfer, request) || !set_up(transfer, request)) {
        if (transfer != NULL)
            http_transfer_free(transfer);
        return error_set(error, -ENOMEM, "out of memory");
    }
    list_init(&transfer->link);
    transfer->http = http;
    uv_timer_init(http->loop, &transfer->timer);
    transfer->timer.data = transfer;
    *made = transfer;
    return 0;
}

void http_transfer_free(struct http_transfer *transfer)
{
    curl_easy_cleanup(transfer->easy);
    curl_slist_free_all(transfer->headers);
    free(transfer->name);
    free(transfer->bytes);
    free(transfer->body);
    free(transfer);
}

/* ---- a try --------------------------------------------------------------------------------- */

void http_transfer_rewind(struct http_transfer *transfer)
{
    unsigned tries = transfer->response.tries;
    transfer->sent = 0;
    transfer->reason[0] = '\0';
    transfer->response = (struct http_response){.tries = tries + 1};
}

static int code_of(CURLcode result)
{
    switch (result) {
    case CURLE_OUT_OF_MEMORY:
        return -ENOMEM;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return -EHOSTUNREACH;
    case CURLE_COULDNT_CONNECT:
        return -ECONNREFUSED;
    case CURLE_OPERATION_TIMEDOUT:
        return -ETIMEDOUT;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_URL_MALFORMAT:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_TOO_MANY_REDIRECTS:
        return -EPROTO;
    default:
        return -ECONNRESET;
    }
}

void http_transfer_conclude(struct http_transfer *transfer, CURLcode result)
{
    struct http_response *response = &transfer->response;
    long status = 0;
    curl_easy_getinfo(transfer->easy, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    response->headers = transfer->easy;
    if (response->size == 0 && !make_room(transfer, 0))
        result = CURLE_OUT_OF_MEMORY;
    response->body = transfer->body;
    if (response->body != NULL)
        transfer->body[response->size] = '\0';
    if (result != CURLE_OK && response->error.code == 0)
        error_set(&response->error, code_of(result), "%s: %s", transfer->name,
                  transfer->reason[0] != '\0' ? transfer->reason : curl_easy_strerror(result));
}

const char *http_header(const struct http_response *response, const char *name)
{
    struct curl_header *header;
    if (response->headers == NULL ||
        curl_easy_header(response->headers, name, 0, CURLH_HEADER, -1, &header) != CURLHE_OK)
        return NULL;
    return header->value;
}

bool http_succeeded(const struct http_response *response)
{
    return response->error.code == 0 && response->status >= 200 && response->status < 300;
}

bool http_may_retry(const struct http_response *response)
{
    switch (response->error.code) {
    case 0:
        return response->status == 429 || response->status == 500 || response->status == 502 ||
               response->status == 503 || response->status == 504;
    case -EHOSTUNREACH:
    case -ECONNREFUSED:
    case -ECONNRESET:
    case -ETIMEDOUT:
        return true;
    default:
        return false;
    }
}

uint64_t http_retry_pause(const struct http_response *response, unsigned tries)
{
    uint64_t range = FIRST_PAUSE, pause;
    while (tries-- > 1 && range < LONGEST_PAUSE)
        range *= 2;
    if (range > LONGEST_PAUSE)
        range = LONGEST_PAUSE;
    if (getrandom(&pause, sizeof pause, GRND_NONBLOCK) != sizeof pause)
        pause = range;
    pause = range / 4 + pause % (range - range / 4);
    const char *after = response != NULL ? http_header(response, "retry-after") : NULL;
    unsigned long seconds = after != NULL ? strtoul(after, NULL, 10) : 0;
    uint64_t wanted = seconds < LONGEST_RETRY_AFTER / 1000 ? seconds * 1000 : LONGEST_RETRY_AFTER;
    return pause > wanted ? pause : wanted;
}
