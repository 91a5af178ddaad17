#include "slot_tasks.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/await.h"

extern char **environ;

static volatile int counter = 41;

/* Changes all that a task might leave behind in its process. */
static int disturb(void)
{
    printf("%d %d\n", counter++, optind);
    optind = 17;
    setenv("DISTURBED", "1", 1);
    signal(SIGTERM, SIG_IGN);
    umask(077);
    return chdir("/") != 0 || open("/dev/null", O_RDONLY) != 4;
}

static int show_surroundings(void)
{
    char folder[PATH_MAX];
    printf("%s\n", getcwd(folder, sizeof folder));
    for (int i = 0; environ[i] != NULL; i++)
        printf("%s\n", environ[i]);
    for (int fd = 0; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            printf("fd %d\n", fd);
    return getchar() != EOF;
}

static int read_options(int argc, char **argv)
{
    int option, found = 0;
    while ((option = getopt(argc, argv, "a:b")) != -1)
        found += option == 'a' ? atoi(optarg) : 1;
    printf("%d\n", found);
    return EXIT_SUCCESS;
}

static int use_memory(size_t size)
{
    char *memory = malloc(size);
    if (memory == NULL)
        return EXIT_FAILURE;
    for (size_t i = 0; i < size; i += 4096)
        *(volatile char *)(memory + i) = 1;
    free(memory);
    return EXIT_SUCCESS;
}

static int use_processor(void)
{
    struct rusage usage;
    do
        getrusage(RUSAGE_SELF, &usage);
    while (usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec < 100000);
    return EXIT_SUCCESS;
}

/* Waits at a point as often as is asked for. */
static int await(const char *name, int64_t number, int times)
{
    struct error error;
    for (int i = 0; i < times; i++) {
        if (await_point(name, number, &error) < 0) {
            printf("%s\n", error.message);
            return EXIT_FAILURE;
        }
        printf("went on\n");
    }
    return EXIT_SUCCESS;
}

/* A grandchild in a session of its own, whose parent is gone, and a child of that. */
static int run_away(void)
{
    if (fork() > 0)
        return EXIT_SUCCESS;
    setsid();
    if (fork() > 0)
        _exit(EXIT_SUCCESS);
    signal(SIGTERM, SIG_IGN);
    if (fork() == 0)
        setsid();
    for (;;)
        pause();
}

/* Of this process or of the one that it was forked from. */
static int prepared;

static void prepare(int argc, char **argv)
{
    prepared += argc > 1 && !strcmp(argv[0], "task") && !strcmp(argv[1], "prepared");
}

static int run(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "";
    const char *argument = argc > 2 ? argv[2] : "0";
    if (strcmp(argv[0], "task") != 0)
        return 99;
    if (!strcmp(name, "status"))
        return atoi(argument);
    if (!strcmp(name, "prepared"))
        return prepared++;
    if (!strcmp(name, "disturb"))
        return disturb();
    if (!strcmp(name, "surroundings"))
        return show_surroundings();
    if (!strcmp(name, "options"))
        return read_options(argc - 1, argv + 1);
    if (!strcmp(name, "memory"))
        return use_memory((size_t)atoi(argument) << 20);
    if (!strcmp(name, "processor"))
        return use_processor();
    if (!strcmp(name, "await"))
        return await(argument, argc > 3 ? atoll(argv[3]) : AWAIT_NO_NUMBER, 2);
    if (!strcmp(name, "away"))
        return run_away();
    if (!strcmp(name, "signal"))
        return raise(atoi(argument));
    while (!strcmp(name, "spin"))
        counter++;
    return 98;
}

const struct slot_tasks slot_tasks = {.prepare = prepare, .run = run};
