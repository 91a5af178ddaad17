/* Doubly linked lists through members of what they hold. A link that is in no list points at itself,
 * so that it can be taken out at any time. */
#ifndef NET_LIST_H
#define NET_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* The head of a list, or a place in one. */
struct list_link {
    struct list_link *next, *previous;
};

/* What holds `link` as its `member`. */
#define LIST_ENTRY(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

static inline void list_init(struct list_link *link)
{
    link->next = link->previous = link;
}

static inline bool list_empty(const struct list_link *head)
{
    return head->next == head;
}

/* Puts `link`, which is in no list, at the end. */
static inline void list_append(struct list_link *head, struct list_link *link)
{
    link->next = head;
    link->previous = head->previous;
    head->previous->next = link;
    head->previous = link;
}

/* Takes `link` out of its list, if it is in one. */
static inline void list_remove(struct list_link *link)
{
    link->next->previous = link->previous;
    link->previous->next = link->next;
    list_init(link);
}

/* Moves all of `from` to `to`, which is not in use. */
static inline void list_take(struct list_link *to, struct list_link *from)
{
    list_init(to);
    if (list_empty(from))
        return;
    *to = *from;
    to->next->previous = to;
    to->previous->next = to;
    list_init(from);
}

#endif
