/* Compressed VP8 frames out of IVF, WebM, or any other container that libavformat reads. */
#ifndef MEDIA_PACKET_H
#define MEDIA_PACKET_H

#include "excamera/vp8.h"
#include "media/format.h"
#include "util/error.h"

struct packet_reader;

/* `path` is a file, or "-" for IVF on standard input. */
int packet_open(const char *path, struct packet_reader **reader, struct error *error);
/* As the container says; frames have their own size. */
const struct video_format *packet_format(const struct packet_reader *reader);
/* 1 and a frame (in `frame`, overwritten by the next call's), 0 at the end, or a negative errno. A
 * frame may have no bytes. */
int packet_read(struct packet_reader *reader, struct xc_buffer *frame, struct error *error);
void packet_close(struct packet_reader *reader); /* NULL is allowed */

#endif
