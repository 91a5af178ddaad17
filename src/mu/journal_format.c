#include "mu/journal_format.h"

#include <endian.h>
#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "util/crc32c.h"

enum {
    VERSION = 1,
    MARK_SIZE = 4,
    /* Read at once; holds the longest record. */
    WINDOW = 2 * JOURNAL_RECORD_MAX,
};

static const char magic[] = "excamera-journal"; /* 16 bytes and a zero */
static const char mark[] = "XCRJ";

struct record_header {
    uint32_t length, type, data_crc;
    uint64_t offset, durable;
};

/* The source's bytes from `start` on, as far as they were read. */
struct window {
    const struct journal_source *source;
    uint8_t *data;
    uint64_t start;
    size_t size;
};

static void put_32(uint8_t *to, uint32_t value)
{
    value = htole32(value);
    memcpy(to, &value, sizeof value);
}

static void put_64(uint8_t *to, uint64_t value)
{
    value = htole64(value);
    memcpy(to, &value, sizeof value);
}

static uint32_t get_32(const uint8_t *from)
{
    uint32_t value;
    memcpy(&value, from, sizeof value);
    return le32toh(value);
}

static uint64_t get_64(const uint8_t *from)
{
    uint64_t value;
    memcpy(&value, from, sizeof value);
    return le64toh(value);
}

void journal_write_header(uint8_t header[JOURNAL_HEADER])
{
    memcpy(header, magic, 16);
    put_32(header + 16, VERSION);
    put_32(header + 20, crc32c(header, 20));
}

void journal_prepare(uint8_t header[JOURNAL_RECORD_HEADER], uint32_t type, uint32_t length)
{
    memset(header, 0, JOURNAL_RECORD_HEADER);
    put_32(header + 4, length);
    put_32(header + 24, type);
}

size_t journal_seal(uint8_t *record, uint64_t offset, uint64_t durable)
{
    uint32_t length = get_32(record + 4);
    memcpy(record, mark, MARK_SIZE);
    put_64(record + 8, offset);
    put_64(record + 16, durable);
    put_32(record + 28, crc32c(record + JOURNAL_RECORD_HEADER, length));
    put_32(record + 32, crc32c(record, 32));
    return JOURNAL_RECORD_HEADER + (size_t)length;
}

/* Makes `*bytes` point to those from `offset` on; returns how many of them there are, at least `size`
 * except at the end of the source, or a negative errno. */
static ssize_t view(struct window *window, uint64_t offset, size_t size, const uint8_t **bytes)
{
    uint64_t end = window->start + window->size;
    if (offset < window->start || offset > end ||
        (offset + size > end && end < window->source->size)) {
        window->start = offset;
        window->size = 0;
        while (window->size < WINDOW) {
            ssize_t got = window->source->read(window->source->opaque, offset + window->size,
                                               window->data + window->size, WINDOW - window->size);
            if (got < 0)
                return got;
            if (got == 0)
                break;
            window->size += (size_t)got;
        }
    }
    *bytes = window->data + (offset - window->start);
    return (ssize_t)(window->start + window->size - offset);
}

/* True for the sound header of a record that lies at `offset`. */
static bool read_record_header(const uint8_t *bytes, uint64_t offset, struct record_header *header)
{
    if (memcmp(bytes, mark, MARK_SIZE) != 0 || get_32(bytes + 32) != crc32c(bytes, 32))
        return false;
    *header = (struct record_header){
        .length = get_32(bytes + 4),
        .offset = get_64(bytes + 8),
        .durable = get_64(bytes + 16),
        .type = get_32(bytes + 24),
        .data_crc = get_32(bytes + 28),
    };
    return header->offset == offset && header->durable <= offset &&
           header->length <= JOURNAL_RECORD_MAX;
}

/* Reads the record at `offset`: 1 where there is a sound one, whose header and data are handed out, 0
 * where not, or a negative errno. */
static int read_record(struct window *window, uint64_t offset, struct record_header *header,
                       const uint8_t **data)
{
    const uint8_t *bytes;
    ssize_t there = view(window, offset, JOURNAL_RECORD_HEADER, &bytes);
    if (there < 0)
        return (int)there;
    if (there < JOURNAL_RECORD_HEADER || !read_record_header(bytes, offset, header))
        return 0;
    there = view(window, offset, JOURNAL_RECORD_HEADER + (size_t)header->length, &bytes);
    if (there < 0)
        return (int)there;
    *data = bytes + JOURNAL_RECORD_HEADER;
    return (size_t)there >= JOURNAL_RECORD_HEADER + (size_t)header->length &&
           crc32c(*data, header->length) == header->data_crc;
}

/* Looks behind the unsound record at `offset` for one that was written when that was durable already. */
static int check_tail(struct window *window, uint64_t offset, struct error *error)
{
    const uint8_t *bytes;
    struct record_header header;
    ssize_t there;
    uint64_t at = offset + 1;
    while ((there = view(window, at, JOURNAL_RECORD_HEADER, &bytes)) >= JOURNAL_RECORD_HEADER) {
        size_t starts = (size_t)there - JOURNAL_RECORD_HEADER + 1;
        const uint8_t *found = memchr(bytes, mark[0], starts);
        if (found == NULL) {
            at += starts;
            continue;
        }
        at += (uint64_t)(found - bytes);
        if (read_record_header(found, at, &header) && header.durable > offset)
            return error_set(error, -EBADMSG,
                             "damaged at byte %llu: a record that was safely on disk is not whole",
                             (unsigned long long)offset);
        at++;
    }
    return there < 0 ? error_set(error, (int)there, "cannot read: %s", error_reason((int)there))
                     : 0;
}

static int check_header(struct window *window, struct error *error)
{
    const uint8_t *bytes;
    ssize_t there = view(window, 0, JOURNAL_HEADER, &bytes);
    if (there < 0)
        return error_set(error, (int)there, "cannot read: %s", error_reason((int)there));
    if (there < JOURNAL_HEADER || memcmp(bytes, magic, 16) != 0)
        return error_set(error, -EBADMSG, "not a journal");
    if (get_32(bytes + 20) != crc32c(bytes, 20))
        return error_set(error, -EBADMSG, "damaged at byte 0: the header is not whole");
    if (get_32(bytes + 16) != VERSION)
        return error_set(error, -EBADMSG, "a journal of version %u, not %d", get_32(bytes + 16),
                         VERSION);
    return 0;
}

int journal_scan(const struct journal_source *source,
                 int (*record)(void *opaque, uint32_t type, const void *data, size_t size,
                               struct error *error),
                 void *opaque, uint64_t *end, struct error *error)
{
    struct window window = {.source = source, .data = malloc(WINDOW)};
    struct record_header header = {0};
    const uint8_t *data = NULL;
    if (window.data == NULL)
        return error_set(error, -ENOMEM, "out of memory");
    *end = JOURNAL_HEADER;
    int code = check_header(&window, error);
    if (code < 0)
        goto out;
    while ((code = read_record(&window, *end, &header, &data)) == 1) {
        code = record(opaque, header.type, data, header.length, error);
        if (code < 0)
            goto out;
        *end += JOURNAL_RECORD_HEADER + header.length;
    }
    if (code < 0)
        error_set(error, code, "cannot read: %s", error_reason(code));
    else if (*end < source->size)
        code = check_tail(&window, *end, error);
out:
    free(window.data);
    return code;
}
