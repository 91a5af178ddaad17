/*
 * How long it takes to hand over what the next step needs, as a chain of rebases does with states:
 *
 *     bench_handover EXCAMERA [FILE]
 *
 * A ring of two actors whose commands hand a file on to one another: FILE, or what is made here, as large as a
 * state of 1080p and as one of 3840x2160. The time is from the end of one's command to the beginning of the
 * other's, as the commands themselves see it: so the start of a process is part of it.
 *
 *   two workers         of one slot each, by way of the rendezvous over TLS; by root also over a network of
 *                       1 Gbit/s, which both ways share
 *   one with two slots  handed over on the worker
 *
 * Run by root, each job has a loopback network of its own, whose traffic is told as well: all of it, with what
 * TLS, TCP and the coordinator add, in MB for each hand-over. What goes by way of the rendezvous goes twice.
 */
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "must.h"

enum { ROUNDS = 50, LINES = 4 * ROUNDS, PATH_SIZE = 256 };

static const char job[] =
    "{\"format\": 1, \"job\": \"handover\",\n"
    " \"variables\": {\"step\": \"\", \"log\": \"\", \"film\": \"\", \"rounds\": 1, \"round\": "
    "0},\n"
    " \"inputs\": [{\"file\": \"${film}\", \"key\": \"state\"}],\n"
    " \"actors\": [{\"family\": \"half\", \"count\": 2}],\n"
    " \"machine\": {\n"
    "  \"start\": [{\"if\": {\"variable\": \"index\", \"is\": 0}, \"to\": \"begin\"},\n"
    "            {\"to\": \"take-there\"}],\n"
    "  \"states\": {\n"
    "   \"begin\": {\"get\": {\"key\": \"state\", \"file\": \"in\"}, \"on\": {\"ok\": \"work\"}},\n"
    "   \"work\": {\"run\": {\"argv\": [\"${step}\", \"step\", \"${log}\"]}, \"on\": {\"ok\": [\n"
    "     {\"if\": {\"variable\": \"index\", \"is\": 0}, \"to\": \"tell-there\"},\n"
    "     {\"to\": \"tell-back\"}]}},\n"
    "   \"tell-there\": {\"send\": {\"to\": \"${next}\", \"name\": \"there-${round}\", \"file\": "
    "\"out\"},\n"
    "     \"on\": {\"ok\": \"take-back\"}},\n"
    "   \"take-there\": {\"receive\": {\"from\": \"${previous}\", \"name\": \"there-${round}\",\n"
    "     \"file\": \"in\"}, \"on\": {\"ok\": \"work\"}},\n"
    "   \"tell-back\": {\"send\": {\"to\": \"${previous}\", \"name\": \"back-${round}\", \"file\": "
    "\"out\"},\n"
    "     \"on\": {\"ok\": \"count\"}},\n"
    "   \"take-back\": {\"receive\": {\"from\": \"${next}\", \"name\": \"back-${round}\",\n"
    "     \"file\": \"in\"}, \"on\": {\"ok\": \"count\"}},\n"
    "   \"count\": {\"set\": {\"round\": {\"add\": 1}}, \"on\": {\"ok\": [\n"
    "     {\"if\": {\"variable\": \"round\", \"at_least\": \"${rounds}\"}, \"to\": \"done\"},\n"
    "     {\"if\": {\"variable\": \"index\", \"is\": 0}, \"to\": \"work\"},\n"
    "     {\"to\": \"take-there\"}]}},\n"
    "   \"done\": {\"quit\": {}}}}}\n";

/* ---- the command --------------------------------------------------------------------------- */

static int64_t now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (int64_t)time.tv_sec * 1000000000 + time.tv_nsec;
}

/* Lines of other commands do not mix with it. */
static void note(const char *path, char what, int64_t time)
{
    char line[64];
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int size = snprintf(line, sizeof line, "%c %lld\n", what, (long long)time);
    MUST(fd >= 0 && write(fd, line, (size_t)size) == size);
    close(fd);
}

static void step(const char *log, int64_t begun)
{
    static char bytes[1 << 16];
    size_t size;
    note(log, 'b', begun);
    FILE *in = fopen("in", "rb"), *out = fopen("out", "wb");
    MUST(in != NULL && out != NULL);
    while ((size = fread(bytes, 1, sizeof bytes, in)) > 0)
        MUST(fwrite(bytes, 1, size, out) == size);
    MUST(fclose(in) == 0 && fclose(out) == 0);
    note(log, 'e', now());
}

/* ---- measuring ----------------------------------------------------------------------------- */

struct place {
    char folder[64], job[PATH_SIZE], log[PATH_SIZE], state[PATH_SIZE], self[PATH_SIZE];
};

/* Half noise: about as hard to compress as pictures. */
static void make_state(const char *path, int size)
{
    uint32_t seed = 1;
    FILE *file = fopen(path, "wb");
    MUST(file != NULL);
    for (int i = 0; i < size; i++) {
        seed = seed * 1664525 + 1013904223;
        putc((i / 1920 + i % 1920 / 8 + (int)(seed >> 28)) & 255, file);
    }
    MUST(fclose(file) == 0);
}

static void make_place(struct place *place)
{
    strcpy(place->folder, "/var/tmp/bench-handover-XXXXXX");
    MUST(mkdtemp(place->folder) != NULL);
    snprintf(place->job, PATH_SIZE, "%s/job.json", place->folder);
    snprintf(place->log, PATH_SIZE, "%s/log", place->folder);
    snprintf(place->state, PATH_SIZE, "%s/state", place->folder);
    ssize_t size = readlink("/proc/self/exe", place->self, PATH_SIZE - 1);
    MUST(size > 0);
    place->self[size] = '\0';
    FILE *file = fopen(place->job, "w");
    MUST(file != NULL && fputs(job, file) >= 0 && fclose(file) == 0);
}

static void remove_place(const struct place *place)
{
    unlink(place->job);
    unlink(place->log);
    unlink(place->state);
    rmdir(place->folder);
}

/* Its loopback interface takes a gigabit a second and no more, as tc(8) has it. */
static void slow_down(void)
{
    int status;
    pid_t child = fork();
    if (child == 0) {
        execlp("tc", "tc", "qdisc", "add", "dev", "lo", "root", "tbf", "rate", "1gbit", "burst",
               "256kb", "latency", "100ms", (char *)NULL);
        _exit(127);
    }
    MUST(child > 0 && waitpid(child, &status, 0) == child && status == 0);
}

/* A network of this process's own, with nothing but a loopback interface; false where that is not allowed. */
static bool enter_network(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
    if (unshare(CLONE_NEWNET) != 0)
        return false;
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    bool up = fd >= 0 && ioctl(fd, SIOCSIFFLAGS, &request) == 0;
    MUST(up);
    close(fd);
    return true;
}

/* Bytes that have gone over its loopback interface. */
static unsigned long long network_bytes(void)
{
    char line[512];
    unsigned long long bytes = 0;
    FILE *file = fopen("/proc/thread-self/net/dev", "r");
    MUST(file != NULL);
    while (fgets(line, sizeof line, file) != NULL)
        sscanf(line, " lo: %llu", &bytes);
    fclose(file);
    return bytes;
}

static pid_t start_job(const struct place *place, const char *excamera, const char *state,
                       const char *workers, const char *slots)
{
    char set_step[PATH_SIZE + 16], set_log[PATH_SIZE + 16], set_film[PATH_SIZE + 16], rounds[32];
    snprintf(set_step, sizeof set_step, "step=%s", place->self);
    snprintf(set_log, sizeof set_log, "log=%s", place->log);
    snprintf(set_film, sizeof set_film, "film=%s", state);
    snprintf(rounds, sizeof rounds, "rounds=%d", ROUNDS);
    pid_t child = fork();
    if (child == 0) {
        execl(excamera, excamera, "run", place->job, set_step, set_log, set_film, rounds,
              "--workers", workers, "--slots", slots, (char *)NULL);
        _exit(127);
    }
    return child;
}

struct way {
    const char *name, *workers, *slots;
    bool slow; /* not where there is no network of its own */
};

/* Returns the bytes that went over its network, 0 where that cannot be told. */
static unsigned long long run_job(const struct place *place, const char *excamera,
                                  const char *state, const struct way *way)
{
    unsigned long long bytes = 0;
    int status, result[2];
    MUST(pipe(result) == 0);
    pid_t child = fork();
    if (child == 0) {
        bool own = enter_network();
        if (own && way->slow)
            slow_down();
        pid_t run = start_job(place, excamera, state, way->workers, way->slots);
        MUST(waitpid(run, &status, 0) == run && status == 0);
        bytes = own ? network_bytes() : 0;
        MUST(write(result[1], &bytes, sizeof bytes) == sizeof bytes);
        _exit(EXIT_SUCCESS);
    }
    MUST(waitpid(child, &status, 0) == child && status == 0);
    MUST(read(result[0], &bytes, sizeof bytes) == sizeof bytes);
    close(result[0]);
    close(result[1]);
    return bytes;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Commands go one after the other, so their lines do too. */
static void report(const struct place *place, const char *name, unsigned long long bytes)
{
    double took[LINES];
    int count = 0;
    long long time, end = 0;
    char what;
    FILE *file = fopen(place->log, "r");
    MUST(file != NULL);
    while (fscanf(file, " %c %lld", &what, &time) == 2) {
        if (what == 'b' && end > 0)
            took[count++] = (double)(time - end) / 1e6;
        end = what == 'e' ? time : 0;
    }
    fclose(file);
    unlink(place->log);
    MUST(count == 2 * ROUNDS - 1);
    qsort(took, (size_t)count, sizeof took[0], compare);
    printf("  %s: median %.1f ms, least %.1f, nine in ten under %.1f, longest %.1f", name,
           took[count / 2], took[0], took[count * 9 / 10], took[count - 1]);
    if (bytes > 0)
        printf("; %.2f MB", (double)bytes / count / 1e6);
    putchar('\n');
    fflush(stdout);
}

static void measure(const struct place *place, const char *excamera, const char *state,
                    const char *what)
{
    static const struct way ways[] = {
        {"two workers", "2", "1", false},
        {"two workers, 1 Gbit/s", "2", "1", true},
        {"one worker with two slots", "1", "2", false},
    };
    printf("hand-over of %s, %d times\n", what, 2 * ROUNDS - 1);
    for (size_t i = 0; i < sizeof ways / sizeof ways[0]; i++)
        if (!ways[i].slow || geteuid() == 0)
            report(place, ways[i].name, run_job(place, excamera, state, &ways[i]));
}

int main(int argc, char **argv)
{
    int64_t begun = now();
    if (argc == 3 && strcmp(argv[1], "step") == 0) {
        step(argv[2], begun);
        return EXIT_SUCCESS;
    }
    if (argc < 2) {
        fprintf(stderr, "usage: bench_handover EXCAMERA [FILE]\n");
        return 2;
    }
    struct place place;
    make_place(&place);
    if (argc > 2) {
        measure(&place, argv[1], argv[2], argv[2]);
    } else {
        make_state(place.state, 2400000);
        measure(&place, argv[1], place.state, "2.4 MB");
        make_state(place.state, 12400000);
        measure(&place, argv[1], place.state, "12.4 MB");
    }
    remove_place(&place);
    return EXIT_SUCCESS;
}
