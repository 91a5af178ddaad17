#include "encode/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct scratch {
    char *folder;
    bool keep;
};

static bool is_empty(const char *folder)
{
    DIR *directory = opendir(folder);
    if (directory == NULL)
        return false;
    bool empty = true;
    for (struct dirent *entry; empty && (entry = readdir(directory)) != NULL;)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(directory);
    return empty;
}

static int open_kept(const char *keep, bool reuse, struct scratch *scratch, struct error *error)
{
    if (mkdir(keep, 0777) != 0 && errno != EEXIST)
        return error_set(error, -errno, "cannot make the folder %s: %s", keep, strerror(errno));
    scratch->folder = realpath(keep, NULL);
    if (scratch->folder == NULL)
        return error_set(error, -errno, "cannot use the folder %s: %s", keep, strerror(errno));
    if (!reuse && !is_empty(scratch->folder))
        return error_set(error, -EEXIST, "%s is not an empty folder; --force writes into it", keep);
    return 0;
}

static int open_temporary(struct scratch *scratch, struct error *error)
{
    const char *parent = getenv("TMPDIR");
    if (parent == NULL || parent[0] == '\0')
        parent = "/var/tmp";
    if (asprintf(&scratch->folder, "%s/excamera-XXXXXX", parent) < 0) {
        scratch->folder = NULL;
        return error_set(error, -ENOMEM, "out of memory");
    }
    if (mkdtemp(scratch->folder) == NULL)
        return error_set(error, -errno,
                         "cannot make a scratch folder in %s: %s; TMPDIR chooses another", parent,
                         strerror(errno));
    return 0;
}

int scratch_open(const char *keep, bool reuse, struct scratch **result, struct error *error)
{
    *result = NULL;
    struct scratch *scratch = calloc(1, sizeof *scratch);
    if (scratch == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    scratch->keep = keep != NULL;
    int code =
        scratch->keep ? open_kept(keep, reuse, scratch, error) : open_temporary(scratch, error);
    if (code < 0) {
        free(scratch->folder);
        free(scratch);
        return code;
    }
    *result = scratch;
    return 0;
}

const char *scratch_folder(const struct scratch *scratch)
{
    return scratch->folder;
}

void scratch_name(struct graph_name name, char buffer[SCRATCH_NAME_SIZE])
{
    static const char *const suffix[GRAPH_FILES] = {
        [GRAPH_RAW] = "raw.y4m",
        [GRAPH_ENCODED] = "encoded.ivf",
        [GRAPH_APPROXIMATE] = "approximate.state",
        [GRAPH_REENCODED] = "reencoded.ivf",
        [GRAPH_REBASED] = "rebased.ivf",
        [GRAPH_EXACT] = "exact.state",
    };
    snprintf(buffer, SCRATCH_NAME_SIZE, "%06lld-%s", (long long)name.chunk, suffix[name.file]);
}

char *scratch_path(const struct scratch *scratch, struct graph_name name)
{
    char file[SCRATCH_NAME_SIZE];
    char *path;
    scratch_name(name, file);
    return asprintf(&path, "%s/%s", scratch->folder, file) < 0 ? NULL : path;
}

void scratch_remove(struct scratch *scratch, struct graph_name name)
{
    if (scratch->keep)
        return;
    char *path = scratch_path(scratch, name);
    if (path != NULL)
        unlink(path);
    free(path);
}

/* Files that are being written have names that begin with a dot (util/output.h). */
static void empty_folder(const struct scratch *scratch)
{
    DIR *directory = opendir(scratch->folder);
    if (directory == NULL)
        return;
    for (struct dirent *entry; (entry = readdir(directory)) != NULL;)
        if (!scratch->keep || strncmp(entry->d_name, ".excamera-", 10) == 0)
            unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
}

void scratch_close(struct scratch *scratch)
{
    if (scratch == NULL)
        return;
    empty_folder(scratch);
    if (!scratch->keep)
        rmdir(scratch->folder);
    free(scratch->folder);
    free(scratch);
}
