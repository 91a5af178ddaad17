#include "util/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Length of the part that `path` begins with. */
static size_t part_length(const char *path)
{
    return strcspn(path, "/");
}

static bool is_part(const char *part, size_t length)
{
    if (length == 0 || length > NAME_MAX)
        return false;
    return !(part[0] == '.' && (length == 1 || (length == 2 && part[1] == '.')));
}

bool beneath_is_path(const char *path)
{
    for (const char *part = path;; part += part_length(part) + 1) {
        if (!is_part(part, part_length(part)))
            return false;
        if (part[part_length(part)] == '\0')
            return (size_t)(part - path) + part_length(part) < PATH_MAX;
    }
}

static int open_folder(int parent, const char *name)
{
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : -errno;
}

/* The folder `name` of `parent`. One that is removed between the two steps is for the caller to try
 * again. */
static int enter(int parent, const char *name, bool make)
{
    int fd = open_folder(parent, name);
    if (fd != -ENOENT || !make)
        return fd;
    if (mkdirat(parent, name, 0777) != 0 && errno != EEXIST)
        return -errno;
    return open_folder(parent, name);
}

int beneath_parent(int folder, const char *path, bool make, const char **name)
{
    if (!beneath_is_path(path))
        return -EINVAL;
    int fd = open_folder(folder, ".");
    while (fd >= 0 && path[part_length(path)] != '\0') {
        char part[NAME_MAX + 1];
        memcpy(part, path, part_length(path));
        part[part_length(path)] = '\0';
        int next = enter(fd, part, make);
        close(fd);
        fd = next == -ELOOP ? -ENOTDIR : next;
        path += part_length(path) + 1;
    }
    *name = path;
    return fd;
}

int beneath_open(int folder, const char *path, int flags, mode_t mode)
{
    const char *name;
    int parent = beneath_parent(folder, path, false, &name);
    if (parent < 0)
        return parent;
    int fd = openat(parent, name, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, mode);
    int code = fd >= 0 ? fd : -errno;
    close(parent);
    return code;
}

int beneath_unlink(int folder, const char *path)
{
    const char *name;
    int parent = beneath_parent(folder, path, false, &name);
    if (parent < 0)
        return parent;
    int code = unlinkat(parent, name, 0) != 0 ? -errno : 0;
    close(parent);
    return code;
}
