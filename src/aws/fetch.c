/* Where credentials come from. */
#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/private.h"

#define CONTAINER "http://169.254.170.2"
#define INSTANCE "http://169.254.169.254"
/* Where these are they are near; where they are not nothing answers. */
#define CONNECT 1000u  /* ms */
#define PATIENCE 3000u /* ms */
#define URL_SIZE 1024
#define LONGEST_TOKEN 16384

static void forget(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

/* False where out of memory. */
static bool set(struct aws *aws, const char *access_key, const char *secret_key, const char *token,
                int64_t expires)
{
    forget(&aws->access_key);
    forget(&aws->secret_key);
    forget(&aws->session_token);
    aws->credentials = (struct aws_credentials){0};
    aws->access_key = strdup(access_key);
    aws->secret_key = strdup(secret_key);
    aws->session_token = token != NULL ? strdup(token) : NULL;
    if (aws->access_key == NULL || aws->secret_key == NULL ||
        (token != NULL && aws->session_token == NULL))
        return false;
    aws->credentials = (struct aws_credentials){
        .access_key = aws->access_key,
        .secret_key = aws->secret_key,
        .session_token = aws->session_token,
        .expires = expires,
    };
    return true;
}

bool aws_take_static(struct aws *aws)
{
    const char *access_key = aws_variable("AWS_ACCESS_KEY_ID");
    const char *secret_key = aws_variable("AWS_SECRET_ACCESS_KEY");
    if (access_key != NULL && secret_key != NULL)
        return set(aws, access_key, secret_key, aws_variable("AWS_SESSION_TOKEN"), INT64_MAX);
    const struct aws_profile *profile = &aws->profile;
    return profile->access_key != NULL && profile->secret_key != NULL &&
           set(aws, profile->access_key, profile->secret_key, profile->session_token, INT64_MAX);
}

void aws_end_fetch(struct aws *aws)
{
    struct list_link waiters;
    if (aws->closing) /* who waits may not have anything left to ask with */
        error_set(&aws->error, -ECANCELED, "cancelled");
    bool good = aws->credentials.access_key != NULL && aws->error.code == 0;
    const struct error error = aws->error;
    list_take(&waiters, &aws->waiters);
    while (!list_empty(&waiters)) {
        struct aws_waiter *waiter = LIST_ENTRY(waiters.next, struct aws_waiter, link);
        list_remove(&waiter->link);
        waiter->done(waiter->opaque, good ? &aws->credentials : NULL, &error);
        free(waiter);
    }
}

static void on_turn(uv_timer_t *turn)
{
    aws_end_fetch(turn->data);
}

static void fail(struct aws *aws, const char *why)
{
    error_set(&aws->error, -EACCES,
              "there are no AWS credentials: %s; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
              "or AWS_PROFILE to a profile of ~/.aws/credentials",
              why);
    aws_end_fetch(aws);
}

/* ---- endpoints that tell credentials ------------------------------------------------------- */

static void get(struct aws *aws, const char *method, const char *url, const char *const *headers,
                http_done *done)
{
    const struct http_request request = {
        .method = method,
        .url = url,
        .headers = headers,
        .connect = CONNECT,
        .stall = PATIENCE,
        .patience = PATIENCE,
        .limit = 64 * 1024,
        .direct = true,
    };
    if (http_send(aws->http, &request, done, aws, NULL, &aws->error) < 0)
        uv_timer_start(&aws->turn, on_turn, 0, 0);
}

/* Seconds since 1970 of "2026-01-31T12:00:00Z". */
static int64_t read_time(const char *text)
{
    struct tm tm = {0};
    return text != NULL && strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) != NULL ? timegm(&tm)
                                                                            : INT64_MAX;
}

static void take_document(struct aws *aws, const struct http_response *response)
{
    const char *access_key, *secret_key, *token = NULL, *expires = NULL;
    json_t *document = json_loadb((const char *)response->body, response->size, 0, NULL);
    if (document == NULL ||
        json_unpack(document, "{s:s, s:s, s?s, s?s}", "AccessKeyId", &access_key, "SecretAccessKey",
                    &secret_key, "Token", &token, "Expiration", &expires) != 0)
        fail(aws, "what this machine was told of its role cannot be understood");
    else if (!set(aws, access_key, secret_key, token, read_time(expires)))
        fail(aws, "out of memory");
    else
        aws_end_fetch(aws);
    json_decref(document);
}

/* Ends the fetch where the answer is that it was cancelled. */
static bool is_over(struct aws *aws, const struct http_response *response)
{
    if (response->error.code != -ECANCELED)
        return false;
    aws->error = response->error;
    aws_end_fetch(aws);
    return true;
}

static void on_document(void *opaque, const struct http_response *response)
{
    struct aws *aws = opaque;
    char why[256];
    if (is_over(aws, response))
        return;
    if (http_succeeded(response)) {
        take_document(aws, response);
        return;
    }
    snprintf(why, sizeof why, "this machine's endpoint for them answered with status %d",
             response->status);
    fail(aws, response->error.code < 0 ? response->error.message : why);
}

/* ---- containers ---------------------------------------------------------------------------- */

/* A file's first line; NULL where there is none. */
static char *read_line(const char *path)
{
    char *line = NULL;
    size_t room = 0;
    FILE *file = fopen(path, "re");
    ssize_t length = file != NULL ? getline(&line, &room, file) : -1;
    if (file != NULL)
        fclose(file);
    if (length < 0 || length > LONGEST_TOKEN) {
        free(line);
        return NULL;
    }
    line[strcspn(line, "\r\n")] = '\0';
    return line;
}

/* Secrets go over plain HTTP to these alone, as AWS's tools have it. */
static bool is_near(const char *url)
{
    static const char *const hosts[] = {"169.254.170.2", "169.254.170.23", "[fd00:ec2::23]",
                                        "localhost", "[::1]"};
    char host[64] = "";
    unsigned char address[4];
    if (strncasecmp(url, "https://", 8) == 0)
        return true;
    if (sscanf(url, "http://%63[^/?#@]", host) != 1)
        return false;
    char *colon = strrchr(host, ':');
    if (colon != NULL && strchr(colon, ']') == NULL)
        *colon = '\0';
    for (size_t i = 0; i < sizeof hosts / sizeof *hosts; i++)
        if (strcmp(host, hosts[i]) == 0)
            return true;
    return inet_pton(AF_INET, host, address) == 1 && address[0] == 127;
}

static void ask_container(struct aws *aws, const char *url)
{
    const char *token = aws_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN");
    const char *file = aws_variable("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE");
    char *read = file != NULL ? read_line(file) : NULL, *line = NULL;
    if (read != NULL)
        token = read;
    if (!is_near(url)) {
        error_set(&aws->error, -EACCES,
                  "AWS_CONTAINER_CREDENTIALS_FULL_URI names %.200s, which is neither https nor on "
                  "this machine",
                  url);
        uv_timer_start(&aws->turn, on_turn, 0, 0);
    } else if (token != NULL && asprintf(&line, "Authorization: %s", token) < 0) {
        error_set(&aws->error, -ENOMEM, "out of memory");
        uv_timer_start(&aws->turn, on_turn, 0, 0);
    } else {
        const char *const headers[] = {line, NULL};
        get(aws, "GET", url, headers, on_document);
        free(line);
    }
    free(read);
}

/* ---- instances ----------------------------------------------------------------------------- */

static void ask_instance(struct aws *aws, const char *method, const char *path, const char *more,
                         http_done *done)
{
    char url[URL_SIZE];
    char *line = NULL;
    const char *base = aws_variable("AWS_EC2_METADATA_SERVICE_ENDPOINT");
    snprintf(url, sizeof url, "%s/latest/%s%s", base != NULL ? base : INSTANCE, path, more);
    int length = aws->token == NULL ? asprintf(&line, "X-aws-ec2-metadata-token-ttl-seconds: 21600")
                                    : asprintf(&line, "X-aws-ec2-metadata-token: %s", aws->token);
    const char *const headers[] = {length < 0 ? NULL : line, NULL};
    get(aws, method, url, headers, done);
    if (length >= 0)
        free(line);
}

static char *copy_body(const struct http_response *response)
{
    bool good = http_succeeded(response) && response->size > 0 && response->size < 4096;
    char *copy = good ? strndup((const char *)response->body, response->size) : NULL;
    if (copy != NULL)
        copy[strcspn(copy, "\r\n")] = '\0';
    return copy;
}

static void on_role(void *opaque, const struct http_response *response)
{
    struct aws *aws = opaque;
    if (is_over(aws, response))
        return;
    free(aws->role);
    aws->role = copy_body(response);
    if (aws->role == NULL)
        fail(aws, "this instance has no role");
    else
        ask_instance(aws, "GET", "meta-data/iam/security-credentials/", aws->role, on_document);
}

static void on_token(void *opaque, const struct http_response *response)
{
    struct aws *aws = opaque;
    if (is_over(aws, response))
        return;
    aws->token = copy_body(response);
    if (aws->token == NULL)
        fail(aws, "neither the environment nor a profile has any, and this is no instance of EC2");
    else
        ask_instance(aws, "GET", "meta-data/iam/security-credentials/", "", on_role);
}

/* ---- the order ----------------------------------------------------------------------------- */

/* The files may have others by now. */
static void read_profile_again(struct aws *aws)
{
    struct aws_profile profile;
    struct error error;
    if (aws_profile_read(aws->profile_name, &profile, &error) < 0)
        return;
    aws_profile_free(&aws->profile);
    aws->profile = profile;
}

static bool is_foreign(struct aws *aws)
{
    if (aws->profile.foreign == NULL)
        return false;
    error_set(&aws->error, -EACCES,
              "the profile %s gets its credentials by %s, which is not supported; "
              "`eval $(aws configure export-credentials --format env)` puts them into the "
              "environment",
              aws->profile.name, aws->profile.foreign);
    return true;
}

void aws_begin_fetch(struct aws *aws)
{
    char url[URL_SIZE];
    const char *relative = aws_variable("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI");
    const char *full = aws_variable("AWS_CONTAINER_CREDENTIALS_FULL_URI");
    const char *disabled = aws_variable("AWS_EC2_METADATA_DISABLED");
    read_profile_again(aws);
    aws->credentials = (struct aws_credentials){0};
    aws->error = (struct error){0};
    forget(&aws->token);
    if (aws_take_static(aws) || is_foreign(aws)) {
        uv_timer_start(&aws->turn, on_turn, 0, 0);
    } else if (relative != NULL) {
        snprintf(url, sizeof url, "%s%s", CONTAINER, relative);
        ask_container(aws, url);
    } else if (full != NULL) {
        ask_container(aws, full);
    } else if (disabled == NULL || strcasecmp(disabled, "true") != 0) {
        ask_instance(aws, "PUT", "api/token", "", on_token);
    } else {
        error_set(
            &aws->error, -EACCES,
            "there are no AWS credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
            "AWS_PROFILE to a profile of ~/.aws/credentials");
        uv_timer_start(&aws->turn, on_turn, 0, 0);
    }
}
