/* Reading numbers and quantities from the command line. */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

/* Each prints a sentence that names `option` and what is allowed, and returns false, where `text`
 * is not what it should be. */
bool options_integer(const char *option, const char *text, int64_t least, int64_t most,
                     int64_t *value);
bool options_int(const char *option, const char *text, int least, int most, int *value);
/* Bits per second as "96000" or "96k". */
bool options_bitrate(const char *option, const char *text, int *bits_per_second);
/* "[HOST:]PORT", an IPv6 address in brackets. `*host`, which may hold an earlier one, is the caller's to free;
 * NULL where it is not there. */
bool options_address(const char *option, const char *text, char **host, uint16_t *port);
/* "HOST[:PORT]", in the same way; the port is 0 where it is not there. */
bool options_host(const char *option, const char *text, char **host, uint16_t *port);
/* Seconds, with decimals, more than 0. */
bool options_seconds(const char *option, const char *text, uint64_t *ms);
/* Of money, more than 0. */
bool options_amount(const char *option, const char *text, double *value);

#endif
