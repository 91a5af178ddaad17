/* Hash tables through members of what they hold; who uses one compares the keys. */
#ifndef MU_HASH_TABLE_H
#define MU_HASH_TABLE_H

#include <stddef.h>
#include <stdint.h>

/* A member of what is held. */
struct hash_link {
    struct hash_link *next;
    uint64_t hash;
};

/* All zero is an empty table. */
struct hash_table {
    struct hash_link **buckets;
    size_t capacity; /* a power of two, or 0 */
    size_t count;
};

#define HASH_ENTRY(link, type, member) ((type *)((char *)(link)-offsetof(type, member)))

/* Puts `link`, which is in no table, under `hash`. -ENOMEM. */
int hash_insert(struct hash_table *table, struct hash_link *link, uint64_t hash);
/* Takes out a link that is in the table. */
void hash_remove(struct hash_table *table, struct hash_link *link);
/* The first link under `hash`, and the one after `link` under the same; NULL where there is none. */
struct hash_link *hash_first(const struct hash_table *table, uint64_t hash);
struct hash_link *hash_next(const struct hash_link *link);
/* Calls `each` for every link; it may remove and free the one that it is given, and no other. */
void hash_each(struct hash_table *table, void (*each)(void *opaque, struct hash_link *link),
               void *opaque);
/* Frees what the table has of its own. */
void hash_release(struct hash_table *table);

/* FNV-1a, 64 bits, of text; `hash` is HASH_BEGIN, or what came before. */
#define HASH_BEGIN UINT64_C(0xcbf29ce484222325)
uint64_t hash_text(uint64_t hash, const char *text);
/* Spreads a number over all bits. */
uint64_t hash_number(uint64_t number);

#endif
