/* Pictures as MD5 sums, the way conformance vectors name them. */
#ifndef MEDIA_DIGEST_H
#define MEDIA_DIGEST_H

#include "excamera/vp8.h"

#define DIGEST_HEX_SIZE 33 /* 32 digits and a zero byte */

/* Of the picture as I420 at its display size: Y, U, V, row by row without gaps. Fails with -ENOMEM
 * only. */
int digest_picture(const struct xc_picture *picture, char hex[DIGEST_HEX_SIZE]);

#endif
