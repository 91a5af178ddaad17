/*
 * The tasks that put a chunk behind another state. A chunk is walked with two chains of states: the one it
 * was made in, which is needed to read its frames, and the new one. The first is walked ahead, while the state
 * for the second is still to come, and frames are written when the state after the last one has been passed on:
 * what the next chunk waits for should be as little as possible.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "encode/files.h"
#include "encode/levels.h"
#include "encode/stillness.h"
#include "encode/tasks.h"
#include "media/y4m.h"
#include "util/await.h"
#include "util/cores.h"

/* How much is held of frames that cannot be rebased yet, or that are to be written later. A chain's processes all
 * wait with that. */
#define HELD_BYTES 100000000

struct rechain {
    const struct task_options *options;
    struct xc_context *context;
    struct y4m_reader *raw;
    struct chunk_file chunk;
    struct chunk_file out;
    struct xc_state *original; /* before the next frame to be planned, in the chunk's first chain */
    struct xc_state *state;    /* before the next frame, in the new chain */
    /* Plans of frames: all before `planned` were made, those of frames that were written are gone. */
    struct xc_plan **plan; /* [chunk.frames] */
    int planned;
    struct xc_buffer frame;
    /* The chunk has hidden frames. What they show is in no raw picture, so that the original chain
     * is decoded in full to have their own pictures as target. */
    bool hidden;
};

/*
 * As many threads as there are cores, also where each core has a task of its own: what a chain's task does while its
 * state is there, everybody behind it waits for, and it is short beside what else the cores have to do. Threads share its
 * work evenly, so that it gets on where any core is free, and take little more CPU time than one.
 */
static int use_cores(struct rechain *chain, struct error *error)
{
    int cores = cores_count();
    int threads = cores < XC_MAX_THREADS ? cores : XC_MAX_THREADS;
    return xc_context_set_threads(chain->context, threads) == XC_OK
               ? 0
               : error_set(error, -ENOMEM, "out of memory");
}

/* Reads all but the state. */
static int open_rechain(struct rechain *chain, const struct task_options *options,
                        struct error *error)
{
    chain->options = options;
    chain->context = xc_context_new();
    if (chain->context == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = use_cores(chain, error);
    if (code >= 0)
        code = files_read_chunk(options->chunk, &chain->chunk, error);
    if (code < 0)
        return code;
    chain->out.header = chain->chunk.header;
    chain->plan = calloc((size_t)chain->chunk.frames, sizeof *chain->plan);
    if (chain->plan == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    for (int i = 0; i < chain->chunk.frames; i++)
        chain->hidden |= !chain->chunk.frame[i].tag.shown;
    return y4m_open(options->raw, &chain->raw, error);
}

static int read_state(struct rechain *chain, struct error *error)
{
    const struct task_options *options = chain->options;
    int code = 0;
    if (options->state_point != NULL)
        code = await_point(options->state_point, AWAIT_NO_NUMBER, error);
    return code < 0 ? code : files_read_state(options->state, &chain->state, error);
}

/* Pictures are needed only to decode hidden frames: many processes may wait for their states. */
static int read_original(struct rechain *chain, struct error *error)
{
    struct xc_state *full;
    int code = files_read_state(chain->options->made_for, &full, error);
    if (code < 0)
        return code;
    if (chain->hidden) {
        chain->original = full;
        return 0;
    }
    chain->original = xc_state_without_pictures(full);
    xc_state_unref(full);
    return chain->original != NULL ? 0 : error_set(error, -ENOMEM, "out of memory");
}

static void close_rechain(struct rechain *chain)
{
    for (int i = 0; i < chain->planned; i++)
        xc_plan_free(chain->plan[i]);
    free(chain->plan);
    y4m_close(chain->raw);
    files_free_chunk(&chain->chunk);
    files_free_chunk(&chain->out);
    xc_state_unref(chain->original);
    xc_state_unref(chain->state);
    xc_buffer_free(&chain->frame);
    xc_context_free(chain->context);
}

static int frame_error(const struct rechain *chain, int index, int result, struct error *error)
{
    files_codec_error(error, chain->options->chunk, result);
    return error_prefix(error, "frame %d", index);
}

static int read_raw(struct rechain *chain, struct xc_picture **picture, struct error *error)
{
    int code = y4m_read(chain->raw, picture, error);
    if (code == 0)
        return error_set(error, -EINVAL, "%s has fewer pictures than %s shows", chain->options->raw,
                         chain->options->chunk);
    return code < 0 ? code : 0;
}

/* What follows the frame in the chain that the chunk was made in. */
static int follow_original(struct rechain *chain, int index, struct xc_state **after,
                           struct error *error)
{
    const struct chunk_frame *frame = &chain->chunk.frame[index];
    int result =
        chain->hidden
            ? xc_decode(chain->context, chain->original, frame->data, frame->size, after, NULL)
            : xc_parse(chain->context, chain->original, frame->data, frame->size, after);
    return result < 0 ? frame_error(chain, index, result, error) : 0;
}

/* The picture that a hidden frame decodes to, found where the frame put it. One that replaces no
 * reference is never seen, so that any picture will do. */
static int hidden_target(struct rechain *chain, int index, const struct xc_state *after,
                         struct xc_picture **picture, struct error *error)
{
    const struct chunk_frame *frame = &chain->chunk.frame[index];
    struct xc_frame_info info;
    int result = xc_inspect(chain->context, chain->original, frame->data, frame->size, &info);
    if (result < 0)
        return frame_error(chain, index, result, error);
    int reference = XC_LAST;
    for (int i = 0; i < XC_REFERENCES; i++)
        if (info.refresh & XC_REFERENCE_BIT(i))
            reference = i;
    *picture = xc_picture_ref(xc_state_reference(after, reference));
    return 0;
}

/* Takes over the state after a frame that was planned, or that is not to be. */
static void advance_original(struct rechain *chain, struct xc_state *original)
{
    xc_state_unref(chain->original);
    chain->original = original;
    chain->planned++;
}

static void advance(struct rechain *chain, struct xc_state *state)
{
    xc_state_unref(chain->state);
    chain->state = state;
}

static int add_frame(struct rechain *chain, struct error *error)
{
    return files_add_frame(&chain->out, chain->frame.data, chain->frame.size, error);
}

static int effort_of(int cpu_used)
{
    return cpu_used >= 4 ? 2 : cpu_used >= 2 ? 1 : 0;
}

/* Makes the inter frame that stands where the chunk had its key frame. */
static int encode_first(struct rechain *chain, struct error *error)
{
    const struct chunk_frame *first = &chain->chunk.frame[0];
    if (!first->tag.key_frame || !first->tag.shown)
        return error_set(error, -EINVAL, "%s does not begin with a key frame that is shown",
                         chain->options->chunk);
    struct xc_picture *picture = NULL;
    struct xc_state *original = NULL;
    struct xc_state *state = NULL;
    bool still;
    int code = stillness_of_chunk(chain->options->raw, &still, error);
    if (code >= 0)
        code = follow_original(chain, 0, &original, error);
    if (code < 0)
        return code;
    code = read_raw(chain, &picture, error);
    if (code < 0)
        goto fail;
    struct xc_encode_parameters parameters = {
        .quantizer = levels_index(levels_choose(chain->options->quality, LEVEL_FIRST, still)),
        /* All three references of the state are one picture, or nearly so. */
        .references = XC_REFERENCE_BIT(XC_LAST),
        .refresh = XC_REFERENCE_BIT(XC_LAST) | XC_REFERENCE_BIT(XC_GOLDEN) |
                   XC_REFERENCE_BIT(XC_ALTREF), /* as the key frame did */
        .effort = effort_of(chain->options->cpu_used),
        .rate_weight = LEVELS_RATE_WEIGHT,
    };
    int result =
        xc_encode(chain->context, chain->state, picture, &parameters, &chain->frame, &state);
    xc_picture_unref(picture);
    if (result < 0) {
        code = frame_error(chain, 0, result, error);
        goto fail;
    }
    advance_original(chain, original);
    advance(chain, state);
    return add_frame(chain, error);
fail:
    xc_state_unref(original);
    return code;
}

/* Reads the next frame that has no plan, and makes one. */
static int plan_frame(struct rechain *chain, struct error *error)
{
    int index = chain->planned;
    const struct chunk_frame *frame = &chain->chunk.frame[index];
    if (frame->tag.key_frame)
        return error_set(error, -EINVAL, "frame %d of %s is a key frame: nothing to rebase", index,
                         chain->options->chunk);
    struct xc_picture *picture = NULL;
    struct xc_state *original = NULL;
    int code = follow_original(chain, index, &original, error);
    if (code < 0)
        return code;
    code = frame->tag.shown ? read_raw(chain, &picture, error)
                            : hidden_target(chain, index, original, &picture, error);
    if (code < 0)
        goto fail;
    struct xc_rebase_parameters parameters = {
        .quantizer = -1,
        .rate_weight = LEVELS_RATE_WEIGHT,
        /* Should the last frame be hidden, then the picture shown before it must survive too. */
        .refresh_all = index == chain->chunk.frames - 1 && frame->tag.shown,
    };
    int result = xc_plan_rebase(chain->context, picture, frame->data, frame->size, chain->original,
                                &parameters, &chain->plan[index]);
    xc_picture_unref(picture);
    if (result < 0) {
        code = frame_error(chain, index, result, error);
        goto fail;
    }
    advance_original(chain, original);
    return 0;
fail:
    xc_state_unref(original);
    return code;
}

/* How many plans may be held, their pictures included. */
static int most_plans(const struct rechain *chain)
{
    size_t pixels =
        (size_t)xc_state_width(chain->original) * (size_t)xc_state_height(chain->original);
    size_t most = HELD_BYTES / (2 * pixels);
    return most < (size_t)chain->chunk.frames ? (int)most : chain->chunk.frames;
}

static int plan_ahead(struct rechain *chain, struct error *error)
{
    int code = 0;
    while (code >= 0 && chain->planned < most_plans(chain))
        code = plan_frame(chain, error);
    return code;
}

static int write_frame(struct rechain *chain, int index, struct error *error)
{
    int result = xc_plan_write(chain->plan[index], &chain->frame);
    xc_plan_free(chain->plan[index]);
    chain->plan[index] = NULL;
    return result < 0 ? frame_error(chain, index, result, error) : add_frame(chain, error);
}

/* The last frames are left to be written later. */
static int rebase_frame(struct rechain *chain, int index, struct error *error)
{
    struct xc_state *state = NULL;
    int code = index < chain->planned ? 0 : plan_frame(chain, error);
    if (code < 0)
        return code;
    int result = xc_rebase_planned(chain->context, chain->state, chain->plan[index], &state);
    if (result < 0)
        return frame_error(chain, index, result, error);
    advance(chain, state);
    bool later = index >= chain->chunk.frames - most_plans(chain);
    return later ? 0 : write_frame(chain, index, error);
}

static int check_raw_ends(struct rechain *chain, struct error *error)
{
    struct xc_picture *picture = NULL;
    int code = y4m_read(chain->raw, &picture, error);
    if (code <= 0)
        return code;
    xc_picture_unref(picture);
    return error_set(error, -EINVAL, "%s has more pictures than %s shows", chain->options->raw,
                     chain->options->chunk);
}

/* The state first: the next chunk waits for it. */
static int write_results(struct rechain *chain, struct error *error)
{
    const struct task_options *options = chain->options;
    int code = 0;
    if (options->out_state != NULL)
        code = files_write_state(options->out_state, chain->state, error);
    if (code >= 0 && options->out_state_point != NULL)
        code = await_point(options->out_state_point, AWAIT_NO_NUMBER, error);
    for (int i = chain->out.frames; code >= 0 && i < chain->chunk.frames; i++)
        code = write_frame(chain, i, error);
    return code < 0 ? code : files_write_chunk(options->out_chunk, &chain->out, error);
}

/* Rebases the frames from `first` on and writes the results. */
static int rebase_rest(struct rechain *chain, int first, struct error *error)
{
    for (int i = first; i < chain->chunk.frames; i++) {
        int code = rebase_frame(chain, i, error);
        if (code < 0)
            return code;
    }
    int code = check_raw_ends(chain, error);
    if (code < 0)
        return code;
    return write_results(chain, error);
}

int task_reencode(const struct task_options *options, struct error *error)
{
    struct rechain chain = {0};
    int code = open_rechain(&chain, options, error);
    if (code >= 0)
        code = read_state(&chain, error);
    if (code >= 0)
        code = encode_first(&chain, error);
    if (code >= 0)
        code = rebase_rest(&chain, 1, error);
    close_rechain(&chain);
    return code;
}

int task_rebase(const struct task_options *options, struct error *error)
{
    struct rechain chain = {0};
    int code = open_rechain(&chain, options, error);
    if (code >= 0 && options->made_for != NULL)
        code = read_original(&chain, error);
    if (code >= 0 && options->made_for != NULL)
        code = plan_ahead(&chain, error);
    if (code >= 0)
        code = read_state(&chain, error);
    if (code >= 0 && options->made_for == NULL)
        chain.original = xc_state_ref(chain.state);
    if (code >= 0)
        code = rebase_rest(&chain, 0, error);
    close_rechain(&chain);
    return code;
}
