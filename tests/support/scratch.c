#include "support/scratch.h"

#include <fcntl.h>
#include <ftw.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char folder[SCRATCH_PATH / 2];

enum test_level test_level(void)
{
    const char *word = getenv("XC_TESTS");
    if (word && !strcmp(word, "quick"))
        return TEST_QUICK;
    return word && !strcmp(word, "all") ? TEST_ALL : TEST_NORMAL;
}

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    return remove(path);
}

static void remove_folder(void)
{
    nftw(folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_folder(void)
{
    const char *parent = getenv("TMPDIR");
    snprintf(folder, sizeof folder, "%s/excamera-test-XXXXXX", parent ? parent : "/tmp");
    if (!mkdtemp(folder)) {
        perror(folder);
        exit(EXIT_FAILURE);
    }
    atexit(remove_folder);
}

void scratch_path(char path[SCRATCH_PATH], const char *name)
{
    if (!folder[0])
        make_folder();
    snprintf(path, SCRATCH_PATH, "%s/%s", folder, name);
}

int scratch_run(const char *const argv[])
{
    posix_spawn_file_actions_t actions;
    pid_t child;
    int status;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    int failed = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)argv, environ);
    posix_spawn_file_actions_destroy(&actions);
    if (failed || waitpid(child, &status, 0) < 0)
        return 127;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool scratch_material(char path[SCRATCH_PATH], const char *variable, const char *name)
{
    const char *named = getenv(variable);
    struct stat status;
    if (named)
        snprintf(path, SCRATCH_PATH, "%s", named);
    else
        snprintf(path, SCRATCH_PATH, "%s/../shared/%s", PROJECT_ROOT, name);
    return stat(path, &status) == 0 && S_ISDIR(status.st_mode);
}
