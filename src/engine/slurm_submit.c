/* Batches: written to the folder, and given to Slurm as arrays. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/slurm_private.h"
#include "engine/words.h"

enum { MOST_WORDS = 32 }; /* of a command line, but for the user's */

/* ---- Submitting ---------------------------------------------------------------------------- */

/* What an account may have at once may be fewer than these, or be free again later. */
static void submit_fewer(struct slurm *slurm, struct batch *batch, const char *sentence)
{
    struct list_link tasks;
    struct error error;
    if (batch->count > 1) {
        slurm->most_each = (batch->count + 1) / 2;
        slurm_put_back(slurm, batch);
        return;
    }
    list_init(&tasks);
    slurm_dissolve(batch, &tasks);
    if (list_empty(&slurm->tasks)) {
        error_set(&error, -EDQUOT, "Slurm does not take a single worker: %s", sentence);
        slurm_refuse(slurm, &tasks, &error);
        return;
    }
    slurm_move_tasks(&tasks, &slurm->queue);
    slurm_move_tasks(&slurm->queue, &tasks);
    slurm->submit_at = slurm_now(slurm) + SLURM_LONGEST_PAUSE_MS;
}

static void submit_failed(struct slurm *slurm, struct batch *batch, enum slurm_failure kind,
                          const char *said)
{
    struct list_link tasks;
    struct error error;
    char sentence[256];
    slurm_sentence(said, sentence, sizeof sentence);
    switch (kind) {
    case SLURM_LATER:
        slurm_put_back(slurm, batch);
        slurm->submit_at = slurm_not_reached(slurm, said);
        break;
    case SLURM_TOO_MANY:
        submit_fewer(slurm, batch, sentence);
        break;
    default:
        list_init(&tasks);
        slurm_dissolve(batch, &tasks);
        error_set(&error, -EINVAL,
                  "Slurm does not take workers: %s (the engine's options say how it is asked)",
                  sentence);
        slurm_refuse(slurm, &tasks, &error);
    }
}

/* Those that were killed meanwhile are cancelled by the next step. */
static void submitted(struct slurm *slurm, struct batch *batch)
{
    batch->look = slurm->looks + 1;
    for (uint32_t i = 0; i < batch->count; i++)
        slurm_forget_document(batch->task[i]);
    slurm->look_at = slurm_now(slurm);
    slurm_reached(slurm);
}

static void on_sbatch(void *opaque, const struct tool_result *result)
{
    struct slurm *slurm = opaque;
    struct batch *batch = slurm->submitting;
    slurm->sbatch = NULL;
    slurm->submitting = NULL;
    batch->array = result->status == 0 ? (uint32_t)strtoul(result->output, NULL, 10) : 0;
    if (batch->array != 0)
        submitted(slurm, batch);
    else
        submit_failed(slurm, batch,
                      result->status >= 128 ? SLURM_LATER : slurm_failure(result->said),
                      result->said);
}

/* Of ours what a task may know, since Slurm hands on all that sbatch has; and what sbatch reads itself. What it is
 * asked to hand on by name (--export) would have each node run a login shell first, which can take long. To be
 * freed; NULL when out of memory. */
static char **make_environment(void)
{
    static const char *const names[] = {
        "PATH=", "HOME=", "USER=", "LOGNAME=", "LANG=", "SLURM_CONF=", "KRB5CCNAME="};
    size_t count = 0;
    char **env = calloc(words_count(environ) + 1, sizeof *env);
    for (char **word = environ; env != NULL && *word != NULL; word++) {
        bool wanted = strncmp(*word, "SBATCH_", strlen("SBATCH_")) == 0;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++)
            wanted |= strncmp(*word, names[i], strlen(names[i])) == 0;
        if (wanted)
            env[count++] = *word;
    }
    return env;
}

/* The user's options come last, so that they count. */
static void run_sbatch(struct slurm *slurm, struct batch *batch)
{
    size_t options = words_count(slurm->options), count = 0;
    char array[32], name[48];
    char *said = NULL, *output = NULL;
    char *script = slurm_script(slurm->folder.path, batch->number, slurm->program);
    char **argv = calloc(MOST_WORDS + options, sizeof *argv), **env = make_environment();
    snprintf(array, sizeof array, "--array=0-%" PRIu32, batch->count - 1);
    snprintf(name, sizeof name, "--job-name=%s", slurm->folder.name);
    if (asprintf(&said, "%s/%" PRIu32 "-%%a%s", slurm->folder.path, batch->number, SLURM_SAID) < 0)
        said = NULL;
    if (said != NULL && asprintf(&output, "--output=%s", said) < 0)
        output = NULL;
    char *words[] = {"sbatch",       "--parsable", array,        name,
                     "--no-requeue", "--chdir=/",  "--ntasks=1", output};
    for (; argv != NULL && count < sizeof words / sizeof *words; count++)
        argv[count] = words[count];
    for (size_t i = 0; argv != NULL && i < options; i++)
        argv[count++] = slurm->options[i];
    if (script != NULL && argv != NULL && env != NULL && output != NULL)
        slurm_run(slurm, argv, env, script, on_sbatch, &slurm->sbatch, &slurm->submit_at);
    free(script);
    free(argv);
    free(env);
    free(said);
    free(output);
}

/* In a thread of its own. */
static void write_documents(uv_work_t *work)
{
    struct slurm *slurm = work->data;
    const struct batch *batch = slurm->submitting;
    slurm->written.code = 0;
    for (uint32_t i = 0; i < batch->count && slurm->written.code == 0; i++)
        slurm_folder_write(&slurm->folder, batch->number, i, batch->task[i]->document,
                           &slurm->written);
}

static void on_documents(uv_work_t *work, int status)
{
    struct slurm *slurm = work->data;
    struct batch *batch = slurm->submitting;
    struct list_link tasks;
    if (slurm->closed == NULL && slurm->written.code == 0)
        run_sbatch(slurm, batch);
    if (slurm->sbatch != NULL)
        return;
    slurm->submitting = NULL;
    if (slurm->closed == NULL && slurm->written.code < 0) {
        list_init(&tasks);
        slurm_dissolve(batch, &tasks);
        slurm_refuse(slurm, &tasks, &slurm->written);
    } else {
        slurm_put_back(slurm, batch);
    }
}

static struct batch *batch_new(struct slurm *slurm)
{
    struct batch *batch = calloc(1, sizeof *batch);
    if (batch == NULL || (batch->task = calloc(slurm->most_each, sizeof(struct task *))) == NULL) {
        free(batch);
        return NULL;
    }
    batch->slurm = slurm;
    batch->number = ++slurm->batches;
    list_append(&slurm->arrays, &batch->link);
    return batch;
}

void slurm_submit(struct slurm *slurm)
{
    struct batch *batch = batch_new(slurm);
    if (batch == NULL) {
        slurm->submit_at = slurm_now(slurm) + SLURM_PAUSE_MS;
        return;
    }
    while (batch->count < slurm->most_each && !list_empty(&slurm->queue)) {
        struct task *task = LIST_ENTRY(slurm->queue.next, struct task, link);
        list_remove(&task->link);
        list_append(&slurm->tasks, &task->link);
        task->batch = batch;
        task->index = batch->count;
        batch->task[batch->count++] = task;
        batch->left++;
    }
    slurm->submitting = batch;
    if (uv_queue_work(slurm->loop, &slurm->work, write_documents, on_documents) < 0) {
        slurm->submitting = NULL;
        slurm_put_back(slurm, batch);
        slurm->submit_at = slurm_now(slurm) + SLURM_PAUSE_MS;
    }
}
