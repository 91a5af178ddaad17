/* Reads what comes next in a job file's machine: branches and their guards. */
#ifndef MU_JOB_GUARD_H
#define MU_JOB_GUARD_H

#include "mu/job_node.h"

/* The name of a state, or a list of branches. The job's states have their names by now. */
int job_guard_read_next(const struct job_reader *reader, const struct node *node,
                        struct job_next *next);

#endif
