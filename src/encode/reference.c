#include "encode/reference.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_BYTES = 16384 };

static const char mark[] = "reference:", file_url[] = "file://";

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

/* The first line of a file. */
static int read_url(const char *path, char **url, struct error *error)
{
    char line[MOST_BYTES];
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    if (fgets(line, sizeof line, file) == NULL)
        line[0] = '\0';
    fclose(file);
    line[strcspn(line, "\r\n")] = '\0';
    if (strstr(line, "://") == NULL)
        return error_set(error, -EINVAL, "%s holds no URL", path);
    *url = strdup(line);
    return *url != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

int reference_resolve(const char *source, char **film, struct error *error)
{
    int code = 0;
    *film = NULL;
    if (strncmp(source, mark, sizeof mark - 1) == 0)
        code = read_url(source + sizeof mark - 1, film, error);
    else if ((*film = strdup(source)) == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    if (code < 0 || strncmp(*film, file_url, sizeof file_url - 1) != 0)
        return code;
    memmove(*film, *film + sizeof file_url - 1, strlen(*film + sizeof file_url - 1) + 1);
    decode(*film);
    return 0;
}
