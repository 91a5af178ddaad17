/* What an actor has worked on, kept for people to look at. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mu/worker_private.h"
#include "store/transfer.h"

enum { MOST_DEPTH = 256, MOST_LINK = 4096 };

struct keeping {
    uv_work_t work;
    struct activity *activity;
    int root;                /* the worker's folder */
    char *from, *to, *actor; /* from: in `root`; to: where it is kept, by actor */
    int code;
};

/* ---- To another file system ---------------------------------------------------------------- */

static int copy_tree(int from, int to, int depth);

static int copy_file(int from, int to, const char *name, mode_t mode)
{
    static const atomic_bool never;
    int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (in < 0)
        return -errno;
    int out = openat(to, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode & 0777);
    int code = out < 0 ? -errno : 0;
    struct transfer transfer = {.in = in, .out = out, .length = STORE_TO_END, .cancelled = &never};
    if (code == 0)
        code = transfer_run(&transfer);
    close(in);
    if (out >= 0 && close(out) != 0 && code == 0)
        code = -errno;
    return code;
}

static int copy_link(int from, int to, const char *name)
{
    char target[MOST_LINK];
    ssize_t size = readlinkat(from, name, target, sizeof target - 1);
    if (size < 0)
        return -errno;
    target[size] = '\0';
    return symlinkat(target, to, name) == 0 ? 0 : -errno;
}

static int copy_folder(int from, int to, const char *name, int depth)
{
    if (depth >= MOST_DEPTH)
        return -ENAMETOOLONG;
    if (mkdirat(to, name, 0700) != 0)
        return -errno;
    int in = openat(from, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int out = openat(to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    int code = in < 0 || out < 0 ? -errno : copy_tree(in, out, depth + 1);
    if (in >= 0)
        close(in);
    if (out >= 0)
        close(out);
    return code;
}

/* Pipes, sockets and the like are nothing without their processes. */
static int copy_one(int from, int to, const char *name, int depth)
{
    struct stat status;
    if (fstatat(from, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    if (S_ISDIR(status.st_mode))
        return copy_folder(from, to, name, depth);
    if (S_ISLNK(status.st_mode))
        return copy_link(from, to, name);
    return S_ISREG(status.st_mode) ? copy_file(from, to, name, status.st_mode) : 0;
}

static int copy_tree(int from, int to, int depth)
{
    int own = fcntl(from, F_DUPFD_CLOEXEC, 0), code = 0;
    DIR *folder = own >= 0 ? fdopendir(own) : NULL;
    if (folder == NULL) {
        code = -errno;
        if (own >= 0)
            close(own);
        return code;
    }
    for (struct dirent *entry; code == 0 && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            code = copy_one(from, to, entry->d_name, depth);
    closedir(folder);
    return code;
}

/* ---- Keeping ------------------------------------------------------------------------------- */

/* An actor that had to be run again is kept as it was the last time. */
static int move(const struct keeping *keeping, int to)
{
    int code = worker_files_remove_now(to, keeping->actor);
    if (code < 0)
        return code;
    if (renameat(keeping->root, keeping->from, to, keeping->actor) == 0)
        return 0;
    if (errno != EXDEV)
        return -errno;
    int from = openat(keeping->root, keeping->from, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    code = mkdirat(to, keeping->actor, 0700) != 0 ? -errno : 0;
    int made = openat(to, keeping->actor, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (code == 0)
        code = from < 0 || made < 0 ? -errno : copy_tree(from, made, 0);
    if (from >= 0)
        close(from);
    if (made >= 0)
        close(made);
    return code;
}

static void run_keeping(uv_work_t *work)
{
    struct keeping *keeping = (struct keeping *)work;
    int to = open(keeping->to, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    keeping->code = to < 0 ? -errno : move(keeping, to);
    if (to >= 0)
        close(to);
}

static void keeping_free(struct keeping *keeping)
{
    free(keeping->from);
    free(keeping->to);
    free(keeping->actor);
    free(keeping);
}

static void on_kept(uv_work_t *work, int status)
{
    struct keeping *keeping = (struct keeping *)work;
    struct error error;
    if (keeping->code < 0) {
        error_set(&error, keeping->code, "cannot keep the files of %s in %s: %s", keeping->actor,
                  keeping->to, error_reason(keeping->code));
        worker_activity_fail(keeping->activity, error.message);
    } else {
        worker_activity_ok(keeping->activity, NULL);
    }
    keeping_free(keeping);
}

void worker_keep(struct activity *quit)
{
    struct attempt *attempt = quit->attempt;
    struct worker *worker = attempt->worker;
    if (worker->keep == NULL) {
        worker_activity_ok(quit, NULL);
        return;
    }
    struct keeping *keeping = calloc(1, sizeof *keeping);
    if (keeping != NULL) {
        keeping->activity = quit;
        keeping->root = worker->scratch.folder;
        keeping->to = strdup(worker->keep);
        keeping->actor = strdup(attempt->actor);
        if (asprintf(&keeping->from, "%s/files", attempt->folder) < 0)
            keeping->from = NULL;
        if (keeping->to && keeping->actor && keeping->from &&
            uv_queue_work(worker->loop, &keeping->work, run_keeping, on_kept) == 0)
            return;
        keeping_free(keeping);
    }
    worker_activity_fail(quit, "out of memory");
}
