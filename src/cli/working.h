/* Runs a worker in this process, until it has ended: for whoever has its invocation. */
#ifndef CLI_WORKING_H
#define CLI_WORKING_H

#include "cli/build.h"
#include "mu/invocation.h"
#include "util/error.h"

/* What this program is: the same for all workers of a process. */
struct working {
    char facts[BUILD_FACTS_SIZE];
    char *program;
};

int working_open(struct working *working, struct error *error);
void working_close(struct working *working);

/* Works until the worker is dismissed. Fails as it does, or with -ECANCELED after SIGINT or SIGTERM, and when
 * the life that the invocation gives it is over. */
int working_run(const struct working *working, const struct invocation *invocation,
                struct error *error);

#endif
