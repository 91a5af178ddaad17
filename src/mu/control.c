#include "mu/control.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

static const char question[] = "await ";

bool control_is_name(const char *name)
{
    size_t length = 0;
    for (; name[length] != '\0'; length++)
        if (name[length] <= ' ' || name[length] > '~' || length == CONTROL_NAME)
            return false;
    return length > 0;
}

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
    *number = CONTROL_NO_NUMBER;
    char *space = strchr(*name, ' ');
    if (space != NULL) {
        *space = '\0';
        if (!parse_number(space + 1, number))
            return false;
    }
    return control_is_name(*name);
}

static int ask(int fd, const char *name, int64_t number)
{
    char line[CONTROL_LINE];
    int size = number < 0
                   ? snprintf(line, sizeof line, "%s%s\n", question, name)
                   : snprintf(line, sizeof line, "%s%s %" PRId64 "\n", question, name, number);
    ssize_t sent;
    do
        sent = send(fd, line, (size_t)size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == size ? 0 : -EPIPE;
}

/* Reads up to the end of a line, byte by byte: what follows may be for another. */
static int read_line(int fd, char line[CONTROL_LINE])
{
    for (size_t size = 0; size < CONTROL_LINE;) {
        ssize_t got = recv(fd, line + size, 1, 0);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -EPIPE;
        if (line[size] == '\n') {
            line[size] = '\0';
            return 0;
        }
        size++;
    }
    return -EPIPE;
}

int control_await(const char *name, int64_t number, struct error *error)
{
    char line[CONTROL_LINE];
    const char *descriptor = getenv("XC_CONTROL");
    if (!control_is_name(name) || number < CONTROL_NO_NUMBER || number > CONTROL_NUMBER)
        return error_set(error, -EINVAL, "there can be no point '%s' to wait at", name);
    if (descriptor == NULL)
        return 0;
    int fd = atoi(descriptor);
    if (ask(fd, name, number) < 0 || read_line(fd, line) < 0)
        return error_set(error, -EPIPE, "waited for %s, but nobody answers any more", name);
    if (strcmp(line, "ready") == 0)
        return 0;
    return error_set(error, -ECANCELED, "waited for %s, but it will not come", name);
}
