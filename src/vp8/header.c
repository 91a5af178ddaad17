#include "vp8/header.h"

#include <string.h>

#include "vp8/tables.h"

#define TAG_SIZE 3
#define KEY_TAG_SIZE 10

int xc_frame_tag(const uint8_t *frame, size_t size, struct xc_frame_tag *tag)
{
    memset(tag, 0, sizeof *tag);
    if (size < TAG_SIZE)
        return XC_ERROR_TRUNCATED;
    uint32_t bits = frame[0] | (uint32_t)frame[1] << 8 | (uint32_t)frame[2] << 16;
    tag->key_frame = !(bits & 1);
    tag->version = bits >> 1 & 7;
    tag->shown = bits >> 4 & 1;
    tag->first_partition_size = bits >> 5;
    if (tag->version > 3)
        return XC_ERROR_UNSUPPORTED;
    if (!tag->key_frame)
        return XC_OK;
    if (size < KEY_TAG_SIZE)
        return XC_ERROR_TRUNCATED;
    if (frame[3] != 0x9d || frame[4] != 0x01 || frame[5] != 0x2a)
        return XC_ERROR_CORRUPT;
    tag->width = frame[6] | (frame[7] & 0x3f) << 8;
    tag->horizontal_scale = frame[7] >> 6;
    tag->height = frame[8] | (frame[9] & 0x3f) << 8;
    tag->vertical_scale = frame[9] >> 6;
    return tag->width && tag->height ? XC_OK : XC_ERROR_CORRUPT;
}

/* RFC 6386 section 9.3 */
static void parse_segmentation(struct bool_reader *reader, struct frame_header *header)
{
    struct segmentation_update *update = &header->segmentation_update;
    struct segmentation *now = &header->now.segmentation;
    memset(update, 0, sizeof *update);
    memset(update->tree, 255, sizeof update->tree);
    header->segmentation_enabled = read_bit(reader);
    if (!header->segmentation_enabled)
        return;
    update->map = read_bit(reader);
    update->data = read_bit(reader);
    if (update->data) {
        now->absolute = read_bit(reader);
        for (int i = 0; i < SEGMENTS; i++) {
            update->has_quantizer[i] = read_bit(reader);
            now->quantizer[i] = (int8_t)(update->has_quantizer[i] ? read_signed(reader, 7) : 0);
        }
        for (int i = 0; i < SEGMENTS; i++) {
            update->has_filter_level[i] = read_bit(reader);
            now->filter_level[i] =
                (int8_t)(update->has_filter_level[i] ? read_signed(reader, 6) : 0);
        }
    }
    if (update->map)
        for (int i = 0; i < 3; i++) {
            update->has_tree[i] = read_bit(reader);
            if (update->has_tree[i])
                update->tree[i] = (uint8_t)read_literal(reader, 8);
        }
}

/* RFC 6386 section 9.6: a delta whose flag is clear keeps its value. */
static void parse_deltas(struct bool_reader *reader, int8_t values[4], bool has[4],
                         bool minus_zero[4])
{
    for (int i = 0; i < 4; i++) {
        has[i] = read_bit(reader);
        if (!has[i])
            continue;
        int magnitude = read_literal(reader, 6);
        bool minus = read_bit(reader);
        values[i] = (int8_t)(minus ? -magnitude : magnitude);
        minus_zero[i] = minus && magnitude == 0;
    }
}

static void parse_filter(struct bool_reader *reader, struct frame_header *header)
{
    header->simple_filter = read_bit(reader);
    header->filter_level = (uint8_t)read_literal(reader, 6);
    header->filter_sharpness = (uint8_t)read_literal(reader, 3);
    header->filter_deltas_update = false;
    memset(header->minus_zero_reference_delta, 0, sizeof header->minus_zero_reference_delta);
    memset(header->minus_zero_mode_delta, 0, sizeof header->minus_zero_mode_delta);
    header->filter_deltas_enabled = read_bit(reader);
    if (!header->filter_deltas_enabled)
        return;
    header->filter_deltas_update = read_bit(reader);
    if (!header->filter_deltas_update)
        return;
    parse_deltas(reader, header->now.filter_deltas.reference, header->has_reference_delta,
                 header->minus_zero_reference_delta);
    parse_deltas(reader, header->now.filter_deltas.mode, header->has_mode_delta,
                 header->minus_zero_mode_delta);
}

/* RFC 6386 section 9.6 (quantizer indices) */
static void parse_quantizer(struct bool_reader *reader, struct quantizer_indices *quantizer)
{
    quantizer->y_ac = (uint8_t)read_literal(reader, 7);
    quantizer->y_dc = (int8_t)read_optional_signed(reader, 4);
    quantizer->y2_dc = (int8_t)read_optional_signed(reader, 4);
    quantizer->y2_ac = (int8_t)read_optional_signed(reader, 4);
    quantizer->uv_dc = (int8_t)read_optional_signed(reader, 4);
    quantizer->uv_ac = (int8_t)read_optional_signed(reader, 4);
}

/* RFC 6386 section 9.7, and refresh_entropy_probs of section 9.11 */
static void parse_references(struct bool_reader *reader, struct frame_header *header)
{
    header->copy_to_golden = header->copy_to_altref = 0;
    memset(header->sign_bias, 0, sizeof header->sign_bias);
    if (header->key_frame) {
        header->refresh = (1u << XC_REFERENCES) - 1;
        header->refresh_entropy = read_bit(reader);
        return;
    }
    header->refresh = 0;
    if (read_bit(reader))
        header->refresh |= XC_REFERENCE_BIT(XC_GOLDEN);
    if (read_bit(reader))
        header->refresh |= XC_REFERENCE_BIT(XC_ALTREF);
    if (!(header->refresh & XC_REFERENCE_BIT(XC_GOLDEN)))
        header->copy_to_golden = (uint8_t)read_literal(reader, 2);
    if (!(header->refresh & XC_REFERENCE_BIT(XC_ALTREF)))
        header->copy_to_altref = (uint8_t)read_literal(reader, 2);
    header->sign_bias[REF_GOLDEN] = read_bit(reader);
    header->sign_bias[REF_ALTREF] = read_bit(reader);
    header->refresh_entropy = read_bit(reader);
    if (read_bit(reader))
        header->refresh |= XC_REFERENCE_BIT(XC_LAST);
}

/* RFC 6386 section 13.4 */
static void parse_coefficient_probabilities(struct bool_reader *reader, struct frame_header *header)
{
    uint8_t *now = &header->now.probabilities.coefficient[0][0][0][0];
    bool *update = &header->coefficient_update[0][0][0][0];
    const uint8_t *likely = &xc_coefficient_update_probabilities[0][0][0][0];
    for (size_t i = 0; i < sizeof(coefficient_probabilities); i++) {
        update[i] = read_bool(reader, likely[i]);
        if (update[i])
            now[i] = (uint8_t)read_literal(reader, 8);
    }
}

static bool parse_mode_probabilities(struct bool_reader *reader, uint8_t *now, int count)
{
    bool update = read_bit(reader);
    for (int i = 0; update && i < count; i++)
        now[i] = (uint8_t)read_literal(reader, 8);
    return update;
}

/* RFC 6386 section 17.2: seven bits; 0 stands for 1. */
static void parse_mv_probabilities(struct bool_reader *reader, struct frame_header *header)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < MV_PROBABILITIES; j++) {
            header->mv_update[i][j] = read_bool(reader, xc_mv_update_probabilities[i][j]);
            if (header->mv_update[i][j]) {
                int value = read_literal(reader, 7);
                header->now.probabilities.mv[i][j] = (uint8_t)(value ? value << 1 : 1);
            }
        }
}

static void parse_probabilities(struct bool_reader *reader, struct frame_header *header)
{
    parse_coefficient_probabilities(reader, header);
    header->skip_enabled = read_bit(reader);
    header->skip_probability = header->skip_enabled ? (uint8_t)read_literal(reader, 8) : 0;
    if (header->key_frame)
        return;
    header->intra_probability = (uint8_t)read_literal(reader, 8);
    header->last_probability = (uint8_t)read_literal(reader, 8);
    header->golden_probability = (uint8_t)read_literal(reader, 8);
    struct probabilities *now = &header->now.probabilities;
    header->y_mode_update = parse_mode_probabilities(reader, now->y_mode, 4);
    header->uv_mode_update = parse_mode_probabilities(reader, now->uv_mode, 3);
    parse_mv_probabilities(reader, header);
}

/* The token partitions lie behind the first one, after a table of all their sizes but the last's
 * (RFC 6386 section 9.5). */
static int open_token_partitions(const uint8_t *data, size_t size, int count,
                                 struct partitions *partitions)
{
    size_t table = 3 * (size_t)(count - 1);
    if (size < table)
        return XC_ERROR_TRUNCATED;
    const uint8_t *entry = data, *next = data + table;
    size_t left = size - table;
    for (int i = 0; i < count; i++, entry += 3) {
        size_t length = left;
        if (i < count - 1)
            length = entry[0] | (size_t)entry[1] << 8 | (size_t)entry[2] << 16;
        if (length > left)
            return XC_ERROR_TRUNCATED;
        bool_reader_init(&partitions->tokens[i], next, length);
        next += length;
        left -= length;
    }
    return XC_OK;
}

static int start_header(const struct xc_state *before, const uint8_t *frame, size_t size,
                        struct frame_header *header, struct xc_frame_tag *tag)
{
    int result = xc_frame_tag(frame, size, tag);
    if (result < 0)
        return result;
    header->key_frame = tag->key_frame;
    header->version = (uint8_t)tag->version;
    header->shown = tag->shown;
    if (!tag->key_frame && !before)
        return XC_ERROR_NO_STATE;
    if (!tag->key_frame) {
        header->now = before->persistent;
        return XC_OK;
    }
    xc_persistent_reset(&header->now);
    header->now.width = tag->width;
    header->now.height = tag->height;
    header->now.horizontal_scale = (uint8_t)tag->horizontal_scale;
    header->now.vertical_scale = (uint8_t)tag->vertical_scale;
    return XC_OK;
}

int xc_parse_header(const struct xc_state *before, const uint8_t *frame, size_t size,
                    struct frame_header *header, struct partitions *partitions)
{
    struct xc_frame_tag tag;
    int result = start_header(before, frame, size, header, &tag);
    if (result < 0)
        return result;
    size_t tag_size = tag.key_frame ? KEY_TAG_SIZE : TAG_SIZE;
    if (tag.first_partition_size > size - tag_size)
        return XC_ERROR_TRUNCATED;
    const uint8_t *behind = frame + tag_size + tag.first_partition_size;
    struct bool_reader *reader = &partitions->first;
    bool_reader_init(reader, frame + tag_size, tag.first_partition_size);
    if (tag.key_frame) {
        header->now.colour_space = (uint8_t)read_bit(reader);
        header->now.clamping_type = (uint8_t)read_bit(reader);
    }
    parse_segmentation(reader, header);
    parse_filter(reader, header);
    header->log2_partitions = (uint8_t)read_literal(reader, 2);
    parse_quantizer(reader, &header->quantizer);
    parse_references(reader, header);
    parse_probabilities(reader, header);
    return open_token_partitions(behind, (size_t)(frame + size - behind),
                                 1 << header->log2_partitions, partitions);
}

void xc_probabilities_after(const struct frame_header *header, const struct xc_state *before,
                            struct probabilities *after)
{
    if (header->refresh_entropy) {
        *after = header->now.probabilities;
    } else if (header->key_frame) {
        struct persistent fresh;
        xc_persistent_reset(&fresh);
        *after = fresh.probabilities;
    } else {
        *after = before->persistent.probabilities;
    }
}
