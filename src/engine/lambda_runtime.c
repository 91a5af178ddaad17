#include "engine/lambda_runtime.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

/* A function runs for 15 minutes at most. Stand-ins for Lambda name deadlines that are none: what lies further
 * ahead than this, or in the past, is taken for none. */
#define LONGEST_MS (UINT64_C(60) * 60 * 1000)

/* For answers, which are short; events may be as long in coming as they like. */
enum { ANSWER_SECONDS = 30 };

struct lambda_runtime {
    CURL *curl;
    char base[300];               /* of its URLs */
    char reason[CURL_ERROR_SIZE]; /* of a request that got no answer */
    struct lambda_event *event;   /* being received; NULL: what comes is of no interest */
    size_t room;
    bool long_event, no_memory;
};

/* ---- What comes ---------------------------------------------------------------------------- */

static bool make_room(struct lambda_runtime *runtime, size_t size)
{
    struct lambda_event *event = runtime->event;
    size_t room = runtime->room > 0 ? runtime->room : 4096;
    while (room < size)
        room *= 2;
    if (room == runtime->room)
        return true;
    char *text = malloc(room);
    if (text == NULL)
        return false;
    if (event->size > 0)
        memcpy(text, event->text, event->size);
    if (event->text != NULL)
        explicit_bzero(event->text, event->size);
    free(event->text);
    event->text = text;
    runtime->room = room;
    return true;
}

static size_t on_body(char *bytes, size_t one, size_t size, void *opaque)
{
    struct lambda_runtime *runtime = opaque;
    struct lambda_event *event = runtime->event;
    if (event == NULL || runtime->long_event)
        return size;
    if (event->size + size > LAMBDA_RUNTIME_MOST_EVENT) {
        runtime->long_event = true;
        return size;
    }
    if (!make_room(runtime, event->size + size + 1)) {
        runtime->no_memory = true;
        return 0;
    }
    memcpy(event->text + event->size, bytes, size);
    event->size += size;
    event->text[event->size] = '\0';
    return size;
}

/* The value of a header line, if that is its name: without blanks around it, in `value`. */
static bool take_header(const char *line, size_t size, const char *name, char *value, size_t room)
{
    size_t length = strlen(name);
    if (size <= length || strncasecmp(line, name, length) != 0 || line[length] != ':')
        return false;
    const char *from = line + length + 1, *to = line + size;
    while (from < to && (*from == ' ' || *from == '\t'))
        from++;
    while (to > from && strchr(" \t\r\n", to[-1]) != NULL)
        to--;
    if ((size_t)(to - from) >= room)
        return false;
    memcpy(value, from, (size_t)(to - from));
    value[to - from] = '\0';
    return true;
}

static uint64_t time_left(const char *deadline)
{
    struct timespec now;
    char *end;
    errno = 0;
    uint64_t at = strtoull(deadline, &end, 10);
    clock_gettime(CLOCK_REALTIME, &now);
    uint64_t now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    bool sound = errno == 0 && end != deadline && *end == '\0';
    return sound && at > now_ms && at - now_ms <= LONGEST_MS ? at - now_ms : 0;
}

static size_t on_header(char *line, size_t one, size_t size, void *opaque)
{
    struct lambda_runtime *runtime = opaque;
    struct lambda_event *event = runtime->event;
    char deadline[32];
    if (event == NULL)
        return size;
    take_header(line, size, "Lambda-Runtime-Aws-Request-Id", event->id, sizeof event->id);
    if (take_header(line, size, "Lambda-Runtime-Deadline-Ms", deadline, sizeof deadline))
        event->left_ms = time_left(deadline);
    return size;
}

/* ---- Requests ------------------------------------------------------------------------------ */

/* Does what was set up, at the place behind `base`. */
static int perform(struct lambda_runtime *runtime, const char *place, struct error *error)
{
    char url[sizeof runtime->base + LAMBDA_RUNTIME_MOST_ID + 64];
    long status = 0;
    snprintf(url, sizeof url, "%s%s", runtime->base, place);
    curl_easy_setopt(runtime->curl, CURLOPT_URL, url);
    runtime->reason[0] = '\0';
    CURLcode result = curl_easy_perform(runtime->curl);
    if (runtime->no_memory || result == CURLE_OUT_OF_MEMORY)
        return error_set(error, -ENOMEM, "out of memory");
    if (result != CURLE_OK)
        return error_set(error, -EIO, "Lambda's Runtime API does not answer: %s",
                         runtime->reason[0] ? runtime->reason : curl_easy_strerror(result));
    curl_easy_getinfo(runtime->curl, CURLINFO_RESPONSE_CODE, &status);
    if (status / 100 != 2)
        return error_set(error, -EPROTO, "Lambda's Runtime API answers %s with status %ld", place,
                         status);
    return 0;
}

static int post(struct lambda_runtime *runtime, const char *place, const char *json, bool failure,
                struct error *error)
{
    struct curl_slist *headers = curl_slist_append(NULL, "Content-Type: application/json"), *more;
    if (headers != NULL && failure) {
        more = curl_slist_append(headers, "Lambda-Runtime-Function-Error-Type: Runtime.Worker");
        if (more == NULL)
            curl_slist_free_all(headers);
        headers = more;
    }
    if (headers == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    runtime->event = NULL;
    curl_easy_setopt(runtime->curl, CURLOPT_POSTFIELDS, json);
    curl_easy_setopt(runtime->curl, CURLOPT_POSTFIELDSIZE, (long)strlen(json));
    curl_easy_setopt(runtime->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(runtime->curl, CURLOPT_TIMEOUT, (long)ANSWER_SECONDS);
    int code = perform(runtime, place, error);
    curl_easy_setopt(runtime->curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return code;
}

int lambda_runtime_next(struct lambda_runtime *runtime, struct lambda_event *event,
                        struct error *error)
{
    memset(event, 0, sizeof *event);
    runtime->event = event;
    runtime->room = 0;
    runtime->long_event = false;
    curl_easy_setopt(runtime->curl, CURLOPT_HTTPGET, 1L);
    curl_easy_setopt(runtime->curl, CURLOPT_TIMEOUT, 0L);
    int code = perform(runtime, "invocation/next", error);
    runtime->event = NULL;
    if (code == 0 && event->id[0] == '\0')
        code = error_set(error, -EPROTO, "Lambda's Runtime API gives an event without its id");
    if (code < 0 || runtime->long_event) {
        char id[LAMBDA_RUNTIME_MOST_ID];
        strcpy(id, event->id);
        lambda_event_forget(event);
        strcpy(event->id, id);
    }
    return code;
}

void lambda_event_forget(struct lambda_event *event)
{
    if (event->text != NULL)
        explicit_bzero(event->text, event->size);
    free(event->text);
    memset(event, 0, sizeof *event);
}

int lambda_runtime_respond(struct lambda_runtime *runtime, const struct lambda_event *event,
                           const char *json, struct error *error)
{
    char place[LAMBDA_RUNTIME_MOST_ID + 32];
    snprintf(place, sizeof place, "invocation/%s/response", event->id);
    return post(runtime, place, json, false, error);
}

int lambda_runtime_fail(struct lambda_runtime *runtime, const struct lambda_event *event,
                        const struct error *reason, struct error *error)
{
    char place[LAMBDA_RUNTIME_MOST_ID + 32];
    json_t *object =
        json_pack("{s:s, s:s}", "errorMessage", reason->message, "errorType", "Runtime.Worker");
    char *text = object != NULL ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    if (event != NULL)
        snprintf(place, sizeof place, "invocation/%s/error", event->id);
    else
        snprintf(place, sizeof place, "init/error");
    int code = post(runtime, place, text, true, error);
    free(text);
    return code;
}

/* ---- Opening ------------------------------------------------------------------------------- */

static bool set_up(struct lambda_runtime *runtime)
{
    CURL *curl = runtime->curl = curl_easy_init();
    if (curl == NULL)
        return false;
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*"); /* it is in the same sandbox */
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, runtime->reason);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, runtime);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    return curl_easy_setopt(curl, CURLOPT_HEADERDATA, runtime) == CURLE_OK;
}

int lambda_runtime_open(const char *address, struct lambda_runtime **result, struct error *error)
{
    *result = NULL;
    struct lambda_runtime *runtime = calloc(1, sizeof *runtime);
    if (runtime == NULL || !set_up(runtime)) {
        lambda_runtime_close(runtime);
        return error_set(error, -ENOMEM, "out of memory");
    }
    int length =
        snprintf(runtime->base, sizeof runtime->base, "http://%s/2018-06-01/runtime/", address);
    if (length >= (int)sizeof runtime->base) {
        lambda_runtime_close(runtime);
        return error_set(error, -EINVAL, "the address of Lambda's Runtime API is too long");
    }
    *result = runtime;
    return 0;
}

void lambda_runtime_close(struct lambda_runtime *runtime)
{
    if (runtime == NULL)
        return;
    if (runtime->curl != NULL)
        curl_easy_cleanup(runtime->curl);
    free(runtime);
}
