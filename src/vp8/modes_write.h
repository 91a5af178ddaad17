/* Macroblock headers as decisions, and writing them: the inverse of modes.h. */
#ifndef VP8_MODES_WRITE_H
#define VP8_MODES_WRITE_H

#include "vp8/decisions.h"

/*
 * Lists what the headers of all macroblocks decide; what was listed before goes. Segments and skipping are
 * not among it: they are taken from the map when it is written. A vector of MV_NEAREST, MV_NEAR, LEFT_4X4 or
 * ABOVE_4X4 must be what its neighbours say.
 */
void xc_list_modes(const struct frame_header *header, const struct mb_map *map,
                   struct decision_list *modes);

/* Writes the headers that were listed. */
void xc_write_modes(struct bool_writer *writer, const struct frame_header *header,
                    const struct mb_map *map, const struct decision_list *modes,
                    const uint8_t probability[SLOTS]);

#endif
