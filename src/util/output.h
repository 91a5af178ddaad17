/* Files that appear under their final name only when they are complete. */
#ifndef UTIL_OUTPUT_H
#define UTIL_OUTPUT_H

#include <stdbool.h>
#include <stdio.h>

#include "util/error.h"

/* An output being written: a temporary file beside `path`, or standard output where `path` is "-".
 */
struct output;

/* Opens the temporary file. Fails where `path` exists and `overwrite` is false. */
int output_open(const char *path, bool overwrite, struct output **output, struct error *error);
/* The same for secrets: nobody but the file's owner can ever open it. */
int output_open_private(const char *path, bool overwrite, struct output **output,
                        struct error *error);
/* The stream to write to; owned by `output`. */
FILE *output_stream(struct output *output);
/* The name of the temporary file ("-" for standard output), for libraries that open it themselves.
 */
const char *output_path(const struct output *output);
/* Flushes, syncs and renames to the final name. Frees `output` in any case; on failure nothing is
 * left of the file. */
int output_commit(struct output *output, struct error *error);
/* The same without syncing: for files that can be made again should the machine go down. */
int output_commit_unsynced(struct output *output, struct error *error);
/* Removes the temporary file and frees `output`; NULL is allowed. */
void output_abort(struct output *output);

/* Removes the temporary files in the current folder: those of processes that were killed. For when nobody else
 * writes there. */
void output_sweep(void);

#endif
