#include "vp8/wavefront.h"

#include <limits.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

/* Columns of a stretch: long enough that looking at each other takes no time beside the work, short enough that
 * many rows of a small picture are under way. */
#define LONGEST_STRETCH 8
#define STRETCHES 16

/* How far a row is. A row ends only when the one above has ended, so that there are never more unfinished ones
 * that somebody works on than threads, and one place more will do for all rows in turns. */
struct progress {
    alignas(64) atomic_int done; /* macroblocks of this row and all above it */
    atomic_int wanted;           /* what somebody sleeps for, else INT_MAX */
};

struct wavefront {
    int rows, columns, stretch, places;
    wavefront_work *work;
    void *data;
    atomic_int next; /* row */
    pthread_mutex_t mutex;
    pthread_cond_t moved;
    struct progress progress[XC_MAX_THREADS + 1];
};

static struct progress *progress_of(struct wavefront *front, int row)
{
    return &front->progress[row % front->places];
}

/* Waits until so many columns of the row are done. */
static void await_row(struct wavefront *front, int row, int columns)
{
    struct progress *progress = progress_of(front, row);
    int wanted = row * front->columns + columns;
    for (int i = 0; i < THREADS_LOOKS; i++) {
        if (atomic_load_explicit(&progress->done, memory_order_acquire) >= wanted)
            return;
        xc_threads_relax();
    }
    pthread_mutex_lock(&front->mutex);
    atomic_store(&progress->wanted, wanted);
    while (atomic_load(&progress->done) < wanted)
        pthread_cond_wait(&front->moved, &front->mutex);
    atomic_store(&progress->wanted, INT_MAX);
    pthread_mutex_unlock(&front->mutex);
}

static void report_row(struct wavefront *front, int row, int columns)
{
    struct progress *progress = progress_of(front, row);
    int done = row * front->columns + columns;
    atomic_store(&progress->done, done);
    if (atomic_load(&progress->wanted) > done)
        return;
    pthread_mutex_lock(&front->mutex);
    pthread_cond_broadcast(&front->moved);
    pthread_mutex_unlock(&front->mutex);
}

static int at_most(int value, int most)
{
    return value < most ? value : most;
}

static void go_through_rows(void *data, int thread)
{
    struct wavefront *front = data;
    for (;;) {
        int row = atomic_fetch_add(&front->next, 1);
        if (row >= front->rows)
            return;
        for (int begin = 0, end; begin < front->columns; begin = end) {
            end = at_most(begin + front->stretch, front->columns);
            if (row > 0)
                await_row(front, row - 1, at_most(end + 1, front->columns));
            front->work(front->data, thread, row, begin, end);
            report_row(front, row, end);
        }
    }
}

static int stretch_of(int columns)
{
    int stretch = columns / STRETCHES;
    return stretch < 1 ? 1 : at_most(stretch, LONGEST_STRETCH);
}

int xc_wavefront_threads(int most, int rows, int columns)
{
    /* Each row is two stretches behind the one above. */
    int at_once = (columns / stretch_of(columns) + 1) / 2;
    int threads = at_most(most, at_most(rows, at_once));
    return threads < 1 ? 1 : threads;
}

void xc_wavefront(struct thread_pool *pool, int threads, int rows, int columns,
                  wavefront_work *work, void *data)
{
    struct wavefront front = {
        .rows = rows,
        .columns = columns,
        .stretch = threads > 1 ? stretch_of(columns) : columns,
        .places = threads + 1,
        .work = work,
        .data = data,
        .mutex = PTHREAD_MUTEX_INITIALIZER,
        .moved = PTHREAD_COND_INITIALIZER,
    };
    atomic_init(&front.next, 0);
    for (int i = 0; i < front.places; i++) {
        atomic_init(&front.progress[i].done, 0);
        atomic_init(&front.progress[i].wanted, INT_MAX);
    }
    xc_threads_run(pool, threads, go_through_rows, &front);
    pthread_cond_destroy(&front.moved);
    pthread_mutex_destroy(&front.mutex);
}
