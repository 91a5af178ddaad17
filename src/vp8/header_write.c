#include "vp8/header_write.h"

#include "vp8/tables.h"

void xc_write_frame_tag(const struct frame_header *header, size_t first_partition_size,
                        uint8_t *tag)
{
    uint32_t bits = (uint32_t)!header->key_frame | (uint32_t)header->version << 1 |
                    (uint32_t)header->shown << 4 | (uint32_t)first_partition_size << 5;
    tag[0] = (uint8_t)bits;
    tag[1] = (uint8_t)(bits >> 8);
    tag[2] = (uint8_t)(bits >> 16);
    if (!header->key_frame)
        return;
    const struct persistent *now = &header->now;
    tag[3] = 0x9d;
    tag[4] = 0x01;
    tag[5] = 0x2a;
    tag[6] = (uint8_t)now->width;
    tag[7] = (uint8_t)(now->width >> 8 | now->horizontal_scale << 6);
    tag[8] = (uint8_t)now->height;
    tag[9] = (uint8_t)(now->height >> 8 | now->vertical_scale << 6);
}

static void write_segment_features(struct bool_writer *writer, const int8_t value[SEGMENTS],
                                   const bool has[SEGMENTS], int width)
{
    for (int i = 0; i < SEGMENTS; i++) {
        write_bit(writer, has[i]);
        if (has[i])
            write_signed(writer, value[i], width);
    }
}

static void write_segmentation(struct bool_writer *writer, const struct frame_header *header)
{
    const struct segmentation_update *update = &header->segmentation_update;
    const struct segmentation *now = &header->now.segmentation;
    write_bit(writer, header->segmentation_enabled);
    if (!header->segmentation_enabled)
        return;
    write_bit(writer, update->map);
    write_bit(writer, update->data);
    if (update->data) {
        write_bit(writer, now->absolute);
        write_segment_features(writer, now->quantizer, update->has_quantizer, 7);
        write_segment_features(writer, now->filter_level, update->has_filter_level, 6);
    }
    for (int i = 0; update->map && i < 3; i++) {
        write_bit(writer, update->has_tree[i]);
        if (update->has_tree[i])
            write_literal(writer, update->tree[i], 8);
    }
}

static void write_deltas(struct bool_writer *writer, const int8_t value[4], const bool has[4],
                         const bool minus_zero[4])
{
    for (int i = 0; i < 4; i++) {
        write_bit(writer, has[i]);
        if (!has[i])
            continue;
        write_literal(writer, value[i] < 0 ? -value[i] : value[i], 6);
        write_bit(writer, value[i] < 0 || (value[i] == 0 && minus_zero[i]));
    }
}

static void write_filter(struct bool_writer *writer, const struct frame_header *header)
{
    const struct filter_deltas *deltas = &header->now.filter_deltas;
    write_bit(writer, header->simple_filter);
    write_literal(writer, header->filter_level, 6);
    write_literal(writer, header->filter_sharpness, 3);
    write_bit(writer, header->filter_deltas_enabled);
    if (!header->filter_deltas_enabled)
        return;
    write_bit(writer, header->filter_deltas_update);
    if (!header->filter_deltas_update)
        return;
    write_deltas(writer, deltas->reference, header->has_reference_delta,
                 header->minus_zero_reference_delta);
    write_deltas(writer, deltas->mode, header->has_mode_delta, header->minus_zero_mode_delta);
}

static void write_quantizer(struct bool_writer *writer, const struct quantizer_indices *quantizer)
{
    write_literal(writer, quantizer->y_ac, 7);
    write_optional_signed(writer, quantizer->y_dc, 4);
    write_optional_signed(writer, quantizer->y2_dc, 4);
    write_optional_signed(writer, quantizer->y2_ac, 4);
    write_optional_signed(writer, quantizer->uv_dc, 4);
    write_optional_signed(writer, quantizer->uv_ac, 4);
}

static void write_references(struct bool_writer *writer, const struct frame_header *header)
{
    if (header->key_frame) {
        write_bit(writer, header->refresh_entropy);
        return;
    }
    bool golden = header->refresh & XC_REFERENCE_BIT(XC_GOLDEN);
    bool altref = header->refresh & XC_REFERENCE_BIT(XC_ALTREF);
    write_bit(writer, golden);
    write_bit(writer, altref);
    if (!golden)
        write_literal(writer, header->copy_to_golden, 2);
    if (!altref)
        write_literal(writer, header->copy_to_altref, 2);
    write_bit(writer, header->sign_bias[REF_GOLDEN]);
    write_bit(writer, header->sign_bias[REF_ALTREF]);
    write_bit(writer, header->refresh_entropy);
    write_bit(writer, (header->refresh & XC_REFERENCE_BIT(XC_LAST)) != 0);
}

static void write_coefficient_probabilities(struct bool_writer *writer,
                                            const struct frame_header *header)
{
    const uint8_t *now = &header->now.probabilities.coefficient[0][0][0][0];
    const bool *update = &header->coefficient_update[0][0][0][0];
    const uint8_t *likely = &xc_coefficient_update_probabilities[0][0][0][0];
    for (size_t i = 0; i < sizeof(coefficient_probabilities); i++) {
        write_bool(writer, likely[i], update[i]);
        if (update[i])
            write_literal(writer, now[i], 8);
    }
}

static void write_mode_probabilities(struct bool_writer *writer, bool update, const uint8_t *now,
                                     int count)
{
    write_bit(writer, update);
    for (int i = 0; update && i < count; i++)
        write_literal(writer, now[i], 8);
}

static void write_mv_probabilities(struct bool_writer *writer, const struct frame_header *header)
{
    for (int i = 0; i < 2; i++)
        for (int j = 0; j < MV_PROBABILITIES; j++) {
            write_bool(writer, xc_mv_update_probabilities[i][j], header->mv_update[i][j]);
            if (header->mv_update[i][j])
                write_literal(writer, header->now.probabilities.mv[i][j] >> 1, 7);
        }
}

void xc_write_header(struct bool_writer *writer, const struct frame_header *header)
{
    const struct probabilities *now = &header->now.probabilities;
    if (header->key_frame) {
        write_bit(writer, header->now.colour_space);
        write_bit(writer, header->now.clamping_type);
    }
    write_segmentation(writer, header);
    write_filter(writer, header);
    write_literal(writer, header->log2_partitions, 2);
    write_quantizer(writer, &header->quantizer);
    write_references(writer, header);
    write_coefficient_probabilities(writer, header);
    write_bit(writer, header->skip_enabled);
    if (header->skip_enabled)
        write_literal(writer, header->skip_probability, 8);
    if (header->key_frame)
        return;
    write_literal(writer, header->intra_probability, 8);
    write_literal(writer, header->last_probability, 8);
    write_literal(writer, header->golden_probability, 8);
    write_mode_probabilities(writer, header->y_mode_update, now->y_mode, 4);
    write_mode_probabilities(writer, header->uv_mode_update, now->uv_mode, 3);
    write_mv_probabilities(writer, header);
}
