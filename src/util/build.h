/* Which sources a program was made from; scripts/fingerprint.py makes it. */
#ifndef UTIL_BUILD_H
#define UTIL_BUILD_H

extern const char build_sources[]; /* a SHA-256 in hexadecimal digits */

#endif
