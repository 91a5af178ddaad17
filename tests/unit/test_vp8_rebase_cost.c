/*
 * What rebasing costs: whole streams of libvpx, each inter frame rebased onto the very state that it
 * was made against, with no shortcut for that case. In all, bytes may grow by 3 % and Y-SSIM fall by
 * 0.1 dB at most. Next to it, as figures alone: rebased along a chain that starts from the same film
 * coded two levels coarser.
 *
 * A drawn film, and the clips of the folder that XC_CLIPS names.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "media/quality.h"
#include "support/chain.h"
#include "support/scratch.h"

#define MOST_BYTES 1.03
#define MOST_LOSS 0.1 /* in dB */

/* How a stream is made. */
struct setting {
    int cpu_used, level;
    const char *tune;
    bool altref;
};

/* The inter frames of a stream. */
struct total {
    double bytes;
    struct quality quality; /* of what is shown */
};

/* A stream's inter frames as they were and as they became. */
struct comparison {
    struct xc_context *context;
    struct total original, rebased;
};

static void add_picture(struct total *total, const struct xc_picture *shown,
                        const struct xc_picture *raw)
{
    struct xc_view a = xc_picture_view(shown), b = xc_picture_view(raw);
    quality_add(&total->quality, &a, &b);
}

static void add_step(const struct chain_step *step, void *data)
{
    struct comparison *comparison = data;
    struct xc_state *after;
    struct xc_picture *shown;
    comparison->original.bytes += (double)step->original->size;
    comparison->rebased.bytes += (double)step->frame->size;
    if (!step->original_shown)
        return;
    assert_int_equal(xc_decode(comparison->context, step->onto, step->frame->data,
                               step->frame->size, &after, &shown),
                     XC_OK);
    add_picture(&comparison->original, step->original_shown, step->target);
    add_picture(&comparison->rebased, shown, step->target);
    xc_picture_unref(shown);
    xc_state_unref(after);
}

static void encode(struct stream *stream, const struct film *film, const struct setting *setting,
                   int coarser)
{
    char cpu_used[24], level[24], tune[24];
    snprintf(cpu_used, sizeof cpu_used, "--cpu-used=%d", setting->cpu_used);
    snprintf(level, sizeof level, "--cq-level=%d", setting->level + coarser);
    snprintf(tune, sizeof tune, "--tune=%s", setting->tune);
    stream_encode(stream, film,
                  (const char *[]){"--good", "--passes=2", "--end-usage=cq",
                                   "--target-bitrate=4294967", cpu_used, level, tune,
                                   setting->altref ? "--auto-alt-ref=1" : "--auto-alt-ref=0",
                                   setting->altref ? "--lag-in-frames=16" : "--lag-in-frames=0",
                                   NULL});
}

/* The state after the first frame of a coarser encoding. */
static struct xc_state *coarse_start(struct xc_context *context, const struct film *film,
                                     const struct setting *setting)
{
    struct stream stream;
    struct xc_state *state;
    encode(&stream, film, setting, 2);
    assert_int_equal(
        xc_decode(context, NULL, stream.frame[0].data, stream.frame[0].size, &state, NULL), XC_OK);
    stream_free(&stream);
    return state;
}

static double growth(const struct comparison *comparison)
{
    return comparison->rebased.bytes / comparison->original.bytes;
}

static double loss(const struct comparison *comparison)
{
    return quality_ssim_db(&comparison->original.quality, 0) -
           quality_ssim_db(&comparison->rebased.quality, 0);
}

/* Sums over all streams. */
static struct {
    double original, rebased; /* bytes */
    double loss;              /* dB */
    int streams;
} sum;

static void measure(const char *name, const struct film *film, const struct setting *setting)
{
    struct xc_context *context = xc_context_new();
    struct comparison own = {.context = context}, chain = {.context = context};
    struct chain_options options = {.onto_own = true, .parameters = {.quantizer = -1}};
    struct xc_state *start = coarse_start(context, film, setting);
    struct stream stream;
    encode(&stream, film, setting, 0);
    chain_walk(&stream, film, &options, add_step, &own);
    options = (struct chain_options){.start = start, .parameters = {.quantizer = -1}};
    chain_walk(&stream, film, &options, add_step, &chain);
    printf("%-12.12s %d %-4s %2d %-6s %8.0f %6.2f %+7.2f %+6.3f   %+7.2f %+6.3f\n", name,
           setting->cpu_used, setting->tune, setting->level, setting->altref ? "altref" : "",
           own.original.bytes, quality_ssim_db(&own.original.quality, 0), 100 * (growth(&own) - 1),
           -loss(&own), 100 * (growth(&chain) - 1), -loss(&chain));
    sum.original += own.original.bytes;
    sum.rebased += own.rebased.bytes;
    sum.loss += loss(&own);
    sum.streams++;
    stream_free(&stream);
    xc_state_unref(start);
    xc_context_free(context);
}

/* With XC_TESTS=all every combination, otherwise each value once. */
static void measure_film(const char *name, const struct film *film)
{
    static const struct setting chosen[] = {{0, 20, "ssim", false}, {1, 30, "psnr", false},
                                            {3, 40, "psnr", true},  {5, 10, "psnr", false},
                                            {2, 10, "ssim", true},  {4, 30, "ssim", false}};
    int count = test_level() == TEST_QUICK ? 2 : (int)(sizeof chosen / sizeof *chosen);
    for (int i = 0; test_level() < TEST_ALL && i < count; i++)
        measure(name, film, &chosen[i]);
    for (int i = 0; test_level() == TEST_ALL && i < 6 * 2 * 4; i++)
        measure(name, film,
                &(struct setting){.cpu_used = i % 6,
                                  .level = 10 * (1 + i / 6 % 4),
                                  .tune = i / 24 ? "ssim" : "psnr",
                                  .altref = (i + i / 6) & 1});
}

static void measure_clips(const char *folder)
{
    struct dirent **entries;
    int count = scandir(folder, &entries, NULL, alphasort);
    for (int i = 0; i < count; i++) {
        char path[SCRATCH_PATH + sizeof entries[i]->d_name];
        const char *ending = strrchr(entries[i]->d_name, '.');
        bool film_file = ending && entries[i]->d_name[0] != '.' && strcmp(ending, ".md") != 0;
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        if (film_file) {
            struct film film;
            film_read(&film, path, test_level() == TEST_ALL ? 640 : 480,
                      test_level() == TEST_ALL ? 30 : 16);
            measure_film(entries[i]->d_name, &film);
            film_free(&film);
        }
        free(entries[i]);
    }
    free(entries);
}

static void test_cost(void **state)
{
    char folder[SCRATCH_PATH];
    struct film film;
    printf("film         cpu tune level    bytes  SSIM   bytes %%     dB   from coarser\n");
    film_draw(&film, 320, 192, test_level() == TEST_QUICK ? 6 : 20, 5);
    measure_film("drawn", &film);
    film_free(&film);
    if (test_level() > TEST_QUICK && scratch_material(folder, "XC_CLIPS", "clips"))
        measure_clips(folder);
    printf("%d streams: %+.2f %% bytes, %+.3f dB\n", sum.streams,
           100 * (sum.rebased / sum.original - 1), -sum.loss / sum.streams);
    assert_true(sum.rebased <= MOST_BYTES * sum.original);
    assert_true(sum.loss <= MOST_LOSS * sum.streams);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
