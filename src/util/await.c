#include "util/await.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

bool await_is_name(const char *name)
{
    size_t length = 0;
    for (; name[length] != '\0'; length++)
        if (name[length] <= ' ' || name[length] > '~' || length == AWAIT_NAME)
            return false;
    return length > 0;
}

static int ask(int fd, const char *name, int64_t number)
{
    char line[AWAIT_LINE];
    int size = number < 0 ? snprintf(line, sizeof line, "await %s\n", name)
                          : snprintf(line, sizeof line, "await %s %" PRId64 "\n", name, number);
    ssize_t sent;
    do
        sent = send(fd, line, (size_t)size, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent == size ? 0 : -EPIPE;
}

/* Reads up to the end of a line, byte by byte: what follows may be for another. */
static int read_line(int fd, char line[AWAIT_LINE])
{
    for (size_t size = 0; size < AWAIT_LINE;) {
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

bool await_is_answered(void)
{
    return getenv("XC_CONTROL") != NULL;
}

int await_point(const char *name, int64_t number, struct error *error)
{
    char line[AWAIT_LINE];
    const char *descriptor = getenv("XC_CONTROL");
    if (!await_is_name(name) || number < AWAIT_NO_NUMBER || number > AWAIT_NUMBER)
        return error_set(error, -EINVAL, "there can be no point '%s' to wait at", name);
    if (descriptor == NULL)
        return AWAIT_READY;
    int fd = atoi(descriptor);
    if (ask(fd, name, number) < 0 || read_line(fd, line) < 0)
        return error_set(error, -EPIPE, "waited for %s, but nobody answers any more", name);
    if (strcmp(line, "ready") == 0)
        return AWAIT_READY;
    if (strcmp(line, "done") == 0)
        return AWAIT_DONE;
    if (strcmp(line, "begun") == 0)
        return AWAIT_BEGUN;
    return error_set(error, -ECANCELED, "waited for %s, but it will not come", name);
}
