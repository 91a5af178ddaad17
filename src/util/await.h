/*
 * What a command may ask of whoever runs it: to do what its job says of a named point, and to let it go on
 * when that is done; such as to bring a message that was not there yet when the command was started. The
 * environment's XC_CONTROL is the number of an open socket. The command writes the line
 *
 *     await NAME            or            await NAME NUMBER
 *
 * and reads a line: "ready"; or "done", where there is nothing to do any more; or "begun", where whom it asked about
 * has begun already; or "cancelled". One question
 * at a time; NAME is as await_is_name() says, NUMBER is a decimal of at most AWAIT_NUMBER. Who answers uses
 * mu/control.h.
 */
#ifndef UTIL_AWAIT_H
#define UTIL_AWAIT_H

#include <stdbool.h>
#include <stdint.h>

#include "util/error.h"

enum {
    AWAIT_NAME = 255, /* longest name */
    AWAIT_LINE = 320, /* no line is as long */
};

#define AWAIT_NUMBER INT64_C(999999999999999999)
#define AWAIT_NO_NUMBER INT64_C(-1)

enum { AWAIT_READY = 0, AWAIT_DONE = 1, AWAIT_BEGUN = 2 };

/* True for 1 to AWAIT_NAME characters of printable ASCII without spaces. */
bool await_is_name(const char *name);

/* Whether somebody answers: the command is run in a folder that is its own alone. */
bool await_is_answered(void);

/* Waits at the point. `number` may be AWAIT_NO_NUMBER. Returns AWAIT_READY, AWAIT_DONE or AWAIT_BEGUN; without
 * XC_CONTROL, in a command started by hand, AWAIT_READY at once. Fails with -ECANCELED where it will not
 * be done, -EPIPE where nobody answers any more, -EINVAL for what can be no point. */
int await_point(const char *name, int64_t number, struct error *error);

#endif
