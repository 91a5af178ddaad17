/*
 * The parts of the S3 store: s3.c opens it and starts operations, s3_call.c does one request with all
 * that it takes to be let in, s3_error.c finds words for what was answered; the others are the operations,
 * each a chain of calls. All on the loop's thread but sums of files.
 *
 * Objects carry their SHA-256 as x-amz-meta-sha256, so that who adopts one need not read it.
 */
#ifndef STORE_S3_H
#define STORE_S3_H

#include "aws/aws.h"
#include "aws/presign.h"
#include "net/http.h"
#include "net/list.h"
#include "store/operation.h"

enum {
    S3_URL_SIZE = 4096, /* of a request, without a signature */
    S3_HEADERS = 8,
    S3_AT_ONCE = 4, /* parts of one object under way */
    S3_GET_SECONDS = 3600,
    S3_PUT_SECONDS = 900,
};

struct s3 {
    struct store base;
    struct http *http;
    struct aws *aws; /* NULL of one that is lent */
    char *bucket, *prefix, *region;
    char *url;                   /* of the bucket, no slash at its end */
    uint64_t get_part, put_part; /* bytes of a request; larger objects take several */
    uint64_t copy_most, copy_part;
    struct store_lender lender;
    uint64_t asked;             /* questions so far */
    struct list_link questions; /* struct s3_question */
    unsigned open;              /* of `http` and `aws`, which are being closed */
    void (*closed)(void *opaque);
    void *opaque;
};

/* ---- asking for a URL: s3_ask.c ------------------------------------------------------------- */

typedef void s3_answered(void *opaque, const char *url, const char *reason);

struct s3_question {
    struct list_link link;
    uint64_t number;
    const struct store_operation *operation;
    s3_answered *done;
    void *opaque;
};

/* Asks for what the operation needs. `done` comes from the loop, with `url` NULL and a reason where there is
 * none. The question is in use until then. */
void s3_ask(struct s3_question *question, const struct store_operation *operation,
            s3_answered *done, void *opaque);
/* Forgets the question; false where it is not open. */
bool s3_unask(struct s3_question *question);

/* ---- one request: s3_call.c ---------------------------------------------------------------- */

struct s3_call;
typedef void s3_called(struct s3_call *call, const struct http_response *response);

/* Made by s3_call_new(), filled, begun. It frees itself when `done` returns. */
struct s3_call {
    struct store_operation *operation;
    s3_called *done;
    struct error error;          /* why it did not end with 2xx: a sentence's end. Code 0: it did */
    struct http_request request; /* body and target are the caller's to set */
    unsigned part;               /* the caller's */
    /* Signed in its query: libcurl 7.88 orders headers wrongly of which one's name is the beginning of another's.
     * Names of headers are in lower case then, and sorted. */
    bool by_query;
    /* the call's own */
    struct list_link link;
    struct s3_question question;
    char *url; /* without the query */
    char *query, *whole, *lent, *body;
    char *header[S3_HEADERS + 1];
    int headers;
    struct http_transfer *transfer;
    uv_work_t soon;
    char sum[SHA256_HEX_SIZE];
    bool failed;     /* no memory for all of it */
    bool renewed;    /* permission was asked for anew */
    int head_status; /* of a HEAD that is said again as a GET, to be told why */
};

/* What an operation is at: the beginning of what operation->progress points to. */
struct s3_progress {
    struct list_link calls;
    struct s3_multipart *parts; /* where it makes an object of parts */
};

/* `key` is one of the store ("" with `whole` false for the bucket itself), `query` encoded and sorted, "" for none.
 * NULL where there is no memory. */
struct s3_call *s3_call_new(struct store_operation *operation, const char *method, const char *key,
                            const char *query, s3_called *done);
/* The same of the bucket. */
struct s3_call *s3_call_bucket(struct store_operation *operation, const char *method,
                               const char *query, s3_called *done);
/* Its body from memory, which is copied. */
void s3_call_body(struct s3_call *call, const char *bytes, size_t size);
/* The SHA-256 of its body, in hexadecimal. */
void s3_call_sum(struct s3_call *call, const char *hex);
void s3_call_header(struct s3_call *call, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Begins, after which `done` comes once from the loop. Where `call` is NULL or cannot begin: false, and the
 * operation's error is set. */
bool s3_call_begin(struct s3_call *call, struct store_operation *operation);
void s3_call_cancel(struct s3_call *call);
/* Where the object of a key is, encoded: "/bucket/prefix/key"; as the header of a copy has it. */
bool s3_source(const struct s3 *s3, const char *key, char source[S3_URL_SIZE]);

/* ---- s3.c ---------------------------------------------------------------------------------- */

static inline struct s3 *s3_of(const struct store_operation *operation)
{
    return (struct s3 *)operation->store;
}

/* Makes operation->progress, of `size` bytes; NULL, and the operation ends soon. */
void *s3_progress_new(struct store_operation *operation, size_t size);
/* Frees the progress and ends the operation, now; from the loop alone. */
void s3_finish(struct store_operation *operation);
/* The same, from the loop, soon. */
void s3_finish_soon(struct store_operation *operation);
/* Cancels all calls of the operation. */
void s3_cancel_calls(struct store_operation *operation);
/* Sets the result's error: what could not be done with the key, and why. Returns its code. */
int s3_fail(struct store_operation *operation, const char *verb, const char *key,
            const struct error *why);

/* ---- the operations: each ends in s3_finish() ---------------------------------------------- */

void s3_get(struct store_operation *operation);           /* s3_get.c */
void s3_put(struct store_operation *operation);           /* s3_put.c */
void s3_adopt(struct store_operation *operation);         /* s3_adopt.c */
void s3_stat(struct store_operation *operation);          /* s3_adopt.c */
void s3_list(struct store_operation *operation);          /* s3_list.c */
void s3_delete(struct store_operation *operation);        /* s3_delete.c */
void s3_delete_prefix(struct store_operation *operation); /* s3_delete.c */
void s3_url(struct store_operation *operation);           /* s3_url.c */
void s3_url_cancel(struct store_operation *operation);

/* ---- s3_url.c ------------------------------------------------------------------------------ */

/* The headers by which a put by URL says what it is, see s3_sum.h; they are signed. `values` are texts for
 * `headers`, sorted by name. */
enum { S3_PUT_HEADERS = 4 };
struct s3_put_headers {
    char size[24], md5[32], sum[48], hex[SHA256_HEX_SIZE];
};
void s3_put_headers(const struct store_identity *identity, const uint8_t md5[STORE_MD5_SIZE],
                    struct s3_put_headers *values, struct aws_header headers[S3_PUT_HEADERS]);

/* ---- s3_error.c ---------------------------------------------------------------------------- */

/* Why an answer is no success, as the end of a sentence; call->error. `*expired`: permission has run out, and
 * may be had anew. */
void s3_explain(const struct s3 *s3, const struct http_response *response, struct error *error,
                bool *expired);
/* The same of an answer with status 200 that may say in its body that it failed after all, as those of long work
 * do. False where it does not. */
bool s3_explain_body(const struct http_response *response, struct error *error);

#endif
