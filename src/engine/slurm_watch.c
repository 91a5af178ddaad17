/* What becomes of the tasks, and the end of some of them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/slurm_private.h"

enum {
    LOOK_SOON_MS = 500,    /* between two squeue while some wait */
    LOOK_MS = 5000,        /* and while none does */
    MOST_CANCELLED = 1000, /* by one command, one by one */
};

/* ---- Looking ------------------------------------------------------------------------------- */

static struct task *find_task(struct slurm *slurm, uint32_t array, uint32_t index)
{
    struct list_link *head = &slurm->arrays;
    for (struct list_link *link = head->next; link != head; link = link->next) {
        struct batch *batch = LIST_ENTRY(link, struct batch, link);
        if (batch->array == array && array != 0)
            return index < batch->count ? batch->task[index] : NULL;
    }
    return NULL;
}

static void say_started(struct slurm *slurm, struct task *task)
{
    if (task->running)
        return;
    task->running = true;
    if (!task->quiet && slurm->closed == NULL)
        slurm->events.started(slurm->events.opaque, task->worker);
}

static void say_stuck(struct slurm *slurm, struct task *task, const struct slurm_line *line)
{
    struct error error;
    error_set(&error, -EINVAL, "Slurm holds workers back: %s", line->reason);
    task->killed = true;
    if (!task->quiet && slurm->closed == NULL) {
        task->quiet = true;
        slurm->events.refused(slurm->events.opaque, task->worker, &error);
    }
}

/* One that has ended keeps its `seen` behind, so that it goes with those that Slurm has forgotten. */
static void learn(struct slurm *slurm, const struct slurm_line *line)
{
    struct task *task = find_task(slurm, line->array, line->index);
    if (task == NULL)
        return;
    if (line->state == SLURM_ENDED) {
        snprintf(task->word, sizeof task->word, "%s", line->word);
        snprintf(task->reason, sizeof task->reason, "%s", line->reason);
        return;
    }
    task->seen = slurm->looks;
    if (line->state == SLURM_RUNNING)
        say_started(slurm, task);
    if (line->state == SLURM_STUCK)
        say_stuck(slurm, task, line);
}

/* Those that this look did not see though it could. */
static void gather_ended(struct slurm *slurm, struct list_link *ended)
{
    struct list_link *head = &slurm->tasks, *next;
    list_init(ended);
    for (struct list_link *link = head->next; link != head; link = next) {
        struct task *task = LIST_ENTRY(link, struct task, link);
        next = link->next;
        if (task->batch->array == 0 || task->batch->look > slurm->looks ||
            task->seen == slurm->looks)
            continue;
        list_remove(link);
        list_append(ended, link);
    }
}

static void say_ended(struct slurm *slurm, const struct task *task, char *how, size_t size)
{
    bool has_reason = task->reason[0] != '\0' && strcmp(task->reason, "None") != 0;
    char words[SLURM_WORDS] = "";
    if (strcmp(task->word, "COMPLETED") != 0)
        slurm_folder_last_words(&slurm->folder, task->batch->number, task->index, words);
    snprintf(how, size, "ended on Slurm%s%s%s%s%s%s%s", task->word[0] ? ", " : "", task->word,
             has_reason ? " (" : "", has_reason ? task->reason : "", has_reason ? ")" : "",
             words[0] ? ": " : "", words);
}

static void end_some(struct slurm *slurm, struct list_link *ended)
{
    while (!list_empty(ended)) {
        struct task *task = LIST_ENTRY(ended->next, struct task, link);
        uint32_t worker = task->worker;
        bool quiet = task->quiet || slurm->closed != NULL;
        char how[SLURM_WORDS + 128] = "";
        if (!quiet)
            say_ended(slurm, task, how, sizeof how);
        slurm_free_task(task);
        if (!quiet)
            slurm->events.ended(slurm->events.opaque, worker, how);
    }
}

static bool some_wait(const struct slurm *slurm)
{
    const struct list_link *head = &slurm->tasks;
    for (const struct list_link *link = head->next; link != head; link = link->next) {
        const struct task *task = LIST_ENTRY(link, const struct task, link);
        if (!task->running || task->killed)
            return true;
    }
    return false;
}

static void on_squeue(void *opaque, const struct tool_result *result)
{
    struct slurm *slurm = opaque;
    struct list_link ended;
    struct slurm_line line;
    char *text = result->status == 0 ? strdup(result->output) : NULL, *at = text;
    slurm->squeue = NULL;
    if (text == NULL) {
        slurm->look_at = slurm_not_reached(slurm, result->said);
    } else {
        slurm_reached(slurm);
        while (slurm_next_line(&at, &line))
            learn(slurm, &line);
        gather_ended(slurm, &ended);
        end_some(slurm, &ended);
        slurm->look_at = slurm_now(slurm) + (some_wait(slurm) ? LOOK_SOON_MS : LOOK_MS);
    }
    free(text);
}

void slurm_look(struct slurm *slurm)
{
    char user[32], name[48];
    snprintf(user, sizeof user, "--user=%s", slurm->user);
    snprintf(name, sizeof name, "--name=%s", slurm->folder.name);
    char *argv[] = {"squeue",
                    "--noheader",
                    "--array",
                    "--states=all",
                    user,
                    name,
                    "--format=" SLURM_SQUEUE_FORMAT,
                    NULL};
    slurm->looks++;
    slurm_run(slurm, argv, NULL, NULL, on_squeue, &slurm->squeue, &slurm->look_at);
}

/* ---- Cancelling ---------------------------------------------------------------------------- */

static bool is_to_be_cancelled(const struct task *task)
{
    return task->killed && !task->cancelled && task->batch->array != 0;
}

bool slurm_has_to_cancel(const struct slurm *slurm)
{
    const struct list_link *head = &slurm->tasks;
    for (const struct list_link *link = head->next; link != head; link = link->next)
        if (is_to_be_cancelled(LIST_ENTRY(link, const struct task, link)))
            return true;
    return false;
}

/* The names of tasks to be cancelled, which count as such; some at a time. False when out of memory. */
static bool name_cancelled(struct slurm *slurm, char *names[MOST_CANCELLED + 1])
{
    struct list_link *head = &slurm->tasks;
    int count = 0;
    for (struct list_link *link = head->next; link != head && count < MOST_CANCELLED;
         link = link->next) {
        struct task *task = LIST_ENTRY(link, struct task, link);
        if (!is_to_be_cancelled(task))
            continue;
        if (asprintf(&names[count], "%" PRIu32 "_%" PRIu32, task->batch->array, task->index) < 0) {
            names[count] = NULL;
            return false;
        }
        task->cancelled = true;
        count++;
    }
    return true;
}

static void cancel_again(struct slurm *slurm)
{
    struct list_link *head = &slurm->tasks;
    for (struct list_link *link = head->next; link != head; link = link->next)
        LIST_ENTRY(link, struct task, link)->cancelled = false;
}

/* A failure of another kind is of those that have ended already. */
static void on_scancel(void *opaque, const struct tool_result *result)
{
    struct slurm *slurm = opaque;
    slurm->scancel = NULL;
    if (result->status != 0 && slurm_failure(result->said) == SLURM_LATER) {
        cancel_again(slurm);
        slurm->cancel_at = slurm_not_reached(slurm, result->said);
    }
}

void slurm_cancel(struct slurm *slurm)
{
    char *argv[MOST_CANCELLED + 3] = {"scancel", "--quiet"};
    if (name_cancelled(slurm, argv + 2))
        slurm_run(slurm, argv, NULL, NULL, on_scancel, &slurm->scancel, &slurm->cancel_at);
    if (slurm->scancel == NULL)
        cancel_again(slurm);
    for (int i = 2; argv[i] != NULL; i++)
        free(argv[i]);
}

void slurm_cancel_named(struct slurm *slurm, const char *names,
                        void (*done)(void *opaque, const struct tool_result *result))
{
    char user[32], *name;
    snprintf(user, sizeof user, "--user=%s", slurm->user);
    if (asprintf(&name, "--name=%s", names) < 0)
        return;
    char *argv[] = {"scancel", "--quiet", user, name, NULL};
    slurm_run(slurm, argv, NULL, NULL, done, &slurm->scancel, &slurm->cancel_at);
    free(name);
}
