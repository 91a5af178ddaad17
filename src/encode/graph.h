/*
 * What has to be done for each chunk, what it needs, and when a file is no longer needed. The graph
 * knows names, not files, and starts nothing: whoever runs the steps asks it what is ready and
 * tells it what is done.
 *
 *     step       needs                                               makes
 *     ENCODE     RAW                                                 ENCODED
 *     DECODE     ENCODED                                             APPROXIMATE
 *     REENCODE   APPROXIMATE of the chunk before, RAW, ENCODED       REENCODED [, EXACT]
 *     REBASE     EXACT and APPROXIMATE of the chunk before, RAW,
 *                REENCODED                                           REBASED [, EXACT]
 *     WRITE      the chunk as it is to be in the film                -
 *
 * A batch's first chunk is final as encoded; its approximate state is exact. The second is final as
 * re-encoded against that. All others are rebased. A batch's last chunk makes no state.
 */
#ifndef ENCODE_GRAPH_H
#define ENCODE_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/plan.h"
#include "util/error.h"

enum graph_step {
    GRAPH_ENCODE,
    GRAPH_DECODE,
    GRAPH_REENCODE,
    GRAPH_REBASE,
    GRAPH_WRITE, /* into the output: in the order of the film, one at a time */
    GRAPH_STEPS,
};

enum graph_file {
    GRAPH_RAW,
    GRAPH_ENCODED,
    GRAPH_APPROXIMATE,
    GRAPH_REENCODED,
    GRAPH_REBASED,
    GRAPH_EXACT,
    GRAPH_FILES,
};

struct graph_name {
    int64_t chunk;
    enum graph_file file;
};

enum { GRAPH_MOST_INPUTS = 4, GRAPH_MOST_OUTPUTS = 2 };

struct graph_task {
    enum graph_step step;
    struct plan_chunk chunk;
    int inputs, outputs;
    struct graph_name input[GRAPH_MOST_INPUTS];   /* in the order of the table above */
    struct graph_name output[GRAPH_MOST_OUTPUTS]; /* the chunk, then the state after it */
};

struct graph;

/* `unneeded` is called, from within graph_done, for each file that no step will need any more. */
int graph_new(void (*unneeded)(void *opaque, struct graph_name name), void *opaque,
              struct graph **graph, struct error *error);
void graph_free(struct graph *graph); /* NULL is allowed */

/* Adds the next chunk; its RAW is there. */
int graph_add(struct graph *graph, const struct plan_chunk *chunk, struct error *error);

/* Takes the ready step that should go first (later steps, then earlier chunks), of those that run
 * as tasks of their own (not WRITE). False where none is ready. */
bool graph_take(struct graph *graph, struct graph_task *task);
/* Takes the next WRITE. */
bool graph_take_write(struct graph *graph, struct graph_task *task);
/* A step that was taken is done. */
void graph_done(struct graph *graph, const struct graph_task *task);

/* Chunks added and not yet written. */
int graph_chunks(const struct graph *graph);
/* Of those, how many are running each step. */
void graph_running(const struct graph *graph, int running[GRAPH_STEPS]);

#endif
