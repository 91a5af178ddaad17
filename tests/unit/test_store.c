/* Stores: what was put is what is got, once, under keys that lead nowhere else. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store_support.h"

static struct ended ended;

static void refuse_place(struct bench *bench, const char *place, int code, const char *words)
{
    struct store *store;
    struct error error = {0};
    assert_int_equal(store_open(&bench->loop, place, &store, &error), code);
    assert_null(store);
    assert_contains(error.message, words);
}

static void places(void **state)
{
    struct bench *bench = *state;
    struct bench other = {.local = bench->local};
    char url[160], path[160];
    make_object(bench, "a", "text");
    snprintf(url, sizeof url, "file://%s/st%%6Fre", bench->folder);
    bench_open(&other, url);
    assert_string_equal(store_place(other.store), url);
    assert_int_equal(get(&other, "a", "got", &ended), 0);
    bench_close(&other);
    refuse_place(bench, "gs://bucket/prefix", -EPROTONOSUPPORT, "s3://BUCKET");
    refuse_place(bench, "s3://b/prefix", -EINVAL, "3 to 63");
    refuse_place(bench, "file://host/path", -EINVAL, "file:///PATH");
    refuse_place(bench, "file:///tmp/%4", -EINVAL, "file:///PATH");
    refuse_place(bench, "file:///tmp/%00", -EINVAL, "file:///PATH");
    snprintf(path, sizeof path, "%s/no/such", bench->folder);
    refuse_place(bench, path, -ENOENT, "cannot open");
    snprintf(path, sizeof path, "%s/object", bench->folder);
    refuse_place(bench, path, -ENOTDIR, "not a folder");
}

static void keys(void **state)
{
    char longest[STORE_KEY_SIZE + 1], part[STORE_PART_LENGTH + 2], deep[64] = "a";
    static const char *const good[] = {"a", "a/b", "A-Z_0.9/..a/.b", "...", "a.attempt-1", "-x"};
    static const char *const bad[] = {"",    "/",   "/a",       "a/",   "a//b", ".",   "..",
                                      "./a", "a/.", "a/../b",   "../a", "a/..", "a b", "a\\b",
                                      "a\n", "a+b", "\xc3\xa4", "a:b",  "~/a",  "a%2f"};
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_true(store_is_key(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(store_is_key(bad[i]));
    memset(part, 'p', sizeof part);
    part[STORE_PART_LENGTH + 1] = '\0';
    assert_false(store_is_key(part));
    part[STORE_PART_LENGTH] = '\0';
    assert_true(store_is_key(part));
    assert_false(store_is_final_key(part)); /* there is no room for an attempt's number */
    for (int i = 0; i < STORE_KEY_SIZE; i++)
        longest[i] = i % 100 == 99 ? '/' : 'x';
    longest[STORE_KEY_SIZE] = '\0';
    assert_false(store_is_key(longest));
    longest[STORE_KEY_SIZE - 1] = '\0';
    assert_true(store_is_key(longest));
    for (int i = 1; i < STORE_PARTS; i++)
        strcat(deep, "/a");
    assert_true(store_is_key(deep));
    strcat(deep, "/a");
    assert_false(store_is_key(deep));
    assert_true(store_is_final_key("a.attempt-"));
    assert_true(store_is_final_key("a.attempt-1/b"));
    assert_false(store_is_final_key("a.attempt-17"));
}

static void round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 4096, 300000, 1 << 20};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char key[40];
        uint8_t *data = noise(sizes[i], (uint32_t)i);
        snprintf(key, sizeof key, "jobs/7/objects/%zu", i);
        local_write(bench, "in", data, sizes[i]);
        assert_int_equal(put(bench, "in", key, 3, &ended), 0);
        struct store_identity identity = ended.identity;
        assert_int_equal(identity.size, sizes[i]);
        assert_int_equal(stat_key(bench, key, &ended), -ENOENT);
        assert_int_equal(adopt(bench, key, 3, &identity, &ended), 0);
        assert_int_equal(stat_key(bench, key, &ended), 0);
        assert_int_equal(ended.identity.size, sizes[i]);
        assert_int_equal(get(bench, key, "out", &ended), 0);
        local_expect(bench, "out", data, sizes[i]);
        free(data);
    }
    assert_int_equal(count_below(bench->place), 3 + 5);
}

static void identity_is_the_sha256(void **state)
{
    struct bench *bench = *state;
    char hex[SHA256_HEX_SIZE];
    local_write(bench, "in", "abc", 3);
    assert_int_equal(put(bench, "in", "a", 1, &ended), 0);
    sha256_hex(ended.identity.sha256, hex);
    /* FIPS 180-4's own example. */
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

static int get_range(struct bench *bench, uint64_t offset, uint64_t length)
{
    struct error error = {0};
    struct store_get what = {
        .key = "a", .to = {bench->local, "out"}, .offset = offset, .length = length};
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_get(bench->store, &what, ended_done, &ended, NULL, &error), 0);
    bench_wait(bench, &ended);
    return ended.error.code;
}

static void ranges(void **state)
{
    struct bench *bench = *state;
    make_object(bench, "a", "0123456789");
    assert_int_equal(get_range(bench, 2, 3), 0);
    local_expect(bench, "out", "234", 3);
    assert_int_equal(get_range(bench, 8, 100), 0);
    local_expect(bench, "out", "89", 2);
    assert_int_equal(ended.identity.size, 2);
    assert_int_equal(get_range(bench, 10, STORE_TO_END), 0);
    local_expect(bench, "out", "", 0);
    assert_int_equal(get_range(bench, 3, 0), 0);
    local_expect(bench, "out", "", 0);
    assert_int_equal(get_range(bench, 11, 1), -ERANGE);
    assert_contains(ended.error.message, "has 10");
    assert_int_equal(get_range(bench, UINT64_MAX, UINT64_MAX), -ERANGE);
    local_expect(bench, "out", "", 0);
}

static void what_is_got_can_be_checked(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    make_object(bench, "a", "text");
    assert_int_equal(put(bench, "object", "b", 1, &ended), 0);
    struct store_identity identity = ended.identity;
    struct store_get what = {
        .key = "a", .to = {bench->local, "out"}, .length = STORE_TO_END, .expected = &identity};
    for (int link = 0; link < 2; link++) {
        what.link = link;
        what.expected = &identity;
        memset(&ended, 0, sizeof ended);
        assert_int_equal(store_get(bench->store, &what, ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(ended.error.code, 0);
        struct store_identity wrong = identity;
        wrong.sha256[31] ^= 1;
        what.expected = &wrong;
        memset(&ended, 0, sizeof ended);
        assert_int_equal(store_get(bench->store, &what, ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(ended.error.code, -EBADMSG);
        assert_contains(ended.error.message, "another SHA-256");
        local_expect(bench, "out", "text", 4);
    }
    assert_int_equal(count_below(bench->folder), 1 + 2 + 2); /* nothing half done */
}

/* Putting does not look at it; adopting does. */
static void a_wrong_identity_is_found_when_adopting(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    local_write(bench, "in", "text", 4);
    assert_int_equal(put(bench, "in", "right", 1, &ended), 0);
    struct store_identity right = ended.identity, wrong = right;
    wrong.sha256[0] ^= 1;
    for (int link = 0; link < 2; link++) {
        struct store_put what = {.from = {bench->local, "in"},
                                 .key = link ? "linked" : "copied",
                                 .attempt = 1,
                                 .link = link != 0,
                                 .known = &wrong};
        memset(&ended, 0, sizeof ended);
        assert_int_equal(store_put(bench->store, &what, ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(ended.error.code, 0);
        assert_memory_equal(ended.identity.sha256, wrong.sha256, SHA256_SIZE);
        assert_int_equal(adopt(bench, what.key, 1, &wrong, &ended), -EBADMSG);
        assert_int_equal(adopt(bench, what.key, 1, &right, &ended), 0);
    }
}

static void links_share_the_file(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct stat a, b, c;
    local_write(bench, "in", "text", 4);
    struct store_put what = {
        .from = {bench->local, "in"}, .key = "d/a", .attempt = 1, .link = true};
    for (int again = 0; again < 2; again++) {
        memset(&ended, 0, sizeof ended);
        assert_int_equal(store_put(bench->store, &what, ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(ended.error.code, 0);
    }
    struct store_identity identity = ended.identity;
    assert_int_equal(adopt(bench, "d/a", 1, &identity, &ended), 0);
    struct store_get back = {
        .key = "d/a", .to = {bench->local, "out"}, .length = STORE_TO_END, .link = true};
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_get(bench->store, &back, ended_done, &ended, NULL, &error), 0);
    bench_wait(bench, &ended);
    assert_int_equal(ended.error.code, 0);
    assert_int_equal(ended.identity.size, 4);
    assert_int_equal(fstatat(bench->local, "in", &a, 0), 0);
    assert_int_equal(fstatat(bench->local, "out", &b, 0), 0);
    assert_int_equal(fstatat(bench->local, "store/d/a", &c, 0), 0);
    assert_int_equal(a.st_ino, b.st_ino);
    assert_int_equal(a.st_ino, c.st_ino);
    assert_int_equal(c.st_nlink, 3);
}

static void without_links_the_object_is_its_own(void **state)
{
    struct bench *bench = *state;
    make_object(bench, "a", "text");
    local_write(bench, "object", "changed", 7);
    assert_int_equal(get(bench, "a", "out", &ended), 0);
    local_expect(bench, "out", "text", 4);
    local_write(bench, "out", "changed", 7);
    assert_int_equal(get(bench, "a", "out", &ended), 0);
    local_expect(bench, "out", "text", 4);
}

static void adopting(void **state)
{
    struct bench *bench = *state;
    local_write(bench, "in", "text", 4);
    assert_int_equal(put(bench, "in", "a", 1, &ended), 0);
    struct store_identity identity = ended.identity, wrong = identity;
    wrong.size++;
    assert_int_equal(adopt(bench, "a", 1, &wrong, &ended), -EBADMSG);
    assert_contains(ended.error.message, "4 bytes instead of 5");
    wrong = identity;
    wrong.sha256[0] ^= 1;
    assert_int_equal(adopt(bench, "a", 1, &wrong, &ended), -EBADMSG);
    assert_int_equal(adopt(bench, "a", 2, &identity, &ended), -ENOENT);
    assert_contains(ended.error.message, "a.attempt-2");
    assert_int_equal(adopt(bench, "no/a", 2, &identity, &ended), -ENOENT);
    assert_int_equal(adopt(bench, "a", 1, &identity, &ended), 0);
    assert_int_equal(adopt(bench, "a", 1, &identity, &ended), 0);
    /* The same from another attempt is adopted too; its own name goes. */
    assert_int_equal(put(bench, "in", "a", 2, &ended), 0);
    assert_int_equal(adopt(bench, "a", 2, &identity, &ended), 0);
    assert_int_equal(count_below(bench->place), 1);
}

static void another_object_is_not_adopted(void **state)
{
    struct bench *bench = *state;
    make_object(bench, "a", "text");
    local_write(bench, "in", "tixt", 4);
    assert_int_equal(put(bench, "in", "a", 2, &ended), 0);
    struct store_identity identity = ended.identity;
    assert_int_equal(adopt(bench, "a", 2, &identity, &ended), -EEXIST);
    assert_contains(ended.error.message, "cannot adopt a.attempt-2");
    assert_contains(ended.error.message, "another SHA-256");
    assert_memory_not_equal(ended.identity.sha256, identity.sha256, SHA256_SIZE);
    assert_int_equal(get(bench, "a", "out", &ended), 0);
    local_expect(bench, "out", "text", 4);
    assert_int_equal(stat_key(bench, "a.attempt-2", &ended), 0);
}

/* Without sums, what comes again is compared with what is there. */
static void objects_without_sums(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    struct store_put what = {
        .from = {bench->local, "in"}, .key = "a", .attempt = 1, .unsummed = true};
    local_write(bench, "in", "text", 4);
    for (; what.attempt <= 2; what.attempt++, what.link = true) {
        memset(&ended, 0, sizeof ended);
        assert_int_equal(store_put(bench->store, &what, ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(ended.error.code, 0);
        assert_true(ended.identity.unsummed);
        assert_int_equal(ended.identity.size, 4);
    }
    struct store_identity identity = ended.identity, wrong = identity;
    wrong.size++;
    assert_int_equal(adopt(bench, "a", 1, &wrong, &ended), -EBADMSG);
    assert_int_equal(adopt(bench, "a", 1, &identity, &ended), 0);
    assert_int_equal(adopt(bench, "a", 1, &identity, &ended), 0); /* once more */
    assert_int_equal(adopt(bench, "a", 2, &identity, &ended), 0);
    assert_int_equal(stat_key(bench, "a.attempt-2", &ended), -ENOENT);
    local_write(bench, "other", "tixt", 4);
    assert_int_equal(put(bench, "other", "a", 3, &ended), 0);
    assert_int_equal(adopt(bench, "a", 3, &identity, &ended), -EEXIST);
    assert_contains(ended.error.message, "other bytes");
    local_write(bench, "longer", "texts", 5);
    assert_int_equal(put(bench, "longer", "a", 4, &ended), 0);
    identity.size = 5;
    assert_int_equal(adopt(bench, "a", 4, &identity, &ended), -EEXIST);
    assert_int_equal(get(bench, "a", "out", &ended), 0);
    local_expect(bench, "out", "text", 4);
}

static void objects_are_no_folders(void **state)
{
    struct bench *bench = *state;
    make_object(bench, "a/b", "text");
    assert_int_equal(put(bench, "object", "a/b/c", 1, &ended), -ENOTDIR);
    assert_contains(ended.error.message, "a/b/c");
    assert_int_equal(get(bench, "a/b/c", "out", &ended), -ENOENT);
    assert_int_equal(get(bench, "a", "out", &ended), -ENOENT);
    assert_int_equal(stat_key(bench, "a", &ended), -ENOENT);
    assert_int_equal(put(bench, "object", "a", 1, &ended), 0);
    struct store_identity identity = ended.identity;
    assert_int_equal(adopt(bench, "a", 1, &identity, &ended), -EISDIR);
}

static void hostile_keys(void **state)
{
    static const char *const bad[] = {"../out", "/etc/passwd", "a/../../out", "", "a//b", "+1"};
    struct bench *bench = *state;
    struct store_identity identity = {0};
    struct error error = {0};
    local_write(bench, "in", "text", 4);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(put(bench, "in", bad[i], 1, &ended), -EINVAL);
        assert_contains(ended.error.message, "cannot be a key");
        assert_int_equal(get(bench, bad[i], "out", &ended), -EINVAL);
        assert_int_equal(adopt(bench, bad[i], 1, &identity, &ended), -EINVAL);
        assert_int_equal(stat_key(bench, bad[i], &ended), -EINVAL);
        assert_int_equal(store_delete(bench->store, bad[i], ended_done, NULL, NULL, &error),
                         -EINVAL);
        assert_int_equal(store_delete_prefix(bench->store, bad[i], ended_done, NULL, NULL, &error),
                         -EINVAL);
    }
    assert_int_equal(put(bench, "in", "a.attempt-1", 1, &ended), -EINVAL);
    assert_int_equal(store_delete_prefix(bench->store, "../", ended_done, NULL, NULL, &error),
                     -EINVAL);
    assert_int_equal(store_delete_prefix(bench->store, "/", ended_done, NULL, NULL, &error),
                     -EINVAL);
    assert_int_equal(count_below(bench->folder), 2);
}

/* Links in the store's folder and the local one lead out of them; nobody follows. */
static void hostile_links(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    char secret[100], outside[100];
    make_object(bench, "d/a", "text");
    snprintf(secret, sizeof secret, "%s/secret", bench->folder);
    snprintf(outside, sizeof outside, "%s/outside", bench->folder);
    local_write(bench, "secret", "secret", 6);
    assert_int_equal(mkdir(outside, 0777), 0);
    assert_int_equal(symlinkat(secret, bench->local, "store/link"), 0);
    assert_int_equal(symlinkat(outside, bench->local, "store/folder"), 0);
    assert_int_equal(symlinkat(secret, bench->local, "store/b.attempt-1"), 0);
    assert_int_equal(symlinkat(secret, bench->local, "localfile"), 0);
    assert_int_equal(symlinkat(outside, bench->local, "localfolder"), 0);
    assert_int_equal(mkfifoat(bench->local, "store/pipe", 0666), 0);
    assert_int_equal(get(bench, "link", "out", &ended), -ENOENT);
    assert_int_equal(get(bench, "pipe", "out", &ended), -ENOENT);
    assert_int_equal(stat_key(bench, "link", &ended), -ENOENT);
    assert_int_equal(get(bench, "folder/x", "out", &ended), -ENOENT);
    assert_int_equal(put(bench, "object", "folder/x", 1, &ended), -ENOTDIR);
    assert_int_equal(put(bench, "localfile", "c", 1, &ended), -ENOENT);
    assert_int_equal(get(bench, "d/a", "localfolder/x", &ended), -ENOTDIR);
    assert_int_equal(get(bench, "d/a", "../x", &ended), -EINVAL);
    assert_int_equal(get(bench, "d/a", "/tmp/x", &ended), -EINVAL);
    assert_int_equal(put(bench, "../object", "c", 1, &ended), -EINVAL);
    /* These two take the place of a link, and leave alone what it leads to. */
    assert_int_equal(put(bench, "object", "b", 1, &ended), 0);
    assert_int_equal(get(bench, "d/a", "localfile", &ended), 0);
    assert_int_equal(list(bench, "", "", 10, &ended), 0);
    assert_int_equal(ended.count, 2);
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_delete_prefix(bench->store, "folder/", ended_done, &ended, NULL, &error),
                     0);
    bench_wait(bench, &ended);
    local_expect(bench, "secret", "secret", 6);
    assert_int_equal(count_below(outside), 0);
}

static void listing(void **state)
{
    static const char *const keys[] = {"a-b",   "a.b", "a/b",   "a/b.attempt-2", "a/c/d",
                                       "a/c/e", "a0",  "b/a/a", "b/a0"};
    enum { KEYS = sizeof keys / sizeof keys[0] };
    struct bench *bench = *state;
    for (int i = KEYS - 1; i >= 0; i--)
        if (i != 3)
            make_object(bench, keys[i], keys[i]);
    assert_int_equal(put(bench, "object", "a/b", 2, &ended), 0);
    close(openat(bench->local, "store/a/+0123", O_CREAT | O_CLOEXEC, 0666));
    /* The order is that of the bytes, pages of any size put together are the whole. */
    for (size_t limit = 1; limit <= KEYS + 1; limit++) {
        char after[64] = "";
        for (size_t found = 0; found < KEYS;) {
            assert_int_equal(list(bench, "", after, limit, &ended), 0);
            assert_in_range(ended.count, 1, limit);
            for (size_t i = 0; i < ended.count; i++)
                assert_string_equal(ended.keys[i], keys[found++]);
            assert_int_equal(ended.more, found < KEYS);
            strcpy(after, ended.keys[ended.count - 1]);
        }
    }
    assert_int_equal(list(bench, "a/", "", 10, &ended), 0);
    assert_int_equal(ended.count, 4);
    assert_int_equal(list(bench, "a/c", "a/c/d", 10, &ended), 0);
    assert_int_equal(ended.count, 1);
    assert_string_equal(ended.keys[0], "a/c/e");
    assert_int_equal(list(bench, "a", "", 3, &ended), 0);
    assert_true(ended.more);
    assert_int_equal(list(bench, "zz", "", 10, &ended), 0);
    assert_int_equal(ended.count, 0);
    assert_int_equal(list(bench, "../", "", 10, &ended), 0);
    assert_int_equal(ended.count, 0);
    assert_int_equal(list(bench, "", "", 0, &ended), -EINVAL);
    assert_int_equal(list(bench, "", "", STORE_PAGE + 1, &ended), -EINVAL);
}

static int run_delete(struct bench *bench, const char *key)
{
    struct error error = {0};
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_delete(bench->store, key, ended_done, &ended, NULL, &error), 0);
    bench_wait(bench, &ended);
    return ended.error.code;
}

static void deleting(void **state)
{
    struct bench *bench = *state;
    struct error error = {0};
    make_object(bench, "jobs/1/a", "text");
    make_object(bench, "jobs/1/b/c", "text");
    make_object(bench, "jobs/10/a", "text");
    close(openat(bench->local, "store/jobs/1/b/+0123", O_CREAT | O_CLOEXEC, 0666));
    assert_int_equal(run_delete(bench, "jobs/1/a"), 0);
    assert_int_equal(run_delete(bench, "jobs/1/a"), 0);
    assert_int_equal(run_delete(bench, "jobs/1/b"), 0);
    assert_int_equal(run_delete(bench, "no/such"), 0);
    assert_int_equal(stat_key(bench, "jobs/1/a", &ended), -ENOENT);
    assert_int_equal(stat_key(bench, "jobs/1/b/c", &ended), 0);
    assert_int_equal(store_delete_prefix(bench->store, "jobs/1", ended_done, NULL, NULL, &error),
                     -EINVAL);
    for (int i = 0; i < 2; i++) {
        memset(&ended, 0, sizeof ended);
        assert_int_equal(
            store_delete_prefix(bench->store, "jobs/1/", ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(ended.error.code, 0);
        assert_int_equal(ended.count, i == 0 ? 1 : 0);
    }
    assert_int_equal(count_below(bench->place), 3);
}

/* Many at once, with folders that come and go under them. */
static void concurrent(void **state)
{
    enum { MANY = 200 };
    static struct ended puts[MANY], removals[MANY / 10];
    struct bench *bench = *state;
    struct error error = {0};
    local_write(bench, "in", "text", 4);
    memset(puts, 0, sizeof puts);
    memset(removals, 0, sizeof removals);
    for (int i = 0; i < MANY; i++) {
        char key[40];
        snprintf(key, sizeof key, "%s/%d/%d", i % 2 ? "kept" : "removed", i % 7, i);
        struct store_put what = {.from = {bench->local, "in"}, .key = key, .attempt = 1};
        assert_int_equal(store_put(bench->store, &what, ended_done, &puts[i], NULL, &error), 0);
        if (i % 10 == 9)
            assert_int_equal(store_delete_prefix(bench->store, "removed/", ended_done,
                                                 &removals[i / 10], NULL, &error),
                             0);
    }
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(puts[i].calls, 1);
        if (puts[i].error.code < 0 && (i % 2 == 1 || puts[i].error.code != -ENOENT))
            fail_msg("%d: %s", i, puts[i].error.message);
    }
    for (int i = 0; i < MANY / 10; i++)
        assert_int_equal(removals[i].calls, 1);
    assert_int_equal(list(bench, "kept/", "", STORE_PAGE, &ended), 0);
    assert_int_equal(ended.count, MANY / 2);
}

static void cancelling(void **state)
{
    enum { MANY = 20, SIZE = 8 << 20 };
    static struct ended puts[MANY];
    struct bench *bench = *state;
    struct error error = {0};
    struct store_operation *operation[MANY];
    uint8_t *data = noise(SIZE, 1);
    int cancelled = 0;
    local_write(bench, "in", data, SIZE);
    free(data);
    memset(puts, 0, sizeof puts);
    for (int i = 0; i < MANY; i++) {
        char key[40];
        snprintf(key, sizeof key, "%d", i);
        struct store_put what = {.from = {bench->local, "in"}, .key = key, .attempt = 1};
        assert_int_equal(
            store_put(bench->store, &what, ended_done, &puts[i], &operation[i], &error), 0);
    }
    for (int i = 0; i < MANY; i++)
        if (i != 5)
            store_cancel(operation[i]);
    uv_run(&bench->loop, UV_RUN_DEFAULT);
    for (int i = 0; i < MANY; i++) {
        assert_int_equal(puts[i].calls, 1);
        cancelled += puts[i].error.code == -ECANCELED;
    }
    assert_int_equal(puts[5].error.code, 0);
    assert_in_range(cancelled, MANY - 4, MANY - 1);
    assert_int_equal(count_below(bench->place), MANY - cancelled);
}

struct closing {
    struct ended put;
    bool closed;
};

static void on_closed(void *opaque)
{
    struct closing *closing = opaque;
    assert_int_equal(closing->put.calls, 1);
    closing->closed = true;
}

static void closing_ends_what_is_under_way(void **state)
{
    struct bench *bench = *state;
    struct bench other = {.local = bench->local};
    struct error error = {0};
    static struct closing closing;
    local_write(bench, "in", "text", 4);
    bench_open(&other, bench->place);
    struct store_put what = {.from = {bench->local, "in"}, .key = "a", .attempt = 1};
    assert_int_equal(store_put(other.store, &what, ended_done, &closing.put, NULL, &error), 0);
    store_close(other.store, on_closed, &closing);
    assert_int_equal(store_put(other.store, &what, ended_done, NULL, NULL, &error), -ECANCELED);
    assert_false(closing.closed);
    uv_run(&other.loop, UV_RUN_DEFAULT);
    assert_true(closing.closed);
    assert_int_equal(uv_loop_close(&other.loop), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, bench_make, bench_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(places),
        cmocka_unit_test(keys),
        TEST(round_trip),
        TEST(identity_is_the_sha256),
        TEST(ranges),
        TEST(what_is_got_can_be_checked),
        TEST(a_wrong_identity_is_found_when_adopting),
        TEST(links_share_the_file),
        TEST(without_links_the_object_is_its_own),
        TEST(adopting),
        TEST(another_object_is_not_adopted),
        TEST(objects_without_sums),
        TEST(objects_are_no_folders),
        TEST(hostile_keys),
        TEST(hostile_links),
        TEST(listing),
        TEST(deleting),
        TEST(concurrent),
        TEST(cancelling),
        TEST(closing_ends_what_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
