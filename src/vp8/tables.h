/* Numbers and trees that RFC 6386 fixes. */
#ifndef VP8_TABLES_H
#define VP8_TABLES_H

#include <stdint.h>

#include "vp8/frame.h"

/* Coefficients: [block type][band][context][node] (section 13). */
extern const coefficient_probabilities xc_default_coefficient_probabilities;
extern const coefficient_probabilities xc_coefficient_update_probabilities;
extern const uint8_t xc_zigzag[16];            /* position in coding order to raster position */
extern const uint8_t xc_coefficient_bands[17]; /* position in coding order to band; [16] is 0 */

/* Motion vectors: [row, column][is_short, sign, 7 of the short tree, 10 long bits] (section 17). */
extern const uint8_t xc_mv_update_probabilities[2][MV_PROBABILITIES];
extern const uint8_t xc_default_mv_probabilities[2][MV_PROBABILITIES];
enum { MV_IS_SHORT = 0, MV_SIGN = 1, MV_SHORT_TREE = 2, MV_LONG_BITS = 9, MV_LONG_WIDTH = 10 };

/* Quantizer steps by index (section 14.1). */
extern const uint8_t xc_dc_steps[128];
extern const uint16_t xc_ac_steps[128];

/* Modes (sections 11 and 16). Key frames' subblock modes: [above][left]. */
extern const uint8_t xc_default_y_mode_probabilities[4];
extern const uint8_t xc_key_y_mode_probabilities[4];
extern const uint8_t xc_default_uv_mode_probabilities[3];
extern const uint8_t xc_key_uv_mode_probabilities[3];
extern const uint8_t xc_b_mode_probabilities[INTRA_B_MODES - 1];
extern const uint8_t xc_key_b_mode_probabilities[INTRA_B_MODES][INTRA_B_MODES][INTRA_B_MODES - 1];
extern const uint8_t xc_mode_contexts[6][4];          /* [count of a neighbouring vector][node] */
extern const uint8_t xc_split_mv_probabilities[5][3]; /* [context][node] */
extern const uint8_t xc_partitioning_probabilities[3];
extern const uint8_t xc_partition_of_subblock[4][16]; /* [enum partitioning][subblock] to part */

/* Six-tap filters by eighths of a sample (section 18.3); 0 is the whole-pixel one. */
extern const int16_t xc_six_tap_filters[8][6];

/*
 * Trees as in section 8.1: tree[i] and tree[i + 1] are where a 0 and a 1 lead from node i (always
 * even); a positive entry is the next node, one that is not is minus the leaf's value. The
 * probability of node i is the (i >> 1)th.
 */
extern const int8_t xc_y_mode_tree[8];       /* enum mb_mode, inter frames */
extern const int8_t xc_key_y_mode_tree[8];   /* enum mb_mode, key frames */
extern const int8_t xc_uv_mode_tree[6];      /* enum mb_mode */
extern const int8_t xc_b_mode_tree[18];      /* enum intra_b_mode */
extern const int8_t xc_mv_mode_tree[8];      /* enum mb_mode, by a vector */
extern const int8_t xc_split_mv_tree[6];     /* enum split_mv_mode */
extern const int8_t xc_partitioning_tree[6]; /* enum partitioning */
extern const int8_t xc_mv_short_tree[14];    /* magnitude [0, 7] */
extern const int8_t xc_segment_tree[6];      /* segment [0, 3] */

#endif
