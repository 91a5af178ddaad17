#include "vp8/succession.h"

#include <string.h>

#include "vp8/header.h"

/* RFC 6386 section 9.7. Copies look at the buffers as they were before the frame, altref first: its
 * new picture is what a copy of altref to golden takes (as libvpx does). */
static void choose_pictures(const struct xc_state *before, const struct frame_header *header,
                            const struct xc_picture *picture,
                            const struct xc_picture *after[XC_REFERENCES])
{
    for (int i = 0; i < XC_REFERENCES; i++)
        after[i] = before ? before->picture[i] : NULL;
    if (header->copy_to_altref == 1)
        after[XC_ALTREF] = after[XC_LAST];
    else if (header->copy_to_altref == 2)
        after[XC_ALTREF] = after[XC_GOLDEN];
    if (header->copy_to_golden == 1)
        after[XC_GOLDEN] = after[XC_LAST];
    else if (header->copy_to_golden == 2)
        after[XC_GOLDEN] = after[XC_ALTREF];
    for (int i = 0; i < XC_REFERENCES; i++)
        if (header->refresh & XC_REFERENCE_BIT(i))
            after[i] = picture;
}

/* `segment` are zeros. Segments that are not sent stay as they were; a key frame has none then. */
static void set_segments(const struct xc_state *before, const struct frame_header *header,
                         const struct mb_map *map, uint8_t *segment)
{
    if (!header->segmentation_update.map) {
        if (!header->key_frame)
            memcpy(segment, before->segment_map, (size_t)map->rows * (size_t)map->columns);
        return;
    }
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++)
            *segment++ = mb_at(map, row, column)->segment;
}

struct xc_state *xc_state_after(const struct xc_state *before, const struct frame_header *header,
                                const struct mb_map *map, const struct xc_picture *picture)
{
    struct xc_state *state = xc_state_alloc(&header->now);
    if (!state)
        return NULL;
    xc_probabilities_after(header, before, &state->persistent.probabilities);
    set_segments(before, header, map, state->segment_map);
    if (!picture)
        return state;
    const struct xc_picture *after[XC_REFERENCES];
    choose_pictures(before, header, picture, after);
    for (int i = 0; i < XC_REFERENCES; i++)
        state->picture[i] = xc_picture_ref(after[i]);
    return state;
}
