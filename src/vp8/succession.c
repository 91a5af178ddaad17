#include "vp8/succession.h"

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

struct xc_state *xc_state_after(const struct xc_state *before, const struct frame_header *header,
                                const struct mb_map *map, const struct xc_picture *picture)
{
    struct xc_state *state = xc_state_alloc(&header->now);
    if (!state)
        return NULL;
    xc_probabilities_after(header, before, &state->persistent.probabilities);
    for (int row = 0; row < map->rows; row++)
        for (int column = 0; column < map->columns; column++)
            state->segment_map[row * map->columns + column] = mb_at(map, row, column)->segment;
    if (!picture)
        return state;
    const struct xc_picture *after[XC_REFERENCES];
    choose_pictures(before, header, picture, after);
    for (int i = 0; i < XC_REFERENCES; i++)
        state->picture[i] = xc_picture_ref(after[i]);
    return state;
}
