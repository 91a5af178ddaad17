#include "engine/slurm_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "util/write.h"

#define PREFIX "excamera-slurm-"

/* ---- Paths --------------------------------------------------------------------------------- */

static char *join(const char *folder, const char *name)
{
    char *path;
    return asprintf(&path, "%s/%s", folder, name) < 0 ? NULL : path;
}

char *slurm_folder_path(const struct slurm_folder *folder, uint32_t batch, uint32_t index,
                        const char *ending)
{
    char *path;
    int length =
        asprintf(&path, "%s/%" PRIu32 "-%" PRIu32 "%s", folder->path, batch, index, ending);
    return length < 0 ? NULL : path;
}

/* ---- Files --------------------------------------------------------------------------------- */

int slurm_folder_write(const struct slurm_folder *folder, uint32_t batch, uint32_t index,
                       const char *document, struct error *error)
{
    char *path = slurm_folder_path(folder, batch, index, SLURM_DOCUMENT);
    if (path == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    unlink(path); /* of an array that Slurm did not take */
    int code = 0, fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0 || (code = write_all(fd, document, strlen(document))) < 0)
        code = error_set(error, fd < 0 ? -errno : code, "cannot write %s: %s", path,
                         strerror(fd < 0 ? errno : -code));
    if (fd >= 0 && close(fd) != 0 && code == 0)
        code = error_set(error, -errno, "cannot write %s: %s", path, strerror(errno));
    free(path);
    return code;
}

/* Leaves the last line that holds something at the start of `text`. */
static void keep_last_line(char *text)
{
    size_t length = strlen(text);
    while (length > 0 && strchr(" \n\r\t", text[length - 1]) != NULL)
        text[--length] = '\0';
    char *line = strrchr(text, '\n');
    if (line != NULL)
        memmove(text, line + 1, strlen(line + 1) + 1);
}

void slurm_folder_last_words(const struct slurm_folder *folder, uint32_t batch, uint32_t index,
                             char words[SLURM_WORDS])
{
    char *path = slurm_folder_path(folder, batch, index, SLURM_SAID);
    int fd = path != NULL ? open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC) : -1;
    words[0] = '\0';
    free(path);
    if (fd < 0)
        return;
    off_t size = lseek(fd, 0, SEEK_END), most = SLURM_WORDS - 1;
    ssize_t got = pread(fd, words, (size_t)most, size > most ? size - most : 0);
    words[got > 0 ? got : 0] = '\0';
    keep_last_line(words);
    close(fd);
}

static void remove_file(char *path)
{
    if (path != NULL)
        unlink(path);
    free(path);
}

void slurm_folder_forget(const struct slurm_folder *folder, uint32_t batch, uint32_t index)
{
    remove_file(slurm_folder_path(folder, batch, index, SLURM_DOCUMENT));
    remove_file(slurm_folder_path(folder, batch, index, SLURM_SAID));
}

/* ---- The folder ---------------------------------------------------------------------------- */

/* It holds files alone. */
static void remove_folder(const char *path)
{
    DIR *folder = opendir(path);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            unlinkat(dirfd(folder), entry->d_name, 0);
    if (folder != NULL)
        closedir(folder);
    rmdir(path);
}

/* With `make` its lock is made; whoever makes a folder has not come so far yet where there is none. */
static int lock_folder(const char *path, bool make)
{
    char *name = join(path, "lock");
    int flags = O_RDWR | O_NOFOLLOW | O_CLOEXEC | (make ? O_CREAT : 0);
    int fd = name != NULL ? open(name, flags, 0600) : -1;
    free(name);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Removes a folder whose coordinator is gone, and adds its name to `*names`. */
static void take_stale(const char *path, const char *name, char **names)
{
    char *more;
    int lock = lock_folder(path, false);
    if (lock < 0)
        return;
    remove_folder(path);
    close(lock);
    if (*names != NULL && asprintf(&more, "%s%s%s", *names, **names ? "," : "", name) >= 0) {
        free(*names);
        *names = more;
    }
}

/* Names of those that were removed; NULL when out of memory. */
static char *remove_stale(const char *parent)
{
    char *names = strdup("");
    DIR *folder = opendir(parent);
    for (struct dirent *entry; folder != NULL && (entry = readdir(folder)) != NULL;) {
        if (strncmp(entry->d_name, "." PREFIX, strlen("." PREFIX)) != 0 ||
            strlen(entry->d_name) > SLURM_NAME_SIZE)
            continue;
        char *path = join(parent, entry->d_name);
        if (path != NULL)
            take_stale(path, entry->d_name + 1, &names);
        free(path);
    }
    if (folder != NULL)
        closedir(folder);
    return names;
}

void slurm_folder_remove(struct slurm_folder *folder)
{
    if (folder->path != NULL)
        remove_folder(folder->path);
    if (folder->lock >= 0)
        close(folder->lock);
    free(folder->path);
    free(folder->stale);
    *folder = (struct slurm_folder){.lock = -1};
}

int slurm_folder_make(const char *parent, struct slurm_folder *folder, struct error *error)
{
    *folder = (struct slurm_folder){.lock = -1};
    char *real = realpath(parent, NULL);
    if (real == NULL)
        return error_set(error, -errno, "the folder for Slurm's workers, %s: %s", parent,
                         strerror(errno));
    folder->stale = remove_stale(real);
    folder->path = join(real, "." PREFIX "XXXXXX");
    free(real);
    if (folder->path == NULL || folder->stale == NULL) {
        slurm_folder_remove(folder);
        return error_set(error, -ENOMEM, "out of memory");
    }
    if (mkdtemp(folder->path) == NULL || (folder->lock = lock_folder(folder->path, true)) < 0) {
        int code = error_set(error, -errno, "cannot make a folder for Slurm's workers in %s: %s",
                             parent, strerror(errno));
        slurm_folder_remove(folder);
        return code;
    }
    snprintf(folder->name, sizeof folder->name, "%s", strrchr(folder->path, '/') + 2);
    return 0;
}
