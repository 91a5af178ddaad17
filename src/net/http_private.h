/* The parts of the HTTP client: http.c drives libcurl by the loop, http_transfer.c is one request. */
#ifndef NET_HTTP_PRIVATE_H
#define NET_HTTP_PRIVATE_H

#include <curl/curl.h>

#include "net/http.h"
#include "net/list.h"

struct http {
    uv_loop_t *loop;
    CURLM *multi;
    uv_timer_t timer;         /* libcurl's */
    struct list_link waiting; /* for their turn, in order */
    struct list_link others;  /* under way, pausing, or ending */
    unsigned connections;
    unsigned running;  /* in libcurl's hands */
    unsigned pollings; /* sockets whose handles are not freed yet */
    bool closing, timer_closed;
    void (*closed)(void *opaque);
    void *opaque;
};

struct http_transfer {
    struct list_link link;
    struct http *http;
    CURL *easy;
    struct curl_slist *headers;
    uv_timer_t timer; /* the pause before another try, or 0 to end from the loop */
    char *name;       /* method and URL without its query, for sentences */
    http_done *done;
    void *opaque;

    void *bytes; /* a copy, NULL for a body from `file` */
    uint64_t size, sent;
    int file;
    uint64_t offset;

    bool to_file;
    int target;
    uint64_t target_offset, limit;
    uint8_t *body;
    size_t room; /* of `body` */

    uint64_t begun; /* loop's milliseconds */
    uint32_t patience;
    bool running, cancelled;
    char reason[CURL_ERROR_SIZE]; /* libcurl's words */
    struct http_response response;
};

/* Makes a transfer of a request, with all that libcurl must know. */
int http_transfer_new(struct http *http, const struct http_request *request,
                      struct http_transfer **transfer, struct error *error);
/* Frees all but the timer's handle, which is closed. */
void http_transfer_free(struct http_transfer *transfer);
/* Forgets what an earlier try has brought. */
void http_transfer_rewind(struct http_transfer *transfer);
/* Sets the response by what libcurl says of the try. */
void http_transfer_conclude(struct http_transfer *transfer, CURLcode result);

#endif
