/*
 * The bools of a frame's macroblocks between being decided and being coded: which one it is, and its value. They
 * are counted as they are listed, since the probabilities that they are then coded with are fitted to the
 * counts.
 */
#ifndef VP8_DECISIONS_H
#define VP8_DECISIONS_H

#include "vp8/bool_writer.h"
#include "vp8/frame.h"

/* The probability that a bool is coded with. */
enum decision_slot {
    SLOT_FIXED = 0, /* plus a probability, [1, 255], that is always that */
    SLOT_INTRA = 256,
    SLOT_LAST,
    SLOT_GOLDEN,
    SLOT_Y_MODE, /* these two in inter frames */
    SLOT_UV_MODE = SLOT_Y_MODE + 4,
    SLOT_MV = SLOT_UV_MODE + 3,                        /* [row, column][MV_PROBABILITIES] */
    SLOT_COEFFICIENT = SLOT_MV + 2 * MV_PROBABILITIES, /* as coefficient_probabilities */
    SLOTS = SLOT_COEFFICIENT + sizeof(coefficient_probabilities)
};

/* A slot times 2, plus the bool. */
typedef uint16_t decision;

/* Zero-initialise. */
struct decision_list {
    decision *entry;
    size_t size, capacity;
    bool failed; /* out of memory: the list is incomplete */
    uint32_t count[SLOTS][2];
};

void xc_decisions_clear(struct decision_list *list);
void xc_decisions_free(struct decision_list *list);
/* Makes room for so many entries more; false, and `failed`, when out of memory. */
bool xc_decisions_reserve(struct decision_list *list, size_t more);

/* Appends an entry; there must be room. */
static inline void decide(struct decision_list *list, int slot, int bit)
{
    list->entry[list->size++] = (decision)(2 * slot + bit);
    list->count[slot][bit]++;
}

/* The probabilities that a header says. */
void xc_slot_probabilities(const struct frame_header *header, uint8_t probability[SLOTS]);

/* Codes `size` entries. */
void xc_write_decisions(struct bool_writer *writer, const uint8_t probability[SLOTS],
                        const decision *entry, size_t size);

#endif
