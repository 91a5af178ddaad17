/* Inputs and outputs of a job in S3. An input stays where it is: the job's store gets a link, which says what it was
 * like when the job began, so that another one is noticed when the job goes on. An output goes by way of a file. */
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/delivery_private.h"

static const char file_name[] = "object";

/* ---- The folder, and the other store ------------------------------------------------------- */

static int make_scratch(struct delivery *delivery, struct error *error)
{
    const char *parent = getenv("TMPDIR");
    if (delivery->scratch != NULL)
        return 0;
    if (asprintf(&delivery->scratch, "%s/excamera-delivery-XXXXXX",
                 parent != NULL && *parent != '\0' ? parent : "/var/tmp") < 0) {
        delivery->scratch = NULL;
        return error_set(error, -ENOMEM, "out of memory");
    }
    bool made = mkdtemp(delivery->scratch) != NULL;
    if (made)
        delivery->folder = open(delivery->scratch, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (made && delivery->folder >= 0)
        return 0;
    error_set(error, -errno, "cannot make a folder like %s: %s", delivery->scratch,
              strerror(errno));
    if (made)
        rmdir(delivery->scratch);
    free(delivery->scratch);
    delivery->scratch = NULL;
    return error->code;
}

static void on_closed(void *opaque)
{
}

static void close_remote(struct delivery *delivery)
{
    if (delivery->remote != NULL)
        store_close(delivery->remote, on_closed, NULL);
    delivery->remote = NULL;
}

static int open_remote(struct delivery *delivery, struct error *error)
{
    const char *url = delivery->item[delivery->at].file;
    char *place;
    int code = store_split(url, &place, &delivery->key, error);
    if (code == 0)
        code = make_scratch(delivery, error);
    if (code == 0)
        code = store_open(delivery->options.loop, place, &delivery->remote, error);
    free(place);
    return code;
}

void delivery_remote_end(struct delivery *delivery)
{
    close_remote(delivery);
    if (delivery->scratch == NULL)
        return;
    unlinkat(delivery->folder, file_name, 0);
    close(delivery->folder);
    rmdir(delivery->scratch);
    free(delivery->scratch);
    delivery->scratch = NULL;
}

static void end_item(struct delivery *delivery, const struct error *failure)
{
    close_remote(delivery);
    delivery_item_ended(delivery, failure);
}

/* Of an operation that has called back: whether the next step may begin. */
static bool took(struct delivery *delivery, const struct store_result *result)
{
    delivery->operation = NULL;
    if (result->error.code < 0)
        end_item(delivery, &result->error);
    return result->error.code == 0;
}

static struct store_file scratch_file(const struct delivery *delivery)
{
    return (struct store_file){delivery->folder, file_name};
}

/* ---- Inputs -------------------------------------------------------------------------------- */

static void on_linked(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    struct error error = result->error;
    delivery->operation = NULL;
    if (error.code == -EEXIST)
        error_set(&error, -EEXIST,
                  "%s is another film than when this job was begun; without --resume, or with "
                  "another store, it begins anew",
                  delivery->item[delivery->at].file);
    end_item(delivery, error.code < 0 ? &error : NULL);
}

static void on_link_put(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    struct error error;
    if (took(delivery, result) &&
        store_adopt(delivery->options.store, delivery->item[delivery->at].key, 1, &result->identity,
                    on_linked, delivery, &delivery->operation, &error) < 0)
        end_item(delivery, &error);
}

static int write_link(const struct delivery *delivery, const struct store_result *found,
                      struct error *error)
{
    int fd = openat(delivery->folder, file_name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    json_t *link = json_pack("{s:s, s:I, s:s?}", "object", delivery->item[delivery->at].file,
                             "size", (json_int_t)found->identity.size, "etag", found->tag);
    int code = fd >= 0 && link != NULL && json_dumpfd(link, fd, JSON_COMPACT) == 0 ? 0 : -EIO;
    if (fd >= 0 && close(fd) != 0)
        code = -EIO;
    json_decref(link);
    return code == 0 ? 0 : error_set(error, code, "cannot write to %s", delivery->scratch);
}

static void on_looked_at(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    const struct delivery_options *options = &delivery->options;
    const struct store_put put = {
        .from = scratch_file(delivery), .key = delivery->item[delivery->at].key, .attempt = 1};
    struct error error;
    if (!took(delivery, result))
        return;
    if (options->linked != NULL)
        options->linked(options->opaque, delivery->at, result->tag);
    if (write_link(delivery, result, &error) < 0 ||
        store_put(options->store, &put, on_link_put, delivery, &delivery->operation, &error) < 0)
        end_item(delivery, &error);
}

int delivery_link(struct delivery *delivery, struct error *error)
{
    int code = open_remote(delivery, error);
    if (code == 0)
        code = store_stat(delivery->remote, delivery->key, on_looked_at, delivery,
                          &delivery->operation, error);
    if (code < 0)
        close_remote(delivery);
    return code;
}

/* ---- Outputs ------------------------------------------------------------------------------- */

static void on_sent(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    if (took(delivery, result))
        end_item(delivery, NULL);
}

/* What was there before is gone. */
static void on_replaced(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    struct error error;
    if (took(delivery, result) &&
        store_adopt(delivery->remote, delivery->key, 1, &delivery->identity, on_sent, delivery,
                    &delivery->operation, &error) < 0)
        end_item(delivery, &error);
}

static void on_put(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    struct error error;
    if (!took(delivery, result))
        return;
    delivery->identity = result->identity;
    if (store_delete(delivery->remote, delivery->key, on_replaced, delivery, &delivery->operation,
                     &error) < 0)
        end_item(delivery, &error);
}

static void on_got(void *opaque, const struct store_result *result)
{
    struct delivery *delivery = opaque;
    const struct store_put put = {
        .from = scratch_file(delivery), .key = delivery->key, .attempt = 1};
    struct error error;
    if (took(delivery, result) &&
        store_put(delivery->remote, &put, on_put, delivery, &delivery->operation, &error) < 0)
        end_item(delivery, &error);
}

int delivery_send(struct delivery *delivery, struct error *error)
{
    int code = open_remote(delivery, error);
    const struct store_get get = {.key = delivery->item[delivery->at].key,
                                  .to = scratch_file(delivery),
                                  .length = STORE_TO_END,
                                  .link = true};
    if (code == 0)
        code =
            store_get(delivery->options.store, &get, on_got, delivery, &delivery->operation, error);
    if (code < 0)
        close_remote(delivery);
    return code;
}
