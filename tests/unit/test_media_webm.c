/* WebM as players see it: time stamps, hidden frames, shape, colours, and sound in its place. */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "media/libav.h"
#include "media/packet.h"
#include "media/webm.h"
#include "media_support.h"

enum { RATE = 44100, FRAMES = 30 };

static const struct webm_options basic_options = {
    .format = {.width = 176,
               .height = 144,
               .frame_rate = {30, 1},
               .pixel_aspect = {4, 3},
               .colour = {.primaries = 9, .transfer = 16, .matrix = 9}},
    .time_base = {1, 90000},
    .end = INT64_MAX,
};

/* The start of a VP8 frame, which is all that muxers and demuxers look at. */
static size_t make_frame(uint8_t frame[32], bool key_frame, bool shown, int number)
{
    memset(frame, number, 32);
    frame[0] = (uint8_t)((key_frame ? 0 : 1) | (shown ? 0x10 : 0));
    frame[1] = frame[2] = 0;
    memcpy(frame + 3, "\x9d\x01\x2a\xb0\0\x90\0", 7);
    return 32;
}

/* A film of FRAMES frames, 3000 ticks each, the first a key frame, one hidden frame before the
 * tenth. */
static void write_film(const char *path, const struct webm_options *options)
{
    struct webm_writer *writer;
    struct error error;
    uint8_t frame[32];
    if (webm_open(path, options, &writer, &error) < 0)
        fail_msg("%s", error.message);
    for (int i = 0; i < FRAMES; i++) {
        int64_t stamp = options->start + 3000 * i;
        size_t size = make_frame(frame, false, false, 100);
        if (i == 10)
            assert_int_equal(webm_write(writer, frame, size, stamp, 3000, false, false, &error), 0);
        size = make_frame(frame, i == 0, true, i);
        assert_int_equal(webm_write(writer, frame, size, stamp, 3000, i == 0, true, &error), 0);
    }
    assert_int_equal(webm_finish(writer, &error), 0);
}

static AVFormatContext *open_film(const char *path)
{
    AVFormatContext *format;
    struct error error;
    if (libav_open(path, &format, &error) < 0)
        fail_msg("%s", error.message);
    return format;
}

static void video_packets(void **state)
{
    write_film(scratch("film.webm"), &basic_options);
    AVFormatContext *format = open_film(scratch("film.webm"));
    AVPacket *packet = av_packet_alloc();
    int64_t last = -1;
    for (int i = 0; i <= FRAMES; i++) {
        assert_int_equal(av_read_frame(format, packet), 0);
        int shown = i - (i > 10);
        int64_t time = i == 10 ? last + 1 : (shown * 1000 + 15) / 30;
        assert_int_equal(packet->pts, time);
        assert_int_equal(packet->flags & AV_PKT_FLAG_KEY, i == 0);
        assert_int_equal(packet->size, 32);
        assert_int_equal(packet->data[31], i == 10 ? 100 : shown);
        last = packet->pts;
        av_packet_unref(packet);
    }
    assert_int_equal(av_read_frame(format, packet), AVERROR_EOF);
    assert_int_equal(format->duration, AV_TIME_BASE);
    av_packet_free(&packet);
    avformat_close_input(&format);
}

static void shape_and_colour(void **state)
{
    write_film(scratch("film.webm"), &basic_options);
    AVFormatContext *format = open_film(scratch("film.webm"));
    const AVStream *stream = format->streams[0];
    assert_int_equal(format->nb_streams, 1);
    assert_int_equal(stream->codecpar->codec_id, AV_CODEC_ID_VP8);
    assert_int_equal(stream->codecpar->width, 176);
    assert_int_equal(stream->codecpar->color_primaries, 9);
    assert_int_equal(stream->codecpar->color_trc, 16);
    assert_int_equal(stream->codecpar->color_space, 9);
    assert_int_equal(stream->codecpar->color_range, AVCOL_RANGE_MPEG);
    assert_int_equal(stream->avg_frame_rate.num, 30 * stream->avg_frame_rate.den);
    /* 176 x 4/3 = 234.67 must be a whole number of display pixels */
    assert_int_equal(lrint(176 * av_q2d(stream->sample_aspect_ratio)), 235);
    avformat_close_input(&format);
}

static void packets_come_back(void **state)
{
    struct packet_reader *reader;
    struct error error;
    struct xc_buffer frame = {0};
    write_film(scratch("film.webm"), &basic_options);
    assert_int_equal(packet_open(scratch("film.webm"), &reader, &error), 0);
    assert_int_equal(packet_format(reader)->width, 176);
    assert_int_equal(packet_format(reader)->frame_rate.numerator, 30);
    for (int i = 0; i <= FRAMES; i++) {
        assert_int_equal(packet_read(reader, &frame, &error), 1);
        assert_int_equal(frame.size, 32);
        assert_int_equal(frame.data[31], i == 10 ? 100 : i - (i > 10));
    }
    assert_int_equal(packet_read(reader, &frame, &error), 0);
    xc_buffer_free(&frame);
    packet_close(reader);
}

static void store32(uint8_t *bytes, uint32_t value)
{
    for (int i = 0; i < 4; i++)
        bytes[i] = (uint8_t)(value >> 8 * i);
}

/* A sound file of two seconds, silent but for 10 ms of tone at one second. */
static void write_sound(const char *path, int channels)
{
    size_t data_size = 2 * RATE * 2 * (size_t)channels;
    uint8_t *bytes = calloc(1, 44 + data_size);
    assert_non_null(bytes);
    memcpy(bytes, "RIFF....WAVEfmt \x10\0\0\0\1\0", 22);
    store32(bytes + 4, (uint32_t)(36 + data_size));
    bytes[22] = (uint8_t)channels;
    store32(bytes + 24, RATE);
    store32(bytes + 28, RATE * 2 * (uint32_t)channels);
    bytes[32] = (uint8_t)(2 * channels);
    bytes[34] = 16;
    memcpy(bytes + 36, "data", 4);
    store32(bytes + 40, (uint32_t)data_size);
    for (int i = RATE; i < RATE + RATE / 100; i++)
        for (int channel = 0; channel < channels; channel++) {
            int value = (int)(20000 * sin(i * 2 * M_PI * 1000 / RATE));
            size_t at = 44 + 2 * ((size_t)i * (size_t)channels + (size_t)channel);
            bytes[at] = (uint8_t)value;
            bytes[at + 1] = (uint8_t)(value >> 8);
        }
    write_file(path, bytes, 44 + data_size);
    free(bytes);
}

struct sound {
    int channels, rate;
    double begin, onset, end; /* in seconds of the file's clock; onset is -1 without tone */
};

static void listen_to_frame(struct sound *sound, const AVFrame *frame, AVRational time_base)
{
    double time = (double)frame->pts * av_q2d(time_base);
    const float *samples = (const float *)frame->data[0];
    if (sound->begin < 0)
        sound->begin = time;
    for (int i = 0; i < frame->nb_samples && sound->onset < 0; i++)
        if (fabsf(samples[i]) > 0.2f)
            sound->onset = time + (double)i / frame->sample_rate;
    sound->end = time + (double)frame->nb_samples / frame->sample_rate;
}

/* Decodes the sound of a WebM file. */
static struct sound listen(const char *path)
{
    struct sound sound = {.begin = -1, .onset = -1};
    struct error error;
    AVCodecContext *decoder;
    AVFormatContext *format = open_film(path);
    AVPacket *packet = av_packet_alloc();
    AVFrame *frame = av_frame_alloc();
    assert_int_equal(format->nb_streams, 2);
    AVStream *stream = format->streams[1];
    assert_int_equal(stream->codecpar->codec_id, AV_CODEC_ID_OPUS);
    assert_int_equal(libav_open_decoder(format, stream, &decoder, &error), 0);
    while (libav_decode(format, stream, decoder, packet, frame, NULL, &error) == 1)
        listen_to_frame(&sound, frame, stream->time_base);
    sound.channels = decoder->ch_layout.nb_channels;
    sound.rate = decoder->sample_rate;
    av_frame_free(&frame);
    av_packet_free(&packet);
    avcodec_free_context(&decoder);
    avformat_close_input(&format);
    return sound;
}

/* Millisecond time stamps, and what it takes a tone to rise. */
#define TOLERANCE 0.0015

static struct sound film_with_sound(int64_t start, int64_t end, int channels)
{
    struct webm_options options = basic_options;
    write_sound(scratch("sound.wav"), channels);
    options.audio_source = scratch("sound.wav");
    options.start = start;
    options.end = end;
    write_film(scratch("film.webm"), &options);
    return listen(scratch("film.webm"));
}

static void sound_lies_where_it_lay(void **state)
{
    struct sound sound = film_with_sound(0, INT64_MAX, 2);
    assert_int_equal(sound.channels, 2);
    assert_int_equal(sound.rate, 48000);
    assert_near(sound.begin, 0, TOLERANCE);
    assert_near(sound.onset, 1, TOLERANCE);
    assert_near(sound.end, 2, TOLERANCE);
}

static void sound_before_the_start_is_left_out(void **state)
{
    struct sound sound = film_with_sound(45000, INT64_MAX, 1);
    assert_int_equal(sound.channels, 1);
    assert_near(sound.begin, 0, TOLERANCE);
    assert_near(sound.onset, 0.5, TOLERANCE);
    assert_near(sound.end, 1.5, TOLERANCE);
}

static void sound_after_the_start_keeps_its_distance(void **state)
{
    struct sound sound = film_with_sound(-63000, INT64_MAX, 2);
    assert_near(sound.begin, 0.7, TOLERANCE);
    assert_near(sound.onset, 1.7, TOLERANCE);
    assert_near(sound.end, 2.7, TOLERANCE);
}

static void sound_ends_with_the_part(void **state)
{
    struct sound sound = film_with_sound(45000, 45000 + 90000 + 1000, 2);
    assert_near(sound.onset, 0.5, TOLERANCE);
    assert_near(sound.end, 1 + 1 / 90.0, TOLERANCE);
    sound = film_with_sound(0, 45000, 2);
    assert_near(sound.onset, -1, 0);
    assert_near(sound.end, 0.5, TOLERANCE);
}

static void channels_are_kept_where_opus_has_them(void **state)
{
    static const int kept[] = {0, 1, 2, 3, 4, 5, 6, 7, 8};
    for (int channels = 1; channels <= 8; channels++) {
        struct sound sound = film_with_sound(0, INT64_MAX, channels);
        assert_true(sound.channels == kept[channels] || sound.channels == 2);
        assert_near(sound.onset, 1, TOLERANCE);
        if (channels <= 2 || channels == 6)
            assert_int_equal(sound.channels, channels);
    }
}

/* A film whose sound pauses for half a second in its time stamps, or jumps back for a quarter.
 * Strays of less than 20 ms are let be. */
static void gaps_and_overlaps(void **state)
{
    static const char *const shifts[] = {"if(gte(T\\,0.5)\\,0.5\\,0)",
                                         "if(gte(T\\,0.5)\\,-0.25\\,0)"};
    static const double onsets[] = {1.5, 0.75};
    write_sound(scratch("sound.wav"), 1);
    for (int i = 0; i < 2; i++) {
        struct webm_options options = basic_options;
        free(run_ffmpeg("-i %s -af 'asetnsamples=441,asetpts=PTS+%s/TB' -c:a pcm_s16le -f matroska "
                        "-fflags +igndts %s",
                        scratch("sound.wav"), shifts[i], scratch("shifted.mkv")));
        options.audio_source = scratch("shifted.mkv");
        write_film(scratch("film.webm"), &options);
        assert_near(listen(scratch("film.webm")).onset, onsets[i], 0.02);
    }
}

static void same_bytes_each_time(void **state)
{
    size_t sizes[2];
    char *films[2];
    for (int i = 0; i < 2; i++) {
        film_with_sound(0, INT64_MAX, 2);
        films[i] = read_file(scratch("film.webm"), &sizes[i]);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(films[0], films[1], sizes[0]);
    free(films[0]);
    free(films[1]);
}

/* Of the packets in the file, none is more than a quarter second behind its neighbours. */
static void sound_and_pictures_are_interleaved(void **state)
{
    film_with_sound(0, 90000, 2);
    AVFormatContext *format = open_film(scratch("film.webm"));
    AVPacket *packet = av_packet_alloc();
    double latest = 0;
    while (av_read_frame(format, packet) == 0) {
        double time =
            (double)packet->pts * av_q2d(format->streams[packet->stream_index]->time_base);
        assert_true(time > latest - 0.25);
        latest = time > latest ? time : latest;
        av_packet_unref(packet);
    }
    av_packet_free(&packet);
    avformat_close_input(&format);
}

static void source_without_sound(void **state)
{
    struct webm_options options = basic_options;
    write_film(scratch("silent.webm"), &options);
    options.audio_source = scratch("silent.webm");
    write_film(scratch("film.webm"), &options);
    AVFormatContext *format = open_film(scratch("film.webm"));
    assert_int_equal(format->nb_streams, 1);
    avformat_close_input(&format);
}

static void bad_places(void **state)
{
    struct webm_options options = basic_options;
    struct webm_writer *writer;
    struct error error;
    assert_int_equal(webm_open(scratch("no/film.webm"), &options, &writer, &error), -ENOENT);
    assert_null(writer);
    options.audio_source = scratch("none.mp4");
    assert_int_equal(webm_open(scratch("film.webm"), &options, &writer, &error), -ENOENT);
    assert_contains(error.message, "none.mp4");
    webm_abort(NULL);
}

static void full_disk_is_said(void **state)
{
    struct webm_writer *writer;
    struct error error;
    uint8_t frame[32];
    size_t size = make_frame(frame, true, true, 0);
    int result = webm_open("/dev/full", &basic_options, &writer, &error);
    for (int i = 0; i < 100000 && result >= 0; i++) {
        result = webm_write(writer, frame, size, 3000 * i, 3000, true, true, &error);
        if (result < 0)
            webm_abort(writer);
    }
    assert_int_equal(result, -ENOSPC);
    assert_contains(error.message, "space");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(video_packets),
        TEST(shape_and_colour),
        TEST(packets_come_back),
        TEST(sound_lies_where_it_lay),
        TEST(sound_before_the_start_is_left_out),
        TEST(sound_after_the_start_keeps_its_distance),
        TEST(sound_ends_with_the_part),
        TEST(channels_are_kept_where_opus_has_them),
        TEST(gaps_and_overlaps),
        TEST(same_bytes_each_time),
        TEST(sound_and_pictures_are_interleaved),
        TEST(source_without_sound),
        TEST(bad_places),
        TEST(full_disk_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
