#include "media/index.h"

#include <errno.h>
#include <stdlib.h>

#include "media/libav.h"

static int add_key(struct index *index, const struct input_key *key, struct error *error)
{
    /* Room is doubled whenever it is full. */
    if ((index->keys & (index->keys - 1)) == 0) {
        size_t room = index->keys > 0 ? 2 * (size_t)index->keys : 1;
        struct input_key *larger = reallocarray(index->key, room, sizeof *larger);
        if (larger == NULL)
            return error_set(error, -ENOMEM, "out of memory");
        index->key = larger;
    }
    index->key[index->keys++] = *key;
    return 0;
}

static int64_t key_time(const struct input_key *key)
{
    return key->pts != INPUT_NO_TIME ? key->pts : key->dts;
}

/* Keys that lie before an earlier one in time are passed over: what lies between cannot be told by its times. */
static bool is_useful(const struct index *index, const AVPacket *packet,
                      const struct input_key *key, int apart)
{
    const struct input_key *last = &index->key[index->keys - 1];
    bool is_key = (packet->flags & AV_PKT_FLAG_KEY) != 0 && packet->size > 0 &&
                  (packet->flags & (AV_PKT_FLAG_CORRUPT | AV_PKT_FLAG_DISCARD)) == 0;
    return is_key && key->packet - last->packet >= apart && key_time(key) != INPUT_NO_TIME &&
           (last->packet == 0 || key_time(key) > key_time(last));
}

static int add_packets(AVFormatContext *format, AVPacket *packet, int apart, int64_t most,
                       struct index *index, struct error *error)
{
    const AVStream *stream = libav_video(format);
    if (stream == NULL)
        return error_set(error, -EINVAL, "there is no video stream");
    libav_discard_others(format, stream);
    for (;;) {
        int code = libav_read_packet(format, packet, error);
        if (code <= 0) {
            index->whole = code == 0;
            return code;
        }
        const struct input_key key = {.packet = index->packets,
                                      .pts = packet->pts,
                                      .dts = packet->dts,
                                      .position = packet->pos,
                                      .size = packet->size};
        bool ours = packet->stream_index == stream->index;
        bool useful = ours && is_useful(index, packet, &key, apart);
        av_packet_unref(packet);
        index->packets += ours;
        if (useful && (code = add_key(index, &key, error)) < 0)
            return code;
        if (useful && most > 0 && key.packet >= most)
            return 0;
    }
}

int index_read(const char *path, int apart, int64_t most, struct index *index, struct error *error)
{
    static const struct input_key start = {
        .pts = INPUT_NO_TIME, .dts = INPUT_NO_TIME, .position = -1};
    AVFormatContext *format = NULL;
    AVPacket *packet = av_packet_alloc();
    int code =
        packet != NULL ? add_key(index, &start, error) : error_set(error, -ENOMEM, "out of memory");
    if (code >= 0)
        code = libav_open(path, &format, error);
    if (code >= 0)
        code = add_packets(format, packet, apart, most, index, error);
    libav_close(&format);
    av_packet_free(&packet);
    return code;
}
