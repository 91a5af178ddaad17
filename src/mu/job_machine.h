/* Reads a job file's "machine". */
#ifndef MU_JOB_MACHINE_H
#define MU_JOB_MACHINE_H

#include "mu/job_node.h"

/* What job_machine_read leaves open where the file does not say it. */
enum { JOB_NO_PRIORITY = -1 };

/* Fills the job's states and start. Variables and actors are known by now. A state without "priority" has
 * JOB_NO_PRIORITY. */
int job_machine_read(const struct job_reader *reader, const struct node *machine);

#endif
