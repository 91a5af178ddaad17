#include "encode/reference.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "media/remote.h"

static const char file_url[] = "file://";

static int hex_value(char digit)
{
    static const char digits[] = "0123456789abcdefABCDEF";
    const char *found = digit != '\0' ? strchr(digits, digit) : NULL;
    return found == NULL ? -1 : (int)(found - digits) - (found - digits > 15 ? 6 : 0);
}

/* Takes %XX for the byte it stands for, in place. */
static void decode(char *path)
{
    char *to = path;
    for (const char *from = path; *from != '\0'; from++) {
        int high = *from == '%' ? hex_value(from[1]) : -1;
        int low = high >= 0 ? hex_value(from[2]) : -1;
        *to++ = low >= 0 ? (char)(high * 16 + low) : *from;
        from += low >= 0 ? 2 : 0;
    }
    *to = '\0';
}

int reference_resolve(const char *source, char **film, struct error *error)
{
    int code = 0;
    *film = NULL;
    if (remote_is_reference(source))
        code = remote_read_reference(source, film, error);
    if (code == 0 && (*film == NULL || remote_is_url(*film))) {
        free(*film);
        *film = strdup(source);
        code = *film != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
    }
    if (code < 0 || strncmp(*film, file_url, sizeof file_url - 1) != 0)
        return code;
    memmove(*film, *film + sizeof file_url - 1, strlen(*film + sizeof file_url - 1) + 1);
    decode(*film);
    return 0;
}
