/*
 * An HTTP/1.1 client on a libuv loop, over libcurl's multi interface: many requests at once over few
 * connections that are kept alive.
 *
 * Rules of all of it: a function that returns a negative errno never calls back; http_send() that
 * returned 0 calls `done` exactly once, from the loop, never from within a call of this header. Every
 * function may be called from within `done`, http_close() included. All of a client is used from the
 * thread of its loop.
 *
 * Certificates are checked against those that the system trusts, or those of the file that AWS_CA_BUNDLE,
 * CURL_CA_BUNDLE or SSL_CERT_FILE names. Proxies are taken from the environment as curl does.
 */
#ifndef NET_HTTP_H
#define NET_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "util/error.h"

struct http;
struct http_transfer;

/* How long callers that have no time limit of their own try a request again. */
#define HTTP_PATIENCE 60000 /* ms */
/* No limit, where 0 means the default. */
#define HTTP_NEVER UINT32_MAX
/* So much is kept of the body of an answer that is not 2xx. */
#define HTTP_REFUSAL_SIZE (64 * 1024) /* bytes */

/* AWS's Signature Version 4, made by libcurl. */
struct http_signing {
    const char *access_key, *secret_key;
    const char *session_token; /* NULL for none */
    const char *region, *service;
};

/* Strings, lists and `bytes` are copied; files stay the caller's and must be open until `done`. */
struct http_request {
    const char *method;
    const char *url; /* what has to be encoded is; with `signing`: its query sorted by name,
                                   each name with a '=' */
    const char *const *headers;         /* "name: value", up to a NULL; may be NULL */
    const struct http_signing *signing; /* NULL: not signed */
    /* SHA-256 of the body in hexadecimal for the signature, where the caller has it. Else that of a body
     * from memory is computed, and one from a file is signed as UNSIGNED-PAYLOAD. */
    const char *sha256;

    /* The body: `bytes`, or `size` bytes of `file` from `offset` on where `from_file`. */
    const void *bytes;
    uint64_t size;
    bool from_file;
    int file;
    uint64_t offset;

    /* Where the body of a 2xx answer goes: into memory, or with `to_file` to `target` from `target_offset`
     * on. One of more than `limit` bytes fails with -EMSGSIZE (0: 1 MiB; in memory at most 64 MiB). */
    bool to_file;
    int target;
    uint64_t target_offset;
    uint64_t limit;

    /* Milliseconds; 0 for the default, HTTP_NEVER for no limit. */
    uint32_t connect;  /* until the connection stands (default 10 s) */
    uint32_t stall;    /* without a byte either way (default 30 s) */
    uint32_t total;    /* of one try (default none) */
    uint32_t patience; /* how long it is tried again, see http_may_retry() (default: it is not) */

    unsigned redirects; /* that are followed at most; 0: a 3xx is an answer like others */
    bool direct;        /* by no proxy */
};

struct http_response {
    struct error error; /* code 0: an answer came, whatever its status */
    int status;
    const uint8_t *body; /* what came into memory, and a zero byte behind it */
    size_t size;         /* of `body` */
    uint64_t written;    /* bytes of the answer that are in the target file */
    unsigned tries;      /* at least 1, but where it was cancelled before its turn */
    void *headers;       /* for http_header() */
};

/* What `response` points to lives until it returns. */
typedef void http_done(void *opaque, const struct http_response *response);

/* `connections`: most at once, and so most requests under way; the others wait for their turn. -ENOMEM. */
int http_new(uv_loop_t *loop, unsigned connections, struct http **http, struct error *error);
/* Cancels all that is under way; when it was called back, frees the client and calls `closed` (may be
 * NULL) from the loop. */
void http_close(struct http *http, void (*closed)(void *opaque), void *opaque);

/* Begins a request. `*transfer` (may be NULL) is valid until `done` was called. Fails with -EINVAL
 * for a URL that is not http or https, -ENOMEM, -ECANCELED after http_close(). The response's error is
 * -ECANCELED, -EHOSTUNREACH, -ECONNREFUSED, -ETIMEDOUT, -EPROTO (TLS or certificate), -EMSGSIZE, what
 * writing the target or reading the file failed with, or -ECONNRESET for what else a connection can do.
 * Sentences name method, host and path, but no query: that may hold a secret. */
int http_send(struct http *http, const struct http_request *request, http_done *done, void *opaque,
              struct http_transfer **transfer, struct error *error);
/* Asks it to stop: `done` comes soon, with -ECANCELED. Nothing is read from or written to its files any
 * more. */
void http_cancel(struct http_transfer *transfer);

/* The value of a header of the last answer, by a name in any case; NULL where there is none. Valid until
 * the next call. From within `done`. */
const char *http_header(const struct http_response *response, const char *name);

/* Whether the answer is 2xx. */
bool http_succeeded(const struct http_response *response);
/* Whether the same may go well later: 429, 500, 502, 503, 504, and connections that cannot be made, end or
 * stall. */
bool http_may_retry(const struct http_response *response);
/* Milliseconds to wait before try `tries` + 1: at random, from a range that doubles from 0.2 s to 10 s with
 * each try; at least what Retry-After says, up to 30 s. `response` may be NULL. */
uint64_t http_retry_pause(const struct http_response *response, unsigned tries);

#endif
