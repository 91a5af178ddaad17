/* Dialling: the name's addresses are tried one after the other. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net/stream_private.h"

struct connector {
    struct stream *stream;    /* NULL when it has been closed meanwhile */
    uv_getaddrinfo_t resolve; /* its answer is kept until the connection stands */
    struct addrinfo *address; /* the present one; NULL before the answer */
    uv_connect_t request;
    struct sockaddr_storage numeric; /* where the host is an address */
    bool resolving, dialling;
    uint64_t due; /* of the present attempt */
    int code;     /* what the last attempt came to */
    uint16_t port;
    char *host;
};

static void free_connector(struct connector *connector)
{
    if (connector->resolving || connector->dialling)
        return;
    uv_freeaddrinfo(connector->resolve.addrinfo);
    free(connector->host);
    free(connector);
}

void connector_drop(struct stream *stream)
{
    struct connector *connector = stream->connector;
    if (!connector)
        return;
    stream->connector = NULL;
    connector->stream = NULL;
    if (connector->resolving)
        uv_cancel((uv_req_t *)&connector->resolve); /* if it fails, the answer is still to come */
    free_connector(connector);
}

uint64_t connector_due(const struct stream *stream)
{
    return stream->connector->due;
}

static void give_up(struct connector *connector)
{
    struct error error;
    error_set(&error, connector->code, "cannot connect to %s port %u: %s", connector->host,
              connector->port, uv_strerror(connector->code));
    stream_fail(connector->stream, &error);
}

/* ---- one address --------------------------------------------------------------------------- */

static void on_connected(uv_connect_t *request, int status)
{
    struct connector *connector = LIST_ENTRY(request, struct connector, request);
    struct stream *stream = connector->stream;
    connector->dialling = false;
    if (!stream) {
        free_connector(connector);
    } else if (status == 0) {
        connector_drop(stream);
        uv_tcp_nodelay(&stream->tcp, 1);
        stream_connected(stream);
        if (stream->state == STREAM_HANDSHAKING)
            secure_want_turn(stream);
    } else if (status != UV_ECANCELED) {
        connector_next(stream, status);
    }
}

/* The addresses that are left share the time that is left. */
static void set_due(struct connector *connector)
{
    uint64_t now = uv_now(connector->stream->network->loop);
    uint64_t left = connector->stream->deadline > now ? connector->stream->deadline - now : 1;
    unsigned count = 0;
    for (const struct addrinfo *other = connector->address; other; other = other->ai_next)
        count++;
    connector->due = now + (count > 1 ? left / count : left);
    stream_arm(connector->stream);
}

static const struct sockaddr *present_address(const struct connector *connector)
{
    return connector->address ? connector->address->ai_addr
                              : (const struct sockaddr *)&connector->numeric;
}

static void dial(struct connector *connector)
{
    struct stream *stream = connector->stream;
    set_due(connector);
    int result =
        uv_tcp_connect(&connector->request, &stream->tcp, present_address(connector), on_connected);
    connector->dialling = result == 0;
    if (result < 0)
        connector_next(stream, result);
}

static void on_attempt_closed(uv_handle_t *handle)
{
    struct stream *stream = LIST_ENTRY(handle, struct stream, tcp);
    if (stream->state == STREAM_CLOSED) {
        stream_handle_closed(stream);
        return;
    }
    uv_tcp_init(stream->network->loop, &stream->tcp);
    dial(stream->connector);
}

void connector_next(struct stream *stream, int code)
{
    struct connector *connector = stream->connector;
    if (uv_is_closing((uv_handle_t *)&stream->tcp))
        return;
    connector->code = code;
    if (!connector->address || !connector->address->ai_next) {
        give_up(connector);
        return;
    }
    connector->address = connector->address->ai_next;
    uv_close((uv_handle_t *)&stream->tcp, on_attempt_closed);
}

/* ---- the name ------------------------------------------------------------------------------ */

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *addresses)
{
    struct connector *connector = LIST_ENTRY(request, struct connector, resolve);
    connector->resolving = false;
    if (!connector->stream) {
        free_connector(connector);
    } else if (status < 0) {
        connector->code = status;
        give_up(connector);
    } else {
        connector->address = addresses;
        dial(connector);
    }
}

static int resolve(struct connector *connector)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    char service[8];
    snprintf(service, sizeof service, "%u", (unsigned)connector->port);
    int result = uv_getaddrinfo(connector->stream->network->loop, &connector->resolve, on_resolved,
                                connector->host, service, &hints);
    connector->resolving = result == 0;
    connector->due = connector->stream->deadline;
    return result;
}

/* 0 where the host is an address. */
static int read_address(struct connector *connector)
{
    int result =
        uv_ip4_addr(connector->host, connector->port, (struct sockaddr_in *)&connector->numeric);
    return result == 0 ? 0
                       : uv_ip6_addr(connector->host, connector->port,
                                     (struct sockaddr_in6 *)&connector->numeric);
}

static struct connector *new_connector(struct stream *stream, const struct stream_target *target)
{
    struct connector *connector = calloc(1, sizeof *connector);
    if (!connector || !(connector->host = strdup(target->host))) {
        free(connector);
        return NULL;
    }
    connector->stream = stream;
    connector->port = target->port;
    stream->connector = connector;
    return connector;
}

/* Begins; a failure is a negative errno, and then nothing calls back. */
static int begin(struct stream *stream, struct tls_client *client,
                 const struct stream_target *target)
{
    stream->ssl = tls_connecting(client, target->server_name, target->host, target->identity);
    if (!stream->ssl || secure_attach(stream) < 0)
        return -ENOMEM;
    if (target->identity && !(stream->wanted_identity = strdup(target->identity)))
        return -ENOMEM;
    struct connector *connector = new_connector(stream, target);
    if (!connector)
        return -ENOMEM;
    if (read_address(connector) < 0)
        return resolve(connector);
    connector->due = stream->deadline;
    int result =
        uv_tcp_connect(&connector->request, &stream->tcp, present_address(connector), on_connected);
    connector->dialling = result == 0;
    return result;
}

static int check_target(const struct stream_target *target, struct error *error)
{
    if (!target->host || !*target->host || target->port == 0)
        return error_set(error, -EINVAL, "a host and a port are needed to connect");
    if (!target->server_name || !*target->server_name || strlen(target->server_name) > 255)
        return error_set(error, -EINVAL, "the server's name is missing or too long");
    return 0;
}

int stream_connect(struct network *network, struct tls_client *client,
                   const struct stream_target *target, const struct stream_limits *limits,
                   const struct stream_handlers *handlers, void *opaque, struct stream **opened,
                   struct error *error)
{
    *opened = NULL;
    int result = check_target(target, error);
    if (result < 0)
        return result;
    struct stream *stream = stream_new(network, limits);
    if (!stream)
        return error_set(error, -ENOMEM, "out of memory");
    result = begin(stream, client, target);
    if (result < 0) {
        stream_destroy(stream); /* nobody's yet, so that nobody is called */
        return error_set(error, result, "cannot connect to %s: %s", target->host,
                         uv_strerror(result));
    }
    stream_set_handlers(stream, handlers, opaque);
    stream_arm(stream);
    *opened = stream;
    return 0;
}
