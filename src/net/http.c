#include "net/http.h"

#include <errno.h>
#include <stdlib.h>

#include "net/http_private.h"

/* What libcurl wants to know of one socket. */
struct polling {
    uv_poll_t poll;
    struct http *http;
    curl_socket_t socket;
};

static void run_waiting(struct http *http);

/* ---- ends ---------------------------------------------------------------------------------- */

static void free_if_done(struct http *http)
{
    if (!http->closing || http->pollings > 0 || !http->timer_closed ||
        !list_empty(&http->waiting) || !list_empty(&http->others))
        return;
    void (*closed)(void *) = http->closed;
    void *opaque = http->opaque;
    free(http);
    if (closed != NULL)
        closed(opaque);
}

static void on_timer_closed(uv_handle_t *timer)
{
    struct http *http = timer->data;
    http->timer_closed = true;
    free_if_done(http);
}

/* All transfers have ended: libcurl's side goes, connections included. */
static void close_if_idle(struct http *http)
{
    if (!http->closing || http->multi == NULL || !list_empty(&http->waiting) ||
        !list_empty(&http->others))
        return;
    curl_multi_cleanup(http->multi);
    http->multi = NULL;
    uv_close((uv_handle_t *)&http->timer, on_timer_closed);
}

static void on_transfer_closed(uv_handle_t *timer)
{
    struct http_transfer *transfer = timer->data;
    struct http *http = transfer->http;
    list_remove(&transfer->link);
    http_transfer_free(transfer);
    close_if_idle(http);
    free_if_done(http);
}

static void stop(struct http_transfer *transfer)
{
    if (!transfer->running)
        return;
    curl_multi_remove_handle(transfer->http->multi, transfer->easy);
    transfer->running = false;
    transfer->http->running--;
}

static void finish(struct http_transfer *transfer)
{
    transfer->done(transfer->opaque, &transfer->response);
    uv_close((uv_handle_t *)&transfer->timer, on_transfer_closed);
}

static void on_cancelled(uv_timer_t *timer)
{
    struct http_transfer *transfer = timer->data;
    error_set(&transfer->response.error, -ECANCELED, "%s: cancelled", transfer->name);
    finish(transfer);
}

/* ---- tries --------------------------------------------------------------------------------- */

static void queue(struct http_transfer *transfer)
{
    list_remove(&transfer->link);
    list_append(&transfer->http->waiting, &transfer->link);
}

static void on_pause_over(uv_timer_t *timer)
{
    struct http_transfer *transfer = timer->data;
    queue(transfer);
    run_waiting(transfer->http);
}

/* Returns false where the transfer is to end now. */
static bool try_again(struct http_transfer *transfer)
{
    if (transfer->http->closing || !http_may_retry(&transfer->response))
        return false;
    uint64_t pause = http_retry_pause(&transfer->response, transfer->response.tries);
    if (uv_now(transfer->http->loop) + pause >= transfer->begun + transfer->patience)
        return false;
    return uv_timer_start(&transfer->timer, on_pause_over, pause, 0) == 0;
}

static void on_ended(struct http_transfer *transfer, CURLcode result)
{
    stop(transfer);
    http_transfer_conclude(transfer, result);
    if (!try_again(transfer))
        finish(transfer);
}

static void on_not_begun(uv_timer_t *timer)
{
    on_ended(timer->data, CURLE_OUT_OF_MEMORY);
}

static void begin(struct http_transfer *transfer)
{
    struct http *http = transfer->http;
    list_remove(&transfer->link);
    list_append(&http->others, &transfer->link);
    http_transfer_rewind(transfer);
    if (curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK) {
        transfer->running = true;
        http->running++;
    } else {
        uv_timer_start(&transfer->timer, on_not_begun, 0, 0);
    }
}

static void run_waiting(struct http *http)
{
    while (http->running < http->connections && !list_empty(&http->waiting))
        begin(LIST_ENTRY(http->waiting.next, struct http_transfer, link));
}

/* ---- libcurl on the loop ------------------------------------------------------------------- */

static void collect(struct http *http)
{
    CURLMsg *message;
    int left;
    while (http->multi != NULL && (message = curl_multi_info_read(http->multi, &left)) != NULL) {
        struct http_transfer *transfer;
        if (message->msg != CURLMSG_DONE)
            continue;
        CURLcode result = message->data.result;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &transfer);
        on_ended(transfer, result);
    }
    if (http->multi != NULL)
        run_waiting(http);
}

static void act(struct http *http, curl_socket_t socket, int events)
{
    int running;
    if (http->multi == NULL)
        return;
    curl_multi_socket_action(http->multi, socket, events, &running);
    collect(http);
}

static void on_polled(uv_poll_t *poll, int status, int events)
{
    struct polling *polling = poll->data;
    int found = status < 0 ? CURL_CSELECT_ERR : 0;
    if (events & UV_READABLE)
        found |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        found |= CURL_CSELECT_OUT;
    act(polling->http, polling->socket, found);
}

static void on_polling_closed(uv_handle_t *poll)
{
    struct polling *polling = poll->data;
    struct http *http = polling->http;
    free(polling);
    http->pollings--;
    free_if_done(http);
}

static struct polling *polling_new(struct http *http, curl_socket_t socket)
{
    struct polling *polling = calloc(1, sizeof *polling);
    if (polling == NULL || uv_poll_init_socket(http->loop, &polling->poll, socket) != 0) {
        free(polling);
        return NULL;
    }
    polling->poll.data = polling;
    polling->http = http;
    polling->socket = socket;
    http->pollings++;
    curl_multi_assign(http->multi, socket, polling);
    return polling;
}

static int on_socket(CURL *easy, curl_socket_t socket, int what, void *opaque, void *known)
{
    struct http *http = opaque;
    struct polling *polling = known;
    if (what == CURL_POLL_REMOVE) {
        if (polling != NULL) {
            curl_multi_assign(http->multi, socket, NULL);
            uv_close((uv_handle_t *)&polling->poll, on_polling_closed);
        }
        return 0;
    }
    if (polling == NULL && (polling = polling_new(http, socket)) == NULL)
        return -1;
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    return uv_poll_start(&polling->poll, events, on_polled) == 0 ? 0 : -1;
}

static void on_time(uv_timer_t *timer)
{
    act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static int on_timer_wanted(CURLM *multi, long after, void *opaque)
{
    struct http *http = opaque;
    if (after < 0)
        uv_timer_stop(&http->timer);
    else
        uv_timer_start(&http->timer, on_time, (uint64_t)after, 0);
    return 0;
}

/* ---- the client ---------------------------------------------------------------------------- */

int http_new(uv_loop_t *loop, unsigned connections, struct http **made, struct error *error)
{
    *made = NULL;
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
        (http->multi = curl_multi_init()) == NULL) {
        free(http);
        return error_set(error, -ENOMEM, "out of memory");
    }
    http->loop = loop;
    http->connections = connections > 0 ? connections : 1;
    list_init(&http->waiting);
    list_init(&http->others);
    uv_timer_init(loop, &http->timer);
    http->timer.data = http;
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(http->multi, CURLMOPT_SOCKETDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERFUNCTION, on_timer_wanted);
    curl_multi_setopt(http->multi, CURLMOPT_TIMERDATA, http);
    curl_multi_setopt(http->multi, CURLMOPT_MAX_TOTAL_CONNECTIONS, (long)http->connections);
    curl_multi_setopt(http->multi, CURLMOPT_MAXCONNECTS, (long)http->connections);
    *made = http;
    return 0;
}

void http_cancel(struct http_transfer *transfer)
{
    if (transfer->cancelled || uv_is_closing((uv_handle_t *)&transfer->timer))
        return;
    transfer->cancelled = true;
    stop(transfer);
    list_remove(&transfer->link);
    list_append(&transfer->http->others, &transfer->link);
    uv_timer_start(&transfer->timer, on_cancelled, 0, 0);
}

void http_close(struct http *http, void (*closed)(void *opaque), void *opaque)
{
    http->closing = true;
    http->closed = closed;
    http->opaque = opaque;
    while (!list_empty(&http->waiting))
        http_cancel(LIST_ENTRY(http->waiting.next, struct http_transfer, link));
    for (struct list_link *link = http->others.next, *next; link != &http->others; link = next) {
        next = link->next;
        if (!LIST_ENTRY(link, struct http_transfer, link)->cancelled)
            http_cancel(LIST_ENTRY(link, struct http_transfer, link));
    }
    close_if_idle(http);
}

int http_send(struct http *http, const struct http_request *request, http_done *done, void *opaque,
              struct http_transfer **result, struct error *error)
{
    struct http_transfer *transfer;
    if (http->closing)
        return error_set(error, -ECANCELED, "the HTTP client is being closed");
    int code = http_transfer_new(http, request, &transfer, error);
    if (code < 0)
        return code;
    transfer->done = done;
    transfer->opaque = opaque;
    transfer->begun = uv_now(http->loop);
    list_append(&http->waiting, &transfer->link);
    if (result != NULL)
        *result = transfer;
    run_waiting(http);
    return 0;
}
