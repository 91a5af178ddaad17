/*
 * Writes a stream of random decisions (support/random_stream.h) as IVF:
 *
 *     write_random OUTPUT SEED WIDTH HEIGHT FRAMES VERSION [rebased] [FEATURE ...]
 *
 * With `rebased`, its inter frames are rebased onto the key frame of another such stream.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/chain.h"
#include "support/claim.h"
#include "support/random_stream.h"

static unsigned feature_of(const char *word)
{
    for (int i = 0; i < RANDOM_FEATURES; i++)
        if (!strcmp(word, random_feature_name(i)))
            return 1u << i;
    fprintf(stderr, "no such feature: %s\n", word);
    exit(EXIT_FAILURE);
}

static void add_frame(const struct chain_step *step, void *data)
{
    stream_add(data, step->frame->data, step->frame->size);
}

/* Key frames further on would end the chain. */
static void write_rebased(struct random_recipe recipe, struct stream *out)
{
    struct chain_options options = {.parameters = {.quantizer = -1}};
    struct xc_context *context = xc_context_new();
    struct xc_state *start;
    struct stream stream, other;
    struct film film;
    recipe.features &= ~(unsigned)(RANDOM_KEYS | RANDOM_RESIZE);
    random_stream(&stream, &recipe);
    recipe.seed += 1000;
    recipe.frames = 1;
    random_stream(&other, &recipe);
    const struct xc_buffer *key = &other.frame[0];
    CLAIM(context && xc_decode(context, NULL, key->data, key->size, &start, NULL) == XC_OK);
    stream_add(out, key->data, key->size);
    film_draw(&film, recipe.width, recipe.height, stream.frames, recipe.seed);
    options.start = start;
    chain_walk(&stream, &film, &options, add_frame, out);
    film_free(&film);
    xc_state_unref(start);
    stream_free(&stream);
    stream_free(&other);
    xc_context_free(context);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "%s OUTPUT SEED WIDTH HEIGHT FRAMES VERSION [rebased] [FEATURE ...]\n",
                argv[0]);
        return EXIT_FAILURE;
    }
    struct random_recipe recipe = {
        .seed = (unsigned)atoi(argv[2]),
        .width = atoi(argv[3]),
        .height = atoi(argv[4]),
        .frames = atoi(argv[5]),
        .version = atoi(argv[6]),
    };
    bool rebased = argc > 7 && !strcmp(argv[7], "rebased");
    for (int i = 7 + rebased; i < argc; i++)
        recipe.features |= feature_of(argv[i]);
    struct stream stream = {0};
    if (rebased)
        write_rebased(recipe, &stream);
    else
        random_stream(&stream, &recipe);
    stream_write(&stream, argv[1]);
    stream_free(&stream);
    return EXIT_SUCCESS;
}
