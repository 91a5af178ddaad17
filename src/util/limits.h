/* What the system lets this process have. */
#ifndef UTIL_LIMITS_H
#define UTIL_LIMITS_H

#include <stdint.h>

#include "util/error.h"

/* Lets this process and its children open as many files and connections at once as the system allows it
 * (the hard limit). -EMFILE, with a sentence for people, where that is less than `wanted`. */
int limits_open_files(uint64_t wanted, struct error *error);

#endif
