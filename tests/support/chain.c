#include "support/chain.h"

#include "support/claim.h"

struct walk {
    struct xc_context *context;
    struct xc_state *made_for; /* before the next frame, in the chain that the stream was made in */
    struct xc_state *onto;     /* the same in the new chain */
    struct xc_buffer frame;
    int next; /* raw picture that the next shown frame codes */
};

/* What a hidden frame decodes to, found where it put it; one that replaces no reference is never seen,
 * so that any picture will do. */
static const struct xc_picture *hidden_picture(struct walk *walk, const struct xc_buffer *frame,
                                               const struct xc_state *after)
{
    struct xc_frame_info info;
    int reference = XC_LAST;
    CLAIM(xc_inspect(walk->context, walk->made_for, frame->data, frame->size, &info) == XC_OK);
    for (int i = 0; i < XC_REFERENCES; i++)
        if (info.refresh & XC_REFERENCE_BIT(i))
            reference = i;
    return xc_state_reference(after, (enum xc_reference)reference);
}

static void advance(struct walk *walk, struct xc_state *made_after, struct xc_state *after)
{
    xc_state_unref(walk->made_for);
    xc_state_unref(walk->onto);
    walk->made_for = made_after;
    walk->onto = after;
}

static void rebase(struct walk *walk, const struct chain_options *options, struct chain_step *step,
                   struct xc_state **after)
{
    step->made_for = walk->made_for;
    step->onto = options->onto_own ? walk->made_for : walk->onto;
    step->parameters = &options->parameters;
    CLAIM(xc_rebase(walk->context, step->onto, step->target, step->original->data,
                    step->original->size, step->made_for, step->parameters, &walk->frame,
                    after) == XC_OK);
    step->after = *after;
    step->frame = &walk->frame;
}

void chain_walk(const struct stream *stream, const struct film *film,
                const struct chain_options *options,
                void (*visit)(const struct chain_step *step, void *data), void *data)
{
    struct walk walk = {.context = xc_context_new()};
    CLAIM(walk.context);
    for (int i = 0; i < stream->frames; i++) {
        struct chain_step step = {.index = i, .original = &stream->frame[i]};
        struct xc_state *made_after, *after;
        struct xc_picture *shown;
        struct xc_frame_tag tag;
        int result = xc_decode(walk.context, walk.made_for, step.original->data,
                               step.original->size, &made_after, &shown);
        CLAIM(result >= 0);
        if (result == XC_EMPTY_FRAME) {
            advance(&walk, made_after, xc_state_ref(walk.onto));
            continue;
        }
        CLAIM(xc_frame_tag(step.original->data, step.original->size, &tag) == XC_OK);
        step.original_shown = shown;
        step.made_after = made_after;
        step.target =
            shown ? film->picture[walk.next++] : hidden_picture(&walk, step.original, made_after);
        if (tag.key_frame) {
            after = xc_state_ref(i == 0 && options->start ? options->start : made_after);
        } else {
            rebase(&walk, options, &step, &after);
            visit(&step, data);
        }
        xc_picture_unref(shown);
        advance(&walk, made_after, after);
    }
    advance(&walk, NULL, NULL);
    xc_buffer_free(&walk.frame);
    xc_context_free(walk.context);
}
