/* What came of an encode. */
#ifndef CLI_SUMMARY_H
#define CLI_SUMMARY_H

#include "cli/encode_run.h"

/* For people, to standard error. */
void summary_print(const struct encode_options *options, const struct encode_result *result);
/* For programs: JSON, to standard output, or to standard error where the film goes to standard
 * output. Returns false when it could not be written. */
bool summary_print_json(const struct encode_options *options, const struct encode_result *result);

#endif
