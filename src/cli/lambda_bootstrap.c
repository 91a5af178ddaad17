/* `excamera lambda bootstrap`: the program as the runtime of an AWS Lambda function. Each event is the
 * document of a worker, which works until it is dismissed. */
#include "cli/lambda.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "cli/working.h"
#include "engine/lambda_runtime.h"
#include "mu/worker_scratch.h"

/* Before its end a worker removes its files; and the answer must still reach Lambda. */
enum { ENDING_MS = 1000 };

/* What a function may write to. */
static const char writable[] = "/tmp";

/* Workers need neither the rights of the function's role nor the runtime API, and what they run still less. */
static void drop_secrets(void)
{
    static const char *const secrets[] = {
        "AWS_ACCESS_KEY_ID",      "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",      "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_LAMBDA_RUNTIME_API", "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    };
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++)
        unsetenv(secrets[i]);
}

/* Runs the worker in a folder of its own. An instance serves one event after another: nothing of an earlier
 * one is left, even where that was killed. */
static int work_in(const struct working *working, struct invocation *invocation,
                   struct error *error)
{
    struct worker_scratch scratch;
    int code = worker_scratch_make(writable, "@lambda", invocation->worker, &scratch, error);
    if (code < 0)
        return code;
    worker_scratch_sweep_now(&scratch);
    free(invocation->scratch);
    invocation->scratch = strdup(scratch.path);
    if (invocation->scratch == NULL)
        code = error_set(error, -ENOMEM, "out of memory");
    if (code == 0)
        code = working_run(working, invocation, error);
    worker_scratch_remove(&scratch);
    return code;
}

static int work(const struct working *working, const struct lambda_event *event,
                struct error *error)
{
    struct invocation invocation;
    if (event->text == NULL)
        return error_set(error, -E2BIG, "the event is longer than %d bytes",
                         LAMBDA_RUNTIME_MOST_EVENT);
    int code = invocation_read(event->text, event->size, &invocation, error);
    if (code < 0)
        return code;
    if (event->left_ms > 0)
        invocation.life_ms = event->left_ms > ENDING_MS ? event->left_ms - ENDING_MS : 1;
    free(invocation.keep);
    invocation.keep = NULL; /* a folder of somebody else's machine */
    code = work_in(working, &invocation, error);
    invocation_release(&invocation);
    return code;
}

/* Serves one event after another; returns where the Runtime API fails. What is printed is in the function's
 * log. */
static int serve(const struct working *working, struct lambda_runtime *runtime, struct error *error)
{
    struct lambda_event event;
    struct error reason;
    int code;
    while ((code = lambda_runtime_next(runtime, &event, error)) == 0) {
        if (work(working, &event, &reason) == 0) {
            code = lambda_runtime_respond(runtime, &event, "{}", error);
        } else {
            fprintf(stderr, "excamera: %s\n", reason.message);
            code = lambda_runtime_fail(runtime, &event, &reason, error);
        }
        lambda_event_forget(&event);
        if (code < 0)
            break;
    }
    return code;
}

/* Returns when something went wrong. */
static int open_and_serve(const char *address, struct error *error)
{
    struct working working = {0};
    struct lambda_runtime *runtime;
    struct error other;
    int code = lambda_runtime_open(address, &runtime, error);
    if (code < 0)
        return code;
    drop_secrets();
    code = working_open(&working, error);
    if (code < 0)
        lambda_runtime_fail(runtime, NULL, error, &other);
    else
        code = serve(&working, runtime, error);
    working_close(&working);
    lambda_runtime_close(runtime);
    return code;
}

int lambda_bootstrap(int argc, char **argv)
{
    const char *address = getenv("AWS_LAMBDA_RUNTIME_API");
    struct error error;
    if (argc > 1 || address == NULL) {
        fputs("excamera lambda bootstrap: this is what AWS Lambda starts: it takes no arguments, "
              "and\n"
              "the environment's AWS_LAMBDA_RUNTIME_API says whom to ask for events\n",
              stderr);
        return EXIT_USAGE;
    }
    open_and_serve(address, &error);
    fprintf(stderr, "excamera lambda bootstrap: %s\n", error.message);
    return EXIT_FAILURE;
}
