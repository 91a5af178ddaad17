/* Pseudo-random numbers that are the same on every machine. */
#ifndef SUPPORT_RANDOM_H
#define SUPPORT_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct random {
    uint64_t state;
};

/* Uniform in [0, limit); `limit` is at least 1. */
static inline int random_below(struct random *random, int limit)
{
    random->state = random->state * 6364136223846793005u + 1442695040888963407u;
    return (int)((random->state >> 33) % (uint64_t)limit);
}

/* Uniform in [low, high]. */
static inline int random_between(struct random *random, int low, int high)
{
    return low + random_below(random, high - low + 1);
}

static inline bool random_chance(struct random *random, int percent)
{
    return random_below(random, 100) < percent;
}

#endif
