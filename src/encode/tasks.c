/* The tasks that make raw chunks, chunks and approximate states; rechain.c has the other two. */
#include "encode/tasks.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "encode/files.h"
#include "encode/levels.h"
#include "encode/segments.h"
#include "encode/stillness.h"
#include "encode/vpx_encoder.h"
#include "media/input.h"
#include "media/y4m.h"
#include "util/output.h"

/* Writes the pictures [start, start + frames) of `input`. */
static int copy_pictures(struct input *input, const struct task_options *options, FILE *stream,
                         struct error *error)
{
    int code = y4m_write_header(stream, &input_info(input)->format, error);
    if (code < 0)
        return code;
    int64_t written = 0;
    for (int64_t i = 0; options->frames == 0 || written < options->frames; i++) {
        struct xc_picture *picture = NULL;
        int64_t time_stamp;
        code = input_read(input, &picture, &time_stamp, error);
        if (code <= 0)
            break;
        if (i >= options->start) {
            code = y4m_write(stream, picture, error);
            written++;
        }
        xc_picture_unref(picture);
        if (code < 0)
            break;
    }
    if (code >= 0 && written == 0)
        return error_set(error, -EINVAL, "%s ends before frame %lld", options->source,
                         (long long)options->start);
    return code < 0 ? code : 0;
}

/* Writes as many pictures as the place has. */
static int copy_place(struct input *input, const struct segments_place *place, FILE *stream,
                      struct error *error)
{
    int code = y4m_write_header(stream, &input_info(input)->format, error);
    if (code >= 0)
        code = input_seek(input, &place->key, error);
    for (int written = 0; written < place->pictures && code >= 0;) {
        struct xc_picture *picture;
        int64_t time_stamp;
        code = input_read(input, &picture, &time_stamp, error);
        if (code < 0)
            break;
        if (code == 0 || (written == 0 && time_stamp > place->first))
            code = error_set(error, -ESTALE, "the film is not what it was when it was planned");
        else if (written > 0 || time_stamp == place->first) {
            code = y4m_write(stream, picture, error);
            written++;
        }
        xc_picture_unref(picture);
    }
    return code;
}

static int copy_part(struct input *input, const struct task_options *options, FILE *stream,
                     struct error *error)
{
    struct segments_place place;
    if (options->place == NULL)
        return copy_pictures(input, options, stream, error);
    int code = segments_read_place(options->place, &place, error);
    return code < 0 ? code : copy_place(input, &place, stream, error);
}

int task_fetch(const struct task_options *options, struct error *error)
{
    struct input *input = NULL;
    struct output *output = NULL;
    int code = input_open(options->source, &input, error);
    if (code < 0)
        return code;
    code = output_open(options->out_raw, true, &output, error);
    if (code < 0)
        goto done;
    code = copy_part(input, options, output_stream(output), error);
    if (code < 0)
        output_abort(output);
    else
        code = output_commit_unsynced(output, error);
done:
    input_close(input);
    return code;
}

static int encode_pictures(const struct task_options *options, struct y4m_reader *raw,
                           struct vpx_encoder *encoder, struct chunk_file *chunk,
                           struct error *error)
{
    struct xc_picture *picture;
    bool still = false;
    /* A stand-in's level does not depend on it. */
    int code = options->stand_in ? 0 : stillness_of_chunk(options->raw, &still, error);
    if (code < 0)
        return code;
    while ((code = y4m_read(raw, &picture, error)) > 0) {
        enum level_frame kind = chunk->frames > 0   ? LEVEL_INTER
                                : options->stand_in ? LEVEL_STAND_IN
                                                    : LEVEL_KEY;
        const uint8_t *data = NULL;
        size_t size = 0;
        code = vpx_encoder_encode(encoder, picture, levels_choose(options->quality, kind, still),
                                  &data, &size, error);
        xc_picture_unref(picture);
        if (code >= 0)
            code = files_add_frame(chunk, data, size, error);
        if (code < 0)
            return code;
    }
    if (code == 0 && chunk->frames == 0)
        return error_set(error, -EINVAL, "%s has no picture", options->raw);
    return code;
}

struct encoding {
    const struct task_options *options;
    struct y4m_reader *raw;
    struct chunk_file chunk;
    struct error *error;
    int code;
};

static int encode_chunk(struct encoding *encoding)
{
    const struct video_format *format = y4m_format(encoding->raw);
    const struct task_options *options = encoding->options;
    struct vpx_encoder *encoder = NULL;
    encoding->chunk.header = (struct ivf_header){
        .width = format->width,
        .height = format->height,
        .time_base = {format->frame_rate.denominator, format->frame_rate.numerator},
    };
    int code = vpx_encoder_open(format->width, format->height, options->cpu_used, &encoder,
                                encoding->error);
    if (code >= 0)
        code = encode_pictures(options, encoding->raw, encoder, &encoding->chunk, encoding->error);
    vpx_encoder_close(encoder);
    return code;
}

static void *encode_in_thread(void *opaque)
{
    struct encoding *encoding = opaque;
    encoding->code = encode_chunk(encoding);
    return NULL;
}

/* libvpx (1.12), tuned for SSIM, looks at a few bytes behind an array of its own, and decides by what lies
 * there. A thread of its own has a heap of its own, of fresh memory: there it finds the same each time,
 * whatever the process has done before. */
static int encode_on_fresh_heap(struct encoding *encoding)
{
    pthread_t thread;
    int code = pthread_create(&thread, NULL, encode_in_thread, encoding);
    if (code != 0)
        return error_set(encoding->error, -code, "cannot start a thread: %s", strerror(code));
    pthread_join(thread, NULL);
    return encoding->code;
}

int task_encode(const struct task_options *options, struct error *error)
{
    struct encoding encoding = {.options = options, .error = error};
    int code = y4m_open(options->raw, &encoding.raw, error);
    if (code < 0)
        return code;
    code = encode_on_fresh_heap(&encoding);
    if (code >= 0)
        code = files_write_chunk(options->out_chunk, &encoding.chunk, error);
    files_free_chunk(&encoding.chunk);
    y4m_close(encoding.raw);
    return code;
}

static int decode_frames(const char *path, const struct chunk_file *chunk,
                         struct xc_context *context, struct xc_state **state, struct error *error)
{
    for (int i = 0; i < chunk->frames; i++) {
        struct xc_state *after = NULL;
        int result =
            xc_decode(context, *state, chunk->frame[i].data, chunk->frame[i].size, &after, NULL);
        if (result < 0) {
            files_codec_error(error, path, result);
            return error_prefix(error, "frame %d", i);
        }
        xc_state_unref(*state);
        *state = after;
    }
    return 0;
}

int task_decode(const struct task_options *options, struct error *error)
{
    struct xc_context *context = NULL;
    struct xc_state *state = NULL;
    struct chunk_file chunk = {0};
    int code = files_read_chunk(options->chunk, &chunk, error);
    if (code < 0)
        goto done;
    if (options->state != NULL) {
        code = files_read_state(options->state, &state, error);
        if (code < 0)
            goto done;
    }
    context = xc_context_new();
    if (context == NULL) {
        code = error_set(error, -ENOMEM, "out of memory");
        goto done;
    }
    code = decode_frames(options->chunk, &chunk, context, &state, error);
    if (code < 0)
        goto done;
    code = files_write_state(options->out_state, state, error);
done:
    xc_state_unref(state);
    xc_context_free(context);
    files_free_chunk(&chunk);
    return code;
}
