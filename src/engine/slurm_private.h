/*
 * The parts of the engine slurm. What is started within a short time is one array, all that are ended is one
 * `scancel`, and one `squeue` tells of all. The job's name tells them from others of the user.
 *
 *     queue -> a batch: written to the folder -> sbatch, an array -> squeue: waiting -> running -> ended
 */
#ifndef ENGINE_SLURM_PRIVATE_H
#define ENGINE_SLURM_PRIVATE_H

#include <stdbool.h>

#include "engine/kind.h"
#include "engine/slurm_folder.h"
#include "engine/slurm_text.h"
#include "engine/tool.h"
#include "net/list.h"

enum {
    SLURM_PAUSE_MS = 1000, /* after Slurm could not be reached; twice as long each time */
    SLURM_LONGEST_PAUSE_MS = 15000,
};

struct slurm {
    struct engine engine;
    uv_loop_t *loop;
    struct engine_events events;
    struct slurm_folder folder;
    char user[16];  /* the number of it */
    char *program;  /* on the nodes */
    char **options; /* for sbatch, as the user wants */
    uv_timer_t timer;
    uint32_t most_each;            /* tasks of an array; 0: not known yet */
    uint32_t batches;              /* that were made */
    struct list_link queue, tasks; /* tasks: those that batches have */
    struct list_link arrays;       /* the batches */
    struct batch *submitting;      /* NULL: none */
    uv_work_t work;                /* of writing its documents */
    struct error written;
    struct tool *sbatch, *scancel,
        *squeue; /* that run now; scontrol is in place of squeue at first */
    uint64_t submit_at, cancel_at, look_at; /* not earlier */
    uint64_t failing_since;                 /* 0: Slurm was reached the last time */
    unsigned pause_ms;
    uint32_t looks;               /* how many were begun */
    int goodbyes;                 /* tries of them */
    bool unsure;                  /* whether Slurm has an array that we do not know */
    void (*closed)(void *opaque); /* NULL unless it is being closed */
    void *closed_opaque;
};

/* An array. */
struct batch {
    struct slurm *slurm;
    struct list_link link;
    uint32_t number, array; /* array: Slurm's number of it; 0: none yet */
    uint32_t look;          /* the first that can know of it */
    struct task **task;     /* [count], NULL where it has ended */
    uint32_t count, left;
};

struct task {
    struct list_link link; /* in slurm->queue or slurm->tasks */
    uint32_t worker;
    char *document;
    struct batch *batch;       /* NULL in the queue */
    uint32_t index, seen;      /* seen: the last look that knew of it */
    bool running;              /* `started` was said */
    bool quiet;                /* nobody wants to know of its end any more */
    bool killed;               /* it is to be ended */
    bool cancelled;            /* and Slurm knows */
    char word[32], reason[64]; /* of its end */
};

/* ---- slurm_task.c: tasks and batches ------------------------------------------------------- */

/* Takes it out of its list and batch. */
void slurm_free_task(struct task *task);
void slurm_free_tasks(struct list_link *tasks);
void slurm_forget_document(struct task *task);
void slurm_move_tasks(struct list_link *to, struct list_link *from);
/* The batch's tasks go to the end of `to`, and it is no more. Those that were killed are freed. */
void slurm_dissolve(struct batch *batch, struct list_link *to);
/* The same, to the head of the queue. */
void slurm_put_back(struct slurm *slurm, struct batch *batch);
/* Frees tasks that are in no list of the engine's, and tells of each. What is told may start and end others. */
void slurm_refuse(struct slurm *slurm, struct list_link *tasks, const struct error *reason);
void slurm_refuse_queue(struct slurm *slurm, const struct error *reason);

/* ---- slurm_reach.c: Slurm's commands -------------------------------------------------------- */

uint64_t slurm_now(const struct slurm *slurm);
/* Runs one, as tool_run() does; where that fails it counts as one that could not reach Slurm, and `*at` is when to try again. */
void slurm_run(struct slurm *slurm, char *const *argv, char *const *env, const char *input,
               void (*done)(void *opaque, const struct tool_result *result), struct tool **tool,
               uint64_t *at);
void slurm_reached(struct slurm *slurm);
/* Returns when to try again. After a minute those that wait are not kept waiting any more. */
uint64_t slurm_not_reached(struct slurm *slurm, const char *said);
/* Asks what Slurm is like. */
void slurm_configure(struct slurm *slurm);

/* ---- slurm_submit.c ------------------------------------------------------------------------- */

/* Makes a batch of the first ones in the queue. */
void slurm_submit(struct slurm *slurm);

/* ---- slurm_watch.c -------------------------------------------------------------------------- */

/* Asks what has become of them. */
void slurm_look(struct slurm *slurm);
/* Whether there are some that were killed and that Slurm has still. */
bool slurm_has_to_cancel(const struct slurm *slurm);
void slurm_cancel(struct slurm *slurm);
/* All of the names that `names` has, between commas. */
void slurm_cancel_named(struct slurm *slurm, const char *names,
                        void (*done)(void *opaque, const struct tool_result *result));

#endif
