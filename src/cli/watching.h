/* What a person at the terminal sees of a job that a coordinator elsewhere runs. */
#ifndef CLI_WATCHING_H
#define CLI_WATCHING_H

#include "cli/submit.h"

struct watching {
    const char *command; /* for the beginnings of sentences: "run" */
    bool terminal;       /* standard error is one: there is a line that is rewritten */
    bool line_open;      /* the cursor stands behind it */
    double cost;         /* of the job so far; 0 where there is no price */
};

/* Fills in what is to be called; `watching` must outlive that. */
struct submit_events watching_events(struct watching *watching, const char *command);
/* Before anything else is printed. */
void watching_end(struct watching *watching);
/* What a job has cost, if anything. */
void watching_print_cost(const char *command, double cost);

#endif
