#include "mu/worker_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/transfer.h"
#include "util/beneath.h"
#include "util/write.h"

struct work {
    uv_work_t work;
    void (*run)(struct work *work);
    files_done *done;
    files_progress *progress; /* NULL: nobody wants to know, and `moved` is not open */
    uv_async_t moved;
    atomic_uint_fast64_t copied;
    uint64_t total; /* of the file; valid once something was copied */
    void *opaque;
    struct files_source from;
    char *path; /* of `from` */
    int own, to;
    char *draft, *target;
    size_t most;
    struct files_result result;
};

static int work_fail(struct work *work, const char *verb, const char *path, int code)
{
    return error_set(&work->result.error, code, "cannot %s %s: %s", verb, path,
                     code == -ENOENT ? "there is no such file or folder" : error_reason(code));
}

static void work_free(struct work *work)
{
    free(work->result.content);
    free((uint8_t *)work->from.bytes);
    free(work->path);
    free(work->draft);
    free(work->target);
    free(work);
}

static void on_work(uv_work_t *request)
{
    struct work *work = (struct work *)request;
    work->run(work);
}

static void on_moved_closed(uv_handle_t *handle)
{
    work_free(handle->data);
}

static void on_after(uv_work_t *request, int status)
{
    struct work *work = (struct work *)request;
    (void)status;
    work->done(work->opaque, &work->result);
    if (work->progress != NULL)
        uv_close((uv_handle_t *)&work->moved, on_moved_closed);
    else
        work_free(work);
}

static struct work *work_new(void (*run)(struct work *work), files_done *done, void *opaque)
{
    struct work *work = calloc(1, sizeof *work);
    if (work == NULL)
        return NULL;
    work->run = run;
    work->done = done;
    work->opaque = opaque;
    return work;
}

/* It fails for nothing but a missing function. */
static int work_queue(uv_loop_t *loop, struct work *work)
{
    return uv_queue_work(loop, &work->work, on_work, on_after);
}

/* ---- Copying ------------------------------------------------------------------------------- */

static int copy_bytes(struct work *work, int out)
{
    struct sha256 *sha256 = sha256_new();
    if (sha256 == NULL)
        return error_set(&work->result.error, -ENOMEM, "out of memory");
    int code = sha256_update(sha256, work->from.bytes, work->from.size);
    if (code == 0)
        code = sha256_finish(sha256, work->result.identity.sha256);
    sha256_free(sha256);
    work->result.identity.size = work->from.size;
    if (code == 0)
        code = write_all(out, work->from.bytes, work->from.size);
    return code == 0 ? 0 : work_fail(work, "write", "a message", code);
}

/* Opens a plain file to read; `size` may be NULL. */
static int open_plain(int folder, const char *path, uint64_t *size)
{
    struct stat status;
    int fd = beneath_open(folder, path, O_RDONLY, 0);
    if (fd < 0)
        return fd;
    int code = fstat(fd, &status) != 0 ? -errno : S_ISREG(status.st_mode) ? 0 : -EINVAL;
    if (code == 0 && size != NULL)
        *size = (uint64_t)status.st_size;
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

/* In the thread. */
static void note_moved(void *opaque, uint64_t size)
{
    struct work *work = opaque;
    atomic_store(&work->copied, size);
    uv_async_send(&work->moved);
}

static void on_moved(uv_async_t *moved)
{
    struct work *work = moved->data;
    work->progress(work->opaque, atomic_load(&work->copied), work->total);
}

static int copy_file(struct work *work, int out)
{
    static const atomic_bool never;
    int in = open_plain(work->from.folder, work->path, &work->total);
    if (in < 0)
        return work_fail(work, "read", work->path, in);
    struct transfer transfer = {.in = in,
                                .out = out,
                                .length = STORE_TO_END,
                                .sum = true,
                                .cancelled = &never,
                                .moved = work->progress != NULL ? note_moved : NULL,
                                .opaque = work};
    int code = transfer_run(&transfer);
    work->result.identity = transfer.identity;
    close(in);
    return code == 0 ? 0 : work_fail(work, transfer.writing ? "write" : "read", work->path, code);
}

/* Moves the draft to where it belongs. */
static int place(struct work *work)
{
    const char *name;
    int folder = beneath_parent(work->to, work->target, true, &name);
    if (folder < 0)
        return work_fail(work, "write", work->target, folder);
    int code = renameat(work->own, work->draft, folder, name) != 0 ? -errno : 0;
    close(folder);
    return code == 0 ? 0 : work_fail(work, "write", work->target, code);
}

static void run_copy(struct work *work)
{
    int out =
        openat(work->own, work->draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0) {
        work_fail(work, "write", work->target != NULL ? work->target : "a message", -errno);
        return;
    }
    int code = work->path != NULL ? copy_file(work, out) : copy_bytes(work, out);
    if (close(out) != 0 && code == 0)
        code = work_fail(work, "write", "a file", -errno);
    if (code == 0 && work->target != NULL)
        code = place(work);
    if (code < 0)
        unlinkat(work->own, work->draft, 0);
}

static bool copy_source(struct work *work, const struct files_source *from)
{
    work->from = (struct files_source){.folder = from->folder, .size = from->size};
    if (from->path != NULL)
        return (work->path = strdup(from->path)) != NULL;
    uint8_t *bytes = malloc(from->size + 1);
    if (bytes == NULL)
        return false;
    if (from->size > 0)
        memcpy(bytes, from->bytes, from->size);
    work->from.bytes = bytes;
    return true;
}

int worker_files_copy(uv_loop_t *loop, const struct files_source *from, int own, const char *draft,
                      int to, const char *path, files_progress *progress, files_done *done,
                      void *opaque)
{
    struct work *work = work_new(run_copy, done, opaque);
    if (work == NULL)
        return -ENOMEM;
    work->own = own;
    work->to = to;
    work->draft = strdup(draft);
    work->target = path != NULL ? strdup(path) : NULL;
    if (work->draft == NULL || (path != NULL && work->target == NULL) || !copy_source(work, from)) {
        work_free(work);
        return -ENOMEM;
    }
    if (progress != NULL && uv_async_init(loop, &work->moved, on_moved) == 0) {
        work->progress = progress;
        work->moved.data = work;
    }
    return work_queue(loop, work);
}

/* ---- Reading ------------------------------------------------------------------------------- */

static int read_all(struct work *work, int fd)
{
    struct files_result *result = &work->result;
    result->content = malloc(work->most + 1);
    if (result->content == NULL)
        return -ENOMEM;
    while (result->size <= work->most) {
        ssize_t count = read(fd, result->content + result->size, work->most + 1 - result->size);
        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0)
            return -errno;
        if (count == 0)
            return 0;
        result->size += (size_t)count;
    }
    return -EFBIG;
}

static void run_read(struct work *work)
{
    int fd = open_plain(work->from.folder, work->path, NULL);
    if (fd < 0) {
        work_fail(work, "read", work->path, fd);
        return;
    }
    int code = read_all(work, fd);
    close(fd);
    if (code == -EFBIG)
        error_set(&work->result.error, code, "%s has more than %zu bytes", work->path, work->most);
    else if (code < 0)
        work_fail(work, "read", work->path, code);
}

int worker_files_read(uv_loop_t *loop, int folder, const char *path, size_t most, files_done *done,
                      void *opaque)
{
    struct work *work = work_new(run_read, done, opaque);
    if (work == NULL)
        return -ENOMEM;
    work->from.folder = folder;
    work->most = most;
    work->path = strdup(path);
    if (work->path == NULL) {
        work_free(work);
        return -ENOMEM;
    }
    return work_queue(loop, work);
}

/* ---- Removing ------------------------------------------------------------------------------ */

static DIR *open_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(parent, name, 0700, 0) == 0)
        fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return NULL;
    fchmod(fd, 0700); /* a command may have taken away the right to remove what is in it */
    DIR *folder = fdopendir(fd);
    if (folder == NULL)
        close(fd);
    return folder;
}

/* A folder deeper than this is left: its path would be too long to have been made by name. */
enum { MOST_DEPTH = 256 };

static int remove_tree(int parent, const char *name, int depth)
{
    if (unlinkat(parent, name, 0) == 0 || errno == ENOENT)
        return 0;
    DIR *folder = depth < MOST_DEPTH ? open_folder(parent, name) : NULL;
    if (folder == NULL)
        return -ENOTEMPTY;
    int code = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int result = remove_tree(dirfd(folder), entry->d_name, depth + 1);
        code = code < 0 ? code : result;
    }
    closedir(folder);
    return unlinkat(parent, name, AT_REMOVEDIR) == 0 ? 0 : code < 0 ? code : -errno;
}

int worker_files_remove_now(int parent, const char *name)
{
    return remove_tree(parent, name, 0);
}

static void run_remove(struct work *work)
{
    int code = remove_tree(work->own, work->draft, 0);
    if (code < 0)
        work_fail(work, "remove", work->draft, code);
}

int worker_files_remove(uv_loop_t *loop, int parent, const char *name, files_done *done,
                        void *opaque)
{
    struct work *work = work_new(run_remove, done, opaque);
    if (work == NULL)
        return -ENOMEM;
    work->own = parent;
    work->draft = strdup(name);
    if (work->draft == NULL) {
        work_free(work);
        return -ENOMEM;
    }
    return work_queue(loop, work);
}
