#include "mu/control.h"

#include <stdlib.h>
#include <string.h>

static const char question[] = "await ";

static bool parse_number(const char *text, int64_t *number)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 18 || text[digits] != '\0')
        return false;
    *number = strtoll(text, NULL, 10);
    return true;
}

bool control_parse(char *line, const char **name, int64_t *number)
{
    if (strncmp(line, question, strlen(question)) != 0)
        return false;
    *name = line + strlen(question);
    *number = AWAIT_NO_NUMBER;
    char *space = strchr(*name, ' ');
    if (space != NULL) {
        *space = '\0';
        if (!parse_number(space + 1, number))
            return false;
    }
    return await_is_name(*name);
}
