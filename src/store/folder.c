#include "store/folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of the four threads of libuv's pool, one is left for others: a long copy holds up nobody's sync. */
#define AT_ONCE 3

int folder_fail(struct store_operation *operation, const char *verb, const char *key, int code)
{
    const char *place = operation->store->place;
    if (code == -ENOENT)
        return error_set(&operation->result.error, code,
                         "cannot %s %s: the store %s has no such object", verb, key, place);
    return error_set(&operation->result.error, code, "cannot %s %s in the store %s: %s", verb, key,
                     place, error_reason(code));
}

static void work(uv_work_t *work)
{
    static void (*const run[])(struct store_operation *, int) = {
        [STORE_GET] = folder_get,
        [STORE_PUT] = folder_put,
        [STORE_ADOPT] = folder_adopt,
        [STORE_STAT] = folder_stat,
        [STORE_LIST] = folder_list,
        [STORE_DELETE] = folder_delete,
        [STORE_DELETE_PREFIX] = folder_delete_prefix,
        [STORE_URL] = folder_url,
    };
    struct store_operation *operation = work->data;
    struct folder *folder = (struct folder *)operation->store;
    if (atomic_load(&operation->cancelled))
        folder_fail(operation, "use", operation->key, -ECANCELED);
    else
        run[operation->kind](operation, folder->root);
}

static void after_work(uv_work_t *work, int status)
{
    store_finish(work->data);
}

static void start(struct store_operation *operation)
{
    operation->work.data = operation;
    uv_queue_work(operation->store->loop, &operation->work, work, after_work);
}

static void close_root(uv_work_t *work)
{
    struct folder *folder = work->data;
    close(folder->root);
}

static void after_close(uv_work_t *work, int status)
{
    struct folder *folder = work->data;
    void (*closed)(void *) = folder->closed;
    void *opaque = folder->opaque;
    free(folder->base.place);
    free(folder);
    closed(opaque);
}

static void folder_close(struct store *store, void (*closed)(void *opaque), void *opaque)
{
    struct folder *folder = (struct folder *)store;
    folder->closed = closed;
    folder->opaque = opaque;
    folder->closing.data = folder;
    uv_queue_work(store->loop, &folder->closing, close_root, after_close);
}

/* Makes the folder where it is missing, and its name durable. */
static int make(const char *path)
{
    if (mkdir(path, 0777) != 0)
        return errno == EEXIST ? 0 : -errno;
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int parent = fd < 0 ? -1 : openat(fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = parent < 0 || fsync(parent) != 0 ? -errno : 0;
    if (parent >= 0)
        close(parent);
    if (fd >= 0)
        close(fd);
    return code;
}

static int open_root(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        int code = make(path);
        if (code < 0)
            return code;
        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    }
    return fd < 0 ? -errno : fd;
}

int folder_open(const char *path, struct store **store, struct error *error)
{
    static const struct store_methods methods = {
        .is_folder = true, .start = start, .close = folder_close};
    int root = open_root(path);
    if (root < 0)
        return error_set(error, root, "cannot open the store %s: %s", path,
                         root == -ENOTDIR ? "it is not a folder" : error_reason(root));
    struct folder *folder = calloc(1, sizeof *folder);
    if (folder == NULL) {
        close(root);
        return error_set(error, -ENOMEM, "out of memory");
    }
    folder->base.methods = &methods;
    folder->base.at_once = AT_ONCE;
    folder->root = root;
    *store = &folder->base;
    return 0;
}
