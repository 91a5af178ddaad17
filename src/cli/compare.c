/* `excamera compare A B`: how like two films are. */
#include <getopt.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/commands.h"
#include "media/input.h"
#include "media/quality.h"

static const char usage[] =
    "usage: excamera compare [--frames] [--json] A B\n"
    "\n"
    "Measures how like two films of one size are, frames paired by their number: PSNR and SSIM\n"
    "of each plane and of all together, as ffmpeg's psnr and ssim filters define them. A and B "
    "are\n"
    "anything that `excamera encode` reads, or IVF; both are brought to 8-bit 4:2:0 of limited\n"
    "range first. One of them may be - for Y4M on standard input.\n"
    "\n"
    "  --frames    a line for each frame, too\n"
    "  --json      the same as JSON; infinite values, of equal pictures, are null\n"
    "  -h, --help  this text\n"
    "\n"
    "Exits with 1 where the sizes differ, or one film has more frames than the other.\n"
    "\n"
    "  excamera compare film.mp4 film.webm\n"
    "  excamera compare --frames film.y4m film.ivf\n";

struct comparison {
    const char *path[2];
    struct input *input[2];
    bool by_frame, json;
    struct quality sum;
};

static const char *const planes[] = {"Y", "U", "V", "all"};
static const char *const json_planes[] = {"y", "u", "v", "all"};

/* As the functions of media/quality.h number planes. */
static int plane_number(int column)
{
    return column < 3 ? column : -1;
}

static void print_header(const struct comparison *comparison)
{
    if (comparison->json)
        printf(comparison->by_frame ? "{\n  \"by_frame\": [" : "{");
    else if (comparison->by_frame)
        printf("%8s  %31s  %31s\n%8s  %7s %7s %7s %7s  %7s %7s %7s %7s\n", "", "PSNR (dB)",
               "SSIM (dB)", "frame", "Y", "U", "V", "all", "Y", "U", "V", "all");
}

static void print_frame_line(int64_t number, const struct quality *quality)
{
    printf("%8lld ", (long long)number);
    for (int i = 0; i < 4; i++)
        printf(" %7.2f", quality_psnr(quality, plane_number(i)));
    printf(" ");
    for (int i = 0; i < 4; i++)
        printf(" %7.2f", quality_ssim_db(quality, plane_number(i)));
    printf("\n");
}

static void print_json_values(const char *name, double (*value)(const struct quality *, int),
                              const struct quality *quality)
{
    printf("\"%s\": {", name);
    for (int i = 0; i < 4; i++) {
        double number = value(quality, plane_number(i));
        printf("%s\"%s\": ", i ? ", " : "", json_planes[i]);
        if (isfinite(number))
            printf("%.6f", number);
        else
            printf("null");
    }
    printf("}");
}

static void print_json(const struct quality *quality, const char *separator)
{
    print_json_values("psnr", quality_psnr, quality);
    printf("%s", separator);
    print_json_values("ssim", quality_ssim, quality);
    printf("%s", separator);
    print_json_values("ssim_db", quality_ssim_db, quality);
}

static void print_frame(const struct comparison *comparison, const struct quality *quality)
{
    int64_t number = comparison->sum.frames - 1;
    if (!comparison->json) {
        print_frame_line(number, quality);
        return;
    }
    printf("%s\n    {\"frame\": %lld, ", number ? "," : "", (long long)number);
    print_json(quality, ", ");
    printf("}");
}

static void print_summary(const struct comparison *comparison)
{
    const struct quality *sum = &comparison->sum;
    if (comparison->json) {
        printf("%s\n  \"frames\": %lld,\n  ", comparison->by_frame ? "\n  ]," : "",
               (long long)sum->frames);
        print_json(sum, ",\n  ");
        printf("\n}\n");
        return;
    }
    printf("%s%8s %10s %10s %10s\n", comparison->by_frame ? "\n" : "", "", "PSNR (dB)", "SSIM",
           "SSIM (dB)");
    for (int i = 0; i < 4; i++)
        printf("%8s %10.3f %10.6f %10.3f\n", planes[i], quality_psnr(sum, plane_number(i)),
               quality_ssim(sum, plane_number(i)), quality_ssim_db(sum, plane_number(i)));
    printf("%8lld frames of %dx%d\n", (long long)sum->frames, sum->width, sum->height);
}

static int fail(const struct error *error)
{
    fprintf(stderr, "excamera compare: %s\n", error->message);
    return EXIT_FAILURE;
}

static void add_pair(struct comparison *comparison, struct xc_picture *const pictures[2])
{
    struct xc_view a = xc_picture_view(pictures[0]), b = xc_picture_view(pictures[1]);
    quality_add(&comparison->sum, &a, &b);
    if (comparison->by_frame) {
        struct quality quality = {0};
        quality_add(&quality, &a, &b);
        print_frame(comparison, &quality);
    }
}

/* 1 for a pair, 0 where both films are at their end, 2 where one is, negative for an error. */
static int compare_next(struct comparison *comparison, struct error *error)
{
    struct xc_picture *pictures[2] = {NULL, NULL};
    int64_t time_stamp;
    int results[2] = {0, 0};
    for (int i = 0; i < 2 && results[0] >= 0; i++)
        results[i] = input_read(comparison->input[i], &pictures[i], &time_stamp, error);
    int result = results[0] == results[1] ? results[0] : 2;
    if (results[0] < 0 || results[1] < 0)
        result = error->code;
    if (result == 1)
        add_pair(comparison, pictures);
    if (result == 2)
        fprintf(stderr, "excamera compare: %s ends after %lld frames, %s goes on\n",
                comparison->path[results[0] == 1], (long long)comparison->sum.frames,
                comparison->path[results[0] == 0]);
    xc_picture_unref(pictures[0]);
    xc_picture_unref(pictures[1]);
    return result;
}

static int compare_films(struct comparison *comparison)
{
    struct error error;
    int result;
    print_header(comparison);
    while ((result = compare_next(comparison, &error)) == 1)
        ;
    if (result < 0)
        return fail(&error);
    print_summary(comparison);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        perror("excamera compare: cannot write standard output");
        return EXIT_FAILURE;
    }
    return result == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int open_films(struct comparison *comparison)
{
    struct error error;
    for (int i = 0; i < 2; i++)
        if (input_open(comparison->path[i], &comparison->input[i], &error) < 0)
            return fail(&error);
    const struct video_format *a = &input_info(comparison->input[0])->format;
    const struct video_format *b = &input_info(comparison->input[1])->format;
    if (a->width == b->width && a->height == b->height)
        return EXIT_SUCCESS;
    fprintf(stderr,
            "excamera compare: the sizes differ: %s is %dx%d, %s is %dx%d; nothing is compared\n",
            comparison->path[0], a->width, a->height, comparison->path[1], b->width, b->height);
    return EXIT_FAILURE;
}

static int wrong_usage(const char *sentence, const char *word)
{
    fprintf(stderr, "excamera compare: %s%s; `excamera compare --help` says more\n", sentence,
            word);
    return EXIT_USAGE;
}

static int take_films(struct comparison *comparison, int count, char **films)
{
    if (count != 2)
        return wrong_usage("it takes two films", "");
    if (strcmp(films[0], "-") == 0 && strcmp(films[1], "-") == 0)
        return wrong_usage("only one film can come from standard input", "");
    comparison->path[0] = films[0];
    comparison->path[1] = films[1];
    return EXIT_SUCCESS;
}

int command_compare(int argc, char **argv)
{
    static const struct option options[] = {
        {"frames", no_argument, NULL, 'f'},
        {"json", no_argument, NULL, 'j'},
        {"help", no_argument, NULL, 'h'},
        {0},
    };
    struct comparison comparison = {0};
    int option, status;
    opterr = 0;
    while ((option = getopt_long(argc, argv, "h", options, NULL)) != -1) {
        if (option == 'h') {
            printf("%s", usage);
            return EXIT_SUCCESS;
        }
        if (option == '?')
            return wrong_usage("there is no option ", argv[optind - 1]);
        comparison.by_frame |= option == 'f';
        comparison.json |= option == 'j';
    }
    if ((status = take_films(&comparison, argc - optind, argv + optind)) == EXIT_SUCCESS &&
        (status = open_films(&comparison)) == EXIT_SUCCESS)
        status = compare_films(&comparison);
    input_close(comparison.input[0]);
    input_close(comparison.input[1]);
    return status;
}
