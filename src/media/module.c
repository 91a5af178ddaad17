/* The module excamera-films.so, see films.h. */
#include <errno.h>
#include <libavcodec/avcodec.h>
#include <libavformat/avformat.h>
#include <libavutil/avutil.h>
#include <libswresample/swresample.h>
#include <libswscale/swscale.h>

#include "media/films.h"
#include "util/build.h"

static int differs(const char *name, unsigned made_for, unsigned found, struct error *error)
{
    if (made_for == found)
        return 0;
    return error_set(error, -ENOEXEC,
                     "excamera was built for %s %u.%u.%u, and this system has %u.%u.%u: build it "
                     "again here",
                     name, AV_VERSION_MAJOR(made_for), AV_VERSION_MINOR(made_for),
                     AV_VERSION_MICRO(made_for), AV_VERSION_MAJOR(found), AV_VERSION_MINOR(found),
                     AV_VERSION_MICRO(found));
}

/* What workers say about these libraries (build_facts) they say without loading them. */
static int check(struct error *error)
{
    int code = differs("libavutil", LIBAVUTIL_VERSION_INT, avutil_version(), error);
    if (code == 0)
        code = differs("libavcodec", LIBAVCODEC_VERSION_INT, avcodec_version(), error);
    if (code == 0)
        code = differs("libavformat", LIBAVFORMAT_VERSION_INT, avformat_version(), error);
    if (code == 0)
        code = differs("libswscale", LIBSWSCALE_VERSION_INT, swscale_version(), error);
    if (code == 0)
        code = differs("libswresample", LIBSWRESAMPLE_VERSION_INT, swresample_version(), error);
    return code;
}

extern const struct films excamera_films;

__attribute__((visibility("default"))) const struct films excamera_films = {
    .build = build_sources,
    .check = check,
    .input_open = input_open,
    .input_info = input_info,
    .input_read = input_read,
    .input_close = input_close,
    .input_seek = input_seek,
    .input_at_key_frame = input_at_key_frame,
    .input_damaged = input_damaged,
    .index_read = index_read,
    .packet_open = packet_open,
    .packet_format = packet_format,
    .packet_read = packet_read,
    .packet_close = packet_close,
    .webm_open = webm_open,
    .webm_write = webm_write,
    .webm_set_end = webm_set_end,
    .webm_finish = webm_finish,
    .webm_abort = webm_abort,
    .digest_picture = digest_picture,
};
