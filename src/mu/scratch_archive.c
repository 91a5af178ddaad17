#include "mu/scratch_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/beneath.h"
#include "util/write.h"

/* Names are bytes, whatever the locale. Level 1: most of a scratch folder are pictures and what was compressed
 * before. */
static const char options[] = "hdrcharset=BINARY,zstd:compression-level=1";

enum { BUFFER = 64 * 1024, BLOCK = 10240, MOST_PATH = 4096 };

struct packing {
    struct archive *archive;
    struct archive_entry *entry;
    struct error *error;
    int64_t entries, bytes;
    char path[MOST_PATH]; /* of what is at hand, in the scratch folder */
    char buffer[BUFFER];
};

/* ---- Packing ------------------------------------------------------------------------------- */

static int pack_fail(const struct packing *packing, int code)
{
    return error_set(packing->error, code, "cannot pack %.512s: %s", packing->path,
                     error_reason(code));
}

static int archive_failed(struct archive *archive, struct error *error)
{
    int code = archive_errno(archive);
    return error_set(error, code > 0 ? -code : -EBADMSG, "the archive: %s",
                     archive_error_string(archive) ? archive_error_string(archive) : "damaged");
}

static int write_header(struct packing *packing, const struct stat *stat, const char *target)
{
    struct archive_entry *entry = archive_entry_clear(packing->entry);
    archive_entry_set_pathname(entry, packing->path);
    archive_entry_set_filetype(entry, stat->st_mode & S_IFMT);
    archive_entry_set_perm(entry, stat->st_mode & 0777);
    archive_entry_set_mtime(entry, stat->st_mtim.tv_sec, stat->st_mtim.tv_nsec);
    archive_entry_set_size(entry, S_ISREG(stat->st_mode) ? stat->st_size : 0);
    if (target != NULL)
        archive_entry_set_symlink(entry, target);
    if (archive_write_header(packing->archive, entry) != ARCHIVE_OK)
        return archive_failed(packing->archive, packing->error);
    return 0;
}

static int pack_content(struct packing *packing, int file, int64_t size)
{
    while (size > 0) {
        ssize_t got = read(file, packing->buffer, size < BUFFER ? (size_t)size : BUFFER);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return pack_fail(packing, got < 0 ? -errno : -EIO);
        if (archive_write_data(packing->archive, packing->buffer, (size_t)got) != got)
            return archive_failed(packing->archive, packing->error);
        size -= got;
    }
    return 0;
}

static int pack_file(struct packing *packing, int folder, const char *name)
{
    struct stat stat;
    int file = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
    if (file < 0)
        return pack_fail(packing, -errno);
    int code = fstat(file, &stat) == 0 ? 0 : pack_fail(packing, -errno);
    packing->bytes += code == 0 ? stat.st_size : 0;
    if (packing->bytes > SCRATCH_MOST_BYTES)
        code = pack_fail(packing, -E2BIG);
    if (code == 0)
        code = write_header(packing, &stat, NULL);
    if (code == 0)
        code = pack_content(packing, file, stat.st_size);
    close(file);
    return code;
}

static int pack_link(struct packing *packing, int folder, const char *name, const struct stat *stat)
{
    char target[MOST_PATH];
    ssize_t size = readlinkat(folder, name, target, sizeof target - 1);
    if (size < 0)
        return pack_fail(packing, -errno);
    target[size] = '\0';
    return write_header(packing, stat, target);
}

static int pack_folder(struct packing *packing, int parent, const char *name, int depth);

static int pack_one(struct packing *packing, int folder, const char *name, int depth)
{
    struct stat stat;
    if (fstatat(folder, name, &stat, AT_SYMLINK_NOFOLLOW) != 0)
        return pack_fail(packing, -errno);
    if (++packing->entries > SCRATCH_MOST_ENTRIES)
        return pack_fail(packing, -E2BIG);
    if (S_ISREG(stat.st_mode))
        return pack_file(packing, folder, name);
    if (S_ISLNK(stat.st_mode))
        return pack_link(packing, folder, name, &stat);
    if (!S_ISDIR(stat.st_mode))
        return error_set(packing->error, -EINVAL,
                         "cannot pack %.512s: it is no file, folder or link", packing->path);
    int code = write_header(packing, &stat, NULL);
    return code < 0 ? code : pack_folder(packing, folder, name, depth);
}

/* What is in it; packing->path is its own, "" for the scratch folder itself. */
static int pack_folder(struct packing *packing, int parent, const char *name, int depth)
{
    size_t length = strlen(packing->path);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *folder = fd >= 0 ? fdopendir(fd) : NULL;
    if (folder == NULL || depth > SCRATCH_MOST_DEPTH) {
        int code = folder == NULL ? -errno : -E2BIG;
        if (folder != NULL)
            closedir(folder);
        else if (fd >= 0)
            close(fd);
        return pack_fail(packing, code);
    }
    int code = 0;
    const struct dirent *entry;
    while (code == 0 && (errno = 0, entry = readdir(folder)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        int end = snprintf(packing->path + length, sizeof packing->path - length, "%s%s",
                           length > 0 ? "/" : "", entry->d_name);
        if (length + (size_t)end >= sizeof packing->path)
            code = pack_fail(packing, -ENAMETOOLONG);
        else
            code = pack_one(packing, fd, entry->d_name, depth + 1);
        if (code == 0)
            packing->path[length] = '\0';
    }
    if (code == 0 && errno != 0)
        code = pack_fail(packing, -errno);
    closedir(folder);
    return code;
}

static int open_writer(struct packing *packing, int file)
{
    struct archive *archive = packing->archive;
    if (archive_write_set_format_pax(archive) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(archive) != ARCHIVE_OK ||
        archive_write_set_options(archive, options) != ARCHIVE_OK ||
        archive_write_open_fd(archive, file) != ARCHIVE_OK)
        return archive_failed(archive, packing->error);
    return 0;
}

int scratch_pack(int folder, int file, struct error *error)
{
    struct packing *packing = calloc(1, sizeof *packing);
    int code = -ENOMEM;
    if (packing == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    packing->error = error;
    packing->archive = archive_write_new();
    packing->entry = archive_entry_new();
    if (packing->archive == NULL || packing->entry == NULL) {
        error_set(error, -ENOMEM, "out of memory");
        goto out;
    }
    code = open_writer(packing, file);
    if (code == 0)
        code = pack_folder(packing, folder, ".", 0);
    if (code == 0 && archive_write_close(packing->archive) != ARCHIVE_OK)
        code = archive_failed(packing->archive, error);
out:
    archive_entry_free(packing->entry);
    if (packing->archive != NULL)
        archive_write_free(packing->archive);
    free(packing);
    return code;
}

/* ---- Unpacking ----------------------------------------------------------------------------- */

struct unpacking {
    struct archive *archive;
    struct error *error;
    int folder;
    int64_t entries, left; /* bytes that may still be written */
    char path[MOST_PATH];
    char buffer[BUFFER];
};

static int unpack_fail(const struct unpacking *unpacking, int code)
{
    return error_set(unpacking->error, code, "cannot unpack %.512s: %s", unpacking->path,
                     error_reason(code));
}

/* The entry's path, which must be one beneath the folder. */
static int take_path(struct unpacking *unpacking, struct archive_entry *entry)
{
    const char *path = archive_entry_pathname(entry);
    size_t length = path != NULL ? strlen(path) : 0;
    while (length > 0 && path[length - 1] == '/')
        length--;
    if (length == 0 || length >= sizeof unpacking->path)
        return error_set(unpacking->error, -EBADMSG, "the archive has an entry without a name");
    memcpy(unpacking->path, path, length);
    unpacking->path[length] = '\0';
    return beneath_is_path(unpacking->path) ? 0 : unpack_fail(unpacking, -EBADMSG);
}

static int unpack_content(struct unpacking *unpacking, int file)
{
    for (;;) {
        ssize_t got = archive_read_data(unpacking->archive, unpacking->buffer, BUFFER);
        if (got < 0)
            return archive_failed(unpacking->archive, unpacking->error);
        if (got == 0)
            return 0;
        unpacking->left -= got;
        int code = unpacking->left < 0 ? -E2BIG : write_all(file, unpacking->buffer, (size_t)got);
        if (code < 0)
            return unpack_fail(unpacking, code);
    }
}

static int unpack_file(struct unpacking *unpacking, struct archive_entry *entry, int parent,
                       const char *name)
{
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = archive_entry_mtime(entry), .tv_nsec = archive_entry_mtime_nsec(entry)}};
    int file = openat(parent, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (file < 0)
        return unpack_fail(unpacking, -errno);
    int code = unpack_content(unpacking, file);
    if (code == 0 &&
        (fchmod(file, archive_entry_perm(entry) & 0777) != 0 || futimens(file, times) != 0))
        code = unpack_fail(unpacking, -errno);
    if (close(file) != 0 && code == 0)
        code = unpack_fail(unpacking, -errno);
    return code;
}

static int unpack_one(struct unpacking *unpacking, struct archive_entry *entry)
{
    const char *name, *target = archive_entry_symlink(entry);
    int code = take_path(unpacking, entry);
    if (code < 0)
        return code;
    if (++unpacking->entries > SCRATCH_MOST_ENTRIES)
        return unpack_fail(unpacking, -E2BIG);
    int parent = beneath_parent(unpacking->folder, unpacking->path, true, &name);
    if (parent < 0)
        return unpack_fail(unpacking, parent);
    if (archive_entry_hardlink(entry) != NULL)
        code = unpack_fail(unpacking, -EBADMSG);
    else if (archive_entry_filetype(entry) == AE_IFREG)
        code = unpack_file(unpacking, entry, parent, name);
    else if (archive_entry_filetype(entry) == AE_IFDIR)
        code = mkdirat(parent, name, 0700) == 0 ? 0 : unpack_fail(unpacking, -errno);
    else if (archive_entry_filetype(entry) == AE_IFLNK && target != NULL)
        code = symlinkat(target, parent, name) == 0 ? 0 : unpack_fail(unpacking, -errno);
    else
        code = unpack_fail(unpacking, -EBADMSG);
    close(parent);
    return code;
}

static int unpack_all(struct unpacking *unpacking)
{
    struct archive_entry *entry;
    int code = 0, result;
    while (code == 0 &&
           (result = archive_read_next_header(unpacking->archive, &entry)) != ARCHIVE_EOF) {
        if (result != ARCHIVE_OK)
            return archive_failed(unpacking->archive, unpacking->error);
        code = unpack_one(unpacking, entry);
    }
    return code;
}

int scratch_unpack(int file, int folder, int64_t most, struct error *error)
{
    struct unpacking *unpacking = calloc(1, sizeof *unpacking);
    struct archive *archive = archive_read_new();
    int code;
    if (unpacking == NULL || archive == NULL) {
        code = error_set(error, -ENOMEM, "out of memory");
        goto out;
    }
    unpacking->archive = archive;
    unpacking->error = error;
    unpacking->folder = folder;
    unpacking->left = most;
    if (archive_read_support_filter_zstd(archive) != ARCHIVE_OK ||
        archive_read_support_format_tar(archive) != ARCHIVE_OK ||
        archive_read_open_fd(archive, file, BLOCK) != ARCHIVE_OK)
        code = archive_failed(archive, error);
    else
        code = unpack_all(unpacking);
out:
    if (archive != NULL)
        archive_read_free(archive);
    free(unpacking);
    return code;
}
