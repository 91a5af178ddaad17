/*
 * A file system in memory that can lose power. What was written is seen by everybody at once, as it is with
 * a kernel's cache, but only what was synced outlives a power cut: a file's bytes by fsync() of the file, what a
 * folder holds by fsync() of the folder. Setting the attribute user.power-cut of its root cuts the power, when
 * nobody has a file open: "0" loses all that was not synced; any other number decides at random what of it had
 * reached the disk by itself, for each file how many of its bytes, and for all folders together whether their
 * changes had.
 *
 *     power_cut -f -s MOUNTPOINT
 *
 * -s is needed: it does one thing at a time.
 */
#define FUSE_USE_VERSION 31

#include <errno.h>
#include <fcntl.h>
#include <fuse.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct bytes {
    uint8_t *data;
    size_t size, room;
};

struct entry {
    char *name;
    struct node *node;
};

struct folder {
    struct entry *entry;
    size_t count;
};

/* A file or folder: how it is seen, and how it would be after a power cut. */
struct node {
    struct node *next, *previous; /* of all */
    ino_t number;
    mode_t mode;
    int users; /* entries that name it, seen or safe, and those that have it open */
    struct timespec changed;
    bool dirty;
    struct bytes seen, safe;                /* of a file */
    struct folder seen_folder, safe_folder; /* of a folder */
};

static struct node all = {.next = &all, .previous = &all};
static struct node *root;
static ino_t numbers;

/* ---- Nodes --------------------------------------------------------------------------------- */

static struct node *node_new(mode_t mode)
{
    struct node *node = calloc(1, sizeof *node);
    if (node == NULL)
        return NULL;
    node->number = ++numbers;
    node->mode = mode;
    node->users = 1;
    node->dirty = true;
    clock_gettime(CLOCK_REALTIME, &node->changed);
    node->next = all.next;
    node->previous = &all;
    node->next->previous = all.next = node;
    return node;
}

static void node_leave(struct node *node);

static void folder_clear(struct folder *folder)
{
    for (size_t i = 0; i < folder->count; i++) {
        free(folder->entry[i].name);
        node_leave(folder->entry[i].node);
    }
    free(folder->entry);
    *folder = (struct folder){0};
}

static void node_leave(struct node *node)
{
    if (--node->users > 0)
        return;
    node->next->previous = node->previous;
    node->previous->next = node->next;
    folder_clear(&node->seen_folder);
    folder_clear(&node->safe_folder);
    free(node->seen.data);
    free(node->safe.data);
    free(node);
}

static bool is_folder(const struct node *node)
{
    return S_ISDIR(node->mode);
}

/* ---- Bytes --------------------------------------------------------------------------------- */

static int bytes_resize(struct bytes *bytes, size_t size)
{
    if (size > bytes->room) {
        size_t room = size + size / 2;
        uint8_t *data = realloc(bytes->data, room);
        if (data == NULL)
            return -ENOSPC;
        bytes->data = data;
        bytes->room = room;
    }
    if (size > bytes->size)
        memset(bytes->data + bytes->size, 0, size - bytes->size);
    bytes->size = size;
    return 0;
}

static int bytes_copy(struct bytes *to, const struct bytes *from, size_t size)
{
    int code = bytes_resize(to, size);
    if (code == 0 && size > 0)
        memcpy(to->data, from->data, size);
    return code;
}

/* ---- Folders ------------------------------------------------------------------------------- */

static struct entry *folder_find(const struct folder *folder, const char *name, size_t length)
{
    for (size_t i = 0; i < folder->count; i++)
        if (strlen(folder->entry[i].name) == length &&
            memcmp(folder->entry[i].name, name, length) == 0)
            return &folder->entry[i];
    return NULL;
}

static int folder_add(struct folder *folder, const char *name, struct node *node)
{
    struct entry *entry = realloc(folder->entry, (folder->count + 1) * sizeof *entry);
    char *copy = strdup(name);
    if (entry != NULL)
        folder->entry = entry;
    if (entry == NULL || copy == NULL) {
        free(copy);
        return -ENOSPC;
    }
    folder->entry[folder->count++] = (struct entry){copy, node};
    node->users++;
    return 0;
}

static void folder_remove(struct folder *folder, struct entry *entry)
{
    struct entry gone = *entry;
    *entry = folder->entry[--folder->count];
    free(gone.name);
    node_leave(gone.node);
}

static int folder_copy(struct folder *to, const struct folder *from)
{
    struct folder made = {0};
    int code = 0;
    for (size_t i = 0; i < from->count && code == 0; i++)
        code = folder_add(&made, from->entry[i].name, from->entry[i].node);
    if (code < 0) {
        folder_clear(&made);
        return code;
    }
    folder_clear(to);
    *to = made;
    return 0;
}

static struct node *find(const char *path)
{
    struct node *node = root;
    while (*path == '/')
        path++;
    while (*path != '\0' && node != NULL) {
        size_t length = strcspn(path, "/");
        struct entry *entry = folder_find(&node->seen_folder, path, length);
        node = entry != NULL ? entry->node : NULL;
        path += length + strspn(path + length, "/");
    }
    return node;
}

/* The folder that `path` lies in, and its name there. */
static struct node *find_parent(const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');
    char *above = strndup(path, (size_t)(slash - path));
    struct node *parent = above != NULL ? find(above) : NULL;
    free(above);
    *name = slash + 1;
    return parent;
}

static struct node *opened(const char *path, const struct fuse_file_info *info)
{
    return info != NULL && info->fh != 0 ? (struct node *)(uintptr_t)info->fh : find(path);
}

static void touch(struct node *node)
{
    node->dirty = true;
    clock_gettime(CLOCK_REALTIME, &node->changed);
}

/* ---- Syncing and losing -------------------------------------------------------------------- */

static int make_safe(struct node *node)
{
    if (!node->dirty)
        return 0;
    int code = is_folder(node) ? folder_copy(&node->safe_folder, &node->seen_folder)
                               : bytes_copy(&node->safe, &node->seen, node->seen.size);
    node->dirty = code < 0;
    return code;
}

/* What is on the disk of a file that was not synced: a part of its bytes may be there, or none of the changes. */
static int lose_bytes(struct node *node, unsigned seed)
{
    if (seed != 0 && random() % 2 != 0) {
        size_t size = node->seen.size;
        if (random() % 2 != 0)
            size = (size_t)random() % (size + 1);
        return bytes_copy(&node->safe, &node->seen, size);
    }
    return bytes_copy(&node->seen, &node->safe, node->safe.size);
}

static int cut_power(unsigned seed)
{
    int code = 0;
    srandom(seed);
    bool names_reached = seed != 0 && random() % 2 != 0;
    for (struct node *node = all.next; node != &all; node = node->next)
        node->users++; /* so that none goes while the list is gone through */
    for (struct node *node = all.next; node != &all && code == 0; node = node->next) {
        if (node->dirty && !is_folder(node))
            code = lose_bytes(node, seed);
        else if (node->dirty && names_reached)
            code = folder_copy(&node->safe_folder, &node->seen_folder);
        else if (node->dirty)
            code = folder_copy(&node->seen_folder, &node->safe_folder);
        node->dirty = false;
    }
    for (struct node *node = all.next, *next; node != &all; node = next) {
        next = node->next;
        node_leave(node);
    }
    return code;
}

/* ---- The file system ----------------------------------------------------------------------- */

static int power_getattr(const char *path, struct stat *status, struct fuse_file_info *info)
{
    const struct node *node = opened(path, info);
    if (node == NULL)
        return -ENOENT;
    *status = (struct stat){.st_ino = node->number,
                            .st_mode = node->mode,
                            .st_nlink = is_folder(node) ? 2 : 1,
                            .st_uid = getuid(),
                            .st_gid = getgid(),
                            .st_size = (off_t)node->seen.size,
                            .st_blocks = (blkcnt_t)((node->seen.size + 511) / 512),
                            .st_mtim = node->changed,
                            .st_ctim = node->changed};
    return 0;
}

static int add_node(const char *path, mode_t mode, struct node **added)
{
    const char *name;
    struct node *parent = find_parent(path, &name);
    struct node *node = parent != NULL ? node_new(mode) : NULL;
    if (node == NULL)
        return parent == NULL ? -ENOENT : -ENOSPC;
    int code = folder_add(&parent->seen_folder, name, node);
    touch(parent);
    if (code < 0 || added == NULL)
        node_leave(node);
    else
        *added = node;
    return code;
}

static int power_mkdir(const char *path, mode_t mode)
{
    return add_node(path, S_IFDIR | mode, NULL);
}

static int power_create(const char *path, mode_t mode, struct fuse_file_info *info)
{
    struct node *node = NULL;
    int code = add_node(path, S_IFREG | (mode & 07777), &node);
    info->fh = (uintptr_t)node;
    return code;
}

static int power_open(const char *path, struct fuse_file_info *info)
{
    struct node *node = find(path);
    if (node == NULL)
        return -ENOENT;
    node->users++;
    info->fh = (uintptr_t)node;
    return 0;
}

static int power_release(const char *path, struct fuse_file_info *info)
{
    node_leave((struct node *)(uintptr_t)info->fh);
    return 0;
}

static int power_read(const char *path, char *to, size_t size, off_t offset,
                      struct fuse_file_info *info)
{
    const struct bytes *bytes = &opened(path, info)->seen;
    if ((size_t)offset >= bytes->size)
        return 0;
    if (size > bytes->size - (size_t)offset)
        size = bytes->size - (size_t)offset;
    memcpy(to, bytes->data + offset, size);
    return (int)size;
}

static int power_write(const char *path, const char *from, size_t size, off_t offset,
                       struct fuse_file_info *info)
{
    struct node *node = opened(path, info);
    size_t end = (size_t)offset + size;
    if (end > node->seen.size && bytes_resize(&node->seen, end) < 0)
        return -ENOSPC;
    memcpy(node->seen.data + offset, from, size);
    touch(node);
    return (int)size;
}

static int power_truncate(const char *path, off_t size, struct fuse_file_info *info)
{
    struct node *node = opened(path, info);
    if (node == NULL)
        return -ENOENT;
    touch(node);
    return bytes_resize(&node->seen, (size_t)size);
}

static int remove_entry(const char *path)
{
    const char *name;
    struct node *parent = find_parent(path, &name);
    struct entry *entry =
        parent != NULL ? folder_find(&parent->seen_folder, name, strlen(name)) : NULL;
    if (entry == NULL)
        return -ENOENT;
    folder_remove(&parent->seen_folder, entry);
    touch(parent);
    return 0;
}

static int power_rmdir(const char *path)
{
    const struct node *node = find(path);
    if (node != NULL && node->seen_folder.count > 0)
        return -ENOTEMPTY;
    return remove_entry(path);
}

static int power_link(const char *from, const char *to)
{
    const char *name;
    struct node *node = find(from), *parent = find_parent(to, &name);
    if (node == NULL || parent == NULL)
        return -ENOENT;
    touch(parent);
    return folder_add(&parent->seen_folder, name, node);
}

static int power_rename(const char *from, const char *to, unsigned flags)
{
    struct node *node = find(from), *target = find(to);
    if (node == NULL)
        return -ENOENT;
    if ((flags & ~RENAME_NOREPLACE) != 0)
        return -EINVAL;
    if (target != NULL && (flags & RENAME_NOREPLACE) != 0)
        return -EEXIST;
    if (target == node)
        return 0;
    if (target != NULL && target->seen_folder.count > 0)
        return -ENOTEMPTY;
    if (target != NULL)
        remove_entry(to);
    int code = power_link(from, to);
    return code < 0 ? code : remove_entry(from);
}

static int power_opendir(const char *path, struct fuse_file_info *info)
{
    return power_open(path, info);
}

static int power_readdir(const char *path, void *buffer, fuse_fill_dir_t fill, off_t offset,
                         struct fuse_file_info *info, enum fuse_readdir_flags flags)
{
    const struct folder *folder = &opened(path, info)->seen_folder;
    fill(buffer, ".", NULL, 0, 0);
    fill(buffer, "..", NULL, 0, 0);
    for (size_t i = 0; i < folder->count; i++)
        fill(buffer, folder->entry[i].name, NULL, 0, 0);
    return 0;
}

static int power_fsync(const char *path, int data_only, struct fuse_file_info *info)
{
    return make_safe(opened(path, info));
}

static int power_chmod(const char *path, mode_t mode, struct fuse_file_info *info)
{
    struct node *node = opened(path, info);
    if (node == NULL)
        return -ENOENT;
    node->mode = (node->mode & S_IFMT) | (mode & 07777);
    return 0;
}

static int power_utimens(const char *path, const struct timespec times[2],
                         struct fuse_file_info *info)
{
    return 0;
}

static int power_setxattr(const char *path, const char *name, const char *value, size_t size,
                          int flags)
{
    char number[16] = "";
    if (strcmp(name, "user.power-cut") != 0 || size >= sizeof number)
        return -ENOTSUP;
    memcpy(number, value, size);
    return cut_power((unsigned)strtoul(number, NULL, 10));
}

static void *power_init(struct fuse_conn_info *connection, struct fuse_config *config)
{
    /* The kernel remembers nothing, since all of it may change at once; names of open files go at once. */
    config->direct_io = 1;
    config->hard_remove = 1;
    config->use_ino = 1;
    config->entry_timeout = config->attr_timeout = config->negative_timeout = 0;
    return NULL;
}

static const struct fuse_operations operations = {
    .init = power_init,
    .getattr = power_getattr,
    .mkdir = power_mkdir,
    .create = power_create,
    .open = power_open,
    .release = power_release,
    .read = power_read,
    .write = power_write,
    .truncate = power_truncate,
    .unlink = remove_entry,
    .rmdir = power_rmdir,
    .link = power_link,
    .rename = power_rename,
    .opendir = power_opendir,
    .readdir = power_readdir,
    .releasedir = power_release,
    .fsync = power_fsync,
    .fsyncdir = power_fsync,
    .chmod = power_chmod,
    .utimens = power_utimens,
    .setxattr = power_setxattr,
};

int main(int argc, char **argv)
{
    root = node_new(S_IFDIR | 0755);
    return root != NULL ? fuse_main(argc, argv, &operations, NULL) : EXIT_FAILURE;
}
