/* The folder store's operations on one object. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/draft.h"
#include "store/folder.h"
#include "store/transfer.h"
#include "util/beneath.h"

enum { TRIES = 100 }; /* where another process removes the folders that this one makes */

static int local_fail(struct store_operation *operation, const char *verb, int code)
{
    return error_set(&operation->result.error, code, "cannot %s %s: %s", verb, operation->path,
                     code == -ENOENT ? "there is no such file or folder" : error_reason(code));
}

/* Opens an object for reading: a plain file. `parent` may be the root, with `key` as a path. */
static int open_object(int parent, const char *key, int flags, struct stat *status)
{
    int fd = beneath_open(parent, key, flags, 0);
    if (fd == -ENOTDIR || fd == -ELOOP)
        return -ENOENT;
    if (fd < 0)
        return fd;
    int code = fstat(fd, status) != 0 ? -errno : S_ISREG(status->st_mode) ? 0 : -ENOENT;
    if (code == 0)
        return fd;
    close(fd);
    return code;
}

/* Syncs a file or folder; file systems that cannot sync a folder say EINVAL. */
static int sync_open(int fd)
{
    return fsync(fd) == 0 || errno == EINVAL ? 0 : -errno;
}

static bool is_whole(const struct store_operation *operation, uint64_t size)
{
    return operation->offset == 0 && operation->length >= size;
}

/* Fills the begun draft with what was asked of `in`, summing it on the way. */
static int fill(struct draft *draft, struct transfer *transfer, bool whole)
{
    bool shared = draft->fd < 0 || (whole && transfer_share(transfer->in, draft->fd));
    transfer->out = shared ? -1 : draft->fd;
    if (!shared || transfer->sum)
        return transfer_run(transfer);
    struct stat status;
    if (fstat(transfer->in, &status) != 0)
        return -errno;
    transfer->identity.size = (uint64_t)status.st_size;
    return 0;
}

/* The draft of a local file: linked where both sides can, else filled. */
static int get_draft(struct store_operation *operation, int root, struct draft *draft,
                     struct transfer *transfer, bool whole)
{
    const char *name;
    int code = -EXDEV;
    if (operation->link && whole) {
        int parent = beneath_parent(root, operation->key, false, &name);
        if (parent >= 0) {
            code = draft_begin(draft, parent, name);
            close(parent);
        }
    }
    if (code < 0)
        code = draft_begin(draft, -1, NULL);
    if (code < 0)
        return local_fail(operation, "write", code);
    code = fill(draft, transfer, whole);
    if (code < 0)
        return transfer->writing ? local_fail(operation, "write", code)
                                 : folder_fail(operation, "get", operation->key, code);
    operation->result.identity = transfer->identity;
    operation->result.identity.unsummed = !transfer->sum;
    return operation->checked ? store_check_identity(operation, operation->key, &transfer->identity)
                              : 0;
}

static int get_file(struct store_operation *operation, int root, struct draft *draft,
                    struct transfer *transfer, bool whole)
{
    draft->folder = beneath_parent(operation->folder, operation->path, false, &draft->name);
    if (draft->folder < 0)
        return local_fail(operation, "write", draft->folder);
    int code = get_draft(operation, root, draft, transfer, whole);
    if (code == 0 && (code = draft_commit(draft)) < 0)
        local_fail(operation, "write", code);
    if (code < 0)
        draft_abort(draft);
    return code;
}

void folder_get(struct store_operation *operation, int root)
{
    struct draft draft = {.fd = -1, .folder = -1};
    struct stat status;
    int in = open_object(root, operation->key, O_RDONLY, &status);
    if (in < 0) {
        folder_fail(operation, "get", operation->key, in);
        return;
    }
    uint64_t size = (uint64_t)status.st_size;
    struct transfer transfer = {
        .in = in,
        .offset = operation->offset,
        .length = operation->length,
        .sum = operation->checked && !operation->expected.unsummed,
        .cancelled = &operation->cancelled,
    };
    if (operation->offset > size)
        error_set(&operation->result.error, -ERANGE,
                  "cannot get %s from byte %llu on: the object has %llu", operation->key,
                  (unsigned long long)operation->offset, (unsigned long long)size);
    else
        get_file(operation, root, &draft, &transfer, is_whole(operation, size));
    draft_close(&draft);
    close(in);
}

/* Begins a draft beside the attempt's key, with the folders on the way. */
static int begin_put(struct store_operation *operation, int root, struct draft *draft)
{
    const char *name;
    int parent = -1, code = -ENOENT;
    if (operation->link)
        parent = beneath_parent(operation->folder, operation->path, false, &name);
    for (int i = 0; i < TRIES && code == -ENOENT; i++) {
        if (draft->folder >= 0)
            close(draft->folder);
        code = draft->folder = beneath_parent(root, operation->attempt, true, &draft->name);
        if (code >= 0 && parent >= 0 && draft_begin(draft, parent, name) == 0)
            code = 0;
        else if (code >= 0)
            code = draft_begin(draft, -1, NULL);
    }
    if (parent >= 0)
        close(parent);
    return code;
}

static int put_draft(struct store_operation *operation, struct draft *draft, int in)
{
    struct transfer transfer = {.in = in,
                                .length = STORE_TO_END,
                                .sum = !operation->checked && !operation->unsummed,
                                .cancelled = &operation->cancelled};
    int code = fill(draft, &transfer, true);
    if (code < 0)
        return transfer.writing || code == -ECANCELED
                   ? folder_fail(operation, "put", operation->key, code)
                   : local_fail(operation, "read", code);
    code = sync_open(draft->fd < 0 ? in : draft->fd);
    if (code == 0)
        code = draft_commit(draft);
    if (code == 0)
        code = sync_open(draft->folder);
    if (code < 0)
        return folder_fail(operation, "put", operation->key, code);
    operation->result.identity = operation->checked ? operation->expected : transfer.identity;
    operation->result.identity.unsummed = !operation->checked && operation->unsummed;
    return 0;
}

void folder_put(struct store_operation *operation, int root)
{
    struct draft draft = {.fd = -1, .folder = -1};
    struct stat status;
    int in = open_object(operation->folder, operation->path, O_RDONLY, &status);
    if (in < 0) {
        local_fail(operation, "read", in);
        return;
    }
    int code = begin_put(operation, root, &draft);
    if (code < 0)
        folder_fail(operation, "put", operation->key, code);
    else if (put_draft(operation, &draft, in) < 0)
        draft_abort(&draft);
    draft_close(&draft);
    close(in);
}

/* Makes the names on the way to an object durable, from its folder up to the root. */
static int sync_folders(int root, const char *key)
{
    char path[STORE_KEY_SIZE];
    strcpy(path, key);
    for (char *slash; (slash = strrchr(path, '/')) != NULL;) {
        *slash = '\0';
        int fd = beneath_open(root, path, O_RDONLY | O_DIRECTORY, 0);
        if (fd < 0)
            return fd;
        int code = sync_open(fd);
        close(fd);
        if (code < 0)
            return code;
    }
    return sync_open(root);
}

/* Finds out what an open object is, as far as that is wanted. */
static int identify(struct store_operation *operation, int fd, const struct stat *status,
                    struct store_identity *identity)
{
    *identity = (struct store_identity){.size = (uint64_t)status->st_size, .unsummed = true};
    if (operation->expected.unsummed)
        return 0;
    struct transfer transfer = {.in = fd,
                                .out = -1,
                                .length = STORE_TO_END,
                                .sum = true,
                                .cancelled = &operation->cancelled};
    int code = transfer_run(&transfer);
    *identity = transfer.identity;
    return code;
}

/* Gives the attempt its final name where nothing has it. File systems that cannot promise that (NFS) get
 * the check that was made before alone: a job has one coordinator, so nobody else adopts. */
static int rename_attempt(int folder, const char *attempt, const char *name)
{
    if (renameat2(folder, attempt, folder, name, RENAME_NOREPLACE) == 0)
        return 0;
    if (errno == EEXIST)
        return -EISDIR; /* an object was looked for before */
    if (errno != EINVAL && errno != ENOSYS)
        return -errno;
    return renameat(folder, attempt, folder, name) == 0 ? 0 : -errno;
}

/* Checks and renames the attempt. */
static int adopt_attempt(struct store_operation *operation, int folder, const char *attempt,
                         const char *name)
{
    struct stat status;
    int fd = open_object(folder, attempt, O_RDONLY, &status);
    if (fd < 0)
        return folder_fail(operation, "adopt", operation->attempt, fd);
    int code = identify(operation, fd, &status, &operation->result.identity);
    if (code == 0)
        code = sync_open(fd);
    close(fd);
    if (code < 0)
        return folder_fail(operation, "adopt", operation->attempt, code);
    code = store_check_identity(operation, operation->attempt, &operation->result.identity);
    if (code == 0 && (code = rename_attempt(folder, attempt, name)) < 0)
        folder_fail(operation, "adopt", operation->attempt, code);
    return code;
}

/* Whether an attempt without a sum has the bytes of `fd`, which is as long. One that is not there has been
 * adopted before. */
static int compare_attempt(struct store_operation *operation, int folder, const char *attempt,
                           int fd)
{
    struct stat status;
    int other = open_object(folder, attempt, O_RDONLY, &status);
    if (other == -ENOENT)
        return 0;
    if (other < 0)
        return folder_fail(operation, "adopt", operation->attempt, other);
    int code = transfer_compare(fd, other, &operation->cancelled);
    close(other);
    if (code == -EBADMSG)
        return error_set(&operation->result.error, code, "%s in the store %s has other bytes",
                         operation->key, operation->store->place);
    return code < 0 ? folder_fail(operation, "adopt", operation->attempt, code) : 0;
}

/* What to do where the key holds something already: 0 where it is the same, and so done. */
static int adopt_again(struct store_operation *operation, int folder, const char *attempt, int fd,
                       const struct stat *status)
{
    struct store_identity *found = &operation->result.identity;
    int code = identify(operation, fd, status, found);
    if (code < 0)
        return folder_fail(operation, "adopt", operation->attempt, code);
    code = store_check_identity(operation, operation->key, found);
    if (code == 0 && found->unsummed)
        code = compare_attempt(operation, folder, attempt, fd);
    if (code != 0 && code != -EBADMSG)
        return code;
    if (code == 0) {
        unlinkat(folder, attempt, 0);
        return 0;
    }
    operation->result.error.code = -EEXIST;
    return error_prefix(&operation->result.error, "cannot adopt %s", operation->attempt);
}

void folder_adopt(struct store_operation *operation, int root)
{
    const char *attempt, *name = strrchr(operation->key, '/');
    struct stat status;
    name = name != NULL ? name + 1 : operation->key;
    int folder = beneath_parent(root, operation->attempt, false, &attempt);
    if (folder < 0) {
        folder_fail(operation, "adopt", operation->attempt, folder == -ENOTDIR ? -ENOENT : folder);
        return;
    }
    int code, fd = open_object(folder, name, O_RDONLY, &status);
    if (fd >= 0) {
        code = adopt_again(operation, folder, attempt, fd, &status);
        close(fd);
    } else if (fd == -ENOENT) {
        code = adopt_attempt(operation, folder, attempt, name);
    } else {
        code = folder_fail(operation, "adopt", operation->key, fd);
    }
    if (code == 0 && (code = sync_folders(root, operation->key)) < 0)
        folder_fail(operation, "adopt", operation->key, code);
    close(folder);
}

void folder_stat(struct store_operation *operation, int root)
{
    struct stat status;
    int fd = open_object(root, operation->key, O_PATH, &status);
    if (fd < 0) {
        folder_fail(operation, "look at", operation->key, fd);
        return;
    }
    operation->result.identity.size = (uint64_t)status.st_size;
    close(fd);
}

void folder_delete(struct store_operation *operation, int root)
{
    const char *name;
    int folder = beneath_parent(root, operation->key, false, &name);
    int code = folder;
    if (folder >= 0) {
        code = unlinkat(folder, name, 0) != 0 ? -errno : 0;
        close(folder);
    }
    if (code < 0 && code != -ENOENT && code != -ENOTDIR && code != -EISDIR)
        folder_fail(operation, "delete", operation->key, code);
}

/* Whoever may use it reaches the folder himself. */
void folder_url(struct store_operation *operation, int root)
{
    error_set(&operation->result.error, -EOPNOTSUPP, "the store %s is a folder: it has no URLs",
              operation->store->place);
}
