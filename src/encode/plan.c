#include "encode/plan.h"

void plan_start(struct plan *plan, int chunk_frames, int batch_chunks)
{
    *plan = (struct plan){.chunk_frames = chunk_frames, .batch_chunks = batch_chunks};
}

bool plan_add(struct plan *plan, bool cut, struct plan_chunk *finished)
{
    struct plan_chunk *current = &plan->current;
    if (current->frames == 0 || (current->frames < plan->chunk_frames && !cut)) {
        current->frames++;
        return false;
    }
    *finished = *current;
    finished->last = cut || current->index == plan->batch_chunks - 1;
    *current = (struct plan_chunk){
        .number = finished->number + 1,
        .first_frame = finished->first_frame + finished->frames,
        .frames = 1,
        .index = finished->last ? 0 : finished->index + 1,
    };
    return true;
}

bool plan_end(struct plan *plan, struct plan_chunk *finished)
{
    *finished = plan->current;
    finished->last = true;
    return finished->frames > 0;
}
