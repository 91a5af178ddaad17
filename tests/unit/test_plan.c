/* Chunks and batches, scene cuts, and the levels of frames. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encode/levels.h"
#include "encode/plan.h"
#include "encode/scene.h"
#include "encode/stillness.h"
#include "media/y4m.h"

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
        for (int frame = LEVEL_KEY; frame <= LEVEL_INTER; frame++)
            for (int still = 0; still <= 1; still++) {
                int level = levels_choose(quality, frame, still);
                assert_in_range(level, 0, LEVELS_MAX);
                assert_true(level <= levels_choose(quality, frame, false));
                if (quality > 0)
                    assert_true(level >= levels_choose(quality - 1, frame, still));
            }
        for (int still = 0; still <= 1; still++)
            assert_true(levels_choose(quality, LEVEL_KEY, still) <=
                        levels_choose(quality, LEVEL_FIRST, still));
        if (quality > 0)
            assert_true(levels_index(quality) > levels_index(quality - 1));
    }
}

/* ---- Stillness ----------------------------------------------------------------------------- */

enum { STILL_WIDTH = 96, STILL_HEIGHT = 64 };

/* Blocks of 8x8 samples at random, moved to the left by `shift`, under noise of [-noise, noise]. The same
 * `seed` gives the same noise. */
static struct xc_picture *pattern(int shift, int noise, unsigned seed)
{
    static uint8_t samples[STILL_HEIGHT][STILL_WIDTH];
    static const uint8_t grey[STILL_HEIGHT / 2 * STILL_WIDTH / 2];
    struct xc_picture *picture;
    for (int y = 0; y < STILL_HEIGHT; y++)
        for (int x = 0; x < STILL_WIDTH; x++) {
            unsigned block = (unsigned)((x + shift) / 8 * 31 + y / 8 * 17) * 2654435761u;
            seed = seed * 1664525u + 1013904223u;
            int deviation = (int)(seed >> 16) % (2 * noise + 1) - noise;
            samples[y][x] = (uint8_t)(100 + (int)(block >> 27) + deviation);
        }
    struct xc_view view = {STILL_WIDTH,
                           STILL_HEIGHT,
                           {samples[0], grey, grey},
                           {STILL_WIDTH, STILL_WIDTH / 2, STILL_WIDTH / 2}};
    assert_int_equal(xc_picture_new(&view, &picture), XC_OK);
    return picture;
}

static bool holds(struct xc_picture *before, struct xc_picture *picture)
{
    bool still = stillness_holds(before, picture);
    xc_picture_unref(before);
    xc_picture_unref(picture);
    return still;
}

static void what_stands_or_moves_a_little_is_still(void **state)
{
    assert_true(holds(pattern(0, 0, 1), pattern(0, 0, 1)));
    assert_true(holds(pattern(0, 1, 1), pattern(0, 1, 2)));
    assert_true(holds(pattern(0, 0, 1), pattern(3, 0, 1)));
    assert_true(holds(pattern(5, 0, 1), pattern(0, 0, 1)));
}

static void noise_and_far_motion_are_not_still(void **state)
{
    assert_false(holds(pattern(0, 12, 1), pattern(0, 12, 2)));
    assert_false(holds(pattern(0, 0, 1), pattern(20, 0, 1)));
}

/* Writes pictures that move by `steps[i]` each; -1 ends them. */
static bool chunk_is_still(const int *steps)
{
    char path[] = "/tmp/stillness-XXXXXX";
    struct video_format format = {.width = STILL_WIDTH,
                                  .height = STILL_HEIGHT,
                                  .frame_rate = {24, 1},
                                  .pixel_aspect = {1, 1}};
    struct error error;
    bool still;
    FILE *stream = fdopen(mkstemp(path), "wb");
    assert_non_null(stream);
    assert_int_equal(y4m_write_header(stream, &format, &error), 0);
    for (int i = 0, shift = 0; steps[i] >= 0; i++) {
        struct xc_picture *picture = pattern(shift += steps[i], 0, 1);
        assert_int_equal(y4m_write(stream, picture, &error), 0);
        xc_picture_unref(picture);
    }
    fclose(stream);
    int code = stillness_of_chunk(path, &still, &error);
    unlink(path);
    assert_int_equal(code, 0);
    return still;
}

static void a_chunk_is_still_from_end_to_end(void **state)
{
    assert_true(chunk_is_still((const int[]){0, 0, 2, 1, -1}));
    assert_false(chunk_is_still((const int[]){0, 0, 2, 20, -1}));
    assert_false(chunk_is_still((const int[]){0, 20, 0, 0, -1}));
    assert_false(chunk_is_still((const int[]){0, -1}));
    struct error error;
    bool still;
    assert_int_equal(stillness_of_chunk("/nowhere.y4m", &still, &error), -ENOENT);
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
        cmocka_unit_test(what_stands_or_moves_a_little_is_still),
        cmocka_unit_test(noise_and_far_motion_are_not_still),
        cmocka_unit_test(a_chunk_is_still_from_end_to_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
