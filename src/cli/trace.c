#include "cli/trace.h"

#include <errno.h>
#include <string.h>

int trace_open(const char *path, const char *mode, FILE **trace, struct error *error)
{
    *trace = NULL;
    if (path == NULL)
        return 0;
    *trace = fopen(path, mode);
    if (*trace == NULL)
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    setvbuf(*trace, NULL, _IOLBF, 0); /* what was said is there, whatever comes */
    return 0;
}

void trace_line(FILE *trace, const char *line)
{
    fprintf(trace, "%s\n", line);
}

int trace_close(FILE *trace, const char *path, struct error *error)
{
    if (trace != NULL && fclose(trace) != 0)
        return error_set(error, -errno, "%s: %s", path, strerror(errno));
    return 0;
}
