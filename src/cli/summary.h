/* What came of an encode. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "encode/job.h"

/* For people, to standard error. */
void summary_print(const struct job_options *options, const struct job_summary *summary);
/* For programs: JSON, to standard output, or to standard error where the film goes to standard
 * output. Returns false when it could not be written. */
bool summary_print_json(const struct job_options *options, const struct job_summary *summary);

#endif
