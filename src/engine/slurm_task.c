/* Tasks in the queue and in batches. */
#include <stdlib.h>
#include <string.h>

#include "engine/slurm_private.h"

void slurm_forget_document(struct task *task)
{
    if (task->document != NULL)
        explicit_bzero(task->document, strlen(task->document));
    free(task->document);
    task->document = NULL;
}

static void leave_batch(struct batch *batch)
{
    if (--batch->left > 0)
        return;
    list_remove(&batch->link);
    free(batch->task);
    free(batch);
}

static void take_from_batch(struct task *task)
{
    struct batch *batch = task->batch;
    if (batch == NULL)
        return;
    slurm_folder_forget(&batch->slurm->folder, batch->number, task->index);
    batch->task[task->index] = NULL;
    task->batch = NULL;
    leave_batch(batch);
}

void slurm_free_task(struct task *task)
{
    list_remove(&task->link);
    take_from_batch(task);
    slurm_forget_document(task);
    free(task);
}

void slurm_free_tasks(struct list_link *tasks)
{
    while (!list_empty(tasks))
        slurm_free_task(LIST_ENTRY(tasks->next, struct task, link));
}

void slurm_move_tasks(struct list_link *to, struct list_link *from)
{
    while (!list_empty(from)) {
        struct list_link *link = from->next;
        list_remove(link);
        list_append(to, link);
    }
}

void slurm_dissolve(struct batch *batch, struct list_link *to)
{
    batch->left++;
    for (uint32_t i = 0; i < batch->count; i++) {
        struct task *task = batch->task[i];
        if (task == NULL)
            continue;
        if (task->killed) {
            slurm_free_task(task);
            continue;
        }
        take_from_batch(task);
        list_remove(&task->link);
        list_append(to, &task->link);
    }
    leave_batch(batch);
}

void slurm_put_back(struct slurm *slurm, struct batch *batch)
{
    struct list_link rest;
    list_take(&rest, &slurm->queue);
    slurm_dissolve(batch, &slurm->queue);
    slurm_move_tasks(&slurm->queue, &rest);
}

void slurm_refuse(struct slurm *slurm, struct list_link *tasks, const struct error *reason)
{
    while (!list_empty(tasks)) {
        struct task *task = LIST_ENTRY(tasks->next, struct task, link);
        uint32_t worker = task->worker;
        bool quiet = task->quiet;
        slurm_free_task(task);
        if (!quiet && slurm->closed == NULL)
            slurm->events.refused(slurm->events.opaque, worker, reason);
    }
}

void slurm_refuse_queue(struct slurm *slurm, const struct error *reason)
{
    struct list_link tasks;
    list_take(&tasks, &slurm->queue);
    slurm_refuse(slurm, &tasks, reason);
}
