/* The side of a slot in what util/await.h says: taking apart what its command asks. */
#ifndef MU_CONTROL_H
#define MU_CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "util/await.h"

/* What a command reads. */
enum control_answer { CONTROL_CANCELLED, CONTROL_READY, CONTROL_DONE, CONTROL_BEGUN };

/* Takes a question apart, a line without its end. `name` points into it, and is ended by a zero byte;
 * `number` is AWAIT_NO_NUMBER where there is none. False where it is no question. */
bool control_parse(char *line, const char **name, int64_t *number);

#endif
