#include "vp8/decisions.h"

#include <stdlib.h>
#include <string.h>

void xc_decisions_clear(struct decision_list *list)
{
    list->size = 0;
    list->failed = false;
    memset(list->count, 0, sizeof list->count);
}

void xc_decisions_free(struct decision_list *list)
{
    free(list->entry);
    list->entry = NULL;
    list->size = list->capacity = 0;
}

bool xc_decisions_reserve(struct decision_list *list, size_t more)
{
    if (more <= list->capacity - list->size)
        return true;
    size_t capacity = list->size + more;
    if (capacity < 2 * list->capacity)
        capacity = 2 * list->capacity;
    decision *entry = realloc(list->entry, capacity * sizeof *entry);
    if (!entry) {
        list->failed = true;
        return false;
    }
    list->entry = entry;
    list->capacity = capacity;
    return true;
}

void xc_slot_probabilities(const struct frame_header *header, uint8_t probability[SLOTS])
{
    const struct probabilities *now = &header->now.probabilities;
    for (int i = 0; i < 256; i++)
        probability[SLOT_FIXED + i] = (uint8_t)i;
    probability[SLOT_INTRA] = header->intra_probability;
    probability[SLOT_LAST] = header->last_probability;
    probability[SLOT_GOLDEN] = header->golden_probability;
    memcpy(probability + SLOT_Y_MODE, now->y_mode, sizeof now->y_mode);
    memcpy(probability + SLOT_UV_MODE, now->uv_mode, sizeof now->uv_mode);
    memcpy(probability + SLOT_MV, now->mv, sizeof now->mv);
    memcpy(probability + SLOT_COEFFICIENT, now->coefficient, sizeof now->coefficient);
}

void xc_write_decisions(struct bool_writer *writer, const uint8_t probability[SLOTS],
                        const decision *entry, size_t size)
{
    struct bool_writer local = *writer; /* lets the compiler keep it in registers */
    for (size_t i = 0; i < size; i++)
        write_bool(&local, probability[entry[i] >> 1], entry[i] & 1);
    *writer = local;
}
