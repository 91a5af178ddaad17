#include "encode/measure.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

/* Of what is seen: Y, U, V, row by row without gaps. */
static uint64_t sum_picture(const struct xc_picture *picture)
{
    struct xc_view view = xc_picture_view(picture);
    uint64_t sum = 0;
    for (int plane = 0; plane < 3; plane++) {
        int width = plane > 0 ? (view.width + 1) / 2 : view.width;
        int height = plane > 0 ? (view.height + 1) / 2 : view.height;
        for (int y = 0; y < height; y++)
            sum = XXH3_64bits_withSeed(view.plane[plane] + y * view.stride[plane], (size_t)width,
                                       sum);
    }
    return sum;
}

static struct measured_picture *add_picture(struct measure *measure)
{
    if (measure->pictures == measure->room) {
        int room = measure->room > 0 ? 2 * measure->room : 64;
        struct measured_picture *larger =
            reallocarray(measure->picture, (size_t)room, sizeof *larger);
        if (larger == NULL)
            return NULL;
        measure->picture = larger;
        measure->room = room;
    }
    return &measure->picture[measure->pictures++];
}

/* 1, or 0 at the film's end, or a negative errno. */
static int read_picture(struct measure *measure, struct input *input, struct scene_eye *eye,
                        struct error *error)
{
    struct xc_picture *picture;
    int64_t time_stamp;
    int code = input_read(input, &picture, &time_stamp, error);
    if (code <= 0)
        return code;
    struct measured_picture *measured = add_picture(measure);
    if (measured != NULL)
        *measured = (struct measured_picture){
            .time_stamp = time_stamp,
            .change = scene_look(eye, picture),
            .sum = sum_picture(picture),
            .key_frame = input_at_key_frame(input),
        };
    xc_picture_unref(picture);
    return measured != NULL ? 1 : error_set(error, -ENOMEM, "out of memory");
}

/* Goes on from picture `from`, to the first that is of the next segment or to the last there is. */
static int find_end(const struct measure *measure, int from, const struct input_key *end)
{
    while (from < measure->pictures &&
           (end == NULL || !input_reaches(end, measure->picture[from].time_stamp,
                                          measure->picture[from].key_frame)))
        from++;
    return from;
}

int measure_read(struct measure *measure, struct input *input, struct scene_eye *eye,
                 const struct input_key *end, int64_t most, struct error *error)
{
    int code = 1;
    measure->own = 0;
    for (;;) {
        measure->own = find_end(measure, measure->own, end);
        if (measure->pictures - measure->own >= MEASURE_COMPARED || measure->pictures >= most)
            break;
        code = read_picture(measure, input, eye, error);
        if (code <= 0)
            break;
    }
    measure->ended = code == 0;
    measure->clean = input_damaged(input) == 0;
    return code < 0 ? code : 0;
}

void measure_go_on(struct measure *measure)
{
    int count = measure->pictures - measure->own;
    if (measure->own > 0)
        memmove(measure->picture, measure->picture + measure->own,
                (size_t)count * sizeof *measure->picture);
    measure->pictures = count;
    measure->own = 0;
}

bool measure_meets(const struct measure *measure, const struct measure *next)
{
    int count = measure->pictures - measure->own;
    if (!measure->clean ||
        count != (next->pictures < MEASURE_COMPARED ? next->pictures : MEASURE_COMPARED))
        return false;
    for (int i = 0; i < count; i++) {
        const struct measured_picture *a = &measure->picture[measure->own + i];
        const struct measured_picture *b = &next->picture[i];
        if (a->time_stamp != b->time_stamp || a->sum != b->sum)
            return false;
    }
    return true;
}

void measure_free(struct measure *measure)
{
    free(measure->picture);
    *measure = (struct measure){0};
}

/* ---- As JSON --------------------------------------------------------------------------------- */

json_t *measure_pack(const struct measure *measure)
{
    json_t *list = json_array();
    for (int i = 0; i < measure->pictures && list != NULL; i++) {
        const struct measured_picture *picture = &measure->picture[i];
        json_t *entry = json_pack("[I, f, I]", (json_int_t)picture->time_stamp, picture->change,
                                  (json_int_t)picture->sum);
        if (json_array_append_new(list, entry) < 0) {
            json_decref(list);
            list = NULL;
        }
    }
    return json_pack("{s:i, s:b, s:b, s:o}", "own", measure->own, "clean", measure->clean, "ended",
                     measure->ended, "pictures", list);
}

int measure_unpack(json_t *json, struct measure *measure)
{
    int own, clean, ended;
    json_t *list;
    if (json_unpack(json, "{s:i, s:b, s:b, s:o !}", "own", &own, "clean", &clean, "ended", &ended,
                    "pictures", &list) < 0 ||
        !json_is_array(list) || own < 0 || (size_t)own > json_array_size(list))
        return -EINVAL;
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_int_t time_stamp, sum;
        double change;
        struct measured_picture *picture = add_picture(measure);
        if (picture == NULL)
            return -ENOMEM;
        if (json_unpack(json_array_get(list, i), "[I, F, I!]", &time_stamp, &change, &sum) < 0)
            return -EINVAL;
        *picture = (struct measured_picture){time_stamp, change, (uint64_t)sum, false};
    }
    measure->own = own;
    measure->clean = clean;
    measure->ended = ended;
    return 0;
}
