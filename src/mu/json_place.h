/* Where in a JSON text something is, for messages: a path of members and elements, and a line. */
#ifndef MU_JSON_PLACE_H
#define MU_JSON_PLACE_H

#include <stddef.h>

/* A place is a chain up to the root, on the stack of whoever walks the JSON. */
struct json_place {
    const struct json_place *up; /* NULL: this is the root, and the rest is not used */
    const char *key;             /* a member of an object, or NULL for an element of an array */
    size_t index;
};

/* Writes the path, as in `machine.states.encode.run.argv[3]`; cut off where it is too long. */
void json_place_path(const struct json_place *place, char *path, size_t size);

/* The line, from 1, in which the value at `place` begins, in a text that is valid JSON without repeated
 * members. For a place that the text does not have, the line of the nearest one above. */
int json_place_line(const char *text, size_t length, const struct json_place *place);

#endif
