#include "engine/lambda_admin.h"

#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "aws/call.h"

#define EVENTS_API "2019-09-25"

enum {
    EVENT_SECONDS = 60, /* the shortest that Lambda knows */
    POLL_MS = 500,
    READY_MS = 300000, /* a function in a VPC takes minutes */
};

struct lambda_admin {
    uv_loop_t loop;
    struct aws *aws;
    struct http *http;
    char *region;
};

static int no_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

/* ---- A call, waited for -------------------------------------------------------------------- */

struct answer {
    bool done;
    struct error error;
    json_t *document; /* NULL: none */
};

static void on_reply(void *opaque, const struct aws_reply *reply)
{
    struct answer *answer = opaque;
    answer->done = true;
    answer->error = reply->error;
    if (reply->error.code == 0 && reply->response->size > 0)
        answer->document =
            json_loadb((const char *)reply->response->body, reply->response->size, 0, NULL);
}

/* Takes `body` over, which may be NULL. `*document` is what was answered, or NULL; for json_decref(). */
static int call(struct lambda_admin *admin, const char *method, const char *path, json_t *body,
                json_t **document, struct error *error)
{
    static const char *const headers[] = {"Content-Type: application/json", NULL};
    struct answer answer = {0};
    *document = NULL;
    char *text = body != NULL ? json_dumps(body, JSON_COMPACT) : strdup("");
    json_decref(body);
    if (text == NULL)
        return no_memory(error);
    const struct aws_call request = {
        .service = "lambda",
        .region = admin->region,
        .method = method,
        .path = path,
        .headers = headers,
        .body = text,
        .size = strlen(text),
        .patience = HTTP_PATIENCE,
    };
    int code = aws_call(admin->aws, admin->http, &request, on_reply, &answer, error);
    free(text);
    while (code == 0 && !answer.done)
        uv_run(&admin->loop, UV_RUN_ONCE);
    if (code == 0 && answer.error.code < 0) {
        *error = answer.error;
        code = error->code;
    }
    *document = answer.document;
    return code;
}

/* The same, where nobody reads the answer. */
static int say(struct lambda_admin *admin, const char *method, const char *path, json_t *body,
               struct error *error)
{
    json_t *document;
    int code = call(admin, method, path, body, &document, error);
    json_decref(document);
    return code;
}

/* ---- Waiting ------------------------------------------------------------------------------- */

static const char *text_of(const json_t *document, const char *member)
{
    const char *text = json_string_value(json_object_get(document, member));
    return text != NULL ? text : "";
}

/* Returns 1 where it can be invoked and changed, 0 where not yet. */
static int look(const json_t *document, struct error *error)
{
    const char *state = text_of(document, "State"), *last = text_of(document, "LastUpdateStatus");
    if (strcmp(state, "Failed") == 0)
        return error_set(error, -EINVAL, "Lambda could not make the function: %.500s",
                         text_of(document, "StateReason"));
    if (strcmp(last, "Failed") == 0)
        return error_set(error, -EINVAL, "Lambda could not change the function: %.500s",
                         text_of(document, "LastUpdateStatusReason"));
    return strcmp(state, "Pending") != 0 && strcmp(last, "InProgress") != 0;
}

static int wait_for(struct lambda_admin *admin, const struct lambda_name *name, struct error *error)
{
    char path[LAMBDA_PATH_SIZE];
    lambda_name_path(name, LAMBDA_API, "/configuration", path);
    for (int waited = 0; waited < READY_MS; waited += POLL_MS) {
        json_t *document;
        int code = call(admin, "GET", path, NULL, &document, error);
        if (code == 0)
            code = look(document, error);
        json_decref(document);
        if (code != 0)
            return code > 0 ? 0 : code;
        uv_sleep(POLL_MS);
    }
    return error_set(error, -ETIMEDOUT, "Lambda has not finished the function %s in %d s",
                     name->function, READY_MS / 1000);
}

/* ---- What is said -------------------------------------------------------------------------- */

/* NULL where out of memory. */
static json_t *encode_package(const struct lambda_settings *settings)
{
    size_t size = 4 * ((settings->package_size + 2) / 3);
    unsigned char *text = malloc(size + 1);
    if (text == NULL)
        return NULL;
    EVP_EncodeBlock(text, settings->package, (int)settings->package_size);
    json_t *string = json_stringn((const char *)text, size);
    free(text);
    return string;
}

static json_t *list_architecture(const struct lambda_settings *settings)
{
    return settings->architecture != NULL ? json_pack("[s]", settings->architecture) : NULL;
}

/* What may be said of a new function and of one that is there. */
static json_t *pack_settings(const struct lambda_settings *settings)
{
    json_t *body = json_pack("{s:s, s:s, s:s*}", "Runtime", "provided.al2023", "Handler",
                             "bootstrap", "Role", settings->role);
    int failed = body == NULL;
    if (settings->memory > 0)
        failed |= json_object_set_new(body, "MemorySize", json_integer(settings->memory));
    if (settings->seconds > 0)
        failed |= json_object_set_new(body, "Timeout", json_integer(settings->seconds));
    if (settings->storage > 0)
        failed |= json_object_set_new(body, "EphemeralStorage",
                                      json_pack("{s:i}", "Size", settings->storage));
    if (failed) {
        json_decref(body);
        return NULL;
    }
    return body;
}

static json_t *pack_function(const struct lambda_name *name, const struct lambda_settings *settings)
{
    json_t *body = pack_settings(settings), *package = encode_package(settings);
    json_t *more = json_pack("{s:s, s:s, s:s, s:{s:o}, s:o*}", "FunctionName", name->function,
                             "PackageType", "Zip", "Description", "Workers of excamera", "Code",
                             "ZipFile", package, "Architectures", list_architecture(settings));
    int failed = body == NULL || more == NULL || json_object_update(body, more) != 0;
    json_decref(more);
    if (failed) {
        json_decref(body);
        return NULL;
    }
    return body;
}

/* A coordinator gives up who has not dialled in time; what would come later is of no use. */
static int limit_events(struct lambda_admin *admin, const struct lambda_name *name,
                        struct error *error)
{
    char path[LAMBDA_PATH_SIZE];
    lambda_name_path(name, EVENTS_API, "/event-invoke-config", path);
    json_t *body = json_pack("{s:i, s:i}", "MaximumRetryAttempts", 0, "MaximumEventAgeInSeconds",
                             (int)EVENT_SECONDS);
    return body != NULL ? say(admin, "PUT", path, body, error) : no_memory(error);
}

/* ---- The three ----------------------------------------------------------------------------- */

int lambda_admin_create(struct lambda_admin *admin, const struct lambda_name *name,
                        const struct lambda_settings *settings, struct error *error)
{
    struct lambda_settings all = *settings;
    all.memory = all.memory > 0 ? all.memory : LAMBDA_MEMORY;
    all.seconds = all.seconds > 0 ? all.seconds : LAMBDA_SECONDS;
    all.storage = all.storage > 0 ? all.storage : LAMBDA_STORAGE;
    json_t *body = pack_function(name, &all);
    if (body == NULL)
        return no_memory(error);
    int code = say(admin, "POST", "/" LAMBDA_API "/functions", body, error);
    if (code == -EEXIST)
        return error_set(error, -EEXIST,
                         "there is a function %s in %s; `excamera lambda update` changes it",
                         name->function, admin->region);
    if (code == 0)
        code = wait_for(admin, name, error);
    return code == 0 ? limit_events(admin, name, error) : code;
}

static int update_code(struct lambda_admin *admin, const struct lambda_name *name,
                       const struct lambda_settings *settings, struct error *error)
{
    char path[LAMBDA_PATH_SIZE];
    lambda_name_path(name, LAMBDA_API, "/code", path);
    json_t *body = json_pack("{s:o, s:o*}", "ZipFile", encode_package(settings), "Architectures",
                             list_architecture(settings));
    int code = body != NULL ? say(admin, "PUT", path, body, error) : no_memory(error);
    return code == 0 ? wait_for(admin, name, error) : code;
}

int lambda_admin_update(struct lambda_admin *admin, const struct lambda_name *name,
                        const struct lambda_settings *settings, struct error *error)
{
    char path[LAMBDA_PATH_SIZE];
    lambda_name_path(name, LAMBDA_API, "/configuration", path);
    int code = wait_for(admin, name, error); /* for what others change in it */
    if (code == 0 && settings->package != NULL)
        code = update_code(admin, name, settings, error);
    if (code < 0)
        return code;
    json_t *body = pack_settings(settings);
    code = body != NULL ? say(admin, "PUT", path, body, error) : no_memory(error);
    if (code == 0)
        code = wait_for(admin, name, error);
    return code == 0 ? limit_events(admin, name, error) : code;
}

int lambda_admin_delete(struct lambda_admin *admin, const struct lambda_name *name,
                        struct error *error)
{
    char path[LAMBDA_PATH_SIZE];
    lambda_name_path(name, LAMBDA_API, "", path);
    return say(admin, "DELETE", path, NULL, error);
}

/* ---- Opening ------------------------------------------------------------------------------- */

static int find_region(struct lambda_admin *admin, const char *region, struct error *error)
{
    if (region == NULL)
        region = aws_region(admin->aws);
    if (region == NULL)
        return error_set(error, -EINVAL,
                         "no AWS region is known: say --regions, or set AWS_REGION");
    admin->region = strdup(region);
    return admin->region != NULL ? 0 : no_memory(error);
}

int lambda_admin_open(const char *region, struct lambda_admin **made, struct error *error)
{
    *made = NULL;
    struct lambda_admin *admin = calloc(1, sizeof *admin);
    if (admin == NULL)
        return no_memory(error);
    int code = uv_loop_init(&admin->loop);
    if (code < 0) {
        free(admin);
        return error_set(error, code, "cannot start: %s", uv_strerror(code));
    }
    code = aws_new(&admin->loop, NULL, &admin->aws, error);
    if (code == 0)
        code = find_region(admin, region, error);
    if (code == 0)
        code = http_new(&admin->loop, 1, &admin->http, error);
    if (code < 0) {
        lambda_admin_close(admin);
        return code;
    }
    *made = admin;
    return 0;
}

void lambda_admin_close(struct lambda_admin *admin)
{
    if (admin == NULL)
        return;
    if (admin->http != NULL)
        http_close(admin->http, NULL, NULL);
    if (admin->aws != NULL)
        aws_close(admin->aws, NULL, NULL);
    uv_run(&admin->loop, UV_RUN_DEFAULT);
    uv_loop_close(&admin->loop);
    free(admin->region);
    free(admin);
}

const char *lambda_admin_region(const struct lambda_admin *admin)
{
    return admin->region;
}
