/* The folder where an encode's intermediate files live, and their names. */
#ifndef ENCODE_SCRATCH_H
#define ENCODE_SCRATCH_H

#include <stdbool.h>

#include "encode/graph.h"
#include "util/error.h"

struct scratch;

/* Makes a new folder under TMPDIR, or else /var/tmp, which is made for large files. With `keep`, it
 * is that folder, made if it is missing, and nothing in it is ever removed; it must be empty unless
 * `reuse` is true. */
int scratch_open(const char *keep, bool reuse, struct scratch **scratch, struct error *error);

const char *scratch_folder(const struct scratch *scratch);

enum { SCRATCH_NAME_SIZE = 48 };
/* The file's name within the folder, as "000012-rebased.ivf". */
void scratch_name(struct graph_name name, char buffer[SCRATCH_NAME_SIZE]);
/* The same with the folder before it; the caller frees it. NULL when out of memory. */
char *scratch_path(const struct scratch *scratch, struct graph_name name);

/* Removes a file that is not needed any more. */
void scratch_remove(struct scratch *scratch, struct graph_name name);

/* Removes the folder with all that is in it; of a kept one, what killed tasks left half written. */
void scratch_close(struct scratch *scratch); /* NULL is allowed */

#endif
