#include "util/write.h"

#include <errno.h>
#include <unistd.h>

int write_all(int file, const void *bytes, size_t size)
{
    const uint8_t *next = bytes;
    while (size > 0) {
        ssize_t written = write(file, next, size);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        next += written;
        size -= (size_t)written;
    }
    return 0;
}

int write_all_at(int file, const void *bytes, size_t size, uint64_t offset)
{
    const uint8_t *next = bytes;
    while (size > 0) {
        ssize_t written = pwrite(file, next, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return -errno;
        next += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}
