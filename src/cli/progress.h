/* How an encode gets on, for the person at the terminal. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>

#include "cli/encode_run.h"

/* Zero-initialise. */
struct progress {
    bool terminal;       /* standard error is one: a line that is rewritten */
    double last_seconds; /* when a line was printed last */
    bool line_open;      /* the cursor stands behind a line */
};

void progress_show(struct progress *progress, const struct encode_progress *now);
/* Removes the line, before anything else is printed. */
void progress_end(struct progress *progress);

/* Seconds as "0:07" or "1:02:03". */
void progress_duration(double seconds, char *text, size_t size);

#endif
