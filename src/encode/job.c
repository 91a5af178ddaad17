#include "encode/job.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <uv.h>

#include "encode/pool.h"
#include "encode/scratch.h"

enum {
    PROGRESS_MILLISECONDS = 250,
    /* How long a failed job waits for its threads; one may wait itself, for a pipe. */
    STOP_MILLISECONDS = 2000,
};

static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof signals / sizeof signals[0] };

/* What a thread does for the job at the moment; the loop touches it only when it is not busy. */
struct errand {
    uv_work_t work;
    bool busy;
    int code; /* of what was done */
    struct error error;
    char *path; /* of the file that is written or read; owned */
};

struct job {
    const struct job_options *options;
    struct assembly_options assembly_options;
    uv_loop_t loop;
    uv_signal_t signal[SIGNALS];
    uv_timer_t progress_timer, stop_timer;
    uint64_t started; /* in nanoseconds */

    struct errand reading;
    struct reader *reader; /* opened in the reading thread */
    struct raw_chunk read_chunk;
    bool read_all;
    struct input_info info; /* valid once a chunk was read */
    int64_t frames_read, chunks_read, batches_read;

    struct scratch *scratch;
    struct graph *graph;
    struct pool *pool;
    int window;             /* most chunks read and not yet written */
    struct raw_chunk *slot; /* those chunks, by number modulo window */

    struct errand writing;
    struct assembly *assembly;
    struct graph_task write_task;
    struct assembly_totals totals;
    int64_t frames_written;
    bool finishing, finished;

    atomic_bool cancel; /* tells the reading thread to stop */
    bool stopping;
    int code; /* of what failed first */
    struct error error;
};

static void go_on(struct job *job);

/* ---- Stopping ------------------------------------------------------------------------------ */

static void on_stop_timer(uv_timer_t *timer)
{
    uv_stop(timer->loop);
}

/* The first failure is the one that is reported. */
static void fail(struct job *job, const struct error *error)
{
    if (job->stopping)
        return;
    job->stopping = true;
    job->code = error->code;
    job->error = *error;
    atomic_store(&job->cancel, true);
    pool_stop(job->pool);
    uv_timer_start(&job->stop_timer, on_stop_timer, STOP_MILLISECONDS, 0);
}

static void fail_memory(struct job *job)
{
    struct error error;
    error_set(&error, -ENOMEM, "out of memory");
    fail(job, &error);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct job *job = handle->data;
    struct error error;
    error_set(&error, -ECANCELED, "stopped by signal %d (%s)", number, strsignal(number));
    fail(job, &error);
    go_on(job);
}

static void close_handles(struct job *job)
{
    for (int i = 0; i < SIGNALS; i++)
        uv_close((uv_handle_t *)&job->signal[i], NULL);
    uv_close((uv_handle_t *)&job->progress_timer, NULL);
    uv_close((uv_handle_t *)&job->stop_timer, NULL);
}

/* ---- Progress ------------------------------------------------------------------------------ */

static double seconds_since(uint64_t start)
{
    return (double)(uv_hrtime() - start) / 1e9;
}

static int64_t expected_frames(const struct job *job)
{
    const struct reader_options *reader = &job->options->reader;
    if (job->read_all)
        return job->frames_read;
    int64_t left = job->info.frames - reader->start;
    if (left <= 0 || (reader->frames > 0 && reader->frames < left))
        left = reader->frames;
    return left > job->frames_read || left == 0 ? left : job->frames_read;
}

static void report_progress(struct job *job)
{
    if (job->options->progress == NULL)
        return;
    struct job_progress progress = {
        .seconds = seconds_since(job->started),
        .frames = job->frames_written,
        .total = expected_frames(job),
        .chunks = graph_chunks(job->graph),
    };
    graph_running(job->graph, progress.running);
    job->options->progress(job->options->opaque, &progress);
}

static void on_progress_timer(uv_timer_t *timer)
{
    report_progress(timer->data);
}

/* ---- Threads ------------------------------------------------------------------------------- */

/* Has a thread do `work` for the errand, and the loop `after_work` when it is done. */
static void send_errand(struct job *job, struct errand *errand, uv_work_cb work,
                        uv_after_work_cb after_work)
{
    errand->work.data = job;
    errand->busy = true;
    uv_queue_work(&job->loop, &errand->work, work, after_work);
}

/* Returns false, and fails the job, where what the thread did has failed. */
static bool errand_done(struct job *job, struct errand *errand)
{
    errand->busy = false;
    free(errand->path);
    errand->path = NULL;
    if (errand->code >= 0)
        return true;
    fail(job, &errand->error);
    return false;
}

/* ---- Reading ------------------------------------------------------------------------------- */

static void read_in_thread(uv_work_t *work)
{
    struct job *job = work->data;
    struct errand *reading = &job->reading;
    reading->code = 0;
    if (job->reader == NULL)
        reading->code =
            reader_open(&job->options->reader, &job->cancel, &job->reader, &reading->error);
    if (reading->code >= 0)
        reading->code = reader_next(job->reader, reading->path, &job->read_chunk, &reading->error);
}

static void take_chunk(struct job *job)
{
    const struct raw_chunk *chunk = &job->read_chunk;
    struct error error;
    if (job->chunks_read == 0)
        job->info = *reader_info(job->reader);
    job->slot[chunk->plan.number % job->window] = *chunk;
    job->frames_read += chunk->plan.frames;
    job->chunks_read++;
    job->batches_read += chunk->plan.index == 0;
    if (graph_add(job->graph, &chunk->plan, &error) < 0)
        fail(job, &error);
}

static void after_reading(uv_work_t *work, int status)
{
    struct job *job = work->data;
    (void)status;
    if (errand_done(job, &job->reading)) {
        job->read_all = job->reading.code == 0;
        if (!job->read_all)
            take_chunk(job);
    }
    go_on(job);
}

static void read_on(struct job *job)
{
    if (job->reading.busy || job->read_all || graph_chunks(job->graph) == job->window)
        return;
    job->reading.path =
        scratch_path(job->scratch, (struct graph_name){job->chunks_read, GRAPH_RAW});
    if (job->reading.path == NULL)
        fail_memory(job);
    else
        send_errand(job, &job->reading, read_in_thread, after_reading);
}

/* ---- Steps --------------------------------------------------------------------------------- */

struct running_step {
    struct job *job;
    struct graph_task task;
};

static void forget_file(void *opaque, struct graph_name name)
{
    struct job *job = opaque;
    scratch_remove(job->scratch, name);
}

static void after_step(void *opaque, const struct error *failure)
{
    struct running_step *step = opaque;
    struct job *job = step->job;
    if (failure != NULL) {
        struct error error = *failure;
        error_prefix(&error, "chunk %lld, %s", (long long)step->task.chunk.number,
                     steps_name(step->task.step));
        fail(job, &error);
    } else {
        graph_done(job->graph, &step->task);
    }
    free(step);
    go_on(job);
}

static void start_steps(struct job *job)
{
    struct graph_task task;
    while (!job->stopping && pool_has_room(job->pool) && graph_take(job->graph, &task)) {
        struct steps_command command;
        struct error error;
        struct running_step *step = malloc(sizeof *step);
        if (step == NULL) {
            fail_memory(job);
            return;
        }
        *step = (struct running_step){job, task};
        steps_command(&task, &job->options->steps, &command);
        if (pool_run(job->pool, job->options->program, command.argv, after_step, step, &error) <
            0) {
            free(step);
            fail(job, &error);
        }
    }
}

/* ---- Writing ------------------------------------------------------------------------------- */

static struct raw_chunk *write_slot(struct job *job)
{
    return &job->slot[job->write_task.chunk.number % job->window];
}

static void write_in_thread(uv_work_t *work)
{
    struct job *job = work->data;
    job->writing.code = assembly_add(job->assembly, &job->info, job->writing.path, write_slot(job),
                                     &job->writing.error);
}

static void after_writing(uv_work_t *work, int status)
{
    struct job *job = work->data;
    (void)status;
    if (errand_done(job, &job->writing)) {
        struct raw_chunk *slot = write_slot(job);
        job->frames_written += slot->plan.frames;
        free(slot->time);
        slot->time = NULL;
        graph_done(job->graph, &job->write_task);
    }
    go_on(job);
}

static void finish_in_thread(uv_work_t *work)
{
    struct job *job = work->data;
    struct assembly *assembly = job->assembly;
    job->assembly = NULL; /* assembly_finish frees it in any case */
    job->writing.code = assembly_finish(assembly, &job->totals, &job->writing.error);
}

static void after_finishing(uv_work_t *work, int status)
{
    struct job *job = work->data;
    (void)status;
    job->finished = errand_done(job, &job->writing);
    go_on(job);
}

static void write_on(struct job *job)
{
    if (job->writing.busy)
        return;
    if (graph_take_write(job->graph, &job->write_task)) {
        job->writing.path = scratch_path(job->scratch, job->write_task.input[0]);
        if (job->writing.path == NULL)
            fail_memory(job);
        else
            send_errand(job, &job->writing, write_in_thread, after_writing);
    } else if (job->read_all && graph_chunks(job->graph) == 0 && !job->finishing) {
        job->finishing = true;
        send_errand(job, &job->writing, finish_in_thread, after_finishing);
    }
}

/* ---- The whole ----------------------------------------------------------------------------- */

/* Starts whatever can be started; called whenever something is done. */
static void go_on(struct job *job)
{
    if (!job->stopping)
        write_on(job);
    if (!job->stopping)
        read_on(job);
    start_steps(job);
    bool idle = !job->reading.busy && !job->writing.busy && pool_idle(job->pool);
    if (idle && (job->stopping || job->finished))
        close_handles(job);
}

static bool same_file(const char *a, const char *b)
{
    struct stat status_a;
    struct stat status_b;
    return stat(a, &status_a) == 0 && stat(b, &status_b) == 0 &&
           status_a.st_dev == status_b.st_dev && status_a.st_ino == status_b.st_ino;
}

static int open_files(struct job *job, struct error *error)
{
    const struct job_options *options = job->options;
    const char *input = options->reader.input;
    const char *output = options->assembly.output;
    if (same_file(input, output))
        return error_set(error, -EINVAL, "the output would overwrite the input, %s", input);
    job->assembly_options = options->assembly;
    job->assembly_options.from_the_start = options->reader.start == 0;
    job->assembly_options.to_the_end = options->reader.frames == 0;
    if (options->sound && strcmp(input, "-") != 0)
        job->assembly_options.audio_source = input;
    int code = assembly_open(&job->assembly_options, &job->assembly, error);
    if (code < 0)
        return code;
    return scratch_open(options->keep, options->assembly.overwrite, &job->scratch, error);
}

static int open_job(struct job *job, struct error *error)
{
    /* Each worker has one chunk at hand and finds another ready, while the first of the window
     * waits for its turn in the chain. More would only fill the disk. */
    job->window = 3 * job->options->workers + 4;
    job->slot = calloc((size_t)job->window, sizeof *job->slot);
    if (job->slot == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = open_files(job, error);
    if (code >= 0)
        code = graph_new(forget_file, job, &job->graph, error);
    if (code >= 0)
        code = pool_new(&job->loop, job->options->workers, scratch_folder(job->scratch), &job->pool,
                        error);
    return code;
}

static void open_handles(struct job *job)
{
    uv_timer_init(&job->loop, &job->stop_timer);
    uv_timer_init(&job->loop, &job->progress_timer);
    job->progress_timer.data = job;
    uv_timer_start(&job->progress_timer, on_progress_timer, PROGRESS_MILLISECONDS,
                   PROGRESS_MILLISECONDS);
    for (int i = 0; i < SIGNALS; i++) {
        struct sigaction action;
        uv_signal_init(&job->loop, &job->signal[i]);
        job->signal[i].data = job;
        /* nohup and its like have a signal ignored: so be it. */
        if (sigaction(signals[i], NULL, &action) != 0 || action.sa_handler != SIG_IGN)
            uv_signal_start(&job->signal[i], on_signal, signals[i]);
    }
}

/* What a thread still works with is left alone: it belongs to a process that is about to end. */
static void close_job(struct job *job)
{
    bool stuck = job->reading.busy || job->writing.busy;
    if (!job->writing.busy)
        assembly_abort(job->assembly);
    if (!job->reading.busy)
        reader_close(job->reader);
    scratch_close(job->scratch);
    if (stuck)
        return;
    for (int i = 0; job->slot != NULL && i < job->window; i++)
        free(job->slot[i].time);
    free(job->slot);
    graph_free(job->graph);
    pool_free(job->pool);
    free(job);
}

static void summarize(const struct job *job, struct job_summary *summary)
{
    *summary = (struct job_summary){
        .totals = job->totals,
        .input = job->info,
        .seconds = seconds_since(job->started),
        .chunks = job->chunks_read,
        .batches = job->batches_read,
    };
}

static int run_loop(struct job *job, struct error *error)
{
    job->started = uv_hrtime();
    open_handles(job);
    go_on(job);
    uv_run(&job->loop, UV_RUN_DEFAULT);
    if (job->stopping) {
        *error = job->error;
        return job->code;
    }
    report_progress(job);
    return 0;
}

int job_run(const struct job_options *options, struct job_summary *summary, struct error *error)
{
    struct job *job = calloc(1, sizeof *job);
    if (job == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    job->options = options;
    int code = uv_loop_init(&job->loop);
    if (code < 0) {
        free(job);
        return error_set(error, code, "cannot start: %s", uv_strerror(code));
    }
    code = open_job(job, error);
    if (code >= 0)
        code = run_loop(job, error);
    if (code >= 0)
        summarize(job, summary);
    uv_loop_close(&job->loop);
    close_job(job);
    return code;
}
