/*
 * Threads that the calls on one context share their work among. They are started when there is first work for
 * them; where the system gives none, there are fewer. What is shared out must come to the same whoever does it.
 */
#ifndef VP8_THREADS_H
#define VP8_THREADS_H

#include "excamera/vp8.h"

struct thread_pool;

/* For at most so many threads, the caller's among them. NULL when out of memory. */
struct thread_pool *xc_threads_new(int most);
void xc_threads_free(struct thread_pool *pool); /* NULL is allowed */

/*
 * Calls work(data, thread) on several threads at once, and returns when all calls have returned: the caller's, whose
 * number is 0, and at most `threads` - 1 others, each with a number of its own below `threads`. A thread that comes when
 * the caller's call is over does nothing, so that `work` is to take up parts of the whole until none is left. The pool
 * may be NULL: then there is no other thread.
 */
typedef void thread_work(void *data, int thread);
void xc_threads_run(struct thread_pool *pool, int threads, thread_work *work, void *data);

/* Calls part(data, index) once for each index below `count`, in any order and at once. */
typedef void thread_part(void *data, int index);
void xc_threads_each(struct thread_pool *pool, int count, thread_part *part, void *data);

/* How often a thread looks for what it waits for before it sleeps: some 10 µs, about what sleeping and being woken
 * takes. Between two looks it calls xc_threads_relax(). */
#define THREADS_LOOKS 200

static inline void xc_threads_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

#endif
