/* The state file format, and the hash over it: docs/state-format.md. */
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "vp8/buffer.h"
#include "vp8/state.h"

#define FORMAT_VERSION 1
#define FLAG_PICTURES 1u
#define FLAG_SEGMENT_MAP 2u

/* Length of what stands before the segment map. */
#define FIXED_SIZE (24 + 16 + sizeof(struct probabilities))

static const uint8_t magic[4] = {'X', 'C', 'S', 'T'};

/* Where the bytes go: to a buffer or into a hash. */
struct sink {
    struct xc_buffer *buffer; /* NULL when hashing */
    XXH3_state_t *hash;
    bool failed;
};

static void put(struct sink *sink, const void *bytes, size_t size)
{
    if (!sink->buffer)
        XXH3_128bits_update(sink->hash, bytes, size);
    else if (!xc_buffer_append(sink->buffer, bytes, size))
        sink->failed = true;
}

/* Numbers the pictures by content: slot[reference] is an index into distinct[]; returns how many.
 */
static int distinct_pictures(const struct xc_state *state, const struct xc_picture *distinct[3],
                             uint8_t slot[3])
{
    int count = 0;
    for (int i = 0; i < XC_REFERENCES; i++) {
        int at = 0;
        while (at < count && !xc_picture_equal(distinct[at], state->picture[i]))
            at++;
        if (at == count)
            distinct[count++] = state->picture[i];
        slot[i] = (uint8_t)at;
    }
    return count;
}

static bool any_segment(const struct xc_state *state)
{
    for (size_t i = 0; i < state->map_size; i++)
        if (state->segment_map[i])
            return true;
    return false;
}

static void put_fixed(struct sink *sink, const struct xc_state *state, unsigned flags, int pictures,
                      const uint8_t slot[3])
{
    const struct persistent *p = &state->persistent;
    uint8_t head[24] = {
        [4] = FORMAT_VERSION,
        [6] = (uint8_t)flags,
        [8] = (uint8_t)p->width,
        [9] = (uint8_t)(p->width >> 8),
        [10] = (uint8_t)p->height,
        [11] = (uint8_t)(p->height >> 8),
        [12] = p->horizontal_scale,
        [13] = p->vertical_scale,
        [14] = p->colour_space,
        [15] = p->clamping_type,
        [16] = (uint8_t)pictures,
        [17] = slot[0],
        [18] = slot[1],
        [19] = slot[2],
        [20] = p->segmentation.absolute,
    };
    memcpy(head, magic, sizeof magic);
    put(sink, head, sizeof head);
    put(sink, p->segmentation.quantizer, 4);
    put(sink, p->segmentation.filter_level, 4);
    put(sink, p->filter_deltas.reference, 4);
    put(sink, p->filter_deltas.mode, 4);
    put(sink, &p->probabilities, sizeof p->probabilities);
}

/* Four macroblocks a byte, the first in the lowest bits. */
static void put_segment_map(struct sink *sink, const struct xc_state *state)
{
    for (size_t i = 0; i < state->map_size; i += 4) {
        uint8_t byte = 0;
        for (size_t j = 0; j < 4 && i + j < state->map_size; j++)
            byte |= (uint8_t)(state->segment_map[i + j] << (2 * j));
        put(sink, &byte, 1);
    }
}

static void put_state(struct sink *sink, const struct xc_state *state)
{
    const struct xc_picture *distinct[3];
    uint8_t slot[3] = {0};
    bool has_pictures = xc_state_has_pictures(state), has_map = any_segment(state);
    int count = has_pictures ? distinct_pictures(state, distinct, slot) : 0;
    put_fixed(sink, state, (has_pictures ? FLAG_PICTURES : 0) | (has_map ? FLAG_SEGMENT_MAP : 0),
              count, slot);
    if (has_map)
        put_segment_map(sink, state);
    for (int n = 0; n < count; n++)
        for (int i = 0; i < 3; i++)
            for (int y = 0; y < distinct[n]->plane_height[i]; y++)
                put(sink, distinct[n]->plane[i] + y * distinct[n]->stride[i],
                    (size_t)distinct[n]->plane_width[i]);
}

int xc_state_write(const struct xc_state *state, struct xc_buffer *bytes)
{
    struct sink sink = {.buffer = bytes};
    bytes->size = 0;
    put_state(&sink, state);
    return sink.failed ? XC_ERROR_NO_MEMORY : XC_OK;
}

struct xc_hash xc_state_hash(const struct xc_state *state)
{
    XXH3_state_t hashing;
    struct sink sink = {.hash = &hashing};
    XXH3_128bits_reset(&hashing);
    put_state(&sink, state);
    XXH128_canonical_t canonical;
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(&hashing));
    struct xc_hash hash;
    memcpy(hash.bytes, canonical.digest, sizeof hash.bytes);
    return hash;
}

/* ---- Reading --------------------------------------------------------------------------------- */

static bool in_range(const int8_t *values, int count, int limit)
{
    for (int i = 0; i < count; i++)
        if (values[i] < -limit || values[i] > limit)
            return false;
    return true;
}

static bool read_fixed(const uint8_t *data, struct persistent *p)
{
    memset(p, 0, sizeof *p);
    p->width = data[8] | data[9] << 8;
    p->height = data[10] | data[11] << 8;
    p->horizontal_scale = data[12];
    p->vertical_scale = data[13];
    p->colour_space = data[14];
    p->clamping_type = data[15];
    p->segmentation.absolute = data[20];
    memcpy(p->segmentation.quantizer, data + 24, 4);
    memcpy(p->segmentation.filter_level, data + 28, 4);
    memcpy(p->filter_deltas.reference, data + 32, 4);
    memcpy(p->filter_deltas.mode, data + 36, 4);
    memcpy(&p->probabilities, data + 40, sizeof p->probabilities);
    return p->width >= 1 && p->width <= XC_MAX_DIMENSION && p->height >= 1 &&
           p->height <= XC_MAX_DIMENSION && data[12] <= 3 && data[13] <= 3 && data[14] <= 1 &&
           data[15] <= 1 && data[20] <= 1 && in_range(p->segmentation.quantizer, 4, 127) &&
           in_range(p->segmentation.filter_level, 4, 63) &&
           in_range(p->filter_deltas.reference, 4, 63) && in_range(p->filter_deltas.mode, 4, 63);
}

static bool read_segment_map(const uint8_t *data, struct xc_state *state)
{
    bool any = false;
    for (size_t i = 0; i < state->map_size; i++) {
        state->segment_map[i] = data[i / 4] >> (2 * (i % 4)) & 3;
        any |= state->segment_map[i] != 0;
    }
    /* One way to write each state: a map of zeros is left out, spare bits are zero. */
    unsigned spare = state->map_size % 4;
    return any && (spare == 0 || data[state->map_size / 4] >> (2 * spare) == 0);
}

static struct xc_picture *read_picture(const uint8_t **data, int width, int height)
{
    struct xc_picture *picture = xc_picture_alloc(width, height);
    if (!picture)
        return NULL;
    for (int i = 0; i < 3; i++) {
        size_t length = (size_t)picture->plane_width[i];
        for (int y = 0; y < picture->plane_height[i]; y++, *data += length)
            memcpy(picture->plane[i] + y * picture->stride[i], *data, length);
    }
    xc_picture_extend_borders(picture);
    return picture;
}

/* slot[] as distinct_pictures() numbers: each new number is one more than those before. */
static bool slots_valid(const uint8_t slot[3], int count)
{
    int seen = 0;
    for (int i = 0; i < 3; i++) {
        if (slot[i] > seen || (slot[i] == seen && ++seen > count))
            return false;
    }
    return seen == count;
}

static int read_pictures(const uint8_t *data, int count, const uint8_t slot[3],
                         struct xc_state *state)
{
    struct xc_picture *distinct[3] = {NULL};
    int result = XC_OK;
    for (int n = 0; n < count && result == XC_OK; n++) {
        distinct[n] = read_picture(&data, state->persistent.width, state->persistent.height);
        if (!distinct[n])
            result = XC_ERROR_NO_MEMORY;
        for (int m = 0; m < n && result == XC_OK; m++)
            if (xc_picture_equal(distinct[m], distinct[n]))
                result = XC_ERROR_STATE_FILE;
    }
    for (int i = 0; i < XC_REFERENCES && result == XC_OK; i++)
        state->picture[i] = xc_picture_ref(distinct[slot[i]]);
    for (int n = 0; n < count; n++)
        xc_picture_unref(distinct[n]);
    return result;
}

int xc_state_read(const uint8_t *data, size_t size, struct xc_state **out)
{
    struct persistent persistent;
    *out = NULL;
    if (size < FIXED_SIZE || memcmp(data, magic, sizeof magic) != 0 || data[4] != FORMAT_VERSION ||
        data[5] != 0 || data[6] > (FLAG_PICTURES | FLAG_SEGMENT_MAP) || data[7] != 0 ||
        data[21] != 0 || data[22] != 0 || data[23] != 0 || !read_fixed(data, &persistent))
        return XC_ERROR_STATE_FILE;
    bool has_pictures = data[6] & FLAG_PICTURES, has_map = data[6] & FLAG_SEGMENT_MAP;
    const uint8_t no_slots[3] = {0};
    if (has_pictures ? !slots_valid(data + 17, data[16])
                     : data[16] != 0 || memcmp(data + 17, no_slots, 3) != 0)
        return XC_ERROR_STATE_FILE;
    size_t map_size =
        (size_t)macroblocks(persistent.width) * (size_t)macroblocks(persistent.height);
    size_t map_bytes = has_map ? (map_size + 3) / 4 : 0;
    if (size != FIXED_SIZE + map_bytes + data[16] * map_size * 384)
        return XC_ERROR_STATE_FILE;
    struct xc_state *state = xc_state_alloc(&persistent);
    if (!state)
        return XC_ERROR_NO_MEMORY;
    int result = XC_OK;
    if (has_map && !read_segment_map(data + FIXED_SIZE, state))
        result = XC_ERROR_STATE_FILE;
    if (result == XC_OK && has_pictures)
        result = read_pictures(data + FIXED_SIZE + map_bytes, data[16], data + 17, state);
    if (result == XC_OK)
        *out = state;
    else
        xc_state_unref(state);
    return result;
}
