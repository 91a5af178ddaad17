/* The servers of bench_tls on our streams. */
#include <unistd.h>

#include "net/channel.h"
#include "tls.h"

struct server {
    uv_loop_t loop;
    struct network *network;
    struct tls_domain *domain;
    struct tls_server *tls;
    struct listener *listener;
    struct stream *streams[2]; /* out and in */
    struct channel *channels[2];
    int accepted, closed, until; /* closed this many, it is done */
    long idle_before;
    struct report *report;
};

static struct tls_domain *lookup(void *opaque, const char *name)
{
    struct server *server = opaque;
    return server->domain;
}

/* In kilobytes. */
static long resident(void)
{
    long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    MUST(file && fscanf(file, "%ld %ld", &size, &pages) == 2);
    fclose(file);
    return pages * (sysconf(_SC_PAGESIZE) / 1024);
}

static void on_closed(struct stream *stream, void *opaque, const struct error *reason)
{
    struct server *server = opaque;
    if (++server->closed < server->until)
        return;
    server->report->longest = (double)network_counters(server->network)->longest_handshakes;
    network_free(server->network);
}

static size_t echo(struct stream *stream, void *opaque, const uint8_t *bytes, size_t size)
{
    stream_write(stream, bytes, size);
    return size;
}

static size_t pass_on(struct stream *stream, void *opaque, const uint8_t *bytes, size_t size)
{
    struct server *server = opaque;
    if (stream_write(server->streams[0], bytes, size) == 1)
        stream_pause(stream);
    return size;
}

static void go_on(struct stream *stream, void *opaque)
{
    struct server *server = opaque;
    stream_resume(server->streams[1]);
}

static void close_both(struct stream *stream, void *opaque)
{
    struct server *server = opaque;
    stream_close(server->streams[0]);
    stream_close(server->streams[1]);
}

static void accept_echo(struct listener *listener, void *opaque, struct stream *stream)
{
    static const struct stream_handlers handlers = {.received = echo, .closed = on_closed};
    stream_set_handlers(stream, &handlers, opaque);
}

static void accept_relay(struct listener *listener, void *opaque, struct stream *stream)
{
    static const struct stream_handlers handlers = {
        .received = pass_on, .drained = go_on, .ended = close_both, .closed = on_closed};
    struct server *server = opaque;
    server->streams[server->accepted++] = stream;
    stream_set_handlers(stream, &handlers, opaque);
}

static void accept_idle(struct listener *listener, void *opaque, struct stream *stream)
{
    struct server *server = opaque;
    accept_echo(listener, opaque, stream);
    if (++server->accepted == IDLE)
        server->report->bytes = (double)(resident() - server->idle_before) * 1024 / IDLE;
}

/* ---- messages ------------------------------------------------------------------------------ */

static void on_message(struct channel *channel, void *opaque, const uint8_t *envelope, size_t size)
{
    struct server *server = opaque;
    if (channel_send(server->channels[0], envelope, size) == 1)
        channel_pause(channel);
}

static void on_drained(struct channel *channel, void *opaque)
{
    struct server *server = opaque;
    channel_resume(server->channels[1]);
}

static void on_ended(struct channel *channel, void *opaque)
{
    struct server *server = opaque;
    channel_close(server->channels[0]);
    channel_close(server->channels[1]);
}

static void on_channel_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    on_closed(NULL, opaque, reason);
}

static void accept_messages(struct listener *listener, void *opaque, struct stream *stream)
{
    static const struct channel_handlers handlers = {.control = on_message,
                                                     .drained = on_drained,
                                                     .ended = on_ended,
                                                     .closed = on_channel_closed};
    struct server *server = opaque;
    struct error error;
    MUST(channel_accept(stream, NULL, &handlers, server, &server->channels[server->accepted++],
                        &error) == 0);
}

/* ---- running our servers ------------------------------------------------------------------- */

static void run(int to, struct report *report, int until,
                void (*accepted)(struct listener *, void *, struct stream *))
{
    struct server server = {.until = until, .report = report};
    const struct listener_options options = {.host = "127.0.0.1"};
    const struct listener_handlers handlers = {.accepted = accepted};
    struct error error;
    uv_loop_init(&server.loop);
    MUST(network_new(&server.loop, &server.network, &error) == 0);
    MUST(tls_domain_new(server_keys.own, server_keys.authority, &server.domain, &error) == 0);
    MUST(tls_server_new(lookup, &server, &server.tls, &error) == 0);
    MUST(listener_open(server.network, server.tls, &options, &handlers, &server, &server.listener,
                       &error) == 0);
    server.idle_before = resident();
    tell_port(to, listener_port(server.listener));
    uv_run(&server.loop, UV_RUN_DEFAULT);
    MUST(uv_loop_close(&server.loop) == 0);
}

void stream_handshakes(int to, struct report *report)
{
    run(to, report, HANDSHAKES, accept_echo);
}

void stream_relay(int to, struct report *report)
{
    run(to, report, 2, accept_relay);
}

void stream_messages(int to, struct report *report)
{
    run(to, report, 2, accept_messages);
}

void stream_idle(int to, struct report *report)
{
    run(to, report, IDLE, accept_idle);
}
