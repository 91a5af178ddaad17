/* Workers as tasks of Slurm's array jobs, by way of its own commands. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/slurm_private.h"
#include "engine/words.h"

enum {
    STEP_MS = 40,      /* what is started or ended meanwhile goes together */
    GOODBYE_TRIES = 4, /* of ending the last ones */
};

/* ---- Closing ------------------------------------------------------------------------------- */

static void slurm_free(struct slurm *slurm)
{
    slurm_folder_remove(&slurm->folder);
    words_free(slurm->options);
    free(slurm->program);
    free(slurm);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct slurm *slurm = handle->data;
    void (*closed)(void *opaque) = slurm->closed;
    void *opaque = slurm->closed_opaque;
    slurm_free(slurm);
    closed(opaque);
}

static void on_goodbye(void *opaque, const struct tool_result *result)
{
    struct slurm *slurm = opaque;
    slurm->scancel = NULL;
    if (result->status == 0 || slurm_failure(result->said) != SLURM_LATER)
        slurm->goodbyes = GOODBYE_TRIES;
    slurm->cancel_at = slurm_now(slurm) + SLURM_PAUSE_MS;
}

/* Ends all that Slurm may have of ours, and then itself. */
static void say_goodbye(struct slurm *slurm)
{
    slurm_free_tasks(&slurm->queue);
    if (slurm->submitting != NULL || slurm->squeue != NULL || slurm->scancel != NULL ||
        uv_is_closing((uv_handle_t *)&slurm->timer))
        return;
    if ((!slurm->unsure && list_empty(&slurm->tasks)) || slurm->goodbyes >= GOODBYE_TRIES) {
        slurm_free_tasks(&slurm->tasks);
        uv_close((uv_handle_t *)&slurm->timer, on_timer_closed);
    } else if (slurm_now(slurm) >= slurm->cancel_at) {
        slurm->goodbyes++;
        slurm_cancel_named(slurm, slurm->folder.name, on_goodbye);
    }
}

/* ---- What is due --------------------------------------------------------------------------- */

static void on_stale(void *opaque, const struct tool_result *result)
{
    struct slurm *slurm = opaque;
    slurm->scancel = NULL;
    if (result->status != 0 && slurm_failure(result->said) == SLURM_LATER)
        slurm->cancel_at = slurm_not_reached(slurm, result->said);
    else
        slurm->folder.stale[0] = '\0';
}

static void cancel_what_is_due(struct slurm *slurm, uint64_t now)
{
    if (slurm->scancel != NULL || now < slurm->cancel_at)
        return;
    if (slurm->folder.stale[0] != '\0')
        slurm_cancel_named(slurm, slurm->folder.stale, on_stale);
    else if (slurm_has_to_cancel(slurm))
        slurm_cancel(slurm);
}

static void step(struct slurm *slurm)
{
    uint64_t now = slurm_now(slurm);
    if (slurm->closed != NULL) {
        say_goodbye(slurm);
        return;
    }
    cancel_what_is_due(slurm, now);
    if (slurm->squeue == NULL && now >= slurm->look_at) {
        if (slurm->most_each == 0 && !list_empty(&slurm->queue))
            slurm_configure(slurm);
        else if (!list_empty(&slurm->tasks))
            slurm_look(slurm);
    }
    if (slurm->most_each > 0 && slurm->submitting == NULL && !list_empty(&slurm->queue) &&
        now >= slurm->submit_at)
        slurm_submit(slurm);
}

static void on_timer(uv_timer_t *timer)
{
    struct slurm *slurm = timer->data;
    step(slurm);
    if (slurm->closed == NULL && slurm->folder.stale[0] == '\0' && list_empty(&slurm->queue) &&
        list_empty(&slurm->tasks))
        uv_timer_stop(timer);
}

static void wake(struct slurm *slurm)
{
    if (!uv_is_active((uv_handle_t *)&slurm->timer))
        uv_timer_start(&slurm->timer, on_timer, STEP_MS, STEP_MS);
}

/* ---- The engine ---------------------------------------------------------------------------- */

static int slurm_start(struct engine *engine, uint32_t worker, const char *document,
                       struct error *error)
{
    struct slurm *slurm = (struct slurm *)engine;
    struct task *task = calloc(1, sizeof *task);
    if (task == NULL || (task->document = strdup(document)) == NULL) {
        free(task);
        return error_set(error, -ENOMEM, "out of memory");
    }
    task->worker = worker;
    list_append(&slurm->queue, &task->link);
    wake(slurm);
    return 0;
}

static void end_task(struct task *task)
{
    task->quiet = true;
    if (task->batch == NULL)
        slurm_free_task(task);
    else
        task->killed = true;
}

static void slurm_kill(struct engine *engine, uint32_t worker)
{
    struct slurm *slurm = (struct slurm *)engine;
    struct list_link *heads[] = {&slurm->queue, &slurm->tasks};
    for (int i = 0; i < 2; i++) {
        for (struct list_link *link = heads[i]->next; link != heads[i]; link = link->next) {
            struct task *task = LIST_ENTRY(link, struct task, link);
            if (task->worker != worker)
                continue;
            end_task(task);
            return;
        }
    }
}

static void slurm_stop(struct engine *engine)
{
    struct slurm *slurm = (struct slurm *)engine;
    struct list_link *head = &slurm->tasks;
    slurm_free_tasks(&slurm->queue);
    for (struct list_link *link = head->next; link != head; link = link->next)
        end_task(LIST_ENTRY(link, struct task, link));
}

static void slurm_close(struct engine *engine, void (*closed)(void *opaque), void *opaque)
{
    struct slurm *slurm = (struct slurm *)engine;
    slurm->closed = closed;
    slurm->closed_opaque = opaque;
    slurm->cancel_at = 0;
    if (slurm->sbatch != NULL) {
        slurm->unsure = true;
        tool_kill(slurm->sbatch);
    }
    wake(slurm);
    step(slurm);
}

static const struct engine functions = {
    .start = slurm_start, .kill = slurm_kill, .stop = slurm_stop, .close = slurm_close};

/* ---- Opening ------------------------------------------------------------------------------- */

/* Options of ours that are one of sbatch's. */
static const struct {
    const char *key, *option;
} passed_on[] = {
    {"partition", "--partition"},
    {"account", "--account"},
    {"qos", "--qos"},
    {"time", "--time"},
    {"memory", "--mem"},
    {"cpus", "--cpus-per-task"},
    {"constraint", "--constraint"},
};
enum { PASSED_ON = sizeof passed_on / sizeof *passed_on };

/* The user's options of sbatch: those above, and what `args` says behind them. */
static int make_options(struct slurm *slurm, const struct engine_choice *choice,
                        struct error *error)
{
    const char *args = engine_option(choice, "args"), *value;
    char **words = NULL;
    int code = args != NULL ? words_split("the engine's option args", args, &words, error) : 0;
    size_t extra = words != NULL ? words_count(words) : 0, count = 0;
    if (code < 0)
        return code;
    slurm->options = calloc(PASSED_ON + extra + 1, sizeof *slurm->options);
    for (int i = 0; slurm->options != NULL && i < PASSED_ON; i++) {
        if ((value = engine_option(choice, passed_on[i].key)) == NULL)
            continue;
        if (asprintf(&slurm->options[count], "%s=%s", passed_on[i].option, value) < 0) {
            slurm->options[count] = NULL;
            code = -ENOMEM;
            break;
        }
        count++;
    }
    if (slurm->options == NULL || code < 0) {
        words_free(words);
        return error_set(error, -ENOMEM, "out of memory");
    }
    for (size_t i = 0; i < extra; i++)
        slurm->options[count++] = words[i];
    free(words);
    return 0;
}

static int read_options(struct slurm *slurm, const struct engine_choice *choice,
                        const char *program, struct error *error)
{
    const char *time = engine_option(choice, "time"), *other = engine_option(choice, "program");
    if (time != NULL && !slurm_time(time, &slurm->engine.limits.life_ms))
        return error_set(error, -EINVAL,
                         "the engine's option time takes minutes, or what `sbatch --time` does, "
                         "not '%s'",
                         time);
    snprintf(slurm->user, sizeof slurm->user, "%u", (unsigned)getuid());
    slurm->program = strdup(other != NULL ? other : program);
    if (slurm->program == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    return make_options(slurm, choice, error);
}

static int make_folder(struct slurm *slurm, const struct engine_choice *choice, struct error *error)
{
    const char *parent = engine_option(choice, "folder");
    if (parent == NULL)
        parent = getenv("HOME");
    if (parent == NULL)
        return error_set(error, -EINVAL,
                         "the engine slurm needs its option folder: one that all nodes share");
    int code = slurm_folder_make(parent, &slurm->folder, error);
    if (code == 0 && strpbrk(slurm->folder.path, "%\\\n") != NULL) /* which Slurm would read */
        code = error_set(error, -EINVAL, "the folder %s has a %% or \\ in its name", parent);
    return code;
}

static int open_slurm(uv_loop_t *loop, const struct engine_choice *choice, const char *program,
                      const struct engine_events *events, struct engine **engine,
                      struct error *error)
{
    struct slurm *slurm = calloc(1, sizeof *slurm);
    if (slurm == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    slurm->engine = functions;
    slurm->folder.lock = -1;
    list_init(&slurm->queue);
    list_init(&slurm->tasks);
    list_init(&slurm->arrays);
    int code = read_options(slurm, choice, program, error);
    if (code == 0)
        code = make_folder(slurm, choice, error);
    if (code < 0) {
        slurm_free(slurm);
        return code;
    }
    slurm->loop = loop;
    slurm->events = *events;
    slurm->pause_ms = SLURM_PAUSE_MS;
    slurm->work.data = slurm;
    uv_timer_init(loop, &slurm->timer);
    slurm->timer.data = slurm;
    if (slurm->folder.stale[0] != '\0')
        wake(slurm);
    *engine = &slurm->engine;
    return 0;
}

static const char *const keys[] = {"partition",  "account", "qos",    "time",    "memory", "cpus",
                                   "constraint", "args",    "folder", "program", NULL};
const struct engine_kind engine_slurm_kind = {"slurm", keys, open_slurm};
