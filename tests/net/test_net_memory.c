/* Each allocation of src/net failing in turn: calls say so, streams close with their reason, and
 * nothing is left. OpenSSL and libuv keep theirs. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "net_support.h"

static long until_failure; /* allocations that still succeed; negative for all of them */
static bool failed;

static bool fails(void)
{
    bool now = until_failure == 0;
    until_failure -= until_failure >= 0;
    failed |= now;
    return now;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__real_realloc(void *pointer, size_t size);
void *__wrap_realloc(void *pointer, size_t size);
char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);

void *__wrap_malloc(size_t size)
{
    return fails() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fails() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *pointer, size_t size)
{
    return fails() ? NULL : __real_realloc(pointer, size);
}

char *__wrap_strdup(const char *text)
{
    return fails() ? NULL : __real_strdup(text);
}

/* ---- a connection's whole life ------------------------------------------------------------- */

static uint8_t envelope[50000];
static int closed[2], controls;
static struct channel *ends[2];

static void on_opened(struct channel *channel, void *opaque)
{
    channel_send(channel, envelope, sizeof envelope);
    channel_send_bulk(channel, 1, envelope, sizeof envelope);
}

static void on_control(struct channel *channel, void *opaque, const uint8_t *bytes, size_t size)
{
    controls++;
    channel_pause(channel);
}

static void on_bulk(struct channel *channel, void *opaque, uint64_t transfer, const uint8_t *bytes,
                    size_t size)
{
    channel_close(channel);
}

static void on_closed(struct channel *channel, void *opaque, const struct error *reason)
{
    int end = *(int *)opaque;
    closed[end]++;
    ends[end] = NULL;
}

static const struct channel_handlers handlers = {
    .opened = on_opened, .control = on_control, .bulk = on_bulk, .closed = on_closed};

static const int near_end = 0, far_end = 1;

static void take_over(struct peer *peer)
{
    struct error error;
    struct stream *stream = peer->stream;
    peer->stream = NULL;
    int result = channel_accept(stream, NULL, &handlers, (void *)&far_end, &ends[1], &error);
    assert_true(result == 0 || result == -ENOMEM);
}

/* Dials a name, so that it is looked up; says whether it got as far as to begin. */
static bool dial(struct setup *setup)
{
    struct error error;
    const struct stream_target target = {.host = "localhost",
                                         .port = setup->port,
                                         .server_name = SERVER_NAME,
                                         .identity = SERVER_IDENTITY};
    int result = channel_connect(setup->network, setup->client, &target, NULL, NULL, &handlers,
                                 (void *)&near_end, &ends[0], &error);
    assert_true(result == 0 || result == -ENOMEM);
    return result == 0;
}

static void live(struct setup *setup)
{
    closed[0] = closed[1] = 0;
    bool begun = dial(setup);
    while (begun && closed[0] == 0) {
        uv_run(&setup->loop, UV_RUN_ONCE);
        for (int i = 0; i < 2; i++)
            if (ends[i])
                channel_resume(ends[i]);
    }
    assert_int_equal(closed[0], begun);
    if (ends[1])
        channel_abort(ends[1], NULL);
    UNTIL(setup, !ends[1] && listener_handshaking(setup->listener) == 0);
    assert_true(closed[1] <= 1);
}

static void every_allocation_of_a_connection(void **state)
{
    struct setup *setup = *state;
    until_failure = -1;
    setup->far.on_opened = take_over;
    setup_listen(setup);
    int count = 0;
    do {
        failed = false;
        until_failure = count++;
        live(setup);
        until_failure = -1;
    } while (failed);
    assert_true(count > 10);
    assert_true(controls > 0);
}

static void every_allocation_of_certificates(void **state)
{
    struct error error;
    struct certificate *made;
    time_t now = time(NULL);
    const struct certificate_subject subject = {
        .name = "n", .identity = CLIENT_IDENTITY, .from = now, .until = now + 100};
    int count = 0;
    do {
        struct credentials read = {0};
        char *text = NULL;
        failed = false;
        until_failure = count++;
        int result = certificate_issue(deployment()->authority, &subject, &made, &error);
        if (result == 0) {
            struct credentials written = {.own = made, .authority = deployment()->authority};
            result = credentials_write(&written, &text, &error);
        }
        if (result == 0)
            result = credentials_read(text, strlen(text), &read, &error);
        until_failure = -1;
        assert_int_equal(result < 0, failed);
        certificate_forget(text);
        credentials_release(&read);
        certificate_free(made);
    } while (failed);
    assert_true(count > 3);
}

static void every_allocation_of_contexts(void **state)
{
    struct setup *setup = *state;
    struct error error;
    int count = 0;
    do {
        struct network *network = NULL;
        struct tls_domain *domain = NULL;
        struct tls_client *client = NULL;
        failed = false;
        until_failure = count++;
        int result = network_new(&setup->loop, &network, &error);
        if (result == 0)
            result =
                tls_domain_new(deployment()->server.own, deployment()->authority, &domain, &error);
        if (result == 0)
            result = tls_client_new(&deployment()->client, &client, &error);
        until_failure = -1;
        assert_int_equal(result < 0, failed);
        tls_client_free(client);
        tls_domain_free(domain);
        network_free(network);
    } while (failed);
    assert_true(count > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        NET_TEST(every_allocation_of_a_connection),
        NET_TEST(every_allocation_of_certificates),
        NET_TEST(every_allocation_of_contexts),
    };
    until_failure = -1;
    time_limit(60);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
