/* The Y4M reader: whatever the bytes, it ends, with pictures of the size that its header says. */
#include "fuzz.h"
#include "media/y4m.h"

static void read_all(struct y4m_reader *reader, size_t size)
{
    const struct video_format *format = y4m_format(reader);
    struct error error = {0};
    struct xc_picture *picture;
    int result;
    size_t pictures = 0;
    while ((result = y4m_read(reader, &picture, &error)) == 1) {
        struct xc_view view = xc_picture_view(picture);
        CLAIM(view.width == format->width && view.height == format->height);
        CLAIM(++pictures < size);
        xc_picture_unref(picture);
    }
    CLAIM(result == 0 || error.message[0] != '\0');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    FILE *stream = fmemopen((void *)(uintptr_t)data, size, "rb");
    CLAIM(stream != NULL);
    struct y4m_reader *reader;
    struct error error = {0};
    if (y4m_open_stream(stream, "fuzz", &reader, &error) == 0) {
        read_all(reader, size);
        y4m_close(reader);
    } else {
        CLAIM(error.message[0] != '\0');
    }
    return 0;
}
