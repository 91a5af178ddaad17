/* The rendezvous's room for messages, and which of them go when there is none. */
#include "mu/rendezvous_private.h"

bool rendezvous_complete(const struct held_message *message)
{
    return message->known && !message->identity.unsummed &&
           message->body.size == message->body.total;
}

void rendezvous_reconsider(struct held_message *message)
{
    struct rendezvous *rendezvous = message->job->rendezvous;
    bool droppable =
        rendezvous_complete(message) && message->body.size > 0 && list_empty(&message->subscribers);
    if (!droppable)
        list_remove(&message->droppable);
    else if (list_empty(&message->droppable))
        list_append(message->delivered ? &rendezvous->delivered : &rendezvous->unasked,
                    &message->droppable);
}

void rendezvous_let_go(struct held_message *message)
{
    list_remove(&message->droppable);
    spill_release(message->job->rendezvous->spill, &message->body);
}

/* Its name and identity stay. Those who wait for it get it should it be offered again, or from the store. */
static void drop(struct held_message *message)
{
    struct list_link *link = message->subscribers.next;
    for (; link != &message->subscribers; link = link->next)
        list_remove(&LIST_ENTRY(link, struct transfer, of_message)->ready);
    rendezvous_let_go(message);
    message->body.total = message->encoding.size;
    message->dropped = true;
    message->job->rendezvous->counters.dropped++;
}

static void drop_first(struct list_link *list)
{
    drop(LIST_ENTRY(list->next, struct held_message, droppable));
}

bool rendezvous_hold(struct held_message *message, const uint8_t *bytes, size_t size)
{
    struct rendezvous *rendezvous = message->job->rendezvous;
    uint64_t end = message->body.size + size;
    struct error error;
    while (spill_memory_full(rendezvous->spill) && !list_empty(&rendezvous->delivered))
        drop_first(&rendezvous->delivered);
    while (message->body.size < end) {
        size_t left = (size_t)(end - message->body.size);
        if (spill_append(rendezvous->spill, &message->body, bytes + size - left, left, &error) == 0)
            break;
        if (!list_empty(&rendezvous->delivered))
            drop_first(&rendezvous->delivered);
        else if (!list_empty(&rendezvous->unasked))
            drop_first(&rendezvous->unasked);
        else
            break;
    }
    if (message->body.size < end)
        drop(message);
    return message->body.size == end;
}
