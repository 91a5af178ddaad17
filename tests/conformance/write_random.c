/*
 * Writes a stream of random decisions (support/random_stream.h) as IVF:
 *
 *     write_random OUTPUT SEED WIDTH HEIGHT FRAMES VERSION [FEATURE ...]
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/random_stream.h"

static unsigned feature_of(const char *word)
{
    for (int i = 0; i < RANDOM_FEATURES; i++)
        if (!strcmp(word, random_feature_name(i)))
            return 1u << i;
    fprintf(stderr, "no such feature: %s\n", word);
    exit(EXIT_FAILURE);
}

int main(int argc, char **argv)
{
    if (argc < 7) {
        fprintf(stderr, "%s OUTPUT SEED WIDTH HEIGHT FRAMES VERSION [FEATURE ...]\n", argv[0]);
        return EXIT_FAILURE;
    }
    struct random_recipe recipe = {
        .seed = (unsigned)atoi(argv[2]),
        .width = atoi(argv[3]),
        .height = atoi(argv[4]),
        .frames = atoi(argv[5]),
        .version = atoi(argv[6]),
    };
    for (int i = 7; i < argc; i++)
        recipe.features |= feature_of(argv[i]);
    struct stream stream;
    random_stream(&stream, &recipe);
    stream_write(&stream, argv[1]);
    stream_free(&stream);
    return EXIT_SUCCESS;
}
