#include "net_support.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- certificates -------------------------------------------------------------------------- */

static struct certificate *authority(const char *name)
{
    struct certificate *made;
    struct error error;
    time_t now = time(NULL);
    const struct certificate_subject subject = {
        .name = name, .from = now - 1000, .until = now + 100000};
    if (certificate_make_authority(&subject, &made, &error) < 0)
        fail_msg("%s", error.message);
    return made;
}

static struct certificate *issue(const struct certificate *from,
                                 const struct certificate_subject *subject)
{
    struct certificate *made;
    struct error error;
    if (certificate_issue(from, subject, &made, &error) < 0)
        fail_msg("%s", error.message);
    return made;
}

struct certificate *client_certificate(const struct certificate *from, const char *identity,
                                       int begin, int end)
{
    time_t now = time(NULL);
    return issue(from, &(struct certificate_subject){.name = "client",
                                                     .identity = identity,
                                                     .use = CERTIFICATE_CLIENT,
                                                     .from = now + begin,
                                                     .until = now + end});
}

static struct deployment the_deployment;

static void forget_deployment(void)
{
    credentials_release(&the_deployment.server);
    credentials_release(&the_deployment.client);
    certificate_free(the_deployment.authority);
    certificate_free(the_deployment.stranger);
}

const struct deployment *deployment(void)
{
    static const char *const hosts[] = {"localhost", "127.0.0.1", "::1", NULL};
    struct deployment *made = &the_deployment;
    time_t now = time(NULL);
    if (made->authority)
        return made;
    made->authority = authority("a deployment");
    made->stranger = authority("a deployment"); /* of the same name, which must not suffice */
    const struct certificate_subject server = {.name = "server",
                                               .identity = SERVER_IDENTITY,
                                               .hosts = hosts,
                                               .use = CERTIFICATE_SERVER | CERTIFICATE_CLIENT,
                                               .from = now - 1000,
                                               .until = now + 10000};
    made->server.own = issue(made->authority, &server);
    made->client.own = client_certificate(made->authority, CLIENT_IDENTITY, -1000, 10000);
    made->server.authority = certificate_share(made->authority);
    made->client.authority = certificate_share(made->authority);
    atexit(forget_deployment);
    /* libuv keeps a pipe and OpenSSL its own things from their first use on. */
    uv_loop_t loop;
    uv_loop_init(&loop);
    uv_loop_close(&loop);
    return made;
}

/* ---- peers --------------------------------------------------------------------------------- */

uint8_t pattern_byte(uint64_t position)
{
    return (uint8_t)(position * 2654435761u >> 13 ^ position >> 17);
}

void pattern_fill(uint8_t *bytes, uint64_t position, size_t size)
{
    for (size_t i = 0; i < size; i++)
        bytes[i] = pattern_byte(position + i);
}

static void on_opened(struct stream *stream, void *opaque)
{
    struct peer *peer = opaque;
    peer->opened++;
    if (peer->on_opened)
        peer->on_opened(peer);
}

static size_t on_received(struct stream *stream, void *opaque, const uint8_t *bytes, size_t size)
{
    struct peer *peer = opaque;
    size_t taken = peer->on_received ? peer->on_received(peer, bytes, size) : size;
    for (size_t i = 0; i < taken; i++)
        peer->sound &= bytes[i] == pattern_byte(peer->received + i);
    peer->received += taken;
    return taken;
}

static void on_drained(struct stream *stream, void *opaque)
{
    struct peer *peer = opaque;
    peer->drained++;
    if (peer->on_drained)
        peer->on_drained(peer);
}

static void on_ended(struct stream *stream, void *opaque)
{
    struct peer *peer = opaque;
    peer->ended++;
    if (peer->on_ended)
        peer->on_ended(peer);
    else
        stream_close(stream);
}

static void on_closed(struct stream *stream, void *opaque, const struct error *reason)
{
    struct peer *peer = opaque;
    peer->closed++;
    peer->failed = reason != NULL;
    if (reason)
        peer->reason = *reason;
    peer->stream = NULL;
    if (peer->on_closed)
        peer->on_closed(peer);
}

const struct stream_handlers peer_handlers = {.opened = on_opened,
                                              .received = on_received,
                                              .drained = on_drained,
                                              .ended = on_ended,
                                              .closed = on_closed};

/* ---- the server and the loop --------------------------------------------------------------- */

static struct tls_domain *lookup(void *opaque, const char *name)
{
    struct setup *setup = opaque;
    return strcmp(name, SERVER_NAME) == 0 ? setup->domain : NULL;
}

static void on_accepted(struct listener *listener, void *opaque, struct stream *stream)
{
    struct setup *setup = opaque;
    setup->accepted++;
    setup->far.stream = stream;
    stream_set_handlers(stream, &peer_handlers, &setup->far);
    if (setup->far.on_opened)
        setup->far.on_opened(&setup->far);
}

static void on_refused(struct listener *listener, void *opaque, const char *address,
                       enum tls_refusal refusal, const struct error *error)
{
    struct setup *setup = opaque;
    assert_non_null(strchr(address, ':'));
    setup->refused++;
    setup->refusal = refusal;
    setup->refusal_error = *error;
}

static void on_tick(uv_timer_t *timer)
{
}

int open_descriptors(void)
{
    DIR *folder = opendir("/proc/self/fd");
    int count = 0;
    while (readdir(folder))
        count++;
    closedir(folder);
    return count;
}

void time_limit(unsigned seconds)
{
    const char *level = getenv("XC_TESTS");
    seconds *= getenv("ASAN_OPTIONS") ? 2 : 1;
    alarm(level && strcmp(level, "all") == 0 ? seconds * 5 : seconds);
}

int net_set_up(void **state)
{
    struct error error;
    struct setup *setup = calloc(1, sizeof *setup);
    if (!setup)
        return -1;
    const struct deployment *certificates = deployment();
    setup->descriptors = open_descriptors();
    uv_loop_init(&setup->loop);
    uv_timer_init(&setup->loop, &setup->tick);
    uv_timer_start(&setup->tick, on_tick, 20, 20);
    setup->near.setup = setup->far.setup = setup;
    setup->near.sound = setup->far.sound = true;
    assert_int_equal(network_new(&setup->loop, &setup->network, &error), 0);
    assert_int_equal(
        tls_domain_new(certificates->server.own, certificates->authority, &setup->domain, &error),
        0);
    assert_int_equal(tls_server_new(lookup, setup, &setup->server, &error), 0);
    assert_int_equal(tls_client_new(&certificates->client, &setup->client, &error), 0);
    *state = setup;
    return 0;
}

int net_tear_down(void **state)
{
    struct setup *setup = *state;
    network_free(setup->network);
    uv_close((uv_handle_t *)&setup->tick, NULL);
    uv_run(&setup->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&setup->loop), 0);
    assert_true(setup->near.closed <= 1);
    assert_null(setup->near.stream);
    assert_null(setup->far.stream);
    tls_client_free(setup->client);
    tls_server_free(setup->server);
    tls_domain_free(setup->domain);
    assert_int_equal(open_descriptors(), setup->descriptors);
    free(setup);
    return 0;
}

void setup_listen_on(struct setup *setup, const char *host, unsigned handshakes)
{
    static const struct listener_handlers handlers = {.accepted = on_accepted,
                                                      .refused = on_refused};
    struct error error;
    const struct listener_options options = {
        .host = host, .handshakes = handshakes, .limits = setup->limits};
    if (listener_open(setup->network, setup->server, &options, &handlers, setup, &setup->listener,
                      &error) < 0)
        fail_msg("%s", error.message);
    setup->port = listener_port(setup->listener);
    assert_int_not_equal(setup->port, 0);
}

void setup_listen(struct setup *setup)
{
    setup_listen_on(setup, "127.0.0.1", 0);
}

void setup_connect_to(struct setup *setup, const struct stream_target *target,
                      struct tls_client *client)
{
    struct error error;
    if (stream_connect(setup->network, client, target, &setup->limits, &peer_handlers, &setup->near,
                       &setup->near.stream, &error) < 0)
        fail_msg("%s", error.message);
}

void setup_connect(struct setup *setup)
{
    const struct stream_target target = {
        .host = "127.0.0.1", .port = setup->port, .server_name = SERVER_NAME};
    setup_connect_to(setup, &target, setup->client);
}

void setup_pair(struct setup *setup)
{
    setup_listen(setup);
    setup_connect(setup);
    UNTIL(setup, setup->near.opened && setup->accepted);
}

void setup_run(struct setup *setup, unsigned milliseconds)
{
    uint64_t end = uv_hrtime() + milliseconds * UINT64_C(1000000);
    UNTIL(setup, uv_hrtime() >= end);
}
