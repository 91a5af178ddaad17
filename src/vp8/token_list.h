/* The decisions of a frame's tokens: in one list for each thread that codes rows of macroblocks. */
#ifndef VP8_TOKEN_LIST_H
#define VP8_TOKEN_LIST_H

#include "vp8/decisions.h"

/* Where the decisions of a row of macroblocks are: those of part[part] from `begin` to `end`. */
struct token_row {
    int part;
    size_t begin, end;
};

/* Zero-initialise. */
struct token_list {
    struct decision_list *part;
    int parts, part_capacity;
    struct token_row *row;
    int row_capacity;
};

/* Empties the list and makes it one of so many rows and parts; false when out of memory. */
bool xc_token_list_start(struct token_list *list, int rows, int parts);
void xc_token_list_free(struct token_list *list);

/* A row's tokens go to a part, from here on up to there. */
void xc_token_list_begin_row(struct token_list *list, int row, int part);
void xc_token_list_end_row(struct token_list *list, int row);

/* Whether a part is incomplete. */
bool xc_token_list_failed(const struct token_list *list);
/* How often a slot's bool was 0 and 1. */
void xc_token_list_count(const struct token_list *list, int slot, uint32_t count[2]);

#endif
