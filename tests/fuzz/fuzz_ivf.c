/* The IVF reader: whatever the bytes, it ends, with frames no longer than the file. */
#include "fuzz.h"
#include "media/ivf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    FILE *stream = fmemopen((void *)(uintptr_t)data, size, "rb");
    CLAIM(stream != NULL);
    struct ivf_reader *reader;
    struct error error = {0};
    if (ivf_open_stream(stream, "fuzz", &reader, &error) == 0) {
        struct xc_buffer frame = {0};
        uint64_t time_stamp;
        int result;
        size_t total = 0;
        while ((result = ivf_read(reader, &frame, &time_stamp, &error)) == 1)
            CLAIM((total += frame.size) < size);
        CLAIM(result == 0 || error.message[0] != '\0');
        xc_buffer_free(&frame);
        ivf_close(reader);
    } else {
        CLAIM(error.message[0] != '\0');
    }
    return 0;
}
