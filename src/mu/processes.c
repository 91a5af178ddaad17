#include "mu/processes.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ENVIRONMENT = 64 * 1024 }; /* bytes of an environment that are looked through */

/* Reads a file of a process; returns its size, with a zero byte behind, or 0. */
static size_t read_file(int proc, const char *pid, const char *name, char *data, size_t capacity)
{
    char path[64];
    size_t size = 0;
    ssize_t got;
    snprintf(path, sizeof path, "%.20s/%s", pid, name);
    int fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    while (size < capacity - 1 && (got = read(fd, data + size, capacity - 1 - size)) > 0)
        size += (size_t)got;
    close(fd);
    data[size] = '\0';
    return size;
}

static bool is_child(int proc, const char *pid, const char *unused, char *buffer)
{
    int parent;
    char state;
    if (read_file(proc, pid, "stat", buffer, ENVIRONMENT) == 0)
        return false;
    /* The name between the brackets may have brackets of its own. */
    const char *after = strrchr(buffer, ')');
    return after != NULL && sscanf(after + 1, " %c %d", &state, &parent) == 2 && parent == getpid();
}

static bool is_marked(int proc, const char *pid, const char *entry, char *buffer)
{
    size_t size = read_file(proc, pid, "environ", buffer, ENVIRONMENT);
    for (size_t at = 0; at < size; at += strlen(buffer + at) + 1)
        if (strcmp(buffer + at, entry) == 0)
            return true;
    return false;
}

/* Kills those that `chosen` says yes to; returns how many. */
static int kill_chosen(bool (*chosen)(int proc, const char *pid, const char *entry, char *buffer),
                       const char *entry)
{
    int killed = 0;
    char *buffer = malloc(ENVIRONMENT);
    DIR *proc = opendir("/proc");
    struct dirent *one;
    while (buffer != NULL && proc != NULL && (one = readdir(proc)) != NULL) {
        int pid = atoi(one->d_name);
        if (pid <= 1 || pid == getpid() || !chosen(dirfd(proc), one->d_name, entry, buffer))
            continue;
        kill(pid, SIGKILL);
        killed++;
    }
    if (proc != NULL)
        closedir(proc);
    free(buffer);
    return killed;
}

void processes_kill_children(void)
{
    kill_chosen(is_child, NULL);
}

int processes_kill_marked(const char *entry)
{
    return kill_chosen(is_marked, entry);
}
