#include "mu/label.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "mu/hash_table.h"

static bool name_valid(const char *name)
{
    size_t length = name ? strnlen(name, WIRE_NAME_MOST + 1) : 0;
    return length > 0 && length <= WIRE_NAME_MOST;
}

bool label_valid(const struct label *label)
{
    return name_valid(label->from) && name_valid(label->to) && name_valid(label->name);
}

int label_copy(struct label *to, const struct label *label)
{
    size_t from_size = strlen(label->from) + 1, to_size = strlen(label->to) + 1;
    size_t name_size = strlen(label->name) + 1;
    char *text = malloc(from_size + to_size + name_size);
    if (text == NULL)
        return -ENOMEM;
    memcpy(text, label->from, from_size);
    memcpy(text + from_size, label->to, to_size);
    memcpy(text + from_size + to_size, label->name, name_size);
    to->from = text;
    to->to = text + from_size;
    to->name = text + from_size + to_size;
    return 0;
}

void label_release(struct label *label)
{
    free((char *)label->from);
    *label = (struct label){0};
}

bool label_equal(const struct label *a, const struct label *b)
{
    return strcmp(a->from, b->from) == 0 && strcmp(a->to, b->to) == 0 &&
           strcmp(a->name, b->name) == 0;
}

uint64_t label_hash(const struct label *label)
{
    uint64_t hash = hash_text(HASH_BEGIN, label->to);
    hash = hash_text(hash_number(hash), label->from);
    return hash_text(hash_number(hash), label->name);
}

bool label_of(struct label *label, const Mu__Label *message)
{
    if (message == NULL)
        return false;
    *label = (struct label){.from = message->from, .to = message->to, .name = message->name};
    return label_valid(label);
}

void label_to(Mu__Label *message, const struct label *label)
{
    mu__label__init(message);
    message->from = (char *)label->from;
    message->to = (char *)label->to;
    message->name = (char *)label->name;
}
