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

static const struct job_transfer *input_of(const struct coordinator_job *job)
{
    return &job->options.job->input[job->inputs];
}

static void on_input_adopted(void *opaque, const struct store_result *result)
{
    struct coordinator_job *job = opaque;
    struct error error = result->error;
    if (error.code == -EEXIST)
        error_set(&error, -EEXIST,
                  "%s is another file than when this job was begun; remove its "
                  "store to begin anew",
                  input_of(job)->file);
    if (error.code < 0) {
        coordinator_job_fail(job, &error);
    } else {
        job->inputs++;
        coordinator_put_inputs(job);
    }
    coordinator_job_operation_ended(job);
}

static void on_input_put(void *opaque, const struct store_result *result)
{
    struct coordinator_job *job = opaque;
    struct error error = result->error;
    int code = error.code;
    if (code == 0 && !job->ending)
        code = store_adopt(job->store, input_of(job)->key, 1, &result->identity, on_input_adopted,
                           job, NULL, &error);
    if (code < 0)
        coordinator_job_fail(job, &error);
    else if (!job->ending)
        job->operations++;
    coordinator_job_operation_ended(job);
}

static int put_input(struct coordinator_job *job, struct error *error)
{
    const struct job_transfer *input = input_of(job);
    const char *name;
    int folder = open_folder(input->file, &name, error);
    if (folder < 0)
        return folder;
    const struct store_put put = {.from = {folder, name}, .key = input->key, .attempt = 1};
    int code = store_put(job->store, &put, on_input_put, job, NULL, error);
    close(folder);
    return code;
}

void coordinator_put_inputs(struct coordinator_job *job)
{
    struct error error;
    while (job->inputs < job->options.job->inputs &&
           (job->options.elsewhere || input_of(job)->file[0] == '\0'))
        job->inputs++;
    if (job->inputs == job->options.job->inputs) {
        job->ready = true;
        ledger_tick(job->ledger, coordinator_job_now(job));
        if (ledger_result(job->ledger, &error) == LEDGER_RUNNING)
            crew_begin(job);
    } else if (put_input(job, &error) < 0) {
        coordinator_job_fail(job, &error);
    } else {
        job->operations++;
    }
}

/* ---- Outputs ------------------------------------------------------------------------------- */

static void on_output(void *opaque, const struct store_result *result)
{
    struct coordinator_job *job = opaque;
    if (result->error.code < 0) {
        coordinator_job_fail(job, &result->error);
    } else {
        job->outputs++;
        coordinator_get_outputs(job);
    }
    coordinator_job_operation_ended(job);
}

static int get_output(struct coordinator_job *job, struct error *error)
{
    const struct job_transfer *output = &job->options.job->output[job->outputs];
    const char *name;
    int folder = open_folder(output->file, &name, error);
    if (folder < 0)
        return folder;
    const struct store_get get = {.key = output->key, .to = {folder, name}, .length = STORE_TO_END};
    int code = store_get(job->store, &get, on_output, job, NULL, error);
    close(folder);
    return code;
}

void coordinator_get_outputs(struct coordinator_job *job)
{
    const struct job *what = job->options.job;
    struct error error;
    while (job->outputs < what->outputs &&
           (job->options.elsewhere || what->output[job->outputs].file[0] == '\0'))
        job->outputs++;
    if (job->outputs == what->outputs)
        coordinator_record_finished(job);
    else if (get_output(job, &error) < 0)
        coordinator_job_fail(job, &error);
    else
        job->operations++;
}
