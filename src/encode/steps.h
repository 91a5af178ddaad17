/* The steps of the graph as commands: `excamera task ...` with the names of files in the scratch
 * folder. */
#ifndef ENCODE_STEPS_H
#define ENCODE_STEPS_H

#include "encode/graph.h"
#include "encode/pool.h"
#include "encode/scratch.h"

struct steps_settings {
    int quality;  /* [0, LEVELS_MAX] */
    int cpu_used; /* [0, VPX_ENCODER_FASTEST] */
};

/* A command line and the memory its words lie in. */
struct steps_command {
    char *argv[POOL_MOST_ARGUMENTS];
    int words;
    char quality[12], cpu_used[12];
    char input[GRAPH_MOST_INPUTS][SCRATCH_NAME_SIZE];
    char output[GRAPH_MOST_OUTPUTS][SCRATCH_NAME_SIZE];
};

/* `task` is any step but GRAPH_WRITE. `command` must stay where it is while its argv is used. */
void steps_command(const struct graph_task *task, const struct steps_settings *settings,
                   struct steps_command *command);

/* What a step is called in messages. */
const char *steps_name(enum graph_step step);

#endif
