/* YUV4MPEG2 (Y4M), 8-bit 4:2:0: how raw pictures lie in files and pipes. */
#ifndef MEDIA_Y4M_H
#define MEDIA_Y4M_H

#include <stdio.h>

#include "excamera/vp8.h"
#include "media/format.h"
#include "util/error.h"

struct y4m_reader;

/* Opens `path`. `path` stays the caller's. */
int y4m_open(const char *path, struct y4m_reader **reader, struct error *error);
/* The same from a stream, read from where it stands. It is the reader's from then on, and closed with it or
 * when the call fails; `name` is what error sentences call it. */
int y4m_open_stream(FILE *stream, const char *name, struct y4m_reader **reader,
                    struct error *error);
/* The format as the file says; colour.full_range tells what the samples are: they are handed on
 * as they lie in the file. */
const struct video_format *y4m_format(const struct y4m_reader *reader);
/* 1 and a picture, 0 at the end, or a negative errno. The caller owns the picture. */
int y4m_read(struct y4m_reader *reader, struct xc_picture **picture, struct error *error);
void y4m_close(struct y4m_reader *reader); /* NULL is allowed */

/* Writers append to a stream that stays the caller's. */
int y4m_write_header(FILE *stream, const struct video_format *format, struct error *error);
int y4m_write(FILE *stream, const struct xc_picture *picture, struct error *error);

#endif
