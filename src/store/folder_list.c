/* The folder store's operations on all objects of a prefix. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/folder.h"
#include "util/beneath.h"

/* A walk through the folders; the page of a listing holds the least keys that it has met. */
struct walk {
    struct store_operation *operation;
    char key[STORE_KEY_SIZE]; /* of the folder or file that it is at */
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Opens a folder's entries; takes `fd`. */
static DIR *read_folder(int fd)
{
    DIR *entries = fdopendir(fd);
    if (entries == NULL)
        close(fd);
    return entries;
}

static bool begins_with(const char *text, const char *beginning)
{
    return strncmp(text, beginning, strlen(beginning)) == 0;
}

/* True where some key that begins with walk->key, a folder's with its '/', may belong to the page. */
static bool may_hold(const struct walk *walk)
{
    const struct store_operation *operation = walk->operation;
    if (!begins_with(walk->key, operation->key) && !begins_with(operation->key, walk->key))
        return false;
    if (strncmp(walk->key, operation->attempt, strlen(walk->key)) < 0)
        return false;
    const struct store_result *page = &operation->result;
    return !page->more || strcmp(walk->key, page->entries[page->count - 1].key) < 0;
}

/* Where `key` belongs in the page. */
static size_t find_place(const struct store_result *page, const char *key)
{
    size_t low = 0, high = page->count;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (strcmp(page->entries[middle].key, key) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int add_entry(struct store_operation *operation, const char *key, uint64_t size)
{
    struct store_result *page = &operation->result;
    size_t place = find_place(page, key);
    if (page->count == operation->limit)
        page->more = true;
    if (place == operation->limit)
        return 0;
    char *copy = strdup(key);
    if (copy == NULL)
        return -ENOMEM;
    if (page->count == operation->limit)
        free(page->entries[--page->count].key);
    memmove(page->entries + place + 1, page->entries + place,
            (page->count - place) * sizeof *page->entries);
    page->entries[place] = (struct store_entry){.key = copy, .size = size};
    page->count++;
    return 0;
}

static int list_folder(struct walk *walk, int fd);

/* One entry of the open folder, whose key is in walk->key. */
static int list_entry(struct walk *walk, int folder, const char *name)
{
    const struct store_operation *operation = walk->operation;
    struct stat status;
    if (!store_is_key(walk->key))
        return 0;
    if (fstatat(folder, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : -errno;
    if (S_ISREG(status.st_mode))
        return begins_with(walk->key, operation->key) && strcmp(walk->key, operation->attempt) > 0
                   ? add_entry(walk->operation, walk->key, (uint64_t)status.st_size)
                   : 0;
    size_t length = strlen(walk->key);
    if (!S_ISDIR(status.st_mode) || length + 1 >= sizeof walk->key)
        return 0;
    strcpy(walk->key + length, "/");
    if (!may_hold(walk))
        return 0;
    int fd = beneath_open(folder, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
    return list_folder(walk, fd);
}

/* Lists what is below the folder walk->key; takes `fd`. */
static int list_folder(struct walk *walk, int fd)
{
    size_t length = strlen(walk->key);
    DIR *entries = read_folder(fd);
    if (entries == NULL)
        return -errno;
    int code = 0;
    struct dirent *entry;
    while (code == 0 && (errno = 0, entry = readdir(entries)) != NULL) {
        if (is_dots(entry->d_name) || length + strlen(entry->d_name) >= sizeof walk->key)
            continue;
        strcpy(walk->key + length, entry->d_name);
        code = atomic_load(&walk->operation->cancelled) ? -ECANCELED
                                                        : list_entry(walk, fd, entry->d_name);
    }
    if (code == 0 && errno != 0)
        code = -errno;
    walk->key[length] = '\0';
    closedir(entries);
    return code;
}

void folder_list(struct store_operation *operation, int root)
{
    struct walk walk = {.operation = operation};
    operation->result.entries = calloc(operation->limit + 1, sizeof *operation->result.entries);
    int code = operation->result.entries == NULL
                   ? -ENOMEM
                   : openat(root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (code == -1)
        code = -errno;
    if (code >= 0)
        code = list_folder(&walk, code);
    if (code < 0)
        folder_fail(operation, "list", operation->key[0] != '\0' ? operation->key : "all", code);
}

static int remove_folder(struct store_operation *operation, int parent, const char *name,
                         int depth);

static int remove_entry(struct store_operation *operation, int folder, const char *name, int depth)
{
    if (atomic_load(&operation->cancelled))
        return -ECANCELED;
    if (unlinkat(folder, name, 0) == 0) {
        operation->result.count += store_is_key(name);
        return 0;
    }
    if (errno == EISDIR)
        return remove_folder(operation, folder, name, depth + 1);
    return errno == ENOENT ? 0 : -errno;
}

/* Removes all that is in the open folder; takes `fd`. */
static int remove_entries(struct store_operation *operation, int fd, int depth)
{
    DIR *entries = read_folder(fd);
    if (entries == NULL)
        return -errno;
    int code = 0;
    struct dirent *entry;
    while (code == 0 && (errno = 0, entry = readdir(entries)) != NULL)
        if (!is_dots(entry->d_name))
            code = remove_entry(operation, fd, entry->d_name, depth);
    if (code == 0 && errno != 0)
        code = -errno;
    closedir(entries);
    return code;
}

/* A folder into which something is put meanwhile stays. */
static int remove_folder(struct store_operation *operation, int parent, const char *name, int depth)
{
    /* No key is as deep: what others have made there is not walked through without end. */
    if (depth > 2 * STORE_PARTS)
        return -ENAMETOOLONG;
    int fd = beneath_open(parent, name, O_RDONLY | O_DIRECTORY, 0);
    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? 0 : fd;
    int code = remove_entries(operation, fd, depth);
    if (code < 0)
        return code;
    if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT || errno == ENOTEMPTY ||
        errno == EEXIST)
        return 0;
    return -errno;
}

void folder_delete_prefix(struct store_operation *operation, int root)
{
    char key[STORE_KEY_SIZE];
    const char *name;
    memcpy(key, operation->key, sizeof key);
    key[strlen(key) - 1] = '\0';
    int parent = beneath_parent(root, key, false, &name);
    int code = parent >= 0 ? remove_folder(operation, parent, name, 0) : parent;
    if (parent >= 0)
        close(parent);
    if (code < 0 && code != -ENOENT && code != -ENOTDIR)
        folder_fail(operation, "delete", operation->key, code);
}
