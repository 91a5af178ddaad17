/* Writing macroblock headers: the inverse of modes.h. */
#ifndef VP8_MODES_WRITE_H
#define VP8_MODES_WRITE_H

#include "vp8/bool_writer.h"
#include "vp8/frame.h"

/* Writes the headers of all macroblocks. A vector of MV_NEAREST, MV_NEAR, LEFT_4X4 or ABOVE_4X4 must be
 * what its neighbours say. */
void xc_write_modes(struct bool_writer *writer, const struct frame_header *header,
                    const struct mb_map *map);

#endif
