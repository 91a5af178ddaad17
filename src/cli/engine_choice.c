#include "cli/engine_choice.h"

#include <stdio.h>
#include <string.h>

bool engine_choice_take(struct engine_choice_line *line, int option, char *value)
{
    if (option == ENGINE_CHOICE_NAME) {
        line->name = value;
        return true;
    }
    char *equals = strchr(value, '=');
    if (equals == NULL || equals == value) {
        fprintf(stderr, "excamera: --engine-opt takes KEY=VALUE, not '%s'\n", value);
        return false;
    }
    if (line->options == ENGINE_CHOICE_MOST) {
        fprintf(stderr, "excamera: at most %d times --engine-opt\n", ENGINE_CHOICE_MOST);
        return false;
    }
    *equals = '\0';
    line->option[line->options++] = (struct engine_option){value, equals + 1};
    return true;
}

struct engine_choice engine_choice_of(const struct engine_choice_line *line)
{
    return (struct engine_choice){line->name, line->option, line->options};
}
