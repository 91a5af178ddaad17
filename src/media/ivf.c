#include "media/ivf.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "media/buffer.h"

#define HEADER_BYTES 32
#define FRAME_HEADER_BYTES 12

/* A frame is read in pieces of this size, so that a length without the bytes to it allocates
 * little. */
#define PIECE_BYTES (1 << 20)

struct ivf_reader {
    FILE *stream;
    char *name; /* for error sentences */
    struct ivf_header header;
    int64_t frames; /* read so far */
};

static uint16_t load16(const uint8_t *bytes)
{
    return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t load32(const uint8_t *bytes)
{
    return load16(bytes) | (uint32_t)load16(bytes + 2) << 16;
}

static uint64_t load64(const uint8_t *bytes)
{
    return load32(bytes) | (uint64_t)load32(bytes + 4) << 32;
}

static void store(uint8_t *bytes, int count, uint64_t value)
{
    for (int i = 0; i < count; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

/* Rate and scale as a tick's length; 1/30 s where the file gives none. */
static struct ratio parse_time_base(const uint8_t *header)
{
    uint32_t denominator = load32(header + 16);
    uint32_t numerator = load32(header + 20);
    if (numerator == 0 || denominator == 0 || numerator > INT_MAX || denominator > INT_MAX)
        return (struct ratio){1, 30};
    return (struct ratio){(int)numerator, (int)denominator};
}

/* Later versions may have longer headers; what they add is passed over. */
static int skip(FILE *stream, int bytes)
{
    while (bytes-- > 0)
        if (getc(stream) == EOF)
            return -EINVAL;
    return 0;
}

static int read_header(struct ivf_reader *reader, struct error *error)
{
    uint8_t header[HEADER_BYTES];
    size_t size = fread(header, 1, sizeof header, reader->stream);
    if (ferror(reader->stream))
        return error_set(error, -EIO, "cannot read %s: %s", reader->name, strerror(errno));
    if (size < 4 || memcmp(header, "DKIF", 4) != 0)
        return error_set(error, -EINVAL, "%s is not IVF", reader->name);
    if (size < sizeof header || load16(header + 6) < HEADER_BYTES ||
        skip(reader->stream, load16(header + 6) - HEADER_BYTES) < 0)
        return error_set(error, -EINVAL, "%s: damaged IVF header", reader->name);
    if (memcmp(header + 8, "VP80", 4) != 0)
        return error_set(error, -EINVAL, "%s does not hold VP8 (fourcc VP80)", reader->name);
    reader->header = (struct ivf_header){
        .width = load16(header + 12),
        .height = load16(header + 14),
        .time_base = parse_time_base(header),
        .frames = load32(header + 24),
    };
    return 0;
}

int ivf_open(const char *path, struct ivf_reader **reader, struct error *error)
{
    *reader = NULL;
    FILE *stream = fopen(path, "rbe");
    if (!stream)
        return error_set(error, -errno, "cannot read %s: %s", path, strerror(errno));
    return ivf_open_stream(stream, path, reader, error);
}

int ivf_open_stream(FILE *stream, const char *name, struct ivf_reader **opened, struct error *error)
{
    *opened = NULL;
    struct ivf_reader *reader = calloc(1, sizeof *reader);
    if (!reader) {
        fclose(stream);
        return error_set(error, -ENOMEM, "out of memory");
    }
    reader->stream = stream;
    reader->name = strdup(name);
    int result =
        reader->name ? read_header(reader, error) : error_set(error, -ENOMEM, "out of memory");
    if (result < 0)
        ivf_close(reader);
    else
        *opened = reader;
    return result;
}

const struct ivf_header *ivf_header(const struct ivf_reader *reader)
{
    return &reader->header;
}

static int read_error(const struct ivf_reader *reader, struct error *error)
{
    if (ferror(reader->stream))
        return error_set(error, -EIO, "cannot read %s: %s", reader->name, strerror(errno));
    return error_set(error, -EINVAL, "%s: the file ends within frame %lld", reader->name,
                     (long long)reader->frames);
}

static int read_payload(struct ivf_reader *reader, size_t size, struct xc_buffer *frame,
                        struct error *error)
{
    frame->size = 0;
    while (frame->size < size) {
        size_t left = size - frame->size;
        size_t piece = left < PIECE_BYTES ? left : PIECE_BYTES;
        int result = buffer_reserve(frame, frame->size + piece, error);
        if (result < 0)
            return result;
        if (fread(frame->data + frame->size, 1, piece, reader->stream) != piece)
            return read_error(reader, error);
        frame->size += piece;
    }
    return 0;
}

int ivf_read(struct ivf_reader *reader, struct xc_buffer *frame, uint64_t *time_stamp,
             struct error *error)
{
    uint8_t header[FRAME_HEADER_BYTES];
    size_t size = fread(header, 1, sizeof header, reader->stream);
    if (size == 0 && !ferror(reader->stream))
        return 0;
    if (size != sizeof header)
        return read_error(reader, error);
    int result = read_payload(reader, load32(header), frame, error);
    if (result < 0)
        return result;
    *time_stamp = load64(header + 4);
    reader->frames++;
    return 1;
}

void ivf_close(struct ivf_reader *reader)
{
    if (!reader)
        return;
    fclose(reader->stream);
    free(reader->name);
    free(reader);
}

static int write_bytes(FILE *stream, const uint8_t *bytes, size_t size, struct error *error)
{
    errno = 0;
    if (fwrite(bytes, 1, size, stream) == size)
        return 0;
    int code = errno ? errno : EIO;
    return error_set(error, -code, "cannot write IVF: %s", strerror(code));
}

int ivf_write_header(FILE *stream, const struct ivf_header *header, struct error *error)
{
    uint8_t bytes[HEADER_BYTES] = "DKIF";
    store(bytes + 6, 2, HEADER_BYTES);
    memcpy(bytes + 8, "VP80", 4);
    store(bytes + 12, 2, (uint64_t)header->width);
    store(bytes + 14, 2, (uint64_t)header->height);
    store(bytes + 16, 4, (uint64_t)header->time_base.denominator);
    store(bytes + 20, 4, (uint64_t)header->time_base.numerator);
    store(bytes + 24, 4, header->frames);
    return write_bytes(stream, bytes, sizeof bytes, error);
}

int ivf_write(FILE *stream, const uint8_t *frame, size_t size, uint64_t time_stamp,
              struct error *error)
{
    uint8_t header[FRAME_HEADER_BYTES];
    if (size > UINT32_MAX)
        return error_set(error, -EFBIG, "a frame of %zu bytes does not fit into IVF", size);
    store(header, 4, size);
    store(header + 4, 8, time_stamp);
    int result = write_bytes(stream, header, sizeof header, error);
    return result < 0 || size == 0 ? result : write_bytes(stream, frame, size, error);
}
