#include "media/y4m.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Longest accepted line of parameters, newline included. */
#define LINE_MAX_BYTES 1024

struct y4m_reader {
    FILE *stream;
    char *name; /* for error sentences */
    struct video_format format;
    uint8_t *samples; /* one frame: Y, U, V without gaps; allocated when the first is read */
    int64_t frames;   /* read so far */
};

static int chroma_size(int luma)
{
    return (luma + 1) / 2;
}

static size_t frame_bytes(const struct video_format *format)
{
    size_t luma = (size_t)format->width * (size_t)format->height;
    size_t chroma = (size_t)chroma_size(format->width) * (size_t)chroma_size(format->height);
    return luma + 2 * chroma;
}

/* Reads up to and without a newline. 1 for a line, 0 where the file is at its end, negative for a
 * line that is too long, has a zero byte or no end. */
static int read_line(FILE *stream, char line[LINE_MAX_BYTES])
{
    for (size_t length = 0; length < LINE_MAX_BYTES; length++) {
        int c = getc(stream);
        if (c == EOF)
            return length == 0 && !ferror(stream) ? 0 : -EINVAL;
        if (c == '\0')
            return -EINVAL;
        line[length] = (char)c;
        if (c == '\n') {
            line[length] = '\0';
            return 1;
        }
    }
    return -EINVAL;
}

/* A decimal number in [0, INT_MAX] that ends where the text or `end` does. */
static bool parse_number(const char **text, char end, int *number)
{
    int64_t value = 0;
    const char *digit = *text;
    for (; *digit >= '0' && *digit <= '9'; digit++) {
        value = 10 * value + (*digit - '0');
        if (value > INT_MAX)
            return false;
    }
    if (digit == *text || *digit != end)
        return false;
    *text = end ? digit + 1 : digit;
    *number = (int)value;
    return true;
}

static bool parse_size(const char *text, int *size)
{
    return parse_number(&text, '\0', size) && *size >= 1;
}

/* "N:D"; leaves `ratio` as it is for the unknown one, "0:0" or with either part zero. */
static bool parse_ratio(const char *text, struct ratio *ratio)
{
    struct ratio parsed;
    if (!parse_number(&text, ':', &parsed.numerator) ||
        !parse_number(&text, '\0', &parsed.denominator))
        return false;
    if (parsed.numerator != 0 && parsed.denominator != 0)
        *ratio = parsed;
    return true;
}

static bool is_420(const char *name)
{
    static const char *const names[] = {"420", "420jpeg", "420mpeg2", "420paldv"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return false;
}

/* One parameter of the first line: a letter and its value. */
static int parse_parameter(struct y4m_reader *reader, const char *word, struct error *error)
{
    struct video_format *format = &reader->format;
    const char *value = word + 1;
    bool valid = true;
    if (*word == 'W')
        valid = parse_size(value, &format->width);
    else if (*word == 'H')
        valid = parse_size(value, &format->height);
    else if (*word == 'F')
        valid = parse_ratio(value, &format->frame_rate);
    else if (*word == 'A')
        valid = parse_ratio(value, &format->pixel_aspect);
    else if (*word == 'C' && !is_420(value))
        return error_set(error, -EINVAL,
                         "%s: the pictures are %.40s; only 8-bit 4:2:0 (C420) can be read",
                         reader->name, value);
    else if (strcmp(word, "XCOLORRANGE=FULL") == 0)
        format->colour.full_range = true;
    if (!valid)
        return error_set(error, -EINVAL, "%s: bad Y4M parameter %.40s", reader->name, word);
    return 0;
}

static int parse_header(struct y4m_reader *reader, char *line, struct error *error)
{
    char *rest;
    strtok_r(line, " ", &rest);
    for (char *word; (word = strtok_r(NULL, " ", &rest));) {
        int result = parse_parameter(reader, word, error);
        if (result < 0)
            return result;
    }
    const struct video_format *format = &reader->format;
    if (format->width == 0 || format->height == 0)
        return error_set(error, -EINVAL, "%s: the Y4M header gives no size", reader->name);
    if (format->width > XC_MAX_DIMENSION || format->height > XC_MAX_DIMENSION)
        return error_set(error, -EINVAL, "%s: %dx%d is beyond VP8's largest size, %dx%d",
                         reader->name, format->width, format->height, XC_MAX_DIMENSION,
                         XC_MAX_DIMENSION);
    return 0;
}

static int read_error(const struct y4m_reader *reader, const char *what, struct error *error)
{
    if (ferror(reader->stream))
        return error_set(error, -EIO, "cannot read %s: %s", reader->name, strerror(errno));
    return error_set(error, -EINVAL, "%s: %s frame %lld", reader->name, what,
                     (long long)reader->frames);
}

/* The first word is compared byte by byte, so that a large file of another kind is told from Y4M
 * without looking for its first newline. */
static int read_header(struct y4m_reader *reader, struct error *error)
{
    static const char magic[] = "YUV4MPEG2";
    char line[1 + LINE_MAX_BYTES];
    for (size_t i = 0; i < sizeof magic - 1; i++)
        if (getc(reader->stream) != magic[i])
            return ferror(reader->stream)
                       ? read_error(reader, "", error)
                       : error_set(error, -EINVAL, "%s is not Y4M (YUV4MPEG2)", reader->name);
    if (read_line(reader->stream, line + 1) <= 0)
        return error_set(error, -EINVAL, "%s: damaged Y4M header", reader->name);
    line[0] = 'Y';
    return line[1] == ' ' ? parse_header(reader, line, error)
                          : error_set(error, -EINVAL, "%s: damaged Y4M header", reader->name);
}

static const struct video_format unknown_format = {
    .frame_rate = {25, 1},
    .pixel_aspect = {1, 1},
    .colour = {.primaries = 2, .transfer = 2, .matrix = 2},
};

int y4m_open(const char *path, struct y4m_reader **reader, struct error *error)
{
    *reader = NULL;
    FILE *stream = fopen(path, "rbe");
    if (!stream)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    return y4m_open_stream(stream, path, reader, error);
}

int y4m_open_stream(FILE *stream, const char *name, struct y4m_reader **opened, struct error *error)
{
    *opened = NULL;
    struct y4m_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        fclose(stream);
        return error_set(error, -ENOMEM, "out of memory");
    }
    reader->stream = stream;
    reader->format = unknown_format;
    reader->name = strdup(name);
    int result =
        reader->name ? read_header(reader, error) : error_set(error, -ENOMEM, "out of memory");
    if (result < 0)
        y4m_close(reader);
    else
        *opened = reader;
    return result;
}

const struct video_format *y4m_format(const struct y4m_reader *reader)
{
    return &reader->format;
}

static struct xc_view view_samples(const struct video_format *format, const uint8_t *samples)
{
    ptrdiff_t chroma = chroma_size(format->width);
    size_t luma_bytes = (size_t)format->width * (size_t)format->height;
    size_t chroma_bytes = (size_t)chroma * (size_t)chroma_size(format->height);
    const uint8_t *u = samples + luma_bytes;
    return (struct xc_view){
        .width = format->width,
        .height = format->height,
        .plane = {samples, u, u + chroma_bytes},
        .stride = {format->width, chroma, chroma},
    };
}

int y4m_read(struct y4m_reader *reader, struct xc_picture **picture, struct error *error)
{
    char line[LINE_MAX_BYTES];
    *picture = NULL;
    int result = read_line(reader->stream, line);
    if (result == 0)
        return 0;
    if (result < 0 || strncmp(line, "FRAME", 5) != 0 || (line[5] != '\0' && line[5] != ' '))
        return read_error(reader, "no FRAME line before", error);
    size_t size = frame_bytes(&reader->format);
    if (!reader->samples)
        reader->samples = malloc(size);
    if (!reader->samples)
        return error_set(error, -ENOMEM, "out of memory");
    if (fread(reader->samples, 1, size, reader->stream) != size)
        return read_error(reader, "the file ends within", error);
    struct xc_view view = view_samples(&reader->format, reader->samples);
    result = xc_picture_new(&view, picture);
    if (result < 0)
        return error_set(error, -ENOMEM, "%s: %s", reader->name, xc_strerror(result));
    reader->frames++;
    return 1;
}

void y4m_close(struct y4m_reader *reader)
{
    if (!reader)
        return;
    fclose(reader->stream);
    free(reader->samples);
    free(reader->name);
    free(reader);
}

static int write_error(struct error *error)
{
    int code = errno ? errno : EIO;
    return error_set(error, -code, "cannot write Y4M: %s", strerror(code));
}

int y4m_write_header(FILE *stream, const struct video_format *format, struct error *error)
{
    errno = 0;
    int written =
        fprintf(stream, "YUV4MPEG2 W%d H%d F%d:%d Ip A%d:%d C420jpeg%s\n", format->width,
                format->height, format->frame_rate.numerator, format->frame_rate.denominator,
                format->pixel_aspect.numerator, format->pixel_aspect.denominator,
                format->colour.full_range ? " XCOLORRANGE=FULL" : "");
    return written < 0 ? write_error(error) : 0;
}

int y4m_write(FILE *stream, const struct xc_picture *picture, struct error *error)
{
    struct xc_view view = xc_picture_view(picture);
    errno = 0;
    if (fputs("FRAME\n", stream) == EOF)
        return write_error(error);
    for (int plane = 0; plane < 3; plane++) {
        size_t width = (size_t)(plane ? chroma_size(view.width) : view.width);
        int height = plane ? chroma_size(view.height) : view.height;
        const uint8_t *row = view.plane[plane];
        for (int y = 0; y < height; y++, row += view.stride[plane])
            if (fwrite(row, 1, width, stream) != width)
                return write_error(error);
    }
    return 0;
}
