/*
 * What a command that a slot runs may ask of whoever runs it: to do what its job says of a named point, and
 * to let it go on when that is done; such as to bring a message that was not there yet when the command was
 * started. The environment's XC_CONTROL is the number of an open socket. The command writes the line
 *
 *     await NAME            or            await NAME NUMBER
 *
 * and reads the line "ready" or "cancelled". One question at a time; NAME is as control_is_name() says,
 * NUMBER is a decimal of at most CONTROL_NUMBER.
 */
#ifndef MU_CONTROL_H
#define MU_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

enum {
    CONTROL_NAME = 255, /* longest name */
    CONTROL_LINE = 320, /* no line is as long */
};

#define CONTROL_NUMBER INT64_C(999999999999999999)
#define CONTROL_NO_NUMBER INT64_C(-1)

/* True for 1 to CONTROL_NAME characters of printable ASCII without spaces. */
bool control_is_name(const char *name);

/* For the command: waits at the point. `number` may be CONTROL_NO_NUMBER. Without XC_CONTROL, in a command
 * started by hand, all is taken to be done. Fails with -ECANCELED where it will not be done, -EPIPE where
 * nobody answers any more. */
int control_await(const char *name, int64_t number, struct error *error);

/* For who answers: takes a question apart, a line without its end. `name` points into it, and is ended by
 * a zero byte. False where it is none. */
bool control_parse(char *line, const char **name, int64_t *number);

#endif
