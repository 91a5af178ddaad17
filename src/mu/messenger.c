#include "mu/messenger.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/messenger_private.h"
#include "mu/rendezvous.h"
#include "util/beneath.h"

enum { LEAST_PAUSE = 100, MOST_PAUSE = 5000 };

static int out_of_memory(struct error *error)
{
    return error_set(error, -ENOMEM, "out of memory");
}

/* ---- items --------------------------------------------------------------------------------- */

/* The rendezvous of messages to `actor`: the same for all of the job's workers that know of the same lost
 * ones. Where all are lost, the messages wait with the first. */
struct route *messenger_route_to(struct messenger *messenger, const char *actor)
{
    size_t first = hash_text(HASH_BEGIN, actor) % messenger->count;
    for (size_t i = 0; i < messenger->count; i++) {
        struct route *route = &messenger->routes[(first + i) % messenger->count];
        if (!route->lost)
            return route;
    }
    return &messenger->routes[first];
}

static int item_init(struct item *item, enum item_kind kind, struct messenger *messenger,
                     const struct label *label)
{
    item->kind = kind;
    item->messenger = messenger;
    list_init(&item->of_route);
    list_init(&item->queue);
    if (label_copy(&item->label, label) < 0)
        return -ENOMEM;
    struct hash_table *table = kind == ITEM_SEND ? &messenger->sends : &messenger->receives;
    if (hash_insert(table, &item->by_label, label_hash(label)) == 0)
        return 0;
    label_release(&item->label);
    return -ENOMEM;
}

void messenger_item_free(struct item *item)
{
    struct messenger *messenger = item->messenger;
    messenger_route_remove(item);
    label_release(&item->label);
    if (item->kind == ITEM_SEND) {
        struct messenger_send *send = (struct messenger_send *)item;
        hash_remove(&messenger->sends, &item->by_label);
        messenger_stop_encoding(send);
        close(send->file);
        if (send->encoded >= 0)
            close(send->encoded);
    } else {
        struct messenger_receive *receive = (struct messenger_receive *)item;
        hash_remove(&messenger->receives, &item->by_label);
        list_remove(&receive->handing);
        messenger_receive_release(receive);
    }
    free(item);
}

/* The first item at or behind `link` that has the label. */
static struct item *with_label(struct hash_link *link, const struct label *label)
{
    for (; link != NULL; link = hash_next(link)) {
        struct item *item = HASH_ENTRY(link, struct item, by_label);
        if (label_equal(&item->label, label))
            return item;
    }
    return NULL;
}

/* ---- from here to here --------------------------------------------------------------------- */

static void on_soon(uv_timer_t *timer)
{
    struct messenger *messenger = timer->data;
    struct list_link handing;
    list_take(&handing, &messenger->handing);
    while (!list_empty(&handing)) {
        struct messenger_receive *receive =
            LIST_ENTRY(handing.next, struct messenger_receive, handing);
        list_remove(&receive->handing);
        messenger_receive_local(receive);
    }
}

/* Hands the send's file to the receive, soon. */
static int hand(struct messenger_send *send, struct messenger_receive *receive)
{
    struct messenger *messenger = send->item.messenger;
    int file = fcntl(send->file, F_DUPFD_CLOEXEC, 0);
    if (file < 0)
        return -errno;
    messenger_route_remove(&receive->item);
    receive->local = file;
    receive->identity = send->identity;
    list_append(&messenger->handing, &receive->handing);
    uv_timer_start(&messenger->soon, on_soon, 0, 0);
    return 0;
}

/* Whether somebody here waited for it. */
static bool hand_to_all(struct messenger_send *send)
{
    struct messenger *messenger = send->item.messenger;
    struct hash_link *link = hash_first(&messenger->receives, label_hash(&send->item.label));
    struct item *item;
    bool handed = false;
    for (; (item = with_label(link, &send->item.label)) != NULL;
         link = hash_next(&item->by_label)) {
        struct messenger_receive *receive = (struct messenger_receive *)item;
        if (receive->local < 0)
            handed |= hand(send, receive) == 0;
    }
    return handed;
}

/* ---- sending ------------------------------------------------------------------------------- */

struct messenger_send *messenger_make_send(struct messenger *messenger, const struct label *label,
                                           int file, const struct store_identity *identity)
{
    struct messenger_send *send = calloc(1, sizeof *send);
    if (send == NULL || item_init(&send->item, ITEM_SEND, messenger, label) < 0) {
        free(send);
        return NULL;
    }
    send->file = file;
    send->identity = *identity;
    send->encoding = encoding_plain(identity->size);
    send->there = identity->unsummed ? 0 : UINT64_MAX;
    send->encoded = -1;
    return send;
}

void messenger_offer(struct messenger_send *send)
{
    messenger_route_add(messenger_route_to(send->item.messenger, send->item.label.to), &send->item);
}

int messenger_send(struct messenger *messenger, const struct label *label, int file,
                   const struct store_identity *identity, const struct messenger_base *base,
                   bool here, struct messenger_send **made, struct error *error)
{
    struct messenger_send *send = NULL;
    *made = NULL;
    if (!label_valid(label) || identity->size > INT64_MAX || identity->unsummed) {
        error_set(error, -EINVAL, "a message cannot be called '%.80s'", label->name);
        goto failed;
    }
    send = messenger_make_send(messenger, label, file, identity);
    if (send == NULL) {
        out_of_memory(error);
        goto failed;
    }
    send->aside = hand_to_all(send) || here;
    if (!messenger_encode(send, base))
        messenger_offer(send);
    *made = send;
    return 0;
failed:
    close(file);
    return error->code;
}

static bool is_awaited_here(struct messenger *messenger, const struct label *label)
{
    return with_label(hash_first(&messenger->receives, label_hash(label)), label) != NULL;
}

int messenger_begin(struct messenger *messenger, const struct label *label, int file, uint64_t size,
                    struct messenger_send **made, struct error *error)
{
    const struct store_identity identity = {.size = size, .unsummed = true};
    *made = NULL;
    if (!label_valid(label) || size == 0 || size > INT64_MAX)
        error_set(error, -EINVAL, "a message cannot be called '%.80s'", label->name);
    else if (is_awaited_here(messenger, label) ||
             messenger_pays(messenger, label->to, size) == MESSENGER_DIFFERENCE)
        error_set(error, -EAGAIN, "it goes as a whole");
    else if ((*made = messenger_make_send(messenger, label, file, &identity)) == NULL)
        out_of_memory(error);
    if (*made == NULL) {
        close(file);
        return error->code;
    }
    if (!messenger_encode(*made, NULL))
        messenger_offer(*made);
    return 0;
}

static void grown(struct messenger_send *send)
{
    if (send->encode != NULL)
        messenger_encode_grown(send);
    else if (send->item.route != NULL)
        messenger_route_grown(send);
    else if (!send->identity.unsummed) /* it has been encoded */
        messenger_offer(send);
}

void messenger_grow(struct messenger_send *send, uint64_t there)
{
    send->there = there;
    grown(send);
}

void messenger_complete(struct messenger_send *send, const struct store_identity *identity)
{
    send->identity = *identity;
    send->there = UINT64_MAX;
    grown(send);
}

void messenger_withdraw(struct messenger_send *send)
{
    if (send->beside != NULL)
        messenger_item_free(&send->beside->item);
    messenger_item_free(&send->item);
}

/* ---- receiving ----------------------------------------------------------------------------- */

static int set_paths(struct messenger_receive *receive, const struct store_file *to,
                     struct error *error)
{
    char part[4096];
    if (snprintf(part, sizeof part, "%s.part", to->path) >= (int)sizeof part ||
        !beneath_is_path(part))
        return error_set(error, -EINVAL, "'%.200s' is not a path beneath a folder", to->path);
    receive->path = strdup(to->path);
    receive->part = strdup(part);
    if (receive->path == NULL || receive->part == NULL)
        return out_of_memory(error);
    receive->folder = fcntl(to->folder, F_DUPFD_CLOEXEC, 0);
    if (receive->folder < 0)
        return error_set(error, -errno, "cannot hold a folder open: %s", strerror(errno));
    return 0;
}

int messenger_receive(struct messenger *messenger, const struct label *label,
                      const struct store_file *to, messenger_received *done, void *opaque,
                      struct messenger_receive **made, struct error *error)
{
    *made = NULL;
    if (!label_valid(label))
        return error_set(error, -EINVAL, "a message cannot be called '%.80s'", label->name);
    struct messenger_receive *receive = calloc(1, sizeof *receive);
    if (receive == NULL)
        return out_of_memory(error);
    receive->folder = receive->file = receive->local = receive->base = -1;
    list_init(&receive->handing);
    receive->done = done;
    receive->opaque = opaque;
    int code = set_paths(receive, to, error);
    if (code == 0 && (code = item_init(&receive->item, ITEM_RECEIVE, messenger, label)) < 0)
        out_of_memory(error);
    if (code < 0) {
        messenger_receive_release(receive);
        free(receive);
        return code;
    }
    struct item *item = with_label(hash_first(&messenger->sends, label_hash(label)), label);
    struct messenger_send *send = (struct messenger_send *)item;
    if (send == NULL || send->identity.unsummed || hand(send, receive) < 0)
        messenger_route_add(messenger_route_to(messenger, label->to), &receive->item);
    *made = receive;
    return 0;
}

uint64_t messenger_received_so_far(const struct messenger_receive *receive)
{
    return receive->item.position;
}

void messenger_cancel(struct messenger_receive *receive)
{
    messenger_item_free(&receive->item);
}

/* ---- the whole ----------------------------------------------------------------------------- */

static void move_items(struct route *from)
{
    struct messenger *messenger = from->messenger;
    struct list_link items;
    list_take(&items, &from->items);
    while (!list_empty(&items)) {
        struct item *item = LIST_ENTRY(items.next, struct item, of_route);
        messenger_route_remove(item);
        if (item->kind == ITEM_SEND)
            ((struct messenger_send *)item)->wanted = false;
        messenger_route_add(messenger_route_to(messenger, item->label.to), item);
    }
}

void messenger_map_out(struct messenger *messenger, size_t index)
{
    if (index >= messenger->count || messenger->routes[index].lost)
        return;
    messenger_route_lose(&messenger->routes[index]);
    move_items(&messenger->routes[index]);
}

void messenger_release(struct messenger *messenger)
{
    if (--messenger->users > 0)
        return;
    for (size_t i = 0; messenger->routes != NULL && i < messenger->count; i++) {
        hash_release(&messenger->routes[i].transfers);
        free(messenger->routes[i].host);
    }
    hash_release(&messenger->sends);
    hash_release(&messenger->receives);
    free(messenger->routes);
    free(messenger->job);
    free(messenger->build);
    free(messenger->folder);
    free(messenger);
}

static int copy_options(struct messenger *messenger, const struct messenger_options *options)
{
    messenger->client = options->client;
    messenger->worker = options->worker;
    messenger->handlers = *options->handlers;
    messenger->opaque = options->opaque;
    messenger->least_pause = options->least_pause ? options->least_pause : LEAST_PAUSE;
    messenger->most_pause = options->most_pause ? options->most_pause : MOST_PAUSE;
    messenger->job = strdup(options->job);
    messenger->build = strdup(options->build ? options->build : "");
    if (options->folder != NULL && (messenger->folder = strdup(options->folder)) == NULL)
        return -ENOMEM;
    messenger->routes = calloc(options->count, sizeof *messenger->routes);
    if (messenger->job == NULL || messenger->build == NULL || messenger->routes == NULL)
        return -ENOMEM;
    messenger->count = options->count;
    for (size_t i = 0; i < options->count; i++) {
        messenger->routes[i].messenger = messenger;
        messenger->routes[i].port = options->targets[i].port;
        messenger->routes[i].speeds[0] = options->speed;
        messenger->routes[i].host = strdup(options->targets[i].host);
        if (messenger->routes[i].host == NULL)
            return -ENOMEM;
    }
    return 0;
}

int messenger_new(struct network *network, const struct messenger_options *options,
                  struct messenger **made, struct error *error)
{
    char name[RENDEZVOUS_NAME_SIZE];
    *made = NULL;
    if (options->count == 0 || !rendezvous_job_name(name, options->job))
        return error_set(error, -EINVAL, "a job without a rendezvous, or without a valid name");
    struct messenger *messenger = calloc(1, sizeof *messenger);
    if (messenger == NULL)
        return out_of_memory(error);
    messenger->network = network;
    messenger->users = 1;
    list_init(&messenger->handing);
    if (copy_options(messenger, options) < 0) {
        messenger_release(messenger);
        return out_of_memory(error);
    }
    uv_timer_init(network_loop(network), &messenger->soon);
    messenger->soon.data = messenger;
    for (size_t i = 0; i < messenger->count; i++) {
        messenger_route_init(&messenger->routes[i]);
        messenger_route_dial(&messenger->routes[i]);
    }
    *made = messenger;
    return 0;
}

const struct messenger_counters *messenger_counters(const struct messenger *messenger)
{
    return &messenger->counters;
}

int messenger_unmet(const struct messenger *messenger)
{
    for (size_t i = 0; i < messenger->count; i++)
        if (!messenger->routes[i].met && !messenger->routes[i].lost)
            return (int)i;
    return -1;
}

const char *messenger_trouble(const struct messenger *messenger)
{
    return messenger->trouble;
}

static void free_item(void *opaque, struct hash_link *link)
{
    messenger_item_free(HASH_ENTRY(link, struct item, by_label));
}

static void on_soon_closed(uv_handle_t *handle)
{
    messenger_release(handle->data);
}

void messenger_free(struct messenger *messenger)
{
    if (messenger == NULL)
        return;
    messenger->freed = true;
    for (size_t i = 0; i < messenger->count; i++)
        messenger_route_close(&messenger->routes[i]);
    hash_each(&messenger->sends, free_item, NULL);
    hash_each(&messenger->receives, free_item, NULL);
    uv_close((uv_handle_t *)&messenger->soon, on_soon_closed);
}
