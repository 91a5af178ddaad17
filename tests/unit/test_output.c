/* Outputs appear complete or not at all. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "media_support.h"
#include "util/output.h"

static struct output *begin(const char *path, bool overwrite)
{
    struct output *output;
    struct error error = {0};
    if (output_open(path, overwrite, &output, &error) < 0)
        fail_msg("%s", error.message);
    assert_true(fputs("new", output_stream(output)) >= 0);
    return output;
}

static void assert_content(const char *path, const char *content)
{
    size_t size;
    char *found = read_file(path, &size);
    assert_string_equal(found, content);
    free(found);
}

static void commit_shows_the_file(void **state)
{
    struct error error;
    const char *path = scratch("out");
    struct output *output = begin(path, false);
    assert_int_equal(access(path, F_OK), -1);
    assert_int_equal(output_commit(output, &error), 0);
    assert_content(path, "new");
    assert_int_equal(scratch_count(), 1);
}

static void abort_leaves_nothing(void **state)
{
    output_abort(begin(scratch("out"), false));
    assert_int_equal(scratch_count(), 0);
    output_abort(NULL);
}

static void existing_file_is_kept(void **state)
{
    struct output *output;
    struct error error;
    const char *path = scratch("out");
    write_file(path, "old", 3);
    assert_int_equal(output_open(path, false, &output, &error), -EEXIST);
    assert_null(output);
    assert_contains(error.message, "exists");
    assert_content(path, "old");
    assert_int_equal(scratch_count(), 1);
}

static void overwriting_waits_for_commit(void **state)
{
    struct error error;
    const char *path = scratch("out");
    write_file(path, "old", 3);
    struct output *output = begin(path, true);
    fflush(output_stream(output));
    assert_content(path, "old");
    assert_int_equal(output_commit(output, &error), 0);
    assert_content(path, "new");
    assert_int_equal(scratch_count(), 1);
}

static void file_that_comes_up_meanwhile_is_kept(void **state)
{
    struct error error;
    const char *path = scratch("out");
    struct output *output = begin(path, false);
    write_file(path, "other", 5);
    assert_int_equal(output_commit(output, &error), -EEXIST);
    assert_content(path, "other");
    assert_int_equal(scratch_count(), 1);
}

static void two_outputs_in_one_folder(void **state)
{
    struct error error;
    struct output *a = begin(scratch("a"), false), *b = begin(scratch("b"), false);
    assert_int_equal(output_commit(a, &error), 0);
    assert_int_equal(output_commit(b, &error), 0);
    assert_int_equal(scratch_count(), 2);
}

static void bad_places(void **state)
{
    struct output *output;
    struct error error;
    assert_int_equal(output_open(scratch("no/out"), false, &output, &error), -ENOENT);
    assert_contains(error.message, "no such folder");
    assert_int_equal(output_open(scratch(""), true, &output, &error), -EISDIR);
    assert_contains(error.message, "directory");
}

static void links_are_followed(void **state)
{
    struct error error;
    struct stat status;
    write_file(scratch("target"), "old", 3);
    assert_int_equal(symlink(scratch("target"), scratch("link")), 0);
    assert_int_equal(output_commit(begin(scratch("link"), true), &error), 0);
    assert_int_equal(lstat(scratch("link"), &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_content(scratch("target"), "new");
}

static void devices_stay(void **state)
{
    struct error error;
    struct stat status;
    struct output *output = begin("/dev/null", false);
    assert_string_equal(output_path(output), "/dev/null");
    assert_int_equal(output_commit(output, &error), 0);
    output_abort(begin("/dev/null", true));
    assert_int_equal(stat("/dev/null", &status), 0);
    assert_true(S_ISCHR(status.st_mode));
}

static void full_disk_is_said(void **state)
{
    struct error error;
    assert_int_equal(output_commit(begin("/dev/full", true), &error), -ENOSPC);
    assert_contains(error.message, "space");
}

static void longest_name(void **state)
{
    struct error error;
    char name[256];
    memset(name, 'n', 255);
    name[255] = '\0';
    assert_int_equal(output_commit(begin(scratch(name), false), &error), 0);
    assert_int_equal(access(scratch(name), F_OK), 0);
}

static void permissions_follow_the_umask(void **state)
{
    struct error error;
    struct stat status;
    mode_t before = umask(027);
    assert_int_equal(output_commit(begin(scratch("out"), false), &error), 0);
    umask(before);
    assert_int_equal(stat(scratch("out"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0640);
}

static void private_ones_do_not(void **state)
{
    struct error error;
    struct output *output;
    struct stat status;
    mode_t before = umask(0);
    assert_int_equal(output_open_private(scratch("out"), false, &output, &error), 0);
    assert_int_equal(stat(output_path(output), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(output_commit(output, &error), 0);
    umask(before);
    assert_int_equal(stat(scratch("out"), &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, scratch_make, scratch_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(commit_shows_the_file),
        TEST(abort_leaves_nothing),
        TEST(existing_file_is_kept),
        TEST(overwriting_waits_for_commit),
        TEST(file_that_comes_up_meanwhile_is_kept),
        TEST(two_outputs_in_one_folder),
        TEST(bad_places),
        TEST(links_are_followed),
        TEST(devices_stay),
        TEST(full_disk_is_said),
        TEST(longest_name),
        TEST(permissions_follow_the_umask),
        TEST(private_ones_do_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
