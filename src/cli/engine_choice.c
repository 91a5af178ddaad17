#include "cli/engine_choice.h"

#include <stdio.h>
#include <string.h>

#include "cli/options.h"

static bool take_port(struct engine_choice_line *line, const char *value)
{
    int64_t port;
    if (!options_integer("--rendezvous-port", value, 1, UINT16_MAX, &port))
        return false;
    line->rendezvous_port = (uint16_t)port;
    return true;
}

static bool take_option(struct engine_choice_line *line, char *value)
{
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

bool engine_choice_take(struct engine_choice_line *line, int option, char *value)
{
    switch (option) {
    case ENGINE_CHOICE_NAME:
        line->name = value;
        return true;
    case ENGINE_CHOICE_OPTION:
        return take_option(line, value);
    case ENGINE_CHOICE_ADVERTISE:
        return options_host("--advertise", value, &line->host, &line->port);
    default:
        return take_port(line, value);
    }
}

struct engine_choice engine_choice_of(const struct engine_choice_line *line)
{
    return (struct engine_choice){line->name, line->option, line->options};
}
