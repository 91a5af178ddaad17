#include "aws/aws.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "aws/private.h"

/* So long before they expire they are fetched anew: what is begun with them is to have an end. */
#define LEAD 300 /* s */

const char *aws_variable(const char *name)
{
    const char *value = getenv(name);
    return value != NULL && *value != '\0' ? value : NULL;
}

static void free_if_closed(struct aws *aws)
{
    if (!aws->turn_closed || !aws->http_closed)
        return;
    void (*closed)(void *) = aws->closed;
    void *opaque = aws->opaque;
    aws_profile_free(&aws->profile);
    free(aws->profile_name);
    free(aws->token);
    free(aws->role);
    free(aws->access_key);
    free(aws->secret_key);
    free(aws->session_token);
    explicit_bzero(aws, sizeof *aws);
    free(aws);
    if (closed != NULL)
        closed(opaque);
}

static void on_turn_closed(uv_handle_t *turn)
{
    struct aws *aws = turn->data;
    aws->turn_closed = true;
    free_if_closed(aws);
}

static void on_http_closed(void *opaque)
{
    struct aws *aws = opaque;
    aws->http_closed = true;
    if (!list_empty(&aws->waiters)) { /* their fetch was between two requests */
        error_set(&aws->error, -ECANCELED, "cancelled");
        aws_end_fetch(aws);
    }
    uv_close((uv_handle_t *)&aws->turn, on_turn_closed);
}

int aws_new(uv_loop_t *loop, const char *profile, struct aws **made, struct error *error)
{
    *made = NULL;
    struct aws *aws = calloc(1, sizeof *aws);
    if (aws == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    aws->loop = loop;
    list_init(&aws->waiters);
    int code = 0;
    if (profile != NULL && (aws->profile_name = strdup(profile)) == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    if (code == 0)
        code = aws_profile_read(profile, &aws->profile, error);
    if (code == 0)
        code = http_new(loop, 1, &aws->http, error);
    if (code < 0) {
        aws_profile_free(&aws->profile);
        free(aws->profile_name);
        free(aws);
        return code;
    }
    uv_timer_init(loop, &aws->turn);
    aws->turn.data = aws;
    aws_take_static(aws);
    *made = aws;
    return 0;
}

void aws_close(struct aws *aws, void (*closed)(void *opaque), void *opaque)
{
    aws->closing = true;
    aws->closed = closed;
    aws->opaque = opaque;
    http_close(aws->http, on_http_closed, aws);
}

const char *aws_region(const struct aws *aws)
{
    const char *region = aws_variable("AWS_REGION");
    if (region == NULL)
        region = aws_variable("AWS_DEFAULT_REGION");
    return region != NULL ? region : aws->profile.region;
}

const char *aws_s3_addressing(const struct aws *aws)
{
    return aws->profile.addressing;
}

int aws_endpoint(const struct aws *aws, const char *service, const char *region,
                 char url[AWS_URL_SIZE], bool *own, struct error *error)
{
    char name[64] = "AWS_ENDPOINT_URL_";
    size_t at = strlen(name);
    for (const char *from = service; *from != '\0' && at + 1 < sizeof name; from++)
        name[at++] = *from == '-' ? '_' : (char)toupper((unsigned char)*from);
    name[at] = '\0';
    const char *endpoint = aws_variable(name);
    if (endpoint == NULL)
        endpoint = aws_variable("AWS_ENDPOINT_URL");
    if (endpoint == NULL)
        endpoint = aws->profile.endpoint;
    if (own != NULL)
        *own = endpoint != NULL;
    const char *domain = strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
    int length = endpoint != NULL
                     ? snprintf(url, AWS_URL_SIZE, "%s", endpoint)
                     : snprintf(url, AWS_URL_SIZE, "https://%s.%s.%s", service, region, domain);
    if (length >= AWS_URL_SIZE)
        return error_set(error, -ENAMETOOLONG, "the endpoint of %s is too long", service);
    while (length > 0 && url[length - 1] == '/')
        url[--length] = '\0';
    return 0;
}

const struct aws_credentials *aws_credentials(const struct aws *aws)
{
    const struct aws_credentials *credentials = &aws->credentials;
    bool good = credentials->access_key != NULL &&
                (credentials->expires == INT64_MAX || credentials->expires - time(NULL) > LEAD);
    return good ? credentials : NULL;
}

int aws_fetch(struct aws *aws, aws_fetched *done, void *opaque, struct error *error)
{
    struct aws_waiter *waiter = aws->closing ? NULL : malloc(sizeof *waiter);
    if (aws->closing)
        return error_set(error, -ECANCELED, "cancelled");
    if (waiter == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    waiter->done = done;
    waiter->opaque = opaque;
    bool first = list_empty(&aws->waiters);
    list_init(&waiter->link);
    list_append(&aws->waiters, &waiter->link);
    if (first)
        aws_begin_fetch(aws);
    return 0;
}
