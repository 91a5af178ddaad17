/* What starts workers and what these dial, as the command line says: --engine NAME, --engine-opt KEY=VALUE,
 * --advertise HOST[:PORT] and --rendezvous-port PORT. */
#ifndef CLI_ENGINE_CHOICE_H
#define CLI_ENGINE_CHOICE_H

#include <stdbool.h>
#include <stdint.h>

#include "engine/engine.h"

enum { ENGINE_CHOICE_MOST = 64 };

/* All zero: nothing was said. */
struct engine_choice_line {
    const char *name;
    struct engine_option option[ENGINE_CHOICE_MOST];
    int options;
    char *host;                     /* to be freed; NULL: what is listened at */
    uint16_t port, rendezvous_port; /* 0: any that is free */
};

enum {
    ENGINE_CHOICE_NAME = 1100,
    ENGINE_CHOICE_OPTION,
    ENGINE_CHOICE_ADVERTISE,
    ENGINE_CHOICE_RENDEZVOUS,
    ENGINE_CHOICE_END,
};
#define ENGINE_CHOICE_OPTIONS                                                                      \
    {"engine", required_argument, NULL, ENGINE_CHOICE_NAME},                                       \
        {"advertise", required_argument, NULL, ENGINE_CHOICE_ADVERTISE},                           \
        {"rendezvous-port", required_argument, NULL, ENGINE_CHOICE_RENDEZVOUS},                    \
    {                                                                                              \
        "engine-opt", required_argument, NULL, ENGINE_CHOICE_OPTION                                \
    }
/* Takes one of these; `value` must stay, and is changed. Prints a sentence and returns false where it cannot
 * be. */
bool engine_choice_take(struct engine_choice_line *line, int option, char *value);
static inline bool engine_choice_has(int option)
{
    return option >= ENGINE_CHOICE_NAME && option < ENGINE_CHOICE_END;
}
/* Points at the line. */
struct engine_choice engine_choice_of(const struct engine_choice_line *line);

#endif
