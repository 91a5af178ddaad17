/* Writing macroblock headers: the inverse of modes.h. */
#ifndef VP8_MODES_WRITE_H
#define VP8_MODES_WRITE_H

#include "vp8/bool_writer.h"
#include "vp8/frame.h"

/* Writes the headers of all macroblocks. A vector of MV_NEAREST, MV_NEAR, LEFT_4X4 or ABOVE_4X4 must be
 * what its neighbours say. */
void xc_write_modes(struct bool_writer *writer, const struct frame_header *header,
                    const struct mb_map *map);

/* How often each decision went to 0 and to 1. */
struct mode_counts {
    uint32_t skip[2], intra[2], last[2], golden[2]; /* as their probabilities in the header */
    uint32_t y_mode[4][2], uv_mode[3][2];           /* inter frames only */
    uint32_t mv[2][MV_PROBABILITIES][2];
    uint32_t segment[3][2];
};

/* Counts what xc_write_modes would write. */
void xc_count_modes(const struct frame_header *header, const struct mb_map *map,
                    struct mode_counts *counts);

#endif
