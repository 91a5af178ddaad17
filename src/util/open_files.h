/* How many files and connections this process may have open. */
#ifndef UTIL_OPEN_FILES_H
#define UTIL_OPEN_FILES_H

#include <stdint.h>

#include "util/error.h"

/* Lets this process and its children open as many files and connections at once as the system allows it
 * (the hard limit). -EMFILE, with a sentence for people, where that is less than `wanted`. */
int open_files_allow(uint64_t wanted, struct error *error);

#endif
