#include "media/convert.h"

#include <errno.h>
#include <libavutil/opt.h>
#include <libavutil/pixdesc.h>
#include <libswscale/swscale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* From this size on, video made from RGB is BT.709 by convention, below it BT.601. */
#define HD_WIDTH 1280
#define HD_HEIGHT 720

/* What a frame's samples are: as long as it stays, the scaler can stay. */
struct frame_kind {
    int width, height;
    enum AVPixelFormat pixel_format;
    enum AVColorSpace matrix;
    bool full_range;
};

struct converter {
    struct frame_kind first;
    struct orientation orientation;
    struct colour colour;
    struct SwsContext *scaler;
    struct frame_kind scaler_kind; /* what `scaler` takes */
    AVFrame *scaled;               /* 4:2:0 of the first frame's size, not yet turned */
    AVFrame *turned;               /* NULL where nothing is to be turned */
};

struct orientation convert_orientation(const int32_t *matrix)
{
    struct orientation orientation = {0};
    if (!matrix)
        return orientation;
    /* A point (x, y) goes to (x m[0] + y m[3], x m[1] + y m[4]). */
    orientation.transpose = llabs(matrix[1]) > llabs(matrix[0]);
    orientation.mirror_x = (orientation.transpose ? matrix[3] : matrix[0]) < 0;
    orientation.mirror_y = (orientation.transpose ? matrix[1] : matrix[4]) < 0;
    return orientation;
}

static bool is_turned(struct orientation orientation)
{
    return orientation.transpose || orientation.mirror_x || orientation.mirror_y;
}

static bool is_rgb(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(format);
    return description->flags & (AV_PIX_FMT_FLAG_RGB | AV_PIX_FMT_FLAG_PAL) ||
           format == AV_PIX_FMT_XYZ12LE || format == AV_PIX_FMT_XYZ12BE;
}

static bool is_gray(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(format);
    return description->nb_components - !!(description->flags & AV_PIX_FMT_FLAG_ALPHA) == 1;
}

/* The J formats are full range by name; gray without a word about its range is taken for full, as
 * libswscale and so ffmpeg do. */
static bool is_full_range(const AVFrame *frame)
{
    switch (frame->format) {
    case AV_PIX_FMT_YUVJ420P:
    case AV_PIX_FMT_YUVJ422P:
    case AV_PIX_FMT_YUVJ444P:
    case AV_PIX_FMT_YUVJ440P:
    case AV_PIX_FMT_YUVJ411P:
        return true;
    default:
        break;
    }
    if (is_rgb(frame->format))
        return false; /* the scaler knows that RGB is; it asks for YUV only */
    if (frame->color_range == AVCOL_RANGE_UNSPECIFIED)
        return is_gray(frame->format);
    return frame->color_range == AVCOL_RANGE_JPEG;
}

static struct frame_kind kind_of(const AVFrame *frame)
{
    return (struct frame_kind){
        .width = frame->width,
        .height = frame->height,
        .pixel_format = frame->format,
        .matrix = frame->colorspace,
        .full_range = is_full_range(frame),
    };
}

static bool kinds_equal(const struct frame_kind *a, const struct frame_kind *b)
{
    return a->width == b->width && a->height == b->height && a->pixel_format == b->pixel_format &&
           a->matrix == b->matrix && a->full_range == b->full_range;
}

static bool is_420_8bit(enum AVPixelFormat format)
{
    return format == AV_PIX_FMT_YUV420P || format == AV_PIX_FMT_YUVJ420P;
}

/* True where the samples can be taken as they are. */
static bool is_native(const struct frame_kind *kind)
{
    return is_420_8bit(kind->pixel_format) && !kind->full_range;
}

static struct colour choose_colour(const AVFrame *first)
{
    struct colour colour = {
        .primaries = first->color_primaries,
        .transfer = first->color_trc,
        .matrix = first->colorspace,
        .full_range = false,
    };
    if (is_rgb(first->format)) {
        bool hd = first->width >= HD_WIDTH || first->height >= HD_HEIGHT;
        colour.matrix = hd ? AVCOL_SPC_BT709 : AVCOL_SPC_SMPTE170M;
    }
    return colour;
}

static AVFrame *new_frame(int width, int height)
{
    AVFrame *frame = av_frame_alloc();
    if (!frame)
        return NULL;
    frame->format = AV_PIX_FMT_YUV420P;
    frame->width = width;
    frame->height = height;
    if (av_frame_get_buffer(frame, 0) < 0)
        av_frame_free(&frame);
    return frame;
}

static int check_size(int width, int height, struct error *error)
{
    if (width <= XC_MAX_DIMENSION && height <= XC_MAX_DIMENSION)
        return 0;
    return error_set(error, -EINVAL, "%dx%d is beyond VP8's largest size, %dx%d", width, height,
                     XC_MAX_DIMENSION, XC_MAX_DIMENSION);
}

int convert_open(const AVFrame *first, struct orientation orientation, struct converter **opened,
                 struct error *error)
{
    *opened = NULL;
    int result = check_size(first->width, first->height, error);
    if (result < 0)
        return result;
    struct converter *converter = calloc(1, sizeof *converter);
    if (!converter)
        return error_set(error, -ENOMEM, "out of memory");
    converter->first = kind_of(first);
    converter->orientation = orientation;
    converter->colour = choose_colour(first);
    if (is_turned(orientation)) {
        converter->turned = new_frame(convert_width(converter), convert_height(converter));
        if (!converter->turned) {
            convert_close(converter);
            return error_set(error, -ENOMEM, "out of memory");
        }
    }
    *opened = converter;
    return 0;
}

int convert_width(const struct converter *converter)
{
    return converter->orientation.transpose ? converter->first.height : converter->first.width;
}

int convert_height(const struct converter *converter)
{
    return converter->orientation.transpose ? converter->first.width : converter->first.height;
}

struct colour convert_colour(const struct converter *converter)
{
    return converter->colour;
}

static const char *chroma_name(enum AVPixelFormat format)
{
    const AVPixFmtDescriptor *description = av_pix_fmt_desc_get(format);
    if (is_rgb(format))
        return "RGB";
    if (is_gray(format))
        return "gray";
    switch (description->log2_chroma_w << 4 | description->log2_chroma_h) {
    case 0x00:
        return "4:4:4";
    case 0x01:
        return "4:4:0";
    case 0x10:
        return "4:2:2";
    case 0x11:
        return "4:2:0";
    case 0x20:
        return "4:1:1";
    default:
        return "4:1:0";
    }
}

static const char *turn_name(struct orientation orientation)
{
    bool x = orientation.mirror_x, y = orientation.mirror_y;
    if (!orientation.transpose)
        return x && y ? "turned by 180 degrees" : "mirrored";
    if (x == y)
        return "turned by 90 degrees and mirrored";
    return x ? "turned by 90 degrees" : "turned by 270 degrees";
}

static void append(char *text, size_t size, const char *words)
{
    size_t length = strlen(text);
    snprintf(text + length, size - length, "%s%s", length ? ", " : "", words);
}

void convert_describe(const struct converter *converter, char *text, size_t size)
{
    enum AVPixelFormat format = converter->first.pixel_format;
    char words[64];
    text[0] = '\0';
    if (strcmp(chroma_name(format), "4:2:0") != 0 ||
        av_pix_fmt_desc_get(format)->comp[0].depth != 8) {
        snprintf(words, sizeof words, "%d-bit %s to 8-bit 4:2:0",
                 av_pix_fmt_desc_get(format)->comp[0].depth, chroma_name(format));
        append(text, size, words);
    }
    if (converter->first.full_range)
        append(text, size, "full range to limited range");
    if (is_turned(converter->orientation))
        append(text, size, turn_name(converter->orientation));
}

/* Ranges must be known before the context is initialised: else libswscale may settle on copying. */
static int start_scaler(struct SwsContext *scaler, const struct converter *converter,
                        const struct frame_kind *kind)
{
    const struct {
        const char *name;
        int value;
    } options[] = {
        {"sws_flags", SWS_BICUBIC | SWS_ACCURATE_RND | SWS_BITEXACT | SWS_FULL_CHR_H_INP},
        {"srcw", kind->width},
        {"srch", kind->height},
        {"src_format", kind->pixel_format},
        {"src_range", kind->full_range},
        {"dstw", converter->first.width},
        {"dsth", converter->first.height},
        {"dst_format", AV_PIX_FMT_YUV420P},
        {"dst_range", 0},
    };
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (av_opt_set_int(scaler, options[i].name, options[i].value, 0) < 0)
            return -EINVAL;
    sws_setColorspaceDetails(scaler, sws_getCoefficients(kind->matrix), kind->full_range,
                             sws_getCoefficients(converter->colour.matrix), 0, 0, 1 << 16, 1 << 16);
    return sws_init_context(scaler, NULL, NULL);
}

static int open_scaler(struct converter *converter, const struct frame_kind *kind,
                       struct error *error)
{
    sws_freeContext(converter->scaler);
    converter->scaler = sws_alloc_context();
    if (!converter->scaler)
        return error_set(error, -ENOMEM, "out of memory");
    if (start_scaler(converter->scaler, converter, kind) < 0) {
        sws_freeContext(converter->scaler);
        converter->scaler = NULL;
        return error_set(error, -EINVAL, "cannot convert pictures of %dx%d %s", kind->width,
                         kind->height, av_get_pix_fmt_name(kind->pixel_format));
    }
    converter->scaler_kind = *kind;
    return 0;
}

/* Fills converter->scaled. */
static int scale(struct converter *converter, const AVFrame *frame, struct error *error)
{
    struct frame_kind kind = kind_of(frame);
    if (!converter->scaler || !kinds_equal(&kind, &converter->scaler_kind)) {
        int result = open_scaler(converter, &kind, error);
        if (result < 0)
            return result;
    }
    if (!converter->scaled)
        converter->scaled = new_frame(converter->first.width, converter->first.height);
    if (!converter->scaled)
        return error_set(error, -ENOMEM, "out of memory");
    int rows = sws_scale(converter->scaler, (const uint8_t *const *)frame->data, frame->linesize, 0,
                         frame->height, converter->scaled->data, converter->scaled->linesize);
    if (rows != converter->first.height)
        return error_set(error, -EINVAL, "cannot convert a picture of %dx%d %s", kind.width,
                         kind.height, av_get_pix_fmt_name(kind.pixel_format));
    return 0;
}

/* Width and height of the target plane; the source's are swapped for a transposition. */
static void turn_plane(const uint8_t *from, ptrdiff_t from_stride, uint8_t *to, ptrdiff_t to_stride,
                       int width, int height, struct orientation orientation)
{
    ptrdiff_t step_x = orientation.transpose ? from_stride : 1;
    ptrdiff_t step_y = orientation.transpose ? 1 : from_stride;
    if (orientation.mirror_x) {
        from += step_x * (width - 1);
        step_x = -step_x;
    }
    if (orientation.mirror_y) {
        from += step_y * (height - 1);
        step_y = -step_y;
    }
    for (int y = 0; y < height; y++, from += step_y, to += to_stride)
        for (int x = 0; x < width; x++)
            to[x] = from[step_x * x];
}

static void turn(const struct converter *converter, const AVFrame *from)
{
    AVFrame *to = converter->turned;
    for (int plane = 0; plane < 3; plane++)
        turn_plane(from->data[plane], from->linesize[plane], to->data[plane], to->linesize[plane],
                   plane ? (to->width + 1) / 2 : to->width,
                   plane ? (to->height + 1) / 2 : to->height, converter->orientation);
}

static struct xc_view view_frame(const AVFrame *frame)
{
    struct xc_view view = {.width = frame->width, .height = frame->height};
    for (int plane = 0; plane < 3; plane++) {
        view.plane[plane] = frame->data[plane];
        view.stride[plane] = frame->linesize[plane];
    }
    return view;
}

int convert_frame(struct converter *converter, const AVFrame *frame, struct xc_picture **picture,
                  struct error *error)
{
    struct frame_kind kind = kind_of(frame);
    bool native = is_native(&kind) && kind.width == converter->first.width &&
                  kind.height == converter->first.height;
    const AVFrame *from = frame;
    *picture = NULL;
    if (!native) {
        int result = scale(converter, frame, error);
        if (result < 0)
            return result;
        from = converter->scaled;
    }
    if (converter->turned) {
        turn(converter, from);
        from = converter->turned;
    }
    struct xc_view view = view_frame(from);
    int result = xc_picture_new(&view, picture);
    return result < 0 ? error_set(error, -ENOMEM, "%s", xc_strerror(result)) : 0;
}

void convert_close(struct converter *converter)
{
    if (!converter)
        return;
    sws_freeContext(converter->scaler);
    av_frame_free(&converter->scaled);
    av_frame_free(&converter->turned);
    free(converter);
}
