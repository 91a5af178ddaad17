#include "cli/objects.h"

#include <errno.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/store.h"

enum { LOOK_MS = 100, PLACE_SIZE = 1024 };

enum step {
    STEP_GET,
    STEP_MISSING,
    STEP_THERE,
    STEP_URL,
    STEP_PUT,
    STEP_DELETE,
    STEP_ADOPT,
    STEP_REMOVE,
    STEP_OVER
};

/* The steps of one errand, one after the other. */
struct errand {
    const enum step *step;
    const char *key;
    struct store_file file;
    struct store_identity identity; /* of what was put */
    char *url;                      /* of the object */
    uv_loop_t loop;
    uv_timer_t timer;
    struct store *store;
    struct store_operation *operation;
    struct error error;
};

static void on_closed(void *opaque)
{
}

static void end(struct errand *errand)
{
    uv_close((uv_handle_t *)&errand->timer, NULL);
    store_close(errand->store, on_closed, errand);
}

static void go_on(struct errand *errand);

static void on_done(void *opaque, const struct store_result *result)
{
    struct errand *errand = opaque;
    enum step step = *errand->step++;
    errand->operation = NULL;
    errand->error = result->error;
    if (step == STEP_PUT)
        errand->identity = result->identity;
    if (step == STEP_URL && result->error.code == 0 && (errand->url = strdup(result->url)) == NULL)
        error_set(&errand->error, -ENOMEM, "out of memory");
    if (step == STEP_MISSING && result->error.code == -ENOENT)
        errand->error.code = 0;
    else if (step == STEP_MISSING && result->error.code == 0)
        error_set(&errand->error, -EEXIST, "%s/%s is there already; --force overwrites it",
                  store_place(errand->store), errand->key);
    if (errand->error.code < 0 || *errand->step == STEP_OVER)
        end(errand);
    else
        go_on(errand);
}

static int begin(struct errand *errand)
{
    struct store *store = errand->store;
    struct store_operation **operation = &errand->operation;
    const struct store_url url = {.key = errand->key};
    const struct store_get get = {.key = errand->key, .to = errand->file, .length = STORE_TO_END};
    const struct store_put put = {.from = errand->file, .key = errand->key, .attempt = 1};
    switch (*errand->step) {
    case STEP_GET:
        return store_get(store, &get, on_done, errand, operation, &errand->error);
    case STEP_PUT:
        return store_put(store, &put, on_done, errand, operation, &errand->error);
    case STEP_DELETE:
        return store_delete(store, errand->key, on_done, errand, operation, &errand->error);
    case STEP_ADOPT:
        return store_adopt(store, errand->key, 1, &errand->identity, on_done, errand, operation,
                           &errand->error);
    case STEP_MISSING:
    case STEP_THERE:
        return store_stat(store, errand->key, on_done, errand, operation, &errand->error);
    case STEP_URL:
        return store_url(store, &url, on_done, errand, operation, &errand->error);
    default:
        return store_delete_prefix(store, errand->key, on_done, errand, operation, &errand->error);
    }
}

static void go_on(struct errand *errand)
{
    if (begin(errand) < 0)
        end(errand);
}

static void on_time(uv_timer_t *timer)
{
    struct errand *errand = timer->data;
    if (local_interrupted() && errand->operation != NULL)
        store_cancel(errand->operation);
}

/* `url` is what STEP_URL finds; NULL where there is no such step. */
static int run(const char *place, const enum step *steps, const char *key,
               const struct store_file *file, char **url, struct error *error)
{
    struct errand errand = {.step = steps, .key = key};
    if (file != NULL)
        errand.file = *file;
    int code = uv_loop_init(&errand.loop);
    if (code < 0)
        return error_set(error, code, "cannot start: %s", uv_strerror(code));
    code = store_open(&errand.loop, place, &errand.store, error);
    if (code == 0) {
        uv_timer_init(&errand.loop, &errand.timer);
        errand.timer.data = &errand;
        uv_timer_start(&errand.timer, on_time, LOOK_MS, LOOK_MS);
        go_on(&errand);
    }
    uv_run(&errand.loop, UV_RUN_DEFAULT);
    uv_loop_close(&errand.loop);
    if (code == 0 && errand.error.code < 0) {
        *error = errand.error;
        code = error->code;
    }
    if (url != NULL && code == 0)
        *url = errand.url;
    else
        free(errand.url);
    return code;
}

/* ---- films --------------------------------------------------------------------------------- */

static int run_with(const char *url, const enum step *steps, const struct store_file *file,
                    char **link, struct error *error)
{
    char *place;
    const char *key;
    int code = store_split(url, &place, &key, error);
    if (code == 0)
        code = run(place, steps, key, file, link, error);
    free(place);
    return code;
}

int objects_url(const char *url, char **link, struct error *error)
{
    static const enum step steps[] = {STEP_THERE, STEP_URL, STEP_OVER};
    return run_with(url, steps, NULL, link, error);
}

int objects_check(const char *url, bool overwrite, struct error *error)
{
    static const enum step steps[] = {STEP_MISSING, STEP_OVER};
    int code = run_with(url, steps, NULL, NULL, error);
    return code == -EEXIST && overwrite ? 0 : code;
}

int objects_get(const char *url, const struct store_file *file, struct error *error)
{
    static const enum step steps[] = {STEP_GET, STEP_OVER};
    return run_with(url, steps, file, NULL, error);
}

int objects_put(const struct store_file *file, const char *url, struct error *error)
{
    static const enum step steps[] = {STEP_PUT, STEP_DELETE, STEP_ADOPT, STEP_OVER};
    return run_with(url, steps, file, NULL, error);
}

/* ---- jobs ---------------------------------------------------------------------------------- */

int objects_take_folder(const char *store, struct local_folder *folder, struct error *error)
{
    char path[PATH_MAX], hex[SHA256_HEX_SIZE];
    uint8_t sum[SHA256_SIZE];
    if (sha256_of(store, strlen(store), sum) < 0)
        return error_set(error, -ENOMEM, "out of memory");
    sha256_hex(sum, hex);
    snprintf(path, sizeof path, "%s/excamera-store-%.16s", local_parent(), hex);
    return local_folder_take(path, folder, error);
}

/* The name that the folder remembers; a new one where it has none. */
static int own_name(const char *path, char name[32], struct error *error)
{
    uint64_t number;
    FILE *file = fopen(path, "re");
    bool known = file != NULL && fscanf(file, "%31[a-z0-9-]", name) == 1;
    if (file != NULL)
        fclose(file);
    if (known)
        return 0;
    if (RAND_bytes((uint8_t *)&number, sizeof number) != 1)
        return error_set(error, -EIO, "no random numbers");
    snprintf(name, 32, "encode-%016llx", (unsigned long long)number);
    file = fopen(path, "we");
    bool kept = file != NULL && fputs(name, file) >= 0;
    if (file != NULL && fclose(file) != 0)
        kept = false;
    return kept ? 0 : error_set(error, -errno, "cannot write %s: %s", path, strerror(errno));
}

int objects_place(const struct local_folder *folder, const char *store, char **place,
                  struct error *error)
{
    char name[32], path[PATH_MAX];
    size_t length = strlen(store);
    while (length > 0 && store[length - 1] == '/')
        length--;
    *place = NULL;
    snprintf(path, sizeof path, "%s/remote", folder->path);
    int code = own_name(path, name, error);
    if (code == 0 && asprintf(place, "%.*s/%s", (int)length, store, name) < 0) {
        *place = NULL;
        code = error_set(error, -ENOMEM, "out of memory");
    }
    return code;
}

int objects_remove(const char *place, struct error *error)
{
    static const enum step steps[] = {STEP_REMOVE, STEP_OVER};
    char parent[PLACE_SIZE], name[64];
    const char *slash = strrchr(place, '/');
    snprintf(parent, sizeof parent, "%.*s", (int)(slash - place), place);
    snprintf(name, sizeof name, "%s/", slash + 1);
    return run(parent, steps, name, NULL, NULL, error);
}

void objects_set_endpoint(const char *url)
{
    setenv("AWS_ENDPOINT_URL_S3", url, 1);
}
