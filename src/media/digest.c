#include "media/digest.h"

#include <errno.h>
#include <libavutil/md5.h>
#include <libavutil/mem.h>
#include <stdio.h>

int digest_picture(const struct xc_picture *picture, char hex[DIGEST_HEX_SIZE])
{
    struct xc_view view = xc_picture_view(picture);
    uint8_t digest[16];
    struct AVMD5 *md5 = av_md5_alloc();
    if (!md5)
        return -ENOMEM;
    av_md5_init(md5);
    for (int plane = 0; plane < 3; plane++) {
        size_t width = (size_t)(plane ? (view.width + 1) / 2 : view.width);
        int height = plane ? (view.height + 1) / 2 : view.height;
        for (int y = 0; y < height; y++)
            av_md5_update(md5, view.plane[plane] + y * view.stride[plane], width);
    }
    av_md5_final(md5, digest);
    av_free(md5);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return 0;
}
