/* Credentials, regions and endpoints as AWS's own tools find them, and URLs that are signed. */
#include <errno.h>
#include <microhttpd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "aws/aws.h"
#include "aws/presign.h"
#include "support/scratch.h"

/* ---- a machine that tells credentials ------------------------------------------------------ */

static struct MHD_Daemon *daemon_of_test;
static unsigned port;
static const char *expiration;

static const char *header(struct MHD_Connection *connection, const char *name)
{
    const char *value = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
    return value != NULL ? value : "";
}

/* As a container's endpoint and as an instance's metadata, both of which want a token. */
static const char *document(struct MHD_Connection *connection, const char *url, const char *method)
{
    static char text[512];
    const char *key = NULL;
    if (strcmp(url, "/container") == 0 &&
        strcmp(header(connection, "Authorization"), "secret") == 0)
        key = "CONTAINER";
    if (strcmp(url, "/latest/api/token") == 0 && strcmp(method, "PUT") == 0 &&
        strcmp(header(connection, "X-aws-ec2-metadata-token-ttl-seconds"), "21600") == 0)
        return "TOKEN";
    if (strcmp(header(connection, "X-aws-ec2-metadata-token"), "TOKEN") == 0) {
        if (strcmp(url, "/latest/meta-data/iam/security-credentials/") == 0)
            return "role";
        if (strcmp(url, "/latest/meta-data/iam/security-credentials/role") == 0)
            key = "INSTANCE";
    }
    if (key == NULL)
        return NULL;
    snprintf(text, sizeof text,
             "{\"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"s\", \"Token\": \"t\", "
             "\"Expiration\": \"%s\"}",
             key, expiration);
    return text;
}

static enum MHD_Result handle(void *opaque, struct MHD_Connection *connection, const char *url,
                              const char *method, const char *version, const char *bytes,
                              size_t *size, void **state)
{
    const char *text = document(connection, url, method);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        text != NULL ? strlen(text) : 0, (void *)(text != NULL ? text : ""), MHD_RESPMEM_MUST_COPY);
    enum MHD_Result result = MHD_queue_response(connection, text != NULL ? 200 : 404, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- a user of it -------------------------------------------------------------------------- */

struct world {
    uv_loop_t loop;
    struct aws *aws;
    int fetched;
    char access_key[64], secret_key[64], token[64];
    struct error error;
    bool closed;
};

static int set_up(void **state)
{
    static const char *const variables[] = {"AWS_ACCESS_KEY_ID",
                                            "AWS_SECRET_ACCESS_KEY",
                                            "AWS_SESSION_TOKEN",
                                            "AWS_PROFILE",
                                            "AWS_DEFAULT_PROFILE",
                                            "AWS_REGION",
                                            "AWS_DEFAULT_REGION",
                                            "AWS_ENDPOINT_URL",
                                            "AWS_ENDPOINT_URL_S3",
                                            "AWS_ENDPOINT_URL_LAMBDA",
                                            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                                            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN",
                                            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
                                            "AWS_EC2_METADATA_SERVICE_ENDPOINT"};
    struct world *world = calloc(1, sizeof *world);
    assert_non_null(world);
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
        unsetenv(variables[i]);
    setenv("AWS_CONFIG_FILE", "/nonexistent/config", 1);
    setenv("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials", 1);
    setenv("AWS_EC2_METADATA_DISABLED", "true", 1);
    expiration = "2038-01-01T00:00:00Z";
    assert_int_equal(uv_loop_init(&world->loop), 0);
    *state = world;
    return 0;
}

static void on_closed(void *opaque)
{
    ((struct world *)opaque)->closed = true;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (world->aws != NULL) {
        aws_close(world->aws, on_closed, world);
        uv_run(&world->loop, UV_RUN_DEFAULT);
        assert_true(world->closed);
    }
    assert_int_equal(uv_loop_close(&world->loop), 0);
    free(world);
    return 0;
}

static void begin(struct world *world)
{
    assert_int_equal(aws_new(&world->loop, NULL, &world->aws, &world->error), 0);
}

static void on_fetched(void *opaque, const struct aws_credentials *credentials,
                       const struct error *error)
{
    struct world *world = opaque;
    world->fetched++;
    world->error = *error;
    if (credentials == NULL)
        return;
    world->error.code = 0;
    snprintf(world->access_key, sizeof world->access_key, "%s", credentials->access_key);
    snprintf(world->secret_key, sizeof world->secret_key, "%s", credentials->secret_key);
    snprintf(world->token, sizeof world->token, "%s",
             credentials->session_token ? credentials->session_token : "-");
}

static void fetch(struct world *world)
{
    int before = world->fetched;
    assert_int_equal(aws_fetch(world->aws, on_fetched, world, &world->error), 0);
    assert_int_equal(aws_fetch(world->aws, on_fetched, world, &world->error), 0);
    assert_int_equal(world->fetched, before);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(world->fetched, before + 2);
}

static void write_file(const char *variable, const char *name, const char *text)
{
    char path[SCRATCH_PATH];
    scratch_path(path, name);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    setenv(variable, path, 1);
}

static const char config[] = "# settings\n"
                             "[default]\n"
                             "region = eu-west-1\n"
                             "[profile film]\n"
                             "region=eu-central-1\n"
                             "endpoint_url = https://storage.example/\n"
                             "s3 =\n"
                             "  addressing_style = path\n"
                             "  max_concurrent_requests = 20\n"
                             "[film]\n"
                             "region = nowhere\n"
                             "[profile company]\n"
                             "sso_session = x\n";
static const char credentials_file[] = "[default]\n"
                                       "aws_access_key_id = DEFAULT\n"
                                       "aws_secret_access_key = a\n"
                                       "[film]\n"
                                       "aws_access_key_id=FILM\n"
                                       "aws_secret_access_key = b+/=\n"
                                       "aws_session_token = c\n";

static void write_files(void)
{
    write_file("AWS_CONFIG_FILE", "config", config);
    write_file("AWS_SHARED_CREDENTIALS_FILE", "credentials", credentials_file);
}

/* ---- tests --------------------------------------------------------------------------------- */

static void the_environment_comes_first(void **state)
{
    struct world *world = *state;
    write_files();
    setenv("AWS_ACCESS_KEY_ID", "ENVIRONMENT", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "s", 1);
    setenv("AWS_REGION", "us-west-2", 1);
    begin(world);
    assert_string_equal(aws_credentials(world->aws)->access_key, "ENVIRONMENT");
    assert_null(aws_credentials(world->aws)->session_token);
    assert_string_equal(aws_region(world->aws), "us-west-2");
    setenv("AWS_SESSION_TOKEN", "new", 1);
    fetch(world);
    assert_string_equal(world->token, "new");
}

static void profiles_are_read(void **state)
{
    struct world *world = *state;
    char url[AWS_URL_SIZE];
    bool own;
    write_files();
    setenv("AWS_PROFILE", "film", 1);
    begin(world);
    fetch(world);
    assert_string_equal(world->access_key, "FILM");
    assert_string_equal(world->secret_key, "b+/=");
    assert_string_equal(world->token, "c");
    assert_string_equal(aws_region(world->aws), "eu-central-1");
    assert_string_equal(aws_s3_addressing(world->aws), "path");
    assert_int_equal(aws_endpoint(world->aws, "s3", "eu-central-1", url, &own, &world->error), 0);
    assert_string_equal(url, "https://storage.example");
    assert_true(own);
}

static void without_a_name_it_is_the_default(void **state)
{
    struct world *world = *state;
    write_files();
    begin(world);
    fetch(world);
    assert_string_equal(world->access_key, "DEFAULT");
    assert_string_equal(world->token, "-");
    assert_string_equal(aws_region(world->aws), "eu-west-1");
    assert_null(aws_s3_addressing(world->aws));
    /* What another tool has written meanwhile. */
    write_file("AWS_SHARED_CREDENTIALS_FILE", "credentials",
               "[default]\naws_access_key_id = NEWER\naws_secret_access_key = a\n");
    fetch(world);
    assert_string_equal(world->access_key, "NEWER");
}

static void other_profiles_are_refused(void **state)
{
    struct world *world = *state;
    write_files();
    setenv("AWS_PROFILE", "nobody", 1);
    assert_int_equal(aws_new(&world->loop, NULL, &world->aws, &world->error), -EINVAL);
    assert_non_null(strstr(world->error.message, "nobody"));
    setenv("AWS_PROFILE", "company", 1);
    begin(world);
    fetch(world);
    assert_int_equal(world->error.code, -EACCES);
    assert_non_null(strstr(world->error.message, "sso_session"));
}

static void endpoints(void **state)
{
    struct world *world = *state;
    char url[AWS_URL_SIZE];
    bool own;
    begin(world);
    assert_null(aws_region(world->aws));
    assert_int_equal(aws_endpoint(world->aws, "lambda", "eu-west-1", url, &own, &world->error), 0);
    assert_string_equal(url, "https://lambda.eu-west-1.amazonaws.com");
    assert_false(own);
    setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1/", 1);
    setenv("AWS_ENDPOINT_URL_LAMBDA", "http://127.0.0.1:2", 1);
    assert_int_equal(aws_endpoint(world->aws, "lambda", "eu-west-1", url, &own, &world->error), 0);
    assert_string_equal(url, "http://127.0.0.1:2");
    assert_int_equal(aws_endpoint(world->aws, "s3", "eu-west-1", url, &own, &world->error), 0);
    assert_string_equal(url, "http://127.0.0.1:1");
    assert_true(own);
}

static void containers_tell_them(void **state)
{
    struct world *world = *state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/container", port);
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url, 1);
    write_file("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "token", "secret\n");
    begin(world);
    assert_null(aws_credentials(world->aws));
    fetch(world);
    assert_string_equal(world->access_key, "CONTAINER");
    assert_string_equal(world->token, "t");
    assert_non_null(aws_credentials(world->aws));
    /* Soon they will not be good any more. */
    expiration = "2001-01-01T00:00:00Z";
    fetch(world);
    assert_null(aws_credentials(world->aws));
    setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://127.0.0.1.example/container", 1);
    fetch(world);
    assert_int_equal(world->error.code, -EACCES);
    assert_non_null(strstr(world->error.message, "neither https"));
}

static void instances_tell_them(void **state)
{
    struct world *world = *state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u", port);
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url, 1);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    begin(world);
    fetch(world);
    assert_string_equal(world->access_key, "INSTANCE");
    assert_int_equal(aws_credentials(world->aws)->expires, 2145916800);
}

static void nobody_tells_them(void **state)
{
    struct world *world = *state;
    begin(world);
    fetch(world);
    assert_int_equal(world->error.code, -EACCES);
    assert_non_null(strstr(world->error.message, "AWS_ACCESS_KEY_ID"));
    setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:1", 1);
    unsetenv("AWS_EC2_METADATA_DISABLED");
    fetch(world);
    assert_int_equal(world->error.code, -EACCES);
    /* The end comes while they are fetched: tear_down() */
    assert_int_equal(aws_fetch(world->aws, on_fetched, world, &world->error), 0);
}

/* Amazon S3 API Reference, "Authenticating Requests: Using Query Parameters", the example. */
static void urls_are_signed_as_published(void **state)
{
    const struct aws_credentials credentials = {
        .access_key = "AKIAIOSFODNN7EXAMPLE",
        .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    };
    const struct aws_presign presign = {
        .credentials = &credentials,
        .region = "us-east-1",
        .service = "s3",
        .method = "GET",
        .url = "https://examplebucket.s3.amazonaws.com/test.txt",
        .now = 1369353600, /* 2013-05-24 */
        .seconds = 86400,
    };
    char *url = aws_presign(&presign);
    assert_non_null(url);
    assert_string_equal(
        url, "https://examplebucket.s3.amazonaws.com/test.txt?X-Amz-Algorithm=AWS4-HMAC-SHA256"
             "&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2Fus-east-1%2Fs3%2Faws4_request"
             "&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host"
             "&X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    free(url);
}

static void headers_and_tokens_are_in_the_signature(void **state)
{
    const struct aws_credentials credentials = {
        .access_key = "A", .secret_key = "s", .session_token = "a/b+c="};
    const struct aws_header headers[] = {{"content-length", "3"}, {"x-amz-meta-a", "b"}};
    struct aws_presign presign = {
        .credentials = &credentials,
        .region = "r",
        .service = "s3",
        .method = "PUT",
        .url = "http://127.0.0.1:9/bucket/key",
        .headers = headers,
        .header_count = 2,
        .seconds = 1,
    };
    char *url = aws_presign(&presign);
    assert_non_null(strstr(url, "X-Amz-SignedHeaders=content-length%3Bhost%3Bx-amz-meta-a&"));
    assert_non_null(strstr(url, "X-Amz-Security-Token=a%2Fb%2Bc%3D&"));
    presign.method = "GET";
    char *other = aws_presign(&presign);
    assert_string_not_equal(url, other);
    free(url);
    free(other);
    presign.url = "nothing";
    assert_null(aws_presign(&presign));
}

static void parts_of_urls_are_encoded(void **state)
{
    char text[16] = "/";
    assert_true(aws_url_append(text, sizeof text, "a b/~c", true));
    assert_string_equal(text, "/a%20b/~c");
    assert_true(aws_url_append(text, sizeof text, "/\xc3", false));
    assert_string_equal(text, "/a%20b/~c%2F%C3");
    assert_false(aws_url_append(text, sizeof text, "x", false));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_environment_comes_first, set_up, tear_down),
        cmocka_unit_test_setup_teardown(profiles_are_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(without_a_name_it_is_the_default, set_up, tear_down),
        cmocka_unit_test_setup_teardown(other_profiles_are_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(endpoints, set_up, tear_down),
        cmocka_unit_test_setup_teardown(containers_tell_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(instances_tell_them, set_up, tear_down),
        cmocka_unit_test_setup_teardown(nobody_tells_them, set_up, tear_down),
        cmocka_unit_test(urls_are_signed_as_published),
        cmocka_unit_test(headers_and_tokens_are_in_the_signature),
        cmocka_unit_test(parts_of_urls_are_encoded),
    };
    daemon_of_test = MHD_start_daemon(MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, NULL,
                                      MHD_OPTION_END);
    if (daemon_of_test == NULL)
        return 1;
    port = MHD_get_daemon_info(daemon_of_test, MHD_DAEMON_INFO_BIND_PORT)->port;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    MHD_stop_daemon(daemon_of_test);
    return failed;
}
