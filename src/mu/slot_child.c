#include "mu/slot_child.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mu/slot_command.h"
#include "mu/slot_wire.h"

enum {
    SOCKET = 3, /* to the slot, see slot.c */
    REASON = 300,
};

struct child {
    const struct slot_tasks *tasks;
    int signals; /* a signalfd: children's ends, and SIGTERM when the worker dies */
    struct slot_inbox inbox;
    struct slot_process process;
    uint64_t limit_us;    /* 0 for none */
    enum slot_end killed; /* why the command was killed; SLOT_EXITED where it was not */
    char tails[2][SLOT_TAIL];
    bool over;
};

/* What is polled. */
enum { AT_SOCKET, AT_SIGNALS, AT_OUT, AT_ERR, AT_CONTROL, POLLED };

static void send_all(struct child *child, const void *data, size_t size)
{
    const char *from = data;
    while (size > 0 && !child->over) {
        ssize_t sent = send(SOCKET, from, size, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0) {
            child->over = true;
            return;
        }
        from += sent;
        size -= (size_t)sent;
    }
}

static void send_message(struct child *child, enum slot_message type, const void *data, size_t size)
{
    uint8_t header[SLOT_HEADER];
    slot_header(header, type, size);
    send_all(child, header, sizeof header);
    send_all(child, data, size);
}

static void send_outcome(struct child *child, const struct slot_outcome *outcome,
                         const char *reason)
{
    const struct tail *tail[2] = {&child->process.out_tail, &child->process.err_tail};
    struct slot_done done = {
        .end = (int32_t)outcome->end,
        .status = outcome->status,
        .reason = (uint32_t)strlen(reason),
        .out = (uint32_t)tail_size(tail[0]),
        .err = (uint32_t)tail_size(tail[1]),
        .out_total = tail[0]->total,
        .err_total = tail[1]->total,
        .wall_us = outcome->wall_us,
        .waited_us = outcome->waited_us,
        .user_us = outcome->user_us,
        .system_us = outcome->system_us,
        .peak_bytes = outcome->peak_bytes,
    };
    static char message[sizeof done + REASON + 2 * (SLOT_TAIL + 1)];
    size_t size = sizeof done;
    memcpy(message, &done, size);
    memcpy(message + size, reason, done.reason + 1);
    size += done.reason + 1;
    for (int i = 0; i < 2; i++) {
        tail_copy(tail[i], message + size);
        size += tail_size(tail[i]);
        message[size++] = '\0';
    }
    send_message(child, SLOT_DONE, message, size);
}

/* Ends whatever is left of the command and tells its outcome. */
static void finish(struct child *child)
{
    struct slot_outcome outcome = {0};
    char reason[REASON] = "";
    /* A process that cannot be killed hangs in the kernel: the slot goes on without this child. */
    if (!slot_process_kill(&child->process))
        _exit(EXIT_FAILURE);
    slot_process_finish(&child->process, &outcome, reason, sizeof reason);
    if (child->killed != SLOT_EXITED)
        outcome.end = child->killed;
    send_outcome(child, &outcome, reason);
}

static void kill_command(struct child *child, enum slot_end why)
{
    if (child->process.pid == 0)
        return;
    child->killed = why;
    finish(child);
}

/* Takes a command apart: `argv` has room for all its arguments and a NULL. They point into `strings`,
 * which is `size` bytes long. */
static bool parse_command(const struct slot_run *run, char *strings, size_t size, char **argv)
{
    size_t at = strlen(strings) + 1;
    for (uint32_t i = 0; i < run->arguments; i++) {
        if (at >= size)
            return false;
        argv[i] = strings + at;
        at += strlen(argv[i]) + 1;
    }
    argv[run->arguments] = NULL;
    return run->arguments > 0;
}

static void start(struct child *child, const struct slot_run *run, const char *folder, char **argv)
{
    struct slot_process *process = &child->process;
    *process = (struct slot_process){
        .out_tail = {.data = child->tails[0], .capacity = SLOT_TAIL},
        .err_tail = {.data = child->tails[1], .capacity = SLOT_TAIL},
    };
    child->killed = SLOT_EXITED;
    child->limit_us = run->limit_ms * 1000;
    int code = slot_process_start(process, folder, argv, child->tasks);
    if (code < 0) {
        struct slot_outcome outcome = {.end = SLOT_NOT_STARTED};
        char reason[REASON];
        snprintf(reason, sizeof reason, "no process can be made: %s", strerror(-code));
        send_outcome(child, &outcome, reason);
    }
}

/* The slot is the same program: what it says is right, or one of the two is broken. */
static void run_command(struct child *child, const uint8_t *data, size_t size)
{
    struct slot_run run;
    if (child->process.pid != 0 || size <= sizeof run || data[size - 1] != '\0') {
        child->over = true;
        return;
    }
    memcpy(&run, data, sizeof run);
    size -= sizeof run;
    char *strings = malloc(size);
    char **argv = run.arguments < size ? calloc(run.arguments + 1, sizeof *argv) : NULL;
    if (strings != NULL && argv != NULL) {
        memcpy(strings, data + sizeof run, size);
        if (parse_command(&run, strings, size, argv))
            start(child, &run, strings, argv);
        else
            child->over = true;
    } else {
        child->over = true;
    }
    free(argv);
    free(strings);
}

static void take_message(struct child *child, enum slot_message type, const uint8_t *data,
                         size_t size)
{
    switch (type) {
    case SLOT_RUN:
        run_command(child, data, size);
        break;
    case SLOT_CANCEL:
        kill_command(child, SLOT_CANCELLED);
        break;
    case SLOT_ANSWER:
        if (size == 1 && data[0] <= CONTROL_BEGUN && child->process.pid != 0)
            slot_process_answer(&child->process, (enum control_answer)data[0]);
        break;
    default:
        child->over = true;
    }
}

static void read_socket(struct child *child)
{
    enum slot_message type;
    const uint8_t *data;
    size_t room, size;
    uint8_t *to = slot_inbox_room(&child->inbox, &room);
    ssize_t got = to != NULL ? recv(SOCKET, to, room, MSG_DONTWAIT) : 0;
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        child->over = true;
        return;
    }
    child->inbox.size += (size_t)got;
    int code;
    while (!child->over && (code = slot_inbox_next(&child->inbox, &type, &data, &size)) != 0) {
        if (code < 0)
            child->over = true;
        else
            take_message(child, type, data, size);
    }
}

static void read_signals(struct child *child)
{
    struct signalfd_siginfo info;
    while (read(child->signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo == SIGTERM)
            child->over = true;
    slot_process_reap(&child->process);
    if (child->process.pid != 0 && child->process.ended)
        finish(child);
}

static void read_question(struct child *child)
{
    struct slot_await await = {0};
    const char *name;
    if (!slot_process_asks(&child->process, &name, &await.number))
        return;
    memcpy(await.name, name, strlen(name) + 1);
    send_message(child, SLOT_AWAIT, &await, sizeof await);
}

/* Milliseconds until the command's time is over; -1 where that does not run. */
static int time_left(const struct child *child)
{
    const struct slot_process *process = &child->process;
    if (process->pid == 0 || child->limit_us == 0 || process->asked_us != 0)
        return -1;
    uint64_t used = slot_now() - process->started_us - process->waited_us;
    if (used >= child->limit_us)
        return 0;
    uint64_t left = (child->limit_us - used) / 1000 + 1;
    return left < 1000000 ? (int)left : 1000000;
}

static void wait_and_serve(struct child *child)
{
    const struct slot_process *process = &child->process;
    bool runs = process->pid != 0;
    struct pollfd polled[POLLED] = {
        [AT_SOCKET] = {.fd = SOCKET, .events = POLLIN},
        [AT_SIGNALS] = {.fd = child->signals, .events = POLLIN},
        [AT_OUT] = {.fd = runs ? process->out : -1, .events = POLLIN},
        [AT_ERR] = {.fd = runs ? process->err : -1, .events = POLLIN},
        [AT_CONTROL] = {.fd = runs && process->asked_us == 0 ? process->control : -1,
                        .events = POLLIN},
    };
    if (poll(polled, POLLED, time_left(child)) < 0)
        return;
    if (polled[AT_OUT].revents || polled[AT_ERR].revents)
        slot_process_read(&child->process, false);
    if (polled[AT_CONTROL].revents)
        read_question(child);
    if (polled[AT_SIGNALS].revents)
        read_signals(child);
    if (polled[AT_SOCKET].revents)
        read_socket(child);
    if (time_left(child) == 0)
        kill_command(child, SLOT_TIMED_OUT);
}

static int watch_signals(void)
{
    sigset_t watched;
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGTERM);
    signal(SIGCHLD, SIG_DFL);
    /* Those from the terminal are the worker's to answer. */
    signal(SIGINT, SIG_IGN);
    signal(SIGQUIT, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    if (sigprocmask(SIG_SETMASK, &watched, NULL) != 0)
        return -1;
    return signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
}

int slot_child(const struct slot_tasks *tasks)
{
    static struct child child;
    child.tasks = tasks;
    closefrom(SOCKET + 1);
    child.signals = watch_signals();
    if (child.signals < 0 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM) != 0)
        return EXIT_FAILURE;
    while (!child.over)
        wait_and_serve(&child);
    if (child.process.pid != 0 && !slot_process_kill(&child.process))
        return EXIT_FAILURE;
    slot_inbox_free(&child.inbox);
    return EXIT_SUCCESS;
}
