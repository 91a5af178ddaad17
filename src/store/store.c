#include "store/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/operation.h"
#include "util/beneath.h"

static const char key_characters[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
static const char attempt_mark[] = ".attempt-";

bool store_identity_agrees(const struct store_identity *a, const struct store_identity *b)
{
    return a->size == b->size &&
           (a->unsummed || b->unsummed || memcmp(a->sha256, b->sha256, SHA256_SIZE) == 0);
}

bool store_is_key(const char *key)
{
    int parts = 0;
    if (strnlen(key, STORE_KEY_SIZE) == STORE_KEY_SIZE || !beneath_is_path(key))
        return false;
    for (const char *part = key;; part++) {
        size_t length = strspn(part, key_characters);
        if (length > STORE_PART_LENGTH || ++parts > STORE_PARTS)
            return false;
        part += length;
        if (*part != '/')
            return *part == '\0';
    }
}

/* Of an object that others have put into a remote store: what a URL can name. */
static bool is_foreign_key(const char *key)
{
    size_t length = strnlen(key, STORE_KEY_SIZE);
    if (length == 0 || length == STORE_KEY_SIZE)
        return false;
    for (const char *part = key; part != NULL;
         part = strchr(part, '/') ? strchr(part, '/') + 1 : NULL) {
        size_t size = strcspn(part, "/");
        if (size == 0 || (size == 1 && part[0] == '.') ||
            (size == 2 && strncmp(part, "..", 2) == 0))
            return false;
    }
    for (const char *at = key; *at != '\0'; at++)
        if ((unsigned char)*at < ' ' || *at == 0x7f)
            return false;
    return true;
}

/* True for `<something>.attempt-<digits>`. */
static bool is_attempt(const char *key)
{
    size_t length = strlen(key), mark = strlen(attempt_mark);
    while (length > 0 && key[length - 1] >= '0' && key[length - 1] <= '9')
        length--;
    return key[length] != '\0' && length > mark &&
           memcmp(key + length - mark, attempt_mark, mark) == 0;
}

bool store_is_final_key(const char *key)
{
    char longest[STORE_KEY_SIZE];
    if (!store_is_key(key) || is_attempt(key))
        return false;
    if (snprintf(longest, sizeof longest, "%s%s%u", key, attempt_mark, UINT32_MAX) >=
        (int)sizeof longest)
        return false;
    return store_is_key(longest);
}

void store_attempt_key(const char *key, uint32_t attempt, char attempt_key[STORE_KEY_SIZE])
{
    snprintf(attempt_key, STORE_KEY_SIZE, "%s%s%u", key, attempt_mark, attempt);
}

static int hex_value(char digit)
{
    const char *digits = "0123456789abcdefABCDEF", *found = strchr(digits, digit);
    if (digit == '\0' || found == NULL)
        return -1;
    return (int)(found - digits) - (found - digits > 15 ? 6 : 0);
}

/* Takes %XX for the byte it stands for, in place. */
static bool decode_url(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++, to++) {
        *to = *from;
        if (*from != '%')
            continue;
        int high = hex_value(from[1]), low = high < 0 ? -1 : hex_value(from[2]);
        if (low < 0 || high * 16 + low == 0)
            return false;
        *to = (char)(high * 16 + low);
        from += 2;
    }
    *to = '\0';
    return true;
}

bool store_is_remote(const char *place)
{
    return strncmp(place, "s3://", 5) == 0;
}

int store_split(const char *url, char **place, const char **key, struct error *error)
{
    const char *slash = store_is_remote(url) ? strchr(url + strlen("s3://"), '/') : NULL;
    *place = NULL;
    if (slash == NULL || !is_foreign_key(slash + 1))
        return error_set(error, -EINVAL, "%s: an object in S3 is s3://BUCKET/KEY", url);
    *place = strndup(url, (size_t)(slash - url));
    *key = slash + 1;
    return *place != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

static int open_place(uv_loop_t *loop, const char *place, const struct store_lender *lender,
                      struct store **store, struct error *error)
{
    static const char file[] = "file://";
    if (store_is_remote(place))
        return s3_open(loop, place, lender, store, error);
    if (strncmp(place, file, strlen(file)) != 0) {
        if (strstr(place, "://") != NULL)
            return error_set(error, -EPROTONOSUPPORT,
                             "%s: a store is a folder, as a path or a file:// URL, or in S3 as "
                             "s3://BUCKET/PREFIX",
                             place);
        return folder_open(place, store, error);
    }
    char *path = strdup(place + strlen(file));
    if (path == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int result = path[0] == '/' && decode_url(path)
                     ? folder_open(path, store, error)
                     : error_set(error, -EINVAL, "%s: a folder's URL is file:///PATH", place);
    free(path);
    return result;
}

int store_open_lent(uv_loop_t *loop, const char *place, const struct store_lender *lender,
                    struct store **result, struct error *error)
{
    *result = NULL;
    char *copy = strdup(place);
    if (copy == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = open_place(loop, place, lender, result, error);
    if (code < 0) {
        free(copy);
        return code;
    }
    (*result)->loop = loop;
    (*result)->place = copy;
    return 0;
}

bool store_is_folder(const struct store *store)
{
    return store->methods->is_folder;
}

int store_open(uv_loop_t *loop, const char *place, struct store **result, struct error *error)
{
    return store_open_lent(loop, place, NULL, result, error);
}

void store_lent(struct store *store, uint64_t question, const char *url, const char *reason)
{
    if (!store_is_folder(store))
        s3_lent(store, question, url, reason);
}

void store_ask_again(struct store *store)
{
    if (!store_is_folder(store))
        s3_ask_again(store);
}

const char *store_place(const struct store *store)
{
    return store->place;
}

static void start_waiting(struct store *store)
{
    while (store->waiting != NULL && store->running < store->at_once) {
        struct store_operation *operation = store->waiting;
        store->waiting = operation->next;
        store->running++;
        store->methods->start(operation);
    }
}

static void operation_free(struct store_operation *operation)
{
    for (size_t i = 0; operation->result.entries != NULL && i < operation->result.count; i++)
        free(operation->result.entries[i].key);
    free(operation->result.entries);
    free((char *)operation->result.url);
    free((char *)operation->result.tag);
    if (operation->folder >= 0)
        close(operation->folder);
    free(operation->path);
    free(operation);
}

static void unlink_operation(struct store_operation *operation)
{
    struct store *store = operation->store;
    *(operation->previous != NULL ? &operation->previous->next : &store->first) = operation->next;
    *(operation->next != NULL ? &operation->next->previous : &store->last) = operation->previous;
    store->running--;
}

static void close_when_idle(struct store *store)
{
    if (!store->closing || store->ended || store->first != NULL)
        return;
    store->ended = true;
    store->methods->close(store, store->closed, store->opaque);
}

void store_finish(struct store_operation *operation)
{
    struct store *store = operation->store;
    unlink_operation(operation);
    operation->done(operation->opaque, &operation->result);
    operation_free(operation);
    start_waiting(store);
    close_when_idle(store);
}

int store_check_identity(struct store_operation *operation, const char *key,
                         const struct store_identity *found)
{
    const struct store_identity *expected = &operation->expected;
    char is[SHA256_HEX_SIZE], should_be[SHA256_HEX_SIZE];
    if (found->size != expected->size)
        return error_set(&operation->result.error, -EBADMSG,
                         "%s in the store %s has %llu bytes instead of %llu", key,
                         operation->store->place, (unsigned long long)found->size,
                         (unsigned long long)expected->size);
    if (store_identity_agrees(found, expected))
        return 0;
    sha256_hex(found->sha256, is);
    sha256_hex(expected->sha256, should_be);
    return error_set(&operation->result.error, -EBADMSG,
                     "%s in the store %s has another SHA-256 than it should: %s instead of %s", key,
                     operation->store->place, is, should_be);
}

/* The first that was not started, and all after it, wait. */
static bool is_started(const struct store_operation *operation)
{
    for (const struct store_operation *one = operation->store->waiting; one; one = one->next)
        if (one == operation)
            return false;
    return true;
}

void store_cancel(struct store_operation *operation)
{
    if (atomic_exchange(&operation->cancelled, true))
        return;
    if (operation->store->methods->cancel != NULL && is_started(operation))
        operation->store->methods->cancel(operation);
}

void store_close(struct store *store, void (*closed)(void *opaque), void *opaque)
{
    store->closing = true;
    store->closed = closed;
    store->opaque = opaque;
    for (struct store_operation *one = store->first; one != NULL; one = one->next)
        store_cancel(one);
    close_when_idle(store);
}

static struct store_operation *operation_new(enum store_kind kind, const char *key,
                                             store_done *done, void *opaque, struct error *error)
{
    struct store_operation *operation = calloc(1, sizeof *operation);
    if (operation == NULL) {
        error_set(error, -ENOMEM, "out of memory");
        return NULL;
    }
    operation->kind = kind;
    strcpy(operation->key, key);
    operation->folder = -1;
    operation->done = done;
    operation->opaque = opaque;
    return operation;
}

/* Takes `made` (NULL where there was no memory for it) into the store's order. */
static int add(struct store *store, struct store_operation *made,
               struct store_operation **operation)
{
    if (made == NULL)
        return -ENOMEM;
    made->store = store;
    made->previous = store->last;
    *(store->last != NULL ? &store->last->next : &store->first) = made;
    store->last = made;
    if (store->waiting == NULL)
        store->waiting = made;
    if (operation != NULL)
        *operation = made;
    start_waiting(store);
    return 0;
}

static int check_key(const struct store *store, const char *key, bool right, struct error *error)
{
    if (store->closing)
        return error_set(error, -ECANCELED, "the store %s is being closed", store->place);
    if (right)
        return 0;
    return error_set(
        error, -EINVAL,
        "'%.*s' cannot be a key: it wants parts of A-Z a-z 0-9 . _ - joined by '/', and "
        "no attempt's number",
        STORE_KEY_SIZE, key);
}

/* A remote store has objects of others, too. */
static bool is_key_of(const struct store *store, const char *key)
{
    return store_is_key(key) || (!store->methods->is_folder && is_foreign_key(key));
}

/* One that can be put. */
static bool is_final_key_of(const struct store *store, const char *key)
{
    return store_is_final_key(key) ||
           (!store->methods->is_folder && strlen(key) < STORE_KEY_SIZE - 32 &&
            is_foreign_key(key) && !is_attempt(key));
}

static int set_file(struct store_operation *operation, const struct store_file *file,
                    struct error *error)
{
    if (!beneath_is_path(file->path))
        return error_set(error, -EINVAL, "'%s' is not a path within the folder", file->path);
    operation->folder = fcntl(file->folder, F_DUPFD_CLOEXEC, 0);
    if (operation->folder < 0)
        return error_set(error, -errno, "cannot use the folder of %s: %s", file->path,
                         strerror(errno));
    operation->path = strdup(file->path);
    return operation->path != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

/* As add(), with a local file. */
static int add_with_file(struct store *store, struct store_operation *made,
                         const struct store_file *file, struct store_operation **operation,
                         struct error *error)
{
    if (made == NULL)
        return -ENOMEM;
    int code = set_file(made, file, error);
    if (code < 0) {
        operation_free(made);
        return code;
    }
    return add(store, made, operation);
}

int store_get(struct store *store, const struct store_get *get, store_done *done, void *opaque,
              struct store_operation **operation, struct error *error)
{
    int code = check_key(store, get->key, is_key_of(store, get->key), error);
    if (code < 0)
        return code;
    struct store_operation *made = operation_new(STORE_GET, get->key, done, opaque, error);
    if (made != NULL) {
        made->offset = get->offset;
        made->length = get->length;
        made->link = get->link;
        made->checked = get->expected != NULL;
        if (made->checked)
            made->expected = *get->expected;
    }
    return add_with_file(store, made, &get->to, operation, error);
}

int store_put(struct store *store, const struct store_put *put, store_done *done, void *opaque,
              struct store_operation **operation, struct error *error)
{
    int code = check_key(store, put->key, is_final_key_of(store, put->key), error);
    if (code < 0)
        return code;
    struct store_operation *made = operation_new(STORE_PUT, put->key, done, opaque, error);
    if (made != NULL) {
        store_attempt_key(put->key, put->attempt, made->attempt);
        made->number = put->attempt;
        made->link = put->link;
        made->unsummed = put->unsummed;
        made->checked = put->known != NULL;
        if (put->known != NULL)
            made->expected = *put->known;
    }
    return add_with_file(store, made, &put->from, operation, error);
}

int store_adopt(struct store *store, const char *key, uint32_t attempt,
                const struct store_identity *identity, store_done *done, void *opaque,
                struct store_operation **operation, struct error *error)
{
    int code = check_key(store, key, is_final_key_of(store, key), error);
    if (code < 0)
        return code;
    struct store_operation *made = operation_new(STORE_ADOPT, key, done, opaque, error);
    if (made != NULL) {
        store_attempt_key(key, attempt, made->attempt);
        made->checked = true;
        made->expected = *identity;
    }
    return add(store, made, operation);
}

int store_stat(struct store *store, const char *key, store_done *done, void *opaque,
               struct store_operation **operation, struct error *error)
{
    int code = check_key(store, key, is_key_of(store, key), error);
    if (code < 0)
        return code;
    return add(store, operation_new(STORE_STAT, key, done, opaque, error), operation);
}

int store_list(struct store *store, const char *prefix, const char *after, size_t limit,
               store_done *done, void *opaque, struct store_operation **operation,
               struct error *error)
{
    /* Any bytes do: what no key begins with finds none. */
    bool right = strnlen(prefix, STORE_KEY_SIZE) < STORE_KEY_SIZE &&
                 strnlen(after, STORE_KEY_SIZE) < STORE_KEY_SIZE;
    int code = check_key(store, prefix, right, error);
    if (code < 0)
        return code;
    if (limit < 1 || limit > STORE_PAGE)
        return error_set(error, -EINVAL, "a listing has 1 to %d keys", STORE_PAGE);
    struct store_operation *made = operation_new(STORE_LIST, prefix, done, opaque, error);
    if (made != NULL) {
        strcpy(made->attempt, after);
        made->limit = limit;
    }
    return add(store, made, operation);
}

int store_delete(struct store *store, const char *key, store_done *done, void *opaque,
                 struct store_operation **operation, struct error *error)
{
    int code = check_key(store, key, is_key_of(store, key), error);
    if (code < 0)
        return code;
    return add(store, operation_new(STORE_DELETE, key, done, opaque, error), operation);
}

int store_delete_prefix(struct store *store, const char *prefix, store_done *done, void *opaque,
                        struct store_operation **operation, struct error *error)
{
    size_t length = strnlen(prefix, STORE_KEY_SIZE);
    char folder[STORE_KEY_SIZE] = "";
    if (length > 0 && length < STORE_KEY_SIZE && prefix[length - 1] == '/')
        memcpy(folder, prefix, length - 1);
    int code = check_key(store, prefix, store_is_key(folder), error);
    if (code < 0)
        return code;
    return add(store, operation_new(STORE_DELETE_PREFIX, prefix, done, opaque, error), operation);
}

int store_url(struct store *store, const struct store_url *url, store_done *done, void *opaque,
              struct store_operation **operation, struct error *error)
{
    bool right = url->attempt > 0 ? store_is_final_key(url->key) : is_key_of(store, url->key);
    int code = check_key(store, url->key, right, error);
    if (code < 0)
        return code;
    struct store_operation *made = operation_new(STORE_URL, url->key, done, opaque, error);
    if (made != NULL) {
        made->number = url->attempt;
        store_attempt_key(url->key, url->attempt, made->attempt);
        made->expected = url->identity;
        memcpy(made->md5, url->md5, sizeof made->md5);
    }
    return add(store, made, operation);
}
