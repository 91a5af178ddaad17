#include <errno.h>
#include <signal.h>
#include <stdlib.h>

#include "net/stream_private.h"

/* Handshakes of one loop turn. They are to stay below 20 ms, also where the processor is shared with
 * others while one of them is under way. */
#define HANDSHAKE_BUDGET (10 * 1000000u) /* ns */

static void on_idle(uv_idle_t *idle)
{
    /* Its being active is all that it is for. */
}

void network_wake(struct network *network)
{
    uv_idle_start(&network->idle, on_idle);
}

static void rest_if_done(struct network *network)
{
    if (list_empty(&network->handshakes) && list_empty(&network->ready) &&
        list_empty(&network->flushing))
        uv_idle_stop(&network->idle);
}

static void flush_all(struct network *network)
{
    while (!list_empty(&network->flushing)) {
        struct stream *stream = LIST_ENTRY(network->flushing.next, struct stream, flush);
        list_remove(&stream->flush);
        sending_flush(stream);
    }
}

static void shake_hands(struct network *network)
{
    if (list_empty(&network->handshakes))
        return;
    uint64_t begin = uv_hrtime(), spent = 0;
    while (!list_empty(&network->handshakes) && spent < HANDSHAKE_BUDGET) {
        struct stream *stream = LIST_ENTRY(network->handshakes.next, struct stream, work);
        list_remove(&stream->work);
        secure_shake_hands(stream);
        spent = uv_hrtime() - begin;
    }
    network->counters.turns_filled += !list_empty(&network->handshakes);
    if (spent > network->counters.longest_handshakes)
        network->counters.longest_handshakes = spent;
}

/* Each once: one that becomes ready again waits for the next turn. */
static void pump_ready(struct network *network)
{
    struct list_link ready;
    list_take(&ready, &network->ready);
    while (!list_empty(&ready)) {
        struct stream *stream = LIST_ENTRY(ready.next, struct stream, work);
        list_remove(&stream->work);
        secure_pump(stream, NULL, 0);
    }
}

static void on_prepare(uv_prepare_t *prepare)
{
    struct network *network = prepare->data;
    flush_all(network);
    rest_if_done(network);
}

static void on_check(uv_check_t *check)
{
    struct network *network = check->data;
    shake_hands(network);
    pump_ready(network);
    flush_all(network);
    rest_if_done(network);
}

/* libuv's writes raise it where the other side is gone; we look at their result. */
static void ignore_broken_pipes(void)
{
    struct sigaction present;
    if (sigaction(SIGPIPE, NULL, &present) == 0 && present.sa_handler == SIG_DFL)
        signal(SIGPIPE, SIG_IGN);
}

int network_new(uv_loop_t *loop, struct network **made, struct error *error)
{
    *made = NULL;
    ignore_broken_pipes();
    struct network *network = calloc(1, sizeof *network);
    if (!network || !(network->bio_method = secure_bio_method())) {
        free(network);
        return error_set(error, -ENOMEM, "out of memory");
    }
    network->loop = loop;
    list_init(&network->streams);
    list_init(&network->listeners);
    list_init(&network->handshakes);
    list_init(&network->ready);
    list_init(&network->flushing);
    uv_prepare_init(loop, &network->prepare);
    uv_check_init(loop, &network->check);
    uv_idle_init(loop, &network->idle);
    network->prepare.data = network->check.data = network->idle.data = network;
    network->handles = 3;
    uv_prepare_start(&network->prepare, on_prepare);
    uv_check_start(&network->check, on_check);
    /* They alone do not keep the loop running. */
    uv_unref((uv_handle_t *)&network->prepare);
    uv_unref((uv_handle_t *)&network->check);
    *made = network;
    return 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct network *network = handle->data;
    if (--network->handles > 0)
        return;
    BIO_meth_free(network->bio_method);
    free(network);
}

static void close_if_left(struct network *network)
{
    if (!network->closing || !list_empty(&network->streams) || !list_empty(&network->listeners))
        return;
    uv_close((uv_handle_t *)&network->prepare, on_handle_closed);
    uv_close((uv_handle_t *)&network->check, on_handle_closed);
    uv_close((uv_handle_t *)&network->idle, on_handle_closed);
}

void network_release(struct network *network)
{
    close_if_left(network);
}

void network_free(struct network *network)
{
    if (!network)
        return;
    network->closing = true;
    for (struct list_link *link = network->listeners.next, *next; link != &network->listeners;
         link = next) {
        next = link->next;
        listener_close(listener_of(link));
    }
    for (struct list_link *link = network->streams.next, *next; link != &network->streams;
         link = next) {
        next = link->next;
        stream_abort(LIST_ENTRY(link, struct stream, all), "the network is being left");
    }
    close_if_left(network);
}

const struct network_counters *network_counters(const struct network *network)
{
    return &network->counters;
}

uv_loop_t *network_loop(struct network *network)
{
    return network->loop;
}
