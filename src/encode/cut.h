/* Cuts a film into chunks, frame by frame: which frames each has, and when they are shown. */
#ifndef ENCODE_CUT_H
#define ENCODE_CUT_H

#include <stdbool.h>
#include <stdint.h>

#include "encode/plan.h"
#include "encode/scene.h"
#include "media/input.h"
#include "util/error.h"

/* When a frame is shown and for how long, in ticks of the input's time base. */
struct frame_time {
    int64_t time_stamp, duration;
};

struct raw_chunk {
    struct plan_chunk plan;
    struct frame_time *time; /* [plan.frames]; the caller frees it */
    bool last_of_film;       /* or of the part of it that is encoded */
};

struct cutter {
    struct plan plan;
    struct scene scene;
    bool scene_cuts;
    struct frame_time *time; /* of the chunk that is under way; [plan.chunk_frames], or NULL */
    int64_t last_duration;
};

/* `scene_cuts`: a hard cut begins a batch. */
void cut_start(struct cutter *cutter, const struct input_info *info, int chunk_frames,
               int batch_chunks, bool scene_cuts);
/* Adds the next frame, by its time stamp and what scene_look() says of it (nothing of interest without
 * `scene_cuts`). 1 and the chunk before it, if it begins one other than the first; else 0, or -ENOMEM. */
int cut_add(struct cutter *cutter, int64_t time_stamp, double change, struct raw_chunk *finished,
            struct error *error);
/* The film is over: its last chunk. There must have been a frame. */
void cut_end(struct cutter *cutter, struct raw_chunk *finished);
void cut_free(struct cutter *cutter);

#endif
