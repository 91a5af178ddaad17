/* Per-macroblock headers: segments, skipping, modes, references, motion vectors (RFC 6386 sections
 * 10, 11, 16, 17). */
#ifndef VP8_MODES_H
#define VP8_MODES_H

#include "vp8/bool_reader.h"
#include "vp8/frame.h"

/* Vectors that the neighbours of a macroblock suggest (RFC 6386 section 16.3). All are clamped so
 * that the predicted macroblock lies at most a macroblock outside the picture. */
struct mv_candidates {
    struct motion_vector best, nearest, near;
    const uint8_t *probability[4]; /* of the mode tree's nodes: probability[i][i] */
};

/* `sign_bias` by enum mb_reference; `reference` is that of the macroblock itself, not intra. */
void xc_find_candidates(const struct mb_map *map, int row, int column, int reference,
                        const bool sign_bias[4], struct mv_candidates *candidates);

/* The context in which a part's enum split_mv_mode is coded, [0, 4], by the vectors of the
 * subblocks to the left and above (RFC 6386 section 16.3). */
int xc_split_mv_context(struct motion_vector left, struct motion_vector above);

/* The vector of subblock `block` of a macroblock; for an intra one zero. */
struct motion_vector xc_subblock_mv(const struct mb_info *info, int block);

/* The context of a subblock mode in key frames: what a macroblock mode stands for. */
enum intra_b_mode xc_implied_b_mode(int y_mode);

/* Parses the macroblock headers of a row into `map` (whose border is clear); rows go from the top.
 * `segment_map` is that of the state before; segments that are not sent come from there, in key frames
 * from nowhere: they are 0. */
void xc_parse_mode_row(struct bool_reader *reader, const struct frame_header *header,
                       const uint8_t *segment_map, struct mb_map *map, int row);
/* The segments of a frame that sends none. */
void xc_inherit_segments(const struct frame_header *header, const uint8_t *segment_map,
                         struct mb_map *map);
/* All rows. */
void xc_parse_modes(struct bool_reader *reader, const struct frame_header *header,
                    const uint8_t *segment_map, struct mb_map *map);

static inline bool mv_equal(struct motion_vector a, struct motion_vector b)
{
    return a.row == b.row && a.column == b.column;
}

static inline bool mv_is_zero(struct motion_vector mv)
{
    return mv.row == 0 && mv.column == 0;
}

#endif
