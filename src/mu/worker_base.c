/* Messages that others may be sent as a difference to: what was received stays at hand for that, whatever
 * commands do with their file, and what was sent does in any case. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/worker_private.h"
#include "util/beneath.h"

enum { LEAST_SIZE = 65536, MOST_SIZE = 1 << 26 };

struct kept {
    struct list_link link; /* in the attempt's `received` */
    struct store_identity identity;
    char file[32]; /* in the attempt's own folder */
};

/* Gives the received file another name, where commands do not see it. */
static int link_file(const struct attempt *attempt, const char *path, const char *name)
{
    const char *last;
    int folder = beneath_parent(attempt->files, path, false, &last);
    if (folder < 0)
        return folder;
    int code = linkat(folder, last, attempt->own, name, 0) == 0 ? 0 : -errno;
    close(folder);
    return code;
}

void worker_base_keep(const struct activity *activity, const struct store_identity *identity)
{
    struct attempt *attempt = activity->attempt;
    if (identity->size < LEAST_SIZE || identity->size > MOST_SIZE || attempt->over)
        return;
    struct kept *kept = calloc(1, sizeof *kept);
    if (kept == NULL)
        return;
    kept->identity = *identity;
    worker_attempt_draft(attempt, kept->file);
    list_append(&attempt->received, &kept->link);
    if (link_file(attempt, activity->receive->file, kept->file) == 0)
        return;
    list_remove(&kept->link);
    free(kept);
}

int worker_base_open(void *opaque, const struct label *label, const struct store_identity *identity)
{
    struct worker *worker = opaque;
    struct list_link *head = &worker->attempts;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct attempt *attempt = LIST_ENTRY(link, struct attempt, link);
        if (attempt->over || strcmp(attempt->actor, label->to) != 0)
            continue;
        for (struct list_link *at = attempt->received.next; at != &attempt->received;
             at = at->next) {
            struct kept *kept = LIST_ENTRY(at, struct kept, link);
            if (store_identity_agrees(&kept->identity, identity))
                return beneath_open(attempt->own, kept->file, O_RDONLY, 0);
        }
    }
    return -1;
}

int worker_base_find(const struct outgoing *outgoing, struct store_identity *identity)
{
    struct attempt *attempt = outgoing->attempt;
    uint64_t size = outgoing->identity.size;
    const struct outgoing *found = NULL;
    for (struct list_link *link = attempt->sends.next; link != &attempt->sends; link = link->next) {
        const struct outgoing *other = LIST_ENTRY(link, struct outgoing, link);
        if (other != outgoing && other->known && strcmp(other->to, outgoing->to) == 0 &&
            other->identity.size >= LEAST_SIZE && other->identity.size <= MOST_SIZE &&
            other->identity.size / 4 <= size && size / 4 <= other->identity.size)
            found = other;
    }
    if (found == NULL)
        return -1;
    *identity = found->identity;
    return beneath_open(attempt->own, found->file, O_RDONLY, 0);
}

void worker_base_free_all(struct attempt *attempt)
{
    while (!list_empty(&attempt->received)) {
        struct kept *kept = LIST_ENTRY(attempt->received.next, struct kept, link);
        list_remove(&kept->link);
        free(kept);
    }
}
