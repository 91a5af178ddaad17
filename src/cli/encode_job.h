/* The encode job, examples/encode.json, as a text in this program. */
#ifndef CLI_ENCODE_JOB_H
#define CLI_ENCODE_JOB_H

extern const char encode_job_text[];

#endif
