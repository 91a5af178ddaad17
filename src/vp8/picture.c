#include "vp8/picture.h"

#include <stdlib.h>
#include <string.h>

#include "vp8/frame.h"

/* Lets rows and planes start where the widest vector loads are aligned. */
#define ALIGNMENT 64

static size_t align_up(size_t size)
{
    return (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

struct xc_picture *xc_picture_alloc(int width, int height)
{
    struct xc_picture *picture = calloc(1, sizeof *picture);
    if (!picture)
        return NULL;
    size_t offset[3], size = 0;
    for (int i = 0; i < 3; i++) {
        int samples = i == 0 ? 16 : 8;
        picture->plane_width[i] = samples * macroblocks(width);
        picture->plane_height[i] = samples * macroblocks(height);
        picture->stride[i] =
            (ptrdiff_t)align_up((size_t)picture->plane_width[i] + 2 * PICTURE_BORDER);
        offset[i] = size + (size_t)picture->stride[i] * PICTURE_BORDER + PICTURE_BORDER;
        size +=
            (size_t)picture->stride[i] * (size_t)(picture->plane_height[i] + 2 * PICTURE_BORDER);
    }
    picture->memory = aligned_alloc(ALIGNMENT, size);
    if (!picture->memory) {
        free(picture);
        return NULL;
    }
    for (int i = 0; i < 3; i++)
        picture->plane[i] = picture->memory + offset[i];
    picture->width = width;
    picture->height = height;
    atomic_init(&picture->references, 1);
    return picture;
}

/* ---- Spare memory -------------------------------------------------------------------------- */

static void free_picture(struct xc_picture *picture)
{
    if (!picture)
        return;
    free(picture->memory);
    free(picture);
}

struct picture_spare *xc_picture_spare_new(void)
{
    struct picture_spare *spare = calloc(1, sizeof *spare);
    if (!spare)
        return NULL;
    atomic_init(&spare->users, 1);
    atomic_init(&spare->closed, false);
    atomic_init(&spare->picture, NULL);
    return spare;
}

static void leave_spare(struct picture_spare *spare)
{
    if (atomic_fetch_sub_explicit(&spare->users, 1, memory_order_acq_rel) != 1)
        return;
    free_picture(atomic_load(&spare->picture));
    free(spare);
}

void xc_picture_spare_close(struct picture_spare *spare)
{
    if (!spare)
        return;
    atomic_store(&spare->closed, true);
    free_picture(atomic_exchange(&spare->picture, NULL));
    leave_spare(spare);
}

struct xc_picture *xc_picture_take(struct picture_spare *spare, int width, int height)
{
    struct xc_picture *picture = atomic_exchange(&spare->picture, NULL);
    if (picture && (picture->width != width || picture->height != height)) {
        free_picture(picture);
        picture = NULL;
    }
    if (!picture)
        picture = xc_picture_alloc(width, height);
    if (!picture)
        return NULL;
    atomic_store_explicit(&picture->references, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&spare->users, 1, memory_order_relaxed);
    picture->spare = spare;
    return picture;
}

/* What was spare before gives way. */
static void keep_spare(struct xc_picture *picture)
{
    struct picture_spare *spare = picture->spare;
    if (!atomic_load(&spare->closed))
        picture = atomic_exchange(&spare->picture, picture);
    free_picture(picture);
    leave_spare(spare);
}

/* ---- Borders and copies -------------------------------------------------------------------- */

static void extend_plane(uint8_t *plane, ptrdiff_t stride, int width, int height)
{
    for (int y = 0; y < height; y++) {
        uint8_t *row = plane + y * stride;
        memset(row - PICTURE_BORDER, row[0], PICTURE_BORDER);
        memset(row + width, row[width - 1], PICTURE_BORDER);
    }
    size_t length = (size_t)width + 2 * PICTURE_BORDER;
    const uint8_t *first = plane - PICTURE_BORDER;
    const uint8_t *last = first + (height - 1) * stride;
    for (int y = 1; y <= PICTURE_BORDER; y++) {
        memcpy(plane - PICTURE_BORDER - y * stride, first, length);
        memcpy(plane - PICTURE_BORDER + (height - 1 + y) * stride, last, length);
    }
}

void xc_picture_extend_borders(struct xc_picture *picture)
{
    for (int i = 0; i < 3; i++)
        extend_plane(picture->plane[i], picture->stride[i], picture->plane_width[i],
                     picture->plane_height[i]);
}

/* Copies a plane of `width` x `height` samples and replicates its last column and row to fill
 * `full_width` x `full_height`. */
static void copy_padded(uint8_t *to, ptrdiff_t to_stride, const uint8_t *from,
                        ptrdiff_t from_stride, int width, int height, int full_width,
                        int full_height)
{
    for (int y = 0; y < full_height; y++) {
        uint8_t *row = to + y * to_stride;
        memcpy(row, from + (y < height ? y : height - 1) * from_stride, (size_t)width);
        memset(row + width, row[width - 1], (size_t)(full_width - width));
    }
}

int xc_picture_new(const struct xc_view *source, struct xc_picture **out)
{
    *out = NULL;
    if (source->width < 1 || source->width > XC_MAX_DIMENSION || source->height < 1 ||
        source->height > XC_MAX_DIMENSION)
        return XC_ERROR_ARGUMENT;
    struct xc_picture *picture = xc_picture_alloc(source->width, source->height);
    if (!picture)
        return XC_ERROR_NO_MEMORY;
    for (int i = 0; i < 3; i++) {
        int width = i == 0 ? source->width : (source->width + 1) / 2;
        int height = i == 0 ? source->height : (source->height + 1) / 2;
        copy_padded(picture->plane[i], picture->stride[i], source->plane[i], source->stride[i],
                    width, height, picture->plane_width[i], picture->plane_height[i]);
    }
    xc_picture_extend_borders(picture);
    *out = picture;
    return XC_OK;
}

struct xc_picture *xc_picture_ref(const struct xc_picture *picture)
{
    struct xc_picture *mutable = (struct xc_picture *)picture;
    atomic_fetch_add_explicit(&mutable->references, 1, memory_order_relaxed);
    return mutable;
}

void xc_picture_unref(struct xc_picture *picture)
{
    if (!picture || atomic_fetch_sub_explicit(&picture->references, 1, memory_order_acq_rel) != 1)
        return;
    if (picture->spare)
        keep_spare(picture);
    else
        free_picture(picture);
}

struct xc_view xc_picture_view(const struct xc_picture *picture)
{
    struct xc_view view = {.width = picture->width, .height = picture->height};
    for (int i = 0; i < 3; i++) {
        view.plane[i] = picture->plane[i];
        view.stride[i] = picture->stride[i];
    }
    return view;
}

bool xc_picture_equal(const struct xc_picture *a, const struct xc_picture *b)
{
    if (a == b)
        return true;
    if (a->width != b->width || a->height != b->height)
        return false;
    for (int i = 0; i < 3; i++)
        for (int y = 0; y < a->plane_height[i]; y++)
            if (memcmp(a->plane[i] + y * a->stride[i], b->plane[i] + y * b->stride[i],
                       (size_t)a->plane_width[i]) != 0)
                return false;
    return true;
}
