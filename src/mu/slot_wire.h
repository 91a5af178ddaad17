/* What a slot and its child say to each other over their socket: both are the same program on the same
 * machine, so numbers and structs are as they lie in memory. */
#ifndef MU_SLOT_WIRE_H
#define MU_SLOT_WIRE_H

#include "mu/slot.h"

enum slot_message {
    SLOT_RUN =
        1, /* to the child: struct slot_run, then folder and arguments, each with its zero byte */
    SLOT_CANCEL, /* to the child */
    SLOT_ANSWER, /* to the child: one byte, an enum control_answer */
    SLOT_AWAIT,  /* from the child: struct slot_await */
    SLOT_DONE, /* from the child: struct slot_done, then reason, out and err, each with a zero byte */
};

struct slot_run {
    uint64_t limit_ms;
    uint32_t arguments;
};

struct slot_await {
    int64_t number;
    char name[AWAIT_NAME + 1];
};

struct slot_done {
    int32_t end, status;
    uint32_t reason, out, err; /* sizes, without the zero bytes */
    uint64_t out_total, err_total;
    uint64_t wall_us, waited_us, user_us, system_us, peak_bytes;
};

enum {
    SLOT_HEADER = 8, /* bytes before each message: its size without them, and its type */
    SLOT_MESSAGE = SLOT_COMMAND + 1024, /* the longest, without the header */
};

/* Writes a message's header. */
void slot_header(uint8_t header[SLOT_HEADER], enum slot_message type, size_t size);

/* What has come in and is not yet taken out. */
struct slot_inbox {
    uint8_t *data;
    size_t start, size, capacity; /* from `start` to `size` is to be taken out */
};

/* Where to read to next, and how much at most. NULL when there is no memory for it. */
uint8_t *slot_inbox_room(struct slot_inbox *inbox, size_t *room);
/* Takes a message out: 1, or 0 where it is not all there, or -EBADMSG. It is valid until the next
 * slot_inbox_room(). */
int slot_inbox_next(struct slot_inbox *inbox, enum slot_message *type, const uint8_t **data,
                    size_t *size);
void slot_inbox_free(struct slot_inbox *inbox);

#endif
