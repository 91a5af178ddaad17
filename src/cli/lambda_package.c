/* `excamera lambda package`: hands over to the script that builds the function's zip from the program's sources. */
#include "cli/lambda.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/build.h"

static const char script[] = "scripts/lambda/package.py";
/* Below the folders of `make install`; a program in a build folder has its sources above it. */
static const char installed[] = "share/excamera/source/";

static bool find_below(const char *folder, char path[PATH_MAX])
{
    static const char *const between[] = {installed, ""};
    for (size_t i = 0; i < sizeof between / sizeof between[0]; i++) {
        int size = snprintf(path, PATH_MAX, "%s/%s%s", folder, between[i], script);
        if (size < PATH_MAX && access(path, R_OK) == 0)
            return true;
    }
    return false;
}

/* Looks in each folder above the program, the nearest first. */
static bool find_script(char *program, char path[PATH_MAX])
{
    char *slash;
    while ((slash = strrchr(program, '/')) != NULL) {
        *slash = '\0';
        if (find_below(program, path))
            return true;
    }
    return false;
}

static int find(char path[PATH_MAX], struct error *error)
{
    char *program;
    int code = build_program(&program, error);
    if (code < 0)
        return code;
    if (!find_script(program, path))
        code =
            error_set(error, -ENOENT,
                      "the sources are not there, of which the package is built: "
                      "use the excamera of a checkout, or one that `make install` has installed");
    free(program);
    return code;
}

/* Returns only when it fails. */
static int hand_over(char *path, int argc, char **argv, struct error *error)
{
    char **words = calloc((size_t)argc + 2, sizeof *words);
    if (words == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    words[0] = "python3";
    words[1] = path;
    memcpy(words + 2, argv + 1, (size_t)argc * sizeof *words); /* with the NULL behind them */
    execvp(words[0], words);
    int code = error_set(error, -errno, "cannot start python3: %s", strerror(errno));
    free(words);
    return code;
}

int lambda_package(int argc, char **argv)
{
    char path[PATH_MAX];
    struct error error;
    if (find(path, &error) == 0)
        hand_over(path, argc, argv, &error);
    fprintf(stderr, "excamera lambda package: %s\n", error.message);
    return EXIT_FAILURE;
}
