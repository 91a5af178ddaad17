/* The HTTP client against a real server: what goes there, what comes back, what is tried again. */
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/http.h"
#include "util/sha256.h"

/* What the server has seen; under `lock`. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct MHD_Daemon *daemon;
    unsigned port;
    unsigned requests, at_once, most_at_once, failing;
    bool hold; /* requests of /held wait while it is set */
    char authorization[512], token[64], sha256[80], method[16];
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

struct upload {
    char *bytes;
    size_t size;
};

static void note(struct MHD_Connection *connection, const char *name, char *to, size_t size)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    snprintf(to, size, "%s", value != NULL ? value : "");
}

static enum MHD_Result reply(struct MHD_Connection *connection, unsigned status, const void *bytes,
                             size_t size, const char *name, const char *value)
{
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, (void *)bytes, MHD_RESPMEM_MUST_COPY);
    if (name != NULL)
        MHD_add_response_header(response, name, value);
    enum MHD_Result result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

static void wait_while_held(void)
{
    pthread_mutex_lock(&server.lock);
    server.at_once++;
    if (server.at_once > server.most_at_once)
        server.most_at_once = server.at_once;
    pthread_cond_broadcast(&server.changed);
    while (server.hold)
        pthread_cond_wait(&server.changed, &server.lock);
    server.at_once--;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
}

static enum MHD_Result answer(struct MHD_Connection *connection, const char *url,
                              struct upload *upload)
{
    pthread_mutex_lock(&server.lock);
    server.requests++;
    bool fail = server.failing > 0;
    server.failing -= fail;
    pthread_mutex_unlock(&server.lock);
    if (strcmp(url, "/held") == 0)
        wait_while_held();
    if (fail)
        return reply(connection, 503, "not now", 7, NULL, NULL);
    if (strcmp(url, "/echo") == 0)
        return reply(connection, 200, upload->bytes, upload->size, "ETag", "\"one\"");
    if (strcmp(url, "/missing") == 0)
        return reply(connection, 404, "nothing here", 12, NULL, NULL);
    if (strcmp(url, "/busy") == 0)
        return reply(connection, 429, "", 0, "Retry-After", "7");
    return reply(connection, 200, "hello", 5, NULL, NULL);
}

static enum MHD_Result handle(void *opaque, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes,
                              size_t *size, void **state)
{
    struct upload *upload = *state;
    if (upload == NULL) {
        pthread_mutex_lock(&server.lock);
        note(connection, "Authorization", server.authorization, sizeof server.authorization);
        note(connection, "x-amz-security-token", server.token, sizeof server.token);
        note(connection, "x-amz-content-sha256", server.sha256, sizeof server.sha256);
        snprintf(server.method, sizeof server.method, "%s", method);
        pthread_mutex_unlock(&server.lock);
        *state = calloc(1, sizeof *upload);
        return *state != NULL ? MHD_YES : MHD_NO;
    }
    if (*size == 0)
        return answer(connection, url, upload);
    char *longer = realloc(upload->bytes, upload->size + *size);
    if (longer == NULL)
        return MHD_NO;
    memcpy(longer + upload->size, bytes, *size);
    upload->bytes = longer;
    upload->size += *size;
    *size = 0;
    return MHD_YES;
}

static void on_completed(void *opaque, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode how)
{
    struct upload *upload = *state;
    if (upload != NULL)
        free(upload->bytes);
    free(upload);
}

/* ---- a client ------------------------------------------------------------------------------ */

struct world {
    uv_loop_t loop;
    struct http *http;
    int ended;   /* requests called back */
    bool closed; /* the client was */
    struct error error;
    int status;
    char body[256], etag[32];
    size_t size;
    uint64_t written;
    unsigned tries;
};

static void on_closed(void *opaque)
{
    ((struct world *)opaque)->closed = true;
}

static int set_up(void **state)
{
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    assert_int_equal(uv_loop_init(&world->loop), 0);
    assert_int_equal(http_new(&world->loop, 4, &world->http, &world->error), 0);
    server.requests = server.most_at_once = server.failing = 0;
    server.hold = false;
    *state = world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (!world->closed)
        http_close(world->http, on_closed, world);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(world->closed);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    free(world);
    return 0;
}

static void on_done(void *opaque, const struct http_response *response)
{
    struct world *world = opaque;
    const char *etag = http_header(response, "ETAG");
    world->ended++;
    world->error = response->error;
    world->status = response->status;
    world->size = response->size;
    world->written = response->written;
    world->tries = response->tries;
    snprintf(world->etag, sizeof world->etag, "%s", etag != NULL ? etag : "");
    snprintf(world->body, sizeof world->body, "%s", response->body ? (char *)response->body : "");
}

static const char *url(const char *path)
{
    static char text[128];
    snprintf(text, sizeof text, "http://127.0.0.1:%u%s", server.port, path);
    return text;
}

/* Sends one and waits for it. */
static void fetch(struct world *world, const struct http_request *request)
{
    struct error error = {0};
    int before = world->ended;
    assert_int_equal(http_send(world->http, request, on_done, world, NULL, &error), 0);
    assert_int_equal(world->ended, before);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->ended, before + 1);
}

static int scratch_file(const char *content)
{
    char name[] = "/tmp/excamera-test-XXXXXX";
    int fd = mkstemp(name);
    assert_true(fd >= 0);
    unlink(name);
    assert_int_equal(write(fd, content, strlen(content)), strlen(content));
    return fd;
}

/* ---- tests --------------------------------------------------------------------------------- */

static void bytes_go_there_and_back(void **state)
{
    struct world *world = *state;
    fetch(world, &(struct http_request){
                     .method = "PUT", .url = url("/echo"), .bytes = "some bytes", .size = 10});
    assert_int_equal(world->error.code, 0);
    assert_int_equal(world->status, 200);
    assert_string_equal(world->body, "some bytes");
    assert_string_equal(world->etag, "\"one\"");
    assert_string_equal(server.method, "PUT");
}

static void a_range_of_a_file_goes_into_another(void **state)
{
    struct world *world = *state;
    int from = scratch_file("0123456789"), to = scratch_file("abcdefghij");
    char found[11] = "";
    fetch(world, &(struct http_request){.method = "POST",
                                        .url = url("/echo"),
                                        .from_file = true,
                                        .file = from,
                                        .offset = 2,
                                        .size = 5,
                                        .to_file = true,
                                        .target = to,
                                        .target_offset = 4});
    assert_int_equal(world->error.code, 0);
    assert_int_equal(world->written, 5);
    assert_int_equal(pread(to, found, 10, 0), 10);
    assert_string_equal(found, "abcd23456j");
    close(from);
    close(to);
}

static void large_bodies_pass(void **state)
{
    struct world *world = *state;
    size_t size = 9000001;
    char *bytes = malloc(size), *found = malloc(size);
    assert_true(bytes != NULL && found != NULL);
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)(i * i >> 3);
    int to = scratch_file("");
    fetch(world, &(struct http_request){.method = "PUT",
                                        .url = url("/echo"),
                                        .bytes = bytes,
                                        .size = size,
                                        .to_file = true,
                                        .target = to,
                                        .limit = size});
    assert_int_equal(world->written, size);
    assert_int_equal(pread(to, found, size, 0), size);
    assert_memory_equal(bytes, found, size);
    close(to);
    free(bytes);
    free(found);
}

static void too_much_is_refused(void **state)
{
    struct world *world = *state;
    fetch(world, &(struct http_request){.method = "PUT",
                                        .url = url("/echo?secret=1"),
                                        .bytes = "some bytes",
                                        .size = 10,
                                        .limit = 9,
                                        .patience = HTTP_PATIENCE});
    assert_int_equal(world->error.code, -EMSGSIZE);
    assert_int_equal(world->tries, 1);
    assert_null(strstr(world->error.message, "secret"));
}

static void a_file_that_is_shorter_fails(void **state)
{
    struct world *world = *state;
    int from = scratch_file("0123456789");
    fetch(world, &(struct http_request){.method = "PUT",
                                        .url = url("/echo"),
                                        .from_file = true,
                                        .file = from,
                                        .size = 11,
                                        .patience = HTTP_PATIENCE});
    assert_int_equal(world->error.code, -ENODATA);
    close(from);
}

static void failures_that_pass_are_tried_again(void **state)
{
    struct world *world = *state;
    server.failing = 2;
    fetch(world, &(struct http_request){.method = "PUT",
                                        .url = url("/echo"),
                                        .bytes = "again",
                                        .size = 5,
                                        .patience = HTTP_PATIENCE});
    assert_int_equal(world->status, 200);
    assert_string_equal(world->body, "again");
    assert_int_equal(world->tries, 3);
    server.failing = 1;
    fetch(world, &(struct http_request){.method = "GET", .url = url("/echo")});
    assert_int_equal(world->error.code, 0);
    assert_int_equal(world->status, 503);
    assert_string_equal(world->body, "not now");
}

static void other_refusals_are_answers(void **state)
{
    struct world *world = *state;
    int to = scratch_file("");
    fetch(world, &(struct http_request){.method = "GET",
                                        .url = url("/missing"),
                                        .to_file = true,
                                        .target = to,
                                        .patience = HTTP_PATIENCE});
    assert_int_equal(world->error.code, 0);
    assert_int_equal(world->status, 404);
    assert_int_equal(world->tries, 1);
    assert_string_equal(world->body, "nothing here");
    assert_int_equal(lseek(to, 0, SEEK_END), 0);
    close(to);
}

static void note_pause(void *opaque, const struct http_response *response)
{
    assert_true(http_may_retry(response));
    *(uint64_t *)opaque = http_retry_pause(response, 1);
}

static void servers_may_ask_for_a_pause(void **state)
{
    struct world *world = *state;
    struct http_request request = {.method = "GET", .url = url("/busy")};
    uint64_t pause = 0;
    struct error error;
    assert_int_equal(http_send(world->http, &request, note_pause, &pause, NULL, &error), 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(pause, 7000);
    for (unsigned tries = 1; tries < 50; tries++)
        assert_in_range(http_retry_pause(NULL, tries), 1, 10000);
}

static void nobody_there(void **state)
{
    struct world *world = *state;
    fetch(world, &(struct http_request){.method = "GET", .url = "http://127.0.0.1:1/"});
    assert_int_equal(world->error.code, -ECONNREFUSED);
    struct error error;
    struct http_request file = {.method = "GET", .url = "file:///etc/passwd"};
    assert_int_equal(http_send(world->http, &file, on_done, world, NULL, &error), -EINVAL);
}

static void silence_ends_it(void **state)
{
    struct world *world = *state;
    server.hold = true;
    fetch(world, &(struct http_request){.method = "GET", .url = url("/held"), .stall = 1000});
    assert_int_equal(world->error.code, -ETIMEDOUT);
    fetch(world, &(struct http_request){.method = "GET", .url = url("/held"), .total = 100});
    assert_int_equal(world->error.code, -ETIMEDOUT);
    pthread_mutex_lock(&server.lock);
    server.hold = false;
    pthread_cond_broadcast(&server.changed);
    while (server.at_once > 0)
        pthread_cond_wait(&server.changed, &server.lock);
    pthread_mutex_unlock(&server.lock);
}

static void release(uv_timer_t *timer)
{
    pthread_mutex_lock(&server.lock);
    if (server.at_once == 4) {
        server.hold = false;
        pthread_cond_broadcast(&server.changed);
        uv_close((uv_handle_t *)timer, NULL);
    }
    pthread_mutex_unlock(&server.lock);
}

static void connections_are_bounded(void **state)
{
    struct world *world = *state;
    struct error error;
    uv_timer_t timer;
    struct http_request request = {.method = "GET", .url = url("/held")};
    server.hold = true;
    for (int i = 0; i < 40; i++)
        assert_int_equal(http_send(world->http, &request, on_done, world, NULL, &error), 0);
    uv_timer_init(&world->loop, &timer);
    uv_timer_start(&timer, release, 10, 10);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->ended, 40);
    assert_int_equal(world->status, 200);
    assert_int_equal(server.most_at_once, 4);
}

static void let_go(void *opaque, const struct http_response *response)
{
    assert_int_equal(response->error.code, -ECANCELED);
    pthread_mutex_lock(&server.lock);
    server.hold = false;
    pthread_cond_broadcast(&server.changed);
    pthread_mutex_unlock(&server.lock);
    ((struct world *)opaque)->ended++;
}

static void requests_can_be_cancelled(void **state)
{
    struct world *world = *state;
    struct error error;
    struct http_transfer *first, *fifth = NULL;
    struct http_request request = {.method = "GET", .url = url("/held")};
    server.hold = true;
    assert_int_equal(http_send(world->http, &request, let_go, world, &first, &error), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(http_send(world->http, &request, on_done, world, NULL, &error), 0);
    assert_int_equal(http_send(world->http, &request, let_go, world, &fifth, &error), 0);
    http_cancel(first);
    http_cancel(fifth);
    http_cancel(fifth);
    assert_int_equal(world->ended, 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->ended, 5);
    assert_int_equal(world->status, 200);
}

static void close_client(void *opaque, const struct http_response *response)
{
    struct world *world = opaque;
    on_done(world, response);
    http_close(world->http, on_closed, world);
}

static void closing_cancels_the_others(void **state)
{
    struct world *world = *state;
    struct error error;
    struct http_request request = {.method = "GET", .url = url("/")}, held = request;
    held.url = "http://127.0.0.1:1/";
    held.patience = HTTP_NEVER;
    for (int i = 0; i < 20; i++)
        assert_int_equal(http_send(world->http, &held, on_done, world, NULL, &error), 0);
    assert_int_equal(http_send(world->http, &request, close_client, world, NULL, &error), 0);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_true(world->closed);
    assert_int_equal(world->ended, 21);
    assert_int_equal(world->error.code, -ECANCELED);
}

static void requests_are_signed(void **state)
{
    struct world *world = *state;
    const struct http_signing signing = {
        .access_key = "AKIDEXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
        .session_token = "TOKEN",
        .region = "eu-west-1",
        .service = "s3",
    };
    char hex[SHA256_HEX_SIZE];
    uint8_t sum[SHA256_SIZE];
    fetch(world, &(struct http_request){.method = "PUT",
                                        .url = url("/echo?partNumber=1&uploadId=2"),
                                        .bytes = "x",
                                        .size = 1,
                                        .signing = &signing});
    assert_int_equal(sha256_of("x", 1, sum), 0);
    sha256_hex(sum, hex);
    assert_string_equal(server.sha256, hex);
    assert_string_equal(server.token, "TOKEN");
    assert_non_null(strstr(server.authorization, "Credential=AKIDEXAMPLE/"));
    assert_non_null(strstr(server.authorization, "/eu-west-1/s3/aws4_request"));
    assert_non_null(strstr(server.authorization, "x-amz-content-sha256"));
    assert_non_null(strstr(server.authorization, "x-amz-security-token"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_go_there_and_back, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_range_of_a_file_goes_into_another, set_up, tear_down),
        cmocka_unit_test_setup_teardown(large_bodies_pass, set_up, tear_down),
        cmocka_unit_test_setup_teardown(too_much_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_shorter_fails, set_up, tear_down),
        cmocka_unit_test_setup_teardown(failures_that_pass_are_tried_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_refusals_are_answers, set_up, tear_down),
        cmocka_unit_test_setup_teardown(servers_may_ask_for_a_pause, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_there, set_up, tear_down),
        cmocka_unit_test_setup_teardown(silence_ends_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(connections_are_bounded, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_can_be_cancelled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(closing_cancels_the_others, set_up, tear_down),
        cmocka_unit_test_setup_teardown(requests_are_signed, set_up, tear_down),
    };
    server.daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_THREAD_PER_CONNECTION, 0, NULL, NULL, handle,
        NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL, MHD_OPTION_END);
    if (server.daemon == NULL)
        return 1;
    server.port = MHD_get_daemon_info(server.daemon, MHD_DAEMON_INFO_BIND_PORT)->port;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MHD_stop_daemon(server.daemon);
    return failed;
}
