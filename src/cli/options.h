/* Reading numbers and quantities from the command line. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Each prints a sentence that names `option` and what is allowed, and returns false, where `text`
 * is not what it should be. */
bool options_integer(const char *option, const char *text, int64_t least, int64_t most,
                     int64_t *value);
/* Bits per second as "96000" or "96k". */
bool options_bitrate(const char *option, const char *text, int *bits_per_second);

#endif
