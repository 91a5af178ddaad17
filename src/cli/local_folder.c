/* The folders of jobs on this machine. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/local.h"

#define TEMPORARY "excamera-run-"

const char *local_parent(void)
{
    const char *parent = getenv("TMPDIR");
    return parent != NULL && parent[0] != '\0' ? parent : "/var/tmp";
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    remove(path);
    return 0;
}

void local_remove_tree(const char *path)
{
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* A descriptor with the folder's lock, or a negative errno; -EWOULDBLOCK where another process has it. */
static int lock(const char *path)
{
    int descriptor = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (descriptor < 0)
        return -errno;
    if (flock(descriptor, LOCK_EX | LOCK_NB) == 0)
        return descriptor;
    int code = -errno;
    close(descriptor);
    return code;
}

static int take_lock(struct local_folder *folder, struct error *error)
{
    folder->lock = lock(folder->path);
    if (folder->lock >= 0)
        return 0;
    int code = folder->lock;
    folder->lock = 0;
    if (code == -EWOULDBLOCK)
        return error_set(error, -EBUSY, "another process is at work in %s", folder->path);
    return error_set(error, code, "%s: %s", folder->path, strerror(-code));
}

/* What a killed process of this user has left. */
static void remove_if_dead(const char *path)
{
    struct stat status;
    int descriptor = lock(path);
    if (descriptor < 0)
        return;
    if (fstat(descriptor, &status) == 0 && status.st_uid == geteuid())
        local_remove_tree(path);
    close(descriptor);
}

static void remove_dead(const char *parent)
{
    DIR *listing = opendir(parent);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        char *path = NULL;
        if (strncmp(entry->d_name, TEMPORARY, strlen(TEMPORARY)) == 0 &&
            asprintf(&path, "%s/%s", parent, entry->d_name) >= 0)
            remove_if_dead(path);
        free(path);
    }
    if (listing != NULL)
        closedir(listing);
}

int local_folder_make(struct local_folder *folder, struct error *error)
{
    *folder = (struct local_folder){0};
    char *parent = realpath(local_parent(), NULL);
    if (parent == NULL)
        return error_set(error, -errno, "%s: %s; TMPDIR chooses another folder", local_parent(),
                         strerror(errno));
    remove_dead(parent);
    int code = asprintf(&folder->path, "%s/" TEMPORARY "XXXXXX", parent);
    if (code < 0) {
        folder->path = NULL;
        code = error_set(error, -ENOMEM, "out of memory");
    } else if (mkdtemp(folder->path) == NULL) {
        code = error_set(error, -errno, "cannot make a folder in %s: %s; TMPDIR chooses another",
                         parent, strerror(errno));
        free(folder->path);
        folder->path = NULL;
    } else {
        code = take_lock(folder, error);
    }
    free(parent);
    return code;
}

/* So that a folder that was just made has its name after a power cut too. */
static int sync_parent(const char *path, struct error *error)
{
    int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int parent = folder < 0 ? -1 : openat(folder, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    /* File systems that cannot sync a folder say EINVAL; one that may not be read has its name. */
    int code = parent >= 0 && fsync(parent) != 0 && errno != EINVAL ? -errno : 0;
    if (parent >= 0)
        close(parent);
    if (folder >= 0)
        close(folder);
    return code < 0 ? error_set(error, code, "%s: %s", path, strerror(-code)) : 0;
}

int local_folder_take(const char *path, struct local_folder *folder, struct error *error)
{
    *folder = (struct local_folder){0};
    if (mkdir(path, 0700) != 0 && errno != EEXIST)
        return error_set(error, -errno, "cannot make the folder %s: %s", path, strerror(errno));
    folder->path = realpath(path, NULL);
    if (folder->path == NULL)
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    int code = take_lock(folder, error);
    if (code == 0)
        code = sync_parent(folder->path, error);
    if (code < 0)
        local_folder_leave(folder);
    return code;
}

int local_folder_empty(const struct local_folder *folder, struct error *error)
{
    DIR *listing = opendir(folder->path);
    struct dirent *entry;
    if (listing == NULL)
        return error_set(error, -errno, "%s: %s", folder->path, strerror(errno));
    while ((entry = readdir(listing)) != NULL) {
        char *path = NULL;
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0 &&
            asprintf(&path, "%s/%s", folder->path, entry->d_name) >= 0)
            local_remove_tree(path);
        free(path);
    }
    closedir(listing);
    return 0;
}

void local_folder_leave(struct local_folder *folder)
{
    if (folder->lock > 0)
        close(folder->lock);
    free(folder->path);
    *folder = (struct local_folder){0};
}

void local_folder_remove(struct local_folder *folder)
{
    if (folder->path != NULL)
        local_remove_tree(folder->path);
    local_folder_leave(folder);
}
