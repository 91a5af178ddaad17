/* Chunks and batches, scene cuts, and the levels of frames. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "encode/levels.h"
#include "encode/plan.h"
#include "encode/scene.h"

/* Plans `frames` frames with a cut at each frame of `cuts` (ended by -1); returns the chunks. */
static int plan_film(int chunk_frames, int batch_chunks, int frames, const int *cuts,
                     struct plan_chunk *chunk)
{
    struct plan plan;
    int count = 0;
    plan_start(&plan, chunk_frames, batch_chunks);
    for (int i = 0; i < frames; i++) {
        bool cut = *cuts == i;
        cuts += cut;
        count += plan_add(&plan, cut, &chunk[count]);
    }
    return count + plan_end(&plan, &chunk[count]);
}

static void assert_chunk(const struct plan_chunk *chunk, int64_t first, int frames, int index,
                         bool last)
{
    assert_int_equal(chunk->first_frame, first);
    assert_int_equal(chunk->frames, frames);
    assert_int_equal(chunk->index, index);
    assert_int_equal(chunk->last, last);
}

static void frames_become_chunks_and_batches(void **state)
{
    struct plan_chunk chunk[20];
    assert_int_equal(plan_film(6, 2, 29, (int[]){-1}, chunk), 5);
    assert_chunk(&chunk[0], 0, 6, 0, false);
    assert_chunk(&chunk[1], 6, 6, 1, true);
    assert_chunk(&chunk[2], 12, 6, 0, false);
    assert_chunk(&chunk[3], 18, 6, 1, true);
    assert_chunk(&chunk[4], 24, 5, 0, true);
    for (int i = 0; i < 5; i++)
        assert_int_equal(chunk[i].number, i);
}

static void extreme_plans(void **state)
{
    struct plan_chunk chunk[20];
    assert_int_equal(plan_film(6, 16, 0, (int[]){-1}, chunk), 0);
    assert_int_equal(plan_film(6, 16, 1, (int[]){-1}, chunk), 1);
    assert_chunk(&chunk[0], 0, 1, 0, true);
    assert_int_equal(plan_film(1, 1, 3, (int[]){-1}, chunk), 3);
    assert_chunk(&chunk[2], 2, 1, 0, true);
    assert_int_equal(plan_film(6, 16, 6, (int[]){-1}, chunk), 1);
    assert_chunk(&chunk[0], 0, 6, 0, true);
}

static void a_cut_begins_a_batch(void **state)
{
    struct plan_chunk chunk[20];
    assert_int_equal(plan_film(6, 16, 20, (int[]){8, 9, -1}, chunk), 5);
    assert_chunk(&chunk[0], 0, 6, 0, false);
    assert_chunk(&chunk[1], 6, 2, 1, true);
    assert_chunk(&chunk[2], 8, 1, 0, true);
    assert_chunk(&chunk[3], 9, 6, 0, false);
    assert_chunk(&chunk[4], 15, 5, 1, true);
}

static void a_cut_where_a_chunk_begins_anyway(void **state)
{
    struct plan_chunk chunk[20];
    assert_int_equal(plan_film(6, 16, 12, (int[]){6, -1}, chunk), 2);
    assert_chunk(&chunk[0], 0, 6, 0, true);
    assert_chunk(&chunk[1], 6, 6, 0, true);
}

/* ---- Scene cuts ---------------------------------------------------------------------------- */

enum { WIDTH = 96, HEIGHT = 64 };

static unsigned tile(unsigned seed, int x, int y)
{
    unsigned mixed = (seed * 64 + (unsigned)x) * 64 + (unsigned)y;
    mixed = (mixed ^ mixed >> 7) * 2654435761u;
    return (mixed ^ mixed >> 15) * 2246822519u >> 16;
}

struct film {
    struct scene_eye eye;
    struct scene scene;
};

/* A picture of the scene `seed`: coarse random tiles, moved by `shift` pixels and lit by `light`. */
static bool add_picture(struct film *film, unsigned seed, int shift, int light)
{
    static uint8_t luma[WIDTH * HEIGHT];
    static const uint8_t chroma[WIDTH * HEIGHT];
    for (int y = 0; y < HEIGHT; y++)
        for (int x = 0; x < WIDTH; x++)
            luma[y * WIDTH + x] =
                (uint8_t)(tile(seed, (x + shift) / 16, y / 16) % 160 + (unsigned)light);
    struct xc_view view = {
        WIDTH, HEIGHT, {luma, chroma, chroma}, {WIDTH, (WIDTH + 1) / 2, (WIDTH + 1) / 2}};
    struct xc_picture *picture;
    assert_int_equal(xc_picture_new(&view, &picture), XC_OK);
    bool cut = scene_add(&film->scene, scene_look(&film->eye, picture));
    xc_picture_unref(picture);
    return cut;
}

static void a_new_scene_is_a_cut(void **state)
{
    struct film film = {0};
    for (int i = 0; i < 12; i++)
        assert_false(add_picture(&film, 1, 0, 0));
    assert_true(add_picture(&film, 2, 0, 0));
    for (int i = 0; i < 12; i++)
        assert_false(add_picture(&film, 2, 0, 0));
    assert_true(add_picture(&film, 3, 0, 0));
}

static void motion_and_light_are_no_cuts(void **state)
{
    struct film film = {0};
    for (int i = 0; i < 24; i++)
        assert_false(add_picture(&film, 1, i, 0));
    for (int i = 0; i < 24; i++)
        assert_false(add_picture(&film, 1, 23, 4 * i));
    assert_false(add_picture(&film, 1, 23, 0));
}

static void flicker_is_at_most_one_cut(void **state)
{
    struct film film = {0};
    int cuts = 0;
    for (int i = 0; i < 12; i++)
        add_picture(&film, 1, 0, 0);
    for (int i = 0; i < 12; i++)
        cuts += add_picture(&film, 1 + i % 2, 0, 0);
    assert_int_equal(cuts, 1);
}

static void tiny_pictures(void **state)
{
    struct film film = {0};
    for (int i = 0; i < 20; i++) {
        uint8_t sample = i < 10 ? 10 : 240;
        struct xc_view view = {1, 1, {&sample, &sample, &sample}, {1, 1, 1}};
        struct xc_picture *picture;
        assert_int_equal(xc_picture_new(&view, &picture), XC_OK);
        scene_add(&film.scene, scene_look(&film.eye, picture));
        xc_picture_unref(picture);
    }
    assert_int_equal(film.scene.frames, 20);
}

/* ---- Levels -------------------------------------------------------------------------------- */

static void levels_stay_in_range_and_order(void **state)
{
    assert_int_equal(levels_index(0), 0);
    assert_int_equal(levels_index(20), 25);
    assert_int_equal(levels_index(LEVELS_MAX), 127);
    for (int quality = 0; quality <= LEVELS_MAX; quality++) {
        for (int frame = LEVEL_KEY; frame <= LEVEL_INTER; frame++) {
            int level = levels_choose(quality, frame);
            assert_in_range(level, 0, LEVELS_MAX);
            if (quality > 0) {
                assert_true(level >= levels_choose(quality - 1, frame));
                assert_true(levels_index(quality) > levels_index(quality - 1));
            }
        }
        assert_true(levels_choose(quality, LEVEL_KEY) <= levels_choose(quality, LEVEL_FIRST));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_become_chunks_and_batches),
        cmocka_unit_test(extreme_plans),
        cmocka_unit_test(a_cut_begins_a_batch),
        cmocka_unit_test(a_cut_where_a_chunk_begins_anyway),
        cmocka_unit_test(a_new_scene_is_a_cut),
        cmocka_unit_test(motion_and_light_are_no_cuts),
        cmocka_unit_test(flicker_is_at_most_one_cut),
        cmocka_unit_test(tiny_pictures),
        cmocka_unit_test(levels_stay_in_range_and_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
