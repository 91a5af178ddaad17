/*
 * How long it takes to hand over what the next step needs, as a chain of rebases does with states:
 *
 *     bench_handover EXCAMERA [FILE]
 *
 * A ring of two actors whose commands hand a file on to one another: FILE, or 2.4 MB made here, as large
 * as a 1080p state. The time is from the end of one's command to the beginning of the other's, as the
 * commands themselves see it: so the start of a process is part of it.
 *
 *   two workers        of one slot each, by way of the rendezvous over TLS
 *   one with two slots  handed over on the worker
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "must.h"

enum { ROUNDS = 50, LINES = 4 * ROUNDS, SIZE = 2400000, PATH_SIZE = 256 };

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
static void make_state(const char *path)
{
    uint32_t seed = 1;
    FILE *file = fopen(path, "wb");
    MUST(file != NULL);
    for (int i = 0; i < SIZE; i++) {
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
    make_state(place->state);
}

static void remove_place(const struct place *place)
{
    unlink(place->job);
    unlink(place->log);
    unlink(place->state);
    rmdir(place->folder);
}

static void run_job(const struct place *place, const char *excamera, const char *state,
                    const char *workers, const char *slots)
{
    char set_step[PATH_SIZE + 16], set_log[PATH_SIZE + 16], set_film[PATH_SIZE + 16], rounds[32];
    int status;
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
    MUST(waitpid(child, &status, 0) == child && status == 0);
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Commands go one after the other, so their lines do too. */
static void report(const struct place *place, const char *name)
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
    printf("  %s: median %.1f ms, least %.1f, nine in ten under %.1f, longest %.1f\n", name,
           took[count / 2], took[0], took[count * 9 / 10], took[count - 1]);
    fflush(stdout);
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
    const char *state = argc > 2 ? argv[2] : place.state;
    printf("hand-over of %s, %d times\n", argc > 2 ? state : "2.4 MB", 2 * ROUNDS - 1);
    run_job(&place, argv[1], state, "2", "1");
    report(&place, "two workers");
    run_job(&place, argv[1], state, "1", "2");
    report(&place, "one worker with two slots");
    remove_place(&place);
    return EXIT_SUCCESS;
}
