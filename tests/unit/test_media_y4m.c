/* The Y4M reader and writer: round trips, what is accepted and refused, damage. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "media/y4m.h"
#include "media_support.h"

static const struct video_format format_17x9 = {
    .width = 17,
    .height = 9,
    .frame_rate = {30000, 1001},
    .pixel_aspect = {4, 3},
};

enum { FRAMES = 3 };

static void write_film(const char *path, const struct video_format *format)
{
    struct error error;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(y4m_write_header(file, format, &error), 0);
    for (unsigned i = 0; i < FRAMES; i++) {
        struct xc_picture *picture = make_picture(format->width, format->height, i);
        assert_int_equal(y4m_write(file, picture, &error), 0);
        xc_picture_unref(picture);
    }
    assert_int_equal(fclose(file), 0);
}

static void round_trip(const struct video_format *format)
{
    struct y4m_reader *reader;
    struct error error;
    struct xc_picture *picture;
    write_film(scratch("film.y4m"), format);
    assert_int_equal(y4m_open(scratch("film.y4m"), &reader, &error), 0);
    const struct video_format *read = y4m_format(reader);
    assert_int_equal(read->width, format->width);
    assert_int_equal(read->height, format->height);
    assert_int_equal(read->frame_rate.numerator, format->frame_rate.numerator);
    assert_int_equal(read->frame_rate.denominator, format->frame_rate.denominator);
    assert_int_equal(read->pixel_aspect.numerator, format->pixel_aspect.numerator);
    assert_int_equal(read->pixel_aspect.denominator, format->pixel_aspect.denominator);
    assert_int_equal(read->colour.full_range, format->colour.full_range);
    for (unsigned i = 0; i < FRAMES; i++) {
        struct xc_picture *written = make_picture(format->width, format->height, i);
        assert_int_equal(y4m_read(reader, &picture, &error), 1);
        assert_pictures_equal(picture, written);
        xc_picture_unref(picture);
        xc_picture_unref(written);
    }
    assert_int_equal(y4m_read(reader, &picture, &error), 0);
    assert_null(picture);
    y4m_close(reader);
}

static void what_is_written_is_read(void **state)
{
    struct video_format format = format_17x9;
    round_trip(&format);
    format.width = format.height = 1;
    round_trip(&format);
    format.width = 64;
    format.colour.full_range = true;
    round_trip(&format);
}

/* Opens text as a file; returns the reader or, with `error` filled, NULL. */
static struct y4m_reader *open_text(const char *text, struct error *error)
{
    struct y4m_reader *reader;
    write_file(scratch("text.y4m"), text, strlen(text));
    int result = y4m_open(scratch("text.y4m"), &reader, error);
    assert_int_equal(result < 0, reader == NULL);
    return reader;
}

static void accepted_headers(void **state)
{
    static const char *const headers[] = {
        "YUV4MPEG2 W2 H2\n",
        "YUV4MPEG2 W2 H2 F0:0 A0:0 I?\n",
        "YUV4MPEG2 H2 W2 C420 Im XSOMETHING F25:1\n",
        "YUV4MPEG2 W2 H2 C420jpeg XYSCSS=420JPEG\n",
        "YUV4MPEG2 W2 H2 C420mpeg2\n",
        "YUV4MPEG2 W2 H2  C420paldv\n",
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct error error;
        char file[200];
        snprintf(file, sizeof file, "%sFRAME\nabcdefFRAME Ip XNOTE\nghijkl", headers[i]);
        struct y4m_reader *reader = open_text(file, &error);
        assert_non_null(reader);
        assert_int_equal(y4m_format(reader)->frame_rate.numerator, 25);
        assert_int_equal(y4m_format(reader)->pixel_aspect.denominator, 1);
        for (int frame = 0; frame < 2; frame++) {
            struct xc_picture *picture;
            assert_int_equal(y4m_read(reader, &picture, &error), 1);
            struct xc_view view = xc_picture_view(picture);
            assert_int_equal(view.plane[0][view.stride[0]], "ci"[frame]);
            assert_int_equal(view.plane[2][0], "fl"[frame]);
            xc_picture_unref(picture);
        }
        y4m_close(reader);
    }
}

static void refused_headers(void **state)
{
    static const char *const headers[][2] = {
        {"", "not Y4M"},
        {"RIFF....AVI ", "not Y4M"},
        {"YUV4MPEG2", "damaged"},
        {"YUV4MPEG2 W2 H2", "damaged"},
        {"YUV4MPEG2W2 H2\n", "damaged"},
        {"YUV4MPEG2 \n", "no size"},
        {"YUV4MPEG2 W2\n", "no size"},
        {"YUV4MPEG2 W0 H2\n", "W0"},
        {"YUV4MPEG2 W-2 H2\n", "W-2"},
        {"YUV4MPEG2 W2x H2\n", "W2x"},
        {"YUV4MPEG2 W99999999999999999999 H2\n", "W999"},
        {"YUV4MPEG2 W16384 H2\n", "16383"},
        {"YUV4MPEG2 W2 H16384\n", "16383"},
        {"YUV4MPEG2 W2 H2 F25\n", "F25"},
        {"YUV4MPEG2 W2 H2 A1:\n", "A1:"},
        {"YUV4MPEG2 W2 H2 C422\n", "422"},
        {"YUV4MPEG2 W2 H2 C444\n", "444"},
        {"YUV4MPEG2 W2 H2 Cmono\n", "mono"},
        {"YUV4MPEG2 W2 H2 C420p10 XYSCSS=420P10\n", "420p10"},
    };
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct error error = {0};
        assert_null(open_text(headers[i][0], &error));
        assert_true(error.code < 0);
        assert_contains(error.message, headers[i][1]);
        assert_contains(error.message, "text.y4m");
    }
}

static void endless_header_is_refused(void **state)
{
    struct error error;
    char text[5000] = "YUV4MPEG2 ";
    memset(text + 10, 'X', sizeof text - 11);
    assert_null(open_text(text, &error));
    assert_contains(error.message, "damaged");
}

/* A file cut anywhere gives whole frames, then an error, and never a part of a frame. */
static void cut_files(void **state)
{
    size_t size;
    write_film(scratch("film.y4m"), &format_17x9);
    char *film = read_file(scratch("film.y4m"), &size);
    size_t frame_size = 6 + 17 * 9 + 2 * 9 * 5, header_size = size - FRAMES * frame_size;
    for (size_t cut = 1; cut < size; cut++) {
        struct y4m_reader *reader;
        struct error error = {0};
        FILE *stream = fmemopen(film, cut, "rb");
        assert_non_null(stream);
        int result = y4m_open_stream(stream, "cut", &reader, &error);
        assert_int_equal(result == 0, cut >= header_size);
        size_t frames = 0;
        struct xc_picture *picture;
        for (; result >= 0 && (result = y4m_read(reader, &picture, &error)) == 1; frames++)
            xc_picture_unref(picture);
        if (cut >= header_size) {
            size_t rest = (cut - header_size) % frame_size;
            assert_int_equal(frames, (cut - header_size) / frame_size);
            assert_int_equal(result, rest == 0 ? 0 : -EINVAL);
            if (rest >= 6)
                assert_contains(error.message, "ends within frame");
        }
        y4m_close(reader);
    }
    free(film);
}

static void missing_and_unwritable(void **state)
{
    struct y4m_reader *reader;
    struct error error;
    assert_int_equal(y4m_open(scratch("none"), &reader, &error), -ENOENT);
    assert_contains(error.message, "No such file");
    FILE *full = fopen("/dev/full", "wb");
    setvbuf(full, NULL, _IONBF, 0);
    assert_int_equal(y4m_write_header(full, &format_17x9, &error), -ENOSPC);
    struct xc_picture *picture = make_picture(17, 9, 0);
    assert_int_equal(y4m_write(full, picture, &error), -ENOSPC);
    xc_picture_unref(picture);
    fclose(full);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_is_written_is_read),   TEST(accepted_headers), TEST(refused_headers),
        TEST(endless_header_is_refused), TEST(cut_files),        TEST(missing_and_unwritable),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
