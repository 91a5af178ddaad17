#include "vp8/frame_write.h"

#include <string.h>

#include "vp8/header.h"
#include "vp8/header_write.h"
#include "vp8/modes_write.h"
#include "vp8/tokens.h"

/* Bytes of an entry in the table of partition sizes (RFC 6386 section 9.5). */
#define SIZE_ENTRY 3

static int write_first_partition(const struct frame_header *header, const struct mb_map *map,
                                 struct xc_buffer *frame)
{
    size_t tag_size = frame_tag_size(header);
    struct bool_writer writer;
    frame->size = 0;
    if (!xc_buffer_reserve(frame, tag_size))
        return XC_ERROR_NO_MEMORY;
    frame->size = tag_size;
    xc_bool_writer_init(&writer, frame);
    xc_write_header(&writer, header);
    xc_write_modes(&writer, header, map);
    if (!xc_bool_writer_finish(&writer))
        return XC_ERROR_NO_MEMORY;
    if (frame->size - tag_size > MAX_FIRST_PARTITION)
        return XC_ERROR_SIZE;
    xc_write_frame_tag(header, frame->size - tag_size, frame->data);
    return XC_OK;
}

#define CACHE_LINE 64

/* Coefficients were made long before they are written, and lie too far apart for the processor to foresee. */
static void prefetch(const struct mb_coefficients *coefficients)
{
    for (size_t i = 0; i < sizeof *coefficients; i += CACHE_LINE)
        __builtin_prefetch((const uint8_t *)coefficients + i);
}

/* Rows go to the partitions in turn. */
static void write_tokens(const struct frame_header *header, const struct mb_map *map,
                         const struct mb_coefficients *coefficients, struct token_context *above,
                         struct bool_writer *writers)
{
    int mask = (1 << header->log2_partitions) - 1;
    memset(above, 0, (size_t)map->columns * sizeof *above);
    for (int row = 0; row < map->rows; row++) {
        struct token_context left = {0};
        for (int column = 0; column < map->columns; column++, coefficients++) {
            const struct mb_info *info = mb_at(map, row, column);
            if (column + 2 < map->columns && !info[2].skip)
                prefetch(&coefficients[2]);
            if (header->skip_enabled && info->skip)
                xc_clear_token_context(has_y2(info), &above[column], &left);
            else
                xc_write_coefficients(&writers[row & mask], header->now.probabilities.coefficient,
                                      has_y2(info), &above[column], &left, coefficients);
        }
    }
}

static int append_partitions(struct bool_writer *writers, int count, struct xc_buffer *frame)
{
    for (int i = 0; i < count; i++) {
        if (!xc_bool_writer_finish(&writers[i]))
            return XC_ERROR_NO_MEMORY;
        size_t size = writers[i].buffer->size;
        uint8_t entry[SIZE_ENTRY] = {(uint8_t)size, (uint8_t)(size >> 8), (uint8_t)(size >> 16)};
        if (i == count - 1)
            break;
        if (size >> 24)
            return XC_ERROR_SIZE;
        if (!xc_buffer_append(frame, entry, sizeof entry))
            return XC_ERROR_NO_MEMORY;
    }
    for (int i = 0; i < count; i++)
        if (!xc_buffer_append(frame, writers[i].buffer->data, writers[i].buffer->size))
            return XC_ERROR_NO_MEMORY;
    return XC_OK;
}

/* With one partition its bytes go straight behind the first one. */
static int write_single_partition(const struct frame_header *header, const struct mb_map *map,
                                  const struct mb_coefficients *coefficients,
                                  struct token_context *above, struct xc_buffer *frame)
{
    struct bool_writer writer;
    xc_bool_writer_init(&writer, frame);
    write_tokens(header, map, coefficients, above, &writer);
    return xc_bool_writer_finish(&writer) ? XC_OK : XC_ERROR_NO_MEMORY;
}

static int write_partitions(const struct frame_header *header, const struct mb_map *map,
                            const struct mb_coefficients *coefficients, struct token_context *above,
                            struct xc_buffer *frame)
{
    struct bool_writer writers[MAX_PARTITIONS];
    struct xc_buffer buffers[MAX_PARTITIONS] = {0};
    int count = 1 << header->log2_partitions;
    for (int i = 0; i < count; i++)
        xc_bool_writer_init(&writers[i], &buffers[i]);
    write_tokens(header, map, coefficients, above, writers);
    int result = append_partitions(writers, count, frame);
    for (int i = 0; i < count; i++)
        xc_buffer_free(&buffers[i]);
    return result;
}

int xc_write_frame(const struct frame_header *header, const struct mb_map *map,
                   const struct mb_coefficients *coefficients, struct token_context *above,
                   struct xc_buffer *frame)
{
    int result = write_first_partition(header, map, frame);
    if (result < 0)
        return result;
    if (header->log2_partitions == 0)
        return write_single_partition(header, map, coefficients, above, frame);
    return write_partitions(header, map, coefficients, above, frame);
}
