#include "encode/cut.h"

#include <errno.h>
#include <stdlib.h>

/* One frame at the nominal rate, in ticks. */
static int64_t nominal_duration(const struct input_info *info)
{
    struct ratio rate = info->format.frame_rate;
    struct ratio base = info->time_base;
    double ticks = (double)rate.denominator / rate.numerator * base.denominator / base.numerator;
    return ticks >= 1 ? (int64_t)(ticks + 0.5) : 1;
}

void cut_start(struct cutter *cutter, const struct input_info *info, int chunk_frames,
               int batch_chunks, bool scene_cuts)
{
    *cutter = (struct cutter){.scene_cuts = scene_cuts, .last_duration = nominal_duration(info)};
    plan_start(&cutter->plan, chunk_frames, batch_chunks);
}

static void finish(struct cutter *cutter, struct raw_chunk *finished)
{
    finished->time = cutter->time;
    cutter->time = NULL;
}

int cut_add(struct cutter *cutter, int64_t time_stamp, double change, struct raw_chunk *finished,
            struct error *error)
{
    struct plan *plan = &cutter->plan;
    *finished = (struct raw_chunk){0};
    if (plan->current.frames > 0) {
        struct frame_time *before = &cutter->time[plan->current.frames - 1];
        before->duration = cutter->last_duration = time_stamp - before->time_stamp;
    }
    bool cut = cutter->scene_cuts && scene_add(&cutter->scene, change);
    bool done = plan_add(plan, cut, &finished->plan);
    if (done)
        finish(cutter, finished);
    if (cutter->time == NULL)
        cutter->time = malloc((size_t)plan->chunk_frames * sizeof *cutter->time);
    if (cutter->time == NULL) {
        free(finished->time);
        finished->time = NULL;
        return error_set(error, -ENOMEM, "out of memory");
    }
    cutter->time[plan->current.frames - 1].time_stamp = time_stamp;
    return done;
}

void cut_end(struct cutter *cutter, struct raw_chunk *finished)
{
    *finished = (struct raw_chunk){.last_of_film = true};
    plan_end(&cutter->plan, &finished->plan);
    /* The film's last frame is taken to last as long as the one before. */
    cutter->time[finished->plan.frames - 1].duration = cutter->last_duration;
    finish(cutter, finished);
}

void cut_free(struct cutter *cutter)
{
    free(cutter->time);
}
