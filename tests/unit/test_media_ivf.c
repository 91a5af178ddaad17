/* The IVF reader and writer: round trips, what is refused, damage. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "media/ivf.h"
#include "media_support.h"

static const struct ivf_header header = {
    .width = 176, .height = 144, .time_base = {1001, 30000}, .frames = 3};

static const size_t frame_sizes[] = {5, 0, 3000000};
static const uint64_t time_stamps[] = {0, 1, UINT64_C(0x123456789abcdef0)};
enum { FRAMES = 3 };

static void write_stream(const char *path)
{
    struct error error;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(ivf_write_header(file, &header, &error), 0);
    uint8_t *frame = malloc(3000000);
    assert_non_null(frame);
    for (int i = 0; i < FRAMES; i++) {
        memset(frame, 'a' + i, frame_sizes[i]);
        assert_int_equal(ivf_write(file, frame, frame_sizes[i], time_stamps[i], &error), 0);
    }
    free(frame);
    assert_int_equal(fclose(file), 0);
}

static void what_is_written_is_read(void **state)
{
    struct ivf_reader *reader;
    struct error error;
    struct xc_buffer frame = {0};
    uint64_t time_stamp;
    write_stream(scratch("film.ivf"));
    assert_int_equal(ivf_open(scratch("film.ivf"), &reader, &error), 0);
    assert_memory_equal(ivf_header(reader), &header, sizeof header);
    for (int i = 0; i < FRAMES; i++) {
        assert_int_equal(ivf_read(reader, &frame, &time_stamp, &error), 1);
        assert_int_equal(frame.size, frame_sizes[i]);
        assert_int_equal(time_stamp, time_stamps[i]);
        if (frame.size)
            assert_int_equal(frame.data[frame.size - 1], 'a' + i);
    }
    assert_int_equal(ivf_read(reader, &frame, &time_stamp, &error), 0);
    xc_buffer_free(&frame);
    ivf_close(reader);
}

/* Field by field as the format's description has them. */
static void bytes_of_the_header(void **state)
{
    static const uint8_t expected[32] = {'D', 'K', 'I', 'F', 0, 0,  32,  0, 'V', 'P',  '8',
                                         '0', 176, 0,   144, 0, 48, 117, 0, 0,   0xe9, 3,
                                         0,   0,   3,   0,   0, 0,  0,   0, 0,   0};
    size_t size;
    write_stream(scratch("film.ivf"));
    char *bytes = read_file(scratch("film.ivf"), &size);
    assert_memory_equal(bytes, expected, sizeof expected);
    free(bytes);
}

static int open_bytes(uint8_t *bytes, size_t size, struct error *error)
{
    struct ivf_reader *reader;
    FILE *stream = fmemopen(bytes, size, "rb");
    assert_non_null(stream);
    int result = ivf_open_stream(stream, "bytes", &reader, error);
    assert_int_equal(result < 0, reader == NULL);
    ivf_close(reader);
    return result;
}

static void refused_headers(void **state)
{
    struct error error;
    size_t size;
    write_stream(scratch("film.ivf"));
    uint8_t *film = (uint8_t *)read_file(scratch("film.ivf"), &size);
    for (size_t cut = 1; cut < 32; cut++)
        assert_int_equal(open_bytes(film, cut, &error), -EINVAL);
    film[6] = 31;
    assert_int_equal(open_bytes(film, size, &error), -EINVAL);
    assert_contains(error.message, "damaged");
    film[6] = 32;
    film[11] = '9';
    assert_int_equal(open_bytes(film, size, &error), -EINVAL);
    assert_contains(error.message, "VP8");
    film[0] = 'R';
    assert_int_equal(open_bytes(film, size, &error), -EINVAL);
    assert_contains(error.message, "not IVF");
    free(film);
}

/* Reads all frames of a stream in memory; returns the last result. */
static int read_frames(uint8_t *bytes, size_t size, int *frames, struct error *error)
{
    struct ivf_reader *reader;
    struct xc_buffer frame = {0};
    uint64_t time_stamp;
    FILE *stream = fmemopen(bytes, size, "rb");
    assert_non_null(stream);
    int result = ivf_open_stream(stream, "bytes", &reader, error);
    for (*frames = 0; result >= 0; (*frames)++)
        if ((result = ivf_read(reader, &frame, &time_stamp, error)) != 1)
            break;
    assert_true(frame.capacity <= size + (1 << 20));
    xc_buffer_free(&frame);
    ivf_close(reader);
    return result;
}

static void cut_and_damaged_frames(void **state)
{
    struct error error;
    size_t size;
    int frames;
    write_stream(scratch("film.ivf"));
    uint8_t *film = (uint8_t *)read_file(scratch("film.ivf"), &size);
    for (size_t cut = 33; cut < 32 + 12 + 5 + 12 + 12 + 100; cut++) {
        bool whole = cut == 49 || cut == 61;
        assert_int_equal(read_frames(film, cut, &frames, &error), whole ? 0 : -EINVAL);
        assert_int_equal(frames, cut < 49 ? 0 : cut < 61 ? 1 : 2);
        if (!whole)
            assert_contains(error.message, "ends within frame");
    }
    memset(film + 32, 0xff, 4); /* a length of 4 GB */
    assert_int_equal(read_frames(film, 200, &frames, &error), -EINVAL);
    assert_int_equal(frames, 0);
    free(film);
}

static void odd_but_readable(void **state)
{
    struct ivf_reader *reader;
    struct error error;
    struct xc_buffer frame = {0};
    uint64_t time_stamp;
    uint8_t film[] = "DKIF\0\0\x24\0VP80\0\0\0\0"
                     "\0\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0more"
                     "\x02\0\0\0\x07\0\0\0\0\0\0\0ab";
    FILE *stream = fmemopen(film, sizeof film - 1, "rb");
    assert_int_equal(ivf_open_stream(stream, "bytes", &reader, &error), 0);
    assert_int_equal(ivf_header(reader)->time_base.numerator, 1);
    assert_int_equal(ivf_header(reader)->time_base.denominator, 30);
    assert_int_equal(ivf_read(reader, &frame, &time_stamp, &error), 1);
    assert_int_equal(frame.size, 2);
    assert_memory_equal(frame.data, "ab", 2);
    assert_int_equal(time_stamp, 7);
    xc_buffer_free(&frame);
    ivf_close(reader);
}

static void unwritable(void **state)
{
    struct error error;
    FILE *full = fopen("/dev/full", "wb");
    setvbuf(full, NULL, _IONBF, 0);
    assert_int_equal(ivf_write_header(full, &header, &error), -ENOSPC);
    assert_int_equal(ivf_write(full, (const uint8_t *)"a", 1, 0, &error), -ENOSPC);
    fclose(full);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read), TEST(bytes_of_the_header), TEST(refused_headers),
        TEST(cut_and_damaged_frames),  TEST(odd_but_readable),    TEST(unwritable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
