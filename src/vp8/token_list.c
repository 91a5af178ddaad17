#include "vp8/token_list.h"

#include <stdlib.h>
#include <string.h>

static bool grow_rows(struct token_list *list, int rows)
{
    if (rows <= list->row_capacity)
        return true;
    struct token_row *row = realloc(list->row, (size_t)rows * sizeof *row);
    if (!row)
        return false;
    list->row = row;
    list->row_capacity = rows;
    return true;
}

static bool grow_parts(struct token_list *list, int parts)
{
    if (parts <= list->part_capacity)
        return true;
    struct decision_list *part = realloc(list->part, (size_t)parts * sizeof *part);
    if (!part)
        return false;
    memset(part + list->part_capacity, 0, (size_t)(parts - list->part_capacity) * sizeof *part);
    list->part = part;
    list->part_capacity = parts;
    return true;
}

bool xc_token_list_start(struct token_list *list, int rows, int parts)
{
    if (!grow_rows(list, rows) || !grow_parts(list, parts))
        return false;
    list->parts = parts;
    for (int i = 0; i < parts; i++)
        xc_decisions_clear(&list->part[i]);
    return true;
}

void xc_token_list_free(struct token_list *list)
{
    for (int i = 0; i < list->part_capacity; i++)
        xc_decisions_free(&list->part[i]);
    free(list->part);
    free(list->row);
    *list = (struct token_list){0};
}

void xc_token_list_begin_row(struct token_list *list, int row, int part)
{
    list->row[row] = (struct token_row){.part = part, .begin = list->part[part].size};
}

void xc_token_list_end_row(struct token_list *list, int row)
{
    list->row[row].end = list->part[list->row[row].part].size;
}

bool xc_token_list_failed(const struct token_list *list)
{
    for (int i = 0; i < list->parts; i++)
        if (list->part[i].failed)
            return true;
    return false;
}

void xc_token_list_count(const struct token_list *list, int slot, uint32_t count[2])
{
    count[0] = count[1] = 0;
    for (int i = 0; i < list->parts; i++) {
        count[0] += list->part[i].count[slot][0];
        count[1] += list->part[i].count[slot][1];
    }
}
