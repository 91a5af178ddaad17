/*
 * A compressed frame taken apart: its header, and for each macroblock its modes and coefficients.
 * Parser and writer are each other's inverse over this structure; decode, encode and rebase share
 * it.
 */
#ifndef VP8_FRAME_H
#define VP8_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "excamera/vp8.h"

/* Macroblock prediction modes of luma; the first four also those of chroma (RFC 6386 section 8). */
enum mb_mode {
    DC_PRED,
    V_PRED,
    H_PRED,
    TM_PRED,
    B_PRED, /* each 4x4 subblock has its own intra_b_mode */
    MV_NEAREST,
    MV_NEAR,
    MV_ZERO,
    MV_NEW,
    MV_SPLIT, /* several motion vectors, by `partitioning` */
};

/* Subblock intra modes (RFC 6386 section 11.2). */
enum intra_b_mode {
    B_DC_PRED,
    B_TM_PRED,
    B_VE_PRED,
    B_HE_PRED,
    B_LD_PRED,
    B_RD_PRED,
    B_VR_PRED,
    B_VL_PRED,
    B_HD_PRED,
    B_HU_PRED,
    INTRA_B_MODES
};

/* How a part of a split macroblock gets its motion vector (RFC 6386 section 16.3). */
enum split_mv_mode { LEFT_4X4, ABOVE_4X4, ZERO_4X4, NEW_4X4 };

/* How a split macroblock is cut (RFC 6386 section 16.3): parts are numbered by tables.h. */
enum partitioning { SPLIT_16X8, SPLIT_8X16, SPLIT_8X8, SPLIT_4X4 };

/* Planes of coefficients by their kind of block (RFC 6386 section 13.3). */
enum block_type { Y_AFTER_Y2, Y2, CHROMA, Y_WITH_DC, BLOCK_TYPES };

/* In quarter pixels. */
struct motion_vector {
    int16_t row, column;
};

/* The reference of a macroblock: enum xc_reference plus one; 0 is the frame itself. */
enum mb_reference { REF_INTRA, REF_LAST, REF_GOLDEN, REF_ALTREF };

struct mb_info {
    uint8_t y_mode;       /* enum mb_mode */
    uint8_t uv_mode;      /* enum mb_mode, intra macroblocks only */
    uint8_t reference;    /* enum mb_reference */
    uint8_t segment;      /* [0, 3] */
    uint8_t skip;         /* mb_skip_coeff: no coefficients follow */
    uint8_t partitioning; /* enum partitioning, MV_SPLIT only */
    /* B_PRED: enum intra_b_mode of each subblock (in key frames also what other intra modes imply,
     * as context); MV_SPLIT: enum split_mv_mode of each subblock's part. */
    uint8_t b_mode[16];
    struct motion_vector mv;      /* whole macroblock; MV_SPLIT: that of subblock 15; intra: 0 */
    struct motion_vector mvs[16]; /* MV_SPLIT only */
};

/* Quantized coefficients of a macroblock in zigzag-undone (raster) order. Blocks 0-15 luma, 16-19
 * U, 20-23 V, 24 Y2. end[i] is the position in zigzag order at which block i ends: one more than
 * that of its last token, 0 for a block without tokens (also where blocks start at position 1), whose
 * values then may be anything. */
struct mb_coefficients {
    int16_t value[25][16];
    uint8_t end[25];
};
#define Y2_BLOCK 24

/* Probabilities that persist between frames (RFC 6386 section 9.9-9.11). */
#define COEFFICIENT_BANDS 8
#define COEFFICIENT_CONTEXTS 3
#define ENTROPY_NODES 11
#define MV_PROBABILITIES 19
typedef uint8_t coefficient_probabilities[BLOCK_TYPES][COEFFICIENT_BANDS][COEFFICIENT_CONTEXTS]
                                         [ENTROPY_NODES];
struct probabilities {
    coefficient_probabilities coefficient;
    uint8_t mv[2][MV_PROBABILITIES]; /* row, column */
    uint8_t y_mode[4];
    uint8_t uv_mode[3];
};

#define SEGMENTS 4
struct segmentation {
    bool absolute;                 /* values replace the frame's own, else are added to them */
    int8_t quantizer[SEGMENTS];    /* [-127, 127] */
    int8_t filter_level[SEGMENTS]; /* [-63, 63] */
};

/* Loop-filter level adjustments by reference and by mode (RFC 6386 section 9.6). */
struct filter_deltas {
    int8_t reference[4]; /* by enum mb_reference, [-63, 63] */
    int8_t mode[4];      /* B_PRED, MV_ZERO, other whole-macroblock vectors, MV_SPLIT */
};

/* Everything that a state holds apart from pictures and the segment map. What every frame's header
 * sends anew (whether segmentation and deltas are in use, sign biases) is no part of it. */
struct persistent {
    int width, height;
    uint8_t horizontal_scale, vertical_scale;
    uint8_t colour_space, clamping_type;
    struct probabilities probabilities;
    struct segmentation segmentation;
    struct filter_deltas filter_deltas;
};

/* Where the header gives a new value: what was sent, as the writer must send it again. */
struct segmentation_update {
    bool map, data;
    bool has_quantizer[SEGMENTS], has_filter_level[SEGMENTS];
    bool has_tree[3];
    uint8_t tree[3]; /* 255 where not sent */
};

struct quantizer_indices {
    uint8_t y_ac;                            /* [0, 127] */
    int8_t y_dc, y2_dc, y2_ac, uv_dc, uv_ac; /* deltas, [-15, 15] */
};

struct frame_header {
    bool key_frame;
    uint8_t version;
    bool shown;
    bool segmentation_enabled;
    struct segmentation_update segmentation_update; /* all false where not sent */
    bool filter_deltas_enabled, filter_deltas_update;
    bool has_reference_delta[4], has_mode_delta[4];
    /* Sent as 0 with a minus, as libvpx does; means nothing, but the writer sends it again. */
    bool minus_zero_reference_delta[4], minus_zero_mode_delta[4];
    bool simple_filter;
    uint8_t filter_level;     /* [0, 63] */
    uint8_t filter_sharpness; /* [0, 7] */
    uint8_t log2_partitions;  /* [0, 3] */
    struct quantizer_indices quantizer;
    unsigned refresh;       /* mask of XC_REFERENCE_BIT */
    uint8_t copy_to_golden; /* 0 none, 1 last, 2 altref */
    uint8_t copy_to_altref; /* 0 none, 1 last, 2 golden */
    bool sign_bias[4];      /* by enum mb_reference; only golden's and altref's may be set */
    bool refresh_entropy;
    /* Probabilities whose update flag is set, even where the value is the old one. */
    bool coefficient_update[BLOCK_TYPES][COEFFICIENT_BANDS][COEFFICIENT_CONTEXTS][ENTROPY_NODES];
    bool mv_update[2][MV_PROBABILITIES];
    bool y_mode_update, uv_mode_update;
    bool skip_enabled; /* mb_no_coeff_skip */
    uint8_t skip_probability, intra_probability, last_probability, golden_probability;
    /* Values in force for this frame, after the header's updates. */
    struct persistent now;
};

/* Macroblocks in raster order with one column and one row of border before them, whose macroblocks
 * are intra with DC prediction (B_DC_PRED) and zero vectors: info[(row + 1) * stride + column + 1].
 */
struct mb_map {
    int rows, columns;
    ptrdiff_t stride; /* columns + 1 */
    struct mb_info *info;
};

static inline struct mb_info *mb_at(const struct mb_map *map, int row, int column)
{
    return &map->info[(row + 1) * map->stride + column + 1];
}

/* A size in pixels as a number of macroblocks. */
static inline int macroblocks(int pixels)
{
    return (pixels + 15) >> 4;
}

#endif
