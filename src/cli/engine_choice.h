/* What starts workers, as the command line says: --engine NAME and --engine-opt KEY=VALUE. */
#ifndef CLI_ENGINE_CHOICE_H
#define CLI_ENGINE_CHOICE_H

#include <stdbool.h>

#include "engine/engine.h"

enum { ENGINE_CHOICE_MOST = 64 };

/* All zero: nothing was said. */
struct engine_choice_line {
    const char *name;
    struct engine_option option[ENGINE_CHOICE_MOST];
    int options;
};

enum { ENGINE_CHOICE_NAME = 1100, ENGINE_CHOICE_OPTION };
#define ENGINE_CHOICE_OPTIONS                                                                      \
    {"engine", required_argument, NULL, ENGINE_CHOICE_NAME},                                       \
    {                                                                                              \
        "engine-opt", required_argument, NULL, ENGINE_CHOICE_OPTION                                \
    }
/* Takes one of these; `value` must stay, and is changed. Prints a sentence and returns false where it cannot
 * be. */
bool engine_choice_take(struct engine_choice_line *line, int option, char *value);
/* Points at the line. */
struct engine_choice engine_choice_of(const struct engine_choice_line *line);

#endif
