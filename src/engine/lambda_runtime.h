/*
 * The function's side of AWS Lambda: a custom runtime asks the Runtime API for an event, answers it, and asks
 * again, until its instance is ended. Blocking; one event at a time.
 * https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
 */
#ifndef ENGINE_LAMBDA_RUNTIME_H
#define ENGINE_LAMBDA_RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#include "util/error.h"

enum {
    LAMBDA_RUNTIME_MOST_EVENT = 1024 * 1024, /* bytes, as AWS allows for asynchronous invocations */
    LAMBDA_RUNTIME_MOST_ID = 128,
};

struct lambda_runtime;

struct lambda_event {
    char id[LAMBDA_RUNTIME_MOST_ID];
    char *text; /* [size], with a '\0' behind it; NULL where it was longer than is allowed */
    size_t size;
    uint64_t left_ms; /* until the instance is ended from outside; 0: not known */
};

/* `address` is HOST:PORT, the environment's AWS_LAMBDA_RUNTIME_API. */
int lambda_runtime_open(const char *address, struct lambda_runtime **runtime, struct error *error);
void lambda_runtime_close(struct lambda_runtime *runtime);

/* Waits for an event, however long; for lambda_event_forget(). */
int lambda_runtime_next(struct lambda_runtime *runtime, struct lambda_event *event,
                        struct error *error);
/* Its text holds secrets: overwritten, then freed. */
void lambda_event_forget(struct lambda_event *event);

/* Ends the event well; `json` is what is answered. */
int lambda_runtime_respond(struct lambda_runtime *runtime, const struct lambda_event *event,
                           const char *json, struct error *error);
/* Ends the event badly, for `reason`; without an event (NULL), the instance could not begin. */
int lambda_runtime_fail(struct lambda_runtime *runtime, const struct lambda_event *event,
                        const struct error *reason, struct error *error);

#endif
