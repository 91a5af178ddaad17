#include "mu/slot_command.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "mu/control.h"
#include "mu/processes.h"

enum {
    READ_PIECE = 64 * 1024,
    MOST_PIECES = 64,    /* more than a pipe can hold */
    KILL_ROUNDS = 10000, /* of a millisecond each */
    CONTROL_FD = 3,      /* what commands see */
    FAILURE_FD = 4,      /* gone when they run */
    HIGH_FD = 16,        /* from here on the descriptors are made that become those */
};

/* What went wrong in the new process. */
enum step { STEP_PREPARE, STEP_FOLDER, STEP_PROGRAM };

struct failure {
    enum step step;
    int code; /* positive errno */
};

/* The ends that the new process gets. */
struct ends {
    int out, err, control, failure;
};

uint64_t slot_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* Moves a descriptor out of the way of those that it is to become. */
static int lift(int fd)
{
    int high = fcntl(fd, F_DUPFD_CLOEXEC, HIGH_FD);
    int code = -errno;
    close(fd);
    return high >= 0 ? high : code;
}

/* A channel from the new process; `pair` makes a socket pair instead of a pipe. */
static int make_ends(int *ours, int *theirs, bool pair)
{
    int fds[2];
    int made =
        pair ? socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) : pipe2(fds, O_CLOEXEC);
    if (made != 0)
        return -errno;
    *ours = fds[0];
    *theirs = lift(fds[1]);
    if (*theirs < 0)
        return *theirs;
    return fcntl(*ours, F_SETFL, O_NONBLOCK) == 0 ? 0 : -errno;
}

static int open_ends(struct slot_process *process, struct ends *ends)
{
    int code = make_ends(&process->out, &ends->out, false);
    if (code == 0)
        code = make_ends(&process->err, &ends->err, false);
    if (code == 0)
        code = make_ends(&process->control, &ends->control, true);
    if (code == 0)
        code = make_ends(&process->failure, &ends->failure, false);
    return code;
}

static void close_ends(struct ends *ends)
{
    close_fd(&ends->out);
    close_fd(&ends->err);
    close_fd(&ends->control);
    close_fd(&ends->failure);
}

static void close_process(struct slot_process *process)
{
    close_fd(&process->out);
    close_fd(&process->err);
    close_fd(&process->control);
    close_fd(&process->failure);
}

/* ---- In the new process -------------------------------------------------------------------- */

static _Noreturn void give_up(enum step step)
{
    struct failure failure = {.step = step, .code = errno};
    ssize_t written = write(FAILURE_FD, &failure, sizeof failure);
    _exit(written == sizeof failure ? 127 : 126);
}

/* Puts the descriptors where commands have them, and closes all others. */
static void set_descriptors(const struct ends *ends)
{
    int empty = open("/dev/null", O_RDONLY);
    if (dup3(ends->failure, FAILURE_FD, O_CLOEXEC) < 0)
        _exit(126);
    if (empty < 0 || (empty != STDIN_FILENO && dup2(empty, STDIN_FILENO) < 0) ||
        dup2(ends->out, STDOUT_FILENO) < 0 || dup2(ends->err, STDERR_FILENO) < 0 ||
        dup2(ends->control, CONTROL_FD) < 0)
        give_up(STEP_PREPARE);
    closefrom(FAILURE_FD + 1);
}

static void reset_signals(void)
{
    sigset_t none;
    sigemptyset(&none);
    for (int number = 1; number < NSIG; number++)
        signal(number, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A crash of a command is no reason to fill its folder with an image of its memory. */
static void refuse_core_files(void)
{
    struct rlimit none = {0};
    setrlimit(RLIMIT_CORE, &none);
}

static char *copy_of(const char *variable, const char *otherwise)
{
    const char *value = getenv(variable);
    return strdup(value != NULL ? value : otherwise);
}

/* Called in the command's folder. */
static int set_environment(void)
{
    char *path = copy_of("PATH", "/usr/local/bin:/usr/bin:/bin"), *home = copy_of("HOME", "/");
    char *mark = copy_of("XC_SLOT", ""), *folder = getcwd(NULL, 0);
    int failed = -1;
    if (path != NULL && home != NULL && mark != NULL && folder != NULL && clearenv() == 0)
        failed = setenv("PATH", path, 1) | setenv("HOME", home, 1) | setenv("TMPDIR", folder, 1) |
                 setenv("LANG", "C.UTF-8", 1) | setenv("XC_CONTROL", "3", 1) |
                 setenv("XC_SLOT", mark, 1);
    free(path);
    free(home);
    free(mark);
    free(folder);
    return failed;
}

static int count_words(char **argv)
{
    int count = 0;
    while (argv[count] != NULL)
        count++;
    return count;
}

static bool is_ours(char **argv)
{
    return strcmp(argv[0], "excamera") == 0;
}

static bool is_task(char **argv)
{
    return is_ours(argv) && argv[1] != NULL && strcmp(argv[1], "task") == 0;
}

static _Noreturn void run(char **argv, const struct slot_tasks *tasks)
{
    if (is_task(argv)) {
        close(FAILURE_FD);
        optind = 0; /* as in a program that has read no options yet */
        exit(tasks->run(count_words(argv) - 1, argv + 1));
    }
    if (is_ours(argv))
        execv("/proc/self/exe", argv);
    else
        execvp(argv[0], argv);
    give_up(STEP_PROGRAM);
}

static _Noreturn void run_child(pid_t parent, const struct ends *ends, const char *folder,
                                char **argv, const struct slot_tasks *tasks)
{
    reset_signals();
    set_descriptors(ends);
    setsid();
    /* What the slot's child cannot do any more when it is killed itself. */
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent)
        give_up(STEP_PREPARE);
    refuse_core_files();
    if (chdir(folder) != 0)
        give_up(STEP_FOLDER);
    if (set_environment() != 0)
        give_up(STEP_PREPARE);
    run(argv, tasks);
}

/* ---- In the slot's child ------------------------------------------------------------------- */

int slot_process_start(struct slot_process *process, const char *folder, char **argv,
                       const struct slot_tasks *tasks)
{
    struct ends ends = {-1, -1, -1, -1};
    process->out = process->err = process->control = process->failure = -1;
    int code = open_ends(process, &ends);
    if (code == 0) {
        pid_t parent = getpid();
        if (is_task(argv) && tasks->prepare != NULL)
            tasks->prepare(count_words(argv) - 1, argv + 1);
        getrusage(RUSAGE_CHILDREN, &process->before);
        process->started_us = slot_now();
        process->pid = fork();
        if (process->pid == 0)
            run_child(parent, &ends, folder, argv, tasks);
        code = process->pid < 0 ? -errno : 0;
    }
    close_ends(&ends);
    if (code < 0) {
        close_process(process);
        process->pid = 0;
    }
    return code;
}

static void read_output(int *fd, struct tail *tail, bool all)
{
    static char piece[READ_PIECE];
    for (int i = 0; i < MOST_PIECES && *fd >= 0; i++) {
        ssize_t got = read(*fd, piece, sizeof piece);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            close_fd(fd);
        else
            tail_add(tail, piece, (size_t)got);
        if (!all)
            return;
    }
}

void slot_process_read(struct slot_process *process, bool all)
{
    read_output(&process->out, &process->out_tail, all);
    read_output(&process->err, &process->err_tail, all);
}

/* Reads one byte of a question; false where there is none now. A socket at its end, or one that brings
 * anything but questions, is closed. */
static bool read_control(struct slot_process *process)
{
    char *byte = &process->line[process->line_size];
    ssize_t got = recv(process->control, byte, 1, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0 || process->line_size + 1 == sizeof process->line) {
        close_fd(&process->control);
        return false;
    }
    process->line_size++;
    return true;
}

bool slot_process_asks(struct slot_process *process, const char **name, int64_t *number)
{
    do {
        if (!read_control(process))
            return false;
    } while (process->line[process->line_size - 1] != '\n');
    process->line[process->line_size - 1] = '\0';
    size_t length = process->line_size - 1;
    process->line_size = 0;
    if (strlen(process->line) != length || !control_parse(process->line, name, number)) {
        close_fd(&process->control);
        return false;
    }
    process->asked_us = slot_now();
    return true;
}

void slot_process_answer(struct slot_process *process, enum control_answer answer)
{
    static const char *const lines[] = {"cancelled\n", "ready\n", "done\n", "begun\n"};
    const char *words = lines[answer];
    if (process->asked_us == 0)
        return;
    process->waited_us += slot_now() - process->asked_us;
    process->asked_us = 0;
    /* A few bytes always fit, unless the command has not read the answers before. */
    if (process->control >= 0 &&
        send(process->control, words, strlen(words), MSG_NOSIGNAL) != (ssize_t)strlen(words))
        close_fd(&process->control);
}

static void note_end(struct slot_process *process, pid_t pid, int status,
                     const struct rusage *usage)
{
    uint64_t peak = (uint64_t)usage->ru_maxrss * 1024;
    if (peak > process->peak_bytes)
        process->peak_bytes = peak;
    if (pid != process->pid)
        return;
    process->ended = true;
    process->status = status;
}

void slot_process_reap(struct slot_process *process)
{
    siginfo_t info = {0};
    struct rusage usage;
    int status;
    /* The command's own process is only taken when its group was killed, so that its number is still its
     * own by then. */
    while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid != 0) {
        if (info.si_pid == process->pid && process->pid != 0 && !process->ended)
            kill(-process->pid, SIGKILL);
        pid_t pid = wait4(info.si_pid, &status, WNOHANG, &usage);
        if (pid > 0)
            note_end(process, pid, status, &usage);
        info.si_pid = 0;
    }
}

/* True where this process has no children left. */
static bool is_alone(void)
{
    siginfo_t info;
    return waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0 && errno == ECHILD;
}

bool slot_process_kill(struct slot_process *process)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    if (!process->ended) {
        kill(-process->pid, SIGKILL);
        kill(process->pid, SIGKILL);
    }
    for (int round = 0; round < KILL_ROUNDS; round++) {
        slot_process_reap(process);
        if (is_alone())
            return true;
        /* Orphans become children of this process, a subreaper. */
        if (process->ended)
            processes_kill_children();
        nanosleep(&pause, NULL);
    }
    return false;
}

static uint64_t microseconds(struct timeval after, struct timeval before)
{
    return (uint64_t)((after.tv_sec - before.tv_sec) * 1000000 + after.tv_usec - before.tv_usec);
}

static void explain(const struct failure *failure, char *reason, size_t size)
{
    static const char *const what[] = {
        [STEP_PREPARE] = "a process could not be prepared",
        [STEP_FOLDER] = "the command's folder cannot be entered",
        [STEP_PROGRAM] = "the program cannot be run",
    };
    snprintf(reason, size, "%s: %s", what[failure->step], strerror(failure->code));
}

void slot_process_finish(struct slot_process *process, struct slot_outcome *outcome, char *reason,
                         size_t reason_size)
{
    struct rusage after;
    struct failure failure;
    uint64_t now = slot_now();
    getrusage(RUSAGE_CHILDREN, &after);
    if (process->asked_us != 0)
        process->waited_us += now - process->asked_us;
    outcome->wall_us = now - process->started_us;
    outcome->waited_us = process->waited_us;
    outcome->user_us = microseconds(after.ru_utime, process->before.ru_utime);
    outcome->system_us = microseconds(after.ru_stime, process->before.ru_stime);
    outcome->peak_bytes = process->peak_bytes;
    outcome->end = WIFSIGNALED(process->status) ? SLOT_SIGNALLED : SLOT_EXITED;
    outcome->status =
        WIFSIGNALED(process->status) ? WTERMSIG(process->status) : WEXITSTATUS(process->status);
    if (read(process->failure, &failure, sizeof failure) == sizeof failure) {
        outcome->end = SLOT_NOT_STARTED;
        explain(&failure, reason, reason_size);
    }
    slot_process_read(process, true);
    close_process(process);
    process->pid = 0;
}
