#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/delivery_private.h"

static void go_on(struct delivery *delivery);

/* ---- The end ------------------------------------------------------------------------------- */

static void on_closed(uv_handle_t *handle)
{
    struct delivery *delivery = handle->data;
    struct delivery_options options = delivery->options;
    struct error failure = delivery->failure;
    delivery_remote_end(delivery);
    free(delivery);
    options.done(options.opaque, failure.code < 0 ? &failure : NULL);
}

static void end(struct delivery *delivery, const struct error *failure)
{
    if (failure != NULL)
        delivery->failure = *failure;
    uv_close((uv_handle_t *)&delivery->turn, on_closed);
}

void delivery_cancel(struct delivery *delivery)
{
    delivery->cancelled = true;
    if (delivery->operation != NULL)
        store_cancel(delivery->operation);
}

/* ---- One file ------------------------------------------------------------------------------ */

/* Opens the folder that `path` lies in; `*name` is what it is called there. */
static int open_folder(const char *path, const char **name, struct error *error)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    *name = slash ? slash + 1 : path;
    if (folder == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = errno;
    free(folder);
    return descriptor < 0 ? error_set(error, -code, "%s: %s", path, strerror(code)) : descriptor;
}

/* ---- Folders ------------------------------------------------------------------------------- */

static bool is_folder(const char *file)
{
    size_t length = strlen(file);
    return length > 0 && file[length - 1] == '/';
}

static int is_file(const struct dirent *entry)
{
    return entry->d_name[0] != '.' && store_is_final_key(entry->d_name) &&
           (entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN);
}

static void close_folder(struct delivery *delivery)
{
    for (int i = 0; i < delivery->entries; i++)
        free(delivery->entry[i]);
    free(delivery->entry);
    delivery->entry = NULL;
    delivery->entries = delivery->entry_at = 0;
}

static int open_entries(struct delivery *delivery, const char *path, struct error *error)
{
    delivery->entries = scandir(path, &delivery->entry, is_file, alphasort);
    if (delivery->entries > 0)
        return 0;
    int code = delivery->entries < 0 ? -errno : -ENOENT;
    delivery->entries = 0;
    close_folder(delivery);
    return error_set(error, code, "%s: %s", path,
                     code == -ENOENT ? "there is no such folder with files in it"
                                     : strerror(-code));
}

/* ---- One after the other ------------------------------------------------------------------- */

void delivery_item_ended(struct delivery *delivery, const struct error *failure)
{
    if (failure != NULL) {
        close_folder(delivery);
        end(delivery, failure);
        return;
    }
    if (++delivery->entry_at >= delivery->entries) {
        close_folder(delivery);
        delivery->at++;
    }
    go_on(delivery);
}

/* Of the input at hand, or of the file at hand in it. */
static const char *key_at_hand(struct delivery *delivery)
{
    const char *key = delivery->item[delivery->at].key;
    if (delivery->entry == NULL)
        return key;
    snprintf(delivery->key_within, sizeof delivery->key_within, "%s/%s", key,
             delivery->entry[delivery->entry_at]->d_name);
    return delivery->key_within;
}

static void on_delivered(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    struct error error = result->error;
    delivery->operation = NULL;
    if (error.code == -EEXIST && delivery->options.what != DELIVERY_OUTPUTS)
        error_set(&error, -EEXIST,
                  "%s is another file than when this job was begun; remove its "
                  "store to begin anew",
                  delivery->item[delivery->at].file);
    delivery_item_ended(delivery, error.code < 0 ? &error : NULL);
}

static void on_put(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    struct error error = result->error;
    delivery->operation = NULL;
    if (error.code == 0)
        store_adopt(delivery->options.store, key_at_hand(delivery), 1, &result->identity,
                    on_delivered, delivery, &delivery->operation, &error);
    if (error.code < 0)
        delivery_item_ended(delivery, &error);
}

static int put(struct delivery *delivery, struct error *error)
{
    const struct job_transfer *input = &delivery->item[delivery->at];
    bool many = is_folder(input->file);
    const char *name;
    if (many && delivery->entry == NULL && open_entries(delivery, input->file, error) < 0)
        return error->code;
    int folder = open_folder(input->file, &name, error);
    if (folder < 0)
        return folder;
    if (many)
        name = delivery->entry[delivery->entry_at]->d_name;
    const struct store_put what = {
        .from = {folder, name}, .key = key_at_hand(delivery), .attempt = 1, .link = many};
    int code =
        store_put(delivery->options.store, &what, on_put, delivery, &delivery->operation, error);
    close(folder);
    return code;
}

static int get(struct delivery *delivery, struct error *error)
{
    const struct job_transfer *output = &delivery->item[delivery->at];
    const char *name;
    int folder = open_folder(output->file, &name, error);
    if (folder < 0)
        return folder;
    const struct store_get what = {
        .key = output->key, .to = {folder, name}, .length = STORE_TO_END};
    int code = store_get(delivery->options.store, &what, on_delivered, delivery,
                         &delivery->operation, error);
    close(folder);
    return code;
}

/* Whether the item at hand is none of those that are to be delivered. */
static bool is_left_out(const struct delivery *delivery)
{
    const char *file = delivery->item[delivery->at].file;
    bool remote = store_is_remote(file);
    bool inputs = delivery->options.what != DELIVERY_OUTPUTS;
    return file[0] == '\0' || (remote && delivery->options.what == DELIVERY_FILES) ||
           (remote && inputs && is_folder(file)) ||
           (!remote && delivery->options.what == DELIVERY_LINKS);
}

static int begin(struct delivery *delivery, struct error *error)
{
    bool remote = store_is_remote(delivery->item[delivery->at].file);
    if (delivery->options.what == DELIVERY_OUTPUTS)
        return remote ? delivery_send(delivery, error) : get(delivery, error);
    return remote ? delivery_link(delivery, error) : put(delivery, error);
}

static void go_on(struct delivery *delivery)
{
    struct error error = {.code = 0};
    while (delivery->at < delivery->count && is_left_out(delivery))
        delivery->at++;
    if (delivery->cancelled)
        error_set(&error, -ECANCELED, "interrupted");
    else if (delivery->at < delivery->count)
        error.code = begin(delivery, &error);
    if (error.code < 0)
        close_folder(delivery);
    if (error.code < 0)
        end(delivery, &error);
    else if (delivery->at == delivery->count)
        end(delivery, NULL);
}

static void on_turn(uv_timer_t *timer)
{
    go_on(timer->data);
}

/* ---- Beginning ----------------------------------------------------------------------------- */

int delivery_begin(const struct delivery_options *options, struct delivery **made,
                   struct error *error)
{
    const struct job *job = options->job;
    struct delivery *delivery = calloc(1, sizeof *delivery);
    if (delivery == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    delivery->options = *options;
    bool outputs = options->what == DELIVERY_OUTPUTS;
    delivery->item = outputs ? job->output : job->input;
    delivery->count = outputs ? job->outputs : job->inputs;
    delivery->folder = -1;
    uv_timer_init(options->loop, &delivery->turn);
    delivery->turn.data = delivery;
    uv_timer_start(&delivery->turn, on_turn, 0, 0);
    *made = delivery;
    return 0;
}
