#include "vp8/state.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/tables.h"

struct xc_state *xc_state_alloc(const struct persistent *persistent)
{
    size_t map_size =
        (size_t)macroblocks(persistent->width) * (size_t)macroblocks(persistent->height);
    struct xc_state *state = calloc(1, sizeof *state + map_size);
    if (!state)
        return NULL;
    atomic_init(&state->references, 1);
    state->persistent = *persistent;
    state->map_size = map_size;
    return state;
}

struct xc_state *xc_state_ref(const struct xc_state *state)
{
    struct xc_state *mutable = (struct xc_state *)state;
    atomic_fetch_add_explicit(&mutable->references, 1, memory_order_relaxed);
    return mutable;
}

void xc_state_unref(struct xc_state *state)
{
    if (!state || atomic_fetch_sub_explicit(&state->references, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < XC_REFERENCES; i++)
        xc_picture_unref(state->picture[i]);
    free(state);
}

int xc_state_width(const struct xc_state *state)
{
    return state->persistent.width;
}

int xc_state_height(const struct xc_state *state)
{
    return state->persistent.height;
}

bool xc_state_has_pictures(const struct xc_state *state)
{
    return state->picture[XC_LAST] != NULL;
}

struct xc_state *xc_state_without_pictures(const struct xc_state *state)
{
    struct xc_state *bare = xc_state_alloc(&state->persistent);
    if (bare)
        memcpy(bare->segment_map, state->segment_map, state->map_size);
    return bare;
}

const struct xc_picture *xc_state_reference(const struct xc_state *state,
                                            enum xc_reference reference)
{
    return state->picture[reference];
}

static bool probabilities_equal(const struct probabilities *a, const struct probabilities *b)
{
    return memcmp(a->coefficient, b->coefficient, sizeof a->coefficient) == 0 &&
           memcmp(a->mv, b->mv, sizeof a->mv) == 0 &&
           memcmp(a->y_mode, b->y_mode, sizeof a->y_mode) == 0 &&
           memcmp(a->uv_mode, b->uv_mode, sizeof a->uv_mode) == 0;
}

static bool persistent_equal(const struct persistent *a, const struct persistent *b)
{
    const struct segmentation *s = &a->segmentation, *t = &b->segmentation;
    const struct filter_deltas *d = &a->filter_deltas, *e = &b->filter_deltas;
    return a->width == b->width && a->height == b->height &&
           a->horizontal_scale == b->horizontal_scale && a->vertical_scale == b->vertical_scale &&
           a->colour_space == b->colour_space && a->clamping_type == b->clamping_type &&
           probabilities_equal(&a->probabilities, &b->probabilities) &&
           s->absolute == t->absolute &&
           memcmp(s->quantizer, t->quantizer, sizeof s->quantizer) == 0 &&
           memcmp(s->filter_level, t->filter_level, sizeof s->filter_level) == 0 &&
           memcmp(d->reference, e->reference, sizeof d->reference) == 0 &&
           memcmp(d->mode, e->mode, sizeof d->mode) == 0;
}

bool xc_state_equal(const struct xc_state *a, const struct xc_state *b)
{
    if (a == b)
        return true;
    if (!persistent_equal(&a->persistent, &b->persistent) ||
        memcmp(a->segment_map, b->segment_map, a->map_size) != 0 ||
        xc_state_has_pictures(a) != xc_state_has_pictures(b))
        return false;
    if (!xc_state_has_pictures(a))
        return true;
    for (int i = 0; i < XC_REFERENCES; i++)
        if (!xc_picture_equal(a->picture[i], b->picture[i]))
            return false;
    return true;
}

void xc_persistent_reset(struct persistent *persistent)
{
    struct probabilities *p = &persistent->probabilities;
    memset(persistent, 0, sizeof *persistent);
    memcpy(p->coefficient, xc_default_coefficient_probabilities, sizeof p->coefficient);
    memcpy(p->mv, xc_default_mv_probabilities, sizeof p->mv);
    memcpy(p->y_mode, xc_default_y_mode_probabilities, sizeof p->y_mode);
    memcpy(p->uv_mode, xc_default_uv_mode_probabilities, sizeof p->uv_mode);
}
