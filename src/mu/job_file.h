/*
 * Job files: reads and checks them, docs/job-format.md is their format. Nothing of a job is taken that
 * could not run: whatever can be told from the file alone is an error here, with the file, the place in
 * it and the reason.
 */
#ifndef MU_JOB_FILE_H
#define MU_JOB_FILE_H

#include <stddef.h>

#include "mu/job.h"
#include "util/error.h"

/* A value for one of the job's variables, in place of the file's. */
struct job_choice {
    const char *variable;
    const char *value; /* as on a command line: "12", "true", any string */
};

/* Loads the job file `path` ("-": standard input). The job is the caller's to free, as is the file's text,
 * unless `text` is NULL; both NULL on failure: -EINVAL where the file is not a job, or what opening and
 * reading it gave. */
int job_file_load(const char *path, const struct job_choice *choice, int choices, struct job **job,
                  char **text, size_t *size, struct error *error);

/* The same from memory; `name` is what messages call it. */
int job_file_parse(const char *name, const char *text, size_t length,
                   const struct job_choice *choice, int choices, struct job **job,
                   struct error *error);

#endif
