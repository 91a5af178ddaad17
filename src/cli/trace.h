/* The file of `--trace`: what happens, a line of JSON each. */
#ifndef CLI_TRACE_H
#define CLI_TRACE_H

#include <stdio.h>

#include "util/error.h"

/* `mode` as fopen() has it. `path` NULL: no file is opened, and *trace is NULL. */
int trace_open(const char *path, const char *mode, FILE **trace, struct error *error);
void trace_line(FILE *trace, const char *line);
/* NULL is allowed. */
int trace_close(FILE *trace, const char *path, struct error *error);

#endif
