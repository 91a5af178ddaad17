/* A "get" that takes an object's URL in place of its bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/worker_private.h"

struct store *worker_store_for(struct worker *worker, const Mu__Get *get, struct error *error)
{
    const struct store_lender lender = {worker_session_sign, worker};
    if (!get->linked || store_is_remote(store_place(worker->store)))
        return worker->store;
    if (worker->link_store == NULL)
        store_open_lent(worker->loop, "s3://elsewhere", &lender, &worker->link_store, error);
    return worker->link_store;
}

/* The file:// URL of an object in a folder, freed by the caller: all but letters, digits and some marks as %XX. */
static char *folder_url(const char *place, const char *key)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-~/";
    char *url;
    if (strncmp(place, "file://", 7) == 0)
        return asprintf(&url, "%s/%s", place, key) < 0 ? NULL : url;
    char *path = realpath(place, NULL);
    url = path != NULL ? malloc(strlen("file://") + 3 * strlen(path) + 1 + strlen(key) + 1) : NULL;
    if (url != NULL) {
        char *end = stpcpy(url, "file://");
        for (const char *from = path; *from != '\0'; from++)
            end += strchr(plain, *from) != NULL ? sprintf(end, "%c", *from)
                                                : sprintf(end, "%%%02X", (unsigned char)*from);
        sprintf(end, "/%s", key);
    }
    free(path);
    return url;
}

static void on_written(void *opaque, const struct files_result *result)
{
    worker_activity_finish_with(opaque, &result->error, NULL);
}

static void write_url(struct activity *activity, const char *url)
{
    struct attempt *attempt = activity->attempt;
    const struct files_source source = {.bytes = (const uint8_t *)url, .size = strlen(url)};
    char draft[32];
    worker_attempt_draft(attempt, draft);
    if (worker_files_copy(attempt->worker->loop, &source, attempt->own, draft, attempt->files,
                          activity->get->file, NULL, on_written, activity) < 0)
        worker_activity_fail(activity, "out of memory");
}

static void on_url(void *opaque, const struct store_result *result)
{
    struct activity *activity = opaque;
    activity->operation = NULL;
    if (result->error.code < 0)
        worker_activity_fail(activity, result->error.message);
    else
        write_url(activity, result->url);
}

void worker_url_get(struct activity *activity)
{
    struct error error;
    struct store *store = worker_store_for(activity->attempt->worker, activity->get, &error);
    const struct store_url wanted = {.key = activity->get->key};
    if (store == NULL) {
        worker_activity_fail(activity, error.message);
        return;
    }
    if (!store_is_key(wanted.key)) {
        worker_activity_fail(activity, "a URL of what is no key");
        return;
    }
    if (store_is_remote(store_place(store))) {
        if (store_url(store, &wanted, on_url, activity, &activity->operation, &error) < 0)
            worker_activity_fail(activity, error.message);
        return;
    }
    char *url = folder_url(store_place(store), wanted.key);
    if (url != NULL)
        write_url(activity, url);
    else
        worker_activity_fail(activity, "out of memory");
    free(url);
}
