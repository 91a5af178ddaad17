#include "mu/hash_table.h"

#include <errno.h>
#include <stdlib.h>

enum { FIRST_CAPACITY = 16 };

static struct hash_link **bucket_of(const struct hash_table *table, uint64_t hash)
{
    return &table->buckets[hash_number(hash) & (table->capacity - 1)];
}

static void put(struct hash_table *table, struct hash_link *link)
{
    struct hash_link **bucket = bucket_of(table, link->hash);
    link->next = *bucket;
    *bucket = link;
}

static int grow(struct hash_table *table)
{
    size_t capacity = table->capacity ? table->capacity * 2 : FIRST_CAPACITY;
    struct hash_table grown = {.capacity = capacity, .count = table->count};
    grown.buckets = calloc(capacity, sizeof *grown.buckets);
    if (grown.buckets == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < table->capacity; i++)
        for (struct hash_link *link = table->buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            put(&grown, link);
        }
    free(table->buckets);
    *table = grown;
    return 0;
}

int hash_insert(struct hash_table *table, struct hash_link *link, uint64_t hash)
{
    /* A table that cannot grow still works, only slower. */
    if (table->count >= table->capacity && grow(table) < 0 && table->capacity == 0)
        return -ENOMEM;
    link->hash = hash;
    put(table, link);
    table->count++;
    return 0;
}

void hash_remove(struct hash_table *table, struct hash_link *link)
{
    struct hash_link **at = bucket_of(table, link->hash);
    while (*at != link)
        at = &(*at)->next;
    *at = link->next;
    table->count--;
}

static struct hash_link *from(struct hash_link *link, uint64_t hash)
{
    while (link != NULL && link->hash != hash)
        link = link->next;
    return link;
}

struct hash_link *hash_first(const struct hash_table *table, uint64_t hash)
{
    return table->capacity ? from(*bucket_of(table, hash), hash) : NULL;
}

struct hash_link *hash_next(const struct hash_link *link)
{
    return from(link->next, link->hash);
}

void hash_each(struct hash_table *table, void (*each)(void *opaque, struct hash_link *link),
               void *opaque)
{
    for (size_t i = 0; i < table->capacity; i++)
        for (struct hash_link *link = table->buckets[i], *next; link != NULL; link = next) {
            next = link->next;
            each(opaque, link);
        }
}

void hash_release(struct hash_table *table)
{
    free(table->buckets);
    *table = (struct hash_table){0};
}

uint64_t hash_text(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++)
        hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
    return hash;
}

uint64_t hash_number(uint64_t number)
{
    number = (number ^ number >> 31) * UINT64_C(0x9e3779b97f4a7c15);
    return number ^ number >> 29;
}
