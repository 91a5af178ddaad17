/* Films of every kind come in as upright 8-bit 4:2:0 pictures; what is no film is refused. */
#include <errno.h>
#include <libavutil/display.h>
#include <libavutil/frame.h>
#include <libavutil/pixdesc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media/convert.h"
#include "media/input.h"
#include "media/y4m.h"
#include "media_support.h"

/* ---- Conversion of single frames ----------------------------------------------------------- */

enum { WIDTH = 34, HEIGHT = 18 };

static AVFrame *make_frame(enum AVPixelFormat format, int width, int height)
{
    AVFrame *frame = av_frame_alloc();
    frame->format = format;
    frame->width = width;
    frame->height = height;
    assert_int_equal(av_frame_get_buffer(frame, 0), 0);
    for (int plane = 0; plane < 3 && frame->data[plane]; plane++)
        for (int y = 0; y < (plane ? (height + 1) / 2 : height); y++)
            for (int x = 0; x < (plane ? (width + 1) / 2 : width); x++)
                frame->data[plane][y * frame->linesize[plane] + x] =
                    (uint8_t)(16 + 3 * x + 7 * y + 20 * plane);
    return frame;
}

static struct xc_picture *convert(const AVFrame *frame, const int32_t *matrix,
                                  struct converter **converter)
{
    struct error error;
    struct xc_picture *picture;
    assert_int_equal(convert_open(frame, convert_orientation(matrix), converter, &error), 0);
    assert_int_equal(convert_frame(*converter, frame, &picture, &error), 0);
    return picture;
}

static int sample(const struct xc_picture *picture, int plane, int x, int y)
{
    struct xc_view view = xc_picture_view(picture);
    return view.plane[plane][y * view.stride[plane] + x];
}

/* Where the display matrix puts each corner of the source, worked out from its definition. */
static void eight_orientations(void **state)
{
    AVFrame *frame = make_frame(AV_PIX_FMT_YUV420P, WIDTH, HEIGHT);
    for (int kind = 0; kind < 8; kind++) {
        int32_t matrix[9];
        struct converter *converter;
        av_display_rotation_set(matrix, 90.0 * (kind % 4));
        av_display_matrix_flip(matrix, kind >= 4, 0);
        struct xc_picture *picture = convert(frame, matrix, &converter);
        struct xc_view view = xc_picture_view(picture);
        assert_int_equal(view.width, kind % 2 ? HEIGHT : WIDTH);
        assert_int_equal(view.height, kind % 2 ? WIDTH : HEIGHT);
        for (int corner = 0; corner < 4; corner++) {
            int x = corner & 1 ? WIDTH - 1 : 0, y = corner & 2 ? HEIGHT - 1 : 0;
            bool right =
                (double)matrix[0] * (2 * x - WIDTH) + (double)matrix[3] * (2 * y - HEIGHT) > 0;
            bool low =
                (double)matrix[1] * (2 * x - WIDTH) + (double)matrix[4] * (2 * y - HEIGHT) > 0;
            for (int plane = 0; plane < 3; plane++) {
                int to_x = right ? (plane ? view.width / 2 : view.width) - 1 : 0;
                int to_y = low ? (plane ? view.height / 2 : view.height) - 1 : 0;
                int from_x = plane ? x / 2 : x, from_y = plane ? y / 2 : y;
                assert_int_equal(sample(picture, plane, to_x, to_y),
                                 frame->data[plane][from_y * frame->linesize[plane] + from_x]);
            }
        }
        char text[160];
        convert_describe(converter, text, sizeof text);
        assert_int_equal(text[0] == '\0', kind == 0);
        xc_picture_unref(picture);
        convert_close(converter);
    }
    av_frame_free(&frame);
}

static void fill(AVFrame *frame, int y, int u, int v)
{
    int values[] = {y, u, v};
    for (int plane = 0; plane < 3; plane++)
        for (int row = 0; row < (plane ? HEIGHT / 2 : HEIGHT); row++)
            memset(frame->data[plane] + row * frame->linesize[plane], values[plane],
                   plane ? WIDTH / 2 : WIDTH);
}

/* BT.601 and BT.709 differ in what they make of full-range values only by the matrix, which
 * stays. */
static void full_range_becomes_limited(void **state)
{
    static const int pairs[][2] = {{0, 16}, {255, 235}, {128, 126}};
    for (int matrix = 1; matrix <= 5; matrix += 4)
        for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
            struct converter *converter;
            AVFrame *frame = make_frame(AV_PIX_FMT_YUV420P, WIDTH, HEIGHT);
            fill(frame, pairs[i][0], 128, 255);
            frame->color_range = AVCOL_RANGE_JPEG;
            frame->colorspace = (enum AVColorSpace)matrix;
            struct xc_picture *picture = convert(frame, NULL, &converter);
            assert_in_range(sample(picture, 0, 3, 3), pairs[i][1] - 1, pairs[i][1] + 1);
            assert_int_equal(sample(picture, 1, 3, 3), 128);
            assert_in_range(sample(picture, 2, 3, 3), 239, 241);
            assert_int_equal(convert_colour(converter).matrix, matrix);
            assert_false(convert_colour(converter).full_range);
            xc_picture_unref(picture);
            convert_close(converter);
            av_frame_free(&frame);
        }
}

/* Pure red, by the matrix that the size calls for. */
static void rgb_takes_the_matrix_of_its_size(void **state)
{
    static const struct {
        int width, height, matrix, y, u, v;
    } cases[] = {{64, 48, 6, 81, 90, 240}, {1280, 16, 1, 63, 102, 240}, {16, 720, 1, 63, 102, 240}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct converter *converter;
        AVFrame *frame = make_frame(AV_PIX_FMT_RGB24, cases[i].width, cases[i].height);
        for (int y = 0; y < frame->height; y++)
            for (int x = 0; x < frame->width; x++)
                memcpy(frame->data[0] + y * frame->linesize[0] + 3 * x, "\xff\0\0", 3);
        struct xc_picture *picture = convert(frame, NULL, &converter);
        assert_int_equal(convert_colour(converter).matrix, cases[i].matrix);
        assert_in_range(sample(picture, 0, 4, 4), cases[i].y - 1, cases[i].y + 1);
        assert_in_range(sample(picture, 1, 4, 4), cases[i].u - 1, cases[i].u + 1);
        assert_in_range(sample(picture, 2, 4, 4), cases[i].v - 1, cases[i].v + 1);
        xc_picture_unref(picture);
        convert_close(converter);
        av_frame_free(&frame);
    }
}

static void later_frames_take_the_first_size(void **state)
{
    struct converter *converter;
    struct error error;
    struct xc_picture *picture;
    AVFrame *first = make_frame(AV_PIX_FMT_YUV420P, WIDTH, HEIGHT);
    AVFrame *larger = make_frame(AV_PIX_FMT_YUV420P, 2 * WIDTH, 2 * HEIGHT);
    AVFrame *other = make_frame(AV_PIX_FMT_RGB24, 5, 7);
    xc_picture_unref(convert(first, NULL, &converter));
    for (int i = 0; i < 3; i++) {
        assert_int_equal(convert_frame(converter,
                                       i == 0   ? larger
                                       : i == 1 ? other
                                                : first,
                                       &picture, &error),
                         0);
        assert_int_equal(xc_picture_view(picture).width, WIDTH);
        assert_int_equal(xc_picture_view(picture).height, HEIGHT);
        xc_picture_unref(picture);
    }
    convert_close(converter);
    av_frame_free(&first);
    av_frame_free(&larger);
    av_frame_free(&other);
}

static void what_is_converted_is_said(void **state)
{
    static const struct {
        enum AVPixelFormat format;
        enum AVColorRange range;
        const char *words;
    } cases[] = {
        {AV_PIX_FMT_YUV420P, AVCOL_RANGE_UNSPECIFIED, ""},
        {AV_PIX_FMT_YUV420P, AVCOL_RANGE_MPEG, ""},
        {AV_PIX_FMT_YUVJ420P, AVCOL_RANGE_JPEG, "full range to limited range"},
        {AV_PIX_FMT_YUV420P10, AVCOL_RANGE_MPEG, "10-bit 4:2:0 to 8-bit 4:2:0"},
        {AV_PIX_FMT_YUV422P, AVCOL_RANGE_MPEG, "8-bit 4:2:2 to 8-bit 4:2:0"},
        {AV_PIX_FMT_YUV444P12, AVCOL_RANGE_JPEG,
         "12-bit 4:4:4 to 8-bit 4:2:0, full range to limited range"},
        {AV_PIX_FMT_GBRP, AVCOL_RANGE_UNSPECIFIED, "8-bit RGB to 8-bit 4:2:0"},
        {AV_PIX_FMT_GRAY8, AVCOL_RANGE_MPEG, "8-bit gray to 8-bit 4:2:0"},
        {AV_PIX_FMT_NV12, AVCOL_RANGE_MPEG, ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[160];
        struct converter *converter;
        AVFrame *frame = make_frame(cases[i].format, WIDTH, HEIGHT);
        frame->color_range = cases[i].range;
        xc_picture_unref(convert(frame, NULL, &converter));
        convert_describe(converter, text, sizeof text);
        assert_string_equal(text, cases[i].words);
        convert_close(converter);
        av_frame_free(&frame);
    }
}

/* ---- Films --------------------------------------------------------------------------------- */

/* Reads a film into a Y4M file; its time stamps, up to `most`, into `stamps`. Returns the number of
 * frames. */
static int read_film(const char *path, struct input_info *info, int64_t *stamps, int most)
{
    struct error error;
    struct input *input;
    struct xc_picture *picture;
    int64_t stamp;
    int result, frames = 0;
    if (input_open(path, &input, &error) < 0)
        fail_msg("%s", error.message);
    *info = *input_info(input);
    FILE *file = fopen(scratch("ours.y4m"), "wb");
    assert_int_equal(y4m_write_header(file, &info->format, &error), 0);
    for (; (result = input_read(input, &picture, &stamp, &error)) == 1; frames++) {
        assert_int_equal(y4m_write(file, picture, &error), 0);
        xc_picture_unref(picture);
        if (frames < most)
            stamps[frames] = stamp;
    }
    assert_int_equal(result, 0);
    fclose(file);
    input_close(input);
    return frames;
}

/* The pictures of our reading and of ffmpeg's with the same conversion. */
static void assert_pictures_as_ffmpeg(const char *path)
{
    char *theirs = run_ffmpeg("-v error -i %s -an -fps_mode passthrough -vf "
                              "scale=flags=bicubic+accurate_rnd+bitexact+full_chroma_inp:"
                              "out_range=limited -pix_fmt yuv420p -f md5 -",
                              path);
    char *ours = run_ffmpeg("-v error -i %s -f md5 -", scratch("ours.y4m"));
    const char *a = strstr(theirs, "MD5="), *b = strstr(ours, "MD5=");
    assert_non_null(a);
    assert_non_null(b);
    assert_string_equal(a, b);
    free(theirs);
    free(ours);
}

#define SOURCE "-f lavfi -i testsrc2=s=96x64:r=30000/1001:d=1"

static void kinds_of_films(void **state)
{
    static const struct {
        const char *name, *options, *converted;
    } kinds[] = {
        {"h264.mp4", "-c:v libx264 -bf 2 -pix_fmt yuv420p", ""},
        {"vp8.webm", "-c:v libvpx -b:v 1M -auto-alt-ref 1 -lag-in-frames 10", ""},
        {"mpeg4.avi", "-c:v mpeg4 -q:v 3", ""},
        {"prores.mov", "-c:v prores_ks", "10-bit 4:2:2 to 8-bit 4:2:0"},
        {"rgb.mkv", "-c:v ffv1 -pix_fmt bgr0", "8-bit RGB to 8-bit 4:2:0"},
        {"full.mkv", "-c:v mjpeg -q:v 2 -pix_fmt yuvj420p", "full range to limited range"},
        {"ten.y4m", "-pix_fmt yuv420p10 -strict -1", "10-bit 4:2:0 to 8-bit 4:2:0"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct input_info info;
        int64_t stamps[30];
        const char *path = scratch(kinds[i].name);
        free(run_ffmpeg(SOURCE " %s %s", kinds[i].options, path));
        assert_int_equal(read_film(path, &info, stamps, 30), 30);
        assert_string_equal(info.converted, kinds[i].converted);
        assert_int_equal(info.format.width, 96);
        assert_int_equal(info.format.height, 64);
        assert_in_range(info.frames ? info.frames : 30, 29, 31);
        assert_false(info.has_audio);
        assert_false(info.interlaced);
        double seconds = (double)(stamps[29] - stamps[0]) * info.time_base.numerator /
                         info.time_base.denominator;
        assert_near(seconds, 29 * 1001 / 30000.0, 0.002);
        assert_pictures_as_ffmpeg(path);
    }
}

static void shape_and_colour(void **state)
{
    struct input_info info;
    free(run_ffmpeg(SOURCE
                    " -vf setsar=4/3,setfield=tff -c:v libx264 -pix_fmt yuv420p -flags +ildct+ilme "
                    "-color_primaries bt709 -color_trc bt709 -colorspace bt709 %s",
                    scratch("shaped.mp4")));
    assert_int_equal(read_film(scratch("shaped.mp4"), &info, NULL, 0), 30);
    assert_int_equal(info.format.pixel_aspect.numerator, 4);
    assert_int_equal(info.format.pixel_aspect.denominator, 3);
    assert_int_equal(info.format.colour.primaries, 1);
    assert_int_equal(info.format.colour.transfer, 1);
    assert_int_equal(info.format.colour.matrix, 1);
    assert_int_equal(info.format.frame_rate.numerator, 30000);
    assert_true(info.interlaced);
    free(run_ffmpeg("-i %s -c copy -metadata:s:v rotate=90 %s", scratch("shaped.mp4"),
                    scratch("turned.mp4")));
    assert_int_equal(read_film(scratch("turned.mp4"), &info, NULL, 0), 30);
    assert_int_equal(info.format.width, 64);
    assert_int_equal(info.format.height, 96);
    assert_int_equal(info.format.pixel_aspect.numerator, 3);
    assert_contains(info.converted, "turned by");
    assert_pictures_as_ffmpeg(scratch("turned.mp4"));
}

static void variable_frame_rate(void **state)
{
    struct input_info info;
    int64_t stamps[4];
    free(run_ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=0.44 -vf "
                    "'select=eq(n\\,0)+eq(n\\,1)+eq(n\\,4)+eq(n\\,10)' -fps_mode vfr -c:v ffv1 %s",
                    scratch("vfr.mkv")));
    assert_int_equal(read_film(scratch("vfr.mkv"), &info, stamps, 4), 4);
    assert_int_equal(info.time_base.denominator / info.time_base.numerator, 1000);
    assert_int_equal(stamps[1] - stamps[0], 40);
    assert_int_equal(stamps[2] - stamps[0], 160);
    assert_int_equal(stamps[3] - stamps[0], 400);
}

static void sound_is_noticed(void **state)
{
    struct input_info info;
    free(run_ffmpeg(SOURCE " -f lavfi -i sine=d=1 -c:v mpeg4 -c:a libopus %s", scratch("av.mkv")));
    assert_int_equal(read_film(scratch("av.mkv"), &info, NULL, 0), 30);
    assert_true(info.has_audio);
}

static void damage_is_passed_over_the_same_each_time(void **state)
{
    size_t size, sizes[2];
    struct input_info info;
    char *reads[2];
    /* At other presets x264's bytes vary with what lies in fresh memory, and so with MALLOC_PERTURB_,
     * and so does what the damage hits. */
    free(run_ffmpeg("-f lavfi -i testsrc2=s=320x240:r=25:d=2 -c:v libx264 -preset ultrafast %s",
                    scratch("film.mkv")));
    char *film = read_file(scratch("film.mkv"), &size);
    for (size_t i = size / 4; i < size * 3 / 4; i += 997)
        film[i] ^= 0x55;
    write_file(scratch("damaged.mkv"), film, size);
    free(film);
    for (int i = 0; i < 2; i++) {
        assert_in_range(read_film(scratch("damaged.mkv"), &info, NULL, 0), 30, 50);
        reads[i] = read_file(scratch("ours.y4m"), &sizes[i]);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(reads[0], reads[1], sizes[0]);
    free(reads[0]);
    free(reads[1]);
}

/* ---- What is refused ----------------------------------------------------------------------- */

static void assert_refused(const char *path, const char *words)
{
    struct input *input;
    struct error error = {0};
    assert_true(input_open(path, &input, &error) < 0);
    assert_null(input);
    assert_contains(error.message, words);
    assert_contains(error.message, path);
}

/* Frames of PNG stand alone, so that damage takes away just those that it hits. */
static void picture_before_stands_in_for_a_damaged_one(void **state)
{
    size_t size, size_y4m;
    struct input_info info;
    int64_t stamps[30];
    free(run_ffmpeg("-f lavfi -i testsrc2=s=96x64:r=25:d=1.2 -c:v png %s", scratch("film.mkv")));
    char *film = read_file(scratch("film.mkv"), &size);
    int packet = 0;
    for (size_t i = 0; i + 8 < size; i++)
        if (memcmp(film + i, "IDAT", 4) == 0 && (++packet == 12 || packet == 13))
            memset(film + i + 4, 0xff, 4); /* no header of zlib */
    assert_int_equal(packet, 30);
    write_file(scratch("damaged.mkv"), film, size);
    free(film);
    assert_int_equal(read_film(scratch("damaged.mkv"), &info, stamps, 30), 30);
    for (int i = 0; i < 30; i++)
        assert_int_equal(stamps[i], 40 * i);
    char *pictures = read_file(scratch("ours.y4m"), &size_y4m);
    size_t frame = 6 + 96 * 64 * 3 / 2, first = size_y4m - 30 * frame;
    for (int i = 1; i < 30; i++) {
        const char *now = pictures + first + i * frame;
        bool same = memcmp(now, now - frame, frame) == 0;
        assert_int_equal(same, i == 11 || i == 12);
    }
    free(pictures);
}

static void no_film(void **state)
{
    char text[4000];
    memset(text, 'n', sizeof text);
    for (size_t i = 70; i < sizeof text; i += 71)
        text[i] = '\n';
    assert_refused(scratch("none.mp4"), "No such file");
    assert_refused(scratch(""), "directory");
    write_file(scratch("empty.mp4"), "", 0);
    assert_refused(scratch("empty.mp4"), "empty");
    write_file(scratch("notes.txt"), text, sizeof text);
    assert_refused(scratch("notes.txt"), "not a film");
    write_file(scratch("bare.y4m"), "YUV4MPEG2 W64 H48 F25:1\n", 24);
    assert_refused(scratch("bare.y4m"), "bare.y4m");
    if (geteuid() != 0) {
        write_file(scratch("locked.mp4"), "x", 1);
        chmod(scratch("locked.mp4"), 0);
        assert_refused(scratch("locked.mp4"), "Permission");
    }
}

static void no_video(void **state)
{
    free(run_ffmpeg("-f lavfi -i sine=d=0.5 %s", scratch("sound.wav")));
    assert_refused(scratch("sound.wav"), "no video stream");
    free(run_ffmpeg("-i %s -f lavfi -i color=s=64x64 -frames:v 1 -c:v png "
                    "-disposition:v attached_pic %s",
                    scratch("sound.wav"), scratch("cover.mp3")));
    assert_refused(scratch("cover.mp3"), "no video stream");
}

static void too_large(void **state)
{
    free(run_ffmpeg("-f lavfi -i color=s=16400x16 -frames:v 1 -c:v ffv1 %s", scratch("wide.mkv")));
    assert_refused(scratch("wide.mkv"), "16383");
}

static void cut_y4m_is_said(void **state)
{
    size_t size;
    struct error error = {0};
    struct input *input;
    struct xc_picture *picture;
    int64_t stamp;
    int result, frames = 0;
    free(run_ffmpeg(SOURCE " -pix_fmt yuv420p %s", scratch("film.y4m")));
    char *film = read_file(scratch("film.y4m"), &size);
    write_file(scratch("film.y4m"), film, size - 100);
    free(film);
    assert_int_equal(input_open(scratch("film.y4m"), &input, &error), 0);
    for (; (result = input_read(input, &picture, &stamp, &error)) == 1; frames++)
        xc_picture_unref(picture);
    assert_int_equal(frames, 29);
    assert_int_equal(result, -EINVAL);
    assert_contains(error.message, "cut off");
    input_close(input);
}

static void a_colon_in_the_name(void **state)
{
    struct input_info info;
    free(run_ffmpeg(SOURCE " -c:v mpeg4 -f matroska 'file:%s'", scratch("part:1%d?.mkv")));
    assert_int_equal(read_film(scratch("part:1%d?.mkv"), &info, NULL, 0), 30);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(eight_orientations),
        TEST(full_range_becomes_limited),
        TEST(rgb_takes_the_matrix_of_its_size),
        TEST(later_frames_take_the_first_size),
        TEST(what_is_converted_is_said),
        TEST(kinds_of_films),
        TEST(shape_and_colour),
        TEST(variable_frame_rate),
        TEST(sound_is_noticed),
        TEST(damage_is_passed_over_the_same_each_time),
        TEST(picture_before_stands_in_for_a_damaged_one),
        TEST(no_film),
        TEST(no_video),
        TEST(too_large),
        TEST(cut_y4m_is_said),
        TEST(a_colon_in_the_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
