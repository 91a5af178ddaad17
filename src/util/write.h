/* Writing all of some bytes, however often the system takes only a part of them. */
#ifndef UTIL_WRITE_H
#define UTIL_WRITE_H

#include <stddef.h>
#include <stdint.h>

/* Both return 0 or a negative errno. */
int write_all(int file, const void *bytes, size_t size);
/* At this byte of the file, whose position stays. */
int write_all_at(int file, const void *bytes, size_t size, uint64_t offset);

#endif
