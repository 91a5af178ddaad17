#include "encode/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum progress { NOT_NEEDED, WAITING, RUNNING, DONE };

struct node {
    struct plan_chunk chunk;
    enum progress step[GRAPH_STEPS];
    bool made[GRAPH_FILES];
    int users[GRAPH_FILES]; /* steps that still need the file, the next chunk's among them */
};

/* A window over the film: chunks leave it when they are written and no later chunk needs their
 * files. */
struct graph {
    struct node *node; /* [capacity], those in use from 0 on */
    int count, capacity;
    int64_t next_write; /* number of the chunk that is written next */
    void (*unneeded)(void *opaque, struct graph_name name);
    void *opaque;
};

int graph_new(void (*unneeded)(void *opaque, struct graph_name name), void *opaque,
              struct graph **result, struct error *error)
{
    struct graph *graph = calloc(1, sizeof *graph);
    *result = graph;
    if (graph == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    graph->unneeded = unneeded;
    graph->opaque = opaque;
    return 0;
}

void graph_free(struct graph *graph)
{
    if (graph == NULL)
        return;
    free(graph->node);
    free(graph);
}

static bool step_needed(const struct plan_chunk *chunk, enum graph_step step)
{
    switch (step) {
    case GRAPH_DECODE:
        return !chunk->last;
    case GRAPH_REENCODE:
        return chunk->index >= 1;
    case GRAPH_REBASE:
        return chunk->index >= 2;
    default:
        return true;
    }
}

static enum graph_file final_file(const struct plan_chunk *chunk)
{
    return chunk->index == 0 ? GRAPH_ENCODED : chunk->index == 1 ? GRAPH_REENCODED : GRAPH_REBASED;
}

static void add_input(struct graph_task *task, int64_t chunk, enum graph_file file)
{
    task->input[task->inputs++] = (struct graph_name){chunk, file};
}

static void add_output(struct graph_task *task, enum graph_file file)
{
    task->output[task->outputs++] = (struct graph_name){task->chunk.number, file};
}

/* The table of graph.h. */
static struct graph_task describe(const struct plan_chunk *chunk, enum graph_step step)
{
    struct graph_task task = {.step = step, .chunk = *chunk};
    int64_t number = chunk->number;
    switch (step) {
    case GRAPH_ENCODE:
        add_input(&task, number, GRAPH_RAW);
        add_output(&task, GRAPH_ENCODED);
        break;
    case GRAPH_DECODE:
        add_input(&task, number, GRAPH_ENCODED);
        add_output(&task, GRAPH_APPROXIMATE);
        break;
    case GRAPH_REENCODE:
        add_input(&task, number - 1, GRAPH_APPROXIMATE);
        add_input(&task, number, GRAPH_RAW);
        add_input(&task, number, GRAPH_ENCODED);
        add_output(&task, GRAPH_REENCODED);
        if (chunk->index == 1 && !chunk->last)
            add_output(&task, GRAPH_EXACT);
        break;
    case GRAPH_REBASE:
        add_input(&task, number - 1, GRAPH_EXACT);
        add_input(&task, number - 1, GRAPH_APPROXIMATE);
        add_input(&task, number, GRAPH_RAW);
        add_input(&task, number, GRAPH_REENCODED);
        add_output(&task, GRAPH_REBASED);
        if (!chunk->last)
            add_output(&task, GRAPH_EXACT);
        break;
    default:
        add_input(&task, number, final_file(chunk));
        break;
    }
    return task;
}

/* NULL for a chunk that has left the window. */
static struct node *find(struct graph *graph, int64_t number)
{
    int64_t place = graph->count > 0 ? number - graph->node[0].chunk.number : -1;
    return place >= 0 && place < graph->count ? &graph->node[place] : NULL;
}

static bool make_room(struct graph *graph)
{
    if (graph->count < graph->capacity)
        return true;
    int capacity = graph->capacity > 0 ? 2 * graph->capacity : 16;
    struct node *grown = realloc(graph->node, (size_t)capacity * sizeof *grown);
    if (grown == NULL)
        return false;
    graph->node = grown;
    graph->capacity = capacity;
    return true;
}

/* Notes the steps of `chunk`, which is the node's own or the next, as users of the files that they
 * need of the node. */
static void count_users(struct node *node, const struct plan_chunk *chunk)
{
    for (int step = 0; step < GRAPH_STEPS; step++) {
        if (!step_needed(chunk, step))
            continue;
        struct graph_task task = describe(chunk, step);
        for (int i = 0; i < task.inputs; i++)
            if (task.input[i].chunk == node->chunk.number)
                node->users[task.input[i].file]++;
    }
}

int graph_add(struct graph *graph, const struct plan_chunk *chunk, struct error *error)
{
    if (!make_room(graph))
        return error_set(error, -ENOMEM, "out of memory");
    struct node *node = &graph->node[graph->count++];
    *node = (struct node){.chunk = *chunk};
    node->made[GRAPH_RAW] = true;
    for (int step = 0; step < GRAPH_STEPS; step++)
        node->step[step] = step_needed(chunk, step) ? WAITING : NOT_NEEDED;
    count_users(node, chunk);
    if (!chunk->last) {
        struct plan_chunk next = {.number = chunk->number + 1, .index = chunk->index + 1};
        count_users(node, &next);
    }
    return 0;
}

static bool ready(struct graph *graph, const struct node *node, enum graph_step step,
                  struct graph_task *task)
{
    if (node->step[step] != WAITING)
        return false;
    *task = describe(&node->chunk, step);
    for (int i = 0; i < task->inputs; i++) {
        const struct node *owner = find(graph, task->input[i].chunk);
        if (owner == NULL || !owner->made[task->input[i].file])
            return false;
    }
    return true;
}

bool graph_take(struct graph *graph, struct graph_task *task)
{
    for (int step = GRAPH_REBASE; step >= 0; step--)
        for (int i = 0; i < graph->count; i++)
            if (ready(graph, &graph->node[i], step, task)) {
                graph->node[i].step[step] = RUNNING;
                return true;
            }
    return false;
}

bool graph_take_write(struct graph *graph, struct graph_task *task)
{
    struct node *node = find(graph, graph->next_write);
    if (node == NULL || !ready(graph, node, GRAPH_WRITE, task))
        return false;
    node->step[GRAPH_WRITE] = RUNNING;
    return true;
}

static void release(struct graph *graph, struct graph_name name)
{
    struct node *node = find(graph, name.chunk);
    if (--node->users[name.file] == 0)
        graph->unneeded(graph->opaque, name);
}

static bool finished(const struct node *node)
{
    for (int step = 0; step < GRAPH_STEPS; step++)
        if (node->step[step] == WAITING || node->step[step] == RUNNING)
            return false;
    for (int file = 0; file < GRAPH_FILES; file++)
        if (node->users[file] > 0)
            return false;
    return true;
}

static void drop_finished(struct graph *graph)
{
    int count = 0;
    while (count < graph->count && finished(&graph->node[count]))
        count++;
    graph->count -= count;
    memmove(graph->node, graph->node + count, (size_t)graph->count * sizeof *graph->node);
}

void graph_done(struct graph *graph, const struct graph_task *task)
{
    struct node *node = find(graph, task->chunk.number);
    node->step[task->step] = DONE;
    for (int i = 0; i < task->outputs; i++)
        node->made[task->output[i].file] = true;
    for (int i = 0; i < task->inputs; i++)
        release(graph, task->input[i]);
    if (task->step == GRAPH_WRITE)
        graph->next_write++;
    drop_finished(graph);
}

int graph_chunks(const struct graph *graph)
{
    int chunks = 0;
    for (int i = 0; i < graph->count; i++)
        chunks += graph->node[i].step[GRAPH_WRITE] != DONE;
    return chunks;
}

void graph_running(const struct graph *graph, int running[GRAPH_STEPS])
{
    for (int step = 0; step < GRAPH_STEPS; step++) {
        running[step] = 0;
        for (int i = 0; i < graph->count; i++)
            running[step] += graph->node[i].step[step] == RUNNING;
    }
}
