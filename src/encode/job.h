/*
 * The encode job on one machine: decodes the film once, cuts it into chunks, runs the graph's steps
 * as worker processes and joins what they make.
 *
 *     reader --raw chunks--> graph of steps <--> pool of worker processes --chunks--> assembly
 *
 * Reading and assembling run beside the workers, each in a thread of its own. The number of chunks
 * between the two is bounded, and with it memory and scratch space, however long the film is.
 */
#ifndef ENCODE_JOB_H
#define ENCODE_JOB_H

#include "encode/assembly.h"
#include "encode/graph.h"
#include "encode/reader.h"
#include "encode/steps.h"
#include "util/error.h"

struct job_progress {
    double seconds; /* since the start */
    int64_t frames; /* written to the output */
    int64_t total;  /* frames in all, an estimate while the film is read; 0 where unknown */
    int chunks;     /* read and not yet written */
    int running[GRAPH_STEPS]; /* of those, how many are in each step */
};

struct job_options {
    const char *program; /* what workers execute: this program */
    int workers;         /* processes at once, >= 1 */
    const char *keep;    /* a folder for the intermediate files, which stay there; or NULL */
    struct reader_options reader;
    struct steps_settings steps;
    struct assembly_options assembly;
    bool sound; /* take over the input's, if it has any */
    /* Called a few times a second, and once when all is done; may be NULL. */
    void (*progress)(void *opaque, const struct job_progress *progress);
    void *opaque;
};

struct job_summary {
    struct assembly_totals totals;
    struct input_info input;
    double seconds;
    int64_t chunks, batches;
};

/* Runs to the end. -ECANCELED after SIGINT, SIGTERM or SIGHUP, which are handled meanwhile.
 *
 * After a failure a thread may be left that waits for input or output that never comes; the process
 * should then end by _exit. */
int job_run(const struct job_options *options, struct job_summary *summary, struct error *error);

#endif
