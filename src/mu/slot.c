#include "mu/slot.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mu/processes.h"
#include "mu/slot_wire.h"

enum {
    MARK_SIZE = 64,
    SWEEP_MS = 20,
    SWEEPS = 100, /* at most, for what a dead child has left */
};

extern char **environ;

/* A child process and the socket to it; freed when both are closed. */
struct child {
    struct slot *slot;
    uv_process_t process;
    uv_pipe_t pipe;
    int open_handles;
    bool exited, ended; /* the process; the socket */
    int64_t status;
    int signal;
    char mark[MARK_SIZE]; /* what it and all its commands have in their environment */
    struct slot_inbox inbox;
};

struct slot {
    uv_loop_t *loop;
    char *program;
    char **argv;
    struct child *child; /* NULL where there is none */
    int children;        /* that are not freed */
    unsigned started;    /* children so far */
    bool closing;
    uv_timer_t timer; /* for a child that does nothing; for sweeps */

    /* The command, while `busy`. */
    bool busy, cancelled, timed_out;
    bool awaits; /* its question is not answered */
    struct slot_events events;
    uint64_t limit_ms, started_ms, asked_ms, waited_ms;
    char reason[200]; /* why the child is lost */
    char swept[MARK_SIZE];
    int sweeps; /* so far */

    void (*closed)(void *opaque);
    void *opaque;
};

/* A message on its way to the child. */
struct sending {
    uv_write_t write;
    uint8_t data[];
};

static void close_further(struct slot *slot);

static void free_slot(struct slot *slot)
{
    for (int i = 0; slot->argv != NULL && slot->argv[i] != NULL; i++)
        free(slot->argv[i]);
    free(slot->argv);
    free(slot->program);
    free(slot);
}

/* ---- The child's process ------------------------------------------------------------------- */

static void on_handle_closed(uv_handle_t *handle)
{
    struct child *child = handle->data;
    struct slot *slot = child->slot;
    if (--child->open_handles > 0)
        return;
    slot_inbox_free(&child->inbox);
    free(child);
    slot->children--;
    close_further(slot);
}

static void child_gone(struct child *child);

static void on_process_exit(uv_process_t *process, int64_t status, int signal)
{
    struct child *child = process->data;
    child->exited = true;
    child->status = status;
    child->signal = signal;
    uv_close((uv_handle_t *)process, on_handle_closed);
    child_gone(child);
}

/* Closes the socket, after which the child ends by itself. */
static void end_child(struct child *child)
{
    if (child->ended)
        return;
    child->ended = true;
    uv_close((uv_handle_t *)&child->pipe, on_handle_closed);
    child_gone(child);
}

static void allocate(uv_handle_t *handle, size_t suggested, uv_buf_t *buffer)
{
    struct child *child = handle->data;
    size_t room = 0;
    uint8_t *to = slot_inbox_room(&child->inbox, &room);
    *buffer = uv_buf_init((char *)to, to != NULL ? (unsigned)room : 0);
}

static void take_message(struct slot *slot, enum slot_message type, const uint8_t *data,
                         size_t size);

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct child *child = stream->data;
    enum slot_message type;
    const uint8_t *data;
    size_t size;
    int code = 1;
    if (got < 0) {
        end_child(child);
        return;
    }
    child->inbox.size += (size_t)got;
    while (!child->ended && (code = slot_inbox_next(&child->inbox, &type, &data, &size)) == 1)
        take_message(child->slot, type, data, size);
    if (code < 0)
        end_child(child);
}

/* This process's environment and the mark; the array alone is to be freed. */
static char **marked_environment(char *mark)
{
    size_t count = 0, kept = 0;
    while (environ[count] != NULL)
        count++;
    char **made = calloc(count + 2, sizeof *made);
    if (made == NULL)
        return NULL;
    for (size_t i = 0; i < count; i++)
        if (strncmp(environ[i], "XC_SLOT=", 8) != 0)
            made[kept++] = environ[i];
    made[kept] = mark;
    return made;
}

static int spawn(struct child *child)
{
    uv_stdio_container_t stdio[4] = {
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_IGNORE},
        {.flags = UV_CREATE_PIPE | UV_READABLE_PIPE | UV_WRITABLE_PIPE,
         .data.stream = (uv_stream_t *)&child->pipe},
    };
    uv_process_options_t options = {
        .exit_cb = on_process_exit,
        .file = child->slot->program,
        .args = child->slot->argv,
        .env = marked_environment(child->mark),
        .stdio_count = 4,
        .stdio = stdio,
    };
    if (options.env == NULL)
        return UV_ENOMEM;
    int code = uv_spawn(child->slot->loop, &child->process, &options);
    free(options.env);
    if (code == 0)
        code = uv_read_start((uv_stream_t *)&child->pipe, allocate, on_read);
    return code;
}

static int start_child(struct slot *slot, struct error *error)
{
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    child->slot = slot;
    child->process.data = child->pipe.data = child;
    child->open_handles = 2;
    uint64_t random = 0;
    uv_random(NULL, NULL, &random, sizeof random, 0, NULL);
    snprintf(child->mark, sizeof child->mark, "XC_SLOT=%ld-%u-%016llx", (long)uv_os_getpid(),
             ++slot->started, (unsigned long long)random);
    uv_pipe_init(slot->loop, &child->pipe, 0);
    slot->children++;
    int code = spawn(child);
    if (code == 0) {
        slot->child = child;
        return 0;
    }
    child->ended = child->exited = true;
    uv_close((uv_handle_t *)&child->pipe, on_handle_closed);
    uv_close((uv_handle_t *)&child->process, on_handle_closed);
    return error_set(error, code, "cannot start %s for a slot: %s", slot->program,
                     uv_strerror(code));
}

/* ---- The command --------------------------------------------------------------------------- */

static void tell(struct slot *slot, const struct slot_outcome *outcome)
{
    struct slot_events events = slot->events;
    uv_timer_stop(&slot->timer);
    slot->busy = slot->awaits = false;
    events.done(events.opaque, outcome);
}

/* Tells the outcome of a command whose child is no more. */
static void tell_lost(struct slot *slot)
{
    struct slot_outcome outcome = {
        .end = SLOT_LOST,
        .reason = slot->reason,
        .out.data = "",
        .err.data = "",
    };
    if (slot->cancelled)
        outcome.end = SLOT_CANCELLED;
    else if (slot->timed_out)
        outcome.end = SLOT_TIMED_OUT;
    tell(slot, &outcome);
    close_further(slot);
}

/* Kills what the child has left behind, until there is nothing. */
static void sweep(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    if (processes_kill_marked(slot->swept) > 0 && ++slot->sweeps < SWEEPS)
        uv_timer_start(timer, sweep, SWEEP_MS, 0);
    else
        tell_lost(slot);
}

/* The child has not done in time what it ought to. */
static void on_overdue(uv_timer_t *timer)
{
    struct slot *slot = timer->data;
    struct child *child = slot->child;
    if (child == NULL || child->exited)
        return;
    slot->timed_out = !child->ended;
    uv_process_kill(&child->process, SIGKILL);
}

/* Sets the time by which something must have come from the child. */
static void expect_child(struct slot *slot)
{
    uint64_t used = uv_now(slot->loop) - slot->started_ms - slot->waited_ms;
    uv_timer_stop(&slot->timer);
    if (slot->cancelled || slot->closing)
        uv_timer_start(&slot->timer, on_overdue, SLOT_GRACE_MS, 0);
    else if (slot->limit_ms > 0 && !slot->awaits)
        uv_timer_start(&slot->timer, on_overdue,
                       (used < slot->limit_ms ? slot->limit_ms - used : 0) + SLOT_GRACE_MS, 0);
}

static void begin_sweeps(struct slot *slot, const struct child *child)
{
    if (child->signal != 0)
        snprintf(slot->reason, sizeof slot->reason,
                 "the slot's process was ended by signal %d (%s)", child->signal,
                 strsignal(child->signal));
    else
        snprintf(slot->reason, sizeof slot->reason, "the slot's process has ended with status %d",
                 (int)child->status);
    memcpy(slot->swept, child->mark, sizeof slot->swept);
    slot->sweeps = 0;
    uv_timer_start(&slot->timer, sweep, 0, 0);
}

/* Called when the child's process or its socket has ended: with the second of them it is no more. */
static void child_gone(struct child *child)
{
    struct slot *slot = child->slot;
    if (slot->child != child)
        return;
    /* Nobody is there to be answered, and an answer must not stop the timer of what follows. */
    slot->awaits = false;
    if (!child->exited) {
        /* What runs is for it to end; with nothing to do, it need not live on without its socket. */
        if (slot->busy || slot->closing)
            uv_timer_start(&slot->timer, on_overdue, SLOT_GRACE_MS, 0);
        else
            uv_process_kill(&child->process, SIGKILL);
        return;
    }
    if (!child->ended)
        return;
    slot->child = NULL;
    uv_timer_stop(&slot->timer);
    if (slot->busy)
        begin_sweeps(slot, child);
}

static void on_sent(uv_write_t *write, int status)
{
    free(write->data);
}

/* Sends a message of two parts; a child that cannot be told is ended. */
static void send_message(struct slot *slot, enum slot_message type, const void *first,
                         size_t first_size, const void *second, size_t second_size)
{
    struct child *child = slot->child;
    size_t size = first_size + second_size;
    if (child == NULL || child->ended)
        return;
    struct sending *sending = malloc(sizeof *sending + SLOT_HEADER + size);
    if (sending == NULL) {
        end_child(child);
        return;
    }
    uv_buf_t buffer = uv_buf_init((char *)sending->data, (unsigned)(SLOT_HEADER + size));
    slot_header(sending->data, type, size);
    if (first_size > 0)
        memcpy(sending->data + SLOT_HEADER, first, first_size);
    if (second_size > 0)
        memcpy(sending->data + SLOT_HEADER + first_size, second, second_size);
    sending->write.data = sending;
    if (uv_write(&sending->write, (uv_stream_t *)&child->pipe, &buffer, 1, on_sent) < 0) {
        free(sending);
        end_child(child);
    }
}

static void take_question(struct slot *slot, const uint8_t *data)
{
    struct slot_await await;
    memcpy(&await, data, sizeof await);
    slot->awaits = true;
    slot->asked_ms = uv_now(slot->loop);
    expect_child(slot);
    slot->events.await(slot->events.opaque, await.name, await.number);
}

static void take_outcome(struct slot *slot, const uint8_t *data)
{
    struct slot_done done;
    memcpy(&done, data, sizeof done);
    const char *reason = (const char *)data + sizeof done, *out = reason + done.reason + 1;
    struct slot_outcome outcome = {
        .end = (enum slot_end)done.end,
        .status = done.status,
        .reason = reason,
        .wall_us = done.wall_us,
        .waited_us = done.waited_us,
        .user_us = done.user_us,
        .system_us = done.system_us,
        .peak_bytes = done.peak_bytes,
        .out = {.data = out, .size = done.out, .total = done.out_total},
        .err = {.data = out + done.out + 1, .size = done.err, .total = done.err_total},
    };
    tell(slot, &outcome);
}

/* The child is the same program; what it says is right. */
static void take_message(struct slot *slot, enum slot_message type, const uint8_t *data,
                         size_t size)
{
    if (type == SLOT_AWAIT && slot->busy && size == sizeof(struct slot_await))
        take_question(slot, data);
    else if (type == SLOT_DONE && slot->busy && size >= sizeof(struct slot_done))
        take_outcome(slot, data);
}

/* Writes the command's folder and arguments; returns their size, 0 where they are too much. */
static size_t write_command(const struct slot_command *command, char *text, uint32_t *arguments)
{
    size_t size = strlen(command->folder) + 1;
    if (size > SLOT_COMMAND)
        return 0;
    memcpy(text, command->folder, size);
    for (*arguments = 0; command->argv[*arguments] != NULL; ++*arguments) {
        const char *argument = command->argv[*arguments];
        size_t length = strlen(argument) + 1;
        if (length > SLOT_COMMAND - size)
            return 0;
        memcpy(text + size, argument, length);
        size += length;
    }
    return size;
}

static int check_run(const struct slot *slot, const struct slot_command *command,
                     struct error *error)
{
    if (slot->closing)
        return error_set(error, -ECANCELED, "the slot is being closed");
    if (slot->busy)
        return error_set(error, -EBUSY, "the slot runs a command already");
    if (command->folder[0] != '/')
        return error_set(error, -EINVAL, "a command's folder is an absolute path, not %s",
                         command->folder);
    if (command->argv[0] == NULL || command->argv[0][0] == '\0')
        return error_set(error, -EINVAL, "a command without a name");
    return 0;
}

int slot_run(struct slot *slot, const struct slot_command *command,
             const struct slot_events *events, struct error *error)
{
    struct slot_run run = {.limit_ms = command->limit_ms};
    int code = check_run(slot, command, error);
    if (code < 0)
        return code;
    char *text = malloc(SLOT_COMMAND);
    if (text == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    size_t size = write_command(command, text, &run.arguments);
    if (size == 0)
        code = error_set(error, -E2BIG, "a command has at most %d bytes", SLOT_COMMAND);
    else if (slot->child == NULL || slot->child->exited || slot->child->ended)
        code = start_child(slot, error);
    if (code == 0) {
        slot->busy = true;
        slot->cancelled = slot->timed_out = slot->awaits = false;
        slot->events = *events;
        slot->limit_ms = command->limit_ms;
        slot->started_ms = uv_now(slot->loop);
        slot->waited_ms = 0;
        expect_child(slot);
        send_message(slot, SLOT_RUN, &run, sizeof run, text, size);
    }
    free(text);
    return code;
}

void slot_answer(struct slot *slot, enum control_answer answer)
{
    uint8_t byte = (uint8_t)answer;
    if (!slot->awaits)
        return;
    slot->awaits = false;
    slot->waited_ms += uv_now(slot->loop) - slot->asked_ms;
    expect_child(slot);
    send_message(slot, SLOT_ANSWER, &byte, sizeof byte, NULL, 0);
}

void slot_cancel(struct slot *slot)
{
    if (!slot->busy || slot->cancelled)
        return;
    slot->cancelled = true;
    slot->awaits = false;
    if (slot->child == NULL)
        return;
    expect_child(slot);
    send_message(slot, SLOT_CANCEL, NULL, 0, NULL, 0);
}

bool slot_busy(const struct slot *slot)
{
    return slot->busy;
}

int slot_pid(const struct slot *slot)
{
    return slot->child != NULL && !slot->child->exited ? uv_process_get_pid(&slot->child->process)
                                                       : 0;
}

/* ---- Opening and closing ------------------------------------------------------------------- */

static int copy_program(struct slot *slot, const char *program, const char *const argv[])
{
    size_t count = 0;
    while (argv[count] != NULL)
        count++;
    slot->program = strdup(program);
    slot->argv = calloc(count + 1, sizeof *slot->argv);
    if (slot->program == NULL || slot->argv == NULL)
        return -ENOMEM;
    for (size_t i = 0; i < count; i++)
        if ((slot->argv[i] = strdup(argv[i])) == NULL)
            return -ENOMEM;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct slot *slot = handle->data;
    void (*closed)(void *) = slot->closed;
    void *opaque = slot->opaque;
    free_slot(slot);
    if (closed != NULL)
        closed(opaque);
}

/* Frees the slot when it is to be closed, and nothing is left. */
static void close_further(struct slot *slot)
{
    if (slot->closing && !slot->busy && slot->children == 0 &&
        !uv_is_closing((uv_handle_t *)&slot->timer))
        uv_close((uv_handle_t *)&slot->timer, on_timer_closed);
}

int slot_open(uv_loop_t *loop, const char *program, const char *const argv[], struct slot **result,
              struct error *error)
{
    *result = NULL;
    struct slot *slot = calloc(1, sizeof *slot);
    if (slot == NULL || copy_program(slot, program, argv) < 0) {
        if (slot != NULL)
            free_slot(slot);
        return error_set(error, -ENOMEM, "out of memory");
    }
    slot->loop = loop;
    slot->timer.data = slot;
    uv_timer_init(loop, &slot->timer);
    int code = start_child(slot, error);
    if (code < 0) {
        slot_close(slot, NULL, NULL);
        return code;
    }
    *result = slot;
    return 0;
}

void slot_close(struct slot *slot, void (*closed)(void *opaque), void *opaque)
{
    slot->closing = true;
    slot->closed = closed;
    slot->opaque = opaque;
    slot->cancelled = slot->busy;
    if (slot->child != NULL)
        end_child(slot->child);
    close_further(slot);
}
