/* Listening: those who dial are strangers until their handshake is done. */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/stream_private.h"

enum { BACKLOG = 4096, HANDSHAKES = 4096 };

struct listener {
    struct network *network;
    struct list_link all;
    struct list_link shaking; /* streams whose handshake is not done, the first that came first */
    unsigned count;           /* of them */
    uv_tcp_t tcp;
    struct tls_server *server;
    struct listener_options options;
    struct listener_handlers handlers;
    void *opaque;
    uv_tcp_t spare;             /* for one for whom there is no memory */
    bool turning_away, another; /* `spare` is being closed; one more waits for it */
    unsigned handles;           /* not closed */
    bool closing;
};

struct listener *listener_of(struct list_link *link)
{
    return LIST_ENTRY(link, struct listener, all);
}

SSL *listener_session(struct listener *listener)
{
    return tls_accepting(listener->server);
}

/* ---- strangers ----------------------------------------------------------------------------- */

void listener_left(struct stream *stream)
{
    stream->listener->count--;
    list_remove(&stream->shaking);
    stream->listener = NULL;
}

void listener_accept(struct stream *stream)
{
    struct listener *listener = stream->listener;
    listener_left(stream);
    listener->handlers.accepted(listener, listener->opaque, stream);
    if (!stream->ours)
        stream_abort(stream, NULL);
}

void listener_refused(struct stream *stream, enum tls_refusal refusal, const struct error *error)
{
    struct listener *listener = stream->listener;
    listener->network->counters.refused[refusal]++;
    if (listener->handlers.refused && !listener->closing)
        listener->handlers.refused(listener, listener->opaque, stream->address, refusal, error);
}

/* The first that came makes room, unless the delay is ours: then the next one. */
static void make_room(struct listener *listener)
{
    struct error error;
    for (struct list_link *link = listener->shaking.next; link != &listener->shaking;
         link = link->next) {
        struct stream *stream = LIST_ENTRY(link, struct stream, shaking);
        if (!list_empty(&stream->work))
            continue;
        error_set(&error, -EBUSY, "too many others are shaking hands");
        if (stream->state == STREAM_HANDSHAKING)
            listener_refused(stream, TLS_TOO_SLOW, &error);
        stream_destroy(stream);
        return;
    }
}

/* ---- listening ----------------------------------------------------------------------------- */

static void handle_closed(struct listener *listener)
{
    struct network *network = listener->network;
    if (--listener->handles > 0)
        return;
    list_remove(&listener->all);
    free(listener);
    network_release(network);
}

static void on_connection(uv_stream_t *handle, int status);

static void on_turned_away(uv_handle_t *handle)
{
    struct listener *listener = LIST_ENTRY(handle, struct listener, spare);
    bool another = listener->another && !listener->closing;
    listener->turning_away = listener->another = false;
    if (another)
        on_connection((uv_stream_t *)&listener->tcp, 0);
    handle_closed(listener);
}

/* libuv goes on listening only when the connection has been taken. */
static void turn_away(struct listener *listener)
{
    listener->network->counters.refused[TLS_OTHER]++;
    listener->another = listener->turning_away;
    if (listener->turning_away)
        return;
    listener->turning_away = true;
    listener->handles++;
    uv_tcp_init(listener->network->loop, &listener->spare);
    uv_accept((uv_stream_t *)&listener->tcp, (uv_stream_t *)&listener->spare);
    uv_close((uv_handle_t *)&listener->spare, on_turned_away);
}

static void on_connection(uv_stream_t *handle, int status)
{
    struct listener *listener = LIST_ENTRY(handle, struct listener, tcp);
    if (listener->count >= listener->options.handshakes)
        make_room(listener);
    if (status < 0)
        return;
    struct stream *stream = stream_new(listener->network, &listener->options.limits);
    if (!stream) {
        turn_away(listener);
        return;
    }
    stream->listener = listener;
    list_append(&listener->shaking, &stream->shaking);
    listener->count++;
    if (uv_accept(handle, (uv_stream_t *)&stream->tcp) < 0)
        stream_destroy(stream);
    else
        stream_connected(stream);
}

/* A socket bound to the address, or a negative errno. One of IPv6 takes IPv4 too, where it is bound
 * to every address. */
static int bound_socket(const struct sockaddr *address, socklen_t size)
{
    const int yes = 1, no = 0;
    int fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -errno;
    if (address->sa_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
        bind(fd, address, size) == 0)
        return fd;
    int code = errno;
    close(fd);
    return -code;
}

/* Bound to the first of the host's addresses that can be. */
static int socket_of_host(struct listener *listener, const char *host)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE};
    char service[8];
    uv_getaddrinfo_t request;
    snprintf(service, sizeof service, "%u", (unsigned)listener->options.port);
    int result = uv_getaddrinfo(listener->network->loop, &request, NULL, host, service, &hints);
    if (result < 0)
        return result;
    result = -EADDRNOTAVAIL;
    for (struct addrinfo *each = request.addrinfo; each && result < 0; each = each->ai_next)
        result = bound_socket(each->ai_addr, each->ai_addrlen);
    uv_freeaddrinfo(request.addrinfo);
    return result;
}

/* A machine without IPv6 has IPv4 alone. */
static int socket_of_all(uint16_t port)
{
    struct sockaddr_in6 six;
    struct sockaddr_in four;
    uv_ip6_addr("::", port, &six);
    uv_ip4_addr("0.0.0.0", port, &four);
    int result = bound_socket((struct sockaddr *)&six, sizeof six);
    return result == -EAFNOSUPPORT || result == -EADDRNOTAVAIL
               ? bound_socket((struct sockaddr *)&four, sizeof four)
               : result;
}

/* Strangers never take more than half of the descriptors: libuv turns everybody away once none is
 * left. */
static unsigned handshakes_most(unsigned wanted)
{
    struct rlimit limit;
    unsigned most = wanted ? wanted : HANDSHAKES;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur / 2 >= most)
        return most;
    return limit.rlim_cur > 2 ? (unsigned)(limit.rlim_cur / 2) : 1;
}

static int start(struct listener *listener)
{
    const char *host = listener->options.host;
    int fd = host ? socket_of_host(listener, host) : socket_of_all(listener->options.port);
    int result = fd < 0 ? fd : uv_tcp_open(&listener->tcp, fd);
    if (result < 0) {
        if (fd >= 0)
            close(fd);
        return result;
    }
    uv_tcp_nodelay(&listener->tcp, 1); /* accepted sockets inherit it */
    return uv_listen((uv_stream_t *)&listener->tcp, listener->options.backlog, on_connection);
}

int listener_open(struct network *network, struct tls_server *server,
                  const struct listener_options *options, const struct listener_handlers *handlers,
                  void *opaque, struct listener **opened, struct error *error)
{
    *opened = NULL;
    struct listener *listener = calloc(1, sizeof *listener);
    if (!listener)
        return error_set(error, -ENOMEM, "out of memory");
    listener->network = network;
    listener->server = server;
    listener->options = *options;
    listener->handlers = *handlers;
    listener->opaque = opaque;
    if (options->backlog <= 0)
        listener->options.backlog = BACKLOG;
    listener->options.handshakes = handshakes_most(options->handshakes);
    list_init(&listener->shaking);
    list_append(&network->listeners, &listener->all);
    uv_tcp_init(network->loop, &listener->tcp);
    listener->handles = 1;
    int result = start(listener);
    if (result < 0) {
        listener_close(listener);
        return error_set(error, result, "cannot listen on %s port %u: %s",
                         options->host ? options->host : "any address", (unsigned)options->port,
                         uv_strerror(result));
    }
    listener->options.host = NULL; /* was the caller's */
    *opened = listener;
    return 0;
}

uint16_t listener_port(const struct listener *listener)
{
    struct sockaddr_storage address;
    int size = sizeof address;
    if (uv_tcp_getsockname(&listener->tcp, (struct sockaddr *)&address, &size) < 0)
        return 0;
    return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
                                               : ((struct sockaddr_in *)&address)->sin_port);
}

unsigned listener_handshaking(const struct listener *listener)
{
    return listener->count;
}

static void on_closed(uv_handle_t *handle)
{
    handle_closed(LIST_ENTRY(handle, struct listener, tcp));
}

void listener_close(struct listener *listener)
{
    if (!listener || listener->closing)
        return;
    listener->closing = true;
    while (!list_empty(&listener->shaking))
        stream_destroy(LIST_ENTRY(listener->shaking.next, struct stream, shaking));
    uv_close((uv_handle_t *)&listener->tcp, on_closed);
}
