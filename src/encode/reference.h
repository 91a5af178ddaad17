/* How a task is told of its film: by name, or by a file that holds its URL (docs/job-format.md, `get`). */
#ifndef ENCODE_REFERENCE_H
#define ENCODE_REFERENCE_H

#include "util/error.h"

/* `source` is a file, an http(s) or file URL, or reference:FILE, a file with such a URL in it. `*film` is then a
 * file's name, an http(s) URL, or still the reference where that is to one (media/remote.h), for the caller to free. */
int reference_resolve(const char *source, char **film, struct error *error);

#endif
