/* Whether pictures repeat the ones before them, without noise: that decides how fine those ought to be that others
 * are predicted from. */
#ifndef ENCODE_STILLNESS_H
#define ENCODE_STILLNESS_H

#include <stdbool.h>

#include "excamera/vp8.h"
#include "util/error.h"

/* True when most of `picture` is in `before`, at most a few pixels elsewhere, with differences that are small
 * beside its contents. Both have the same size. By their samples alone, so that it is the same everywhere. */
bool stillness_holds(const struct xc_picture *before, const struct xc_picture *picture);

/* Of a raw chunk, a Y4M file: `*still` becomes true when that holds from each picture to the next, and there are at
 * least two. Films from cameras are read only as far as the second one. Returns 0 or a negative errno. */
int stillness_of_chunk(const char *raw, bool *still, struct error *error);

#endif
