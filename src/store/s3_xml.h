/* What S3 answers, read element by element. */
#ifndef STORE_S3_XML_H
#define STORE_S3_XML_H

#include <stdbool.h>
#include <stddef.h>

enum {
    S3_XML_TEXT = 2048
}; /* longest text of an element, with the zero byte; the rest is cut off */

/* At the end of each element: its name, that of the one it is in ("" of the outermost), and the text since its
 * beginning or its last inner element. False ends the reading. */
typedef bool s3_xml_element(void *opaque, const char *parent, const char *name, const char *text);

/* Returns 0; -EBADMSG where it is no XML or too deep; -ECANCELED where it was ended; -ENOMEM. */
int s3_xml_read(const void *bytes, size_t size, s3_xml_element *element, void *opaque);

/* Copies the text of the first element `name` in `parent` (NULL: wherever) into `text`; false where there is
 * none. */
bool s3_xml_find(const void *bytes, size_t size, const char *parent, const char *name, char *text,
                 size_t room);

#endif
