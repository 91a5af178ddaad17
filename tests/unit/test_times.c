/* What is said of a chunk for whoever joins the film: written, read, and refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "encode/times.h"

static char path[] = "/tmp/test-times-XXXXXX";

static int make_file(void **state)
{
    int file = mkstemp(path);
    (void)state;
    return file < 0 ? -1 : close(file);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

static struct frame_time shown[] = {{INT64_MIN, 1}, {-7, INT64_MAX}, {1001, 1}};

static struct times sample(void)
{
    return (struct times){
        .info =
            {
                .format = {1920, 818, {30000, 1001}, {4, 3}, {9, 16, 10, true}},
                .time_base = {1001, 30000},
                .begin = -123456789012345,
                .has_audio = true,
                .interlaced = true,
                .converted = "10-bit \"4:2:2\" to 8-bit 4:2:0",
                .source = "mov, h264",
            },
        .chunk = {.plan = {.number = 9999999, .frames = 3, .index = 15, .last = true},
                  .time = shown,
                  .last_of_film = true},
    };
}

static void write_text(const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void what_is_written_is_read(void **state)
{
    struct times written = sample(), read;
    struct error error;
    (void)state;
    assert_int_equal(times_write(path, &written, &error), 0);
    assert_int_equal(times_read(path, &read, &error), 0);
    assert_memory_equal(&read.info.format, &written.info.format, sizeof read.info.format);
    assert_memory_equal(&read.info.time_base, &written.info.time_base, sizeof read.info.time_base);
    assert_int_equal(read.info.begin, written.info.begin);
    assert_true(read.info.has_audio && read.info.interlaced && read.chunk.last_of_film);
    assert_string_equal(read.info.converted, written.info.converted);
    assert_string_equal(read.info.source, written.info.source);
    assert_int_equal(read.chunk.plan.number, 9999999);
    assert_int_equal(read.chunk.plan.index, 15);
    assert_true(read.chunk.plan.last);
    assert_int_equal(read.chunk.plan.frames, 3);
    assert_memory_equal(read.chunk.time, shown, sizeof shown);
    free(read.chunk.time);
    /* Each truth value has its own place. */
    bool *const truth[] = {&written.info.has_audio, &written.info.interlaced,
                           &written.chunk.last_of_film, &written.chunk.plan.last,
                           &written.info.format.colour.full_range};
    for (size_t i = 0; i < sizeof truth / sizeof truth[0]; i++) {
        written = sample();
        *truth[i] = false;
        assert_int_equal(times_write(path, &written, &error), 0);
        assert_int_equal(times_read(path, &read, &error), 0);
        assert_int_equal(read.info.has_audio, i != 0);
        assert_int_equal(read.info.interlaced, i != 1);
        assert_int_equal(read.chunk.last_of_film, i != 2);
        assert_int_equal(read.chunk.plan.last, i != 3);
        assert_int_equal(read.info.format.colour.full_range, i != 4);
        free(read.chunk.time);
    }
}

static void refuse(const char *text)
{
    struct times read;
    struct error error;
    write_text(text);
    assert_int_equal(times_read(path, &read, &error), -EINVAL);
    assert_null(read.chunk.time);
    assert_non_null(strstr(error.message, path));
}

/* The sample's file with `from` replaced by `to`. */
static void refuse_changed(const char *from, const char *to)
{
    static char text[4096];
    char changed[5000];
    struct times written = sample();
    struct error error;
    assert_int_equal(times_write(path, &written, &error), 0);
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);
    const char *place = strstr(text, from);
    assert_non_null(place);
    snprintf(changed, sizeof changed, "%.*s%s%s", (int)(place - text), text, to,
             place + strlen(from));
    refuse(changed);
}

static void other_files_are_refused(void **state)
{
    struct times read;
    struct error error;
    (void)state;
    refuse("");
    refuse("{}");
    refuse("[1]");
    refuse("not JSON");
    refuse_changed("\"index\":15,", "");
    refuse_changed("\"index\":15", "\"index\":\"15\"");
    refuse_changed("\"index\":15", "\"index\":15,\"more\":1");
    refuse_changed("[1001,30000]", "[1001,0]");
    refuse_changed("[1001,30000]", "[-1,25]");
    refuse_changed("[1001,30000]", "[1001]");
    refuse_changed(",[1001,1]]", ",[1001]]");
    refuse_changed(",[1001,1]]", ",[1001,1,1]]");
    refuse_changed(",[1001,1]]", ",7]");
    refuse_changed(",[1001,1]]}", "");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(times_read(path, &read, &error), -EINVAL);
    write_text("");
}

static void the_number_of_pictures_is_bounded(void **state)
{
    struct times read;
    struct error error;
    struct times written = sample();
    (void)state;
    written.chunk.plan.frames = 0;
    assert_int_equal(times_write(path, &written, &error), 0);
    assert_int_equal(times_read(path, &read, &error), -EINVAL);
    written.chunk.time = calloc(PLAN_MOST_FRAMES + 1, sizeof *written.chunk.time);
    assert_non_null(written.chunk.time);
    for (int more = 0; more <= 1; more++) {
        written.chunk.plan.frames = PLAN_MOST_FRAMES + more;
        assert_int_equal(times_write(path, &written, &error), 0);
        assert_int_equal(times_read(path, &read, &error), more ? -EINVAL : 0);
        free(read.chunk.time);
    }
    free(written.chunk.time);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(the_number_of_pictures_is_bounded),
    };
    return cmocka_run_group_tests(tests, make_file, remove_file);
}
