/* A store whose file system fails, and writers that are killed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_support.h"

static struct ended ended;

/* Mounts a file system of 1 MiB at "small" in the scratch folder; where that is not allowed, the test is
 * skipped. */
static void mount_small(struct bench *bench, char place[100])
{
    snprintf(place, 100, "%s/small", bench->folder);
    assert_int_equal(mkdir(place, 0777), 0);
    if (mount("none", place, "tmpfs", 0, "size=1m") == 0)
        return;
    print_message("skipped: mounting is not allowed here (%s)\n", strerror(errno));
    skip();
}

static void full_disk(void **state)
{
    struct bench *bench = *state;
    struct bench small = {.local = bench->local};
    char place[100];
    uint8_t *data = noise(3 << 20, 1);
    local_write(bench, "large", data, 3 << 20);
    local_write(bench, "little", data, 300000);
    free(data);
    mount_small(bench, place);
    bench_open(&small, place);
    assert_int_equal(put(&small, "little", "a", 1, &ended), 0);
    assert_int_equal(put(&small, "large", "b", 1, &ended), -ENOSPC);
    assert_contains(ended.error.message, "cannot put b in the store");
    assert_contains(ended.error.message, "full");
    assert_int_equal(count_below(place), 1);
    assert_int_equal(put(&small, "little", "b", 1, &ended), 0);
    /* The same for the side that gets. */
    assert_int_equal(put(bench, "large", "large", 1, &ended), 0);
    assert_int_equal(get(bench, "large.attempt-1", "small/large", &ended), -ENOSPC);
    assert_contains(ended.error.message, "cannot write small/large");
    assert_int_equal(count_below(place), 2);
    bench_close(&small);
    assert_int_equal(umount(place), 0);
}

static void read_only_for_a_while(void **state)
{
    struct bench *bench = *state;
    struct bench small = {.local = bench->local};
    struct error error = {0};
    char place[100];
    local_write(bench, "in", "text", 4);
    mount_small(bench, place);
    bench_open(&small, place);
    assert_int_equal(put(&small, "in", "a", 1, &ended), 0);
    struct store_identity identity = ended.identity;
    assert_int_equal(mount("none", place, "tmpfs", MS_REMOUNT | MS_RDONLY, "size=1m"), 0);
    assert_int_equal(put(&small, "in", "b", 1, &ended), -EROFS);
    assert_contains(ended.error.message, "read-only");
    assert_int_equal(put(&small, "in", "folder/b", 1, &ended), -EROFS);
    assert_int_equal(adopt(&small, "a", 1, &identity, &ended), -EROFS);
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_delete(small.store, "a.attempt-1", ended_done, &ended, NULL, &error), 0);
    bench_wait(&small, &ended);
    assert_int_equal(ended.error.code, -EROFS);
    assert_int_equal(get(&small, "a.attempt-1", "out", &ended), 0);
    assert_int_equal(mount("none", place, "tmpfs", MS_REMOUNT, "size=1m"), 0);
    assert_int_equal(put(&small, "in", "b", 1, &ended), 0);
    assert_int_equal(adopt(&small, "a", 1, &identity, &ended), 0);
    bench_close(&small);
    assert_int_equal(umount(place), 0);
}

static int in_child(void (*run)(struct bench *bench), struct bench *bench)
{
    int status;
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        run(bench);
        _exit(EXIT_SUCCESS);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "not so: %s (%s)\n", #condition, ended.error.message);                 \
            _exit(EXIT_FAILURE);                                                                   \
        }                                                                                          \
    } while (0)

static void without_rights(struct bench *bench)
{
    struct bench other = {.local = bench->local};
    /* Root may do anything. */
    CLAIM(getuid() != 0 || setresuid(65534, 65534, 65534) == 0);
    bench_open(&other, bench->place);
    CLAIM(put(&other, "in", "a", 1, &ended) == -EACCES);
    CLAIM(strstr(ended.error.message, "permission denied") != NULL);
    CLAIM(get(&other, "b.attempt-1", "out", &ended) == -EACCES);
    CLAIM(strstr(ended.error.message, "cannot write out") != NULL);
    CLAIM(get(&other, "c.attempt-1", "out", &ended) == -EACCES);
    CLAIM(strstr(ended.error.message, "cannot get c.attempt-1") != NULL);
}

static void permissions(void **state)
{
    struct bench *bench = *state;
    local_write(bench, "in", "text", 4);
    assert_int_equal(put(bench, "in", "b", 1, &ended), 0);
    assert_int_equal(put(bench, "in", "c", 1, &ended), 0);
    assert_int_equal(fchmodat(bench->local, "store/c.attempt-1", 0, 0), 0);
    assert_int_equal(chmod(bench->place, 0555), 0);
    assert_int_equal(fchmod(bench->local, 0555), 0);
    assert_int_equal(in_child(without_rights, bench), 0);
    assert_int_equal(chmod(bench->place, 0755), 0);
    assert_int_equal(fchmod(bench->local, 0755), 0);
}

/* Puts the same file again and again until it is killed. */
static void put_for_ever(struct bench *bench)
{
    struct bench own = {.local = bench->local};
    bench_open(&own, bench->place);
    for (uint32_t attempt = 1;; attempt++)
        CLAIM(put(&own, "in", "folder/a", attempt, &ended) == 0);
}

/* Whatever moment a writer is killed at, each object there is whole. */
static void killed_writers(void **state)
{
    enum { SIZE = 4 << 20 };
    struct bench *bench = *state;
    struct error error = {0};
    uint8_t *data = noise(SIZE, 7);
    local_write(bench, "in", data, SIZE);
    for (int round = 0; round < 12; round++) {
        fflush(NULL);
        pid_t child = fork();
        if (child == 0)
            put_for_ever(bench);
        assert_true(child > 0);
        usleep(3000 + (useconds_t)round * 4000);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        assert_int_equal(list(bench, "", "", 100, &ended), 0);
        struct ended *listed = malloc(sizeof ended);
        assert_non_null(listed);
        *listed = ended;
        for (size_t i = 0; i < listed->count; i++) {
            assert_int_equal(get(bench, listed->keys[i], "out", &ended), 0);
            local_expect(bench, "out", data, SIZE);
        }
        free(listed);
        memset(&ended, 0, sizeof ended);
        assert_int_equal(
            store_delete_prefix(bench->store, "folder/", ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(count_below(bench->place), 0);
    }
    free(data);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_make, bench_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(full_disk),
        TEST(read_only_for_a_while),
        TEST(permissions),
        TEST(killed_writers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
