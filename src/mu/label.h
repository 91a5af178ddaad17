/* The names of messages between actors, as the protocol's Label has them. */
#ifndef MU_LABEL_H
#define MU_LABEL_H

#include <stdbool.h>
#include <stdint.h>

#include "mu/wire.h"

struct label {
    const char *from, *to, *name; /* each 1 to WIRE_NAME_MOST bytes */
};

bool label_valid(const struct label *label);
/* A copy, freed with label_release(). -ENOMEM. */
int label_copy(struct label *to, const struct label *label);
void label_release(struct label *label);
bool label_equal(const struct label *a, const struct label *b);
uint64_t label_hash(const struct label *label);

/* To and from the protocol's; both only point to the same strings. False where a label is missing or not
 * valid. */
bool label_of(struct label *label, const Mu__Label *message);
void label_to(Mu__Label *message, const struct label *label);

#endif
