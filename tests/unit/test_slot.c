/*
 * Slots: whatever a command does, its outcome is told, nothing of it is left, and the next one runs.
 *
 * This program is the slots' child too (test_slot slot), and a worker to be killed (test_slot worker FOLDER).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mu/control.h"
#include "mu/slot.h"
#include "mu/slot_child.h"
#include "slot_tasks.h"
#include "support/scratch.h"

struct bench {
    uv_loop_t loop;
    struct slot *slot;
    char folder[PATH_MAX];
    struct error error;
    /* The last outcome. */
    int calls;
    struct slot_outcome outcome;
    char reason[300], out[SLOT_TAIL + 1], err[SLOT_TAIL + 1];
    /* Questions, and what is answered to them. */
    int questions;
    char name[AWAIT_NAME + 1];
    int64_t number;
    bool answers;
    enum control_answer answer;
};

/* ---- Surroundings --------------------------------------------------------------------------- */

/* How many processes were started by slots of process `worker`, their children included. */
static int count_marked(pid_t worker)
{
    static char environment[65536];
    char mark[40], path[300];
    int count = 0;
    struct dirent *one;
    DIR *proc = opendir("/proc");
    assert_non_null(proc);
    snprintf(mark, sizeof mark, "XC_SLOT=%ld-", (long)worker);
    while ((one = readdir(proc)) != NULL) {
        snprintf(path, sizeof path, "/proc/%s/environ", one->d_name);
        int fd = atoi(one->d_name) > 0 ? open(path, O_RDONLY) : -1;
        ssize_t size = fd >= 0 ? read(fd, environment, sizeof environment - 1) : 0;
        if (fd >= 0)
            close(fd);
        environment[size > 0 ? size : 0] = '\0';
        for (ssize_t at = 0; at < size; at += (ssize_t)strlen(environment + at) + 1)
            if (strncmp(environment + at, mark, strlen(mark)) == 0)
                count++;
    }
    closedir(proc);
    return count;
}

static int count_entries(const char *path)
{
    int count = 0;
    DIR *entries = opendir(path);
    assert_non_null(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}

static void open_slot(struct bench *bench)
{
    static const char *const argv[] = {"test_slot", "slot", NULL};
    if (slot_open(&bench->loop, "/proc/self/exe", argv, &bench->slot, &bench->error) < 0)
        fail_msg("%s", bench->error.message);
}

static int set_up(void **state)
{
    char folder[SCRATCH_PATH];
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    scratch_path(folder, "folder");
    assert_true(mkdir(folder, 0777) == 0 || errno == EEXIST);
    assert_non_null(realpath(folder, bench->folder));
    open_slot(bench);
    *state = bench;
    return 0;
}

static void count_call(void *opaque)
{
    ++*(int *)opaque;
}

static void close_slot(struct bench *bench)
{
    int closed = 0;
    slot_close(bench->slot, count_call, &closed);
    assert_int_equal(closed, 0);
    while (closed == 0)
        uv_run(&bench->loop, UV_RUN_ONCE);
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    close_slot(bench);
    int left = uv_loop_close(&bench->loop) != 0;
    left |= count_marked(getpid()) != 0;
    free(bench);
    return left;
}

static void copy_text(const struct slot_text *text, char copy[SLOT_TAIL + 1])
{
    assert_in_range(text->size, 0, SLOT_TAIL);
    assert_int_equal(text->data[text->size], '\0');
    memcpy(copy, text->data, text->size + 1);
}

static void on_done(void *opaque, const struct slot_outcome *outcome)
{
    struct bench *bench = opaque;
    bench->calls++;
    bench->outcome = *outcome;
    snprintf(bench->reason, sizeof bench->reason, "%s", outcome->reason);
    copy_text(&outcome->out, bench->out);
    copy_text(&outcome->err, bench->err);
}

static void on_await(void *opaque, const char *name, int64_t number)
{
    struct bench *bench = opaque;
    bench->questions++;
    snprintf(bench->name, sizeof bench->name, "%s", name);
    bench->number = number;
    if (bench->answers)
        slot_answer(bench->slot, bench->answer);
}

static void start(struct bench *bench, uint64_t limit_ms, const char *const argv[])
{
    struct slot_command command = {.folder = bench->folder, .argv = argv, .limit_ms = limit_ms};
    struct slot_events events = {.await = on_await, .done = on_done, .opaque = bench};
    bench->calls = bench->questions = 0;
    if (slot_run(bench->slot, &command, &events, &bench->error) < 0)
        fail_msg("%s", bench->error.message);
    assert_int_equal(bench->calls, 0);
    assert_true(slot_busy(bench->slot));
}

static void finish(struct bench *bench)
{
    while (bench->calls == 0)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(bench->calls, 1);
    assert_false(slot_busy(bench->slot));
}

#define ARGV(...) ((const char *const[]){__VA_ARGS__, NULL})
#define TASK(...) ARGV("excamera", "task", __VA_ARGS__)
/* Five processes, three of them in a session of their own. */
#define RUNAWAYS "(setsid sh -c 'sleep 100 & sleep 100 & wait' &) & sleep 100 & wait"
#define SHELL(script) ARGV("sh", "-c", script)

static enum slot_end run(struct bench *bench, uint64_t limit_ms, const char *const argv[])
{
    start(bench, limit_ms, argv);
    finish(bench);
    return bench->outcome.end;
}

/* Lets the loop turn for some time. */
static void on_time(uv_timer_t *timer)
{
    uv_close((uv_handle_t *)timer, NULL);
}

static void turn(struct bench *bench, uint64_t ms)
{
    uv_timer_t timer;
    uv_update_time(&bench->loop);
    uv_timer_init(&bench->loop, &timer);
    uv_timer_start(&timer, on_time, ms, 0);
    while (!uv_is_closing((uv_handle_t *)&timer))
        uv_run(&bench->loop, UV_RUN_ONCE);
    uv_run(&bench->loop, UV_RUN_NOWAIT);
}

static void wait_for_marked(pid_t worker, int count)
{
    for (int i = 0; i < 1000 && count_marked(worker) != count; i++)
        usleep(10000);
    assert_int_equal(count_marked(worker), count);
}

/* The slot runs the next command as if nothing had been. */
static void assert_sound(struct bench *bench)
{
    assert_int_equal(run(bench, 0, TASK("status", "3")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 3);
    assert_int_equal(count_marked(getpid()), 1);
}

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr(text, part) == NULL)                                                            \
            fail_msg("'%s' does not say '%s'", text, part);                                        \
    } while (0)

/* ---- Commands that end ----------------------------------------------------------------------- */

static void tasks_and_programs(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 3; i++) {
        char number[12];
        snprintf(number, sizeof number, "%d", i * 100);
        assert_int_equal(run(bench, 0, TASK("status", number)), SLOT_EXITED);
        assert_int_equal(bench->outcome.status, i * 100);
    }
    assert_int_equal(run(bench, 0, SHELL("echo out; echo err >&2; pwd; exit 7")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 7);
    assert_contains(bench->out, bench->folder);
    assert_int_equal(strncmp(bench->out, "out\n", 4), 0);
    assert_string_equal(bench->err, "err\n");
    assert_int_equal(bench->outcome.err.total, 4);
    /* Arguments go through as they are. */
    assert_int_equal(run(bench, 0, ARGV("printf", "%s|", "", "a b", "$HOME", "*", "\n")),
                     SLOT_EXITED);
    assert_string_equal(bench->out, "|a b|$HOME|*|\n|");
    /* Another command of this program is this program; it is no child of a slot without a slot. */
    assert_int_equal(run(bench, 0, ARGV("excamera", "five")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 5);
}

static void commands_that_cannot_start(void **state)
{
    struct bench *bench = *state;
    struct slot_events events = {.await = on_await, .done = on_done, .opaque = bench};
    static char large[SLOT_COMMAND];
    assert_int_equal(run(bench, 0, ARGV("no-such-program")), SLOT_NOT_STARTED);
    assert_contains(bench->reason, "cannot be run: No such file");
    assert_int_equal(run(bench, 0, ARGV("/")), SLOT_NOT_STARTED);
    struct slot_command command = {.folder = "/no/such/folder", .argv = ARGV("true")};
    bench->calls = 0;
    assert_int_equal(slot_run(bench->slot, &command, &events, &bench->error), 0);
    assert_int_equal(slot_run(bench->slot, &command, &events, &bench->error), -EBUSY);
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_NOT_STARTED);
    assert_contains(bench->reason, "folder cannot be entered: No such file");
    command.folder = "relative";
    assert_int_equal(slot_run(bench->slot, &command, &events, &bench->error), -EINVAL);
    command.folder = "/";
    command.argv = (const char *const[]){NULL};
    assert_int_equal(slot_run(bench->slot, &command, &events, &bench->error), -EINVAL);
    memset(large, 'x', sizeof large - 1);
    command.argv = ARGV("true", large);
    assert_int_equal(slot_run(bench->slot, &command, &events, &bench->error), -E2BIG);
    large[sizeof large - 100] = '\0';
    assert_int_equal(run(bench, 0, ARGV("true", large)), SLOT_EXITED);
    assert_sound(bench);
}

static void tasks_leave_nothing_to_the_next(void **state)
{
    struct bench *bench = *state;
    for (int i = 0; i < 3; i++) {
        assert_int_equal(run(bench, 0, TASK("disturb")), SLOT_EXITED);
        assert_int_equal(bench->outcome.status, 0);
        assert_string_equal(bench->out, "41 0\n");
    }
    for (int i = 0; i < 2; i++) {
        assert_int_equal(run(bench, 0, TASK("options", "-a", "5", "-b", "-b")), SLOT_EXITED);
        assert_string_equal(bench->out, "7\n");
    }
}

static void tasks_are_prepared_in_the_child(void **state)
{
    struct bench *bench = *state;
    for (int i = 1; i < 4; i++) {
        assert_int_equal(run(bench, 0, TASK("prepared")), SLOT_EXITED);
        assert_int_equal(bench->outcome.status, i);
        assert_int_equal(run(bench, 0, TASK("status", "7")), SLOT_EXITED);
    }
}

static void check_surroundings(struct bench *bench, const char *said)
{
    char line[PATH_MAX + 20];
    snprintf(line, sizeof line, "%s\n", bench->folder);
    assert_int_equal(strncmp(said, line, strlen(line)), 0);
    snprintf(line, sizeof line, "TMPDIR=%s\n", bench->folder);
    assert_contains(said, line);
    assert_contains(said, "LANG=C.UTF-8\n");
    assert_contains(said, "PATH=/");
    assert_contains(said, "HOME=");
    assert_contains(said, "XC_CONTROL=3\n");
    assert_null(strstr(said, "SECRET"));
}

static void surroundings(void **state)
{
    struct bench *bench = *state;
    close_slot(bench);
    setenv("SECRET", "1", 1);
    open_slot(bench);
    assert_int_equal(run(bench, 0, TASK("surroundings")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 0);
    check_surroundings(bench, bench->out);
    assert_contains(bench->out, "fd 0\nfd 1\nfd 2\nfd 3\n");
    assert_null(strstr(bench->out, "fd 4\n"));
    assert_null(strstr(strstr(bench->out, "fd 3\n") + 5, "fd"));
    int lines = 0;
    for (const char *at = bench->out; *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 1 + 6 + 4);
    assert_int_equal(run(bench, 0, SHELL("pwd; env; ls /proc/self/fd | wc -l; cat")), SLOT_EXITED);
    check_surroundings(bench, bench->out);
    assert_contains(bench->out, "\n5\n"); /* one is ls's own */
    unsetenv("SECRET");
}

static void measures(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, 0, TASK("memory", "64")), SLOT_EXITED);
    assert_in_range(bench->outcome.peak_bytes, 64 << 20, 300 << 20);
    assert_int_equal(run(bench, 0, TASK("processor")), SLOT_EXITED);
    uint64_t used = bench->outcome.user_us + bench->outcome.system_us;
    assert_in_range(used, 100000, 2000000);
    assert_in_range(bench->outcome.wall_us, 90000, 60000000);
    /* What grandchildren use counts, also when their parent is gone. */
    assert_int_equal(
        run(bench, 0, SHELL("i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done & wait")),
        SLOT_EXITED);
    assert_in_range(bench->outcome.user_us, 2000, 60000000);
    assert_int_equal(run(bench, 0, SHELL("sleep 0.2")), SLOT_EXITED);
    assert_in_range(bench->outcome.wall_us, 200000, 60000000);
    assert_in_range(bench->outcome.user_us, 0, 100000);
    assert_int_equal(bench->outcome.waited_us, 0);
}

static void signals_are_told(void **state)
{
    struct bench *bench = *state;
    static const int signals[] = {SIGKILL, SIGSEGV, SIGABRT, SIGTERM};
    for (int i = 0; i < 4; i++) {
        char number[12];
        snprintf(number, sizeof number, "%d", signals[i]);
        pid_t child = slot_pid(bench->slot);
        assert_int_equal(run(bench, 0, TASK("signal", number)), SLOT_SIGNALLED);
        assert_int_equal(bench->outcome.status, signals[i]);
        assert_int_equal(slot_pid(bench->slot), child);
    }
    assert_int_equal(run(bench, 0, SHELL("kill -9 $$")), SLOT_SIGNALLED);
    assert_sound(bench);
}

/* ---- Output ----------------------------------------------------------------------------------- */

static void much_output(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, 0, SHELL("seq 200000; head -c 3000000 /dev/zero | tr '\\0' x >&2")),
                     SLOT_EXITED);
    assert_int_equal(bench->outcome.out.total, 1288895);
    assert_int_equal(bench->outcome.out.size, SLOT_TAIL);
    assert_string_equal(bench->out + SLOT_TAIL - 14, "199999\n200000\n");
    assert_int_equal(bench->outcome.err.total, 3000000);
    assert_int_equal(bench->outcome.err.size, SLOT_TAIL);
    assert_int_equal(strspn(bench->err, "x"), SLOT_TAIL);
    assert_int_equal(run(bench, 0, SHELL("head -c 32768 /dev/zero; head -c 32767 /dev/zero >&2")),
                     SLOT_EXITED);
    assert_int_equal(bench->outcome.out.size, SLOT_TAIL);
    assert_int_equal(bench->outcome.err.size, SLOT_TAIL - 1);
    assert_sound(bench);
}

static void endless_output(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, 300, SHELL("yes no & yes >&2")), SLOT_TIMED_OUT);
    assert_int_equal(bench->outcome.out.size, SLOT_TAIL);
    assert_int_equal(bench->outcome.err.size, SLOT_TAIL);
    assert_in_range(bench->outcome.err.total, SLOT_TAIL, UINT64_MAX);
    assert_sound(bench);
}

/* ---- Ends that others make -------------------------------------------------------------------- */

static void time_limits(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, 100, TASK("spin")), SLOT_TIMED_OUT);
    assert_in_range(bench->outcome.wall_us, 100000, 4000000);
    assert_int_equal(run(bench, 100, SHELL("trap '' TERM; echo begun; sleep 100")), SLOT_TIMED_OUT);
    assert_string_equal(bench->out, "begun\n");
    /* Stopped for ever. */
    assert_int_equal(run(bench, 100, SHELL("kill -STOP $$")), SLOT_TIMED_OUT);
    assert_int_equal(run(bench, 100000, SHELL("true")), SLOT_EXITED);
    assert_sound(bench);
}

static void cancelling(void **state)
{
    struct bench *bench = *state;
    start(bench, 0, SHELL("echo begun; sleep 100"));
    slot_cancel(bench->slot); /* before it can have begun */
    slot_cancel(bench->slot);
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_CANCELLED);
    start(bench, 0, TASK("spin"));
    turn(bench, 100);
    slot_cancel(bench->slot);
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_CANCELLED);
    assert_in_range(bench->outcome.user_us, 1000, 10000000);
    slot_cancel(bench->slot);
    assert_sound(bench);
    /* One that ends at the same moment is told once, either way. */
    for (int i = 0; i < 20; i++) {
        start(bench, 0, SHELL("true"));
        turn(bench, (uint64_t)i / 4);
        slot_cancel(bench->slot);
        finish(bench);
    }
    assert_sound(bench);
}

static void runaways_are_killed(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(run(bench, 0, TASK("away")), SLOT_EXITED);
    assert_int_equal(count_marked(getpid()), 1);
    assert_int_equal(run(bench, 0,
                         SHELL("sleep 100 & setsid sleep 100 & (setsid sh -c 'sleep 100 & "
                               "sleep 100' &) & exit 4")),
                     SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 4);
    assert_int_equal(count_marked(getpid()), 1);
    start(bench, 0, SHELL(RUNAWAYS));
    wait_for_marked(getpid(), 6);
    slot_cancel(bench->slot);
    finish(bench);
    assert_int_equal(count_marked(getpid()), 1);
    assert_sound(bench);
}

static void a_killed_child_is_replaced(void **state)
{
    struct bench *bench = *state;
    pid_t child = slot_pid(bench->slot);
    start(bench, 0, SHELL(RUNAWAYS));
    wait_for_marked(getpid(), 6);
    assert_int_equal(kill(child, SIGKILL), 0);
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_LOST);
    assert_contains(bench->reason, "signal 9 (Killed)");
    wait_for_marked(getpid(), 0);
    assert_int_equal(slot_pid(bench->slot), 0);
    assert_sound(bench);
    assert_int_not_equal(slot_pid(bench->slot), child);
    /* With nothing to do, and before anything could notice. */
    assert_int_equal(kill(slot_pid(bench->slot), SIGKILL), 0);
    start(bench, 0, TASK("status", "3"));
    finish(bench);
    assert_true(bench->outcome.end == SLOT_LOST || bench->outcome.end == SLOT_EXITED);
    assert_sound(bench);
    assert_int_equal(kill(slot_pid(bench->slot), SIGKILL), 0);
    turn(bench, 100);
    assert_int_equal(slot_pid(bench->slot), 0);
    assert_sound(bench);
}

static void a_stopped_child_is_replaced(void **state)
{
    struct bench *bench = *state;
    start(bench, 1000, SHELL("exec sleep 100"));
    wait_for_marked(getpid(), 2);
    assert_int_equal(kill(slot_pid(bench->slot), SIGSTOP), 0);
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_TIMED_OUT);
    assert_sound(bench);
}

static void closing_ends_what_runs(void **state)
{
    struct bench *bench = *state;
    start(bench, 0, SHELL(RUNAWAYS));
    wait_for_marked(getpid(), 6);
    close_slot(bench);
    assert_int_equal(bench->calls, 1);
    assert_int_equal(bench->outcome.end, SLOT_CANCELLED);
    assert_int_equal(count_marked(getpid()), 0);
    open_slot(bench);
}

static void a_worker_that_dies_leaves_nothing(void **state)
{
    struct bench *bench = *state;
    for (int round = 0; round < 2; round++) {
        fflush(NULL);
        pid_t worker = fork();
        assert_true(worker >= 0);
        if (worker == 0) {
            execl("/proc/self/exe", "test_slot", "worker", bench->folder, (char *)NULL);
            _exit(EXIT_FAILURE);
        }
        wait_for_marked(worker, 6);
        assert_int_equal(kill(worker, round == 0 ? SIGKILL : SIGTERM), 0);
        assert_int_equal(waitpid(worker, NULL, 0), worker);
        wait_for_marked(worker, 0);
    }
}

static void a_program_that_is_none(void **state)
{
    struct bench *bench = *state;
    struct slot *slot;
    assert_int_equal(slot_open(&bench->loop, "/no/such/program", ARGV("x"), &slot, &bench->error),
                     -ENOENT);
    assert_null(slot);
    assert_contains(bench->error.message, "/no/such/program");
    /* One that knows nothing of slots. */
    struct slot *own = bench->slot;
    assert_int_equal(
        slot_open(&bench->loop, "/bin/true", ARGV("true"), &bench->slot, &bench->error), 0);
    assert_int_equal(run(bench, 0, ARGV("true")), SLOT_LOST);
    assert_contains(bench->reason, "status 0");
    close_slot(bench);
    bench->slot = own;
}

/* ---- Waiting points --------------------------------------------------------------------------- */

static void awaiting(void **state)
{
    struct bench *bench = *state;
    char longest[AWAIT_NAME + 1];
    bench->answers = true;
    bench->answer = CONTROL_READY;
    assert_int_equal(run(bench, 0, TASK("await", "state")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 0);
    assert_string_equal(bench->out, "went on\nwent on\n");
    assert_int_equal(bench->questions, 2);
    assert_string_equal(bench->name, "state");
    assert_int_equal(bench->number, AWAIT_NO_NUMBER);
    memset(longest, '~', AWAIT_NAME);
    longest[AWAIT_NAME] = '\0';
    assert_int_equal(run(bench, 0, TASK("await", longest, "999999999999999999")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 0);
    assert_string_equal(bench->name, longest);
    assert_int_equal(bench->number, AWAIT_NUMBER);
    assert_int_equal(run(bench, 0, TASK("await", "a b")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, EXIT_FAILURE);
    assert_int_equal(bench->questions, 0);
    bench->answer = CONTROL_CANCELLED;
    assert_int_equal(run(bench, 0, TASK("await", "state")), SLOT_EXITED);
    assert_int_equal(bench->outcome.status, EXIT_FAILURE);
    assert_string_equal(bench->out, "waited for state, but it will not come\n");
}

/* Time spent waiting does not count. */
static void awaiting_takes_no_time(void **state)
{
    struct bench *bench = *state;
    bench->answers = false;
    start(bench, 300, TASK("await", "state", "7"));
    for (int i = 1; i <= 2; i++) {
        while (bench->questions < i)
            uv_run(&bench->loop, UV_RUN_ONCE);
        turn(bench, 400);
        assert_int_equal(bench->calls, 0);
        slot_answer(bench->slot, CONTROL_READY);
        slot_answer(bench->slot, CONTROL_CANCELLED); /* is nobody's answer */
    }
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_EXITED);
    assert_int_equal(bench->outcome.status, 0);
    assert_in_range(bench->outcome.waited_us, 780000, 5000000);
    assert_in_range(bench->outcome.wall_us, bench->outcome.waited_us, UINT64_MAX);
    /* One that waits can be cancelled, and killed. */
    start(bench, 300, TASK("await", "state"));
    while (bench->questions < 1)
        uv_run(&bench->loop, UV_RUN_ONCE);
    slot_cancel(bench->slot);
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_CANCELLED);
    slot_answer(bench->slot, CONTROL_READY);
    assert_sound(bench);
}

/* The answer comes when the child is gone, but what it has left is not yet. */
static void an_answer_to_a_killed_child(void **state)
{
    struct bench *bench = *state;
    bench->answers = false;
    start(bench, 0, SHELL("(setsid sleep 100 &); echo await state >&3; read answer <&3"));
    while (bench->questions < 1)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(kill(slot_pid(bench->slot), SIGKILL), 0);
    while (slot_pid(bench->slot) != 0)
        uv_run(&bench->loop, UV_RUN_ONCE);
    assert_int_equal(bench->calls, 0);
    slot_answer(bench->slot, CONTROL_READY);
    finish(bench);
    assert_int_equal(bench->outcome.end, SLOT_LOST);
    assert_sound(bench);
}

/* Any program can ask, rightly or wrongly. */
static void questions_of_other_programs(void **state)
{
    struct bench *bench = *state;
    static const char *const wrong[] = {
        "echo wait x >&3",
        "echo 'await ' >&3",
        "echo 'await x -1' >&3",
        "echo 'await x 1 2' >&3",
        "echo 'await x 9999999999999999999' >&3",
        "printf 'await a\\000b\\n' >&3",
        "yes | tr -d '\\n' >&3",
    };
    bench->answers = true;
    bench->answer = CONTROL_READY;
    assert_int_equal(run(bench, 0, SHELL("echo await x 12 >&3; read answer <&3; echo $answer")),
                     SLOT_EXITED);
    assert_string_equal(bench->out, "ready\n");
    assert_int_equal(bench->number, 12);
    bench->answer = CONTROL_DONE;
    assert_int_equal(run(bench, 0, SHELL("echo await x >&3; read answer <&3; echo $answer")),
                     SLOT_EXITED);
    assert_string_equal(bench->out, "done\n");
    for (int i = 0; i < 7; i++) {
        char script[200];
        snprintf(script, sizeof script, "%s; read answer <&3 || echo none", wrong[i]);
        assert_int_equal(run(bench, 20000, SHELL(script)), SLOT_EXITED);
        assert_string_equal(bench->out, "none\n");
        assert_int_equal(bench->questions, 0);
    }
    /* One who asks and never reads. */
    assert_int_equal(run(bench, 20000, SHELL("seq -f 'await x %g' 100000 >&3; exit 0")),
                     SLOT_EXITED);
    assert_sound(bench);
}

static void a_command_started_by_hand_does_not_wait(void **state)
{
    struct error error;
    (void)state;
    unsetenv("XC_CONTROL");
    assert_int_equal(await_point("state", AWAIT_NO_NUMBER, &error), 0);
    setenv("XC_CONTROL", "999", 1);
    assert_int_equal(await_point("state", AWAIT_NO_NUMBER, &error), -EPIPE);
    unsetenv("XC_CONTROL");
}

/* ---- Many ------------------------------------------------------------------------------------- */

static void many_commands(void **state)
{
    struct bench *bench = *state;
    char path[40];
    assert_sound(bench);
    snprintf(path, sizeof path, "/proc/%d/fd", slot_pid(bench->slot));
    int theirs = count_entries(path), ours = count_entries("/proc/self/fd");
    pid_t child = slot_pid(bench->slot);
    int count = test_level() == TEST_QUICK ? 100 : 1000;
    for (int i = 0; i < count; i++) {
        assert_int_equal(run(bench, 10000, i % 10 ? TASK("status", "0") : ARGV("true")),
                         SLOT_EXITED);
        assert_int_equal(bench->outcome.status, 0);
    }
    assert_int_equal(slot_pid(bench->slot), child);
    assert_int_equal(count_entries(path), theirs);
    assert_int_equal(count_entries("/proc/self/fd"), ours);
    assert_sound(bench);
}

static int be_worker(const char *folder)
{
    static struct bench bench;
    snprintf(bench.folder, sizeof bench.folder, "%s", folder);
    assert_int_equal(uv_loop_init(&bench.loop), 0);
    open_slot(&bench);
    return (int)run(&bench, 0, SHELL(RUNAWAYS));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(int argc, char **argv)
{
    if (argc > 1 && !strcmp(argv[1], "slot"))
        return slot_child(&slot_tasks);
    if (argc > 1 && !strcmp(argv[1], "five"))
        return 5;
    if (argc > 2 && !strcmp(argv[1], "worker"))
        return be_worker(argv[2]);
    signal(SIGPIPE, SIG_IGN);
    const struct CMUnitTest tests[] = {
        TEST(tasks_and_programs),
        TEST(commands_that_cannot_start),
        TEST(tasks_leave_nothing_to_the_next),
        TEST(tasks_are_prepared_in_the_child),
        TEST(surroundings),
        TEST(measures),
        TEST(signals_are_told),
        TEST(much_output),
        TEST(endless_output),
        TEST(time_limits),
        TEST(cancelling),
        TEST(runaways_are_killed),
        TEST(a_killed_child_is_replaced),
        TEST(a_stopped_child_is_replaced),
        TEST(closing_ends_what_runs),
        TEST(a_worker_that_dies_leaves_nothing),
        TEST(a_program_that_is_none),
        TEST(awaiting),
        TEST(awaiting_takes_no_time),
        TEST(an_answer_to_a_killed_child),
        TEST(questions_of_other_programs),
        TEST(a_command_started_by_hand_does_not_wait),
        TEST(many_commands),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
