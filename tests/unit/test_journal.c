/* The journal: what was synced is there again, whatever happens to the rest. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "mu/journal.h"

enum { MANY = 4096 };

struct bench {
    uv_loop_t loop;
    char folder[64], path[80];
    struct journal *journal;
    struct error error;
    /* What a replay, or a number of calls of `done`, has brought. */
    int records, calls, failures;
    uint32_t numbers[MANY]; /* the records' first four bytes */
    size_t bytes;
    struct error failure;
};

#define assert_contains(text, part)                                                                \
    do {                                                                                           \
        if (strstr(text, part) == NULL)                                                            \
            fail_msg("'%s' does not say '%s'", text, part);                                        \
    } while (0)

/* Where syncing costs nothing, if there is such a place: thousands of journals are opened here. */
static const char *fast_folder(void)
{
    return access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
}

static int set_up(void **state)
{
    struct bench *bench = calloc(1, sizeof *bench);
    assert_non_null(bench);
    snprintf(bench->folder, sizeof bench->folder, "%s/excamera-test-XXXXXX", fast_folder());
    assert_non_null(mkdtemp(bench->folder));
    snprintf(bench->path, sizeof bench->path, "%s/journal", bench->folder);
    assert_int_equal(uv_loop_init(&bench->loop), 0);
    *state = bench;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const endings[] = {"", ".lock", ".new"};
    struct bench *bench = *state;
    char path[100];
    journal_close(bench->journal);
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", bench->path, endings[i]);
        unlink(path);
    }
    int left = rmdir(bench->folder) != 0;
    left |= uv_loop_close(&bench->loop) != 0;
    free(bench);
    return left;
}

static int replay(void *opaque, uint32_t type, const void *data, size_t size, struct error *error)
{
    struct bench *bench = opaque;
    assert_int_equal(type, size);
    assert_in_range(bench->records, 0, MANY - 1);
    if (size >= 4)
        memcpy(&bench->numbers[bench->records], data, 4);
    for (size_t i = 4; i < size; i++)
        assert_int_equal(((const uint8_t *)data)[i], i & 0xff);
    bench->records++;
    bench->bytes += size;
    return 0;
}

static int reopen(struct bench *bench)
{
    journal_close(bench->journal);
    bench->records = 0;
    bench->bytes = 0;
    return journal_open(&bench->loop, bench->path, replay, bench, &bench->journal, &bench->error);
}

static void must_reopen(struct bench *bench)
{
    if (reopen(bench) < 0)
        fail_msg("%s", bench->error.message);
}

/* Record number `number`: its type is its size. */
static int append(struct bench *bench, uint32_t number, size_t size)
{
    static uint8_t data[JOURNAL_RECORD_MAX];
    for (size_t i = 4; i < size; i++)
        data[i] = i & 0xff;
    memcpy(data, &number, 4);
    return journal_append(bench->journal, (uint32_t)size, data, size, &bench->error);
}

static void done(void *opaque, const struct error *failure)
{
    struct bench *bench = opaque;
    bench->calls++;
    if (failure == NULL)
        return;
    bench->failures++;
    bench->failure = *failure;
}

static void sync_all(struct bench *bench)
{
    int before = bench->calls;
    assert_int_equal(journal_sync(bench->journal, done, bench, &bench->error), 0);
    assert_int_equal(bench->calls, before);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_in_range(bench->calls, before + 1, before + 3); /* others may have waited too */
}

static void assert_numbers(struct bench *bench, int count)
{
    assert_int_equal(bench->records, count);
    for (int i = 0; i < count; i++)
        assert_int_equal(bench->numbers[i], i);
}

static uint8_t *read_whole(const char *path, size_t *size)
{
    struct stat status;
    int fd = open(path, O_RDONLY);
    assert_int_equal(fstat(fd, &status), 0);
    *size = (size_t)status.st_size;
    uint8_t *data = malloc(*size + 1);
    assert_non_null(data);
    assert_int_equal(read(fd, data, *size), *size);
    close(fd);
    return data;
}

static void write_whole(const char *path, const uint8_t *data, size_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, size), size);
    close(fd);
}

static void records_come_back(void **state)
{
    struct bench *bench = *state;
    static const size_t sizes[] = {4, 5, 100, 0, JOURNAL_RECORD_MAX, 4096, JOURNAL_RECORD_MAX - 1};
    must_reopen(bench);
    assert_int_equal(bench->records, 0);
    for (uint32_t i = 0; i < 7; i++)
        assert_int_equal(append(bench, i, sizes[i]), 0);
    assert_in_range(journal_pending(bench->journal), 2 * JOURNAL_RECORD_MAX, JOURNAL_PENDING_MAX);
    sync_all(bench);
    assert_int_equal(journal_pending(bench->journal), 0);
    struct stat status;
    assert_int_equal(stat(bench->path, &status), 0);
    assert_int_equal(journal_size(bench->journal), status.st_size);
    must_reopen(bench);
    assert_int_equal(bench->records, 7);
    assert_int_equal(bench->bytes, 4 + 5 + 100 + 4096 + 2 * JOURNAL_RECORD_MAX - 1);
    assert_int_equal(append(bench, 0, 0), 0);
}

static void epochs_rise(void **state)
{
    struct bench *bench = *state;
    for (uint64_t i = 1; i <= 5; i++) {
        must_reopen(bench);
        assert_int_equal(journal_epoch(bench->journal), i);
    }
    assert_int_equal(bench->records, 0);
}

static void limits(void **state)
{
    struct bench *bench = *state;
    must_reopen(bench);
    assert_int_equal(journal_append(bench->journal, 1, "", JOURNAL_RECORD_MAX + 1, &bench->error),
                     -EMSGSIZE);
    assert_int_equal(journal_append(bench->journal, JOURNAL_EPOCH, "", 0, &bench->error), -EINVAL);
    int appended = 0;
    while (append(bench, 0, JOURNAL_RECORD_MAX) == 0)
        appended++;
    assert_int_equal(bench->error.code, -ENOBUFS);
    assert_in_range(appended, 32, 64);
    sync_all(bench);
    assert_int_equal(append(bench, 0, JOURNAL_RECORD_MAX), 0);
}

/* Many syncs asked for at once are few. */
static void one_sync_for_many(void **state)
{
    struct bench *bench = *state;
    must_reopen(bench);
    for (uint32_t i = 0; i < 1000; i++) {
        assert_int_equal(append(bench, i, 50), 0);
        assert_int_equal(journal_sync(bench->journal, done, bench, &bench->error), 0);
    }
    int turns = 0;
    while (uv_run(&bench->loop, UV_RUN_ONCE) != 0)
        turns++;
    assert_int_equal(bench->calls, 1000);
    assert_int_equal(bench->failures, 0);
    assert_in_range(turns, 0, 10);
    must_reopen(bench);
    assert_numbers(bench, 1000);
}

static int refuse(void *opaque, uint32_t type, const void *data, size_t size, struct error *error)
{
    return error_set(error, -ENOTSUP, "a record of another build");
}

static void replay_can_refuse(void **state)
{
    struct bench *bench = *state;
    must_reopen(bench);
    assert_int_equal(append(bench, 0, 5), 0);
    sync_all(bench);
    journal_close(bench->journal);
    assert_int_equal(
        journal_open(&bench->loop, bench->path, refuse, NULL, &bench->journal, &bench->error),
        -ENOTSUP);
    assert_null(bench->journal);
    assert_contains(bench->error.message, "another build");
    assert_contains(bench->error.message, bench->path);
    must_reopen(bench);
    assert_numbers(bench, 1);
    assert_int_equal(journal_epoch(bench->journal), 2);
}

static void hold(struct bench *bench, int ready)
{
    if (reopen(bench) < 0)
        _exit(EXIT_FAILURE);
    if (write(ready, "x", 1) == 1)
        for (;;)
            pause();
    _exit(EXIT_FAILURE);
}

static void one_process_at_a_time(void **state)
{
    struct bench *bench = *state;
    char words[60], byte;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    fflush(NULL);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        hold(bench, ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(reopen(bench), -EBUSY);
    snprintf(words, sizeof words, "in use by process %ld", (long)child);
    assert_contains(bench->error.message, words);
    assert_contains(bench->error.message, bench->path);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    must_reopen(bench);
    assert_int_equal(journal_epoch(bench->journal), 2);
    /* The same process has no right to open it twice either. */
    struct journal *second;
    assert_int_equal(journal_open(&bench->loop, bench->path, replay, bench, &second, &bench->error),
                     -EBUSY);
    assert_null(second);
    close(ready[0]);
    close(ready[1]);
}

static void what_is_no_journal_is_refused(void **state)
{
    struct bench *bench = *state;
    must_reopen(bench);
    journal_close(bench->journal);
    bench->journal = NULL;
    size_t size;
    uint8_t *data = read_whole(bench->path, &size);
    for (size_t length = 0; length < JOURNAL_HEADER; length++) {
        write_whole(bench->path, data, length);
        assert_int_equal(reopen(bench), -EBADMSG);
        assert_contains(bench->error.message, "not a journal");
    }
    for (size_t at = 0; at < JOURNAL_HEADER; at++) {
        data[at] ^= 1;
        write_whole(bench->path, data, size);
        assert_int_equal(reopen(bench), -EBADMSG);
        data[at] ^= 1;
    }
    free(data);
    unlink(bench->path);
    assert_int_equal(mkdir(bench->path, 0777), 0);
    assert_int_equal(reopen(bench), -EISDIR);
    rmdir(bench->path);
    strcpy(bench->path, "/no/such/folder/journal");
    assert_int_equal(reopen(bench), -ENOENT);
    assert_contains(bench->error.message, "/no/such/folder/journal");
    snprintf(bench->path, sizeof bench->path, "%s/journal", bench->folder);
}

/* A journal's bytes with `synced` of them followed by the records of one more sync: what a power cut may
 * leave of these is anything. */
struct specimen {
    uint8_t *data;
    size_t size, synced;
    int records_synced;
};

static void make_specimen(struct bench *bench, struct specimen *specimen)
{
    struct stat status;
    uint32_t number = 0;
    must_reopen(bench);
    for (int batch = 0; batch < 4; batch++) {
        assert_int_equal(stat(bench->path, &status), 0);
        if (batch == 3) {
            specimen->synced = (size_t)status.st_size;
            specimen->records_synced = (int)number;
        }
        for (int i = 0; i < 4; i++, number++)
            assert_int_equal(append(bench, number, 4 + number * 3), 0);
        sync_all(bench);
    }
    journal_close(bench->journal);
    bench->journal = NULL;
    specimen->data = read_whole(bench->path, &specimen->size);
}

/* Opens what is left after a power cut: all that was synced and perhaps more, in order; and a second time
 * the same. */
static void check_survivor(struct bench *bench, const struct specimen *specimen)
{
    must_reopen(bench);
    int found = bench->records;
    assert_in_range(found, specimen->records_synced, 16);
    assert_numbers(bench, found);
    assert_int_equal(journal_epoch(bench->journal), 2);
    assert_int_equal(append(bench, (uint32_t)found, 40), 0);
    sync_all(bench);
    must_reopen(bench);
    assert_numbers(bench, found + 1);
    assert_int_equal(journal_epoch(bench->journal), 3);
    journal_close(bench->journal);
    bench->journal = NULL;
}

static void power_cut(void **state)
{
    struct bench *bench = *state;
    struct specimen specimen;
    make_specimen(bench, &specimen);
    uint8_t *copy = malloc(specimen.size);
    assert_non_null(copy);
    for (size_t at = specimen.synced; at < specimen.size; at++) {
        /* Cut off there; one byte wrong; nothing but zeros from there on; a block lost. */
        write_whole(bench->path, specimen.data, at);
        check_survivor(bench, &specimen);
        for (int way = 0; way < 3; way++) {
            size_t lost = way == 0 ? 1 : way == 1 ? specimen.size - at : 32;
            if (lost > specimen.size - at)
                lost = specimen.size - at;
            memcpy(copy, specimen.data, specimen.size);
            for (size_t i = 0; i < lost; i++)
                copy[at + i] = way == 0 ? copy[at + i] ^ 0x10 : 0;
            write_whole(bench->path, copy, specimen.size);
            check_survivor(bench, &specimen);
        }
    }
    free(copy);
    free(specimen.data);
}

/* Durable bytes that went bad are told of, and nothing after them is believed. */
static void damage(void **state)
{
    struct bench *bench = *state;
    struct specimen specimen;
    int told = 0;
    make_specimen(bench, &specimen);
    for (size_t at = JOURNAL_HEADER; at < specimen.synced; at++) {
        specimen.data[at] ^= 0x04;
        write_whole(bench->path, specimen.data, specimen.size);
        assert_int_equal(reopen(bench), -EBADMSG);
        unsigned long long offset = 0;
        const char *words = strstr(bench->error.message, "damaged at byte ");
        assert_non_null(words);
        assert_int_equal(sscanf(words, "damaged at byte %llu", &offset), 1);
        assert_in_range(offset, at > 100 ? at - 100 : 0, at);
        for (int i = 0; i < bench->records; i++)
            assert_int_equal(bench->numbers[i], i);
        specimen.data[at] ^= 0x04;
        told++;
    }
    assert_in_range(told, 500, 2000);
    /* Refusing changes nothing. */
    write_whole(bench->path, specimen.data, specimen.size);
    must_reopen(bench);
    assert_int_equal(bench->records, 16);
    free(specimen.data);
}

struct told {
    struct bench *bench;
    uint32_t number;
    int to;
};

/* Says which records are safe. */
static void tell_number(void *opaque, const struct error *failure)
{
    struct told *told = opaque;
    if (failure != NULL || write(told->to, &told->number, sizeof told->number) < 0)
        _exit(EXIT_FAILURE);
    free(told);
}

static int numbers_below(void *opaque, struct journal_snapshot *snapshot, struct error *error)
{
    for (uint32_t i = 0; i < *(uint32_t *)opaque; i++)
        if (journal_snapshot_add(snapshot, 4, &i, 4, error) < 0)
            return error->code;
    return 0;
}

static void write_for_ever(struct bench *bench, int to)
{
    if (reopen(bench) < 0)
        _exit(EXIT_FAILURE);
    for (uint32_t number = 0; number < MANY;) {
        for (int i = 0; i < 3 && number < MANY; i++) {
            struct told *told = malloc(sizeof *told);
            assert_non_null(told);
            assert_int_equal(append(bench, number++, 4), 0);
            *told = (struct told){.bench = bench, .number = number, .to = to};
            assert_int_equal(journal_sync(bench->journal, tell_number, told, &bench->error), 0);
        }
        if (number % 50 == 0)
            journal_compact(bench->journal, numbers_below, &number, done, bench, &bench->error);
        uv_run(&bench->loop, UV_RUN_ONCE);
    }
    for (;;)
        pause();
}

static void killed_writers(void **state)
{
    struct bench *bench = *state;
    for (int round = 0; round < 10; round++) {
        int from[2];
        uint32_t safe = 0, number;
        assert_int_equal(pipe(from), 0);
        fflush(NULL);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            write_for_ever(bench, from[1]);
        close(from[1]);
        for (int i = 0; i < 20 + round * 37 && read(from[0], &number, 4) == 4; i++)
            safe = number;
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(from[0], &number, 4) == 4)
            safe = number;
        close(from[0]);
        assert_in_range(safe, 20, MANY);
        must_reopen(bench);
        assert_in_range(bench->records, safe, MANY);
        assert_numbers(bench, bench->records);
        journal_close(bench->journal);
        bench->journal = NULL;
        unlink(bench->path);
    }
}

static int fill_nothing(void *opaque, struct journal_snapshot *snapshot, struct error *error)
{
    return 0;
}

static int fill_fails(void *opaque, struct journal_snapshot *snapshot, struct error *error)
{
    return error_set(error, -EIO, "no");
}

static void compaction(void **state)
{
    struct bench *bench = *state;
    uint32_t number = 0;
    must_reopen(bench);
    must_reopen(bench);
    for (; number < 1000; number++)
        assert_int_equal(append(bench, number, 500), 0);
    sync_all(bench);
    uint64_t before = journal_size(bench->journal);
    /* With records before that are not synced, and after; while a sync is under way, and not. */
    for (int round = 0; round < 6; round++) {
        assert_int_equal(append(bench, number++, 4), 0);
        if (round % 2)
            assert_int_equal(journal_sync(bench->journal, done, bench, &bench->error), 0);
        assert_int_equal(append(bench, number++, 4), 0);
        assert_int_equal(
            journal_compact(bench->journal, numbers_below, &number, done, bench, &bench->error), 0);
        assert_int_equal(
            journal_compact(bench->journal, fill_nothing, NULL, done, bench, &bench->error),
            -EBUSY);
        assert_int_equal(append(bench, number++, 4), 0);
        sync_all(bench);
        assert_int_equal(bench->failures, 0);
        assert_in_range(journal_size(bench->journal), 1000, before / 4);
        assert_int_equal(append(bench, number++, 4), 0);
        if (round >= 4) {
            sync_all(bench);
            must_reopen(bench);
            assert_numbers(bench, (int)number);
        }
    }
    assert_int_equal(journal_epoch(bench->journal), 4);
    assert_int_equal(journal_compact(bench->journal, fill_fails, NULL, done, bench, &bench->error),
                     -EIO);
    assert_int_equal(
        journal_compact(bench->journal, fill_nothing, NULL, done, bench, &bench->error), 0);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    must_reopen(bench);
    assert_int_equal(bench->records, 0);
    assert_int_equal(journal_epoch(bench->journal), 5);
}

/* Lets no file grow beyond `size`; the writes that would fail with EFBIG. */
static void limit_files(size_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size > 0 ? size : limit.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int fill_large(void *opaque, struct journal_snapshot *snapshot, struct error *error)
{
    static const uint8_t data[100000];
    return journal_snapshot_add(snapshot, 1, data, sizeof data, error);
}

static void failures_to_write(void **state)
{
    struct bench *bench = *state;
    must_reopen(bench);
    for (uint32_t i = 0; i < 10; i++)
        assert_int_equal(append(bench, i, 100), 0);
    sync_all(bench);
    limit_files(5000);
    /* A compaction that fails changes nothing. */
    assert_int_equal(append(bench, 10, 100), 0);
    assert_int_equal(journal_compact(bench->journal, fill_large, NULL, done, bench, &bench->error),
                     0);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    assert_int_equal(bench->failures, 1);
    assert_contains(bench->failure.message, "cannot write the journal");
    assert_int_equal(append(bench, 11, 100), 0);
    sync_all(bench);
    assert_int_equal(bench->failures, 1);
    /* A sync that fails is the end, for all that comes after it too. */
    assert_int_equal(append(bench, 12, 100), 0);
    assert_int_equal(append(bench, 13, 5000), 0);
    assert_int_equal(journal_sync(bench->journal, done, bench, &bench->error), 0);
    assert_int_equal(append(bench, 14, 100), 0);
    sync_all(bench);
    assert_int_equal(bench->failures, 3);
    assert_int_equal(bench->failure.code, -EFBIG);
    assert_int_equal(append(bench, 15, 100), -EFBIG);
    sync_all(bench);
    assert_int_equal(bench->failures, 4);
    limit_files(0);
    sync_all(bench);
    assert_int_equal(bench->failures, 5);
    must_reopen(bench);
    assert_in_range(bench->records, 12, 13);
    assert_numbers(bench, bench->records);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_back),
        TEST(epochs_rise),
        TEST(limits),
        TEST(one_sync_for_many),
        TEST(replay_can_refuse),
        TEST(one_process_at_a_time),
        TEST(what_is_no_journal_is_refused),
        TEST(power_cut),
        TEST(damage),
        TEST(killed_writers),
        TEST(compaction),
        TEST(failures_to_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
