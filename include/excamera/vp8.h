/*
 * excamera/vp8.h - VP8 (RFC 6386) as pure functions of an explicit state.
 *
 * A *state* is everything that one frame leaves behind for the next: the three reference pictures,
 * the saved probabilities, the segmentation settings and map, the loop-filter deltas, the size.
 * States and pictures are immutable, reference-counted values. Every function here takes values and
 * gives new values; nothing that was passed in changes, and nothing depends on earlier calls.
 *
 *     struct xc_context *context = xc_context_new();
 *     struct xc_state *state = NULL;               // nothing decoded yet
 *     while (next_frame(&data, &size)) {
 *         struct xc_state *after;
 *         struct xc_picture *shown;                // NULL for a hidden frame
 *         int result = xc_decode(context, state, data, size, &after, &shown);
 *         if (result < 0) { fprintf(stderr, "%s\n", xc_strerror(result)); break; }
 *         if (shown) { show(xc_picture_view(shown)); xc_picture_unref(shown); }
 *         xc_state_unref(state);
 *         state = after;
 *     }
 *     xc_state_unref(state);
 *     xc_context_free(context);
 *
 * Rules that hold for every function:
 *   - On success (0 or a positive code) each output holds a new reference owned by the caller.
 *     On failure (negative) no output is set but to NULL, and nothing is leaked.
 *   - Arguments are borrowed for the duration of the call and never changed.
 *   - The library prints nothing, has no globals, clocks or I/O, and no threads but those that a context was
 *     given (xc_context_set_threads). A context may be used by one thread at a time; states and pictures may
 *     be shared between threads.
 */
#ifndef EXCAMERA_VP8_H
#define EXCAMERA_VP8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define XC_API __attribute__((visibility("default")))
#else
#define XC_API
#endif

/* Largest width and height in pixels: 14 bits in the frame header (RFC 6386 section 9.1). */
#define XC_MAX_DIMENSION 16383

/* Results. Negative values are errors. */
enum xc_result {
    XC_OK = 0,
    /* A frame of no bytes: not VP8 but used by containers for "nothing new". The state after it is
     * the state before it, and nothing is shown. */
    XC_EMPTY_FRAME = 1,
    XC_ERROR_NO_MEMORY = -1,   /* an allocation failed */
    XC_ERROR_ARGUMENT = -2,    /* an argument is out of its documented range */
    XC_ERROR_CORRUPT = -3,     /* the bytes are not a VP8 frame */
    XC_ERROR_TRUNCATED = -4,   /* the frame ends inside its headers or partition table */
    XC_ERROR_UNSUPPORTED = -5, /* a bitstream version that RFC 6386 does not define */
    XC_ERROR_NO_STATE = -6, /* an inter frame, but no state (with pictures) to decode it against */
    XC_ERROR_SIZE = -7,     /* the picture's size and the state's or frame's differ */
    XC_ERROR_STATE_FILE = -8, /* the bytes are not a state file of this version */
};

/* A sentence for any of the results above; never NULL. */
XC_API const char *xc_strerror(int result);

/* The library's version, as "major.minor.patch". */
XC_API const char *xc_version(void);

/* ---- Context ------------------------------------------------------------------------------- */

/* All mutable working memory of one call. Keeping a context between calls saves allocations and
 * changes no result. */
struct xc_context;

/* NULL when out of memory. */
XC_API struct xc_context *xc_context_new(void);
XC_API void xc_context_free(struct xc_context *context); /* NULL is allowed */

/* Makes a context use the kernels of one instruction set: "c", "sse2", "ssse3", "avx2" or "neon". A
 * new context uses the best that the CPU has; no result depends on it. XC_ERROR_ARGUMENT for a name that
 * is none of these, or that this CPU or build does not have. */
XC_API int xc_context_set_cpu(struct xc_context *context, const char *level);

#define XC_MAX_THREADS 64

/* Lets calls on a context share their work among so many threads, [1, XC_MAX_THREADS], the caller's among them; a
 * new context has 1. Others are started when they are first needed, have all signals blocked, sleep between calls and
 * end with the context. No result depends on them: where the system gives fewer, or a picture is too small for so
 * many, fewer do the same. xc_encode and xc_rebase_planned (and so xc_rebase) use them. A process that has forked must not use the contexts
 * of before in its child. XC_ERROR_ARGUMENT for another number; on XC_ERROR_NO_MEMORY it is 1. */
XC_API int xc_context_set_threads(struct xc_context *context, int threads);

/* ---- Pictures ------------------------------------------------------------------------------ */

/* An immutable 8-bit 4:2:0 picture, stored padded to whole macroblocks (16x16 luma). */
struct xc_picture;

/* The planes of a picture at its display size: Y is width x height, U and V are
 * (width + 1) / 2 x (height + 1) / 2; strides in bytes. */
struct xc_view {
    int width, height; /* in luma pixels, [1, XC_MAX_DIMENSION] */
    const uint8_t *plane[3];
    ptrdiff_t stride[3];
};

/* Copies `source`, padding to whole macroblocks by replicating the last column and row. */
XC_API int xc_picture_new(const struct xc_view *source, struct xc_picture **picture);
XC_API struct xc_picture *xc_picture_ref(const struct xc_picture *picture);
XC_API void xc_picture_unref(struct xc_picture *picture); /* NULL is allowed */
/* The view stays valid as long as the caller holds its reference. */
XC_API struct xc_view xc_picture_view(const struct xc_picture *picture);

/* ---- States -------------------------------------------------------------------------------- */

struct xc_state;

/* The names of the three references, and their bits in masks. */
enum xc_reference { XC_LAST = 0, XC_GOLDEN = 1, XC_ALTREF = 2, XC_REFERENCES = 3 };
#define XC_REFERENCE_BIT(reference) (1u << (reference))

XC_API struct xc_state *xc_state_ref(const struct xc_state *state);
XC_API void xc_state_unref(struct xc_state *state); /* NULL is allowed */
XC_API int xc_state_width(const struct xc_state *state);
XC_API int xc_state_height(const struct xc_state *state);
/* True when the state carries its pictures; xc_parse gives states without. */
XC_API bool xc_state_has_pictures(const struct xc_state *state);
/* The same state without its pictures, which is all of it that xc_parse needs, and xc_rebase of the
 * state that a frame was made for. The caller owns it; NULL when out of memory. */
XC_API struct xc_state *xc_state_without_pictures(const struct xc_state *state);
/* Borrowed from the state; NULL in a state without pictures. */
XC_API const struct xc_picture *xc_state_reference(const struct xc_state *state,
                                                   enum xc_reference reference);
/* Equality of everything that can influence a later frame: all fields, and the pictures over their
 * whole macroblocks (what lies beyond the display size is used by prediction). */
XC_API bool xc_state_equal(const struct xc_state *a, const struct xc_state *b);

/* A 128-bit hash of what xc_state_equal compares: equal states have equal hashes, on every machine.
 */
struct xc_hash {
    uint8_t bytes[16];
};
XC_API struct xc_hash xc_state_hash(const struct xc_state *state);

/* A growing byte string. Zero-initialise before first use; functions here overwrite its content and
 * grow it as needed; the caller frees `data` with xc_buffer_free. */
struct xc_buffer {
    uint8_t *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
};
XC_API void xc_buffer_free(struct xc_buffer *buffer);

/* Writes and reads the state file format (docs/state-format.md): versioned, little-endian, each
 * distinct reference picture once. Writing a state that was read gives the same bytes. */
XC_API int xc_state_write(const struct xc_state *state, struct xc_buffer *bytes);
XC_API int xc_state_read(const uint8_t *data, size_t size, struct xc_state **state);

/* ---- The functions ------------------------------------------------------------------------- */

/* Decodes one compressed frame.
 *   before   NULL when nothing came before (then the frame must be a key frame)
 *   after    the state that the frame leaves
 *   shown    the picture to show, or NULL for a hidden frame; the argument itself may be NULL
 * Returns XC_EMPTY_FRAME for a frame of no bytes (before must not be NULL then). */
XC_API int xc_decode(struct xc_context *context, const struct xc_state *before,
                     const uint8_t *frame, size_t size, struct xc_state **after,
                     struct xc_picture **shown);

/* As xc_decode, but follows only what parsing needs (probabilities, segmentation, deltas): fast,
 * and the state after has no pictures. `before` may have pictures or not. */
XC_API int xc_parse(struct xc_context *context, const struct xc_state *before, const uint8_t *frame,
                    size_t size, struct xc_state **after);

/* How much bits count against squared error when levels and modes are chosen, in percent of the
 * codec's own measure; 0 means 100. At 100 a rebased frame keeps the SSIM of the original within
 * 0.1 dB; more weight with a finer quantizer costs fewer bits for the same SSIM. */
#define XC_MAX_RATE_WEIGHT 1000

struct xc_encode_parameters {
    int quantizer;       /* quantizer index, [0, 127] (RFC 6386 section 9.6) */
    bool key_frame;      /* ask for a key frame; always one where `given` is NULL */
    unsigned references; /* mask of XC_REFERENCE_BIT: what prediction may use; 0 means all */
    unsigned refresh; /* mask of XC_REFERENCE_BIT: what the new picture replaces (key frame: all) */
    int effort;       /* [0, 2]: 0 is the most thorough search, 2 the fastest */
    int rate_weight;  /* [0, XC_MAX_RATE_WEIGHT] */
};

/* Encodes `picture` as one shown frame to be decoded against `given`; searches modes and motion.
 * `after` is exactly the state that a decoder has after decoding `frame` against `given`.
 * The picture's size must be the state's, unless a key frame is made. */
XC_API int xc_encode(struct xc_context *context, const struct xc_state *given,
                     const struct xc_picture *picture,
                     const struct xc_encode_parameters *parameters, struct xc_buffer *frame,
                     struct xc_state **after);

struct xc_rebase_parameters {
    int quantizer;    /* quantizer index, [0, 127]; -1 keeps the frame's own levels */
    bool refresh_all; /* the new picture replaces all three references (a chunk's last frame) */
    int rate_weight;  /* [0, XC_MAX_RATE_WEIGHT] */
};

/* Makes `original`, an inter frame that was made against another state, into an inter frame for the
 * state `onto`: its modes, references and motion vectors stay, the residue is computed again from
 * `picture`, and skipping, loop filter and probabilities are decided anew.
 *   onto       the state to rebase onto; must have pictures
 *   picture    what the frame is to look like: the raw picture it codes, or for a hidden frame
 *              its own decoded picture
 *   made_for   the state that `original` was made for; its pictures are not used and may be
 *              missing
 * A key frame does not depend on a state: it is refused with XC_ERROR_ARGUMENT.
 */
XC_API int xc_rebase(struct xc_context *context, const struct xc_state *onto,
                     const struct xc_picture *picture, const uint8_t *original, size_t size,
                     const struct xc_state *made_for, const struct xc_rebase_parameters *parameters,
                     struct xc_buffer *frame, struct xc_state **after);

/*
 * A rebase in three steps, which together do what xc_rebase does. A chain of frames waits for nothing but the
 * second one: what does not depend on the state to rebase onto can be done before that is there, and the frame's
 * bytes can be written when the state after it has been passed on.
 *
 * A plan is used by one thread at a time. It holds a reference to the picture, and about a quarter of that, and
 * what is to be written, in memory of its own. It may be rebased more than once; the last time is what is written.
 */
struct xc_plan;
XC_API int xc_plan_rebase(struct xc_context *context, const struct xc_picture *picture,
                          const uint8_t *original, size_t size, const struct xc_state *made_for,
                          const struct xc_rebase_parameters *parameters, struct xc_plan **plan);
XC_API int xc_rebase_planned(struct xc_context *context, const struct xc_state *onto,
                             struct xc_plan *plan, struct xc_state **after);
/* Of a plan that was rebased. */
XC_API int xc_plan_write(const struct xc_plan *plan, struct xc_buffer *frame);
XC_API void xc_plan_free(struct xc_plan *plan); /* NULL is allowed */

/* ---- Looking into frames ------------------------------------------------------------------- */

/* What can be told of a frame from its first ten bytes (RFC 6386 section 9.1). */
struct xc_frame_tag {
    bool key_frame;
    int version;                          /* profile, [0, 3] */
    bool shown;                           /* false for a hidden frame */
    uint32_t first_partition_size;        /* in bytes */
    int width, height;                    /* key frames only, else 0 */
    int horizontal_scale, vertical_scale; /* key frames only; upscaling hint, [0, 3] */
};
XC_API int xc_frame_tag(const uint8_t *frame, size_t size, struct xc_frame_tag *tag);

/* Everything that `excamera vp8 info` prints. */
struct xc_frame_info {
    struct xc_frame_tag tag;
    int quantizer;        /* the frame's base quantizer index, [0, 127] */
    int filter_level;     /* [0, 63] */
    int filter_sharpness; /* [0, 7] */
    bool simple_filter;
    bool segmented;
    int partitions;       /* token partitions: 1, 2, 4 or 8 */
    unsigned refresh;     /* mask of XC_REFERENCE_BIT: references that the new picture replaces */
    int copy_to_golden;   /* 0 none, 1 last, 2 altref (RFC 6386 section 9.7) */
    int copy_to_altref;   /* 0 none, 1 last, 2 golden */
    bool refresh_entropy; /* the frame's probabilities stay for the next */
    int macroblocks;      /* in all */
    int intra16, intra4;  /* macroblocks predicted within the frame: whole, in 4x4 subblocks */
    int inter[XC_REFERENCES]; /* macroblocks predicted from each reference */
    int split;                /* of those: with more than one motion vector */
    int skipped;              /* macroblocks without coefficients */
};
/* `before` as in xc_parse. */
XC_API int xc_inspect(struct xc_context *context, const struct xc_state *before,
                      const uint8_t *frame, size_t size, struct xc_frame_info *info);

#ifdef __cplusplus
}
#endif

#endif
