#include "store_support.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int descriptors_before;

static int remove_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    return remove(path);
}

static int entries_below;

static int count_entry(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    entries_below++;
    return 0;
}

int count_below(const char *path)
{
    entries_below = -1;
    assert_int_equal(nftw(path, count_entry, 16, FTW_PHYS), 0);
    return entries_below;
}

int count_descriptors(void)
{
    int count = 0;
    DIR *entries = opendir("/proc/self/fd");
    assert_non_null(entries);
    while (readdir(entries) != NULL)
        count++;
    closedir(entries);
    return count;
}

void bench_open(struct bench *bench, const char *place)
{
    struct error error = {0};
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    if (store_open(&bench->loop, place, &bench->store, &error) < 0)
        fail_msg("%s", error.message);
}

void bench_count_closed(void *opaque)
{
    ++*(int *)opaque;
}

void bench_close(struct bench *bench)
{
    int closed = 0;
    store_close(bench->store, bench_count_closed, &closed);
    assert_int_equal(closed, 0);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(closed, 1);
    assert_int_equal(uv_loop_close(&bench->loop), 0);
}

/* The first loop of a process opens what all share, for good. */
static void open_shared(void)
{
    uv_loop_t loop;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(uv_loop_close(&loop), 0);
}

int bench_make(void **state)
{
    open_shared();
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    strcpy(bench->folder, "/tmp/excamera-test-XXXXXX");
    assert_non_null(mkdtemp(bench->folder));
    bench->local = open(bench->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    snprintf(bench->place, sizeof bench->place, "%s/store", bench->folder);
    descriptors_before = count_descriptors();
    bench_open(bench, bench->place);
    *state = bench;
    return 0;
}

int bench_remove(void **state)
{
    struct bench *bench = *state;
    bench_close(bench);
    int left = count_descriptors() - descriptors_before;
    close(bench->local);
    nftw(bench->folder, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
    free(bench);
    if (left > 0)
        print_error("%d descriptors are left open\n", left);
    return left > 0;
}

void bench_wait(struct bench *bench, const struct ended *ended)
{
    while (ended->calls == 0)
        assert_int_not_equal(uv_run(&bench->loop, UV_RUN_ONCE) + ended->calls, 0);
    assert_int_equal(ended->calls, 1);
}

void ended_done(void *opaque, const struct store_result *result)
{
    struct ended *ended = opaque;
    ended->calls++;
    ended->error = result->error;
    ended->identity = result->identity;
    ended->count = result->count;
    ended->more = result->more;
    for (size_t i = 0; result->entries != NULL && i < result->count; i++)
        snprintf(ended->keys[i], sizeof ended->keys[i], "%s", result->entries[i].key);
}

void local_write(struct bench *bench, const char *name, const void *data, size_t size)
{
    int fd = openat(bench->local, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

void local_expect(struct bench *bench, const char *name, const void *data, size_t size)
{
    struct stat status;
    int fd = openat(bench->local, name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, size);
    uint8_t *found = malloc(size + 1);
    assert_non_null(found);
    assert_int_equal(read(fd, found, size), size);
    assert_memory_equal(found, data, size);
    free(found);
    close(fd);
}

uint8_t *noise(size_t size, uint32_t seed)
{
    uint8_t *data = malloc(size);
    assert_non_null(data);
    for (size_t i = 0; i < size; i++) {
        seed = seed * 1664525u + 1013904223u;
        data[i] = (uint8_t)(seed >> 24);
    }
    return data;
}

/* Waits for the operation that a call has begun; a refused one has its error in *error. */
static int finish(struct bench *bench, int started, const struct error *error, struct ended *ended)
{
    if (started < 0) {
        assert_int_equal(error->code, started);
        ended->error = *error;
        return started;
    }
    assert_int_equal(ended->calls, 0);
    bench_wait(bench, ended);
    return ended->error.code;
}

int put(struct bench *bench, const char *local, const char *key, uint32_t attempt,
        struct ended *ended)
{
    struct error error = {0};
    struct store_put what = {.from = {bench->local, local}, .key = key, .attempt = attempt};
    memset(ended, 0, sizeof *ended);
    int started = store_put(bench->store, &what, ended_done, ended, NULL, &error);
    return finish(bench, started, &error, ended);
}

int get(struct bench *bench, const char *key, const char *local, struct ended *ended)
{
    struct error error = {0};
    struct store_get what = {.key = key, .to = {bench->local, local}, .length = STORE_TO_END};
    memset(ended, 0, sizeof *ended);
    int started = store_get(bench->store, &what, ended_done, ended, NULL, &error);
    return finish(bench, started, &error, ended);
}

int adopt(struct bench *bench, const char *key, uint32_t attempt,
          const struct store_identity *identity, struct ended *ended)
{
    struct error error = {0};
    struct store_identity copy = *identity;
    memset(ended, 0, sizeof *ended);
    int started = store_adopt(bench->store, key, attempt, &copy, ended_done, ended, NULL, &error);
    memset(&copy, 0, sizeof copy);
    return finish(bench, started, &error, ended);
}

int stat_key(struct bench *bench, const char *key, struct ended *ended)
{
    struct error error = {0};
    memset(ended, 0, sizeof *ended);
    int started = store_stat(bench->store, key, ended_done, ended, NULL, &error);
    return finish(bench, started, &error, ended);
}

int list(struct bench *bench, const char *prefix, const char *after, size_t limit,
         struct ended *ended)
{
    struct error error = {0};
    memset(ended, 0, sizeof *ended);
    int started = store_list(bench->store, prefix, after, limit, ended_done, ended, NULL, &error);
    return finish(bench, started, &error, ended);
}

void make_object(struct bench *bench, const char *key, const char *text)
{
    static struct ended ended;
    local_write(bench, "object", text, strlen(text));
    if (put(bench, "object", key, 1, &ended) < 0)
        fail_msg("%s", ended.error.message);
    struct store_identity identity = ended.identity;
    if (adopt(bench, key, 1, &identity, &ended) < 0)
        fail_msg("%s", ended.error.message);
}
