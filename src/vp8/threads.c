#include "vp8/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>

struct helper {
    struct thread_pool *pool;
    int number;
    pthread_t thread;
};

struct thread_pool {
    pthread_mutex_t mutex;
    pthread_cond_t opened, left;
    /* Changed with the mutex locked; the atomic ones are looked at without. */
    atomic_uint jobs;  /* that were opened so far */
    atomic_int inside; /* helpers at work */
    bool open, ending;
    int threads; /* that may take part in the job */
    thread_work *work;
    void *data;
    /* Of the caller alone. */
    int most, started; /* helpers */
    struct helper helper[];
};

/* ---- The helpers' side --------------------------------------------------------------------- */

static bool may_enter(struct thread_pool *pool, int number, unsigned seen)
{
    return pool->open && atomic_load(&pool->jobs) != seen && number < pool->threads;
}

/* Waits for a job that is not the one it has seen; false when there will be no more. */
static bool enter(struct thread_pool *pool, int number, unsigned *seen)
{
    for (int i = 0; i < THREADS_LOOKS && atomic_load(&pool->jobs) == *seen; i++)
        xc_threads_relax();
    pthread_mutex_lock(&pool->mutex);
    while (!pool->ending && !may_enter(pool, number, *seen))
        pthread_cond_wait(&pool->opened, &pool->mutex);
    bool ending = pool->ending;
    *seen = atomic_load(&pool->jobs);
    atomic_fetch_add(&pool->inside, !ending);
    pthread_mutex_unlock(&pool->mutex);
    return !ending;
}

static void leave(struct thread_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    if (atomic_fetch_sub(&pool->inside, 1) == 1)
        pthread_cond_signal(&pool->left);
    pthread_mutex_unlock(&pool->mutex);
}

static void *help(void *argument)
{
    const struct helper *self = argument;
    struct thread_pool *pool = self->pool;
    unsigned seen = 0;
    while (enter(pool, self->number, &seen)) {
        pool->work(pool->data, self->number);
        leave(pool);
    }
    return NULL;
}

/* ---- The caller's side --------------------------------------------------------------------- */

struct thread_pool *xc_threads_new(int most)
{
    size_t helpers = (size_t)most - 1;
    struct thread_pool *pool = calloc(1, sizeof *pool + helpers * sizeof pool->helper[0]);
    if (!pool)
        return NULL;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->opened, NULL);
    pthread_cond_init(&pool->left, NULL);
    atomic_init(&pool->jobs, 0);
    atomic_init(&pool->inside, 0);
    pool->most = (int)helpers;
    return pool;
}

void xc_threads_free(struct thread_pool *pool)
{
    if (!pool)
        return;
    pthread_mutex_lock(&pool->mutex);
    pool->ending = true;
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < pool->started; i++)
        pthread_join(pool->helper[i].thread, NULL);
    pthread_cond_destroy(&pool->left);
    pthread_cond_destroy(&pool->opened);
    pthread_mutex_destroy(&pool->mutex);
    free(pool);
}

/* Signals are for the threads of whoever uses the library. */
static bool start_helper(struct helper *helper)
{
    sigset_t all, before;
    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    bool started = pthread_create(&helper->thread, NULL, help, helper) == 0;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* Has so many helpers, or as many as can be had. */
static void start_helpers(struct thread_pool *pool, int helpers)
{
    while (pool->started < helpers && pool->started < pool->most) {
        struct helper *helper = &pool->helper[pool->started];
        *helper = (struct helper){.pool = pool, .number = pool->started + 1};
        if (start_helper(helper))
            pool->started++;
        else
            pool->most = pool->started; /* it is not asked again */
    }
}

static void open_job(struct thread_pool *pool, int threads, thread_work *work, void *data)
{
    pthread_mutex_lock(&pool->mutex);
    pool->threads = threads;
    pool->work = work;
    pool->data = data;
    pool->open = true;
    atomic_fetch_add(&pool->jobs, 1);
    pthread_cond_broadcast(&pool->opened);
    pthread_mutex_unlock(&pool->mutex);
}

static void close_job(struct thread_pool *pool)
{
    pthread_mutex_lock(&pool->mutex);
    pool->open = false;
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < THREADS_LOOKS && atomic_load(&pool->inside) > 0; i++)
        xc_threads_relax();
    pthread_mutex_lock(&pool->mutex);
    while (atomic_load(&pool->inside) > 0)
        pthread_cond_wait(&pool->left, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
}

void xc_threads_run(struct thread_pool *pool, int threads, thread_work *work, void *data)
{
    if (pool && threads > 1)
        start_helpers(pool, threads - 1);
    bool alone = !pool || threads < 2 || pool->started == 0;
    if (!alone)
        open_job(pool, threads, work, data);
    work(data, 0);
    if (!alone)
        close_job(pool);
}

/* ---- Parts --------------------------------------------------------------------------------- */

struct parts {
    thread_part *part;
    void *data;
    int count;
    atomic_int next;
};

static void take_parts(void *data, int thread)
{
    struct parts *parts = data;
    for (;;) {
        int index = atomic_fetch_add(&parts->next, 1);
        if (index >= parts->count)
            return;
        parts->part(parts->data, index);
    }
}

void xc_threads_each(struct thread_pool *pool, int count, thread_part *part, void *data)
{
    struct parts parts = {.part = part, .data = data, .count = count};
    atomic_init(&parts.next, 0);
    xc_threads_run(pool, count < XC_MAX_THREADS ? count : XC_MAX_THREADS, take_parts, &parts);
}
