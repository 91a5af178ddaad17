#include "cli/working.h"

#include <signal.h>
#include <stdlib.h>
#include <uv.h>

#include "mu/worker.h"

struct run {
    uv_loop_t loop;
    uv_signal_t interrupt, terminate;
    struct worker *worker; /* NULL once it has ended */
    struct error *error;
    int code;
};

int working_open(struct working *working, struct error *error)
{
    build_facts(working->facts);
    return build_program(&working->program, error);
}

void working_close(struct working *working)
{
    free(working->program);
    working->program = NULL;
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    if (run->worker != NULL)
        worker_stop(run->worker, "stopped by a signal");
}

static void on_ended(void *opaque, const struct error *reason)
{
    struct run *run = opaque;
    run->worker = NULL;
    if (reason != NULL) {
        *run->error = *reason;
        run->code = reason->code;
    }
    uv_close((uv_handle_t *)&run->interrupt, NULL);
    uv_close((uv_handle_t *)&run->terminate, NULL);
}

static void watch_signals(struct run *run)
{
    signal(SIGPIPE, SIG_IGN);
    uv_signal_init(&run->loop, &run->interrupt);
    uv_signal_init(&run->loop, &run->terminate);
    run->interrupt.data = run->terminate.data = run;
    uv_signal_start(&run->interrupt, on_signal, SIGINT);
    uv_signal_start(&run->terminate, on_signal, SIGTERM);
}

int working_run(const struct working *working, const struct invocation *invocation,
                struct error *error)
{
    static const char *const slot_argv[] = {"excamera", "worker", "--slot", NULL};
    const struct worker_options options = {
        .invocation = invocation,
        .version = XC_VERSION,
        .build = build_identity(),
        .facts = working->facts,
        .program = working->program,
        .slot_argv = slot_argv,
    };
    struct run run = {.error = error};
    struct error reason;
    int code = uv_loop_init(&run.loop);
    if (code < 0)
        return error_set(error, code, "cannot start: %s", uv_strerror(code));
    watch_signals(&run);
    if (worker_open(&run.loop, &options, on_ended, &run, &run.worker, &reason) < 0)
        on_ended(&run, &reason);
    uv_run(&run.loop, UV_RUN_DEFAULT);
    uv_loop_close(&run.loop);
    return run.code;
}
