/* Going over a frame's macroblocks with several threads, row by row one behind the other. */
#ifndef VP8_WAVEFRONT_H
#define VP8_WAVEFRONT_H

#include "vp8/threads.h"

/*
 * Calls work(data, thread, row, begin, end) for stretches of columns, so that each macroblock is in one. A row's
 * stretches go from left to right and on one thread, whose number is as xc_threads_run() says; a thread goes through its
 * rows from above. When a stretch begins, the row above is done up to one macroblock beyond its end, or wholly.
 */
typedef void wavefront_work(void *data, int thread, int row, int begin, int end);
void xc_wavefront(struct thread_pool *pool, int threads, int rows, int columns,
                  wavefront_work *work, void *data);

/* How many threads can be of use to a frame of such a size: at most `most`, at least 1. */
int xc_wavefront_threads(int most, int rows, int columns);

#endif
