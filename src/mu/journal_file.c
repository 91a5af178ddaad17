#include "mu/journal_file.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/write.h"

enum { EPOCH_RECORD = JOURNAL_RECORD_HEADER + 8 };

/* What a scan hands on to. */
struct replay {
    int (*record)(void *opaque, uint32_t type, const void *data, size_t size, struct error *error);
    void *opaque;
    uint64_t epoch;
};

static int fail(const struct journal_file *file, const char *what, int code, struct error *error)
{
    return error_set(error, code, "cannot %s the journal %s: %s", what, file->path,
                     error_reason(code));
}

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

/* `path` with an ending; to be freed. */
static char *beside(const char *path, const char *ending)
{
    char *made;
    return asprintf(&made, "%s%s", path, ending) < 0 ? NULL : made;
}

/* 0 or a negative errno. */
static int sync_folder(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    int code = fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
    close(fd);
    return code;
}

static int set_names(struct journal_file *file, const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    file->path = strdup(path);
    if (slash == NULL)
        file->folder = strdup(".");
    else
        file->folder = strndup(path, slash == path ? 1 : (size_t)(slash - path));
    return file->path != NULL && file->folder != NULL ? 0 : out_of_memory(error);
}

/* Who holds the lock: what it wrote into the lock's file, 0 where it has not yet. */
static long read_holder(int fd)
{
    char text[24];
    ssize_t size = pread(fd, text, sizeof text - 1, 0);
    text[size > 0 ? size : 0] = '\0';
    return strtol(text, NULL, 10);
}

/* A lock of the open file, not of the process: it also holds against the same process. */
static int take_lock(struct journal_file *file, struct error *error)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    char text[24];
    if (fcntl(file->lock, F_OFD_SETLK, &whole) != 0) {
        if (errno != EAGAIN && errno != EACCES)
            return fail(file, "lock", -errno, error);
        long holder = read_holder(file->lock);
        if (holder <= 0)
            return error_set(error, -EBUSY, "the journal %s is in use by another process",
                             file->path);
        return error_set(error, -EBUSY, "the journal %s is in use by process %ld", file->path,
                         holder);
    }
    int length = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    if (ftruncate(file->lock, 0) != 0)
        return fail(file, "lock", -errno, error);
    int code = write_all_at(file->lock, text, (size_t)length, 0);
    return code < 0 ? fail(file, "lock", code, error) : 0;
}

static int lock(struct journal_file *file, struct error *error)
{
    char *path = beside(file->path, ".lock");
    if (path == NULL)
        return out_of_memory(error);
    file->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    int code = file->lock < 0 ? -errno : 0;
    free(path);
    return code < 0 ? fail(file, "lock", code, error) : take_lock(file, error);
}

static ssize_t read_file(void *opaque, uint64_t offset, void *to, size_t size)
{
    ssize_t got;
    do
        got = pread(*(int *)opaque, to, size, (off_t)offset);
    while (got < 0 && errno == EINTR);
    return got < 0 ? -errno : got;
}

static int replay_record(void *opaque, uint32_t type, const void *data, size_t size,
                         struct error *error)
{
    struct replay *replay = opaque;
    uint64_t epoch;
    if (type != JOURNAL_EPOCH)
        return replay->record(replay->opaque, type, data, size, error);
    if (size != sizeof epoch)
        return error_set(error, -EBADMSG, "damaged: an epoch of %zu bytes", size);
    memcpy(&epoch, data, sizeof epoch);
    replay->epoch = le64toh(epoch);
    return 0;
}

/* Reads the file and cuts off what was not whole, durably, before anything is written behind it. */
static int read_records(struct journal_file *file, struct replay *replay, struct error *error)
{
    struct stat status;
    if (fstat(file->fd, &status) != 0)
        return fail(file, "read", -errno, error);
    struct journal_source source = {
        .read = read_file, .opaque = &file->fd, .size = (uint64_t)status.st_size};
    int code = journal_scan(&source, replay_record, replay, &file->size, error);
    if (code < 0)
        return error_prefix(error, "the journal %s", file->path);
    file->epoch = replay->epoch;
    if (file->size == source.size)
        return 0;
    if (ftruncate(file->fd, (off_t)file->size) != 0 || fsync(file->fd) != 0)
        return fail(file, "write", -errno, error);
    return 0;
}

static void prepare_epoch(uint8_t record[EPOCH_RECORD], uint64_t epoch)
{
    journal_prepare(record, JOURNAL_EPOCH, sizeof epoch);
    epoch = htole64(epoch);
    memcpy(record + JOURNAL_RECORD_HEADER, &epoch, sizeof epoch);
}

/* Opens the file that is there, or makes one, with the next epoch. */
static int open_records(struct journal_file *file, struct replay *replay, struct error *error)
{
    uint8_t epoch[EPOCH_RECORD];
    bool lost;
    file->fd = open(file->path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (file->fd < 0 && errno != ENOENT)
        return fail(file, "open", -errno, error);
    if (file->fd < 0) {
        file->epoch = 1;
        return journal_file_replace(file, NULL, 0, &lost, error);
    }
    int code = read_records(file, replay, error);
    if (code < 0)
        return code;
    file->epoch++;
    prepare_epoch(epoch, file->epoch);
    return journal_file_add(file, epoch, sizeof epoch, error);
}

int journal_file_open(struct journal_file *file, const char *path,
                      int (*record)(void *opaque, uint32_t type, const void *data, size_t size,
                                    struct error *error),
                      void *opaque, struct error *error)
{
    struct replay replay = {.record = record, .opaque = opaque};
    *file = (struct journal_file){.lock = -1, .fd = -1};
    int code = set_names(file, path, error);
    if (code == 0)
        code = lock(file, error);
    if (code == 0)
        code = open_records(file, &replay, error);
    if (code < 0)
        journal_file_close(file);
    return code;
}

void journal_file_close(struct journal_file *file)
{
    if (file->fd >= 0)
        close(file->fd);
    if (file->lock >= 0)
        close(file->lock);
    free(file->path);
    free(file->folder);
}

int journal_file_add(struct journal_file *file, uint8_t *records, size_t size, struct error *error)
{
    for (size_t at = 0; at < size;)
        at += journal_seal(records + at, file->size + at, file->size);
    int code = write_all_at(file->fd, records, size, file->size);
    if (code == 0 && fdatasync(file->fd) != 0)
        code = -errno;
    if (code < 0)
        return fail(file, "write", code, error);
    file->size += size;
    return 0;
}

/* Writes and syncs the new file; its size is returned in `*end`. It is seen under the journal's name only
 * when all of it is durable, so each record may say that those before it are. */
static int write_new(int fd, uint64_t epoch, uint8_t *records, size_t size, uint64_t *end)
{
    uint8_t beginning[JOURNAL_HEADER + EPOCH_RECORD];
    journal_write_header(beginning);
    prepare_epoch(beginning + JOURNAL_HEADER, epoch);
    journal_seal(beginning + JOURNAL_HEADER, JOURNAL_HEADER, JOURNAL_HEADER);
    for (size_t at = 0; at < size;)
        at += journal_seal(records + at, sizeof beginning + at, sizeof beginning + at);
    int code = write_all_at(fd, beginning, sizeof beginning, 0);
    if (code == 0)
        code = write_all_at(fd, records, size, sizeof beginning);
    if (code == 0 && fsync(fd) != 0)
        code = -errno;
    *end = sizeof beginning + size;
    return code;
}

/* Opens a new file at `path`, written and synced. Returns its descriptor or a negative errno. */
static int make_new(const char *path, uint64_t epoch, uint8_t *records, size_t size, uint64_t *end)
{
    /* One that is there was left by a crash. */
    unlink(path);
    int fd = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (fd < 0)
        return -errno;
    int code = write_new(fd, epoch, records, size, end);
    if (code == 0)
        return fd;
    close(fd);
    unlink(path);
    return code;
}

int journal_file_replace(struct journal_file *file, uint8_t *records, size_t size, bool *lost,
                         struct error *error)
{
    uint64_t end = 0;
    *lost = false;
    char *path = beside(file->path, ".new");
    if (path == NULL)
        return out_of_memory(error);
    int code = 0, fd = make_new(path, file->epoch, records, size, &end);
    if (fd < 0) {
        free(path);
        return fail(file, "write", fd, error);
    }
    if (rename(path, file->path) != 0) {
        code = -errno;
        unlink(path);
    } else if ((code = sync_folder(file->folder)) < 0) {
        *lost = true;
    }
    free(path);
    if (code < 0) {
        close(fd);
        return fail(file, "write", code, error);
    }
    if (file->fd >= 0)
        close(file->fd);
    file->fd = fd;
    file->size = end;
    return 0;
}
