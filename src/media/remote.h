/*
 * A file behind an http:// or https:// URL, read by ranges while the caller waits. In place of a URL may stand
 * reference:FILE, the name of a file with a URL in its first line that permits reading for a while: when it is refused
 * one day, whoever runs this program is asked for a new one at the point `url` (util/await.h), and the file read again. A
 * fragment #etag=TAG of a URL says which ETag the file must have. What was read lies in a
 * bounded cache of blocks; where reading goes straight on, more is asked for at a time. What may pass (server
 * errors, cut connections, too many requests) is tried again for about half a minute.
 */
#ifndef MEDIA_REMOTE_H
#define MEDIA_REMOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

struct remote;

bool remote_is_url(const char *path); /* or such a reference */
/* The URL in the file of a reference, to be freed. */
int remote_read_reference(const char *reference, char **url, struct error *error);
bool remote_is_reference(const char *path);
/* The URL up to its query, which may hold a signature; for error sentences. Freed by the caller, NULL for want
 * of memory, and where a reference cannot be read. */
char *remote_name(const char *url);

/* Finds out how large the file is. Fails with -ENOENT, -EACCES, -EINVAL where the server gives no ranges or the
 * file is empty, -EIO for what did not pass. */
int remote_open(const char *url, struct remote **remote, struct error *error);
int64_t remote_size(const struct remote *remote); /* bytes */
/* Bytes at `offset`, at least one and at most `size`; 0 at the end, or a negative errno; it is an error when the
 * file is not the one any more that was opened. */
int remote_read(struct remote *remote, int64_t offset, uint8_t *bytes, int size,
                struct error *error);
void remote_close(struct remote *remote); /* NULL is allowed */

#endif
