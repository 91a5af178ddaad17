#include "encode/files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util/output.h"

int files_codec_error(struct error *error, const char *where, int result)
{
    int code = result == XC_ERROR_NO_MEMORY ? -ENOMEM : -EINVAL;
    return error_set(error, code, "%s: %s", where, xc_strerror(result));
}

/* ---- States -------------------------------------------------------------------------------- */

static int read_all(FILE *file, const char *path, uint8_t **data, size_t *size, struct error *error)
{
    *data = NULL;
    if (fseeko(file, 0, SEEK_END) != 0)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    off_t length = ftello(file);
    rewind(file);
    if (length < 0)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    uint8_t *bytes = malloc(length > 0 ? (size_t)length : 1);
    if (bytes == NULL)
        return error_set(error, -ENOMEM, "out of memory reading %s", path);
    if (fread(bytes, 1, (size_t)length, file) != (size_t)length) {
        free(bytes);
        return error_set(error, -EIO, "cannot read %s to its end", path);
    }
    *data = bytes;
    *size = (size_t)length;
    return 0;
}

int files_read_state(const char *path, struct xc_state **state, struct error *error)
{
    *state = NULL;
    uint8_t *data = NULL;
    size_t size = 0;
    FILE *file = fopen(path, "rbe");
    if (file == NULL)
        return error_set(error, -errno, "cannot open %s: %s", path, strerror(errno));
    int code = read_all(file, path, &data, &size, error);
    fclose(file);
    if (code < 0)
        return code;
    int result = xc_state_read(data, size, state);
    free(data);
    return result < 0 ? files_codec_error(error, path, result) : 0;
}

static int write_failed(const char *path, struct error *error)
{
    int code = errno ? errno : EIO;
    return error_set(error, -code, "cannot write %s: %s", path, strerror(code));
}

int files_write_state(const char *path, const struct xc_state *state, struct error *error)
{
    struct xc_buffer bytes = {0};
    struct output *output = NULL;
    int code = 0;
    int result = xc_state_write(state, &bytes);
    if (result < 0) {
        code = files_codec_error(error, path, result);
        goto done;
    }
    code = output_open(path, true, &output, error);
    if (code < 0)
        goto done;
    if (fwrite(bytes.data, 1, bytes.size, output_stream(output)) != bytes.size) {
        code = write_failed(path, error);
        output_abort(output);
        goto done;
    }
    code = output_commit_unsynced(output, error);
done:
    xc_buffer_free(&bytes);
    return code;
}

/* ---- JSON ---------------------------------------------------------------------------------- */

int files_write_json(const char *path, json_t *json, struct error *error)
{
    struct output *output = NULL;
    if (json == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    int code = output_open(path, true, &output, error);
    if (code < 0)
        goto done;
    if (json_dumpf(json, output_stream(output), JSON_COMPACT) < 0 ||
        fputc('\n', output_stream(output)) == EOF) {
        code = write_failed(path, error);
        output_abort(output);
        goto done;
    }
    code = output_commit_unsynced(output, error);
done:
    json_decref(json);
    return code;
}

/* ---- Chunks -------------------------------------------------------------------------------- */

int files_add_frame(struct chunk_file *chunk, const uint8_t *data, size_t size, struct error *error)
{
    struct chunk_frame frame = {.size = size};
    int result = xc_frame_tag(data, size, &frame.tag);
    if (result != XC_OK) {
        char where[40];
        snprintf(where, sizeof where, "frame %d", chunk->frames);
        return files_codec_error(error, where, result);
    }
    frame.data = malloc(size);
    struct chunk_frame *grown =
        realloc(chunk->frame, ((size_t)chunk->frames + 1) * sizeof *chunk->frame);
    if (grown != NULL)
        chunk->frame = grown;
    if (frame.data == NULL || grown == NULL) {
        free(frame.data);
        return error_set(error, -ENOMEM, "out of memory");
    }
    memcpy(frame.data, data, size);
    chunk->frame[chunk->frames++] = frame;
    return 0;
}

int files_read_chunk(const char *path, struct chunk_file *chunk, struct error *error)
{
    struct ivf_reader *reader = NULL;
    struct xc_buffer frame = {0};
    uint64_t time_stamp;
    int code = ivf_open(path, &reader, error);
    if (code < 0)
        goto done;
    chunk->header = *ivf_header(reader);
    while ((code = ivf_read(reader, &frame, &time_stamp, error)) > 0) {
        code = files_add_frame(chunk, frame.data, frame.size, error);
        if (code < 0) {
            error_prefix(error, "%s", path);
            goto done;
        }
    }
    if (code == 0 && chunk->frames == 0)
        code = error_set(error, -EINVAL, "%s has no frame", path);
done:
    ivf_close(reader);
    xc_buffer_free(&frame);
    return code;
}

static int write_frames(FILE *stream, const struct chunk_file *chunk, struct error *error)
{
    struct ivf_header header = chunk->header;
    header.frames = (uint32_t)chunk->frames;
    int code = ivf_write_header(stream, &header, error);
    uint64_t shown = 0;
    for (int i = 0; i < chunk->frames && code >= 0; i++) {
        const struct chunk_frame *frame = &chunk->frame[i];
        code = ivf_write(stream, frame->data, frame->size, shown, error);
        shown += frame->tag.shown;
    }
    return code;
}

int files_write_chunk(const char *path, const struct chunk_file *chunk, struct error *error)
{
    struct output *output = NULL;
    int code = output_open(path, true, &output, error);
    if (code < 0)
        return code;
    code = write_frames(output_stream(output), chunk, error);
    if (code < 0) {
        output_abort(output);
        return code;
    }
    return output_commit_unsynced(output, error);
}

void files_free_chunk(struct chunk_file *chunk)
{
    for (int i = 0; i < chunk->frames; i++)
        free(chunk->frame[i].data);
    free(chunk->frame);
    *chunk = (struct chunk_file){0};
}
