#include "mu/slot_wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROOM = 4096 };

void slot_header(uint8_t header[SLOT_HEADER], enum slot_message type, size_t size)
{
    uint32_t words[2] = {(uint32_t)size, type};
    memcpy(header, words, sizeof words);
}

/* Bytes of the message that is coming in, as far as that can be said; at least those of its header. */
static size_t coming(const struct slot_inbox *inbox)
{
    uint32_t size;
    if (inbox->size - inbox->start < SLOT_HEADER)
        return SLOT_HEADER;
    memcpy(&size, inbox->data + inbox->start, sizeof size);
    return SLOT_HEADER + (size < SLOT_MESSAGE ? size : SLOT_MESSAGE);
}

uint8_t *slot_inbox_room(struct slot_inbox *inbox, size_t *room)
{
    size_t left = inbox->size - inbox->start;
    if (left > 0)
        memmove(inbox->data, inbox->data + inbox->start, left);
    inbox->start = 0;
    inbox->size = left;
    size_t wanted = coming(inbox);
    if (wanted < left + ROOM)
        wanted = left + ROOM;
    if (wanted > inbox->capacity) {
        uint8_t *data = realloc(inbox->data, wanted);
        if (data == NULL)
            return NULL;
        inbox->data = data;
        inbox->capacity = wanted;
    }
    *room = inbox->capacity - left;
    return inbox->data + left;
}

int slot_inbox_next(struct slot_inbox *inbox, enum slot_message *type, const uint8_t **data,
                    size_t *size)
{
    uint32_t words[2];
    size_t left = inbox->size - inbox->start;
    if (left < SLOT_HEADER)
        return 0;
    memcpy(words, inbox->data + inbox->start, sizeof words);
    if (words[0] > SLOT_MESSAGE)
        return -EBADMSG;
    if (left < SLOT_HEADER + (size_t)words[0])
        return 0;
    *size = words[0];
    *type = (enum slot_message)words[1];
    *data = inbox->data + inbox->start + SLOT_HEADER;
    inbox->start += SLOT_HEADER + *size;
    return 1;
}

void slot_inbox_free(struct slot_inbox *inbox)
{
    free(inbox->data);
}
