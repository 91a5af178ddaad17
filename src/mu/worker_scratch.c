#include "mu/worker_scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "mu/worker_files.h"

/* The job's folder goes when its last worker does: another one that comes just then tries again. */
enum { TRIES = 100 };

static int no_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

static char *job_path(const char *scratch, const char *job)
{
    char *path;
    return asprintf(&path, "%s/excamera-%s", scratch, job) < 0 ? NULL : path;
}

/* ---- Making -------------------------------------------------------------------------------- */

/* In a scratch folder that is everybody's, somebody else may have made a folder of this name. */
static int check_own(const char *path, struct error *error)
{
    struct stat status;
    if (lstat(path, &status) != 0)
        return error_set(error, -errno, "cannot use %s: %s", path, strerror(errno));
    if (!S_ISDIR(status.st_mode) || status.st_uid != geteuid() || (status.st_mode & 077) != 0)
        return error_set(error, -EPERM, "%s is not a folder that only this user may use", path);
    return 0;
}

static int make_job(const char *path, struct error *error)
{
    if (mkdir(path, 0700) == 0)
        return 0;
    if (errno == EEXIST)
        return check_own(path, error);
    return error_set(error, -errno, "cannot make the folder %s: %s", path, strerror(errno));
}

/* Makes a folder under a name that others leave alone, and gives it its own when it is locked. */
static int make_locked(struct worker_scratch *made, uint32_t worker, struct error *error)
{
    char *draft = NULL;
    if (asprintf(&made->path, "%s/.%u-XXXXXX", made->job, worker) < 0) {
        made->path = NULL;
        return no_memory(error);
    }
    int code = mkdtemp(made->path) == NULL ? -errno : 0;
    if (code == 0 && (draft = strdup(made->path)) == NULL)
        code = -ENOMEM;
    if (code == 0) {
        made->folder = open(draft, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (made->folder < 0 || flock(made->folder, LOCK_EX | LOCK_NB) != 0)
            code = -errno;
    }
    if (code == 0) {
        char *dot = strrchr(made->path, '/') + 1;
        memmove(dot, dot + 1, strlen(dot));
        code = rename(draft, made->path) != 0 ? -errno : 0;
    }
    free(draft);
    return code == 0 ? 0
                     : error_set(error, code, "cannot make a folder in %s: %s", made->job,
                                 strerror(-code));
}

int worker_scratch_make(const char *scratch, const char *job, uint32_t worker,
                        struct worker_scratch *made, struct error *error)
{
    int code = -ENOENT;
    *made = (struct worker_scratch){.folder = -1, .job = job_path(scratch, job)};
    if (made->job == NULL)
        return no_memory(error);
    for (int tries = 0; tries < TRIES && code == -ENOENT; tries++) {
        free(made->path);
        made->path = NULL;
        code = make_job(made->job, error);
        if (code == 0)
            code = make_locked(made, worker, error);
    }
    if (code < 0) {
        free(made->path);
        made->path = NULL;
    }
    return code;
}

void worker_scratch_release(struct worker_scratch *scratch)
{
    if (scratch->folder >= 0)
        close(scratch->folder);
    if (scratch->job != NULL)
        rmdir(scratch->job); /* not while others are in it */
    free(scratch->job);
    free(scratch->path);
    *scratch = (struct worker_scratch){.folder = -1};
}

void worker_scratch_remove(struct worker_scratch *scratch)
{
    if (scratch->path != NULL)
        worker_files_remove_now(AT_FDCWD, scratch->path);
    worker_scratch_release(scratch);
}

/* ---- What others left ---------------------------------------------------------------------- */

/* Nobody else can have the lock of a folder whose worker lives, ourselves among them. */
static void remove_dead(int job, const char *name)
{
    int folder = openat(job, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (folder < 0)
        return;
    if (flock(folder, LOCK_EX | LOCK_NB) == 0)
        worker_files_remove_now(job, name);
    close(folder);
}

static void sweep_job(const char *job)
{
    DIR *folder = opendir(job);
    if (folder == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;)
        if (entry->d_name[0] != '.')
            remove_dead(dirfd(folder), entry->d_name);
    closedir(folder);
}

void worker_scratch_sweep_now(const struct worker_scratch *scratch)
{
    sweep_job(scratch->job);
}

struct sweep {
    uv_work_t work;
    char job[];
};

static void run_sweep(uv_work_t *work)
{
    sweep_job(((const struct sweep *)work)->job);
}

static void on_swept(uv_work_t *work, int status)
{
    free(work);
}

void worker_scratch_sweep(uv_loop_t *loop, const struct worker_scratch *scratch)
{
    struct sweep *sweep = malloc(sizeof *sweep + strlen(scratch->job) + 1);
    if (sweep == NULL)
        return;
    strcpy(sweep->job, scratch->job);
    if (uv_queue_work(loop, &sweep->work, run_sweep, on_swept) < 0)
        free(sweep);
}

int worker_scratch_remove_job(const char *scratch, const char *job)
{
    char *path = job_path(scratch, job);
    if (path == NULL)
        return -ENOMEM;
    int code = worker_files_remove_now(AT_FDCWD, path);
    free(path);
    return code;
}
