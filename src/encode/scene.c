#include "encode/scene.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Found on films: cuts have a change of 30 to 100, motion, flicker and fades of 0 to 20; and a cut
 * stands out from the frames before it, where fast motion builds up. */
static const double least_change = 22;
static const double least_ratio = 2.5; /* over the greatest recent change */

/* A flash is two changes in a row; one key frame is enough for it. */
static const int64_t shortest_scene = 6;

/* Mean of the part (row, column) of the luma plane. */
static uint8_t part_mean(const struct xc_view *view, int row, int column)
{
    int top = (int)((int64_t)row * view->height / SCENE_ROWS);
    int bottom = (int)((int64_t)(row + 1) * view->height / SCENE_ROWS);
    int left = (int)((int64_t)column * view->width / SCENE_COLUMNS);
    int right = (int)((int64_t)(column + 1) * view->width / SCENE_COLUMNS);
    /* In tiny pictures several parts look at the same sample. */
    bottom += bottom == top;
    right += right == left;
    int64_t sum = 0;
    for (int y = top; y < bottom; y++) {
        const uint8_t *samples = view->plane[0] + y * view->stride[0];
        for (int x = left; x < right; x++)
            sum += samples[x];
    }
    return (uint8_t)(sum / ((int64_t)(bottom - top) * (right - left)));
}

static void shrink(const struct xc_picture *picture, uint8_t *thumbnail)
{
    struct xc_view view = xc_picture_view(picture);
    for (int row = 0; row < SCENE_ROWS; row++)
        for (int column = 0; column < SCENE_COLUMNS; column++)
            thumbnail[row * SCENE_COLUMNS + column] = part_mean(&view, row, column);
}

static double mean(const uint8_t *thumbnail)
{
    int sum = 0;
    for (int i = 0; i < SCENE_PARTS; i++)
        sum += thumbnail[i];
    return (double)sum / SCENE_PARTS;
}

/* Of the same content: near 1, also where its brightness changed; of unrelated content: near 0. A
 * variance of one luma step is taken for noise. */
static double correlation(const uint8_t *a, const uint8_t *b)
{
    double mean_a = mean(a);
    double mean_b = mean(b);
    double aa = 0;
    double bb = 0;
    double ab = 0;
    for (int i = 0; i < SCENE_PARTS; i++) {
        aa += (a[i] - mean_a) * (a[i] - mean_a);
        bb += (b[i] - mean_b) * (b[i] - mean_b);
        ab += (a[i] - mean_a) * (b[i] - mean_b);
    }
    return (ab + SCENE_PARTS) / (sqrt(aa * bb) + SCENE_PARTS);
}

/* Mean difference in luma steps, weighted by how little the two have in common. */
static double change_between(const uint8_t *a, const uint8_t *b)
{
    int sum = 0;
    for (int i = 0; i < SCENE_PARTS; i++)
        sum += abs(a[i] - b[i]);
    return (double)sum / SCENE_PARTS * (1 - correlation(a, b));
}

double scene_look(struct scene_eye *eye, const struct xc_picture *picture)
{
    uint8_t thumbnail[SCENE_PARTS];
    shrink(picture, thumbnail);
    double change = eye->open ? change_between(eye->thumbnail, thumbnail) : 0;
    eye->open = true;
    memcpy(eye->thumbnail, thumbnail, sizeof thumbnail);
    return change;
}

static double greatest_recent_change(const struct scene *scene)
{
    double greatest = 0;
    for (int i = 0; i < SCENE_MEMORY; i++)
        greatest = fmax(greatest, scene->change[i]);
    return greatest;
}

bool scene_add(struct scene *scene, double change)
{
    if (scene->frames == 0)
        change = 0;
    bool cut = change >= least_change && change >= least_ratio * greatest_recent_change(scene) &&
               scene->since_cut >= shortest_scene;
    /* A cut's own change says nothing of how lively the new scene is. */
    if (cut)
        memset(scene->change, 0, sizeof scene->change);
    else
        scene->change[scene->frames % SCENE_MEMORY] = change;
    scene->since_cut = cut ? 1 : scene->since_cut + 1;
    scene->frames++;
    return cut;
}
