/* What can be told from a job as a whole: whether its machine can run, for each of its actors. */
#ifndef MU_JOB_CHECK_H
#define MU_JOB_CHECK_H

#include "mu/job_node.h"

/* Checks the job that the reader has read from `root`, and gives each state without priority its distance
 * from the start. */
int job_check(const struct job_reader *reader, const struct node *root);

#endif
