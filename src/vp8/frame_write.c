#include "vp8/frame_write.h"

#include <string.h>

#include "vp8/header.h"
#include "vp8/header_write.h"
#include "vp8/modes_write.h"

/* Bytes of an entry in the table of partition sizes (RFC 6386 section 9.5). */
#define SIZE_ENTRY 3

static int write_first_partition(const struct frame_header *header, const struct mb_map *map,
                                 const struct decision_list *modes,
                                 const uint8_t probability[SLOTS], struct xc_buffer *frame)
{
    size_t tag_size = frame_tag_size(header);
    struct bool_writer writer;
    frame->size = 0;
    if (!xc_buffer_reserve(frame, tag_size))
        return XC_ERROR_NO_MEMORY;
    frame->size = tag_size;
    xc_bool_writer_init(&writer, frame);
    xc_write_header(&writer, header);
    xc_write_modes(&writer, header, map, modes, probability);
    if (!xc_bool_writer_finish(&writer))
        return XC_ERROR_NO_MEMORY;
    if (frame->size - tag_size > MAX_FIRST_PARTITION)
        return XC_ERROR_SIZE;
    xc_write_frame_tag(header, frame->size - tag_size, frame->data);
    return XC_OK;
}

/* Rows go to the partitions in turn. */
static void write_tokens(const struct frame_header *header, int rows,
                         const struct token_list *tokens, const uint8_t probability[SLOTS],
                         struct bool_writer *writers)
{
    int mask = (1 << header->log2_partitions) - 1;
    for (int i = 0; i < rows; i++) {
        const struct token_row *row = &tokens->row[i];
        if (row->end > row->begin) /* a list without entries has no memory */
            xc_write_decisions(&writers[i & mask], probability,
                               tokens->part[row->part].entry + row->begin, row->end - row->begin);
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
static int write_single_partition(const struct frame_header *header, int rows,
                                  const struct token_list *tokens, const uint8_t probability[SLOTS],
                                  struct xc_buffer *frame)
{
    struct bool_writer writer;
    xc_bool_writer_init(&writer, frame);
    write_tokens(header, rows, tokens, probability, &writer);
    return xc_bool_writer_finish(&writer) ? XC_OK : XC_ERROR_NO_MEMORY;
}

static int write_partitions(const struct frame_header *header, int rows,
                            const struct token_list *tokens, const uint8_t probability[SLOTS],
                            struct xc_buffer *frame)
{
    struct bool_writer writers[MAX_PARTITIONS];
    struct xc_buffer buffers[MAX_PARTITIONS] = {0};
    int count = 1 << header->log2_partitions;
    for (int i = 0; i < count; i++)
        xc_bool_writer_init(&writers[i], &buffers[i]);
    write_tokens(header, rows, tokens, probability, writers);
    int result = append_partitions(writers, count, frame);
    for (int i = 0; i < count; i++)
        xc_buffer_free(&buffers[i]);
    return result;
}

int xc_write_frame(const struct frame_header *header, const struct mb_map *map,
                   const struct decision_list *modes, const struct token_list *tokens,
                   struct xc_buffer *frame)
{
    uint8_t probability[SLOTS];
    if (modes->failed || xc_token_list_failed(tokens))
        return XC_ERROR_NO_MEMORY;
    xc_slot_probabilities(header, probability);
    int result = write_first_partition(header, map, modes, probability, frame);
    if (result < 0)
        return result;
    if (header->log2_partitions == 0)
        return write_single_partition(header, map->rows, tokens, probability, frame);
    return write_partitions(header, map->rows, tokens, probability, frame);
}
