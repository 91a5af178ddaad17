/*
 * The codec at work, for comparing what it does on other architectures; built of nothing but the codec
 * and libc. Writes to standard output:
 *
 *     codec decode LEVEL FILE.ivf     the shown frames as I420
 *     codec recode LEVEL              a drawn film, encoded and rebased: the frames, the hash of each state
 *
 * LEVEL is an instruction set, as of xc_context_set_cpu.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/claim.h"
#include "support/film.h"
#include "support/stream.h"

static void write_bytes(const void *data, size_t size)
{
    CLAIM(fwrite(data, 1, size, stdout) == size);
}

/* ---- decode -------------------------------------------------------------------------------- */

static void write_picture(const struct xc_picture *picture)
{
    struct xc_view view = xc_picture_view(picture);
    for (int plane = 0; plane < 3; plane++) {
        int width = plane ? (view.width + 1) / 2 : view.width;
        int height = plane ? (view.height + 1) / 2 : view.height;
        for (int y = 0; y < height; y++)
            write_bytes(view.plane[plane] + y * view.stride[plane], (size_t)width);
    }
}

static void decode(struct xc_context *context, const char *path)
{
    struct xc_state *state = NULL;
    struct stream stream;
    stream_read(&stream, path);
    for (int i = 0; i < stream.frames; i++) {
        struct xc_picture *shown;
        struct xc_state *after;
        CLAIM(xc_decode(context, state, stream.frame[i].data, stream.frame[i].size, &after,
                        &shown) >= 0);
        if (shown)
            write_picture(shown);
        xc_picture_unref(shown);
        xc_state_unref(state);
        state = after;
    }
    xc_state_unref(state);
    stream_free(&stream);
}

/* ---- recode -------------------------------------------------------------------------------- */

enum { FRAMES = 5, EFFORTS = 3 };

static void write_step(const struct xc_buffer *frame, const struct xc_state *after)
{
    struct xc_hash hash = xc_state_hash(after);
    write_bytes(frame->data, frame->size);
    write_bytes(hash.bytes, sizeof hash.bytes);
}

/* Codes the film frame by frame; `given` holds the state before each and the last one's. */
static void encode_film(struct xc_context *context, const struct film *film,
                        struct xc_buffer frame[FRAMES], struct xc_state *given[FRAMES + 1])
{
    for (int i = 0; i < FRAMES; i++) {
        struct xc_encode_parameters parameters = {.quantizer = 8 + 25 * i,
                                                  .effort = (i + 1) % EFFORTS,
                                                  .refresh = i ? 1u << (i % XC_REFERENCES) : 7};
        CLAIM(xc_encode(context, given[i], film->picture[i], &parameters, &frame[i],
                        &given[i + 1]) == XC_OK);
        write_step(&frame[i], given[i + 1]);
    }
}

/* Each inter frame but the first goes onto the state after the key frame, with levels of its own and
 * with one that is given. */
static void rebase_film(struct xc_context *context, const struct film *film,
                        const struct xc_buffer frame[FRAMES],
                        struct xc_state *const given[FRAMES + 1])
{
    struct xc_buffer rebased = {0};
    for (int i = 2; i < FRAMES; i++) {
        for (int quantizer = -1; quantizer < 127; quantizer += 60) {
            struct xc_rebase_parameters parameters = {.quantizer = quantizer};
            struct xc_state *after;
            CLAIM(xc_rebase(context, given[1], film->picture[i], frame[i].data, frame[i].size,
                            given[i], &parameters, &rebased, &after) == XC_OK);
            write_step(&rebased, after);
            xc_state_unref(after);
        }
    }
    xc_buffer_free(&rebased);
}

static void recode(struct xc_context *context)
{
    struct xc_state *given[FRAMES + 1] = {NULL};
    struct xc_buffer frame[FRAMES] = {{0}};
    struct film film;
    film_draw(&film, 175, 143, FRAMES, 5);
    encode_film(context, &film, frame, given);
    rebase_film(context, &film, frame, given);
    for (int i = 0; i < FRAMES; i++) {
        xc_buffer_free(&frame[i]);
        xc_state_unref(given[i + 1]);
    }
    film_free(&film);
}

int main(int argc, char **argv)
{
    bool decodes = argc == 4 && !strcmp(argv[1], "decode");
    if (!decodes && (argc != 3 || strcmp(argv[1], "recode") != 0)) {
        fprintf(stderr, "usage: codec decode LEVEL FILE.ivf\n       codec recode LEVEL\n");
        return EXIT_FAILURE;
    }
    struct xc_context *context = xc_context_new();
    CLAIM(context && xc_context_set_cpu(context, argv[2]) == XC_OK);
    if (decodes)
        decode(context, argv[3]);
    else
        recode(context);
    xc_context_free(context);
    CLAIM(fflush(stdout) == 0);
    return EXIT_SUCCESS;
}
