#include "cli/summary.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/progress.h"

static bool to_standard_output(const struct encode_options *options)
{
    return strcmp(options->output, "-") == 0;
}

static double per_second(double amount, double seconds)
{
    return seconds > 0 ? amount / seconds : 0;
}

/* Bits per second of the film. */
static double bitrate(const struct encode_result *result)
{
    return per_second(8.0 * (double)result->bytes, result->film_seconds);
}

static void print_input(const struct encode_options *options, const struct encode_result *result)
{
    const struct input_info *input = &result->input;
    fprintf(stderr, "input      %s (%s)\n",
            strcmp(options->input, "-") == 0 ? "standard input" : options->input, input->source);
    if (input->converted[0] != '\0')
        fprintf(stderr, "converted  %s\n", input->converted);
    if (result->unentered > 0)
        fprintf(stderr,
                "warning    %lld frames come behind key frames that decoding cannot begin at: they "
                "were decoded in order\n",
                (long long)result->unentered);
    if (input->interlaced)
        fprintf(stderr,
                "warning    the input is interlaced; its fields are encoded together as they "
                "are\n");
}

static void print_output(const struct encode_options *options, const struct encode_result *result)
{
    const char *output = options->output;
    if (to_standard_output(options)) {
        fprintf(stderr, "output     %lld bytes of video, %.0f kbit/s, on standard output\n",
                (long long)result->bytes, bitrate(result) / 1000);
        return;
    }
    fprintf(stderr, "output     %s: %lld bytes, %.0f kbit/s\n", output, (long long)result->bytes,
            bitrate(result) / 1000);
    fprintf(stderr, "quality    `excamera compare %s %s` measures SSIM and PSNR\n", output,
            options->input);
    fprintf(stderr, "play       `ffplay %s`, or open it in a browser\n", output);
}

static void print_time(const struct encode_options *options, const struct encode_result *result)
{
    char took[40];
    int tasks = options->workers * options->slots;
    double rate = per_second((double)result->frames, result->seconds);
    progress_duration(result->seconds, took, sizeof took);
    if (options->access != NULL)
        fprintf(stderr, "time       %s on workers elsewhere, %.1f frames/s\n", took, rate);
    else
        fprintf(stderr, "time       %s with %d task%s at once, %.1f frames/s\n", took, tasks,
                tasks == 1 ? "" : "s", rate);
}

/* In whatever the price of workers is in. */
static void print_cost(const struct encode_result *result)
{
    if (result->cost > 0)
        fprintf(stderr, "cost       %.4g\n", result->cost);
}

void summary_print(const struct encode_options *options, const struct encode_result *result)
{
    char film[40];
    progress_duration(result->film_seconds, film, sizeof film);
    print_input(options, result);
    fprintf(stderr, "film       %lld frames of %dx%d, %s; %lld key frames\n",
            (long long)result->frames, result->input.format.width, result->input.format.height,
            film, (long long)result->key_frames);
    fprintf(stderr, "encoded    [%d,%d], quality %d: %lld chunks in %lld batches\n",
            options->chunk_frames, options->batch_chunks, options->quality,
            (long long)result->chunks, (long long)result->batches);
    print_time(options, result);
    print_cost(result);
    print_output(options, result);
}

/* File names need not be UTF-8, which JSON must be. */
static json_t *json_text(const char *text)
{
    json_t *json = json_string(text);
    if (json != NULL)
        return json;
    char *ascii = strdup(text);
    for (char *c = ascii; c != NULL && *c != '\0'; c++)
        if ((unsigned char)*c >= 0x80)
            *c = '?';
    json = ascii != NULL ? json_string(ascii) : NULL;
    free(ascii);
    return json;
}

static void add_settings(json_t *json, const struct encode_options *options)
{
    json_object_set_new(json, "chunk", json_integer(options->chunk_frames));
    json_object_set_new(json, "batch", json_integer(options->batch_chunks));
    json_object_set_new(json, "quality", json_integer(options->quality));
    json_object_set_new(json, "cpu_used", json_integer(options->cpu_used));
    json_object_set_new(json, "workers", json_integer(options->workers));
    json_object_set_new(json, "slots", json_integer(options->slots));
}

static void add_input(json_t *json, const struct encode_options *options,
                      const struct input_info *input)
{
    json_object_set_new(json, "input", json_text(options->input));
    json_object_set_new(json, "source", json_text(input->source));
    json_object_set_new(json, "converted", json_text(input->converted));
    json_object_set_new(json, "interlaced", json_boolean(input->interlaced));
    json_object_set_new(json, "width", json_integer(input->format.width));
    json_object_set_new(json, "height", json_integer(input->format.height));
}

static void add_result(json_t *json, const struct encode_result *result)
{
    json_object_set_new(json, "frames", json_integer(result->frames));
    json_object_set_new(json, "key_frames", json_integer(result->key_frames));
    json_object_set_new(json, "chunks", json_integer(result->chunks));
    json_object_set_new(json, "batches", json_integer(result->batches));
    json_object_set_new(json, "unentered", json_integer(result->unentered));
    json_object_set_new(json, "bytes", json_integer(result->bytes));
    json_object_set_new(json, "duration", json_real(result->film_seconds));
    json_object_set_new(json, "bitrate", json_real(bitrate(result)));
    json_object_set_new(json, "seconds", json_real(result->seconds));
    json_object_set_new(json, "frames_per_second",
                        json_real(per_second((double)result->frames, result->seconds)));
    if (result->cost > 0)
        json_object_set_new(json, "cost", json_real(result->cost));
}

bool summary_print_json(const struct encode_options *options, const struct encode_result *result)
{
    json_t *json = json_object();
    add_input(json, options, &result->input);
    json_object_set_new(json, "output", json_text(options->output));
    add_settings(json, options);
    add_result(json, result);
    FILE *stream = to_standard_output(options) ? stderr : stdout;
    bool written = json_dumpf(json, stream, JSON_INDENT(2) | JSON_REAL_PRECISION(9)) == 0 &&
                   fputc('\n', stream) != EOF && fflush(stream) == 0;
    json_decref(json);
    return written;
}
