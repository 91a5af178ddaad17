/*
 * Scratch folders as archives: what is packed comes out as it was, and whatever an archive says, nothing
 * outside the folder is touched.
 */
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "mu/scratch_archive.h"

struct bench {
    char path[512];
    int root, from, to; /* folders */
    int file;
    struct error error;
};

static int make_folder(int parent, const char *name)
{
    assert_int_equal(mkdirat(parent, name, 0700), 0);
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY);
    assert_true(fd >= 0);
    return fd;
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    const char *parent = getenv("TMPDIR");
    snprintf(bench->path, sizeof bench->path, "%s/excamera-test-XXXXXX", parent ? parent : "/tmp");
    assert_non_null(mkdtemp(bench->path));
    bench->root = open(bench->path, O_RDONLY | O_DIRECTORY);
    bench->from = make_folder(bench->root, "from");
    bench->to = make_folder(bench->root, "to");
    bench->file = openat(bench->root, "archive", O_RDWR | O_CREAT | O_EXCL, 0600);
    assert_true(bench->root >= 0 && bench->file >= 0);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    struct bench *bench = *state;
    char command[600];
    close(bench->file);
    close(bench->from);
    close(bench->to);
    close(bench->root);
    snprintf(command, sizeof command, "rm -rf '%s'", bench->path);
    assert_int_equal(system(command), 0);
    free(bench);
    return 0;
}

static void put(int folder, const char *name, const char *content, size_t size, mode_t mode)
{
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL, mode);
    assert_true(file >= 0);
    assert_int_equal(write(file, content, size), size);
    assert_int_equal(fchmod(file, mode), 0);
    close(file);
}

static void shell(const struct bench *bench, const char *script)
{
    char command[1200];
    snprintf(command, sizeof command, "cd '%s' && %s", bench->path, script);
    assert_int_equal(system(command), 0);
}

static int unpack(struct bench *bench, int64_t most)
{
    assert_int_equal(lseek(bench->file, 0, SEEK_SET), 0);
    return scratch_unpack(bench->file, bench->to, most, &bench->error);
}

static void everything_comes_back(void **state)
{
    struct bench *bench = *state;
    char *large = malloc(3000000);
    for (size_t i = 0; i < 3000000; i++)
        large[i] = (char)(i * i >> 7);
    put(bench->from, "large", large, 3000000, 0644);
    put(bench->from, "empty", "", 0, 0600);
    put(bench->from, "program", "#!/bin/sh\n", 10, 0755);
    put(bench->from, "a name \xc3\xa4 -with* [all]", "x", 1, 0444);
    shell(bench, "mkdir -p from/a/b/c from/hollow && echo deep >from/a/b/c/file &&"
                 "ln -s ../nowhere from/a/link && ln -s /etc/passwd from/passwd &&"
                 "touch -d '2001-02-03 04:05:06.789' from/empty");
    if (scratch_pack(bench->from, bench->file, &bench->error) != 0 || unpack(bench, 4000000) != 0)
        fail_msg("%s", bench->error.message);
    shell(bench, "diff -r --no-dereference from to && cd from &&"
                 "find . ! -type d -printf '%p %y %m %s %T@ %l\\n' | sort >../one && cd ../to &&"
                 "find . ! -type d -printf '%p %y %m %s %T@ %l\\n' | sort >../two &&"
                 "grep -v ' l ' ../one >../one.files && grep -v ' l ' ../two >../two.files &&"
                 "cmp ../one.files ../two.files && test -d hollow");
    free(large);
}

static void an_empty_folder_is_one(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(scratch_pack(bench->from, bench->file, &bench->error), 0);
    assert_int_equal(unpack(bench, 0), 0);
    shell(bench, "diff -r from to");
}

static void what_cannot_be_packed_is_named(void **state)
{
    struct bench *bench = *state;
    assert_int_equal(mkfifoat(bench->from, "pipe", 0600), 0);
    assert_int_equal(scratch_pack(bench->from, bench->file, &bench->error), -EINVAL);
    assert_non_null(strstr(bench->error.message, "pipe"));
    assert_int_equal(unlinkat(bench->from, "pipe", 0), 0);
    shell(bench, "cd from && for i in $(seq 120); do mkdir d && cd d || exit 1; done");
    assert_int_equal(ftruncate(bench->file, 0), 0);
    assert_int_equal(lseek(bench->file, 0, SEEK_SET), 0);
    assert_int_equal(scratch_pack(bench->from, bench->file, &bench->error), -E2BIG);
}

static void no_more_is_written_than_may_be(void **state)
{
    struct bench *bench = *state;
    char bytes[5000] = "";
    put(bench->from, "a", bytes, sizeof bytes, 0600);
    put(bench->from, "b", bytes, sizeof bytes, 0600);
    assert_int_equal(scratch_pack(bench->from, bench->file, &bench->error), 0);
    assert_int_equal(unpack(bench, 9999), -E2BIG);
}

/* ---- Archives that others made ------------------------------------------------------------- */

struct made {
    const char *path, *link, *hardlink;
    mode_t type;
};

static void make(struct bench *bench, const struct made *made, int count)
{
    struct archive *archive = archive_write_new();
    assert_int_equal(archive_write_set_format_pax(archive), ARCHIVE_OK);
    assert_int_equal(archive_write_add_filter_zstd(archive), ARCHIVE_OK);
    assert_int_equal(ftruncate(bench->file, 0), 0);
    assert_int_equal(lseek(bench->file, 0, SEEK_SET), 0);
    assert_int_equal(archive_write_open_fd(archive, bench->file), ARCHIVE_OK);
    for (int i = 0; i < count; i++) {
        struct archive_entry *entry = archive_entry_new();
        archive_entry_set_pathname(entry, made[i].path);
        archive_entry_set_filetype(entry, made[i].type);
        archive_entry_set_perm(entry, 06777);
        archive_entry_set_size(entry, made[i].type == S_IFREG && !made[i].hardlink ? 4 : 0);
        if (made[i].link != NULL)
            archive_entry_set_symlink(entry, made[i].link);
        if (made[i].hardlink != NULL)
            archive_entry_set_hardlink(entry, made[i].hardlink);
        assert_int_equal(archive_write_header(archive, entry), ARCHIVE_OK);
        if (archive_entry_size(entry) > 0)
            assert_int_equal(archive_write_data(archive, "evil", 4), 4);
        archive_entry_free(entry);
    }
    assert_int_equal(archive_write_close(archive), ARCHIVE_OK);
    archive_write_free(archive);
}

static void archives_cannot_leave_the_folder(void **state)
{
    struct bench *bench = *state;
    char absolute[600];
    snprintf(absolute, sizeof absolute, "%s/outside/file", bench->path);
    const struct made bad[][2] = {
        {{.path = "../outside/file", .type = S_IFREG}},
        {{.path = "a/../../outside/file", .type = S_IFREG}},
        {{.path = absolute, .type = S_IFREG}},
        {{.path = "way", .link = "../outside", .type = S_IFLNK},
         {.path = "way/file", .type = S_IFREG}},
        {{.path = "file", .link = "../outside/file", .type = S_IFLNK},
         {.path = "file", .type = S_IFREG}},
        {{.path = "file", .hardlink = "../outside/known", .type = S_IFREG}},
        {{.path = "device", .type = S_IFCHR}},
        {{.path = "pipe", .type = S_IFIFO}},
        {{.path = "twice", .type = S_IFREG}, {.path = "twice", .type = S_IFREG}},
        {{.path = "./file", .type = S_IFREG}},
    };
    shell(bench, "mkdir outside && echo mine >outside/known");
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        shell(bench, "rm -rf to/*");
        make(bench, bad[i], bad[i][1].path != NULL ? 2 : 1);
        bench->error.message[0] = '\0';
        assert_true(unpack(bench, 1000) < 0);
        assert_true(bench->error.message[0] != '\0');
        shell(bench, "test \"$(ls -A outside)\" = known && test \"$(cat outside/known)\" = mine");
    }
    /* Not one bit more than the mode of a file. */
    const struct made good = {.path = "file", .type = S_IFREG};
    struct stat stat;
    shell(bench, "rm -rf to/*");
    make(bench, &good, 1);
    assert_int_equal(unpack(bench, 1000), 0);
    assert_int_equal(fstatat(bench->to, "file", &stat, 0), 0);
    assert_int_equal(stat.st_mode & 07777, 0777);
}

static void damage_is_found(void **state)
{
    struct bench *bench = *state;
    char bytes[20000];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (char)(i * i >> 5);
    put(bench->from, "file", bytes, sizeof bytes, 0600);
    assert_int_equal(scratch_pack(bench->from, bench->file, &bench->error), 0);
    off_t size = lseek(bench->file, 0, SEEK_END);
    for (off_t cut = 1; cut < size; cut += size / 7) {
        shell(bench, "rm -rf to/*");
        assert_int_equal(ftruncate(bench->file, size - cut), 0);
        assert_true(unpack(bench, 1000000) < 0);
    }
    assert_int_equal(ftruncate(bench->file, 0), 0);
    assert_int_equal(pwrite(bench->file, bytes, 5000, 0), 5000);
    assert_true(unpack(bench, 1000000) < 0);
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        BENCH_TEST(everything_comes_back),
        BENCH_TEST(an_empty_folder_is_one),
        BENCH_TEST(what_cannot_be_packed_is_named),
        BENCH_TEST(no_more_is_written_than_may_be),
        BENCH_TEST(archives_cannot_leave_the_folder),
        BENCH_TEST(damage_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
