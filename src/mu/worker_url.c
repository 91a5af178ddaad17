/* A "get" that takes an object's URL in place of its bytes. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/worker_private.h"

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

void worker_url_get(struct activity *activity)
{
    struct attempt *attempt = activity->attempt;
    struct worker *worker = attempt->worker;
    char draft[32];
    if (!store_is_key(activity->get->key)) {
        worker_activity_fail(activity, "a URL of what is no key");
        return;
    }
    char *url = folder_url(store_place(worker->store), activity->get->key);
    const struct files_source source = {.bytes = (uint8_t *)url,
                                        .size = url != NULL ? strlen(url) : 0};
    worker_attempt_draft(attempt, draft);
    int code = url != NULL
                   ? worker_files_copy(worker->loop, &source, attempt->own, draft, attempt->files,
                                       activity->get->file, on_written, activity)
                   : -ENOMEM;
    free(url);
    if (code < 0)
        worker_activity_fail(activity, "out of memory");
}
