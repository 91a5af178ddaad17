/*
 * The S3 store against a real service, which tests/e2e/s3.py starts: TEST_PLACE is s3://BUCKET/PREFIX, and the
 * environment has credentials and the endpoint. Parts are made small, so that middling objects have many.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/s3.h"
#include "store_support.h"

#define MIB (1u << 20)

static struct ended ended;
static const char *place;

static int set_up(void **state)
{
    struct bench *bench;
    if (bench_make(state) != 0)
        return -1;
    bench = *state;
    bench_close(bench);
    bench_open(bench, place);
    struct s3 *s3 = (struct s3 *)bench->store;
    s3->get_part = MIB;
    s3->put_part = 5 * MIB; /* the least that the service takes */
    s3->copy_most = 6 * MIB;
    s3->copy_part = 5 * MIB;
    return 0;
}

static void empty(struct bench *bench, const char *prefix)
{
    struct error error;
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_delete_prefix(bench->store, prefix, ended_done, &ended, NULL, &error),
                     0);
    assert_int_equal(ended.calls, 0);
    bench_wait(bench, &ended);
    assert_int_equal(ended.error.code, 0);
}

static int remove_key(struct bench *bench, const char *key)
{
    struct error error;
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_delete(bench->store, key, ended_done, &ended, NULL, &error), 0);
    bench_wait(bench, &ended);
    return ended.error.code;
}

static int get_range(struct bench *bench, const char *key, uint64_t offset, uint64_t length)
{
    const struct store_get get = {
        .key = key, .to = {bench->local, "range"}, .offset = offset, .length = length};
    struct error error;
    memset(&ended, 0, sizeof ended);
    assert_int_equal(store_get(bench->store, &get, ended_done, &ended, NULL, &error), 0);
    bench_wait(bench, &ended);
    return ended.error.code;
}

/* ---- objects ------------------------------------------------------------------------------- */

static void round_trip(void **state)
{
    static const size_t sizes[] = {0, 1, 300000, MIB, 3 * MIB + 7, 10 * MIB, 16 * MIB + 1};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        char key[40];
        uint8_t *data = noise(sizes[i], (uint32_t)i);
        snprintf(key, sizeof key, "trip/objects/%zu", i);
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
    assert_int_equal(list(bench, "trip/", "", 100, &ended), 0);
    assert_int_equal(ended.count, sizeof sizes / sizeof sizes[0]);
    empty(bench, "trip/");
    assert_int_equal(ended.count, sizeof sizes / sizeof sizes[0]);
    assert_int_equal(list(bench, "trip/", "", 100, &ended), 0);
    assert_int_equal(ended.count, 0);
}

static void ranges(void **state)
{
    static const uint64_t size = 2 * MIB + 100;
    static const struct {
        uint64_t offset, length, expected;
    } cases[] = {
        {0, 10, 10},
        {5, MIB, MIB},
        {100, STORE_TO_END, size - 100},
        {MIB, 2 * MIB, size - MIB},
        {size - 1, 9, 1},
        {size, 5, 0},
        {size, STORE_TO_END, 0},
        {7, 0, 0},
    };
    struct bench *bench = *state;
    uint8_t *data = noise(size, 7);
    local_write(bench, "in", data, size);
    assert_int_equal(put(bench, "in", "ranges/a", 1, &ended), 0);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(get_range(bench, "ranges/a.attempt-1", cases[i].offset, cases[i].length),
                         0);
        local_expect(bench, "range", data + cases[i].offset, cases[i].expected);
    }
    assert_int_equal(get_range(bench, "ranges/a.attempt-1", size + 1, 1), -ERANGE);
    assert_contains(ended.error.message, "2097252");
    local_write(bench, "in", "", 0);
    assert_int_equal(put(bench, "in", "ranges/empty", 1, &ended), 0);
    assert_int_equal(get_range(bench, "ranges/empty.attempt-1", 0, 5), 0);
    local_expect(bench, "range", "", 0);
    assert_int_equal(get_range(bench, "ranges/empty.attempt-1", 1, 5), -ERANGE);
    free(data);
    empty(bench, "ranges/");
}

static void what_is_got_is_checked(void **state)
{
    struct bench *bench = *state;
    struct error error;
    struct store_identity expected;
    make_object(bench, "check/a", "text");
    assert_int_equal(sha256_of("text", 4, expected.sha256), 0);
    expected.size = 4;
    expected.unsummed = false;
    struct store_get get = {.key = "check/a",
                            .to = {bench->local, "got"},
                            .length = STORE_TO_END,
                            .expected = &expected};
    for (int wrong = 0; wrong < 2; wrong++) {
        memset(&ended, 0, sizeof ended);
        assert_int_equal(store_get(bench->store, &get, ended_done, &ended, NULL, &error), 0);
        bench_wait(bench, &ended);
        assert_int_equal(ended.error.code, wrong ? -EBADMSG : 0);
        expected.sha256[0] ^= 1;
    }
    assert_int_equal(count_below(bench->folder), 3); /* "store", "object", "got" */
    assert_int_equal(get_range(bench, "check/none", 0, STORE_TO_END), -ENOENT);
    assert_contains(ended.error.message, "no such object");
    assert_int_equal(remove_key(bench, "check/a"), 0);
    assert_int_equal(remove_key(bench, "check/a"), 0);
    assert_int_equal(stat_key(bench, "check/a", &ended), -ENOENT);
}

static void adopting(void **state)
{
    struct bench *bench = *state;
    struct store_identity one, two;
    local_write(bench, "in", "one", 3);
    assert_int_equal(put(bench, "in", "adopt/a", 1, &ended), 0);
    one = ended.identity;
    assert_int_equal(put(bench, "in", "adopt/a", 2, &ended), 0);
    local_write(bench, "in", "two", 3);
    assert_int_equal(put(bench, "in", "adopt/a", 3, &ended), 0);
    two = ended.identity;
    assert_int_equal(adopt(bench, "adopt/a", 9, &one, &ended), -ENOENT);
    assert_int_equal(adopt(bench, "adopt/a", 3, &one, &ended), -EBADMSG);
    assert_int_equal(adopt(bench, "adopt/a", 1, &one, &ended), 0);
    assert_int_equal(adopt(bench, "adopt/a", 1, &one, &ended), 0);
    assert_int_equal(adopt(bench, "adopt/a", 2, &one, &ended), 0);
    assert_int_equal(adopt(bench, "adopt/a", 3, &two, &ended), -EEXIST);
    assert_memory_equal(ended.identity.sha256, one.sha256, SHA256_SIZE);
    assert_int_equal(list(bench, "adopt/", "", 10, &ended), 0);
    assert_int_equal(ended.count, 2);
    assert_string_equal(ended.keys[0], "adopt/a");
    assert_string_equal(ended.keys[1], "adopt/a.attempt-3");
    empty(bench, "adopt/");
}

static void listing(void **state)
{
    static const char *const keys[] = {"list/a", "list/a.b", "list/a/1", "list/b", "listing"};
    struct bench *bench = *state;
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        make_object(bench, keys[i], "x");
    assert_int_equal(list(bench, "list/", "", 2, &ended), 0);
    assert_int_equal(ended.count, 2);
    assert_true(ended.more);
    assert_string_equal(ended.keys[0], "list/a");
    assert_string_equal(ended.keys[1], "list/a.b");
    assert_int_equal(list(bench, "list/", "list/a.b", 2, &ended), 0);
    assert_int_equal(ended.count, 2);
    assert_false(ended.more);
    assert_string_equal(ended.keys[1], "list/b");
    assert_int_equal(list(bench, "nothing&<", "", 2, &ended), 0);
    assert_int_equal(ended.count, 0);
    empty(bench, "list/");
    assert_int_equal(stat_key(bench, "listing", &ended), 0);
    assert_int_equal(remove_key(bench, "listing"), 0);
}

/* ---- ends ---------------------------------------------------------------------------------- */

static void operations_can_be_cancelled(void **state)
{
    struct bench *bench = *state;
    struct error error;
    struct store_operation *operation;
    size_t size = 8 * MIB;
    uint8_t *data = noise(size, 3);
    local_write(bench, "in", data, size);
    free(data);
    const struct store_put what = {.from = {bench->local, "in"}, .key = "cancel/a", .attempt = 1};
    const struct store_get back = {
        .key = "cancel/a.attempt-1", .to = {bench->local, "out"}, .length = STORE_TO_END};
    assert_int_equal(put(bench, "in", "cancel/a", 1, &ended), 0);
    for (int turns = 0; turns < 12; turns++) {
        memset(&ended, 0, sizeof ended);
        assert_int_equal(
            turns % 2 ? store_put(bench->store, &what, ended_done, &ended, &operation, &error)
                      : store_get(bench->store, &back, ended_done, &ended, &operation, &error),
            0);
        for (int i = 0; i < turns && ended.calls == 0; i++)
            uv_run(&bench->loop, UV_RUN_ONCE);
        if (ended.calls == 0)
            store_cancel(operation);
        bench_wait(bench, &ended);
        assert_true(ended.error.code == 0 || ended.error.code == -ECANCELED);
    }
    empty(bench, "cancel/");
}

/* What is under way when a store is closed: bench_remove() looks for what is left of it. */
static void stores_can_be_closed(void **state)
{
    struct bench *bench = *state;
    struct error error;
    static struct ended each[100];
    memset(each, 0, sizeof each);
    for (int i = 0; i < 100; i++)
        assert_int_equal(store_stat(bench->store, "none", ended_done, &each[i], NULL, &error), 0);
    bench_close(bench);
    for (int i = 0; i < 100; i++)
        assert_int_equal(each[i].calls, 1);
    bench_open(bench, place);
}

/* ---- refusals ------------------------------------------------------------------------------ */

static void refused_with(const char *variable, const char *value, const char *where, int code,
                         const char *words)
{
    struct bench bench = {.local = -1};
    char *before = getenv(variable) != NULL ? strdup(getenv(variable)) : NULL;
    setenv(variable, value, 1);
    bench_open(&bench, where);
    assert_int_equal(list(&bench, "a/", "", 1, &ended), code);
    assert_contains(ended.error.message, words);
    /* A HEAD has no words of its own. */
    if (code == -EACCES)
        assert_int_equal(stat_key(&bench, "a", &ended), code);
    if (code == -EACCES)
        assert_contains(ended.error.message, words);
    bench_close(&bench);
    if (before != NULL)
        setenv(variable, before, 1);
    else
        unsetenv(variable);
    free(before);
}

static void refusals_are_sentences(void **state)
{
    refused_with("AWS_SECRET_ACCESS_KEY", "wrong", place, -EACCES, "secret key does not fit");
    refused_with("AWS_ACCESS_KEY_ID", "NOBODY", place, -EACCES, "does not know this access key");
    refused_with("AWS_ACCESS_KEY_ID", "STRANGER", place, -EACCES, "access is denied");
    refused_with("NOTHING", "", "s3://no-such-bucket/x", -ENXIO, "bucket does not exist");
    refused_with("AWS_CA_BUNDLE", "/dev/null", place,
                 strstr(getenv("AWS_ENDPOINT_URL_S3"), "https") ? -EPROTO : 0, "");
}

/* ---- stores that are lent ------------------------------------------------------------------ */

/* A worker's side, and the coordinator that it asks. */
struct loan {
    struct bench *bench; /* the owner's */
    struct store *store; /* the borrower's */
    uint64_t question;
    bool other_bytes, other_key, silent;
    int asked;
};

static void on_url(void *opaque, const struct store_result *result)
{
    struct loan *loan = opaque;
    char *url = result->url != NULL ? strdup(result->url) : NULL;
    char *key = url != NULL ? strstr(url, "lent/a") : NULL;
    if (loan->other_key && key != NULL)
        key[5] = 'b';
    store_lent(loan->store, loan->question, url, result->error.message);
    free(url);
}

static void on_asked(void *opaque, uint64_t question, const struct store_url *what)
{
    struct loan *loan = opaque;
    struct store_url url = *what;
    struct error error;
    loan->question = question;
    loan->asked++;
    url.md5[0] ^= loan->other_bytes;
    if (!loan->silent)
        assert_int_equal(store_url(loan->bench->store, &url, on_url, loan, NULL, &error), 0);
}

static int begin_put(struct loan *loan)
{
    const struct store_put put = {
        .from = {loan->bench->local, "in"}, .key = "lent/a", .attempt = 5};
    struct error error;
    memset(&ended, 0, sizeof ended);
    return store_put(loan->store, &put, ended_done, &ended, NULL, &error);
}

static int begin_get(struct loan *loan, struct store_operation **operation)
{
    const struct store_get get = {
        .key = "lent/a", .to = {loan->bench->local, "out"}, .length = STORE_TO_END};
    struct error error;
    memset(&ended, 0, sizeof ended);
    return store_get(loan->store, &get, ended_done, &ended, operation, &error);
}

/* Waits for what has begun well, and says how it ended. */
static int wait_for(struct loan *loan, int begun)
{
    assert_int_equal(begun, 0);
    bench_wait(loan->bench, &ended);
    return ended.error.code;
}

static void begin_loan(struct bench *bench, struct loan *loan)
{
    const struct store_lender lender = {on_asked, loan};
    struct error error;
    *loan = (struct loan){.bench = bench};
    assert_int_equal(
        store_open_lent(&bench->loop, "s3://some/where", &lender, &loan->store, &error), 0);
    ((struct s3 *)loan->store)->get_part = MIB;
}

static void end_loan(struct loan *loan)
{
    int closed = 0;
    store_close(loan->store, bench_count_closed, &closed);
    while (closed == 0)
        uv_run(&loan->bench->loop, UV_RUN_ONCE);
    empty(loan->bench, "lent/");
}

static void who_has_no_keys_is_lent_urls(void **state)
{
    struct bench *bench = *state;
    struct loan loan;
    struct error error;
    uint8_t *data = noise(3 * MIB, 9);
    begin_loan(bench, &loan);
    local_write(bench, "in", data, 3 * MIB);
    assert_int_equal(wait_for(&loan, begin_put(&loan)), 0);
    struct store_identity identity = ended.identity;
    assert_int_equal(adopt(bench, "lent/a", 5, &identity, &ended), 0);
    assert_int_equal(wait_for(&loan, begin_get(&loan, NULL)), 0);
    local_expect(bench, "out", data, 3 * MIB);
    assert_int_equal(loan.asked, 2); /* one for all parts */
    free(data);
    memset(&ended, 0, sizeof ended);
    assert_int_equal(
        wait_for(&loan, store_stat(loan.store, "lent/a", ended_done, &ended, NULL, &error)),
        -EACCES);
    end_loan(&loan);
}

static void a_url_is_for_one_key_and_for_what_was_signed(void **state)
{
    struct bench *bench = *state;
    struct loan loan;
    make_object(bench, "lent/b", "another");
    begin_loan(bench, &loan);
    local_write(bench, "in", "text", 4);
    loan.other_bytes = true;
    assert_int_equal(wait_for(&loan, begin_put(&loan)), -EACCES);
    assert_int_equal(loan.asked, 2); /* the first might have run out */
    loan.other_bytes = false;
    loan.other_key = true;
    assert_int_equal(wait_for(&loan, begin_put(&loan)), -EACCES);
    assert_int_equal(wait_for(&loan, begin_get(&loan, NULL)), -EACCES);
    assert_int_equal(list(bench, "lent/", "", 9, &ended), 0);
    assert_int_equal(ended.count, 1);
    end_loan(&loan);
}

static void questions_may_stay_open(void **state)
{
    struct bench *bench = *state;
    struct loan loan;
    struct error error;
    struct store_operation *operation;
    struct ended last = {0};
    const struct store_url url = {.key = "lent/a"};
    begin_loan(bench, &loan);
    loan.silent = true;
    assert_int_equal(begin_get(&loan, &operation), 0);
    store_ask_again(loan.store);
    assert_int_equal(loan.asked, 2);
    store_cancel(operation);
    assert_int_equal(wait_for(&loan, 0), -ECANCELED);
    assert_int_equal(store_url(loan.store, &url, ended_done, &last, NULL, &error), 0);
    store_lent(loan.store, loan.question, NULL, "no");
    bench_wait(bench, &last);
    assert_int_equal(last.error.code, -EACCES);
    memset(&last, 0, sizeof last);
    assert_int_equal(store_url(loan.store, &url, ended_done, &last, NULL, &error), 0);
    end_loan(&loan);
    assert_int_equal(last.error.code, -ECANCELED);
}
int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(round_trip, set_up, bench_remove),
        cmocka_unit_test_setup_teardown(ranges, set_up, bench_remove),
        cmocka_unit_test_setup_teardown(what_is_got_is_checked, set_up, bench_remove),
        cmocka_unit_test_setup_teardown(adopting, set_up, bench_remove),
        cmocka_unit_test_setup_teardown(listing, set_up, bench_remove),
        cmocka_unit_test_setup_teardown(operations_can_be_cancelled, set_up, bench_remove),
        cmocka_unit_test_setup_teardown(stores_can_be_closed, set_up, bench_remove),
        cmocka_unit_test(refusals_are_sentences),
        cmocka_unit_test_setup_teardown(who_has_no_keys_is_lent_urls, set_up, bench_remove),
        cmocka_unit_test_setup_teardown(a_url_is_for_one_key_and_for_what_was_signed, set_up,
                                        bench_remove),
        cmocka_unit_test_setup_teardown(questions_may_stay_open, set_up, bench_remove),
    };
    place = getenv("TEST_PLACE");
    if (place == NULL)
        return 77;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
