#include "util/output.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* How many names are tried for the temporary file; a taken one is left by a killed process. */
#define ATTEMPTS 1000

struct output {
    FILE *stream;
    char *path;      /* the final name, symbolic links followed */
    char *temporary; /* what is written until then; the same as `path` where there is no renaming */
    bool overwrite;
    mode_t mode;  /* of the new file, before the umask */
    bool renames; /* false for standard output, devices and pipes */
};

static void output_free(struct output *output)
{
    if (output->stream && output->stream != stdout)
        fclose(output->stream);
    free(output->path);
    free(output->temporary);
    free(output);
}

static int cannot_write(struct error *error, const char *path, int code)
{
    if (code == ENOENT || code == ENOTDIR)
        return error_set(error, -code, "cannot write %s: there is no such folder", path);
    return error_set(error, -code, "cannot write %s: %s", path, strerror(code));
}

/* Opens a new file in the folder of output->path. Its name is short, so that a final name of the
 * greatest length works too. */
static int open_temporary(struct output *output, struct error *error)
{
    const char *slash = strrchr(output->path, '/');
    int folder = slash ? (int)(slash - output->path) + 1 : 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        free(output->temporary);
        if (asprintf(&output->temporary, "%.*s.excamera-%ld-%d.part", folder, output->path,
                     (long)getpid(), attempt) < 0) {
            output->temporary = NULL;
            return error_set(error, -ENOMEM, "out of memory");
        }
        int fd = open(output->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, output->mode);
        if (fd < 0 && errno == EEXIST)
            continue;
        if (fd < 0)
            return cannot_write(error, output->path, errno);
        output->stream = fdopen(fd, "wb");
        if (output->stream)
            return 0;
        int code = errno;
        close(fd);
        unlink(output->temporary);
        return cannot_write(error, output->path, code);
    }
    return error_set(error, -EEXIST, "cannot write %s: too many unfinished files beside it",
                     output->path);
}

/* Devices and named pipes are written as they are: renaming onto one would replace it. */
static int open_in_place(struct output *output, struct error *error)
{
    output->temporary = strdup(output->path);
    if (!output->temporary)
        return error_set(error, -ENOMEM, "out of memory");
    output->stream = fopen(output->path, "wbe");
    return output->stream ? 0 : cannot_write(error, output->path, errno);
}

static int open_file(struct output *output, const char *path, struct error *error)
{
    struct stat status;
    bool exists = stat(path, &status) == 0;
    if (exists && S_ISDIR(status.st_mode))
        return error_set(error, -EISDIR, "cannot write %s: it is a directory", path);
    output->path = exists ? realpath(path, NULL) : strdup(path);
    if (!output->path)
        return cannot_write(error, path, errno);
    if (exists && !S_ISREG(status.st_mode))
        return open_in_place(output, error);
    if (exists && !output->overwrite)
        return error_set(error, -EEXIST, "%s exists already; --force overwrites it", path);
    output->renames = true;
    return open_temporary(output, error);
}

static int open_standard_output(struct output *output)
{
    output->stream = stdout;
    output->path = strdup("standard output");
    output->temporary = strdup("-");
    return output->path && output->temporary ? 0 : -ENOMEM;
}

static int open_output(const char *path, bool overwrite, mode_t mode, struct output **opened,
                       struct error *error)
{
    *opened = NULL;
    struct output *output = calloc(1, sizeof *output);
    if (!output)
        return error_set(error, -ENOMEM, "out of memory");
    output->overwrite = overwrite;
    output->mode = mode;
    int result;
    if (strcmp(path, "-") != 0)
        result = open_file(output, path, error);
    else if ((result = open_standard_output(output)) < 0)
        error_set(error, result, "out of memory");
    if (result < 0) {
        output_free(output);
        return result;
    }
    *opened = output;
    return 0;
}

int output_open(const char *path, bool overwrite, struct output **opened, struct error *error)
{
    return open_output(path, overwrite, 0666, opened, error);
}

int output_open_private(const char *path, bool overwrite, struct output **opened,
                        struct error *error)
{
    return open_output(path, overwrite, 0600, opened, error);
}

FILE *output_stream(struct output *output)
{
    return output->stream;
}

const char *output_path(const struct output *output)
{
    return output->temporary;
}

/* 0 or a positive errno. Pipes and devices have nothing to sync. */
static int flush(struct output *output, bool sync)
{
    errno = 0;
    if (fflush(output->stream) != 0 || ferror(output->stream))
        return errno ? errno : EIO;
    if (sync && output->renames && fsync(fileno(output->stream)) != 0)
        return errno;
    if (output->stream == stdout)
        return 0;
    FILE *stream = output->stream;
    output->stream = NULL;
    return fclose(stream) == 0 ? 0 : errno;
}

/* 0 or a positive errno. A file that came up meanwhile is as safe as one that was there before;
 * file systems that cannot promise it get the plain rename. */
static int rename_output(const struct output *output)
{
    if (!output->overwrite) {
        if (renameat2(AT_FDCWD, output->temporary, AT_FDCWD, output->path, RENAME_NOREPLACE) == 0)
            return 0;
        if (errno != EINVAL && errno != ENOSYS)
            return errno;
    }
    return rename(output->temporary, output->path) == 0 ? 0 : errno;
}

static int commit(struct output *output, bool sync, struct error *error)
{
    int code = flush(output, sync);
    if (code == 0 && output->renames)
        code = rename_output(output);
    int result = code ? cannot_write(error, output->path, code) : 0;
    if (code && output->renames)
        unlink(output->temporary);
    output_free(output);
    return result;
}

int output_commit(struct output *output, struct error *error)
{
    return commit(output, true, error);
}

int output_commit_unsynced(struct output *output, struct error *error)
{
    return commit(output, false, error);
}

void output_abort(struct output *output)
{
    if (!output)
        return;
    if (output->renames)
        unlink(output->temporary);
    output_free(output);
}

void output_sweep(void)
{
    glob_t found;
    if (glob(".excamera-*.part", 0, NULL, &found) != 0)
        return;
    for (size_t i = 0; i < found.gl_pathc; i++)
        unlink(found.gl_pathv[i]);
    globfree(&found);
}
