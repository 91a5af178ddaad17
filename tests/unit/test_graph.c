/* The graph of steps: run with every order that workers may end in, it ends, each step has the
 * files that it needs, and no file stays. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encode/graph.h"

enum { MOST_CHUNKS = 300, WINDOW = 10 };

/* Which files there are, and what was done. */
struct world {
    bool exists[MOST_CHUNKS][GRAPH_FILES];
    int files, most_files;
    int done[GRAPH_STEPS];
};

static void forget(void *opaque, struct graph_name name)
{
    struct world *world = opaque;
    assert_true(world->exists[name.chunk][name.file]);
    world->exists[name.chunk][name.file] = false;
    world->files--;
}

static void make(struct world *world, struct graph_name name)
{
    assert_false(world->exists[name.chunk][name.file]);
    world->exists[name.chunk][name.file] = true;
    world->files++;
    if (world->files > world->most_files)
        world->most_files = world->files;
}

static void assert_inputs(const struct world *world, const struct graph_task *task)
{
    for (int i = 0; i < task->inputs; i++)
        assert_true(world->exists[task->input[i].chunk][task->input[i].file]);
}

static void finish(struct world *world, struct graph *graph, const struct graph_task *task)
{
    assert_inputs(world, task);
    for (int i = 0; i < task->outputs; i++)
        make(world, task->output[i]);
    world->done[task->step]++;
    graph_done(graph, task);
}

struct film {
    int chunks, batch_chunks, added;
};

static void add_chunk(struct world *world, struct graph *graph, struct film *film)
{
    struct error error;
    struct plan_chunk chunk = {
        .number = film->added,
        .frames = 6,
        .index = film->added % film->batch_chunks,
        .last = film->added % film->batch_chunks == film->batch_chunks - 1 ||
                film->added == film->chunks - 1,
    };
    make(world, (struct graph_name){film->added++, GRAPH_RAW});
    assert_int_equal(graph_add(graph, &chunk, &error), 0);
}

/* Runs a film of `chunks` chunks with steps that end in an order drawn from `seed`. */
static void run_film(int chunks, int batch_chunks, int workers, unsigned seed, struct world *world)
{
    struct film film = {chunks, batch_chunks, 0};
    struct graph_task running[16];
    int count = 0;
    int written = 0;
    struct graph *graph;
    struct error error;
    memset(world, 0, sizeof *world);
    assert_int_equal(graph_new(forget, world, &graph, &error), 0);
    while (written < chunks) {
        struct graph_task task;
        while (film.added < chunks && graph_chunks(graph) < WINDOW)
            add_chunk(world, graph, &film);
        while (count < workers && graph_take(graph, &running[count])) {
            assert_inputs(world, &running[count]);
            count++;
        }
        if (graph_take_write(graph, &task)) {
            assert_int_equal(task.chunk.number, written);
            written++;
            finish(world, graph, &task);
            continue;
        }
        assert_true(count > 0);
        int ended = rand_r(&seed) % count;
        finish(world, graph, &running[ended]);
        running[ended] = running[--count];
    }
    assert_false(graph_take(graph, &running[0]));
    assert_int_equal(count, 0);
    assert_int_equal(graph_chunks(graph), 0);
    assert_int_equal(world->files, 0);
    graph_free(graph);
}

static void every_order_ends(void **state)
{
    static struct world world;
    const int batches[] = {1, 2, 3, 5, 16, 1000};
    for (int i = 0; i < 6; i++)
        for (int workers = 1; workers <= 7; workers += 3)
            for (unsigned seed = 0; seed < 20; seed++)
                run_film(MOST_CHUNKS / 4, batches[i], workers, seed, &world);
}

static void each_step_runs_as_often_as_it_should(void **state)
{
    static struct world world;
    run_film(36, 16, 3, 1, &world); /* batches of 16, 16 and 4 chunks */
    assert_int_equal(world.done[GRAPH_ENCODE], 36);
    assert_int_equal(world.done[GRAPH_DECODE], 33);
    assert_int_equal(world.done[GRAPH_REENCODE], 33);
    assert_int_equal(world.done[GRAPH_REBASE], 30);
    run_film(10, 1, 3, 1, &world);
    assert_int_equal(world.done[GRAPH_DECODE] + world.done[GRAPH_REENCODE], 0);
}

static void files_do_not_grow_with_the_film(void **state)
{
    static struct world world;
    for (unsigned seed = 0; seed < 20; seed++) {
        run_film(MOST_CHUNKS, 1000, 2, seed, &world);
        assert_in_range(world.most_files, WINDOW, 3 * WINDOW);
    }
}

static void later_steps_and_earlier_chunks_go_first(void **state)
{
    static struct world world;
    struct film film = {8, 8, 0};
    struct graph *graph;
    struct graph_task task;
    struct error error;
    memset(&world, 0, sizeof world);
    assert_int_equal(graph_new(forget, &world, &graph, &error), 0);
    for (int i = 0; i < 8; i++)
        add_chunk(&world, graph, &film);
    const struct {
        enum graph_step step;
        int chunk;
    } expected[] = {
        {GRAPH_ENCODE, 0}, {GRAPH_DECODE, 0}, {GRAPH_ENCODE, 1},   {GRAPH_REENCODE, 1},
        {GRAPH_DECODE, 1}, {GRAPH_ENCODE, 2}, {GRAPH_REENCODE, 2}, {GRAPH_REBASE, 2},
        {GRAPH_DECODE, 2}, {GRAPH_ENCODE, 3},
    };
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        assert_true(graph_take(graph, &task));
        assert_int_equal(task.step, expected[i].step);
        assert_int_equal(task.chunk.number, expected[i].chunk);
        finish(&world, graph, &task);
    }
    graph_free(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_order_ends),
        cmocka_unit_test(each_step_runs_as_often_as_it_should),
        cmocka_unit_test(files_do_not_grow_with_the_film),
        cmocka_unit_test(later_steps_and_earlier_chunks_go_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
