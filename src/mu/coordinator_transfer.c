/* A job's inputs into the store before it begins, its outputs out of it when it is done; one by one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mu/coordinator_private.h"

/* Opens the folder that `path` lies in; `*name` is what it is called there. */
static int open_folder(const char *path, const char **name, struct error *error)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    *name = slash ? slash + 1 : path;
    if (folder == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int code = errno;
    free(folder);
    return descriptor < 0 ? error_set(error, -code, "%s: %s", path, strerror(code)) : descriptor;
}

/* ---- Inputs -------------------------------------------------------------------------------- */

static const struct job_transfer *input_of(const struct coordinator *coordinator)
{
    return &coordinator->options.job->input[coordinator->inputs];
}

static void on_input_adopted(void *opaque, const struct store_result *result)
{
    struct coordinator *coordinator = opaque;
    struct error error = result->error;
    if (error.code == -EEXIST)
        error_set(&error, -EEXIST,
                  "%s is another file than when this job was begun; remove its "
                  "store to begin anew",
                  input_of(coordinator)->file);
    if (error.code < 0) {
        coordinator_fail(coordinator, &error);
    } else {
        coordinator->inputs++;
        transfer_inputs(coordinator);
    }
    coordinator_operation_ended(coordinator);
}

static void on_input_put(void *opaque, const struct store_result *result)
{
    struct coordinator *coordinator = opaque;
    struct error error = result->error;
    int code = error.code;
    if (code == 0 && !coordinator->ending)
        code = store_adopt(coordinator->store, input_of(coordinator)->key, 1, &result->identity,
                           on_input_adopted, coordinator, NULL, &error);
    if (code < 0)
        coordinator_fail(coordinator, &error);
    else if (!coordinator->ending)
        coordinator->operations++;
    coordinator_operation_ended(coordinator);
}

static int put_input(struct coordinator *coordinator, struct error *error)
{
    const struct job_transfer *input = input_of(coordinator);
    const char *name;
    int folder = open_folder(input->file, &name, error);
    if (folder < 0)
        return folder;
    const struct store_put put = {.from = {folder, name}, .key = input->key, .attempt = 1};
    int code = store_put(coordinator->store, &put, on_input_put, coordinator, NULL, error);
    close(folder);
    return code;
}

void transfer_inputs(struct coordinator *coordinator)
{
    struct error error;
    while (coordinator->inputs < coordinator->options.job->inputs &&
           input_of(coordinator)->file[0] == '\0')
        coordinator->inputs++;
    if (coordinator->inputs == coordinator->options.job->inputs) {
        coordinator->ready = true;
        ledger_tick(coordinator->ledger, coordinator_now(coordinator));
        if (ledger_result(coordinator->ledger, &error) == LEDGER_RUNNING)
            crew_fill(coordinator);
    } else if (put_input(coordinator, &error) < 0) {
        coordinator_fail(coordinator, &error);
    } else {
        coordinator->operations++;
    }
}

/* ---- Outputs ------------------------------------------------------------------------------- */

static void on_output(void *opaque, const struct store_result *result)
{
    struct coordinator *coordinator = opaque;
    if (result->error.code < 0) {
        coordinator_fail(coordinator, &result->error);
    } else {
        coordinator->outputs++;
        transfer_outputs(coordinator);
    }
    coordinator_operation_ended(coordinator);
}

static int get_output(struct coordinator *coordinator, struct error *error)
{
    const struct job_transfer *output = &coordinator->options.job->output[coordinator->outputs];
    const char *name;
    int folder = open_folder(output->file, &name, error);
    if (folder < 0)
        return folder;
    const struct store_get get = {.key = output->key, .to = {folder, name}, .length = STORE_TO_END};
    int code = store_get(coordinator->store, &get, on_output, coordinator, NULL, error);
    close(folder);
    return code;
}

void transfer_outputs(struct coordinator *coordinator)
{
    const struct job *job = coordinator->options.job;
    struct error error;
    while (coordinator->outputs < job->outputs && job->output[coordinator->outputs].file[0] == '\0')
        coordinator->outputs++;
    if (coordinator->outputs == job->outputs)
        record_finished(coordinator);
    else if (get_output(coordinator, &error) < 0)
        coordinator_fail(coordinator, &error);
    else
        coordinator->operations++;
}
