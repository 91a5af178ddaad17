/*
 * Frames of messages. The first byte says in what cuts the rest arrives; however it is cut, the same
 * comes out, or it is refused at the same place, and memory stays within what came.
 */
#include "fuzz.h"
#include "net/frame.h"

enum { CONTROL_MOST = 2000 };

/* What was read. */
struct reading {
    uint64_t hash;
    size_t bytes, frames;
    int result;
};

static void take(struct reading *reading, uint64_t what, const uint8_t *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        reading->hash = ((reading->hash ^ what) * 1099511628211u ^ bytes[i]) * 1099511628211u;
    reading->bytes += size;
}

static bool on_control(void *opaque, const uint8_t *envelope, size_t size)
{
    struct reading *reading = opaque;
    CLAIM(size > 0 && size <= CONTROL_MOST);
    take(reading, size, envelope, size);
    return ++reading->frames % 3 != 0;
}

/* Parts of a piece are alike in any cuts. */
static bool on_bulk(void *opaque, uint64_t transfer, const uint8_t *bytes, size_t size)
{
    CLAIM(size > 0 && size <= FRAME_PIECE_MOST);
    take(opaque, transfer, bytes, size);
    return transfer % 2 == 0;
}

static struct reading read_in_cuts(const uint8_t *data, size_t size, size_t cut)
{
    static const struct frame_handlers handlers = {.control = on_control, .bulk = on_bulk};
    struct reading reading = {0};
    struct frame_reader reader;
    struct error error = {0};
    frame_reader_init(&reader, CONTROL_MOST);
    for (size_t at = 0; at < size && reading.result >= 0;) {
        size_t part = size - at < cut ? size - at : cut;
        ssize_t taken = frame_read(&reader, data + at, part, &handlers, &reading, &error);
        CLAIM(taken != 0 && taken <= (ssize_t)part);
        CLAIM(reader.envelope_capacity <= 2 * size && reader.envelope_capacity <= CONTROL_MOST);
        if (taken < 0)
            CLAIM(error.message[0] != '\0');
        reading.result = taken < 0 ? (int)taken : 0;
        at += taken < 0 ? 0 : (size_t)taken;
    }
    CLAIM(reading.bytes <= size);
    frame_reader_release(&reader);
    return reading;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 1)
        return 0;
    struct reading once = read_in_cuts(data + 1, size - 1, size);
    struct reading cut = read_in_cuts(data + 1, size - 1, 1 + data[0] % 64u);
    CLAIM(once.result == cut.result && once.hash == cut.hash && once.frames == cut.frames);
    return 0;
}
